"""The main screen: the panes, and what each key does to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.geometry import Size

from httptop.filters import Filter
from httptop.rollup import UrlGroup
from httptop.settings import Settings
from httptop.snapshot import Exchange, InFlightRow, ProcessRow
from httptop.tui.asking import Asking
from httptop.tui.canvas import Canvas, Line, Look
from httptop.tui.chips import Chips
from httptop.tui.header import Header
from httptop.tui.keys import Keys
from httptop.tui.log import Log
from httptop.tui.losses import Losses
from httptop.tui.panes import InFlight, Pane, Processes, Urls
from httptop.tui.prompt import Prompt
from httptop.tui.table import Table
from httptop.tui.text import Text
from httptop.tui.trends import url_key
from httptop.tui.view import View

SMALLEST = (50, 10)
PANE_IDS = ("urls", "processes", "inflight", "losses", "log")  # in the order of their digits
PANES, SORT = Binding.Group("bring up a pane"), Binding.Group("sort by another column")


class Main(Asking):
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
        Binding("greater_than_sign", "sort(1)", "sort", tooltip="sort by the next column", group=SORT),
        Binding("less_than_sign", "sort(-1)", "sort back", show=False, tooltip="sort by the column before",
                group=SORT),
        Binding("r", "reverse", "reverse", tooltip="reverse the order"),
        Binding("enter", "details", "details", show=False, tooltip="details of the row"),
        Binding("plus", "maximise", "maximise", tooltip="maximise the pane, back"),
        Binding("1", "pane(1)", "URLs", show=False, group=PANES),
        Binding("2", "pane(2)", "processes", show=False, group=PANES),
        Binding("3", "pane(3)", "in flight", show=False, group=PANES),
        Binding("4", "pane(4)", "losses and skips", show=False, group=PANES),
        Binding("5", "pane(5)", "log", show=False, group=PANES),
        Binding("tab", "app.focus_next", "next pane", show=False),
        Binding("g", "group", "group", show=False, tooltip="/users/7 as /users/:id; processes by name"),
        Binding("k", "query", "query", show=False, tooltip="hide or show queries"),
        Binding("e", "export", "export", show=False, tooltip="save what is shown: JSON, CSV"),
        Binding("c", "copy", "copy", show=False, tooltip="copy the row as curl"),
        Binding("d", "delay", "delay", show=False, tooltip="seconds between refreshes"),
        Binding("R", "reset", "reset", show=False, tooltip="count from zero again"),
        Binding("t", "app.next_theme", "theme", show=False, tooltip="dark or light"),
        Binding("ctrl+p", "app.command_palette", "palette", show=False, tooltip="search all commands"),
    ]

    def __init__(self, look: Look, view: View, settings: Settings,
                 when_typed: Callable[[Callable[[], None]], None]) -> None:
        """`when_typed` calls what it is given when nothing more is typed ahead."""
        super().__init__(look, view)
        self._settings = settings
        self._when_typed = when_typed
        self._before: Filter | None = None  # the filter while another one is being typed
        self._stale = False  # what is shown is not yet by that one

    def compose(self) -> ComposeResult:
        look, view, settings = self._look, self._view, self._settings
        yield Text(look, _too_small, id="small")
        yield Header(look, view)
        yield Chips(look, view)
        yield Urls(look, view, settings)
        yield Processes(look, view, settings)
        with Container(id="bottom"):
            yield InFlight(look, view, settings)
            yield Losses(look, view)
        yield Log(look, view, settings)
        yield Prompt(look)
        yield Keys(look, self.BINDINGS)

    def on_mount(self) -> None:
        if wanted := self._settings.panes:
            self.add_class(*(f"-no-{name}" for name in PANE_IDS if name not in wanted))
            self.set_class("log" in wanted, "-with-log")
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
            self._filter(self._before)
            self._close_prompt()
        elif self._view.keep.active:
            self._view.widen()
        elif self.has_class("-max"):
            self.action_maximise()
        self.show()

    def action_ask(self) -> None:
        self._before = self._view.keep
        self.query_one(Prompt).ask()

    def on_prompt_typed(self, event: Prompt.Typed) -> None:
        if self._before is not None:
            self._filter(self._before.also(*event.terms))
            self._when_typed(self._catch_up)  # of twenty thousand rows each letter takes a moment

    def _filter(self, keep: Filter) -> None:
        self._view.keep, self._stale = keep, True

    def _catch_up(self) -> None:
        if self._stale:
            self._stale = False
            self._view.roll_up()
            self.show()

    def on_prompt_accepted(self) -> None:
        self._close_prompt()

    def _close_prompt(self) -> None:
        self._before = None
        self._catch_up()
        self.query_one(Prompt).close()
        self.query_one(Urls).focus()

    # Panes

    def action_pause(self) -> None:
        self._view.toggle_pause()
        self.show()

    def action_group(self) -> None:
        """Rows that differ in their ids become one."""
        if isinstance(self._pane(), Processes):
            self._view.toggle_names()
        else:
            self._view.reshape(group_paths=not self._view.group_paths)
        self.show()

    def action_query(self) -> None:
        self._view.reshape(hide_query=not self._view.hide_query)
        self.show()

    def _pane(self) -> Pane[Any, Any]:
        """The table that the keys are about."""
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
        from httptop.tui.details import Detail, Page, ProcessPage, UrlPage  # noqa: PLC0415 (see preloading.py)

        page: Page | None = None
        if isinstance(group, ProcessRow):
            page = ProcessPage(self._look, self._view, group)
        elif isinstance(group, UrlGroup):
            page = UrlPage(self._look, self._view, url_key(group))
        elif isinstance(group, InFlightRow | Exchange):
            page = UrlPage(self._look, self._view, (group.method or "", group.host, group.path))
        if page is not None:
            self.app.push_screen(Detail(self._look, page))

    def action_pane(self, number: int) -> None:
        """Move to a pane; one for which there is no room, or to which one moves once more, gets the screen."""
        pane = self.query_one(f"#{PANE_IDS[number - 1]}", Canvas)
        if pane.has_focus:
            self.action_maximise()
        else:
            self._bring_up(pane)

    def _bring_up(self, pane: Canvas) -> None:
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


def _too_small(size: Size) -> list[Line]:
    return [((f"{size.width}x{size.height} is too small", "strong"),),
            ((f"at least {SMALLEST[0]}x{SMALLEST[1]}", "text"),), (("q", "key"), (" quit", "dim"))]
