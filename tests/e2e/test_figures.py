"""Exchange by exchange against nginx's own access log, and at full speed against wrk's figures."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import statistics
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from httptop.stats import SUB_BITS
from tests.support import nginx
from tests.support.dialogs import chunks, end_text
from tests.support.logged import log
from tests.support.net import Site
from tests.support.poll import PATIENCE_S
from tests.support.program import Snapshot, httptop

TOLERANCE_MS = 2.0
HISTOGRAM_STEP = 2.0**-SUB_BITS

SLOW = """
    location ~ ^/slow/ {{ proxy_pass http://unix:{folder}/slow.sock; proxy_http_version 1.1; }}
"""


@contextlib.contextmanager
def slow_backend(folder: Path) -> Iterator[None]:
    """Behind nginx, over a Unix socket, which no one watches: `/slow/5` takes 5 ms and is chunked."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "slow.sock"))
        listener.listen()

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    end, _ = listener.accept()
                    with end:
                        head = end.recv(65536)
                        time.sleep(int(head.split()[1].split(b"/")[2]) / 1000)
                        end.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                                    + chunks(b"a" * 100, b"b" * 3000))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def curl(wire: Site, *words: str) -> None:
    """One curl, whose answers are thrown away."""
    command = wire.client.command("curl", "-sS", *words)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=PATIENCE_S)


def browse(wire: Site, base: str) -> None:
    """Every framing of an answer, kept alive and closed."""
    slow = [base + f"/slow/{ms}" for ms in (5, 20, 80) for _ in range(7)]
    curl(wire, *slow)
    curl(wire, *(base + path for path in ("/ok", "/files/1m", "/moved", "/missing?x=1", "/files/64k", "/empty")))
    curl(wire, "-I", base + "/files/1m", base + "/ok", base + "/slow/5")
    curl(wire, "--http1.0", base + "/slow/5")  # ends with the connection
    curl(wire, "-H", "Connection: close", base + "/files/64k")
    curl(wire, "-z", "2040-01-01", base + "/files/64k")  # 304
    curl(wire, "-r", "100-199", base + "/files/64k")  # 206
    for path in ("/created", "/broken"):  # which are answered before all of the body has come: one connection each
        curl(wire, "-d", "x" * 100_000, base + path)


def test_same_as_the_access_log(wire: Site, tmp_path: Path) -> None:
    """Exchange by exchange: nginx's method, target, status and $bytes_sent, and its $request_time within 2 ms."""
    with slow_backend(tmp_path), nginx.nginx(tmp_path, wire.server, port=8084,
                                             locations=SLOW.format(folder=tmp_path)) as web:
        with httptop("-i", "veth0", "-b", "--json", "-d", "0.2", where=wire.server) as top:
            top.wait_attached()
            with log(wire.server, "veth0") as run:
                browse(wire, web.url(wire.server4))
                snapshot = top.wait_requests(len(web.log()))
        lines = web.log()
    told, logged = by_connection(run.exchanges, "client"), by_connection(lines, "end")
    assert told.keys() == logged.keys()
    pairs = [pair for end in told for pair in zip(told[end], logged[end], strict=True)]
    for one, line in pairs:
        assert (one["method"], one["target"], one["status"], one["response_bytes"]) == (
            line.method, line.target, line.status, line.sent)
    assert snapshot["totals"]["requests"] == snapshot["totals"]["responses"] == len(lines)
    assert abs(statistics.median(one["latency_ms"] - line.seconds * 1000 for one, line in pairs
                                 if line.target.startswith("/slow/"))) < TOLERANCE_MS
    for ms in (5, 20, 80):
        check_row(snapshot, [pair for pair in pairs if pair[1].target == f"/slow/{ms}" and pair[1].method == "GET"])


def by_connection(things: list[Any], what: str) -> dict[str, list[Any]]:
    """By the client's end."""
    found = defaultdict(list)
    for thing in things:
        found[thing["client"] if what == "client" else end_text(thing.client, thing.port)].append(thing)
    return found


def check_row(snapshot: Snapshot, pairs: list[tuple[Any, nginx.Access]]) -> None:
    """The URL's row has the bytes that nginx logged, and the percentiles of the exchanges that the other run told."""
    (row,) = [row for row in snapshot["urls"] if (row["method"], row["path"]) == ("GET", pairs[0][1].target)]
    assert row["requests"] == len(pairs)
    assert row["response_bytes"] == sum(line.sent for _, line in pairs)
    latencies = sorted(one["latency_ms"] for one, _ in pairs)
    for name, latency in (("p50", statistics.median_low(latencies)), ("max", latencies[-1])):
        assert row["latency_ms"][name] == pytest.approx(latency, rel=HISTOGRAM_STEP, abs=TOLERANCE_MS)


WRK_UNITS_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3}

if shutil.which("wrk"):  # not every distribution has it

    def test_same_as_wrk(wire: Site, web: nginx.Nginx) -> None:
        """At full speed: the requests that wrk and nginx counted, and the latency that wrk measured at the median."""
        before, connections = len(web.log()), 4
        with httptop("-i", "veth0", "-b", "--json", "-d", "0.2", where=wire.server) as top:
            top.wait_attached()
            words = wire.client.command("wrk", "-t1", f"-c{connections}", "-d1s", "--latency",
                                        web.url(wire.server4) + "/ok")
            out = subprocess.run(words, check=True, capture_output=True, text=True, timeout=PATIENCE_S).stdout
            logged = len(web.log(before))
            totals = top.wait_requests(logged)["totals"]
            (row,) = top.snapshots()[-1]["urls"]
        counted = re.search(r"(\d+) requests in", out)
        median = re.search(r"50%\s+([\d.]+)(us|ms|s)", out)
        assert counted, out
        assert median, out
        assert int(counted[1]) <= logged <= totals["requests"] <= logged + connections
        assert row["latency_ms"]["p50"] == pytest.approx(float(median[1]) * WRK_UNITS_MS[median[2]], abs=TOLERANCE_MS)
