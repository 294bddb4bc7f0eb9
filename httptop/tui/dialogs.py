"""What comes up over the main screen: a choice, the help, and why httptop cannot go on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.geometry import Size
from textual.screen import ModalScreen, Screen
from textual.widgets import Input

from httptop import __version__
from httptop.errors import HttptopError, UsageError
from httptop.filters import Term
from httptop.filters import parse as parse_filter
from httptop.tui.canvas import Canvas, Line, Look
from httptop.tui.keys import explained
from httptop.tui.text import Text, wrap


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
        self._index = 0

    @property
    def marked(self) -> Choice | None:
        """The choice that Enter takes."""
        return self.shown[self._index] if self.shown else None

    def narrow(self, typed: str) -> None:
        """Show only what fits what was typed."""
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
            yield Input(placeholder="type to narrow, or a value; Enter takes it, Esc leaves")
            yield Choices(self._look, self._choices)

    def on_input_changed(self, event: Input.Changed) -> None:
        self.query_one(Choices).narrow(event.value.strip())

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """What is marked; what was typed when nothing fits it."""
        marked, typed = self.query_one(Choices).marked, event.value.strip()
        if marked is not None:
            self.dismiss(marked.term)
        elif typed:
            try:
                self.dismiss(parse_filter(f'{self._field}:"{typed}"').terms[0])
            except (UsageError, IndexError):
                self.app.bell()

    def action_move(self, rows: int) -> None:
        self.query_one(Choices).move(rows)


FILTERS: Sequence[tuple[str, str]] = (
    ("api", "text in method, host, path or process name"),
    ("host:api  path:/v1  url:", "a part of it; host~^api a regular expression"),
    ("method:GET,PUT", "one of these"),
    ("status:5xx  status:404", "a class or a code; status:none is unanswered"),
    ("pid:12  comm:nginx", "either end; server: and client: one end"),
    (">100ms  <2s", "slowest exchange"),
    ("!host:api", "the opposite; terms side by side must all hold"),
)


class Help(ModalScreen[None]):
    """Every key, from the bindings themselves, and the filter language."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q,enter,space", "dismiss", "close")]

    def __init__(self, look: Look, bindings: Iterable[BindingType]) -> None:
        super().__init__()
        self._look = look
        self._explained = explained(bindings)

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Text(self._look, self._lines)

    def _lines(self, size: Size) -> list[Line]:
        keys: list[Line] = [((f"{keys:<10}", "key"), (text, "text")) for keys, text in self._explained]
        filters: list[Line] = [((f"{example:<26}", "accent"), (meaning, "text")) for example, meaning in FILTERS]
        half = (len(keys) + 1) // 2
        left = max(sum(len(text) for text, _ in line) for line in keys[:half]) + 3
        two = [_side_by_side(keys[y], keys[half + y] if half + y < len(keys) else (), left) for y in range(half)]
        fits = left + max(sum(len(text) for text, _ in line) for line in keys[half:]) <= size.width
        return [(("httptop ", "title"), (f"{__version__}   Esc closes this", "dim")), (), *(two if fits else keys), (),
                (("filters", "title"),), *filters]


def _side_by_side(left: Line, right: Line, at: int) -> Line:
    return (*left, (" " * (at - sum(len(text) for text, _ in left)), "text"), *right)


class Failed(Screen[None]):
    """Why httptop cannot go on, and what to do; any key leaves."""

    def __init__(self, look: Look, error: HttptopError) -> None:
        super().__init__()
        self._look, self._error = look, error

    def compose(self) -> ComposeResult:
        yield Text(self._look, self._lines, id="failed")

    def _lines(self, size: Size) -> list[Line]:
        columns, rows = size
        room = max(min(columns - 8, 76), 20)
        text: list[Line] = [((f" {self._look.glyphs.bad} httptop cannot go on ", "bad"),), (),
                            *[((part, "strong"),) for part in wrap(self._error.what, room, self._look.glyphs)], (),
                            *[((part, "text"),) for part in wrap(self._error.do, room, self._look.glyphs)], (),
                            (("any key", "key"), (" leaves", "dim"))]
        left = " " * ((columns - room) // 2)
        return [()] * max((rows - len(text)) // 2 - 1, 0) + [((left, "text"), *line) for line in text]

    def on_key(self, event: events.Key) -> None:
        event.stop()
        self.app.exit(return_code=self._error.exit_code)
