"""Pictures of the screen: an app state as SVG, and as PNG where librsvg's rsvg-convert is installed.

    python tests/tui/shoot.py DIRECTORY [NAME...]
"""

from __future__ import annotations

import asyncio
import html
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from httptop.filters import Filter
from httptop.snapshot import Snapshot
from httptop.tui.app import HttptopApp, Publication

SIZES = ((80, 24), (120, 40), (200, 60))


class Recorded:
    """A worker that publishes what was recorded, at once."""

    def __init__(self, items: Sequence[Publication]) -> None:
        self._items = items
        self.stopped = False

    def start(self, publish: Callable[[Publication], None]) -> None:
        for item in self._items:
            publish(item)

    def stop(self) -> None:
        self.stopped = True


def svg_of(items: Sequence[Publication], size: tuple[int, int], keys: Sequence[str] = (), *,
           keep: Filter = Filter(), ascii_only: bool = False, color: bool = True) -> str:  # noqa: B008 (frozen)
    """The screen after these Snapshots and keys."""

    async def shoot() -> str:
        app = HttptopApp(Recorded(()), initial_filter=keep, ascii_only=ascii_only, color=color)
        async with app.run_test(size=size) as pilot:
            for item in items:
                app.publish(item)
                await pilot.pause()
            await pilot.press(*keys)
            await pilot.pause()
            return app.export_screenshot(title="httptop")

    return asyncio.run(shoot())


def _moved(match: re.Match[str]) -> str:
    """librsvg drops the spaces around a text: put the text where it belongs without them."""
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


def main(directory: str, *names: str) -> None:
    sys.path.insert(0, str(Path(__file__).parent))
    import snapshots  # noqa: PLC0415 (beside this script)

    Path(directory).mkdir(parents=True, exist_ok=True)
    for name in names or ("calm", "error_burst", "losses", "empty", "hostile"):
        for size in SIZES:
            shoot(Path(directory), name, list(snapshots.over_time(getattr(snapshots, name)())), size)


if __name__ == "__main__":
    main(*sys.argv[1:])
