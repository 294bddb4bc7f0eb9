"""The line of filters."""

from __future__ import annotations

from textual.geometry import Size

from httptop import render
from httptop.tui.canvas import Canvas, Line, Look, spread
from httptop.tui.view import View


class Chips(Canvas):
    """The filter, condition by condition, and how much passes it."""

    def __init__(self, look: Look, view: View) -> None:
        super().__init__(look, id="chips")
        self._view = view

    def lines(self, size: Size) -> list[Line]:
        """One line; it is hidden while there is no filter."""
        view, glyphs = self._view, self.look.glyphs
        chips: Line = ((" filter ", "dim"),)
        for chip in view.keep.chips():
            chips = (*chips, (f" {render.clean(chip, 32, glyphs)} ", "chip"), (" ", "text"))
        seen = view.snapshot.totals.requests if view.snapshot else 0
        passed: Line = ((f"{render.count(view.total.requests)} of {render.count(seen)} requests ", "dim"),)
        return [spread(chips, passed, size.width, glyphs)]
