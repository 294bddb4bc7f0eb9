"""The traffic of --demo: who makes it, as whom, and that it never outlives httptop."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from httptop import demo
from httptop.capture import system
from tests.support.poll import PATIENCE_S, until

NAMES = {*demo.SERVERS, *demo.CLIENTS, "httptop-demo"}


def descendants(pid: int) -> dict[int, str]:
    """Living processes below `pid`, by pid, with their names."""
    found = {}
    with contextlib.suppress(OSError):
        for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()):
            process = system.process(child)
            if process is not None:
                found[child] = process.comm
                found.update(descendants(child))
    return found


def gone(pid: int) -> bool:
    """Whether it has ended; a zombie has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@contextlib.contextmanager
def traffic() -> Iterator[tuple[subprocess.Popen[str], dict[str, tuple[str, int]]]]:
    """The demo as a program, and where its servers listen."""
    command = [sys.executable, "-m", "httptop.demo", "--seconds", "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline().split() for _ in demo.SERVERS]
            yield process, {name: (host, int(port)) for name, host, _, port in lines}
        finally:
            process.kill()


def test_telling_names_and_no_root() -> None:
    """Each server and client is a process with a name of its own, and none is root."""
    with traffic() as (process, _):
        for pid in until(lambda: _whole(process.pid), "every process"):
            assert "\nUid:\t0\t" not in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")


def test_servers_answer() -> None:
    """Methods and statuses are those of the table, and over IPv6 too where there is any."""
    with traffic() as (_, addresses):
        for server, method, path, statuses in (
            ("shop-api", "GET", "/api/products", {200}), ("shop-api", "DELETE", "/api/carts/1/items/1", {204}),
            ("static", "GET", "/old/x", {301}), ("auth", "HEAD", "/healthz", {200}), ("auth", "GET", "/no", {404}),
        ):
            connection = http.client.HTTPConnection(*addresses[server], timeout=PATIENCE_S)
            with contextlib.closing(connection):
                connection.request(method, path)
                assert connection.getresponse().status in statuses
        assert addresses["static"][0] in ("::1", "127.0.0.1")


def test_nothing_outlives_a_killed_parent() -> None:
    """SIGKILL of the parent, which can clean up nothing, ends every process of the demo."""
    with traffic() as (process, _):
        family = until(lambda: _whole(process.pid), "every process")
        process.send_signal(signal.SIGKILL)
        until(lambda: all(map(gone, family)), "the demo to end")


def test_nothing_outlives_a_killed_supervisor() -> None:
    """When the first process of the demo is killed, the kernel kills the others."""
    with traffic() as (process, _):
        family = until(lambda: _whole(process.pid), "every process")
        os.kill(next(pid for pid, name in family.items() if name == "httptop-demo"), signal.SIGKILL)
        until(lambda: all(map(gone, family)), "the demo to end")


def test_nothing_outlives_an_interrupted_parent() -> None:
    """Ctrl-C ends every process of the demo, and reports no failure."""
    with traffic() as (process, _):
        family = until(lambda: _whole(process.pid), "every process")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
        assert all(map(gone, family))


def _whole(pid: int) -> dict[int, str]:
    family = descendants(pid)
    return family if set(family.values()) >= NAMES else {}
