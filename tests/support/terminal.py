"""A real terminal: a tmux server of the test's own."""

from __future__ import annotations

import contextlib
import itertools
import os
import shlex
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.poll import PATIENCE_S, until
from tests.support.program import attached, kill_session, session_members

_numbers = itertools.count()


class Terminal:
    """One tmux window of `columns` x `rows` in which `words` runs."""

    def __init__(self, words: Sequence[str], columns: int, rows: int) -> None:
        self._socket = f"httptop-test-{os.getpid()}-{next(_numbers)}"
        # readline, which pytest imports, puts a size into the environment that would win over the real one
        clean = ("env", "-u", "COLUMNS", "-u", "LINES", "TERM=tmux-256color")
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows),
                   *clean, "sh", "-c", "read _; exec " + shlex.join(words))
        self._tmux("set", "-g", "remain-on-exit", "on")  # before the program starts: its end must not be missed
        self.keys("Enter")

    def _tmux(self, *words: str) -> str:
        done = subprocess.run(["tmux", "-L", self._socket, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"tmux {words}: {done.stderr}"
        return done.stdout

    def keys(self, *names: str) -> None:
        """Press keys, named as tmux does (`Escape`, `Space`, `q`)."""
        self._tmux("send-keys", *names)

    def resize(self, columns: int, rows: int) -> None:
        """Give the window another size."""
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    @property
    def screen(self) -> str:
        """What a user sees."""
        return self._tmux("capture-pane", "-p")

    @property
    def pid(self) -> int:
        """Of the program in the window."""
        return int(self._tmux("display", "-p", "#{pane_pid}"))

    def wait_text(self, text: str, timeout_s: float = PATIENCE_S) -> str:
        """The screen, once `text` is on it."""
        try:
            until(lambda: text in self.screen, f"{text!r} on the screen", timeout_s, every_s=0.05)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.screen}") from None
        return self.screen

    def wait_gone(self, text: str, timeout_s: float = PATIENCE_S) -> str:
        """The screen, once `text` is no longer on it."""
        until(lambda: text not in self.screen, f"{text!r} to leave the screen", timeout_s, every_s=0.05)
        return self.screen

    def wait_attached(self) -> Terminal:
        """Return when the httptop in the window captures."""
        try:
            until(lambda: attached(self.pid), "httptop to attach")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.screen}") from None
        return self

    def wait_exit(self, timeout_s: float = PATIENCE_S) -> int:
        """Exit code of the program, or minus the number of the signal that killed it."""
        until(lambda: self._exit() is not None, f"the program to end; screen:\n{self.screen}", timeout_s)
        return self._exit() or 0

    def _exit(self) -> int | None:
        query = "#{pane_dead}/#{pane_dead_status}/#{pane_dead_signal}"
        dead, code, signal = self._tmux("display", "-p", query).strip().split("/")
        if dead != "1" or code or signal:
            return int(code) if code else -int(signal) if signal else None
        # tmux 3.3 may miss SIGCHLD and leave a zombie, whose last field in proc(5) is its wait status.
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):  # waited for by now
            return None
        return os.waitstatus_to_exitcode(int(stat[-1])) if stat[0] == "Z" else None

    def close(self) -> None:
        """End the tmux server and what runs in it."""
        subprocess.run(["tmux", "-L", self._socket, "kill-server"], capture_output=True, check=False)


@contextlib.contextmanager
def terminal(words: Sequence[str], columns: int = 120, rows: int = 40) -> Iterator[Terminal]:
    """`words` in a terminal, which is closed at the end; what does not end with it is killed."""
    window = Terminal(words, columns, rows)
    session = window.pid
    try:
        yield window
    finally:
        window.close()
        deadline = time.monotonic() + 2
        while session_members(session) and time.monotonic() < deadline:
            time.sleep(0.02)
        kill_session(session)
