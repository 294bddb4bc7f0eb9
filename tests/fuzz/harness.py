"""A whole reading of a file, as -r does it, and what must hold at its end."""

from __future__ import annotations

import contextlib
import os

from httptop.capture.pcap import PcapSource
from httptop.engine import Engine
from httptop.errors import HttptopError
from httptop.records import FLAG_SEEN, Counter, Kind
from httptop.snapshot import SourceInfo


def read_file(data: bytes) -> None:
    """Read a capture file as -r does: it ends, at worst with HttptopError, and every head is accounted for."""
    fd = os.memfd_create("capture")
    try:
        os.write(fd, data)
        source = PcapSource(f"/proc/self/fd/{fd}")
        with contextlib.closing(source), contextlib.suppress(HttptopError):
            source.open()
            _feed(source, Engine(SourceInfo("file"), 0, lambda *_: None))
    finally:
        os.close(fd)


def _feed(source: PcapSource, engine: Engine) -> None:
    heads, batch, ended = 0, source.read(0), False
    while not ended:
        heads += sum(record.kind in (Kind.REQUEST, Kind.RESPONSE) and not record.flags & FLAG_SEEN
                     for record in batch.records)
        engine.feed(batch)
        ended = batch.eof
        try:
            batch = batch if ended else source.read(0)
        except HttptopError:
            ended = True
    engine.finish()
    snapshot = engine.snapshot(batch.now_ns)
    assert heads == sum(batch.counters[: Counter.NO_CLASS + 1]), "a head was counted but not delivered, or not counted"
    assert snapshot.totals.requests == sum(cell.requests for cell in snapshot.cells), "a request is in no row"
    assert snapshot.completeness == 1.0, "nothing is lost in a file"
