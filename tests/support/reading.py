"""The reference path without files and kernels: frames through the tap into the engine, at times that a test sets."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from httptop.capture.link import LINKS
from httptop.capture.walk import Tap
from httptop.engine import Engine
from httptop.export.log import endpoint_text
from httptop.records import Batch, Record
from httptop.snapshot import Exchange, Snapshot, SourceInfo
from tests.support.dialogs import Row

ETHERNET = 1
MS = 1_000_000


class Reading:
    """A capture that goes on for as long as the test wants."""

    def __init__(self) -> None:
        self.tap = Tap()
        self.now_ns = 0
        self.told: deque[Exchange] = deque()
        self.engine = Engine(SourceInfo(), 0, lambda *_: None, keep_query=True, exchanges=self.told)

    def see(self, *frames: bytes, step_ms: float = 0.01) -> list[Record]:
        """Frames one after the other, each `step_ms` after the last one; their records."""
        records = []
        for frame in frames:
            self.now_ns += int(step_ms * MS)
            ethertype, at = LINKS[ETHERNET](frame)
            records += self.tap.packet(self.now_ns, ethertype, frame[at:], len(frame) - at)
        self.feed(records)
        return records

    def feed(self, records: Iterable[Record] = ()) -> None:
        """Records, with the tap's counters as they are."""
        self.engine.feed(Batch(list(records), [], tuple(self.tap.counters), self.now_ns))

    def wait(self, milliseconds: float) -> None:
        """Let time pass without packets."""
        self.now_ns += int(milliseconds * MS)
        self.feed()

    def snapshot(self) -> Snapshot:
        """What the faces get now."""
        return self.engine.snapshot(self.now_ns)

    def finish(self) -> Snapshot:
        """The end: all that waits is told."""
        self.engine.finish()
        return self.snapshot()

    @property
    def rows(self) -> list[Row]:
        """The exchanges told so far."""
        return [row(exchange) for exchange in self.told]

    def rows_of(self, ends: tuple[str, str]) -> list[Row]:
        """Those of one connection, in the order in which they were told."""
        return [row(exchange) for exchange in self.told
                if (endpoint_text(exchange.client_end), endpoint_text(exchange.server_end)) == ends]


def row(exchange: Exchange) -> Row:
    """What a dialog expects of it."""
    return exchange.method, exchange.target, exchange.status, exchange.response_bytes


def read(frames: Iterable[bytes]) -> Reading:
    """Frames from a first to a last one."""
    reading = Reading()
    reading.see(*frames)
    return reading
