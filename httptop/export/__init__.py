"""Snapshots as text: JSON and plain tables, of the same rows."""

from __future__ import annotations

from httptop import rollup, sorting
from httptop.filters import Filter
from httptop.running import Running
from httptop.snapshot import Cell, InFlightRow, ProcessRow, Snapshot, UrlRow


class View:
    """Which part of the Snapshots of one capture to print, and in which order.

    `rows` bounds each list; `ports` is only told.
    """

    def __init__(self, keep: Filter = rollup.EVERYTHING, ports: frozenset[int] = frozenset(),
                 sort: str = sorting.DEFAULT, rows: int | None = None) -> None:
        self.keep, self.ports, self.sort, self.rows = keep, ports, sort, rows
        self._running = Running(keep)
        self._taken: tuple[Cell, ...] = ()

    def _rows(self, snapshot: Snapshot) -> Running:
        if snapshot.cells is not self._taken:
            self._running.take(snapshot.cells)
            self._taken = snapshot.cells
        return self._running

    def urls(self, snapshot: Snapshot, most: int | None) -> tuple[list[UrlRow], int]:
        """The first `most` URL rows in order, and how many more there are. Those are not made if that can be told."""
        groups = self._rows(snapshot).urls()
        wanted = rollup.by_requests(groups, most if self.sort == sorting.DEFAULT else None)
        shown = sorting.urls([group.row(snapshot.rate_window_s) for group in wanted], self.sort)[:most]
        return shown, len(groups) - len(shown)

    def processes(self, snapshot: Snapshot, *, by_name: bool = False) -> list[ProcessRow]:
        """All process rows in order, not yet bounded; `by_name`: one of all that have one name."""
        return sorting.processes(self._rows(snapshot).processes(snapshot, by_name=by_name), self.sort)

    def in_flight(self, snapshot: Snapshot) -> list[InFlightRow]:
        """Oldest first, not yet bounded."""
        return rollup.in_flight(snapshot, self.keep)
