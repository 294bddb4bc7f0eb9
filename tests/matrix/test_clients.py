"""Real clients: each request at the process that made it."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.matrix.kinds import HERE, nginx, program
from tests.support.net import Namespace, namespace
from tests.support.poll import until
from tests.support.program import Httptop, Snapshot, httptop
from tests.support.score import names, rows
from tests.support.servers import PORT, Served, own, serving

COUNT = 37
ASKERS = {
    "curl": (program("curl"), "-sS", "--fail", "-o", "/dev/null", f"http://localhost:{PORT}/?[1-{COUNT}]"),
    "requests": (sys.executable, str(HERE / "ask.py"), str(COUNT), f"http://[::1]:{PORT}/"),
    "fetch": (program("node"), str(HERE / "fetch.js"), str(COUNT), f"http://127.0.0.1:{PORT}/"),
}


@pytest.fixture
def place() -> Iterator[Namespace]:
    with namespace() as here:
        yield here


@contextlib.contextmanager
def watched(place: Namespace, server: Served) -> Iterator[Httptop]:
    """Watch the loopback of `place`."""
    with httptop("-i", "lo", "-b", "--json", "-d", "0.2", where=place) as top:
        yield top.wait_attached()


def need(word: str) -> None:
    if shutil.which(word) is None:
        pytest.skip(f"{word} is not installed")


@pytest.mark.parametrize("asker", ASKERS)
def test_client(place: Namespace, tmp_path: Path, asker: str) -> None:
    """37 requests of one process, which may run many threads."""
    need(ASKERS[asker][0])
    with serving(own("threads"), place, tmp_path) as server, watched(place, server) as top:
        with subprocess.Popen(place.command(*ASKERS[asker]), stdout=subprocess.DEVNULL) as client:
            assert client.wait(60) == 0
        server.wait(COUNT)
        snapshot = top.wait_requests(COUNT)
    assert rows(snapshot, "client") == {client.pid: COUNT}
    assert names(snapshot, "client") == {Path(ASKERS[asker][0]).name}


def test_wrk(place: Namespace, tmp_path: Path) -> None:
    """As many as it makes in a second over seven connections in two threads: all at it, and at nginx's workers."""
    need("wrk")
    with serving(nginx(4), place, tmp_path) as server, watched(place, server) as top:
        words = place.command("wrk", "-t2", "-c7", "-d1s", f"http://127.0.0.1:{PORT}/")
        with subprocess.Popen(words, stdout=subprocess.DEVNULL) as client:
            assert client.wait(60) == 0
        snapshot, truth = settled(top, server)
    assert snapshot["completeness"] == 1
    assert rows(snapshot, "server") == truth
    assert rows(snapshot, "client") == {client.pid: truth.total()}
    assert names(snapshot, "client") == {"wrk"}


def settled(top: Httptop, server: Served) -> tuple[Snapshot, Counter[int]]:
    """A snapshot that is like the one before it and has as many requests as the server's log, and who is in that."""
    def quiet() -> bool:
        # the last request of a browser may be in the log, and not yet in two equal snapshots of the second before it
        last = [snapshot["totals"] for snapshot in top.snapshots()[-2:]]
        return len(last) == 2 and last[0] == last[1] and last[1]["requests"] == server.by_pid().total() > 0

    try:
        until(quiet, "httptop and the server's log to have as many requests")
    except AssertionError as error:
        raise AssertionError(f"{error}: {top.snapshots()[-1]['totals']}, {server.by_pid()}") from None
    return top.snapshots()[-1], server.by_pid()


def test_browser(place: Namespace, tmp_path: Path) -> None:
    """A headless browser asks in a process of its own for the network; the kernel's socket list knows which."""
    browser = next((found for name in ("chromium", "chromium-browser", "google-chrome")
                    if (found := shutil.which(name))), None)
    if browser is None:
        pytest.skip("no Chromium is installed")
    words = (browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
             "--no-first-run", f"--user-data-dir={tmp_path}/profile", "--dump-dom", f"http://127.0.0.1:{PORT}/slow")
    with serving(own("prefork"), place, tmp_path) as server, watched(place, server) as top:
        with subprocess.Popen(place.command(*words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as client:
            asking = until(lambda: connected(place), "the browser's connection", 60)
            client.wait(60)
        snapshot, truth = settled(top, server)
    assert rows(snapshot, "server") == truth
    assert rows(snapshot, "client") == {asking: truth.total()}


def connected(place: Namespace) -> int | None:
    """Who has a connection to the server, by /proc."""
    with place.entered():
        return next((found.pid for found in psutil.net_connections("tcp")
                     if found.raddr and found.raddr.port == PORT and found.pid), None)
