"""The table of finest counts: bounded, with `other` rows for what was asked for least."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

from httptop import stats
from httptop.losses import OTHER_METHOD
from httptop.records import METHODS
from httptop.snapshot import OTHERS, Cell, Process, namesakes

CELLS_MAX = 20_000  # about 30 MB when full
PROCESSES_MAX = 4_000  # of which there are rows: half as many when there are more
PROCESSES_MIN = 20  # that have rows whatever happens
NAMESAKES_MIN = 10  # from so many on those of one name are one row when they are folded
FOLD_SHARE = 4  # one in so many is folded into `other` when the table is full
OTHER_PATH = "(other)"

Key = tuple[str, str, str, "int | None", "Process | None", "Process | None"]
"""method, host, path, status, server, client"""


def other(key: Key) -> Key:
    """The key under which the URL of `key` counts when it has no row of its own. A method can be any word."""
    return (key[0] if key[0] in ("", *METHODS) else OTHER_METHOD, "", OTHER_PATH, *key[3:])


def parts(kept: Collection[Process], gone: Sequence[Process]) -> dict[Process, Process]:
    """Of what each of those that are gone is a part from now on."""
    names = Counter(map(namesakes, gone))
    own = {name for name, count in names.items() if count >= NAMESAKES_MIN} | {*kept, OTHERS}
    return {process: name if name in own else OTHERS
            for process, name in zip(gone, map(namesakes, gone), strict=True) if process not in own}


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
        joined: list[tuple[int, int]] = []
        mine = theirs = 0
        for mark, total, own in sorted([(*at, True) for at in self._seen] + [(*at, False) for at in other._seen]):
            mine, theirs = (total, theirs) if own else (mine, total)
            if joined and joined[-1][0] == mark:
                joined.pop()
            joined.append((mark, mine + theirs))
        self._seen = joined
        self.total += other.total


class MutableCell:
    """A Cell that is being counted. `dirty`: it may not be any more what `frozen` says."""

    __slots__ = ("bytes", "dirty", "frozen", "into", "key", "latency", "latency_max", "recent", "responses")

    def __init__(self, key: Key, born: int) -> None:
        self.key = key
        self.responses = self.bytes = self.latency_max = 0
        self.latency: dict[int, int] = {}
        self.recent = Recent()  # requests
        self.dirty = True
        self.into: MutableCell | None = None  # where it was folded
        self.frozen = Cell(*key, born=born)

    def answered(self, latency_ns: int) -> None:
        """Count a request with its final response, `latency_ns` after it."""
        self.recent.total += 1
        self.responses += 1
        bucket = stats.bucket(latency_ns)
        self.latency[bucket] = self.latency.get(bucket, 0) + 1
        self.latency_max = max(self.latency_max, latency_ns)
        self.dirty = True

    def add(self, latency: Sequence[tuple[int, int]], response_bytes: int) -> int:
        """Count requests with their responses at once, by (bucket, how many of them); returns how many that were."""
        counts, total = self.latency, 0
        for bucket, n in latency:
            counts[bucket] = counts.get(bucket, 0) + n
            total += n
        self.recent.total += total
        self.responses += total
        self.bytes += response_bytes
        self.dirty = True
        return total

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

    @property
    def last(self) -> MutableCell:
        """Itself, or what it is a part of by now."""
        cell = self
        while cell.into is not None:
            cell = cell.into
        return cell

    def freeze(self, mark: int, base: int, waiting: int) -> Cell:
        """As a Cell, with `waiting` requests more that are in flight; the same object again while nothing changes."""
        recent = self.recent.since(mark, base) + waiting
        requests = self.recent.total + waiting
        before, now = self.frozen, (requests, self.responses, recent, self.bytes)
        if (before.requests, before.responses, before.recent, before.response_bytes) != now:
            self.frozen = Cell(*self.key, requests, self.responses, recent, tuple(self.latency.items()),
                               self.latency_max, self.bytes, before.born)
        self.dirty = recent > 0  # which it will not be for ever
        return self.frozen


class Cells:
    """All of them. `on_fold` is told which processes have become part of which."""

    def __init__(self, on_fold: Callable[[Mapping[Process, Process]], None], most: int = CELLS_MAX,
                 processes: int = PROCESSES_MAX) -> None:
        self._cells: dict[Key, MutableCell] = {}
        self._on_fold = on_fold
        self._most = most
        self._processes = processes
        self._seen: set[Process | None] = set()
        self._full = most  # cells with which it is folded next
        self._folds = 0

    @property
    def folded(self) -> int:
        """Requests that have no row of their own."""
        return sum(cell.recent.total for key, cell in self._cells.items() if key[2] == OTHER_PATH)

    def get(self, key: Key) -> MutableCell:
        """The cell of `key`, which has a row of its own from now on, whoever must make place for it."""
        cell = self._cells.get(key)
        if cell is None:
            if len(self._seen) > self._processes:
                self._fold_processes()
            if len(self._cells) >= self._full:
                self._fold()
            self._seen.update(key[4:])
            cell = self._cells[key] = MutableCell(key, self._folds)
        return cell

    def _fold(self) -> None:
        """Make room for many, which takes the time of a sort: of URLs, or of who asked whom where these are so many."""
        self._fold_urls()
        if len(self._cells) > self._most - self._most // (2 * FOLD_SHARE):
            self._fold_processes()
        # Not for each new one, where it made no room.
        self._full = max(self._most, len(self._cells) + self._most // FOLD_SHARE**2)

    def _fold_urls(self) -> None:
        self._folds += 1
        own = [cell for cell in self._cells.values() if cell.key[2] != OTHER_PATH]
        own.sort(key=lambda cell: cell.recent.total)
        for cell in own[: max(len(own) // FOLD_SHARE, 1)]:
            self._move(cell, other(cell.key))

    def _fold_processes(self) -> None:
        """Of too many processes those with the fewest exchanges become one of each name; their URLs stay as they are.

        Most of so many came and went, and who looks at rows sees no thousand of them; each costs as much as two URLs.
        """
        asked: Counter[Process] = Counter()
        for cell in self._cells.values():
            for process in cell.key[4:]:
                if process is not None:
                    asked[process] += max(cell.recent.total, cell.responses)
        del asked[OTHERS]
        kept = max(min(self._processes, len(asked)) // 2, PROCESSES_MIN)
        busiest = [process for process, _ in asked.most_common()]
        gone = parts(busiest[:kept], busiest[kept:])
        if not gone:
            return
        self._folds += 1
        for cell in list(self._cells.values()):
            server, client = (process and gone.get(process, process) for process in cell.key[4:])
            self._move(cell, (*cell.key[:4], server, client))
        self._seen = {process and gone.get(process, process) for process in self._seen}
        self._on_fold(gone)

    def _move(self, cell: MutableCell, key: Key) -> None:
        if key == cell.key:
            return
        del self._cells[cell.key]
        into = self._cells.get(key)
        if into is None:
            into = self._cells[key] = MutableCell(key, self._folds)
        into.absorb(cell)

    def freeze(self, mark: int, base: int, waiting: Mapping[MutableCell, int]) -> tuple[Cell, ...]:
        """All cells that hold anything; `waiting`: requests in flight."""
        for cell in waiting:
            cell.dirty = True
        frozen = [cell.freeze(mark, base, waiting.get(cell, 0)) if cell.dirty else cell.frozen
                  for cell in self._cells.values()]
        return tuple([cell for cell in frozen if cell.requests or cell.responses])
