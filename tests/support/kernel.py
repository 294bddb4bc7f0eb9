"""The filter without a network: frames in through BPF_PROG_TEST_RUN, records out of its ring."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from httptop.capture.link import LINKS
from httptop.capture.live import LiveSource
from httptop.capture.maps import HashMap
from httptop.capture.walk import Tap
from httptop.engine import Engine
from httptop.records import FLOW_END, FLOW_KEY, OWNED, OWNER, Counter, How, Record
from httptop.snapshot import Process, Snapshot
from httptop.taught import TRACK, TRACKS_MAX
from tests.support import bpf
from tests.support.net import Namespace, namespace

ETHERNET = 1
PLACES = ("tcx", "socket")  # where the filter may stand
OF_THE_FILTER = tuple(counter for counter in Counter if counter <= Counter.PACKETS)


class Seen(NamedTuple):
    """What came of some frames: records (without what only a live one has) and what each counter gained."""

    records: list[Record]
    counters: tuple[int, ...]


def bare(record: Record) -> Record:
    """The record without time, interface and owners."""
    return record._replace(ts_ns=0, ifindex=0, owners=(b"", b""))


class Kernel:
    """An attached LiveSource whose `program` is also run by hand."""

    def __init__(self, source: LiveSource, where: Namespace) -> None:
        self.source = source
        self.inside = where.entered
        self.program = source._fds["program"][0]
        tables = {bpf.name(thing): thing for thing in self._tables()}
        self._flows = tables["flows"]
        self._counters = source._drain().counters

    def _tables(self) -> set[bpf.Object]:
        held = bpf.fd_objects(fds=self.source._fds["program"])
        return set().union(*(bpf.maps_of(program) for program in held))

    def forget(self) -> None:
        """Empty the flow table, and what the fast path was taught."""
        if self.source.board is not None:
            self.source.board.unteach()
            self.source.board.clear(frozenset())
            bpf.zero(self.source._fds["tracks"][0], TRACK.size, TRACKS_MAX)
        with bpf.opened(self._flows) as fd:
            bpf.clear(fd, FLOW_KEY.size)

    def own(self, flow: bytes, *, contested: bool = False) -> None:
        """Say that the lower endpoint of `flow` is process 7's, and the other one process 8's."""
        owners = HashMap(self.source._fds["owners"][0], FLOW_END.size, OWNED.size)
        for end in (0, 1):
            owner = OWNER.pack(7 + end, How.RECV, 0, contested, 10**9, b"process")
            owners.add(FLOW_END.pack(flow, end), OWNED.pack(owner, 0))

    def watch(self, parts: Iterable[Sequence[bytes]]) -> Snapshot:
        """What an Engine makes of frames, which reads, and teaches, after each part of them."""
        engine = Engine(self.source.info, 0, lambda pid, start_ns, name: Process(pid, name, start_ns / 1e9),
                        self.source.owner, board=self.source.board)
        batch = self.source._drain()
        before = batch.counters
        for frames in parts:
            for frame in frames:
                bpf.run(self.program, frame)
            batch = self.source._drain(most=1 << 30)
            gained = (now - then for now, then in zip(batch.counters, before, strict=True))
            engine.feed(batch._replace(counters=tuple(gained)))
        return engine.snapshot(batch.now_ns)

    def run(self, frames: Iterable[bytes], drain_every: int = 500) -> Seen:
        """Each frame through the filter once; the ring is emptied often enough that nothing is lost."""
        records: list[Record] = []
        for number, frame in enumerate(frames, 1):
            bpf.run(self.program, frame)
            if number % drain_every == 0:
                records += self.source._drain().records
        batch = self.source._drain(most=1 << 30)
        gained = tuple(now - then for now, then in zip(batch.counters, self._counters, strict=True))
        self._counters = batch.counters
        return Seen([bare(record) for record in records + batch.records], gained)


def check_same(kernel: Seen, expected: Seen) -> None:
    """Record by record, then counter by counter; the first difference is what one wants to read."""
    for number, (got, want) in enumerate(zip(kernel.records, expected.records, strict=False)):
        assert got == want, f"record {number} of {len(expected.records)}"
    assert len(kernel.records) == len(expected.records)
    for counter in OF_THE_FILTER:
        assert kernel.counters[counter] == expected.counters[counter], counter.name


@contextlib.contextmanager
def kernel(ring_bytes: int = 16 << 20, *, fast_path: bool = True, tcx: bool = True) -> Iterator[Kernel]:
    """The programs attached to the loopback of an empty namespace, privileges kept.

    Nobody stays in it: of fixtures that begin one in the other not always the last one ends first.
    """
    with namespace() as where:
        source = LiveSource(("lo",), ring_bytes=ring_bytes, keep_root=True, fast_path=fast_path)
        source.tcx = tcx
        try:
            with where.entered():
                source.open()
            assert source.missing == (), "does bpf/ compile?"
            yield Kernel(source, where)
        finally:
            source.close()


def python(frames: Iterable[bytes]) -> Seen:
    """The same through the plain-Python filter."""
    tap = Tap()
    records: list[Record] = []
    for frame in frames:
        ethertype, at = LINKS[ETHERNET](frame)
        records += tap.packet(0, ethertype, frame[at:], len(frame) - at)
    return Seen([bare(record) for record in records], tuple(tap.counters))
