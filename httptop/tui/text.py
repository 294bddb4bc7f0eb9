"""Lines that say something: given ones, and wrapped ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.geometry import Size

from httptop import render
from httptop.render import ASCII, UNICODE, Glyphs
from httptop.tui.canvas import Canvas, Line, Look

WRAPPED_MAX = 16_384  # characters that are worth wrapping


class Text(Canvas):
    """Lines that do not change."""

    DEFAULT_CSS: ClassVar[str] = "Text { height: auto; }"

    def __init__(
        self, look: Look, text: Sequence[Line] | Callable[[Size], list[Line]], id: str | None = None,  # noqa: A002
    ) -> None:
        super().__init__(look, id=id)
        self._what = text

    def replace(self, text: Sequence[Line]) -> None:
        """Show other lines."""
        self._what = text
        self.redraw()

    def lines(self, size: Size) -> list[Line]:
        """The lines as given, or as made for this size."""
        return self._what(size) if callable(self._what) else list(self._what)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        """Textual's hook: as many lines as there are."""
        return len(self.lines(Size(width, viewport.height)))


def wrap(text: str, columns: int, glyphs: Glyphs = UNICODE) -> list[str]:
    """Safe text in lines of at most `columns` cells, broken between words where possible."""
    lines: list[str] = []
    line = ""
    for word in render.safe(text[:WRAPPED_MAX], ascii_only=glyphs is ASCII).split(" "):
        joined = f"{line} {word}" if line else word
        if render.width(joined) <= columns:
            line = joined
            continue
        if line:
            lines.append(line)
        *whole, line = _pieces(word, columns)
        lines += whole
    return [*lines, line] if line else lines


def _pieces(word: str, columns: int) -> list[str]:
    """A word that may be longer than a line, in pieces."""
    pieces = []
    while render.width(word) > columns:
        head = render.head(word, columns)
        pieces.append(head)
        word = word[len(head):]
    return [*pieces, word]
