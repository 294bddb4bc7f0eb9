"""Where benchmarks run: a namespace of their own with nginx on its loopback, and the clients that load it."""

from __future__ import annotations

import contextlib
import math
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.support.net import Namespace, namespace
from tests.support.nginx import Nginx, nginx

ADDRESS = "127.0.0.1"
LEAD_S = 1.0
# What nginx may still change while it sends it goes out in chunks.
IN_CHUNKS = """
    location /chunk { ssi on; ssi_types *; return 200 "ok"; }
    location /chunks { ssi on; ssi_types *; return 200 "%s"; }
""" % ("x" * 3000)
# For wrk: each request has a body of its own. Each of its connections waits a little before it asks again.
BODIES = """
    local n = 0
    function delay() return 2 end
    function request()
      n = n + 1
      return wrk.format("POST", nil, nil, string.format('{"id": "%08x", "text": "%s"}', n, string.rep("x", n % 50)))
    end
"""


@dataclass(frozen=True)
class Arena:
    """One nginx worker in a namespace, and what it is asked for; `quick`: fewer and shorter runs, for a first look."""

    where: Namespace
    server: Nginx
    quick: bool
    path: str = "/ok"

    @property
    def url(self) -> str:
        return self.server.url(ADDRESS) + self.path

    def wrk(self, seconds: float) -> float:
        """Full speed, one thread, 32 connections: requests per second, by the server's count, after the first second.

        In that one a watcher may still learn what this client asks for.
        """
        words = self.where.command("wrk", "-t1", "-c32", f"-d{math.ceil(LEAD_S + seconds + 0.5)}s", self.url)
        with subprocess.Popen(words, stdout=subprocess.DEVNULL):
            time.sleep(LEAD_S)
            before, began = self.server.requests(), time.monotonic()
            time.sleep(seconds)
            return (self.server.requests() - before) / (time.monotonic() - began)

    def steady(self, rate: int, seconds: int, clients: int = 20) -> tuple[float, list[int]]:
        """Open loop at `rate` requests per second: what was answered per second, and the latencies in microseconds."""
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder, "log")
            words = self.where.command("h2load", "--h1", f"-c{clients}", "-t1", f"--rps={rate // clients}",
                                       f"-D{seconds}", f"--log-file={log}", self.url)
            subprocess.run(words, stdout=subprocess.DEVNULL, check=True)
            rows = [tuple(map(int, line.split("\t"))) for line in log.read_text().splitlines()]
        first, last = min(row[0] for row in rows), max(row[0] + row[2] for row in rows)
        return 1e6 * len(rows) / (last - first), [row[2] for row in rows]

    def upload(self, seconds: int) -> None:
        """Requests with bodies, by 32 connections that wait 2 ms each time: some 10,000 per second."""
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            script.write(BODIES)
            script.flush()
            subprocess.run(self.where.command("wrk", "-t1", "-c32", f"-d{seconds}s", "-s", script.name, self.url),
                           stdout=subprocess.DEVNULL, check=True)

    def server_cpu_s(self) -> float:
        """CPU seconds of nginx with its worker so far."""
        return cpu_s(self.server.process.pid) + sum(
            cpu_s(child.pid) for child in psutil.Process(self.server.process.pid).children())


def cpu_s(pid: int) -> float:
    """User and system time of a process, with that of its children that have ended."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def family(pid: int) -> list[int]:
    """A process with all that it has started and that still runs."""
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


def missing(*tools: str) -> list[str]:
    """Those of `tools` that are not installed."""
    return [tool for tool in tools if shutil.which(tool, path="/usr/local/sbin:/usr/sbin:/usr/bin:/bin") is None]


@contextlib.contextmanager
def arena(*, quick: bool) -> Iterator[Arena]:
    """The namespace and its server, removed at the end."""
    with tempfile.TemporaryDirectory() as folder, namespace() as where, \
            nginx(Path(folder), where, workers=1, log=False, locations=IN_CHUNKS) as server:
        yield Arena(where, server, quick)
