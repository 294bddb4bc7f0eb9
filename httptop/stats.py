"""Log histograms and rolling windows: small, bounded, pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from httptop.snapshot import Latency

Histogram = tuple[tuple[int, int], ...]  # (bucket, count), sorted by bucket

SUB_BITS = 5  # 32 steps to an octave: a quantile is right within 1.6 %
_SUB = 1 << SUB_BITS
BUCKETS = (65 - SUB_BITS) << SUB_BITS  # enough for 64 bits of nanoseconds
_MANY = 32  # from here on an array of all buckets is faster to fill than a dict
_SECOND_NS = 1_000_000_000
WINDOW_S = 5  # what "per second" looks back on


def bucket(value_ns: int) -> int:
    """Nanoseconds -> index of the log-linear bucket that holds them."""
    if value_ns < _SUB:
        return max(value_ns, 0)
    shift = value_ns.bit_length() - 1 - SUB_BITS
    return ((shift + 1) << SUB_BITS) + (value_ns >> shift) - _SUB


def bucket_ns(index: int) -> int:
    """The middle of bucket `index`, nanoseconds."""
    if index < _SUB:
        return index
    shift = (index >> SUB_BITS) - 1
    return (((index & (_SUB - 1)) + _SUB) << shift) + ((1 << shift) >> 1)


def merged(histograms: Sequence[Histogram]) -> Histogram:
    """The sum of histograms, sorted by bucket."""
    if len(histograms) == 1:
        return histograms[0]
    counts: list[int] | defaultdict[int, int] = [0] * BUCKETS if len(histograms) > _MANY else defaultdict(int)
    for histogram in histograms:
        for index, count in histogram:
            counts[index] += count
    pairs = enumerate(counts) if isinstance(counts, list) else sorted(counts.items())
    return tuple((index, count) for index, count in pairs if count)


def latency_ms(histogram: Iterable[tuple[int, int]], max_ns: int) -> Latency | None:
    """((bucket, count), ...) -> quantiles by nearest rank, None when empty."""
    ranked = sorted(histogram)
    total = sum(count for _, count in ranked)
    if not total:
        return None
    p50, p95, p99 = (min(value, max_ns) / 1e6 for value in _quantiles(ranked, total, (50, 95, 99)))
    return Latency(p50, p95, p99, max_ns / 1e6)


def _quantiles(ranked: list[tuple[int, int]], total: int, percents: tuple[int, ...]) -> list[int]:
    """Nanoseconds at each of the ascending `percents`: the value of rank ceil(total * percent / 100)."""
    found: list[int] = []
    seen = 0
    for index, count in ranked:
        seen += count
        while len(found) < len(percents) and seen * 100 >= total * percents[len(found)]:
            found.append(bucket_ns(index))
    return found


class Rolling:
    """Events in each of the last `seconds` seconds, by the events' own times."""

    __slots__ = ("_last_s", "_slots")

    def __init__(self, seconds: int = WINDOW_S) -> None:
        self._slots = [0] * (seconds + 1)
        self._last_s = 0

    def _advance(self, second: int) -> None:
        size = len(self._slots)
        gap = second - self._last_s
        if gap >= size:
            self._slots = [0] * size
        else:
            for s in range(self._last_s + 1, second + 1):
                self._slots[s % size] = 0
        self._last_s = second

    def add(self, ts_ns: int, count: int = 1) -> None:
        """Count `count` events at `ts_ns`; what is older than the window is left out."""
        second = ts_ns // _SECOND_NS
        if second > self._last_s:
            self._advance(second)
        if second > self._last_s - len(self._slots):
            self._slots[second % len(self._slots)] += count

    def spread(self, since_ns: int, now_ns: int, count: int) -> None:
        """Count `count` events that came at any time between the two."""
        while since_ns < now_ns:
            until_ns = min(since_ns - since_ns % _SECOND_NS + _SECOND_NS, now_ns)
            part = count * (until_ns - since_ns) // (now_ns - since_ns)
            self.add(since_ns, part)
            since_ns, count = until_ns, count - part
        self.add(now_ns, count)

    def per_second(self, now_ns: int) -> tuple[int, ...]:
        """Counts of the last full seconds before `now_ns`, oldest first."""
        second = now_ns // _SECOND_NS
        if second > self._last_s:
            self._advance(second)
        size = len(self._slots)
        return tuple(self._slots[s % size] for s in range(second - size + 1, second))

    def recent(self, now_ns: int) -> int:
        """Events in the last full seconds and in the current one up to now."""
        return sum(self.per_second(now_ns)) + self._slots[self._last_s % len(self._slots)]
