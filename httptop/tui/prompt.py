"""The line in which a filter is typed: it filters with each letter."""

from __future__ import annotations

import contextlib

from textual.app import ComposeResult
from textual.containers import Container
from textual.message import Message
from textual.widgets import Input

from httptop.errors import UsageError
from httptop.filters import Term
from httptop.filters import parse as parse_filter
from httptop.tui.canvas import Look
from httptop.tui.text import Text


class Prompt(Container):
    """Asks for conditions; what is wrong with them stands beside them."""

    class Typed(Message):
        """So far these conditions are understood; a word that is not (yet) is left out."""

        def __init__(self, terms: tuple[Term, ...]) -> None:
            super().__init__()
            self.terms = terms

    class Accepted(Message):
        """Enter, and all of it is understood."""

    def __init__(self, look: Look) -> None:
        super().__init__(id="prompt")
        self._look = look

    def compose(self) -> ComposeResult:
        yield Text(self._look, [((" filter / ", "title"),)], id="prompt-label")
        line = Input(placeholder="text  host:api  path:/v1  status:5xx  pid:12  >100ms  !not", disabled=True)
        line.cursor_blink = False  # what moves on this screen is traffic
        yield line
        yield Text(self._look, [], id="prompt-error")

    def ask(self) -> None:
        """Begin with an empty line."""
        self.screen.add_class("-asking")
        line = self.query_one(Input)
        with line.prevent(Input.Changed):
            line.value = ""
        self._say("")
        line.disabled = False
        self.screen.set_focus(line)  # at once: what is typed ahead is no command

    def close(self) -> None:
        """Away with the line."""
        self.screen.remove_class("-asking")
        self.query_one(Input).disabled = True

    def _say(self, problem: str) -> None:
        self.query_one("#prompt-error", Text).replace([((problem, "warn"),)])

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        problem = ""
        try:
            terms = parse_filter(event.value).terms
        except UsageError as error:
            problem, terms = error.what, _terms_so_far(event.value)
        self._say(problem)
        self.post_message(self.Typed(terms))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        with contextlib.suppress(UsageError):
            parse_filter(event.value)
            self.post_message(self.Accepted())


def _terms_so_far(typed: str) -> tuple[Term, ...]:
    with contextlib.suppress(UsageError):
        return parse_filter(typed.rpartition(" ")[0]).terms
    return ()
