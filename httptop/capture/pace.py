"""When the reader of the rings reads again: soon enough that they do not fill up, and at most half of the time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from httptop.capture.fast import Board
    from httptop.capture.rings import RingBuffer

BUSY_NAP_S, IDLE_NAP_S = 0.02, 0.1
BUSY_RECORDS = 200  # in one read
BUSY_WORK_S = 0.05  # before it naps again, however little it reads at once: who looks between reads looks in time
COUNTS_S = 1.2  # a history has a figure for each second; who takes a Snapshot each second reads them with it alone
WAKE_RECORDS = 100  # something is new: what is understood of it sooner need not come a hundred times more
REST_MAX_S = 0.25  # the reader rests as long as it has worked: it takes at most half a core, and loses events instead


class Pace:
    """Of the thread that makes it. `board`: where the kernel sees that `ring` is waited for."""

    def __init__(self, ring: RingBuffer | None = None, board: Board | None = None) -> None:
        self._ring = ring
        self._board = board
        self._busy = False
        self._counted_s = 0.0
        self._rested_s = time.thread_time()

    def has_read(self, records: int) -> None:
        """So many at once."""
        self._busy = records > BUSY_RECORDS

    def counts_are_due(self, *, whole: bool) -> bool:
        """Whether to read what the kernel has counted, which takes the longer the more has changed. `whole`: all is."""
        now_s = time.monotonic()
        due = whole or now_s - self._counted_s >= COUNTS_S
        if due:
            self._counted_s = now_s
        return due

    def nap(self, timeout_s: float) -> None:
        """As long as was worked since the last nap, at least; while there is little to read, until there is much."""
        worked_s = time.thread_time() - self._rested_s
        if self._busy and worked_s < BUSY_WORK_S:
            return
        nap_s = max(min(timeout_s, BUSY_NAP_S if self._busy else IDLE_NAP_S), min(worked_s, REST_MAX_S))
        if self._busy or worked_s > BUSY_NAP_S or self._board is None or self._ring is None:
            time.sleep(nap_s)
        else:
            self._board.wake(WAKE_RECORDS)
            self._ring.wait(nap_s)
            self._board.wake(0)
        self._rested_s = time.thread_time()
