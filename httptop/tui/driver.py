"""Textual's terminal driver with an input thread that can be woken up.

Textual's own looks for the end of the program every 0.1 s and then sleeps 0.1 s more: most of the time that `q` took.
It also ends in a traceback when what is typed is no UTF-8, and spins when the terminal goes away.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
from codecs import getincrementaldecoder
from typing import TextIO

from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver

READ_BYTES = 4096
TICK_S = 0.1  # how long a lone Esc may be the beginning of a key's sequence


class Output:
    """A terminal that may go away.

    Textual's output thread ends at the first error. Its queue then fills up, and who writes next waits for ever.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.fileno = file.fileno
        self.isatty = file.isatty

    def write(self, text: str) -> None:
        """Write, or not if nobody can see it any more."""
        with contextlib.suppress(OSError):
            self._file.write(text)

    def flush(self) -> None:
        """Flush, as well as that goes."""
        with contextlib.suppress(OSError):
            self._file.flush()


class Driver(LinuxDriver):
    """Leaves at once when asked to."""

    def start_application_mode(self) -> None:
        """Also after Ctrl-Z and fg."""
        if self._file is not None and not isinstance(self._file, Output):
            self._file = Output(self._file)  # type: ignore[assignment]
        self._woken, self._wake = socket.socketpair()
        super().start_application_mode()  # type: ignore[no-untyped-call]

    def run_input_thread(self) -> None:
        """Read keys until `disable_input`; a terminal that is gone ends the program."""
        parser = XTermParser(self._debug)
        decode = getincrementaldecoder("utf-8")("replace").decode
        while not self.exit_event.is_set():
            readable, _, _ = select.select([self.fileno, self._woken], [], [], TICK_S)
            if self.fileno in readable:
                data = self._read()
                if not data:
                    self._app.call_later(self._app.action_quit)
                    return
                for message in parser.feed(decode(data)):
                    self.process_message(message)
            for message in parser.tick():
                self.process_message(message)

    def _read(self) -> bytes:
        try:
            return os.read(self.fileno, READ_BYTES)
        except OSError:  # EIO: the terminal was closed
            return b""

    def disable_input(self) -> None:
        """Wake the input thread up, then wait for its end like Textual does."""
        if not self.exit_event.is_set():
            self.exit_event.set()
            with contextlib.suppress(OSError):
                self._wake.send(b"q")
            if self._key_thread is not None:
                self._key_thread.join()
            self.exit_event.clear()
        super().disable_input()

    def close(self) -> None:
        """Textual's clean-up, and ours."""
        super().close()
        self._woken.close()
        self._wake.close()
