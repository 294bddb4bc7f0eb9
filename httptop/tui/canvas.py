"""A widget of lines of styled spans, which draws only those lines again that changed."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from httptop.render import UNICODE, Glyphs, fit, width
from httptop.tui.theme import Palette

Span = tuple[str, str]  # safe text, name of its style
Line = tuple[Span, ...]


class Look:
    """How to draw: the palette and the glyphs, shared by all canvases of one app."""

    def __init__(self, palette: Palette, glyphs: Glyphs = UNICODE) -> None:
        self.palette = palette
        self.glyphs = glyphs


def cells(line: Line) -> int:
    """Cells that a line takes."""
    return sum(width(text) for text, _ in line)


def clip(line: Line, limit: int, glyphs: Glyphs = UNICODE) -> Line:
    """Cut a line that is longer than `limit` cells, with an ellipsis."""
    if cells(line) <= limit:
        return line
    kept: list[Span] = []
    room = limit
    for text, style in line:
        if width(text) > room:
            return (*kept, (fit(text, room, glyphs), style))
        kept.append((text, style))
        room -= width(text)
    return tuple(kept)


def spread(left: Line, right: Line, limit: int, glyphs: Glyphs = UNICODE) -> Line:
    """`left` at the left and `right` at the right edge of `limit` cells; `right` is left out if there is no room."""
    gap = limit - cells(left) - cells(right)
    if gap < 1:
        return clip(left, limit, glyphs)
    return (*left, (" " * gap, "text"), *right)


BLOCKS = frozenset({"chip", "bad", "paused", "cursor"})  # styles whose spaces are seen


def merged(line: Line) -> Line:
    """The same line in fewer spans: each costs the terminal a dozen bytes of colour."""
    spans: list[Span] = []
    for text, style in line:
        if not text:
            continue
        before = spans[-1][1] if spans else ""
        if before == style or (before and before not in BLOCKS and style not in BLOCKS and text.isspace()):
            spans[-1] = (spans[-1][0] + text, before)
        else:
            spans.append((text, style))
    return tuple(spans)


class Canvas(Widget):
    """Subclasses say what stands in each line; this class keeps what was drawn and refreshes the difference."""

    ALLOW_SELECT = False
    DEFAULT_CSS: ClassVar[str] = "Canvas { height: 1; }"

    def __init__(self, look: Look, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id, classes=classes)
        self.look = look
        self._drawn: list[Line] = []

    def lines(self, size: Size) -> list[Line]:
        """What to draw; fewer lines than `size` has leave the rest blank."""
        raise NotImplementedError

    def redraw(self, *, everything: bool = False) -> None:
        """Compute the lines again and refresh those that differ."""
        columns, rows = self.size
        if not columns or not rows:
            return
        new = self.lines(self.size)[:rows]
        new += [()] * (rows - len(new))
        old, self._drawn = self._drawn, new
        if everything or len(old) != len(new):
            self.refresh()
        elif changed := [Region(0, y, columns, 1) for y in range(rows) if old[y] != new[y]]:
            self.refresh(*changed)

    def on_resize(self, _event: events.Resize) -> None:
        self.redraw(everything=True)

    def render_line(self, y: int) -> Strip:
        """Textual's hook: line `y` as a strip."""
        base = self.rich_style
        palette = self.look.palette
        line = self._drawn[y] if y < len(self._drawn) else ()
        if line and line[0][1] == "cursor":  # the style of the first span is that of the whole line
            base += palette["cursor"]
        bar = base.reverse is True  # colours turned round would be a patchwork
        segments = [Segment(text, base + (palette[style].without_color if bar else palette[style]))
                    for text, style in merged(clip(line, self.size.width))]
        return Strip(segments).extend_cell_length(self.size.width, base)
