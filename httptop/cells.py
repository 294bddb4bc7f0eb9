"""The table of finest counts: bounded, with an `other` row for what did not get one of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from httptop import stats
from httptop.snapshot import Cell, Process

CELLS_MAX = 20_000  # about 30 MB when full
FOLD_SHARE = 4  # one in so many is folded into `other` when the table is full
OTHER_PATH = "(other)"

Key = tuple[str, str, str, "int | None", "Process | None", "Process | None"]
"""method, host, path, status, server, client"""


def other(key: Key) -> Key:
    """The key under which `key` counts when it has no row of its own."""
    return (key[0], "", OTHER_PATH, *key[3:])


class Marks:
    """When Snapshots were taken, to say what happened within the rate window without a clock for each event."""

    __slots__ = ("_times",)

    def __init__(self, start_ns: int) -> None:
        self._times: list[tuple[int, int]] = [(0, start_ns)]

    def take(self, now_ns: int) -> tuple[int, int, float]:
        """Give (this mark, the mark where the window begins, the window's seconds)."""
        mark = self._times[-1][0] + 1
        since = now_ns - stats.WINDOW_S * 1_000_000_000
        while len(self._times) > 1 and self._times[1][1] <= since:
            self._times.pop(0)
        self._times.append((mark, now_ns))
        base, base_ns = self._times[0]
        return mark, base, max((now_ns - base_ns) / 1e9, 1e-3)


class Recent:
    """A count that only grows, and how much it grew since an earlier mark."""

    __slots__ = ("_seen", "total")

    def __init__(self) -> None:
        self.total = 0
        self._seen: list[tuple[int, int]] = []  # (mark, total), oldest first; unchanged totals are left out

    def since(self, mark: int, base: int) -> int:
        """Growth between mark `base` and now, which is `mark`; asked once for each mark."""
        seen = self._seen
        while len(seen) > 1 and seen[1][0] <= base:
            seen.pop(0)
        before = seen[0][1] if seen and seen[0][0] <= base else 0
        if not seen or seen[-1][1] != self.total:
            seen.append((mark, self.total))
        return self.total - before

    def absorb(self, other: Recent) -> None:
        """Add what `other` counted, with its past: a rate must not jump when rows are joined."""
        marks = sorted({mark for mark, _ in self._seen} | {mark for mark, _ in other._seen})
        self._seen = [(mark, self._at(mark) + other._at(mark)) for mark in marks]
        self.total += other.total

    def _at(self, mark: int) -> int:
        return max((total for m, total in self._seen if m <= mark), default=0)


class MutableCell:
    """A Cell that is being counted. `dirty`: it may not be any more what `frozen` says."""

    __slots__ = ("bytes", "dirty", "frozen", "into", "key", "latency", "latency_max", "recent", "responses")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.responses = self.bytes = self.latency_max = 0
        self.latency: dict[int, int] = {}
        self.recent = Recent()  # requests
        self.dirty = True
        self.into: MutableCell | None = None  # where it was folded
        self.frozen = Cell(*key)

    def answered(self, latency_ns: int) -> None:
        """Count a request with its final response, `latency_ns` after it."""
        self.recent.total += 1
        self.responses += 1
        bucket = stats.bucket(latency_ns)
        self.latency[bucket] = self.latency.get(bucket, 0) + 1
        self.latency_max = max(self.latency_max, latency_ns)
        self.dirty = True

    def add(self, latency: Sequence[tuple[int, int]], count: int, response_bytes: int) -> None:
        """Count `count` requests with their responses at once; `latency`: (bucket, how many of them)."""
        self.recent.total += count
        self.responses += count
        self.bytes += response_bytes
        for bucket, n in latency:
            self.latency[bucket] = self.latency.get(bucket, 0) + n
        self.dirty = True

    def absorb(self, cell: MutableCell) -> None:
        """Add all of `cell`, which counts here from now on."""
        cell.into = self
        self.responses += cell.responses
        self.bytes += cell.bytes
        self.latency_max = max(self.latency_max, cell.latency_max)
        for bucket, count in cell.latency.items():
            self.latency[bucket] = self.latency.get(bucket, 0) + count
        self.recent.absorb(cell.recent)
        self.dirty = True

    def freeze(self, mark: int, base: int, waiting: int) -> Cell:
        """As a Cell, with `waiting` requests more that are in flight; the same object again while nothing changes."""
        recent = self.recent.since(mark, base) + waiting
        requests = self.recent.total + waiting
        before, now = self.frozen, (requests, self.responses, recent, self.bytes)
        if (before.requests, before.responses, before.recent, before.response_bytes) != now:
            self.frozen = Cell(*self.key, requests, self.responses, recent, tuple(self.latency.items()),
                               self.latency_max, self.bytes)
        self.dirty = recent > 0  # which it will not be for ever
        return self.frozen


class Cells:
    """All of them."""

    def __init__(self, most: int = CELLS_MAX) -> None:
        self._cells: dict[Key, MutableCell] = {}
        self._most = most
        self._refused = 0

    @property
    def folded(self) -> int:
        """Requests that have no row of their own."""
        return sum(cell.recent.total for key, cell in self._cells.items() if key[2] == OTHER_PATH)

    def get(self, key: Key) -> MutableCell:
        """The cell of `key`, or of its `other` when the table is full."""
        cell = self._cells.get(key)
        return cell if cell is not None else self._add(key)

    def _add(self, key: Key) -> MutableCell:
        if len(self._cells) >= self._most:
            # Folding costs a sort of the whole table: not for each of a flood of new keys.
            self._refused += 1
            if self._refused < self._most:
                return self._other(key)
            self._fold()
        cell = self._cells[key] = MutableCell(key)
        return cell

    def _other(self, key: Key) -> MutableCell:
        key = other(key)
        cell = self._cells.get(key)
        if cell is None:
            cell = self._cells[key] = MutableCell(key)
        return cell

    def _fold(self) -> None:
        """Make room: the cells with the fewest requests go into `other`."""
        self._refused = 0
        ranked = sorted((cell for cell in self._cells.values() if cell.key[2] != OTHER_PATH),
                        key=lambda cell: cell.recent.total)
        for cell in ranked[: len(ranked) // FOLD_SHARE]:
            del self._cells[cell.key]
            self._other(cell.key).absorb(cell)

    def freeze(self, mark: int, base: int, waiting: Mapping[MutableCell, int]) -> tuple[Cell, ...]:
        """All cells that hold anything; `waiting`: requests in flight."""
        for cell in waiting:
            cell.dirty = True
        frozen = [cell.freeze(mark, base, waiting.get(cell, 0)) if cell.dirty else cell.frozen
                  for cell in self._cells.values()]
        return tuple([cell for cell in frozen if cell.requests or cell.responses])
