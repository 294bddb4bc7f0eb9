"""Real servers: each request at the process that served it by the server's own word, and at the curl that made it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.matrix.kinds import KINDS
from tests.support.net import namespace
from tests.support.program import httptop
from tests.support.score import TOTAL, ask, names, rows
from tests.support.servers import Kind, serving


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_server(tmp_path: Path, kind: Kind) -> None:
    """31 requests over IPv6, IPv4 and v4-mapped, on connections of 1 to 11."""
    for word in (*kind.command[:1], *kind.build[:1]):
        if "{" not in word and shutil.which(word) is None:
            pytest.skip(f"{word} is not installed")
    with namespace() as place, serving(kind, place, tmp_path) as server, \
            httptop("-i", "lo", "-b", "--json", "-d", "0.2", where=place) as top:
        top.wait_attached()
        clients = ask(place)
        truth = server.wait(TOTAL)
        snapshot = top.wait_requests(TOTAL)
    assert rows(snapshot, "server") == truth
    assert rows(snapshot, "client") == clients
    assert names(snapshot, "server") == {kind.comm}
    assert names(snapshot, "client") == {"curl"}
