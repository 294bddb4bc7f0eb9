"""Sources of records: a live interface or a capture file, behind one protocol."""

from __future__ import annotations

from typing import Protocol

from httptop.records import Batch
from httptop.snapshot import SelfCost, SourceInfo
from httptop.taught import Board


class Source(Protocol):
    """Something that delivers Batches. Opening may raise HttptopError; reading never does for what the wire holds."""

    @property
    def info(self) -> SourceInfo:
        """What is being read, for the Snapshot."""

    @property
    def epoch_offset_ns(self) -> int:
        """What to add to a record's `ts_ns` to get nanoseconds since 1970."""

    @property
    def board(self) -> Board | None:
        """Where the kernel is taught what it may count itself; None: it counts nothing."""

    def open(self) -> None:
        """Start to capture. After it returns no message is missed unless it is counted."""

    def read(self, timeout_s: float) -> Batch:
        """Wait at most `timeout_s`, then return all that has arrived, perhaps nothing."""

    def look(self) -> Batch:
        """What has arrived, at once, with what the kernel holds: that takes long, and is read for a Snapshot only."""

    def finish(self) -> Batch:
        """Stop capturing. Reading goes on, without waiting, until a Batch is empty: then its counters are final."""

    def owner(self, flow: bytes, end: int) -> bytes:
        """`struct owner` of endpoint 0 or 1 of a flow as it is known now, as `owners.Find`."""

    def cost(self) -> SelfCost:
        """What watching costs the host."""

    def abort(self) -> None:
        """End an `open` that is under way in another thread."""

    def close(self) -> None:
        """Free everything; harmless when called twice."""
