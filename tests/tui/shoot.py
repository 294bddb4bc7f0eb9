"""Pictures of the screen: an app state as SVG, and as PNG where librsvg's rsvg-convert is installed.

Run it as `python -m tests.tui.shoot DIRECTORY [NAME...]`, or, as root, with `--live` for NAME.
"""

from __future__ import annotations

import asyncio
import html
import json
import os
import re
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from httptop.cli import RECENT_EXCHANGES, World
from httptop.filters import Filter
from httptop.options import parse as parse_options
from httptop.snapshot import Snapshot
from httptop.tui.app import HttptopApp, Publication
from httptop.worker import Worker
from tests.tui import snapshots
from tests.tui.player import Player

SIZES = ((80, 24), (120, 40), (200, 60))


class Recorded:
    """A worker that publishes what was recorded, at once."""

    def __init__(self, items: Sequence[Publication]) -> None:
        self._items = items
        self.stopped = False
        self.delay_s = 1.0

    def start(self, publish: Callable[[Publication], None]) -> None:
        for item in self._items:
            publish(item)

    def set_delay(self, delay_s: float) -> None:
        self.delay_s = delay_s

    def stop(self) -> None:
        self.stopped = True


def svg_of(items: Sequence[Publication], size: tuple[int, int], keys: Sequence[str] = (), *,
           keep: Filter = Filter(), ascii_only: bool = False, color: bool = True) -> str:  # noqa: B008 (frozen)
    """The screen after these Snapshots and keys."""

    async def shoot() -> str:
        app = HttptopApp(Recorded(()), initial_filter=keep, ascii_only=ascii_only, color=color)
        async with app.run_test(size=size) as pilot:
            player = Player(pilot)
            await player.publish(*items)
            await player.press(*keys)
            await player.pause()
            return app.export_screenshot(title="httptop")

    return asyncio.run(shoot())


def _moved(match: re.Match[str]) -> str:
    """Put a text where it belongs without the spaces around it, which librsvg drops."""
    attributes, text = match["attributes"], match["text"]
    x, length = (float(re.search(rf'{name}="([0-9.]+)"', attributes)[1]) for name in (" x", "textLength"))  # type: ignore[index]
    bare = text.strip("\xa0")
    if not bare:
        return ""
    cell = length / len(html.unescape(text))
    x += cell * (len(text) - len(text.lstrip("\xa0")))
    attributes = re.sub(r' x="[0-9.]+"', f' x="{x:.2f}"', attributes)
    attributes = re.sub(r'textLength="[0-9.]+"', f'textLength="{cell * len(html.unescape(bare)):.2f}"', attributes)
    return f"<text{attributes}>{bare}</text>"


def png_from(svg: str, target: Path) -> None:
    """Draw it with a font of the system: Textual names one of the web."""
    local = re.sub(r"@font-face\s*\{.*?\}", "", svg, flags=re.DOTALL).replace("Fira Code", "DejaVu Sans Mono")
    local = local.replace("font-size: 20px", "font-size: 20.27px")  # the same advance: textLength is not heeded
    local = re.sub(r"<text(?P<attributes>[^>]*textLength[^>]*)>(?P<text>[^<]*)</text>", _moved,
                   local.replace("&#160;", "\xa0"))
    subprocess.run(["rsvg-convert", "--zoom", "1.0", "-o", str(target)], input=local.encode(), check=True)


def shoot(directory: Path, name: str, snapshots: Sequence[Snapshot], size: tuple[int, int], keys: Sequence[str] = (),
          **options: object) -> None:
    """Write NAME-WIDTHxHEIGHT.svg and .png."""
    svg = svg_of(snapshots, size, keys, **options)
    stem = f"{name}-{size[0]}x{size[1]}"
    (directory / f"{stem}.svg").write_text(svg)
    png_from(svg, directory / f"{stem}.png")


LIVE_S = 20.0
SCENES: tuple[tuple[str, tuple[int, int], tuple[str, ...]], ...] = (
    ("overview", (120, 40), ()), ("overview", (80, 24), ()), ("overview", (200, 60), ()),
    ("filter", (120, 40), ("slash", *"status:5xx", "enter")), ("url", (120, 40), ("escape", "enter")),
    ("process", (120, 40), ("escape", "2", "enter")), ("log", (120, 40), ("escape", "5")),
    ("help", (120, 40), ("plus", "1", "question_mark")), ("pid", (120, 40), ("escape", "p")),
    ("light", (120, 40), ("escape", "t")),
)


async def live_svgs() -> dict[str, str]:
    """The screen on the traffic of --demo, scene by scene. Gives up root, like httptop itself."""
    world, options = World(), parse_options(["--demo", "--delay", "0.5"])
    svgs = {}
    with world.demo():
        source = world.live(options)
        app = HttptopApp(Worker(source, world.engines(options, deque(maxlen=RECENT_EXCHANGES)), options.delay_s))
        async with app.run_test(size=SIZES[1]) as pilot:
            await asyncio.sleep(LIVE_S)
            for name, size, keys in SCENES:
                await pilot.resize_terminal(*size)
                await pilot.press(*keys)
                await asyncio.sleep(2 * options.delay_s)
                svgs[f"{name}-{size[0]}x{size[1]}"] = app.export_screenshot(title="httptop")
    return svgs


def shoot_live(directory: Path) -> None:
    """Write the scenes as SVG and PNG: a child that may no longer write here hands them over."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # a command line in the pictures without our paths
    child = subprocess.run(["python", "-m", "tests.tui.shoot", "--svgs"], stdout=subprocess.PIPE, check=True,
                           env=os.environ | {"PATH": path})
    for stem, svg in json.loads(child.stdout).items():
        (directory / f"{stem}.svg").write_text(svg)
        png_from(svg, directory / f"{stem}.png")


def main(directory: str, *names: str) -> None:
    """Pictures of recorded Snapshots; of live traffic if the first name is --live."""
    os.environ["COLORTERM"] = "truecolor"
    if directory == "--svgs":
        print(json.dumps(asyncio.run(live_svgs())))
        return
    target = Path(directory)
    target.mkdir(parents=True, exist_ok=True)
    if names == ("--live",):
        shoot_live(target)
        return
    for name in names or ("calm", "error_burst", "losses", "empty", "hostile"):
        for size in SIZES:
            shoot(target, name, list(snapshots.over_time(getattr(snapshots, name)())), size)


if __name__ == "__main__":
    main(*sys.argv[1:])
