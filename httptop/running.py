"""Snapshot cells -> the rows that a face shows, kept from Snapshot to Snapshot. Pure.

The engine gives the same Cell object again while nothing in it changes, and all that a row shows is a sum: so of ten
thousand cells only those are counted again that changed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from httptop import stats
from httptop.filters import Filter
from httptop.rollup import EVERYTHING, UrlGroup, ends
from httptop.snapshot import Cell, Counts, Latency, Process, ProcessRow, Snapshot, namesakes

ProcessKey = tuple["Process | None", str]
Kind = tuple[str, "int | None", "Process | None", "Process | None"]
"""method, status, server, client: cells that count in the same sums, but for URLs."""

KEYS = 6  # the first fields of a Cell, which say what it counts


class Sum:
    """Counts of many cells, from which one can be taken away again."""

    __slots__ = ("cells", "latency", "latency_max_ns", "recent", "requests", "responses")

    def __init__(self) -> None:
        self.cells = self.requests = self.responses = self.recent = self.latency_max_ns = 0
        self.latency: dict[int, int] = {}

    def count(self, cell: Cell, sign: int) -> None:
        """Count all of `cell` in (1) or out (-1)."""
        self.cells += sign
        self.requests += sign * cell.requests
        self.responses += sign * cell.responses
        self.recent += sign * cell.recent
        self.add_latencies((index, sign * count) for index, count in cell.latency)
        self.latency_max_ns = max(self.latency_max_ns, cell.latency_max_ns)  # what was slow once stays the slowest

    def change(self, old: Cell, new: Cell) -> None:
        """The same cell a little later: few of its buckets have changed."""
        self.requests += new.requests - old.requests
        self.responses += new.responses - old.responses
        self.recent += new.recent - old.recent
        before, now = old.latency, new.latency
        pairs = [pair for pair in zip(before, now, strict=False) if pair[0] != pair[1]]
        self.add_latencies([(index, count - less) if index == same else (index, count)
                            for (same, less), (index, count) in pairs])
        # Where Snapshots are seen since a reset, others may have come in between, and the last ones be gone.
        self.add_latencies([(index, -less) for (index, less), (same, _) in pairs if index != same])
        if len(before) != len(now):
            self.add_latencies([(index, -less) for index, less in before[len(now):]])
            self.add_latencies(now[len(before):])
        self.latency_max_ns = max(self.latency_max_ns, new.latency_max_ns)

    def add_latencies(self, latencies: Iterable[tuple[int, int]]) -> None:
        """So many answers more in each bucket."""
        latency = self.latency
        for index, count in latencies:
            latency[index] = latency.get(index, 0) + count

    def add(self, other: Sum) -> None:
        """Count all of `other` here too."""
        self.cells += other.cells
        self.requests += other.requests
        self.responses += other.responses
        self.recent += other.recent
        self.latency_max_ns = max(self.latency_max_ns, other.latency_max_ns)
        self.add_latencies(other.latency.items())


class Tally(Sum):
    """And by method and status. `row`: as it was made of them last."""

    __slots__ = ("methods_", "now", "row", "statuses_")

    def __init__(self) -> None:
        super().__init__()
        self.methods_: dict[str, int] = {}
        self.statuses_: dict[int, int] = {}
        self.now: dict[str, int] = {}  # recent requests by class of their answer
        self.row: ProcessRow | None = None

    def add_those(self, method: str, status: int | None, counts: Sum) -> None:
        """Count what has one method and status."""
        self.row = None
        self.add(counts)
        self.methods_[method] = self.methods_.get(method, 0) + counts.requests
        if status is not None:
            self.statuses_[status] = self.statuses_.get(status, 0) + counts.responses
            name = f"{status // 100}xx"
            self.now[name] = self.now.get(name, 0) + counts.recent

    def absorb(self, other: Tally) -> None:
        """Count all of `other` here too."""
        self.add(other)
        for mine, theirs in ((self.methods_, other.methods_), (self.now, other.now)):
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count
        for status, count in other.statuses_.items():
            self.statuses_[status] = self.statuses_.get(status, 0) + count

    def classes_now(self) -> dict[str, int]:
        """Recent answered requests by status class ("2xx")."""
        return {name: count for name, count in self.now.items() if count}

    def methods(self) -> tuple[tuple[str, int], ...]:
        """Requests by method, sorted by it."""
        return tuple(sorted((name, count) for name, count in self.methods_.items() if count))

    def statuses(self) -> tuple[tuple[int, int], ...]:
        """Responses by status, sorted by it."""
        return tuple(sorted((status, count) for status, count in self.statuses_.items() if count))

    def latency_ms(self) -> Latency | None:
        """Quantiles over the answered exchanges."""
        return stats.latency_ms([pair for pair in self.latency.items() if pair[1]], self.latency_max_ns)


class Running:
    """What passes one filter: URL rows, process rows, and all of it."""

    def __init__(self, keep: Filter = EVERYTHING) -> None:
        self.total = Tally()
        self._keep = keep
        self._everything = not keep.active
        self._roles = keep.roles
        self._cells: Sequence[Cell] = ()
        self._urls: dict[tuple[str, str, str], UrlGroup] = {}
        self._processes: dict[ProcessKey, Tally] = {}

    def take(self, cells: Sequence[Cell]) -> None:
        """The cells of the next Snapshot, mostly in the order of the one before."""
        before, self._cells = self._cells, cells
        both = min(len(before), len(cells))
        gone, come = list(before[both:]), list(cells[both:])
        changes: defaultdict[Kind, Sum] = defaultdict(Sum)
        for old, new in zip(before, cells, strict=False):
            if old is new:
                continue
            if old[:KEYS] == new[:KEYS] and self._passes(old) and self._passes(new):
                self._change(changes, old, new)
            else:
                gone.append(old)
                come.append(new)
        # Where one was taken out of a full table all that follow have another place: they did not change.
        moved = {id(cell) for cell in gone} & {id(cell) for cell in come}
        for cells_, sign in ((gone, -1), (come, 1)):
            for cell in cells_:
                if id(cell) not in moved and self._passes(cell):
                    self._count(changes, cell, sign)
        for (method, status, server, client), counts in changes.items():
            self._add(method, status, ends(server, client, self._roles), counts)
        if gone:
            self._processes = {key: tally for key, tally in self._processes.items() if tally.cells}

    def _passes(self, cell: Cell) -> bool:
        return cell.method != "" and (self._everything or self._keep.matches(cell))

    def _change(self, changes: dict[Kind, Sum], old: Cell, new: Cell) -> None:
        group = self._urls[new.method, new.host, new.path]
        group.remove(old)
        group.add(new)
        changes[new.method, new.status, new.server, new.client].change(old, new)

    def _count(self, changes: dict[Kind, Sum], cell: Cell, sign: int) -> None:
        changes[cell.method, cell.status, cell.server, cell.client].count(cell, sign)
        key = (cell.method, cell.host, cell.path)
        group = self._urls.get(key)
        if group is None:
            group = self._urls[key] = UrlGroup(*key)
        if sign > 0:
            group.add(cell)
            return
        group.remove(cell)
        if not group.cells:
            del self._urls[key]

    def _add(self, method: str, status: int | None, at: Iterable[ProcessKey], counts: Sum) -> None:
        """What has changed, to all sums that it is a part of."""
        self.total.add_those(method, status, counts)
        for key in at:
            if self._everything or self._keep.shows(key[0]):
                tally = self._processes.get(key)
                if tally is None:
                    tally = self._processes[key] = Tally()
                tally.add_those(method, status, counts)

    def urls(self) -> list[UrlGroup]:
        """One group per (method, host, path), in no order; responses without a request are left out."""
        return list(self._urls.values())

    def methods(self) -> tuple[str, ...]:
        """Those that were seen, most frequent first."""
        return tuple(name for name, _ in sorted(self.total.methods(), key=lambda item: (-item[1], item[0])))

    def processes(self, snapshot: Snapshot, *, by_name: bool = False) -> list[ProcessRow]:
        """One row per (process, role), most requests first; process None: served by no process that is known here.

        `snapshot`: the one whose cells were taken last. `by_name`: of those of one name in one container.
        """
        tallies = dict(self._processes)
        if self._everything:
            for accept in snapshot.accepts:  # a process that accepted but was asked nothing is worth a row
                tallies.setdefault((accept.process, "server"), Tally())
        places = _places(tallies) if by_name else {}
        accepts: dict[ProcessKey, tuple[int, float]] = {}
        for process, count, per_s in snapshot.accepts:
            key = places.get((process, "server"), (process, "server"))
            before = accepts.get(key, (0, 0.0))
            accepts[key] = before[0] + count, before[1] + per_s
        how: dict[ProcessKey, dict[str, int]] = {}
        for share in snapshot.attribution:
            key = places.get((share.process, share.role), (share.process, share.role))
            known = how.setdefault(key, {})
            known[share.how] = known.get(share.how, 0) + share.exchanges
        members = Counter(name for key, name in places.items() if key != name)
        rows = [_row(key, tally, snapshot.rate_window_s, accepts.get(key), tuple(sorted(how.get(key, {}).items())))
                for key, tally in _joined(tallies, places).items()]
        rows = [row._replace(members=members[key], beyond=key in places)
                if (key := (row.process, row.role)) in members else row for row in rows]
        return sorted(rows, key=lambda row: (-row.requests, row.role, row.process.pid if row.process else 0))


def _places(keys: Iterable[ProcessKey]) -> dict[ProcessKey, ProcessKey]:
    """Where those count that are not the only one of their name."""
    named = [(key, (namesakes(key[0]), key[1])) for key in keys if key[0] is not None]
    members = Counter(name for _, name in named)
    return {key: name for key, name in named if members[name] > 1}


def _joined(tallies: Mapping[ProcessKey, Tally], places: Mapping[ProcessKey, ProcessKey]) -> dict[ProcessKey, Tally]:
    joined = {key: tally for key, tally in tallies.items() if key not in places}
    for key, name in places.items():
        joined.setdefault(name, Tally()).absorb(tallies[key])
    return joined


def _row(key: ProcessKey, tally: Tally, window_s: float, accepted: tuple[int, float] | None,
         attribution: Counts) -> ProcessRow:
    row = tally.row
    if row is None or accepted or row.attribution != attribution:
        row = ProcessRow(*key, tally.requests, tally.recent / window_s, tally.methods(), tally.statuses(),
                         *(accepted or (0, 0.0)), tally.latency_ms(), attribution)
    elif tally.recent:
        row = row._replace(rate_per_s=tally.recent / window_s)
    tally.row = None if accepted else row  # of thousands that came and went most stay as they are
    return row
