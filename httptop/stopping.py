"""SIGINT, SIGTERM and SIGHUP in batch modes."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Stopped(BaseException):
    """SIGINT, SIGTERM or SIGHUP. No Exception, so that nothing on the way takes it for a failure."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Signals:
    """Ends a batch run at once, but not in the middle of an object that is being written."""

    def __init__(self, stop: threading.Event | None = None) -> None:
        """With `stop`, the first signal sets it and leaves the rest of the work to whoever waits for it."""
        self.number = 0
        self._stop = stop
        self._writing = False
        self._pending = 0

    def catch(self) -> None:
        """Take over, except for signals that the caller wants ignored (nohup, a job in the background)."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._stop is not None and not self._stop.is_set():
            self.number = number
            self._stop.set()
        elif self._writing and not self._pending:  # a second one ends even a write that a stuck reader blocks
            self._pending = number
        else:
            raise Stopped(number)

    @contextlib.contextmanager
    def after_this(self) -> Iterator[None]:
        """Let the block finish first."""
        self._writing = True
        try:
            yield
        finally:
            self._writing = False
        if self._pending:
            raise Stopped(self._pending)
