"""The loop between a Source and an Engine, and its thread."""

from __future__ import annotations

import threading
import time

from httptop.engine import Engine
from httptop.errors import HttptopError
from httptop.records import Batch
from httptop.snapshot import Snapshot, SourceInfo
from httptop.worker import Worker
from tests.core.test_cli import FakeSource
from tests.support.poll import until


class Slow(FakeSource):
    def read(self, timeout_s: float) -> Batch:
        time.sleep(timeout_s)
        return super().read(timeout_s)

    def abort(self) -> None:
        """Nothing is under way."""


def test_delay_can_be_changed() -> None:
    """A shorter delay is heard at once, not after the longer one; a longer one holds too."""
    source = Slow(SourceInfo("live", ("lo",)))
    worker = Worker(source, lambda opened: Engine(opened.info, 0, lambda *_: None), 3600.0)
    seen: list[Snapshot | HttptopError] = []
    worker.start(seen.append)
    try:
        until(lambda: len(seen) == 2, "the two early ones")
        worker.set_delay(0.05)
        until(lambda: len(seen) > 6, "more of them")
        worker.set_delay(3600.0)
        threading.Event().wait(0.3)  # what was due before it was heard
        count = len(seen)
        threading.Event().wait(0.3)
        assert len(seen) == count
    finally:
        worker.stop()
    assert source.closed
