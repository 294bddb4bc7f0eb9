"""Servers under test, and which of their processes served how many requests by their own word."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.net import Namespace
from tests.support.poll import PATIENCE_S, until

PORT = 8084
OWN = Path(__file__).parent / "served/server.py"


@dataclass(frozen=True)
class Kind:
    """How a server is started: `{port}`, `{log}`, `{folder}` stand for themselves in `command` and in `files`."""

    name: str
    command: tuple[str, ...]
    comm: str
    files: Mapping[str, str] = field(default_factory=dict)
    build: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    start_s: float = PATIENCE_S  # until it listens


def own(how: str) -> Kind:
    """One of served/server.py."""
    return Kind(how, (sys.executable, str(OWN), how, "{port}", "{log}"), Path(sys.executable).name)


class Served:
    """A running server."""

    def __init__(self, log: Path, process: subprocess.Popen[bytes], port: int) -> None:
        self._log = log
        self.process = process
        self.port = port

    def by_pid(self) -> Counter[int]:
        """Requests served by each process so far."""
        return Counter(int(line.split()[0]) for line in self._log.read_text().splitlines())

    def wait(self, count: int) -> Counter[int]:
        """`by_pid` once it has served `count` requests."""
        until(lambda: self.by_pid().total() >= count, f"{count} requests in the server's log; it has {self.by_pid()}")
        return self.by_pid()


def listens(where: Namespace, port: int) -> bool:
    """Whether somebody listens; looked up, as a connection would be accepted."""
    with where.entered():
        tables = [Path(f"/proc/thread-self/net/{name}").read_text().splitlines() for name in ("tcp", "tcp6")]
    rows = [line.split() for table in tables for line in table[1:]]
    return any(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)


@contextlib.contextmanager
def serving(kind: Kind, where: Namespace, folder: Path, port: int = PORT) -> Iterator[Served]:
    """Run a server of this kind in `where`; it listens when this returns."""
    log = folder / "served.log"
    names = {"port": str(port), "log": str(log), "folder": str(folder)}

    def fill(text: str) -> str:
        for name, value in names.items():
            text = text.replace("{" + name + "}", value)
        return text

    log.touch()
    log.chmod(0o666)
    folder.chmod(0o755)
    for name, text in kind.files.items():
        (folder / name).write_text(fill(text))
    env = {**os.environ, **{name: fill(value) for name, value in kind.env.items()}}
    if kind.build:
        done = subprocess.run([fill(word) for word in kind.build], cwd=folder, env=env, capture_output=True, text=True,
                              check=False)
        assert done.returncode == 0, done.stderr
    with (folder / "stderr").open("wb") as errors:
        process = subprocess.Popen(where.command(*map(fill, kind.command)), cwd=folder, env=env,
                                   stdout=errors, stderr=errors, start_new_session=True)
    try:
        until(lambda: listens(where, port) or process.poll() is not None, f"{kind.name} to listen", kind.start_s)
        assert process.poll() is None, (folder / "stderr").read_text()
        yield Served(log, process, port)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE_S)


