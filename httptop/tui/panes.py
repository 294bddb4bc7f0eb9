"""The panes: each takes its rows from the View and says in its title what it shows of them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import ClassVar

from httptop.render import Glyphs
from httptop.rollup import UrlGroup
from httptop.settings import Settings
from httptop.snapshot import InFlightRow, ProcessRow, Snapshot
from httptop.tui import cells, empty
from httptop.tui.canvas import Line, Look, Span
from httptop.tui.columns import Column, Group, Row, chosen
from httptop.tui.process_columns import process_columns
from httptop.tui.table import Table
from httptop.tui.trends import UrlKey, url_key
from httptop.tui.url_columns import ShownUrl, UrlColumn, url_columns
from httptop.tui.view import Sort, View, failing

MANY_URLS = 1000  # mostly for their ids
MANY_PROCESSES = 100  # mostly of one name

InFlightColumn = Column[InFlightRow, InFlightRow]


class Pane(Table[Group, Row]):
    """A table over the View with an order of its own."""

    FIRST_SORT: ClassVar[str]

    def __init__(self, look: Look, view: View, settings: Settings) -> None:
        super().__init__(look)
        self.view = view
        self._wanted = settings.columns_of(str(self.id))
        sort = settings.sort
        self.sort = Sort(sort if any(column.key == sort for column in self.all_columns()) else self.FIRST_SORT)

    def groups(self) -> Sequence[Group]:
        """The rows that the View has for this pane, in no order."""
        raise NotImplementedError

    def all_columns(self) -> Sequence[Column[Group, Row]]:
        """The columns that there may be."""
        raise NotImplementedError

    def update_rows(self) -> None:
        """Take what the View has now."""
        columns = self.all_columns()
        self.columns = chosen(columns, self._wanted)
        self.sort_key, self.reverse = self.sort.key, self.sort.reverse
        groups = self.sort.apply(self.groups(), columns)
        self.show(groups, note=self._note(columns, len(groups)), empty=self.nothing())

    def nothing(self) -> list[Line]:
        """What to say when there is no row."""
        return empty.urls(self.view, self.look.glyphs)

    def count_note(self, shown: int) -> str:
        """How many rows there are."""
        return str(shown)

    def _note(self, columns: Sequence[Column[Group, Row]], shown: int) -> Line:
        column = next((column for column in columns if column.key == self.sort.key), None)
        by: list[Span] = [("by ", "dim"), (f"{column.title.lower()} {self.arrow(column)}", "text"),
                          ("  ", "dim")] if column and shown else []
        return (*by, (self.count_note(shown), "dim"))


def _hint(text: str, *, needed: bool) -> Line:
    """What `g` would do."""
    return (("g", "key"), (f" {text}  ", "dim")) if needed else ()


class Urls(Pane[UrlGroup, ShownUrl]):
    """What is hot, slow, failing."""

    HEADING, NUMBER, FIRST_SORT = "URLs", 1, "rate"

    def all_columns(self) -> Sequence[UrlColumn]:
        return url_columns(self.look.glyphs)

    def groups(self) -> Sequence[UrlGroup]:
        return self.view.urls

    def key(self, group: UrlGroup) -> UrlKey:
        return url_key(group)

    def row(self, group: UrlGroup) -> ShownUrl:
        snapshot = self.view.snapshot or Snapshot()
        servers = dict.fromkeys(cell.server for cell in group.cells if cell.server is not None)
        return ShownUrl(group.row(snapshot.rate_window_s), self.view.trends.of(url_key(group)),
                        tuple(servers))

    def mark(self, group: UrlGroup) -> Span:
        """What fails now has a mark, wherever it stands."""
        return (self.look.glyphs.bad, "5xx") if failing(group.failed_now, group.recent) else (" ", "text")

    def _note(self, columns: Sequence[UrlColumn], shown: int) -> Line:
        many = len(self.view.all_urls) >= MANY_URLS and not self.view.group_paths
        return (*_hint("groups ids", needed=many), *super()._note(columns, shown))

    def count_note(self, shown: int) -> str:
        total = len(self.view.all_urls)
        return str(shown) if shown == total else f"{shown} of {total}"


class Processes(Pane[ProcessRow, ProcessRow]):
    """Who serves and who asks, by method."""

    HEADING, NUMBER, FIRST_SORT = "processes", 2, "rate"

    def groups(self) -> Sequence[ProcessRow]:
        return self.view.processes

    def all_columns(self) -> Sequence[Column[ProcessRow, ProcessRow]]:
        return process_columns(self.look.glyphs, self.view.methods)

    def key(self, group: ProcessRow) -> Hashable:
        return group.process, group.role

    def row(self, group: ProcessRow) -> ProcessRow:
        return group

    def nothing(self) -> list[Line]:
        return empty.processes(self.view)

    def _note(self, columns: Sequence[Column[ProcessRow, ProcessRow]], shown: int) -> Line:
        many = shown >= MANY_PROCESSES and not self.view.group_names
        return (*_hint("here groups names", needed=many), *super()._note(columns, shown))


class InFlight(Pane[InFlightRow, InFlightRow]):
    """Requests that wait for their answer now, oldest first."""

    HEADING, NUMBER, FIRST_SORT = "in flight", 3, "age"

    def all_columns(self) -> Sequence[InFlightColumn]:
        return in_flight_columns(self.look.glyphs)

    def groups(self) -> Sequence[InFlightRow]:
        return self.view.in_flight

    def key(self, group: InFlightRow) -> Hashable:
        return group.method, group.host, group.path, group.server, group.client

    def row(self, group: InFlightRow) -> InFlightRow:
        return group

    def nothing(self) -> list[Line]:
        if self.view.snapshot is None:
            return []
        waiting = self.view.snapshot.in_flight_total
        return [(("none passes the filter" if waiting else "every request has its answer", "dim"),)]

    def count_note(self, shown: int) -> str:
        total = self.view.snapshot.in_flight_total if self.view.snapshot else 0
        return str(shown) if shown >= total else f"{shown} of {total}"


def in_flight_columns(glyphs: Glyphs) -> list[InFlightColumn]:
    """All columns, in the order in which they stand."""

    def text(row: InFlightRow) -> tuple[str, str]:
        return row.host, row.path

    return [
        Column("age", "AGE", 6, 0, lambda row, _: cells.latency(row.age_ms, glyphs), lambda row: row.age_ms),
        Column("method", "METHOD", 7, 0, lambda row, w: cells.method(row.method, w, glyphs),
               lambda row: row.method, right=False, ascending=True),
        Column("url", "HOST/PATH", 16, 0, lambda row, w: cells.url(row.host, row.path, w, glyphs), text,
               right=False, ascending=True, most=200),
        Column("server", "WAITS FOR", 16, 1, lambda row, w: cells.process(row.server, w, glyphs),
               lambda row: row.server.pid if row.server else 0, right=False, ascending=True),
        Column("client", "ASKED BY", 16, 2, lambda row, w: cells.process(row.client, w, glyphs),
               lambda row: row.client.pid if row.client else 0, right=False, ascending=True),
    ]
