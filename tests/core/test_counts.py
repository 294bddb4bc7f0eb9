"""What has been added to a cell of the kernel, whichever of its buckets were read before."""

from __future__ import annotations

import mmap
import struct
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httptop.capture.counts import BYTES_AT, CELL_BYTES, Counts
from httptop.taught import CELL, LATENCY_BUCKETS, LATENCY_LOW, ONE_MORE

BUCKET = struct.Struct("=I")
BYTES = struct.Struct("=Q")
SECOND_CELL = CELL_BYTES  # another one is in front of it

latencies = st.one_of(st.integers(300, 330), st.integers(0, LATENCY_BUCKETS - 1))


class Kernel:
    """A cell as the kernel writes it."""

    def __init__(self) -> None:
        self.view = mmap.mmap(-1, 3 * CELL_BYTES)
        self.view[:] = b"\xff" * len(self.view)
        self.view[SECOND_CELL : 2 * CELL_BYTES] = bytes(CELL_BYTES)
        self.counts = Counts()

    def add(self, bucket: int, times: int = 1) -> None:
        """Into the histogram, which comes first."""
        at = SECOND_CELL + CELL.size + BUCKET.size * bucket
        BUCKET.pack_into(self.view, at, (BUCKET.unpack_from(self.view, at)[0] + times) % (1 << 32))

    def tell(self, exchanges: int, response_bytes: int) -> None:
        """How many there were, which comes last."""
        now = self.total + exchanges * ONE_MORE + response_bytes
        BYTES.pack_into(self.view, SECOND_CELL + BYTES_AT, now % (1 << 64))

    @property
    def total(self) -> int:
        """Exchanges and bytes."""
        return int(BYTES.unpack_from(self.view, SECOND_CELL + BYTES_AT)[0])

    def read(self) -> Counter[int]:
        """What has been added since the last time, by bucket."""
        grown = self.counts.read(self.view, SECOND_CELL, self.total)
        assert self.counts.bytes == self.total
        assert len(dict(grown)) == len(grown)
        return Counter({bucket - LATENCY_LOW: count for bucket, count in grown})


@given(st.lists(st.lists(latencies, max_size=8), max_size=12))
def test_all_is_read_once(readings: list[list[int]]) -> None:
    """In buckets near those that are known, and in any other."""
    kernel = Kernel()
    for added in readings:
        for bucket in added:
            kernel.add(bucket)
        kernel.tell(len(added), 700)
        assert kernel.read() == Counter(added)


@given(st.lists(st.tuples(latencies, st.booleans()), min_size=1, max_size=30))
def test_one_that_is_half_counted(exchanges: list[tuple[int, bool]]) -> None:
    """Read between the two words that it is written to, it counts once: then, or the next time."""
    kernel, found, late = Kernel(), Counter[int](), 0
    for bucket, between in exchanges:
        kernel.add(bucket)
        late += 1
        if between:
            kernel.tell(0, 1)
            found += kernel.read()
        kernel.tell(late, 700)
        late = 0
        found += kernel.read()
    assert found == Counter(bucket for bucket, _ in exchanges)


@pytest.mark.parametrize("bucket", [0, 16, 31, 350, LATENCY_BUCKETS - 1])
def test_a_bucket_that_overflows(bucket: int) -> None:
    """After 4 billion of one latency: the next bucket has not one less, and this one not 4 billion less."""
    kernel = Kernel()
    most = (1 << 32) - 5
    for times in (most // 2, most - most // 2):
        kernel.add(bucket, times)
        kernel.tell(times, 0)
        assert kernel.read() == {bucket: times}
    near = min(bucket + 1, LATENCY_BUCKETS - 1) if bucket < LATENCY_BUCKETS - 1 else bucket - 1
    kernel.add(bucket, 7)
    kernel.add(near, 2)
    kernel.tell(9, 0)
    assert kernel.read() == {bucket: 7, near: 2}
    kernel.add(bucket, 3)
    kernel.tell(3, 0)
    assert kernel.read() == {bucket: 3}


def test_few_buckets_are_read() -> None:
    """Of one that is known the others around it alone: not the whole histogram of each cell, at each time."""
    kernel = Kernel()
    for _ in range(2):
        kernel.add(350)
        kernel.tell(1, 0)
        assert kernel.read() == {350: 1}
    assert 1 < kernel.counts._end - kernel.counts._first <= 32
