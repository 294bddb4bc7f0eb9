"""Data that is not HTTP, as much as goes through: what watching takes from it."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator

from tests.bench.arena import ADDRESS, Arena, missing
from tests.bench.rows import Row, pairs
from tests.support.net import Namespace, site
from tests.support.poll import until
from tests.support.program import httptop
from tests.support.servers import listens

PORT = 5201


def bulk(arena: Arena) -> Iterator[Row]:
    """One TCP stream of iperf3 over loopback, and over a veth pair between two namespaces."""
    if missing("iperf3"):
        yield Row("bulk", [], note="not installed: iperf3")
        return
    yield from _over("loopback", arena, arena.where, arena.where, ADDRESS, "lo")
    with site() as wire:
        yield from _over("veth", arena, wire.server, wire.client, wire.server4, wire.interface)


def _over(name: str, arena: Arena, server: Namespace, client: Namespace, address: str, interface: str) -> Iterator[Row]:
    rounds, seconds = (2, 1) if arena.quick else (4, 2)
    alone: list[float] = []
    kept: list[float] = []
    with _serving(server):
        for _, watching in pairs(["httptop"], rounds):
            with contextlib.ExitStack() as stack:
                if watching:
                    flags = ("-i", interface, "-b", "--json", "-d", "1")
                    stack.enter_context(httptop(*flags, where=server)).wait_attached()
                speed = _speed(client, address, seconds)
            if watching:
                kept.append(speed / alone[-1])
            else:
                alone.append(speed)
    yield Row(f"bulk: {name} alone, Gbit/s", [speed / 1e9 for speed in alone], 1)
    yield Row(f"bulk: {name} keeps with batch", kept, 3)


@contextlib.contextmanager
def _serving(where: Namespace) -> Iterator[None]:
    words = where.command("iperf3", "--server", "--port", str(PORT))
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    try:
        until(lambda: listens(where, PORT), "iperf3")
        yield
    finally:
        process.kill()
        process.wait()


def _speed(where: Namespace, address: str, seconds: int) -> float:
    """Bits per second, as received."""
    words = where.command("iperf3", "--client", address, "--port", str(PORT), "--time", str(seconds), "--json")
    done = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    return float(done["end"]["sum_received"]["bits_per_second"])
