"""What counters in the kernel cost a server that is busy all the time, when nobody reads them."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from httptop.counters import attach, tcx
from httptop.counters import bpf as programs
from httptop.counters.pins import About, Hook
from tests.bench.arena import Arena
from tests.bench.programs import run_statistics, statistics_on
from tests.bench.rows import Row
from tests.support import bpf
from tests.support.counters import Host, empty_tc, host, set_xdp, someone_elses_xdp
from tests.support.net import Site, site
from tests.support.nginx import Nginx, nginx

INTERFACE = "veth0"
SLICE_S = 0.2
SETTLE_S = 0.1  # what the switching leaves to be done is no part of what it costs to count

OURS, EMPTY, NONE = "ours", "empty", "none"
Switch = Callable[[str], None]


def counters(arena: Arena) -> Iterator[Row]:
    """Nginx behind a veth pair and wrk at full speed: what the server keeps of its speed, and ns per packet.

    One long run, in which the program changes every SLICE_S, so that whatever else the machine does meets all alike. A
    program that does nothing shows what the place costs: tcx or clsact ask it for each packet, and for any XDP program
    veth copies each. That is not ours to measure, so with XDP it stands for no program.
    """
    values = 15 if arena.quick else 60
    with tempfile.TemporaryDirectory() as folder, site() as wire, host(wire.server) as here, \
            nginx(Path(folder), wire.server, workers=1, log=False) as server:
        for hook, switched, whats in (("tcx", _both_ways, (OURS, EMPTY, NONE)), ("tc", _both_ways, (OURS, EMPTY, NONE)),
                                     ("xdp", _xdp, (OURS, EMPTY))):
            with here.counting(INTERFACE, hook), _busy(wire, server):
                with switched(wire, here) as switch:
                    speeds = [_speeds(server, switch, whats) for _ in range(values)]
                for what, against in itertools.pairwise(whats):
                    kept = [speed[what] / speed[against] for speed in speeds]
                    yield Row(f"counters: server keeps, {hook}, {what} against {against}", kept, 3, "nobody reads")
                if NONE in whats:
                    kept = [speed[OURS] / speed[NONE] for speed in speeds]
                    yield Row(f"counters: server keeps, {hook}, ours against none", kept, 3, "nobody reads")
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
def _both_ways(wire: Site, here: Host) -> Iterator[Switch]:
    about = here.about(INTERFACE)._replace(made_clsact=False)
    fds = [programs.program_fd(number) for number in about.programs]
    with empty_tc() as (empty, number):
        others = about._replace(programs=(number, number))

        def switch(what: str) -> None:
            with wire.server.entered():
                for each in (about, others):
                    attach.detach(each)
                if what == OURS:
                    _put(about, fds)
                elif what == EMPTY:
                    _put(others, [empty, empty])

        yield switch
        switch(OURS)
    for fd in fds:
        os.close(fd)


def _put(about: About, fds: Sequence[int]) -> None:
    if about.hook is Hook.TCX:
        tcx.attach(about.ifindex, fds)
    else:
        attach.add_filters(about.ifindex, about.programs, fds)


@contextlib.contextmanager
def _xdp(wire: Site, here: Host) -> Iterator[Switch]:
    about = here.about(INTERFACE)
    ours = programs.program_fd(about.programs[0])
    with someone_elses_xdp() as (empty, _):
        yield lambda what: set_xdp(wire.server, about.ifindex, ours if what == OURS else empty)
        set_xdp(wire.server, about.ifindex, ours)
    os.close(ours)


def _speeds(server: Nginx, switch: Switch, whats: Sequence[str]) -> dict[str, float]:
    """With each of them, there and back again: what gets faster or slower all the while is no part.

    Many of these and their median, rather than few long ones: what else the machine does comes in bursts.
    """
    speeds = dict.fromkeys(whats, 0.0)
    for what in (*whats, *reversed(whats)):
        switch(what)
        time.sleep(SETTLE_S)
        before, began = server.requests(), time.monotonic()
        time.sleep(SLICE_S)
        speeds[what] += (server.requests() - before) / (time.monotonic() - began)
    return speeds


def _ns_per_run(program: int) -> float:
    """Over a slice; the measuring is counted in."""
    with bpf.opened(("prog", program)) as fd:
        before = run_statistics(fd)
        with statistics_on():
            time.sleep(SLICE_S)
            run_time_ns, runs = (now - then for now, then in zip(run_statistics(fd), before, strict=True))
    return run_time_ns / runs
