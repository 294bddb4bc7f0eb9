"""Address translation: the flow on the wire is not the flow at the server's socket."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from httptop import worker
from httptop.capture.live import LiveSource
from httptop.capture.system import identify
from httptop.engine import Engine
from httptop.export import View
from httptop.snapshot import ProcessRow
from tests.support.clients import client
from tests.support.net import Namespace, ip, namespace
from tests.support.poll import until
from tests.support.program import httptop
from tests.support.score import rows
from tests.support.servers import PORT, own, serving

PUBLIC = 8099  # a published port, as of a container
RULES = """
table ip published {
  chain in { type nat hook prerouting priority dstnat; ip daddr 10.85.1.1 tcp dport %d dnat to 10.85.2.2:%d; }
  chain out { type nat hook postrouting priority srcnat; oif "inside" masquerade; }
}
"""


@pytest.fixture
def router(tmp_path: Path) -> Iterator[tuple[Namespace, Namespace, Namespace]]:
    """A client, a host that translates, and a server behind it."""
    if shutil.which("nft") is None and shutil.which("nft", path="/usr/sbin") is None:
        pytest.skip("nft is not installed")
    with namespace() as asking, namespace() as host, namespace() as server:
        for number, (end, name) in enumerate(((asking, "outside"), (server, "inside")), 1):
            ip("-n", host.name, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", end.name)
            ip("-n", host.name, "addr", "add", f"10.85.{number}.1/24", "dev", name)
            ip("-n", host.name, "link", "set", name, "up")
            ip("-n", end.name, "addr", "add", f"10.85.{number}.2/24", "dev", "eth0")
            ip("-n", end.name, "link", "set", "eth0", "up")
            ip("-n", end.name, "route", "add", "default", "via", f"10.85.{number}.1")
        host.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        (tmp_path / "rules").write_text(RULES % (PUBLIC, PORT))
        host.run("nft", "-f", str(tmp_path / "rules"))
        yield asking, host, server


@pytest.mark.parametrize("early", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("interface", ["outside", "inside"])
def test_both_sides_of_a_translation(router: tuple[Namespace, Namespace, Namespace], tmp_path: Path, interface: str,
                                     early: bool) -> None:
    """Both addresses are translated; on either side, both ends are found, for connections from before the start too."""
    asking, host, inside = router
    watch = httptop("-i", interface, "-b", "--json", "-d", "0.2", where=host)
    with serving(own("threads"), inside, tmp_path) as server:
        if early:
            with client(asking, "10.85.1.1", port=PUBLIC) as caller, watch as top:
                top.wait_attached()
                caller.ask(13)
                snapshot = top.wait_requests(13)
        else:
            with watch as top:
                top.wait_attached()
                with client(asking, "10.85.1.1", port=PUBLIC) as caller:
                    caller.ask(13)
                snapshot = top.wait_requests(13)
    assert rows(snapshot, "server") == {server.process.pid: 13}
    assert rows(snapshot, "client") == {caller.pid: 13}


def test_nobody_behind_a_translation(router: tuple[Namespace, Namespace, Namespace], tmp_path: Path) -> None:
    """Where the process behind a translation is not seen, the row says so."""
    asking, host, inside = router
    with serving(own("threads"), inside, tmp_path), host.entered():
        live = LiveSource(("outside",), keep_root=True, sources=frozenset())
        try:
            live.open()
            engine = Engine(live.info, 0, identify, live.owner)
            with client(asking, "10.85.1.1", port=PUBLIC) as caller:
                caller.ask(5)
            until(lambda: engine.feed(live.read(0)) or engine.snapshot(0).totals.responses == 5, "five responses")
            (row,) = [row for row in View().processes(worker.finish(live, engine)) if row.requests]
        finally:
            live.close()
    assert told(row) == (None, 5, (("unknown: translated", 5),))


def told(row: ProcessRow) -> tuple[int | None, int, tuple[tuple[str, int], ...]]:
    return row.process and row.process.pid, row.requests, row.attribution
