"""Reading the kernel's two kinds of ring, mmapped: no system call, no callback and no copy but one for an event.

Python has no memory barriers; taking a lock has the effect of one. Each reader therefore finds out what is there, takes
the lock, and only then looks at the bytes: right on arm64 too, where loads are reordered.
"""

from __future__ import annotations

import mmap
import select
import struct
import threading

from httptop.records import ACCEPT, DATA_MAX, RECORD, Accept, Record

PAGE = mmap.PAGESIZE
_BUSY, _DISCARDED, _LENGTH = 1 << 31, 1 << 30, (1 << 30) - 1  # include/uapi/linux/bpf.h
_HEADER_BYTES = 8
_RECORD_MAX = RECORD.size + DATA_MAX
_WORD = struct.Struct("=I")
_PERF_HEADER = struct.Struct("=IHH")
_PERF_SAMPLE = 9  # PERF_RECORD_SAMPLE; lost ones are counted by the BPF program itself
_PERF_HEAD, _PERF_TAIL = 1024, 1032  # struct perf_event_mmap_page

_unpack = RECORD.unpack_from
_new = tuple.__new__
_lock = threading.Lock()


def _barrier() -> None:
    with _lock:
        pass


def position(page: mmap.mmap, at: int = 0) -> memoryview:
    """The one word at offset `at`, by which kernel and reader tell each other how far they are, at any moment.

    Read and written in one piece. struct does neither: it goes byte by byte, and sets to zero what it is about to
    write, so that the kernel finds the ring full now and then, for as long as the reader happens to be off the CPU.
    """
    return memoryview(page)[at : at + 8].cast("Q")


def record_at(data: mmap.mmap | bytes, at: int) -> Record:
    """The `struct record` at offset `at`, with its data behind it."""
    ts, flow, seq, ack, payload_len, data_len, kind, sender, flags, counter, gap, ifindex, extra, low, high = _unpack(
        data, at)
    start = at + RECORD.size
    # not Record(...): this runs for each message, and takes half the time
    return _new(Record, (ts, flow, seq, ack, payload_len, kind, sender, flags, ifindex, (low, high),
                         data[start : start + data_len], counter, extra, gap))


class RingBuffer:
    """BPF_MAP_TYPE_RINGBUF (kernel/bpf/ringbuf.c).

    The kernel offers the data twice in a row, so that no record seems torn. It is mapped once here: the second mapping
    counts as memory of ours.
    """

    def __init__(self, fd: int, size: int) -> None:
        self._mask = size - 1
        self._end = PAGE + size
        self._consumer = mmap.mmap(fd, PAGE, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        self._data = mmap.mmap(fd, PAGE + size, mmap.MAP_SHARED, mmap.PROT_READ, offset=PAGE)
        self._begin, self._produced = position(self._consumer), position(self._data)
        self._wakes = select.epoll()
        self._wakes.register(fd, select.EPOLLIN | select.EPOLLET)  # of each wake-up once, and not of what is there

    def wait(self, timeout_s: float) -> None:
        """Until the kernel wakes us."""
        self._wakes.poll(timeout_s, 1)

    def drain(self, most: int) -> list[Record]:
        """At most `most` records that are finished, in the order in which they were begun."""
        begin, end = self._begin[0], self._produced[0]
        if begin == end:
            return []
        _barrier()
        offsets, begin = self._finished(begin, end, most)
        _barrier()
        records = [self._record(offset) for offset in offsets]
        _barrier()
        self._begin[0] = begin
        return records

    def _record(self, offset: int) -> Record:
        """The record at `offset`, which may run over the end and on from the beginning."""
        data = self._data
        if offset + _RECORD_MAX <= self._end:
            return record_at(data, offset)
        joined = data[offset : self._end] + data[max(offset - self._end, 0) + PAGE : PAGE + _RECORD_MAX]
        return record_at(joined, 0)

    def _finished(self, begin: int, end: int, most: int) -> tuple[list[int], int]:
        offsets: list[int] = []
        data, mask = self._data, self._mask
        while begin < end and len(offsets) < most:
            offset = PAGE + (begin & mask)
            (word,) = _WORD.unpack_from(data, offset)
            if word & _BUSY:
                break
            if not word & _DISCARDED:
                offsets.append(offset + _HEADER_BYTES)
            begin += ((word & _LENGTH) + _HEADER_BYTES + 7) & ~7
        return offsets, begin

    def close(self) -> None:
        """Unmap."""
        self._wakes.close()
        self._begin.release()
        self._produced.release()
        self._consumer.close()
        self._data.close()


class PerfRing:
    """One CPU's perf ring (kernel/events/ring_buffer.c), `pages` data pages."""

    def __init__(self, fd: int, pages: int) -> None:
        self._size = pages * PAGE
        self._map = mmap.mmap(fd, PAGE + self._size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        self._head, self._tail = position(self._map, _PERF_HEAD), position(self._map, _PERF_TAIL)

    def drain(self) -> list[Accept]:
        """All accept events that have arrived."""
        head, tail = self._head[0], self._tail[0]
        if head == tail:
            return []
        _barrier()
        raw = self._bytes(tail, head)
        _barrier()
        self._tail[0] = head
        return accepts_in(raw)

    def _bytes(self, tail: int, head: int) -> bytes:
        begin, end = PAGE + tail % self._size, PAGE + head % self._size
        if begin < end:
            return self._map[begin:end]
        return self._map[begin:] + self._map[PAGE:end]

    def close(self) -> None:
        """Unmap."""
        self._head.release()
        self._tail.release()
        self._map.close()


def accepts_in(raw: bytes) -> list[Accept]:
    """Perf records -> accept events; other kinds and short ones are left out."""
    accepts = []
    at = 0
    while at + _PERF_HEADER.size <= len(raw):
        kind, _, size = _PERF_HEADER.unpack_from(raw, at)
        if size < _PERF_HEADER.size:
            break
        if kind == _PERF_SAMPLE and size >= _PERF_HEADER.size + _WORD.size + ACCEPT.size:
            accepts.append(Accept(*ACCEPT.unpack_from(raw, at + _PERF_HEADER.size + _WORD.size)))
        at += size
    return accepts
