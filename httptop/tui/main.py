"""The main screen: the panes, and what each key does to them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.geometry import Size
from textual.screen import Screen
from textual.widgets import Input

from httptop import render, rollup
from httptop.errors import UsageError
from httptop.filters import Filter, Term
from httptop.filters import parse as parse_filter
from httptop.rollup import UrlGroup
from httptop.snapshot import InFlightRow, ProcessRow
from httptop.tui import cells
from httptop.tui.canvas import Canvas, Line, Look, spread
from httptop.tui.details import Detail, Page, ProcessPage, UrlPage
from httptop.tui.dialogs import Choice, Help, Pick
from httptop.tui.header import Header
from httptop.tui.keys import Keys
from httptop.tui.losses import Losses
from httptop.tui.panes import InFlight, Pane, Processes, Urls
from httptop.tui.table import Table
from httptop.tui.text import Text
from httptop.tui.trends import url_key
from httptop.tui.view import View

SMALLEST = (50, 10)
PANES = Binding.Group("bring up a pane")


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


class Main(Screen[None]):
    """URLs on top, who serves and asks below, then what waits, and what was not seen."""

    AUTO_FOCUS = "#urls"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "app.quit", "quit", tooltip="quit"),
        Binding("slash", "ask", "filter", tooltip="filter: text or field:value"),
        Binding("p", "pick_pid", "pid", tooltip="filter by process"),
        Binding("m", "pick_method", "method", tooltip="filter by method"),
        Binding("escape", "back", "clear", tooltip="drop the last filter, back"),
        Binding("space", "pause", "pause", tooltip="pause; counting goes on"),
        Binding("question_mark", "help", "help", tooltip="this help"),
        Binding("greater_than_sign", "sort(1)", "sort", tooltip="sort by the next column"),
        Binding("less_than_sign", "sort(-1)", "sort", show=False, tooltip="sort by the column before"),
        Binding("r", "reverse", "reverse", tooltip="reverse the order"),
        Binding("enter", "details", "details", show=False, tooltip="details of the row"),
        Binding("plus", "maximise", "maximise", tooltip="maximise the pane, back"),
        Binding("1", "pane(1)", "URLs", show=False, group=PANES),
        Binding("2", "pane(2)", "processes", show=False, group=PANES),
        Binding("3", "pane(3)", "in flight", show=False, group=PANES),
        Binding("4", "pane(4)", "losses and skips", show=False, group=PANES),
        Binding("tab", "app.focus_next", "next pane", show=False),
        Binding("t", "app.next_theme", "theme", show=False, tooltip="dark or light"),
        Binding("ctrl+p", "app.command_palette", "palette", show=False, tooltip="search all commands"),
    ]

    def __init__(self, look: Look, view: View) -> None:
        super().__init__()
        self._look, self._view = look, view
        self._before: Filter | None = None  # the filter while another one is being typed

    def compose(self) -> ComposeResult:
        look, view = self._look, self._view
        yield Text(look, _too_small, id="small")
        yield Header(look, view)
        yield Chips(look, view)
        yield Urls(look, view)
        yield Processes(look, view)
        with Container(id="bottom"):
            yield InFlight(look, view)
            yield Losses(look, view)
        with Container(id="prompt"):
            yield Text(look, [((" filter / ", "title"),)], id="prompt-label")
            yield Input(placeholder="text  host:api  path:/v1  status:5xx  pid:12  >100ms  !not", disabled=True)
            yield Text(look, [], id="prompt-error")
        yield Keys(look, self.BINDINGS)

    def on_mount(self) -> None:
        self.show()

    def show(self) -> None:
        """Bring all that the View has on the screen."""
        self.set_class(self._view.keep.active, "-filtered")
        for pane in self.query(".pane").results():
            if isinstance(pane, Pane | Losses):
                pane.update_rows()
        for canvas in (self.query_one(Header), self.query_one(Chips)):
            canvas.redraw()

    # Filters

    def action_back(self) -> None:
        """Take away what came last: what is being typed, a condition, or the maximised pane."""
        if self._before is not None:
            self._view.keep = self._before
            self._view.roll_up()
            self._close_prompt()
        elif self._view.keep.active:
            self._view.widen()
        elif self.has_class("-max"):
            self.action_maximise()
        self.show()

    def action_ask(self) -> None:
        self._before = self._view.keep
        self.add_class("-asking")
        prompt = self.query_one(Input)
        prompt.value, prompt.disabled = "", False
        prompt.focus()

    def _close_prompt(self) -> None:
        self._before = None
        self.remove_class("-asking")
        self.query_one(Input).disabled = True
        self.query_one(Urls).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while typing; a word that is not understood yet changes nothing."""
        if self._before is None:
            return
        problem = ""
        try:
            terms = parse_filter(event.value).terms
        except UsageError as error:
            problem, terms = error.what, _terms_so_far(event.value)
        self.query_one("#prompt-error", Text).replace([((problem, "warn"),)])
        self._view.keep = self._before.also(*terms)
        self._view.roll_up()
        self.show()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        with contextlib.suppress(UsageError):  # what is wrong stands beside it
            parse_filter(event.value)
            self._close_prompt()

    def action_pick_pid(self) -> None:
        if self._view.snapshot is not None:
            self._pick("pid", "show one process", _process_choices(self._view, self._look))

    def action_pick_method(self) -> None:
        if self._view.snapshot is not None:
            self._pick("method", "show one method", _method_choices(self._view, self._look))

    def _pick(self, field: str, question: str, choices: Sequence[Choice]) -> None:
        def picked(term: Term | None) -> None:
            if term is not None:
                self._view.narrow(term)
                self.show()

        self.app.push_screen(Pick(self._look, field, question, choices), picked)

    # Panes

    def action_pause(self) -> None:
        self._view.toggle_pause()
        self.show()

    def action_help(self) -> None:
        self.app.push_screen(Help(self._look, [*self.BINDINGS, *Table.BINDINGS]))

    def _pane(self) -> Pane[Any, Any]:
        return self.focused if isinstance(self.focused, Pane) else self.query_one(Urls)

    def action_sort(self, step: int) -> None:
        """Sort by the next column that is on the screen."""
        pane = self._pane()
        keys = pane.shown_columns()
        if keys:
            at = keys.index(pane.sort.key) + step if pane.sort.key in keys else 0
            pane.sort.by(keys[at % len(keys)])
            pane.update_rows()

    def action_reverse(self) -> None:
        pane = self._pane()
        pane.sort.by(pane.sort.key)
        pane.update_rows()

    def on_table_sorted(self, event: Table.Sorted) -> None:
        if isinstance(event.table, Pane):
            event.table.sort.by(event.key)
            event.table.update_rows()

    def on_table_opened(self, event: Table.Opened) -> None:
        self._open(event.group)

    def action_details(self) -> None:
        self._open(self._pane().selected)

    def _open(self, group: object) -> None:
        page: Page | None = None
        if isinstance(group, ProcessRow):
            page = ProcessPage(self._look, self._view, group)
        elif isinstance(group, UrlGroup):
            page = UrlPage(self._look, self._view, url_key(group))
        elif isinstance(group, InFlightRow):
            page = UrlPage(self._look, self._view, (group.method, group.host, group.path))
        if page is not None:
            self.app.push_screen(Detail(self._look, page))

    def action_pane(self, number: int) -> None:
        """Move to a pane; one for which there is no room gets the screen."""
        names = ("#urls", "#processes", "#inflight", "#losses")
        pane = self.query_one(names[number - 1], Canvas)
        hidden = not pane.region or pane.region.height < 2
        if hidden or self.has_class("-max"):
            self._maximise(pane)
        pane.focus()

    def action_maximise(self) -> None:
        pane = self.focused if isinstance(self.focused, Pane | Losses) else self.query_one(Urls)
        if self.has_class("-max"):
            self.remove_class("-max")
            self.query(".-alone").remove_class("-alone")
        else:
            self._maximise(pane)

    def _maximise(self, pane: Canvas) -> None:
        self.query(".-alone").remove_class("-alone")
        self.add_class("-max")
        pane.add_class("-alone")
        self.query_one("#bottom").set_class(isinstance(pane, InFlight | Losses), "-alone")


