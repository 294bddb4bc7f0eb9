"""What counters in the kernel cost a server that is busy all the time, when nobody reads them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from httptop.counters import attach
from httptop.counters import bpf as programs
from tests.bench.arena import Arena
from tests.bench.programs import run_statistics, statistics_on
from tests.bench.rows import Row
from tests.support import bpf
from tests.support.counters import Host, host, set_xdp, someone_elses_xdp
from tests.support.net import Site, site
from tests.support.nginx import Nginx, nginx

INTERFACE = "veth0"
SLICE_S = 0.2
SETTLE_S = 0.1  # what the switching leaves to be done is no part of what it costs to count

Switch = Callable[[bool], None]


def counters(arena: Arena) -> Iterator[Row]:
    """Nginx behind a veth pair and wrk at full speed: what the server keeps of its speed, and ns per packet.

    One long run, in which the program is put on and taken off every SLICE_S, so that whatever else the machine does
    meets both alike. With XDP, a program that does nothing takes its place: veth copies packets for any XDP program,
    and that is not ours to measure.
    """
    values = 15 if arena.quick else 80
    with tempfile.TemporaryDirectory() as folder, site() as wire, host(wire.server) as here, \
            nginx(Path(folder), wire.server, workers=1, log=False) as server:
        for hook, switched, note in (("tc", _tc, "against none"), ("xdp", _xdp, "against an empty XDP program")):
            with here.counting(INTERFACE, hook), _busy(wire, server):
                with switched(wire, here) as switch:
                    kept = [_kept(server, switch) for _ in range(values)]
                yield Row(f"counters: server keeps with {hook}", kept, 3, f"{note}; nobody reads")
                for name, number in zip(("in", "out"), here.about(INTERFACE).programs, strict=True):
                    if number:
                        costs = [_ns_per_run(number) for _ in range(11)]
                        yield Row(f"counters: ns per packet, {hook} {name}", costs, 0, "the kernel's own statistics")


@contextlib.contextmanager
def _busy(wire: Site, server: Nginx) -> Iterator[None]:
    """Wrk at full speed for as long as the context lasts."""
    words = wire.client.command("wrk", "-t1", "-c32", "-d1h", f"{server.url(wire.server4)}/ok")
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    try:
        time.sleep(1)
        yield
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def _tc(wire: Site, here: Host) -> Iterator[Switch]:
    about = here.about(INTERFACE)._replace(made_clsact=False)
    fds = [programs.program_fd(number) for number in about.programs]

    def switch(on: bool) -> None:
        with wire.server.entered():
            attach.detach(about)
            if on:
                attach.add_filters(about.ifindex, about.programs, fds)

    yield switch
    switch(True)
    for fd in fds:
        os.close(fd)


@contextlib.contextmanager
def _xdp(wire: Site, here: Host) -> Iterator[Switch]:
    about = here.about(INTERFACE)
    ours = programs.program_fd(about.programs[0])
    with someone_elses_xdp() as (empty, _):
        yield lambda on: set_xdp(wire.server, about.ifindex, ours if on else empty)
        set_xdp(wire.server, about.ifindex, ours)
    os.close(ours)


def _kept(server: Nginx, switch: Switch) -> float:
    """Share of its speed that the server keeps, over four slices: what gets faster or slower all the while is no part.

    Many of these and their median, rather than few long ones: what else the machine does comes in bursts.
    """
    speed = {True: 0.0, False: 0.0}
    for on in (True, False, False, True):
        switch(on)
        time.sleep(SETTLE_S)
        before, began = server.requests(), time.monotonic()
        time.sleep(SLICE_S)
        speed[on] += (server.requests() - before) / (time.monotonic() - began)
    return speed[True] / speed[False]


def _ns_per_run(program: int) -> float:
    """Over a slice; the measuring is counted in."""
    with bpf.opened(("prog", program)) as fd:
        before = run_statistics(fd)
        with statistics_on():
            time.sleep(SLICE_S)
            run_time_ns, runs = (now - then for now, then in zip(run_statistics(fd), before, strict=True))
    return run_time_ns / runs
