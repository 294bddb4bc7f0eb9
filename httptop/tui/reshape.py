"""Snapshots seen otherwise: since a reset, with paths that are grouped or without queries.

Of twenty thousand cells few change from one Snapshot to the next: what was made of the others is kept, and is the same
object again, as running.Running wants it.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from httptop import stats
from httptop.cells import Key, other
from httptop.snapshot import OTHERS, Cell, Counts, LossRow, Process, Snapshot, Totals, namesakes

Share = tuple["Process | None", tuple[str, ...]]
"""A process, and what else a count is by."""


def without_query(path: str) -> str:
    """/search?q=x -> /search."""
    return path.partition("?")[0]


class Made:
    """Cells, each made of one that may be there in the next Snapshot again."""

    def __init__(self, make: Callable[[Cell], Cell]) -> None:
        self._make = make
        self._made: dict[int, tuple[Cell, Cell]] = {}  # by id of the first, which lives as long as it is here

    def of(self, cells: Sequence[Cell]) -> Iterator[Cell]:
        """One for each, in their order."""
        before, make = self._made, self._make
        self._made = {id(cell): before.get(id(cell)) or (cell, make(cell)) for cell in cells}
        return (made for _, made in self._made.values())


class Paths:
    """Snapshots with every path through `of`; what becomes the same URL is one row."""

    def __init__(self, of: Callable[[str], str]) -> None:
        self._of = of
        self._cells = Made(lambda cell: cell._replace(path=of(cell.path)))

    def __call__(self, snapshot: Snapshot) -> Snapshot:
        """The next one."""
        return snapshot._replace(
            cells=tuple(self._cells.of(snapshot.cells)),
            in_flight=tuple(row._replace(path=self._of(row.path)) for row in snapshot.in_flight),
            exchanges=tuple(row._replace(path=self._of(row.path)) for row in snapshot.exchanges))


class Since:
    """Snapshots of what was counted after `before`."""

    def __init__(self, before: Snapshot) -> None:
        self._before = before
        self._seen = (-1, 0)  # how often the table had been folded, and how many cells there were
        self._cells = Made(lambda cell: cell)

    def __call__(self, snapshot: Snapshot) -> Snapshot:
        """The next one."""
        folds, count = self._seen
        now = max((cell.born for cell in snapshot.cells), default=0), len(snapshot.cells)
        if snapshot.end_ns >= self._before.end_ns:  # else the screen is paused, and has not all of before
            self._seen = now
        if folds != now[0] or count > now[1]:  # else all of before is where it was
            known = _as_folded(self._before.cells, snapshot.cells)
            self._cells = Made(lambda cell: _less(cell, known.get(_key(cell))))
        return _since(snapshot, self._before, self._cells.of(snapshot.cells))


def _since(snapshot: Snapshot, before: Snapshot, cells: Iterable[Cell]) -> Snapshot:
    """`cells`: those of `snapshot`, as they count. Rates, history and what is in flight are of now anyway."""
    totals = _totals(snapshot.totals, before.totals)
    delivered = _delivered(snapshot) - _delivered(before)
    lost = {row.reason: row.events for row in before.losses}
    accepted = _counts_as_folded({(row.process, ()): row.accepts for row in before.accepts},
                                 {(row.process, ()): row.accepts for row in snapshot.accepts})
    how = _counts_as_folded({(row.process, (row.role, row.how)): row.exchanges for row in before.attribution},
                            {(row.process, (row.role, row.how)): row.exchanges for row in snapshot.attribution})
    return snapshot._replace(
        start_ns=before.end_ns, totals=totals,
        completeness=min(delivered / totals.requests, 1.0) if totals.requests else 1.0,
        cells=tuple(cell for cell in cells if cell.requests or cell.responses or cell.recent),
        accepts=tuple(row._replace(accepts=row.accepts - accepted.get((row.process, ()), 0))
                      for row in snapshot.accepts),
        attribution=tuple(row._replace(exchanges=row.exchanges - how.get((row.process, (row.role, row.how)), 0))
                          for row in snapshot.attribution),
        exchanges=tuple(row for row in snapshot.exchanges if row.ts_ns > before.end_ns),
        losses=tuple(LossRow(row.reason, row.events - lost.get(row.reason, 0), row.remedy) for row in snapshot.losses),
        skipped=_counts(snapshot.skipped, before.skipped, zeros=True))


def _key(cell: Cell) -> Key:
    return cell[:6]  # method to client: there are many cells


def _as_folded(before: Sequence[Cell], now: Sequence[Cell]) -> dict[Key, Cell]:
    """The cells of `before` by where they count now: what was folded meanwhile is a part of an `other`."""
    there = {_key(cell): cell for cell in now}
    found: dict[Key, Cell] = {}
    gone = []
    for cell in before:
        key = _key(cell)
        same = there.get(key)
        if same is not None and same.born == cell.born:
            found[key] = cell
        else:
            gone.append(cell)
    parts: defaultdict[Key, list[Cell]] = defaultdict(list)
    room: dict[Key, dict[int, int]] = {}
    for cell in gone:
        counts = _counted(cell)
        for key in _others(_key(cell)):
            if key in there:
                if key not in room:
                    parts[key] = [found[key]] if key in found else []
                    room[key] = dict(_counted(there[key]))
                    _take(room[key], _counted(found[key]) if key in found else ())
                if all(room[key].get(what, 0) >= count for what, count in counts):
                    _take(room[key], counts)
                    parts[key].append(cell)
                    break
    return found | {key: _joined(cells) for key, cells in parts.items() if cells}


def _counted(cell: Cell) -> tuple[tuple[int, int], ...]:
    """All counts that only grow: messages, and answers by bucket of latency."""
    return (-1, cell.requests), (-2, cell.responses), *cell.latency


def _take(room: dict[int, int], counts: Sequence[tuple[int, int]]) -> None:
    for what, count in counts:
        room[what] = room.get(what, 0) - count


def _others(key: Key) -> Iterator[Key]:
    """Where it may count when it was folded."""
    servers, clients = map(_parts_of, key[4:])
    for server, client in itertools.product(servers, clients):
        same_url = (*key[:4], server, client)
        yield from (into for into in (other(same_url), same_url) if into != key)


def _parts_of(process: Process | None) -> Sequence[Process | None]:
    """What may stand for it when it was folded, and itself."""
    return (None,) if process is None else tuple(dict.fromkeys((process, namesakes(process), OTHERS)))


def _joined(cells: Sequence[Cell]) -> Cell:
    return cells[0]._replace(
        requests=sum(cell.requests for cell in cells), responses=sum(cell.responses for cell in cells),
        latency=stats.merged([cell.latency for cell in cells]),
        response_bytes=sum(cell.response_bytes for cell in cells))


def _counts_as_folded(before: Mapping[Share, int], now: Mapping[Share, int]) -> dict[Share, int]:
    """Counts by process and what else, each where it counts now."""
    found: Counter[Share] = Counter()
    for (process, what), count in before.items():
        for place in ((part, what) for part in _parts_of(process)):
            if now.get(place, 0) - found[place] >= count:
                found[place] += count
                break
    return found


def _less(cell: Cell, before: Cell | None) -> Cell:
    if before is None:
        return cell
    counts = dict(before.latency)
    latency = tuple((index, count - counts.get(index, 0)) for index, count in cell.latency
                    if count > counts.get(index, 0))
    # The exact maximum may be of before: the slowest bucket that is left is right within its step.
    slowest = min(cell.latency_max_ns, stats.bucket_ns(latency[-1][0] + 1)) if latency else 0
    return cell._replace(
        requests=max(cell.requests - before.requests, 0), responses=max(cell.responses - before.responses, 0),
        latency=latency, latency_max_ns=slowest, response_bytes=max(cell.response_bytes - before.response_bytes, 0))


def _totals(now: Totals, before: Totals) -> Totals:
    return Totals(now.requests - before.requests, now.responses - before.responses,
                  _counts(now.by_method, before.by_method), _counts(now.by_status, before.by_status))


def _counts(now: Counts, before: Counts, *, zeros: bool = False) -> Counts:
    known = dict(before)
    left = ((name, count - known.get(name, 0)) for name, count in now)
    return tuple((name, count) for name, count in left if count or zeros)


def _delivered(snapshot: Snapshot) -> int:
    return round(snapshot.completeness * snapshot.totals.requests)
