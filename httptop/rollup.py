"""Snapshot cells -> the rows that a face shows. Pure; faces filter and sort, the engine never does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from httptop import stats
from httptop.filters import Filter
from httptop.snapshot import Cell, InFlightRow, Latency, Process, ProcessRow, Snapshot, UrlRow

EVERYTHING = Filter()


class Group:
    """Cells of one row. What is cheap is summed at once, what is dear only when asked for.

    Ten thousand rows are sorted by these sums each second; a screen then asks for the latency of fifty.
    """

    __slots__ = ("cells", "errors", "failed_now", "recent", "requests", "responses")

    def __init__(self) -> None:
        self.cells: list[Cell] = []
        self.requests = self.recent = self.responses = self.errors = self.failed_now = 0

    def add(self, cell: Cell) -> None:
        """Count `cell` in; an error is a status of 400 or more, a failure one of 500 or more."""
        self.cells.append(cell)
        self.requests += cell.requests
        self.recent += cell.recent
        self.responses += cell.responses
        if cell.status is not None and cell.status >= 400:
            self.errors += cell.responses
            if cell.status >= 500:
                self.failed_now += cell.recent

    def remove(self, cell: Cell) -> None:
        """Take a cell away that was added: that very object, once."""
        del self.cells[next(place for place, other in enumerate(self.cells) if other is cell)]
        self.requests -= cell.requests
        self.recent -= cell.recent
        self.responses -= cell.responses
        if cell.status is not None and cell.status >= 400:
            self.errors -= cell.responses
            if cell.status >= 500:
                self.failed_now -= cell.recent

    def statuses(self) -> tuple[tuple[int, int], ...]:
        """Responses by status, sorted by it."""
        found: dict[int, int] = {}
        for cell in self.cells:
            if cell.status is not None and cell.responses:
                found[cell.status] = found.get(cell.status, 0) + cell.responses
        return tuple(sorted(found.items()))

    def classes_now(self) -> dict[str, int]:
        """Recent answered requests by status class ("2xx")."""
        found: dict[str, int] = {}
        for cell in self.cells:
            if cell.status is not None and cell.recent:
                name = f"{cell.status // 100}xx"
                found[name] = found.get(name, 0) + cell.recent
        return found

    def methods(self) -> tuple[tuple[str, int], ...]:
        """Requests by method, sorted by it."""
        found: dict[str, int] = {}
        for cell in self.cells:
            if cell.requests:
                found[cell.method] = found.get(cell.method, 0) + cell.requests
        return tuple(sorted(found.items()))

    def histogram(self) -> tuple[tuple[int, int], ...]:
        """Answered exchanges by bucket of latency, sorted by it."""
        return stats.merged([cell.latency for cell in self.cells])

    def latency_ms(self) -> Latency | None:
        """Quantiles over the answered exchanges."""
        return stats.latency_ms(self.histogram(), max(cell.latency_max_ns for cell in self.cells) if self.cells else 0)

    def pids(self, role: str) -> tuple[int, ...]:
        """Who served ("server") or asked ("client"), as far as known, sorted."""
        ends = (cell.server if role == "server" else cell.client for cell in self.cells)
        return tuple(sorted({end.pid for end in ends if end is not None}))


class UrlGroup(Group):
    """The cells of one (method, host, path)."""

    __slots__ = ("host", "method", "path")

    def __init__(self, method: str, host: str, path: str) -> None:
        super().__init__()
        self.method, self.host, self.path = method, host, path

    def row(self, window_s: float) -> UrlRow:
        """All that there is to say about this URL."""
        return UrlRow(
            self.method, self.host, self.path, self.requests, self.recent / window_s, self.responses, self.statuses(),
            self.latency_ms(), sum(cell.response_bytes for cell in self.cells), self.pids("server"),
            self.pids("client"))


def url_groups(snapshot: Snapshot, keep: Filter = EVERYTHING) -> list[UrlGroup]:
    """One group per (method, host, path), in no order; responses without a request are left out."""
    groups: dict[tuple[str, str, str], UrlGroup] = {}
    everything = not keep.active
    for cell in snapshot.cells:
        if cell.method and (everything or keep.matches(cell)):
            key = (cell.method, cell.host, cell.path)
            group = groups.get(key)
            if group is None:
                group = groups[key] = UrlGroup(*key)
            group.add(cell)
    return list(groups.values())


def total(snapshot: Snapshot, keep: Filter = EVERYTHING) -> Group:
    """All that the filter keeps, as one group."""
    group, everything = Group(), not keep.active
    for cell in snapshot.cells:
        if cell.method and (everything or keep.matches(cell)):
            group.add(cell)
    return group


def by_requests(groups: Iterable[UrlGroup]) -> list[UrlGroup]:
    """Most requests first, then by name."""
    return sorted(groups, key=lambda group: (-group.requests, group.host, group.path, group.method))


def ends(cell: Cell, roles: tuple[str, ...]) -> Iterable[tuple[Process | None, str]]:
    """A local exchange stands once under its server and once under its client.

    A request of a local client to another host has no server process here, and is no unknown.
    """
    if "server" in roles and (cell.server is not None or cell.client is None):
        yield cell.server, "server"
    if "client" in roles and cell.client is not None:
        yield cell.client, "client"


def process_groups(snapshot: Snapshot, keep: Filter = EVERYTHING) -> dict[tuple[Process | None, str], Group]:
    """(process, role) -> its cells; process None: served by no process that is known here."""
    groups: defaultdict[tuple[Process | None, str], Group] = defaultdict(Group)
    roles, everything = keep.roles, not keep.active
    for cell in snapshot.cells:
        if cell.method and (everything or keep.matches(cell)):
            for process, role in ends(cell, roles):
                if everything or keep.shows(process):
                    groups[process, role].add(cell)
    if not keep.active:
        for row in snapshot.accepts:
            groups[row.process, "server"]  # a process that accepted but was asked nothing is worth a row
    return dict(groups)


def process_group(snapshot: Snapshot, process: Process | None, role: str) -> Group:
    """The cells of one process in one role."""
    group, wanted = Group(), (process, role)
    for cell in snapshot.cells:
        if cell.method and wanted in ends(cell, (role,)):
            group.add(cell)
    return group


def processes(snapshot: Snapshot, keep: Filter = EVERYTHING) -> list[ProcessRow]:
    """One row per (process, role), most requests first; process None: served by no process that is known here."""
    accepts = {row.process: row for row in snapshot.accepts}
    how: defaultdict[tuple[Process | None, str], list[tuple[str, int]]] = defaultdict(list)
    for row in snapshot.attribution:
        how[row.process, row.role].append((row.how, row.exchanges))
    rows = []
    for (process, role), group in process_groups(snapshot, keep).items():
        accepted = accepts.get(process) if process is not None and role == "server" else None
        rows.append(ProcessRow(
            process, role, group.requests, group.recent / snapshot.rate_window_s, group.methods(), group.statuses(),
            accepted.accepts if accepted else 0, accepted.accepts_per_s if accepted else 0.0,
            group.latency_ms(), tuple(sorted(how[process, role]))))
    return sorted(rows, key=lambda row: (-row.requests, row.role, row.process.pid if row.process else 0))


def in_flight(snapshot: Snapshot, keep: Filter = EVERYTHING) -> list[InFlightRow]:
    """Give the requests that wait for an answer, oldest first; their age counts as their latency so far."""
    return [row for row in snapshot.in_flight if keep.matches(_waiting(row))]


def _waiting(row: InFlightRow) -> Cell:
    return Cell(row.method, row.host, row.path, None, row.server, row.client, latency_max_ns=int(row.age_ms * 1e6))
