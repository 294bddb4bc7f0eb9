"""50,000 connections at once: every request at both processes, and what they cost httptop."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.net import Namespace, namespace
from tests.support.poll import until
from tests.support.program import httptop
from tests.support.score import rows, sources
from tests.support.servers import PORT, listens

CROWD = str(Path(__file__).parent / "served/crowd.py")
PARTS = 3  # pairs of processes, each within the usual limit of descriptors
EACH = 16_667
MOST_BYTES = 40 << 20  # engine.FLOWS_MAX flows, and what one read holds when httptop had to wait for its turn


@contextlib.contextmanager
def running(place: Namespace, *words: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(place.command(sys.executable, CROWD, *words), stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout
    assert process.stdout.readline() == word + "\n"


def ask(process: subprocess.Popen[str]) -> None:
    """One request on each connection."""
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()
    said(process, "done")


@contextlib.contextmanager
def crowd(place: Namespace) -> Iterator[list[subprocess.Popen[str]]]:
    """The clients, connected."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(running(place, "client", str(PORT + part), str(EACH))) for part in range(PARTS)]
        for process in clients:
            said(process, "ready")
        yield clients


@pytest.mark.parametrize("before", [True, False], ids=["open-before", "opened-after"])
def test_crowd(before: bool) -> None:
    """Two requests on each of 50,000 connections: all at both ends; the memory they take is bounded."""
    with namespace() as place, contextlib.ExitStack() as stack:
        servers = [stack.enter_context(running(place, "server", str(PORT + part))) for part in range(PARTS)]
        until(lambda: all(listens(place, PORT + part) for part in range(PARTS)), "the servers")
        clients = stack.enter_context(crowd(place)) if before else []
        top = stack.enter_context(httptop("-i", "lo", "-b", "--json", "-d", "0.5", where=place))
        top.wait_attached()
        idle = top.wait_snapshot(lambda _: True, "the first snapshot")
        clients = clients or stack.enter_context(crowd(place))
        for turn, process in enumerate(clients * 2, 1):
            ask(process)
            # The number of connections is tested, not speed: what one process asks fits into the ring.
            top.wait_snapshot(lambda s, all_so_far=turn * EACH: sum(rows(s, "server").values()) >= all_so_far,
                              f"the requests of turn {turn}")
        snapshot = top.wait_requests(2 * PARTS * EACH)
    # accept() events may be lost when so many come at once, and are counted then; attribution does not need them
    assert not [loss for loss in snapshot["losses"] if loss["events"] and loss["reason"] != "perf_accept"]
    assert rows(snapshot, "server") == {server.pid: 2 * EACH for server in servers}
    assert rows(snapshot, "client") == {process.pid: 2 * EACH for process in clients}
    assert snapshot["self"]["owners"] >= 2 * PARTS * EACH
    grown = snapshot["self"]["rss_bytes"] - idle["self"]["rss_bytes"]
    print(f"{grown / 2**20:.1f} MB, {snapshot['self']}, by {sources(snapshot, 'server')}")
    assert grown <= MOST_BYTES
