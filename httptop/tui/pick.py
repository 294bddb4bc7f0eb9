"""Pick one of a list, or type: the processes and the methods to filter by."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.widgets import Input

from httptop import render
from httptop.errors import UsageError
from httptop.filters import Term
from httptop.filters import parse as parse_filter
from httptop.settings import DELAY_MAX_S, DELAY_MIN_S
from httptop.tui import cells
from httptop.tui.canvas import Canvas, Line, Look
from httptop.tui.text import Text
from httptop.tui.view import View

DELAYS_S = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)

Value = TypeVar("Value")


@dataclass(frozen=True)
class Choice(Generic[Value]):
    """One line to pick and what it stands for. It is found by any part of its text, or by `exactly` that."""

    line: Line
    value: Value
    exactly: str = ""

    def fits(self, typed: str) -> bool:
        """Whether what was typed means it."""
        if self.exactly:
            return typed in ("", self.exactly)
        return typed.casefold() in "".join(text for text, _ in self.line).casefold()


class Choices(Canvas, Generic[Value]):
    """The lines to pick from, one of them marked."""

    def __init__(self, look: Look, choices: Sequence[Choice[Value]]) -> None:
        super().__init__(look, id="choices")
        self._all = choices
        self.shown = list(choices)
        self._typed = ""
        self._index = 0

    @property
    def marked(self) -> Choice[Value] | None:
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


class Pick(ModalScreen[Value | None]):
    """Pick one of a list, or type: it answers with a value, or None. `typed` makes one of what no line begins with."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "cancel"),
        Binding("up", "move(-1)", "up", priority=True),
        Binding("down", "move(1)", "down", priority=True),
    ]

    def __init__(self, look: Look, question: str, choices: Sequence[Choice[Value]],
                 typed: Callable[[str], Value | None]) -> None:
        super().__init__()
        self._look, self._question, self._choices, self._typed = look, question, choices, typed

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
        marked: Choice[Value] | None = self.query_one(Choices).marked
        if marked is not None:
            self.dismiss(marked.value)
        elif typed and (value := self._typed(typed)) is not None:
            self.dismiss(value)
        else:
            self.app.bell()

    def action_move(self, rows: int) -> None:
        self.query_one(Choices).move(rows)


def as_term(field: str) -> Callable[[str], Term | None]:
    """What was typed as a condition on `field`; None when it makes none."""

    def typed(text: str) -> Term | None:
        with contextlib.suppress(UsageError, IndexError):
            return parse_filter(f'{field}:"{text}"').terms[0]
        return None

    return typed


def as_delay(text: str) -> float | None:
    """What was typed as seconds; None when it is no delay."""
    with contextlib.suppress(ValueError):
        value = float(text.removesuffix("s"))
        return value if DELAY_MIN_S <= value <= DELAY_MAX_S else None
    return None


def delay_choices(now_s: float) -> list[Choice[float]]:
    """Some delays, and the one that holds now."""
    return [Choice(((f"{delay_s:>6g} s", "strong" if delay_s == now_s else "text"),
                    ("   now" if delay_s == now_s else "", "dim")), delay_s, f"{delay_s:g}")
            for delay_s in sorted({*DELAYS_S, now_s})]


def process_choices(view: View, look: Look) -> list[Choice[Term]]:
    """Every name that several have, and every process that was seen, the busiest first."""
    choices: dict[Term, Choice[Term]] = {}
    names = [row for row in view.everybody(by_name=True) if row.members]
    for row in (*names, *view.everybody()):
        who = row.process
        if who is not None and (who.pid or row.members):
            term = Term("comm", ":", who.comm) if row.members else Term("pid", ":", str(who.pid))
            many = f"{look.glyphs.remove}{row.members}{'+' * row.beyond}" if row.members else str(who.pid)
            line: Line = ((f"{many:>7}  ", "text"),
                          (f"{render.clean(who.comm, 18, look.glyphs):<18} ", "strong"),
                          (f"{row.role:<7}{render.rate(row.rate_per_s):>6}/s", "dim"))
            choices.setdefault(term, Choice(line, term))
    return list(choices.values())


def method_choices(view: View, look: Look) -> list[Choice[Term]]:
    """Every method that was seen, the most frequent first."""
    counts = dict(view.snapshot.totals.by_method) if view.snapshot else {}
    return [Choice((*cells.method(name, 24, look.glyphs), (f"  {render.count(number)}", "dim")),
                   Term("method", ":", name))
            for name, number in sorted(counts.items(), key=lambda item: -item[1])]
