"""A client process that asks when it is told to."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.net import Namespace
from tests.support.poll import PATIENCE_S
from tests.support.servers import PORT

OWN = Path(__file__).parent / "served/client.py"


class Client:
    """One connection."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid

    def ask(self, times: int = 1) -> None:
        """That many requests, one after the other, each answered."""
        assert self._process.stdin
        assert self._process.stdout
        for _ in range(times):
            self._process.stdin.write("\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
            assert answer.startswith("HTTP/1.1 200"), answer

    def end(self) -> None:
        """Close, and be gone."""
        self._process.communicate(timeout=PATIENCE_S)


@contextlib.contextmanager
def client(where: Namespace, host: str, *, port: int = PORT, source_port: int = 0,
           thread: bool = False) -> Iterator[Client]:
    """Connected when this returns. `thread`: a thread asks that has a name of its own."""
    words = (sys.executable, str(OWN), host, str(port), str(source_port), *(("thread",) if thread else ()))
    with subprocess.Popen(where.command(*words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            yield Client(process)
        finally:
            process.kill()