def _terms_so_far(typed: str) -> tuple[Term, ...]:
    """What was typed without its last word, which may be half a word."""
    with contextlib.suppress(UsageError):
        return parse_filter(typed.rpartition(" ")[0]).terms
    return ()


def _too_small(size: Size) -> list[Line]:
    return [((f"{size.width}x{size.height} is too small", "strong"),),
            ((f"at least {SMALLEST[0]}x{SMALLEST[1]}", "text"),), (("q", "key"), (" quit", "dim"))]


def _process_choices(view: View, look: Look) -> list[Choice]:
    choices = {}
    for row in rollup.processes(view.snapshot) if view.snapshot else ():
        if row.process is not None and row.process.pid not in choices:
            line: Line = ((f"{row.process.pid:>7}  ", "text"),
                          (f"{render.clean(row.process.comm, 18, look.glyphs):<18} ", "strong"),
                          (f"{row.role:<7}{render.rate(row.rate_per_s):>6}/s", "dim"))
            choices[row.process.pid] = Choice(line, Term("pid", ":", str(row.process.pid)))
    return list(choices.values())


def _method_choices(view: View, look: Look) -> list[Choice]:
    counts = dict(view.snapshot.totals.by_method) if view.snapshot else {}
    return [Choice((*cells.method(name, 24, look.glyphs), (f"  {render.count(number)}", "dim")),
                   Term("method", ":", name))
            for name, number in sorted(counts.items(), key=lambda item: -item[1])]
