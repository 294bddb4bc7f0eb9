"""Traffic made on purpose: curl processes with known pids, and a plain loop that makes an exact number of requests."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tests.support import tcp
from tests.support.net import Namespace
from tests.support.poll import PATIENCE_S


class Call(NamedTuple):
    """One curl process: `times` requests on one connection."""

    method: str
    base: str
    path: str
    times: int
    pid: int


def curl(where: Namespace, method: str, base: str, path: str, times: int = 1) -> Call:
    """Run one curl for `base` + `path` to its end."""
    how = {"HEAD": ["-I"], "POST": ["-d", "key=value"], "GET": []}.get(method, ["-X", method])
    targets = [word for _ in range(times) for word in ("-o", "/dev/null", base + path)]
    process = subprocess.Popen(where.command("curl", "-sS", "-g", *how, *targets), stderr=subprocess.PIPE)
    _, error = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, error
    return Call(method, base, path, times, process.pid)


def calls(where: Namespace, bases: Iterable[str], plan: Iterable[tuple[str, str, int]]) -> Iterator[Call]:
    """The same (method, path, times) plan for each base URL, one curl after the other."""
    for base in bases:
        for method, path, times in plan:
            yield curl(where, method, base, path, times)


def hammer(where: Namespace, address: str, port: int, count: int, connections: int = 16) -> None:
    """`count` keep-alive GETs of /ok over several connections, each answered before its connection asks again."""
    host = f"[{address}]" if ":" in address else address
    request = f"GET /ok HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    ends = []
    for _ in range(connections):
        end = where.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        end.connect((address, port))
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ends.append(end)
    try:
        ends[0].sendall(request)
        size = _answer_size(ends[0])
        for done in range(1, count, connections):
            now = ends[:min(connections, count - done)]
            for end in now:
                end.sendall(request)
            for end in now:
                tcp.receive(end, size)
    finally:
        for end in ends:
            end.close()


def _answer_size(end: socket.socket) -> int:
    data = b""
    while not data.endswith(b"\r\n\r\nok\n"):
        more = end.recv(65536)
        assert more, data
        data += more
    return len(data)
