"""Data that is not HTTP, as much as goes through: what watching takes from it."""

from __future__ import annotations

import contextlib
import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.bench import in_turn
from tests.bench.arena import ADDRESS, Arena, missing
from tests.bench.rows import Row
from tests.support.net import Namespace, namespace, site
from tests.support.poll import until
from tests.support.program import httptop
from tests.support.servers import listens

PORT = 5201


class Way(NamedTuple):
    """From where to where data goes, and over which interface of the server."""

    server: Namespace
    client: Namespace
    address: str
    interface: str

    def received(self) -> float:
        """Bits, so far."""
        with self.server.entered():
            lines = Path("/proc/thread-self/net/dev").read_text(encoding="ascii").splitlines()
        [row] = [line for line in lines if line.split(":")[0].strip() == self.interface]
        return 8 * float(row.split(":")[1].split()[0])


def bulk(arena: Arena) -> Iterator[Row]:
    """One TCP stream of iperf3 over loopback, and over a veth pair between two namespaces, in turn with another one."""
    if missing("iperf3"):
        yield Row("bulk", [], note="not installed: iperf3")
        return
    pairs = 16 if arena.quick else 80
    with namespace() as other:
        yield _over("loopback", (Way(arena.where, arena.where, ADDRESS, "lo"), Way(other, other, ADDRESS, "lo")), pairs)
    with site() as one, site() as two:
        one_way, other_way = (Way(wire.server, wire.client, wire.server4, wire.interface) for wire in (one, two))
        yield _over("veth", (one_way, other_way), pairs)


def _over(name: str, ways: tuple[Way, Way], pairs: int) -> Row:
    with contextlib.ExitStack() as servers:
        for way in ways:
            servers.enter_context(_serving(way.server))
        kept = in_turn.between(ways, _watching, _stream, pairs)
    return Row(f"bulk: {name} keeps with batch, in turn", kept, 3, in_turn.mean(kept))


@contextlib.contextmanager
def _watching(way: Way) -> Iterator[None]:
    with httptop("-i", way.interface, "-b", "--json", "-d", "1", where=way.server) as top:
        top.wait_attached()
        yield


def _stream(way: Way) -> contextlib.AbstractContextManager[in_turn.Client]:
    """Bits per second, as received."""
    words = way.client.command("iperf3", "--client", way.address, "--port", str(PORT), "--time", "36000")
    return in_turn.stopped_between(words, way.received)


@contextlib.contextmanager
def _serving(where: Namespace) -> Iterator[None]:
    words = where.command("iperf3", "--server", "--port", str(PORT))
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(functools.partial(listens, where, PORT), "iperf3")
        yield
    finally:
        process.kill()
        process.wait()
