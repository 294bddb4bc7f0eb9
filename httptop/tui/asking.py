"""The actions of the main screen that ask or tell something: lists to pick from, questions, notes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.message import Message

from httptop import render
from httptop.filters import Term
from httptop.rollup import UrlGroup
from httptop.snapshot import Exchange, InFlightRow
from httptop.tui.canvas import Look
from httptop.tui.live import Live
from httptop.tui.panes import Pane
from httptop.tui.table import Table
from httptop.tui.view import View

if TYPE_CHECKING:
    from httptop.tui.pick import Choice

HELP = "help"


class Asking(Live):
    """What comes up is imported when it does (see preloading.py)."""

    class Delayed(Message):
        """The screen is to be refreshed every so many seconds."""

        def __init__(self, delay_s: float) -> None:
            super().__init__()
            self.delay_s = delay_s

    def __init__(self, look: Look, view: View) -> None:
        super().__init__()
        self._look, self._view = look, view

    def _pane(self) -> Pane[Any, Any]:
        """The table that the keys are about."""
        raise NotImplementedError

    def action_pick_pid(self) -> None:
        from httptop.tui.pick import process_choices  # noqa: PLC0415 (see preloading.py)

        self._pick("pid", "show one process, or those of one name", process_choices(self._view, self._look))

    def action_pick_method(self) -> None:
        from httptop.tui.pick import method_choices  # noqa: PLC0415 (see preloading.py)

        self._pick("method", "show one method", method_choices(self._view, self._look))

    def _pick(self, field: str, question: str, choices: Sequence[Choice[Term]]) -> None:
        from httptop.tui.pick import Pick, as_term  # noqa: PLC0415 (see preloading.py)

        def picked(term: Term | None) -> None:
            if term is not None:
                self._view.narrow(term)
                self.show()

        self.app.push_screen(Pick(self._look, question, choices, as_term(field)), picked)

    def action_delay(self) -> None:
        from httptop.tui.pick import Pick, as_delay, delay_choices  # noqa: PLC0415 (see preloading.py)

        def picked(delay_s: float | None) -> None:
            if delay_s is not None:
                self.post_message(self.Delayed(delay_s))

        self.app.push_screen(Pick(self._look, "seconds between refreshes", delay_choices(self._view.delay_s), as_delay),
                             picked)

    def action_reset(self) -> None:
        from httptop.tui.dialogs import Ask  # noqa: PLC0415 (see preloading.py)

        def answered(yes: bool | None) -> None:  # noqa: FBT001 (Textual's)
            if yes:
                self._view.reset()
                self.show()

        self.app.push_screen(Ask(self._look, "Forget what was counted so far?"), answered)

    def action_export(self) -> None:
        """All that passes the filter as JSON, or the rows of this pane as CSV."""
        from httptop.tui.dialogs import SaveAs  # noqa: PLC0415 (see preloading.py)

        if self._view.snapshot is not None:
            self.app.push_screen(SaveAs(self._look, self._pane().HEADING), self._save)

    def _save(self, kind: str | None) -> None:
        from httptop.tui import take_away  # noqa: PLC0415 (see preloading.py)

        view, directory = self._view, Path.cwd()
        if view.snapshot is None or kind is None:
            return
        pane = self._pane()
        text = (take_away.csv_text(pane.rows_shown(), view.snapshot) if kind == "csv" else
                take_away.json_text(view.snapshot, view.keep))
        try:
            path = take_away.write_new(text, directory, view.snapshot.end_ns, kind)
        except OSError as error:
            self.notify(f"{directory}: {error.strerror}. httptop is no longer root: start it where {take_away.me()} "
                        "may write", title="not saved", severity="error", markup=False)
        else:
            self.notify(str(path), title="saved", markup=False)

    def action_copy(self) -> None:
        from httptop.tui.take_away import curl  # noqa: PLC0415 (see preloading.py)

        group = self._pane().selected
        if isinstance(group, UrlGroup | InFlightRow | Exchange):
            path = group.target if isinstance(group, Exchange) else group.path
            if path and not path.startswith("/"):
                self.notify(f"{path} stands for no URL", title="not copied", markup=False)
                return
            command = curl(group.method or "GET", group.host, path)
            self.app.copy_to_clipboard(command)
            self.notify(render.fit(command, 120), title="copied", markup=False)

    def action_help(self) -> None:
        if not self.app.is_screen_installed(HELP):  # once: to show it again is a fifth of the work
            from httptop.tui.dialogs import Help  # noqa: PLC0415 (see preloading.py)

            self.app.install_screen(Help(self._look, [*self.BINDINGS, *Table.BINDINGS]), HELP)
        self.app.push_screen(HELP)
