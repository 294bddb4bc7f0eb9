"""The screen in a terminal of its own: what it leaves behind, however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator

import pytest

CHILD = """
import sys, threading
from httptop.tui.app import HttptopApp
from tests.tui import snapshots

class Worker:
    def __init__(self):
        self.end = threading.Event()
    def start(self, publish):
        publish(snapshots.calm())
    def stop(self):
        self.end.set()

app = HttptopApp(Worker())
app.run()
sys.exit(app.return_code)
"""
DEADLINE_S = 20.0
ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"


class Window:
    """A child on a pseudo terminal."""

    def __init__(self, pid: int, fd: int) -> None:
        self.pid, self.fd, self.seen = pid, fd, b""

    def read(self, timeout_s: float) -> None:
        if select.select([self.fd], [], [], timeout_s)[0]:
            with contextlib.suppress(OSError):  # EIO: the child has gone
                self.seen += os.read(self.fd, 65536)

    def wait_for(self, wanted: bytes) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while wanted not in self.seen:
            assert time.monotonic() < deadline, self.seen[-2000:]
            self.read(0.1)

    def wait_end(self) -> int:
        deadline = time.monotonic() + DEADLINE_S
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                self.read(0)
                return os.waitstatus_to_exitcode(status)
            assert time.monotonic() < deadline
            self.read(0.01)


@pytest.fixture
def window() -> Iterator[Window]:
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color")
        os.execv(sys.executable, [sys.executable, "-c", CHILD])  # noqa: S606 (its own terminal is the point)
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    window = Window(pid, fd)
    try:
        window.wait_for(b"complete")
        yield window
    finally:
        if window.pid:
            os.kill(window.pid, signal.SIGKILL)
            os.waitpid(window.pid, 0)
        with contextlib.suppress(OSError):
            os.close(fd)


def restored(window: Window) -> bool:
    return window.seen.rindex(LEAVE) > window.seen.rindex(ENTER) and b"\x1b[?25h" in window.seen


def test_quit_is_quick(window: Window) -> None:
    """`q` restores the terminal and ends at once, far before any timer of the input thread runs out."""
    start = time.monotonic()
    os.write(window.fd, b"q")
    window.wait_for(LEAVE)
    assert time.monotonic() - start < 0.3
    assert window.wait_end() == 0
    assert restored(window)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_restore_the_terminal(window: Window, number: signal.Signals) -> None:
    """A signal ends the screen with the code that shells expect, and the terminal is as it was."""
    os.kill(window.pid, number)
    assert window.wait_end() == 128 + number
    assert restored(window)


def test_nonsense_from_the_keyboard(window: Window) -> None:
    """Bytes that are no UTF-8, and half an escape sequence, do no harm."""
    os.write(window.fd, b"\xff\xfe\x80\x1b[999;")
    time.sleep(0.3)  # longer than the driver waits for the rest of a sequence
    os.write(window.fd, b"q")
    assert window.wait_end() == 0
    assert restored(window)


def test_terminal_that_goes_away_ends_it(window: Window) -> None:
    """When the terminal is closed nothing is left running."""
    os.close(window.fd)
    deadline = time.monotonic() + DEADLINE_S
    while not os.waitpid(window.pid, os.WNOHANG)[0]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    window.pid = 0


def test_suspend_and_go_on(window: Window) -> None:
    """Ctrl-Z gives the terminal back, fg takes it again, and keys work as before."""
    os.write(window.fd, b"\x1a")
    deadline = time.monotonic() + DEADLINE_S
    while not os.WIFSTOPPED(os.waitpid(window.pid, os.WNOHANG | os.WUNTRACED)[1]):
        assert time.monotonic() < deadline
        window.read(0.05)
    window.read(0.1)
    assert restored(window)
    os.kill(window.pid, signal.SIGCONT)
    count = window.seen.count(ENTER)
    while window.seen.count(ENTER) == count:
        assert time.monotonic() < deadline
        window.read(0.1)
    os.write(window.fd, b"q")
    assert window.wait_end() == 0
    assert restored(window)
