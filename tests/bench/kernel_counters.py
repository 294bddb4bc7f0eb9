"""What counters in the kernel cost a server that is busy all the time, when nobody reads them."""

from __future__ import annotations

import contextlib
import os
import re
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench.arena import Arena
from tests.bench.measurements import Row
from tests.support import bpf
from tests.support.counters import Host, host, ours, set_xdp, someone_elses_xdp
from tests.support.net import Site, site
from tests.support.nginx import Nginx, nginx

ENABLE_STATS = 32
RUN_TIME_OFFSET = 192  # in struct bpf_prog_info: run_time_ns, then run_cnt
HOOKS = ("tc", "xdp")
EMPTY = "an XDP program that does nothing"  # veth copies packets for XDP: this much is not our program's
VARIANTS = ("nobody", *HOOKS, EMPTY)


def counters(arena: Arena) -> Iterator[Row]:
    """Nginx behind a veth pair and wrk at full speed: what the server keeps of its speed, and ns per packet."""
    rounds, seconds = (2, 2) if arena.quick else (9, 3)
    speeds: dict[str, list[float]] = {name: [] for name in VARIANTS}
    costs: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, site() as wire, host(wire.server) as here, \
            nginx(Path(folder), wire.server, workers=1, log=False) as server:
        _wrk(wire, server, seconds)  # the first run is slower, whatever is on
        for number in range(rounds):
            for name in VARIANTS if number % 2 else VARIANTS[::-1]:
                with _running(wire, here, name):
                    speeds[name].append(_wrk(wire, server, seconds))
        for hook in HOOKS:
            for _ in range(1 if arena.quick else 3):
                for program, ns in _ns_per_run(wire, here, server, hook).items():
                    costs.setdefault(f"{hook}, {program}", []).append(ns)
    yield Row("counters: alone over veth, requests/s", speeds["nobody"], 0)
    for name in VARIANTS[1:]:
        kept = [watched / alone for watched, alone in zip(speeds[name], speeds["nobody"], strict=True)]
        yield Row(f"counters: server keeps with {name}", kept, 3, "no reader" if name in HOOKS else "")
    for name, values in costs.items():
        yield Row(f"counters: ns per packet, {name}", values, 0, "run-time statistics of the kernel included")


@contextlib.contextmanager
def _running(wire: Site, here: Host, name: str) -> Iterator[None]:
    with contextlib.ExitStack() as undo:
        if name in HOOKS:
            undo.enter_context(here.counting("veth0", name))
        elif name == EMPTY:
            index = wire.ifindex(wire.server)
            program, _ = undo.enter_context(someone_elses_xdp())
            set_xdp(wire.server, index, program)
            undo.callback(set_xdp, wire.server, index, -1)
        yield


def _wrk(wire: Site, server: Nginx, seconds: int) -> float:
    words = wire.client.command("wrk", "-t1", "-c32", f"-d{seconds}s", f"{server.url(wire.server4)}/ok")
    out = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    match = re.search(r"Requests/sec:\s+([\d.]+)", out)
    assert match, out
    return float(match[1])


def _ns_per_run(wire: Site, here: Host, server: Nginx, hook: str) -> dict[str, float]:
    """By program. The kernel measures as long as the fd is open."""
    with here.counting("veth0", hook):
        stats, _ = bpf.call(ENABLE_STATS, struct.pack("=I", 0))
        try:
            _wrk(wire, server, 2)
            return {bpf.name(thing): _cost(thing) for thing in sorted(ours()) if thing[0] == "prog"}
        finally:
            os.close(stats)


def _cost(program: bpf.Object) -> float:
    with bpf.opened(program) as fd:
        run_time_ns, runs = struct.unpack_from("=QQ", bpf.info(fd), RUN_TIME_OFFSET)
    return float(run_time_ns / runs)
