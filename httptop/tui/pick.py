"""Pick one of a list, or type: the processes and the methods to filter by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.widgets import Input

from httptop import render, rollup
from httptop.errors import UsageError
from httptop.filters import Term
from httptop.filters import parse as parse_filter
from httptop.tui import cells
from httptop.tui.canvas import Canvas, Line, Look
from httptop.tui.text import Text
from httptop.tui.view import View


@dataclass(frozen=True)
class Choice:
    """One line to pick, the condition it stands for, and the text by which it is found when typing."""

    line: Line
    term: Term

    def fits(self, typed: str) -> bool:
        """Whether what was typed is a part of it."""
        return typed.casefold() in "".join(text for text, _ in self.line).casefold()


class Choices(Canvas):
    """The lines to pick from, one of them marked."""

    def __init__(self, look: Look, choices: Sequence[Choice]) -> None:
        super().__init__(look, id="choices")
        self._all = choices
        self.shown = list(choices)
        self._typed = ""
        self._index = 0

    @property
    def marked(self) -> Choice | None:
        """The choice that Enter takes."""
        return self.shown[self._index] if self.shown else None

    def narrow(self, typed: str) -> None:
        """Show only what fits what was typed."""
        if typed == self._typed:
            return
        self._typed = typed
        self.shown = [choice for choice in self._all if choice.fits(typed)]
        self._index = 0
        self.redraw()

    def move(self, rows: int) -> None:
        """Mark another line."""
        self._index = max(0, min(self._index + rows, len(self.shown) - 1))
        self.redraw()

    def lines(self, size: Size) -> list[Line]:
        """The lines around the marked one."""
        rows = size.height
        top = max(0, min(self._index - rows // 2, len(self.shown) - rows))
        return [((" ", "cursor" if top + y == self._index else "text"), *choice.line)
                for y, choice in enumerate(self.shown[top:top + rows])]

    def on_click(self, event: events.Click) -> None:
        self.move(event.y - self._index)


class Pick(ModalScreen[Term | None]):
    """Pick one of a list, or type: it answers with a condition, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "cancel"),
        Binding("up", "move(-1)", "up", priority=True),
        Binding("down", "move(1)", "down", priority=True),
    ]

    def __init__(self, look: Look, field: str, question: str, choices: Sequence[Choice]) -> None:
        super().__init__()
        self._look, self._field, self._question, self._choices = look, field, question, choices

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Text(self._look, [((self._question, "title"),), ()])
            line = Input(placeholder="type to narrow, or a value; Enter takes it, Esc leaves")
            line.cursor_blink = False
            yield line
            yield Choices(self._look, self._choices)

    def on_input_changed(self, event: Input.Changed) -> None:
        self.query_one(Choices).narrow(event.value.strip())

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """What is marked; what was typed when nothing fits it."""
        typed = event.value.strip()
        self.query_one(Choices).narrow(typed)  # Enter may overtake the letters before it
        marked = self.query_one(Choices).marked
        if marked is not None:
            self.dismiss(marked.term)
        elif typed:
            try:
                self.dismiss(parse_filter(f'{self._field}:"{typed}"').terms[0])
            except (UsageError, IndexError):
                self.app.bell()

    def action_move(self, rows: int) -> None:
        self.query_one(Choices).move(rows)


def process_choices(view: View, look: Look) -> list[Choice]:
    """Every process that was seen, the busiest first."""
    choices = {}
    for row in rollup.processes(view.snapshot) if view.snapshot else ():
        if row.process is not None and row.process.pid not in choices:
            line: Line = ((f"{row.process.pid:>7}  ", "text"),
                          (f"{render.clean(row.process.comm, 18, look.glyphs):<18} ", "strong"),
                          (f"{row.role:<7}{render.rate(row.rate_per_s):>6}/s", "dim"))
            choices[row.process.pid] = Choice(line, Term("pid", ":", str(row.process.pid)))
    return list(choices.values())


def method_choices(view: View, look: Look) -> list[Choice]:
    """Every method that was seen, the most frequent first."""
    counts = dict(view.snapshot.totals.by_method) if view.snapshot else {}
    return [Choice((*cells.method(name, 24, look.glyphs), (f"  {render.count(number)}", "dim")),
                   Term("method", ":", name))
            for name, number in sorted(counts.items(), key=lambda item: -item[1])]
