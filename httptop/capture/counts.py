"""What has been added to a cell of the kernel since it was read last."""

from __future__ import annotations

import sys
from mmap import mmap

from httptop.taught import CELL, CELL_KEY, LATENCY_BUCKETS, LATENCY_LOW, ONE_MORE

CELL_BYTES = CELL.size + 4 * LATENCY_BUCKETS
BYTES_AT = CELL_KEY.size + 8

Grown = list[tuple[int, int]]
"""Bucket of stats.py, and by how much it has grown."""

_HISTOGRAM_AT = CELL.size
_COUNTS = (1 << 64) // ONE_MORE  # a cell counts exchanges modulo that
_NEAR = 15  # further buckets that are read with one, half an octave
_LITTLE = sys.byteorder == "little"
# Of each bucket of a histogram, its highest bit, and the others.
_HIGHEST, _OTHERS = (int.from_bytes(bits * LATENCY_BUCKETS, "little") for bits in (b"\0\0\0\x80", b"\xff\xff\xff\x7f"))


class Counts:
    """What was read of a cell: `bytes`, as it has them, and its histogram, as far as there is anything in it.

    That is one number of 32 bits for each bucket: few of them change, and all are subtracted at once.
    """

    __slots__ = ("_before", "_end", "_first", "bytes")

    def __init__(self) -> None:
        self.bytes = self._before = 0
        self._first = self._end = 0  # buckets

    def read(self, view: mmap, cell: int, now: int) -> Grown:
        """By what the cell, which begins there in the view, has grown; `now`: its bytes."""
        at, first, end = cell + _HISTOGRAM_AT, self._first, self._end
        histogram = int.from_bytes(view[at + 4 * first : at + 4 * end], sys.byteorder)
        grown, count = _buckets(histogram - self._before, first, end)
        if (count - now // ONE_MORE + self.bytes // ONE_MORE) % _COUNTS:  # one is elsewhere, or a bucket has overflowed
            grown = self._read_all(view, at)
        else:
            self._before = histogram
        self.bytes = now
        return grown

    def _read_all(self, view: mmap, at: int) -> Grown:
        now = int.from_bytes(view[at : at + 4 * LATENCY_BUCKETS], sys.byteorder)
        before = self._before << self._shift()
        # Without the highest bits: so none borrows from the next.
        left = ((now | _HIGHEST) - (before & _OTHERS)) ^ ((now ^ before ^ _HIGHEST) & _HIGHEST)
        grown, _ = _buckets(left, 0, LATENCY_BUCKETS)
        found = [bucket - LATENCY_LOW for bucket, _ in grown] + [self._first, self._end - 1] * (self._end > 0)
        if found:
            self._first, self._end = min(found) & ~_NEAR, (max(found) | _NEAR) + 1
        self._before = now >> self._shift()
        return grown

    def _shift(self) -> int:
        """Bits of the whole histogram that come after those which are kept."""
        return 32 * (self._first if _LITTLE else LATENCY_BUCKETS - self._end)


def _buckets(left: int, first: int, end: int) -> tuple[Grown, int]:
    """What is not 0 of a histogram from bucket `first` to `end`, and the sum; nothing of what is none."""
    found, count = [], 0
    while left > 0:
        at = left.bit_length() - 1 >> 5
        grown = left >> (at << 5)
        left -= grown << (at << 5)
        count += grown
        found.append((LATENCY_LOW + (first + at if _LITTLE else end - 1 - at), grown))
    return found, count
