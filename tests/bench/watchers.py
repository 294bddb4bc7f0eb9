"""Who may watch while the server works. A further program is one more function that yields a Watched."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from httptop.capture import bytecode
from httptop.capture.af_packet import packet_socket
from tests.bench.arena import Arena, cpu_s, family
from tests.support.counters import someone_elses_xdp
from tests.support.poll import until
from tests.support.program import HTTPTOP, attached, httptop, status

PAUSE_S = 0.03  # between the output of two repaints

Watcher = Callable[[Arena], contextlib.AbstractContextManager["Watched"]]


@dataclass
class Watched:
    """What a watcher cost and saw; None: it does not tell. Costs are from when it was ready to when the load ended."""

    pid: int | None = None
    cpu_s: float = 0.0
    wall_s: float = 0.0
    peak_rss_bytes: int = 0
    seen: int | None = None  # requests that it can tell about
    total: int | None = None  # requests that it has counted
    lost: int | None = None
    _since: tuple[float, float] = field(default=(0.0, 0.0))

    def begin(self) -> None:
        """Called when the watcher is ready."""
        self._since = (self._cpu_s(), time.monotonic())

    def load_ended(self) -> None:
        """Called when there is no more traffic to watch."""
        self.wall_s = time.monotonic() - self._since[1]
        if self.pid:
            self.cpu_s = self._cpu_s() - self._since[0]
            self.peak_rss_bytes = sum(int(status(pid)["VmHWM"].split()[0]) * 1024 for pid in family(self.pid))

    def _cpu_s(self) -> float:
        return sum(cpu_s(pid) for pid in family(self.pid)) if self.pid else 0.0


@contextlib.contextmanager
def nobody(_: Arena) -> Iterator[Watched]:
    """Nothing at all: what the others are compared with."""
    watched = Watched()
    watched.begin()
    yield watched


@contextlib.contextmanager
def empty_filter(arena: Arena) -> Iterator[None]:
    """A packet socket whose program takes nothing: what the place itself costs, where httptop's is."""
    with someone_elses_xdp(bytecode.SOCKET_FILTER, verdict=0) as (program, _):
        with arena.where.entered():
            fd = packet_socket("lo", program, is_loopback=True)
        try:
            yield
        finally:
            os.close(fd)


@contextlib.contextmanager
def batch(arena: Arena, *flags: str) -> Iterator[Watched]:
    """`--json`, one snapshot a second as `--once` would take it; stopped when the load ends."""
    with httptop("-i", "lo", "-b", "--json", "-d", "1", *flags, where=arena.where) as top:
        top.wait_attached()
        watched = Watched(top.pid)
        watched.begin()
        yield watched
        have = len(top.snapshots())
        until(lambda: len(top.snapshots()) > have + 1, "a snapshot after the load", timeout_s=30)
        last = top.snapshots()[-1]
        watched.total = last["totals"]["requests"]
        watched.seen = round(last["totals"]["requests"] * last["completeness"])
        watched.lost = sum(row["events"] for row in last["losses"])


class Screen:
    """The live screen on a pseudo-terminal whose other end swallows everything and notes when a text came by."""

    def __init__(self, words: list[str], rows: int = 40, columns: int = 120) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.started = time.monotonic()
        self._process = subprocess.Popen(words, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                         env={**os.environ, "TERM": "xterm-256color"})
        os.close(slave)
        self.pid = self._process.pid
        self._tail = b""
        self._seen: dict[bytes, float] = {}
        self._heard = 0.0
        self.painted: list[float] = []  # when each repaint began
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the program ended
            while select.select([self._master], [], [])[0]:
                data = os.read(self._master, 65536)
                now = time.monotonic()
                if now - self._heard > PAUSE_S:
                    self.painted.append(now)
                self._heard = now
                self._tail = (self._tail + data)[-65536 - 64:]
                for text in [text for text, when in self._seen.items() if not when and text in self._tail]:
                    self._seen[text] = now

    def expect(self, text: str) -> None:
        """Note from now on when `text` appears."""
        self._seen[text.encode()] = 0.0

    def appeared_s(self, text: str) -> float:
        """Seconds from the start to the first sight of `text`."""
        until(lambda: self._seen[text.encode()] or self._process.poll() is not None, text, every_s=0.005)
        assert self._seen[text.encode()], f"the screen ended without {text}: {self._tail[-2000:]!r}"
        return self._seen[text.encode()] - self.started

    def answered_s(self, key: str, text: str) -> float:
        """Press `key`; seconds until `text` has been drawn."""
        self._tail = b""
        self.expect(text)
        pressed = time.monotonic()
        os.write(self._master, key.encode())
        return self.appeared_s(text) - (pressed - self.started)

    def quit_s(self) -> float:
        """Press `q`; seconds until the process is gone."""
        pressed = time.monotonic()
        os.write(self._master, b"q")
        self._process.wait(10)
        return time.monotonic() - pressed

    def close(self) -> None:
        """End it whatever its state."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        os.close(self._master)


@contextlib.contextmanager
def screen_on(arena: Arena, *flags: str) -> Iterator[Screen]:
    """The live screen on the arena's loopback."""
    window = Screen(arena.where.command(*HTTPTOP, "-i", "lo", *flags))
    try:
        yield window
    finally:
        window.close()


@contextlib.contextmanager
def screen(arena: Arena, *flags: str) -> Iterator[Watched]:
    """The live screen, one refresh a second."""
    with screen_on(arena, *flags) as window:
        until(lambda: attached(window.pid), "httptop to attach")
        watched = Watched(window.pid)
        watched.begin()
        yield watched


WATCHERS: dict[str, Watcher] = {
    "batch": batch, "screen": screen, "batch --no-fast-path": lambda arena: batch(arena, "--no-fast-path"),
}
