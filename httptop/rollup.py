"""What rows are made of: groups of Snapshot cells. Pure; faces filter and sort, the engine never does."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from httptop import stats
from httptop.filters import Filter
from httptop.snapshot import Cell, InFlightRow, Latency, Process, Snapshot, UrlRow, namesakes

EVERYTHING = Filter()


class Group:
    """Cells of one row. What is cheap is summed at once, what is dear only when asked for.

    Ten thousand rows are sorted by these sums each second; a screen then asks for the latency of fifty.
    """

    __slots__ = ("_cells", "errors", "failed_now", "recent", "requests", "responses")

    def __init__(self) -> None:
        self._cells: dict[int, Cell] = {}  # by id: thousands of clients can have asked for one URL
        self.requests = self.recent = self.responses = self.errors = self.failed_now = 0

    @property
    def cells(self) -> Collection[Cell]:
        """Those that were added."""
        return self._cells.values()

    def add(self, cell: Cell) -> None:
        """Count `cell` in; an error is a status of 400 or more, a failure one of 500 or more."""
        self._cells[id(cell)] = cell
        self._count(cell, 1)

    def remove(self, cell: Cell) -> None:
        """Take a cell away that was added: that very object, once."""
        del self._cells[id(cell)]
        self._count(cell, -1)

    def _count(self, cell: Cell, sign: int) -> None:
        self.requests += sign * cell.requests
        self.recent += sign * cell.recent
        self.responses += sign * cell.responses
        if cell.status is not None and cell.status >= 400:
            self.errors += sign * cell.responses
            if cell.status >= 500:
                self.failed_now += sign * cell.recent

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
        """Who served ("server") or asked ("client"), as far as known and told apart, sorted."""
        ends = (cell.server if role == "server" else cell.client for cell in self.cells)
        return tuple(sorted({end.pid for end in ends if end is not None and end.pid}))


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


def by_requests(groups: Sequence[UrlGroup], most: int | None = None) -> list[UrlGroup]:
    """Most requests first, then by name; `most` of them."""
    if most and most < len(groups):  # of thousands hardly any need be compared by their names
        least = sorted([group.requests for group in groups], reverse=True)[most - 1]
        groups = [group for group in groups if group.requests >= least]
    return sorted(groups, key=lambda group: (-group.requests, group.host, group.path, group.method))[:most]


def ends(server: Process | None, client: Process | None,
         roles: tuple[str, ...]) -> Iterable[tuple[Process | None, str]]:
    """A local exchange stands once under its server and once under its client.

    A request of a local client to another host has no server process here, and is no unknown.
    """
    if "server" in roles and (server is not None or client is None):
        yield server, "server"
    if "client" in roles and client is not None:
        yield client, "client"


def process_group(snapshot: Snapshot, process: Process | None, role: str, *, by_name: bool = False) -> Group:
    """The cells of one process in one role; `by_name`: of all those that `process` stands for."""
    group = Group()
    for cell in snapshot.cells:
        if cell.method and any(process == (end and namesakes(end) if by_name else end)
                               for end, _ in ends(cell.server, cell.client, (role,))):
            group.add(cell)
    return group


def in_flight(snapshot: Snapshot, keep: Filter = EVERYTHING) -> list[InFlightRow]:
    """Give the requests that wait for an answer, oldest first; their age counts as their latency so far."""
    return [row for row in snapshot.in_flight if keep.matches(_waiting(row))]


def _waiting(row: InFlightRow) -> Cell:
    return Cell(row.method, row.host, row.path, None, row.server, row.client, latency_max_ns=int(row.age_ms * 1e6))
