"""What comes up over the main screen: the help, a question, and why httptop cannot go on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.geometry import Size
from textual.screen import ModalScreen, Screen

from httptop import __version__
from httptop.errors import HttptopError
from httptop.tui.canvas import Line, Look
from httptop.tui.keys import explained
from httptop.tui.text import Text, wrap

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
        left = max(sum(len(text) for text, _ in line) for line in keys[:half]) + 2
        two = [_side_by_side(keys[y], keys[half + y] if half + y < len(keys) else (), left) for y in range(half)]
        fits = left + max(sum(len(text) for text, _ in line) for line in keys[half:]) <= size.width
        return [(("httptop ", "title"), (f"{__version__}   Esc closes this", "dim")), (), *(two if fits else keys), (),
                (("filters", "title"),), *filters]


def _side_by_side(left: Line, right: Line, at: int) -> Line:
    return (*left, (" " * (at - sum(len(text) for text, _ in left)), "text"), *right)


class Ask(ModalScreen[bool]):
    """A question; `y` or Enter is yes, all else is no."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,enter", "dismiss(True)", "yes"),
        Binding("n,escape,q,space", "dismiss(False)", "no"),
    ]

    def __init__(self, look: Look, question: str) -> None:
        super().__init__()
        self._look, self._question = look, question

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Text(self._look, [((self._question, "strong"),), (),
                                    (("y", "key"), (" yes   ", "dim"), ("n", "key"), (" no", "dim"))])


class SaveAs(ModalScreen[str]):
    """In which format; it answers with the ending of the file."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,enter", "dismiss('json')", "JSON"),
        Binding("c", "dismiss('csv')", "CSV"),
        Binding("escape,n,q,space", "dismiss(None)", "no"),
    ]

    def __init__(self, look: Look, pane: str) -> None:
        super().__init__()
        self._look, self._pane = look, pane

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Text(self._look, [
                (("save what is shown as", "strong"),), (),
                (("j", "key"), (" JSON ", "text"), (" all that passes the filter", "dim")),
                (("c", "key"), (" CSV  ", "text"), (f" the rows of {self._pane}", "dim")), (),
                (("Esc", "key"), (" leaves", "dim"))])


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
