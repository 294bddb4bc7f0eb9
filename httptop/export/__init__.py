"""Snapshots as text: JSON and plain tables, of the same rows."""

from __future__ import annotations

from dataclasses import dataclass

from httptop import rollup, sorting
from httptop.filters import Filter
from httptop.snapshot import InFlightRow, ProcessRow, Snapshot, UrlRow


@dataclass(frozen=True, slots=True)
class View:
    """Which part of a Snapshot to print, and in which order. `rows` bounds each list; `ports` is only told."""

    keep: Filter = rollup.EVERYTHING
    ports: frozenset[int] = frozenset()
    sort: str = sorting.DEFAULT
    rows: int | None = None

    def urls(self, snapshot: Snapshot, most: int | None) -> tuple[list[UrlRow], int]:
        """The first `most` URL rows in order, and how many more there are. Those are not made if that can be told."""
        groups = rollup.by_requests(rollup.url_groups(snapshot, self.keep))
        wanted = groups[:most] if self.sort == sorting.DEFAULT else groups
        rows = [group.row(snapshot.rate_window_s) for group in wanted]
        shown = sorting.urls(rows, self.sort)[:most]
        return shown, len(groups) - len(shown)

    def processes(self, snapshot: Snapshot) -> list[ProcessRow]:
        """All process rows in order, not yet bounded."""
        return sorting.processes(rollup.processes(snapshot, self.keep), self.sort)

    def in_flight(self, snapshot: Snapshot) -> list[InFlightRow]:
        """Oldest first, not yet bounded."""
        return rollup.in_flight(snapshot, self.keep)


EVERYTHING = View()
