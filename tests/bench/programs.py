"""The kernel side alone: ns per run of each BPF program, by what the packet is."""

from __future__ import annotations

import contextlib
import itertools
import os
import struct
from collections.abc import Iterator

from httptop.counters import bpf as pinned
from tests.bench.arena import Arena
from tests.bench.rows import Row
from tests.support import bpf, frames
from tests.support.counters import host, someone_elses_xdp
from tests.support.kernel import Kernel, kernel, python
from tests.support.net import site

ENABLE_STATS = 32
RUN_TIME_OFFSET = 192  # in struct bpf_prog_info: run_time_ns, then run_cnt
REPEAT = 100_000
TALKS, EXCHANGES, LESSONS = 100, 30, 3
MEASURING = "{:.0f} ns of measuring are taken off"

FIELDS = b" HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: bench\r\nAccept: */*\r\n"
REQUEST = b"GET /item/1" + FIELDS + b"\r\n"
ALIKE = {"an id of its own": b"GET /item/1" + FIELDS + b"X-Request-Id: %032x\r\n\r\n",
         "a query of its own": b"GET /item/1?q=%016x" + FIELDS + b"\r\n",
         "one of a flood": b"GET /item/%016x" + FIELDS + b"\r\n"}
RESPONSE = (b"HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Sat, 21 Nov 2026 02:50:44 GMT\r\nContent-Type: text/plain\r\n"
            b"Content-Length: 3\r\nConnection: keep-alive\r\n\r\nok\n")


def _packets() -> dict[str, bytes]:
    one, six = frames.Talk(), frames.Talk(v6=True)
    udp = frames.ipv4("10.83.83.2", "10.83.83.1", bytes(1200), protocol=frames.UDP)
    return {"not TCP": frames.ethernet(frames.ETH_IP4, udp), "no payload": one.frame(0, b""),
            "no payload, IPv6": six.frame(0, b""), "body": one.frame(1, bytes(1400)),
            "body, one word": one.frame(1, b"x" * 1400), "body, prose": one.frame(1, b"lorem ipsum dolor sit " * 60)}


def programs(_: Arena) -> Iterator[Row]:
    """The same packet many times through BPF_PROG_TEST_RUN; heads by the kernel's statistics, each a new one.

    What an empty program costs by the same measure is taken off: it is the measuring.
    """
    with kernel() as loaded:
        for what, packet in _packets().items():
            yield _repeated(f"filter, {what}", loaded.program, packet)
        yield from _heads(loaded, "known")
    for what, request in ALIKE.items():
        with kernel() as loaded:
            yield next(_heads(loaded, f"known but for {what}", request))
    with kernel(fast_path=False) as loaded:
        yield from _heads(loaded, "through the ring")
    heads = {"request head": frames.Talk().frame(0, REQUEST), "response head": frames.Talk().frame(1, RESPONSE)}
    for hook in ("tc", "xdp"):
        with site() as wire, host(wire.server) as here, here.counting(wire.interface, hook):
            program = pinned.program_fd(here.about(wire.interface).programs[0])
            try:
                for what, packet in {**_packets(), **heads}.items():
                    yield _repeated(f"counter, {hook}, {what}", program, packet)
            finally:
                os.close(program)


def _repeated(what: str, program: int, packet: bytes) -> Row:
    kind, = struct.unpack_from("=I", bpf.info(program))
    with someone_elses_xdp(kind) as (empty, _):
        costs = [[bpf.timed_run(each, packet, repeat=REPEAT).duration_ns for each in (program, empty)]
                 for _ in range(7)]
    least = min(cost for _, cost in costs)
    return Row(f"ns per run: {what}", [cost - least for cost, _ in costs], 0, MEASURING.format(least))


def _heads(loaded: Kernel, how: str, request: bytes = REQUEST) -> Iterator[Row]:
    """Exchanges on kept-alive connections, once httptop has learnt their heads; `request`: with a number, perhaps."""
    talks = [frames.Talk() for _ in range(TALKS)]
    asked = (request % number if b"%" in request else request for number in itertools.count())
    ways = {"request": (0, asked), "response": (1, itertools.repeat(RESPONSE))}
    found: dict[str, list[float]] = {name: [] for name in ways}
    lessons = [talk.frame(sender, next(heads)) for _ in range(LESSONS) for talk in talks
               for sender, heads in ways.values()]
    for flow in {record.flow for record in python(lessons).records}:
        loaded.own(flow)
    loaded.watch([frame] for frame in lessons)
    with statistics_on(), someone_elses_xdp() as (empty, _):
        least = _measured(empty, [talks[0].frame(0, b"")] * 1000)
        for _ in range(EXCHANGES):
            for name, (sender, heads) in ways.items():
                found[name].append(_measured(loaded.program, [talk.frame(sender, next(heads)) for talk in talks]))
            # Empties the ring. What waits is read for Snapshots alone: all of the table, through all of the cache.
            loaded.source._drain(most=1 << 30, whole=False)
    for name, costs in found.items():
        yield Row(f"ns per run: filter, {name} head, {how}", [cost - least for cost in costs], 0,
                  MEASURING.format(least))


@contextlib.contextmanager
def statistics_on() -> Iterator[None]:
    """The kernel measures as long as somebody asks it to."""
    fd, _ = bpf.call(ENABLE_STATS, struct.pack("=I", 0))
    try:
        yield
    finally:
        os.close(fd)


def run_statistics(program: int) -> tuple[int, int]:
    """(ns, runs) of the program that an fd is, as far as measured."""
    run_time_ns, runs = struct.unpack_from("=QQ", bpf.info(program), RUN_TIME_OFFSET)
    return run_time_ns, runs


def _measured(program: int, packets: list[bytes]) -> float:
    before = run_statistics(program)
    for packet in packets:
        bpf.run(program, packet)
    run_time_ns, runs = (now - then for now, then in zip(run_statistics(program), before, strict=True))
    return run_time_ns / runs
