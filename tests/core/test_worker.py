"""The loop between a Source and an Engine, and its thread."""

from __future__ import annotations

import threading
import time

import pytest

from httptop.engine import Engine
from httptop.errors import HttptopError
from httptop.records import Batch, Counter
from httptop.snapshot import Snapshot, SourceInfo
from httptop.worker import LOSING_S, Worker
from tests.core.test_cli import FakeSource
from tests.support.poll import until


class Slow(FakeSource):
    def read(self, timeout_s: float) -> Batch:
        time.sleep(timeout_s)
        return super().read(timeout_s)

    def abort(self) -> None:
        """Nothing is under way."""


class Losing(Slow):
    """Loses one request more with each look, until it has lost enough."""

    enough = False

    def look(self) -> Batch:
        batch = super().look()
        counters = list(batch.counters)
        counters[Counter.GET] += not self.enough
        counters[Counter.LOST_REQUEST] += not self.enough
        self._counters = tuple(counters)
        return batch._replace(counters=self._counters)


def test_losses_are_told_soon() -> None:
    """While events are lost there is news twice a second, whatever the delay; afterwards it holds again."""
    source = Losing(SourceInfo("live", ("lo",)))
    worker = Worker(source, lambda opened: Engine(opened.info, 0, lambda *_: None), 3600.0)
    seen: list[Snapshot | HttptopError] = []
    began = time.monotonic()
    worker.start(seen.append)
    try:
        until(lambda: len(seen) >= 2 + 3, "the two early ones, and more")
        assert time.monotonic() - began > (len(seen) - 3) * LOSING_S  # but no more than that
        source.enough = True
        threading.Event().wait(3 * LOSING_S)
        count = len(seen)
        threading.Event().wait(3 * LOSING_S)
        assert len(seen) == count
    finally:
        worker.stop()


class Broken(Slow):
    def read(self, timeout_s: float) -> Batch:
        raise ZeroDivisionError("oops")


def test_a_fault_of_ours_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for Snapshots hears that there will be none."""
    monkeypatch.delenv("HTTPTOP_DEBUG", raising=False)
    worker = Worker(Broken(SourceInfo("live", ("lo",))), lambda opened: Engine(opened.info, 0, lambda *_: None), 3600.0)
    seen: list[Snapshot | HttptopError] = []
    worker.start(seen.append)
    until(lambda: seen, "the error")
    worker.stop()
    assert [str(error) for error in seen] == ["internal error: ZeroDivisionError: oops"]


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
