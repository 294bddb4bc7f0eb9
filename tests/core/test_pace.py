"""When the reader of the rings rests."""

from __future__ import annotations

import time

import pytest

from httptop.capture import pace
from httptop.capture.pace import BUSY_NAP_S, BUSY_RECORDS, BUSY_WORK_S, IDLE_NAP_S, REST_MAX_S, Pace


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds of each nap, which are not slept."""
    found: list[float] = []
    monkeypatch.setattr(pace.time, "sleep", found.append)
    return found


def work(seconds: float) -> None:
    """As the CPU counts it."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_idle(naps: list[float]) -> None:
    """Little was read: the longest nap, but none that is longer than was asked for."""
    idle = Pace()
    idle.has_read(BUSY_RECORDS)
    idle.nap(1.0)
    idle.nap(0.01)
    assert naps[0] == IDLE_NAP_S
    assert 0.01 <= naps[1] < BUSY_NAP_S


def test_rests_as_long_as_it_worked(naps: list[float]) -> None:
    """Of many short reads none is followed by a nap, but what they took together is."""
    busy = Pace()
    for _ in range(3):
        busy.has_read(BUSY_RECORDS + 1)
        work(BUSY_WORK_S / 4)
        busy.nap(IDLE_NAP_S)
    assert not naps
    work(BUSY_WORK_S / 2)
    busy.nap(IDLE_NAP_S)
    assert len(naps) == 1
    assert naps[0] >= BUSY_WORK_S * 5 / 4
    busy.nap(IDLE_NAP_S)
    assert len(naps) == 1


def test_all_is_read(naps: list[float]) -> None:
    """After the last of many there is a nap, for all the work."""
    busy = Pace()
    busy.has_read(BUSY_RECORDS + 1)
    work(BUSY_WORK_S / 2)
    busy.has_read(BUSY_RECORDS)
    busy.nap(0.0)
    assert naps[0] >= BUSY_WORK_S / 2


def test_no_rest_without_end(naps: list[float]) -> None:
    """Whatever took longer, another thread perhaps, the rings must not fill up meanwhile."""
    busy = Pace()
    busy.has_read(BUSY_RECORDS + 1)
    work(REST_MAX_S + 0.05)
    busy.nap(IDLE_NAP_S)
    assert naps == [REST_MAX_S]
