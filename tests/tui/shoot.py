"""Pictures of the screen: an app state as SVG, and as PNG where librsvg's rsvg-convert is installed.

Run it as `python -m tests.tui.shoot DIRECTORY [NAME...]`, or, as root, with `--live` for NAME.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path

from httptop.cli import RECENT_EXCHANGES, World
from httptop.filters import Filter
from httptop.options import parse as parse_options
from httptop.snapshot import Snapshot
from httptop.tui.app import HttptopApp, Publication
from httptop.worker import Worker
from tests.support.net import Namespace, namespace
from tests.tui import snapshots
from tests.tui.player import Player

COLOURS = 32  # of a PNG: a quarter of the bytes
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
    subprocess.run(["pngquant", "--speed", "1", "--force", "-o", str(target), str(COLOURS), str(target)], check=True)


def shoot(directory: Path, name: str, snapshots: Sequence[Snapshot], size: tuple[int, int], keys: Sequence[str] = (),
          **options: object) -> None:
    """Write NAME-WIDTHxHEIGHT.svg and .png."""
    svg = svg_of(snapshots, size, keys, **options)
    stem = f"{name}-{size[0]}x{size[1]}"
    (directory / f"{stem}.svg").write_text(svg)
    png_from(svg, directory / f"{stem}.png")


BEFORE_S, LIVE_S = 6.5, 24.0  # until hints are given, until there are trends
DELAY_S = 0.5
Scene = tuple[str, tuple[int, int], tuple[str, ...]]
WAITING: tuple[Scene, ...] = (("waiting", (120, 40), ()),)
SCENES: tuple[Scene, ...] = (
    ("overview", (120, 40), ()), ("overview", (80, 24), ()), ("overview", (200, 60), ()),
    ("filter", (120, 40), ("slash", *"status:5xx", "enter")), ("url", (120, 40), ("escape", "enter")),
    ("process", (120, 40), ("escape", "2", "enter")), ("log", (120, 40), ("escape", "5")),
    ("help", (120, 40), ("plus", "question_mark")), ("pid", (120, 40), ("escape", "p")),
    ("light", (120, 40), ("escape", "t")),
)
TOUR_SIZE, FRAME_MS = (80, 24), 900
TOUR: tuple[tuple[str, ...], ...] = (
    (), (), ("slash",), tuple("status"), tuple(":5xx"), ("enter",), (), ("escape",), ("greater_than_sign",), ("down",),
    ("down",), ("enter",), (), ("escape",), ("2",), ("enter",), (), ("escape",), ("1",), (),
)


class Ours(Worker):
    """Without the processes that accept in other network namespaces: they are this machine's, not the demo's."""

    def start(self, publish: Callable[[Publication], None]) -> None:
        def ours(item: Publication) -> None:
            if isinstance(item, Snapshot):
                accepts = tuple(row for row in item.accepts if row.process.cmdline.startswith("httptop"))
                item = item._replace(accepts=accepts)
            publish(item)

        super().start(ours)


@contextlib.asynccontextmanager
async def watching(size: tuple[int, int]) -> AsyncIterator[Player]:
    """The screen on loopback, as `httptop -i lo` shows it. Gives up root like httptop itself."""
    world, options = World(), parse_options(["-i", "lo", "--delay", str(DELAY_S)])
    worker = Ours(world.live(options), world.engines(options, recent=RECENT_EXCHANGES), options.delay_s)
    async with HttptopApp(worker).run_test(size=size) as pilot:
        yield Player(pilot)


async def scenes(wait_s: float, wanted: Sequence[Scene]) -> dict[str, str]:
    """Name and size -> SVG."""
    svgs = {}
    async with watching(wanted[0][1]) as player:
        await asyncio.sleep(wait_s)
        for name, size, keys in wanted:
            await player.resize_terminal(*size)
            await player.press(*keys)
            await asyncio.sleep(2 * DELAY_S)
            svgs[f"{name}-{size[0]}x{size[1]}"] = player.app.export_screenshot(title="httptop")
    return svgs


async def tour() -> dict[str, str]:
    """Number of the frame -> SVG: what a film is made of."""
    svgs = {}
    async with watching(TOUR_SIZE) as player:
        await asyncio.sleep(LIVE_S)
        for number, keys in enumerate(TOUR):
            await player.press(*keys)
            await asyncio.sleep(FRAME_MS / 1000)
            svgs[f"{number:03d}"] = player.app.export_screenshot(title="httptop")
    return svgs


def child(what: str) -> None:
    """Print the pictures as JSON. Run in a network namespace of its own."""
    with contextlib.ExitStack() as stack:
        if what != "waiting":
            stack.enter_context(World().demo())
        made = {"waiting": partial(scenes, BEFORE_S, WAITING), "demo": partial(scenes, LIVE_S, SCENES), "tour": tour}
        print(json.dumps(asyncio.run(made[what]())))


def from_child(here: Namespace, what: str) -> dict[str, str]:
    """What a child prints, which may no longer write where we may. It is called httptop, and so are its servers."""
    code = f"from tests.tui.shoot import child; child({what!r})"
    with here.entered():
        done = subprocess.run(["httptop"], executable=sys.executable, input=code.encode(), stdout=subprocess.PIPE,
                              env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                                                "PYTHONPATH": str(Path.cwd())}, check=True)
    return {str(name): str(svg) for name, svg in json.loads(done.stdout).items()}


def film(frames: Sequence[str], target: Path) -> None:
    """An animated picture, with libwebp's img2webp."""
    with tempfile.TemporaryDirectory() as directory:
        names = []
        for number, svg in enumerate(frames):
            names.append(f"{directory}/{number:03d}.png")
            png_from(svg, Path(names[-1]))
        subprocess.run(["img2webp", "-loop", "0", "-d", str(int(FRAME_MS)), "-lossless", *names, "-o", str(target)],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def shoot_live(directory: Path) -> None:
    """Write the scenes as SVG and PNG, and the film: nobody else's traffic is in them."""
    with namespace() as here:
        for what in ("waiting", "demo"):
            for stem, svg in from_child(here, what).items():
                (directory / f"{stem}.svg").write_text(svg)
                png_from(svg, directory / f"{stem}.png")
        film(list(from_child(here, "tour").values()), directory / "tour.webp")


def main(directory: str, *names: str) -> None:
    """Pictures of recorded Snapshots; of live traffic if the first name is --live."""
    os.environ.update(COLORTERM="truecolor", TERM="xterm-256color")
    target = Path(directory)
    target.mkdir(parents=True, exist_ok=True)
    if names == ("--live",):
        shoot_live(target)
        return
    for name in names or ("calm", "error_burst", "losses", "empty", "gone", "hostile"):
        for size in SIZES:
            shoot(target, name, list(snapshots.over_time(getattr(snapshots, name)())), size)


if __name__ == "__main__":
    main(*sys.argv[1:])
