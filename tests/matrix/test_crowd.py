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
CONNECTIONS = 50_000
MOST_BYTES = 40 << 20
READY_S = 180


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


@pytest.mark.parametrize("before", [True, False], ids=["open-before", "opened-after"])
def test_crowd(before: bool) -> None:
    """Two requests on each of 50,000 connections: all at both ends; the memory they take is bounded."""
    with namespace() as place, running(place, "server", str(PORT)) as server, contextlib.ExitStack() as stack:
        until(lambda: listens(place, PORT), "the server")
        words = ("client", str(PORT), str(CONNECTIONS))
        if before:
            asking = stack.enter_context(running(place, *words))
            said(asking, "ready")
        top = stack.enter_context(httptop("-i", "lo", "-b", "--json", "-d", "1", where=place))
        top.wait_attached()
        idle = top.wait_snapshot(lambda _: True, "the first snapshot")
        if not before:
            asking = stack.enter_context(running(place, *words))
            said(asking, "ready")
        ask(asking)
        ask(asking)
        snapshot = top.wait_requests(2 * CONNECTIONS)
        assert rows(snapshot, "server") == {server.pid: 2 * CONNECTIONS}
        assert rows(snapshot, "client") == {asking.pid: 2 * CONNECTIONS}
        assert not [loss for loss in snapshot["losses"] if loss["events"]]
        assert snapshot["self"]["owners"] >= 2 * CONNECTIONS
        grown = snapshot["self"]["rss_bytes"] - idle["self"]["rss_bytes"]
        print(f"{grown / 2**20:.1f} MB, {snapshot['self']}, by {sources(snapshot, 'server')}")
        assert grown <= MOST_BYTES
