"""The measurements. Each is a function of the arena that yields rows; a new one is added to MEASUREMENTS."""

from __future__ import annotations

import itertools
import statistics
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.arena import ADDRESS, Arena, missing
from tests.bench.watchers import WATCHERS, Watched, nobody, screen_on
from tests.support import frames, load
from tests.support.program import HTTPTOP

MB = 1e6
STEADY_PER_S = 10_000


@dataclass(frozen=True)
class Row:
    """One line of the table: median and range over the runs, in the unit that `name` says."""

    name: str
    values: Sequence[float]
    digits: int = 2
    note: str = ""

    def cells(self) -> tuple[str, str, str, str]:
        """What, median, range, note."""
        if not self.values:
            return self.name, "-", "-", self.note
        low, middle, high = min(self.values), statistics.median(self.values), max(self.values)
        n = self.digits
        return self.name, f"{middle:,.{n}f}", f"{low:,.{n}f} .. {high:,.{n}f}", self.note


def saturation(arena: Arena) -> Iterator[Row]:
    """Nginx and wrk at full speed: what the server keeps of its speed, and whether the totals are exact."""
    rounds, seconds = (2, 2) if arena.quick else (7, 3)
    speeds: dict[str, list[float]] = {name: [] for name in ("nobody", *WATCHERS)}
    reports: dict[str, list[tuple[int, Watched]]] = {name: [] for name in WATCHERS}
    for _ in range(rounds):
        for name, watcher in (("nobody", nobody), *WATCHERS.items()):
            with watcher(arena) as watched:
                before = arena.server.requests()
                speeds[name].append(arena.wrk(seconds))
                watched.load_ended()
                served = arena.server.requests() - before
            if name in reports:
                reports[name].append((served, watched))
    yield Row("saturation: alone, requests/s", speeds["nobody"], 0)
    for name, runs in reports.items():
        yield Row(f"saturation: server keeps with {name}",
                  [watched / alone for watched, alone in zip(speeds[name], speeds["nobody"], strict=True)], 3)
        yield Row(f"saturation: CPU s per million requests, {name}",
                  [watched.cpu_s / served * 1e6 for served, watched in runs])
        yield Row(f"saturation: peak RSS, MB, {name}", [watched.peak_rss_bytes / MB for _, watched in runs], 1)
        yield from _exactness(name, runs)


def _exactness(name: str, runs: list[tuple[int, Watched]]) -> Iterator[Row]:
    counted = [(served, watched.seen, watched.lost) for served, watched in runs if watched.seen is not None]
    if counted:
        yield Row(f"saturation: totals - nginx's count, {name}", [seen - served for served, seen, _ in counted], 0,
                  "requests in flight when wrk hangs up are in totals only")
        yield Row(f"saturation: events lost, share of messages, {name}",
                  [(lost or 0) / (2 * served) for served, _, lost in counted], 4)


def steady(arena: Arena) -> Iterator[Row]:
    """An open-loop client at a rate that a busy server has: httptop's CPU, the server's, and losses."""
    rounds, seconds = (1, 4) if arena.quick else (3, 6)
    if missing("h2load"):
        yield Row(f"steady {STEADY_PER_S}/s", [], note="needs h2load (Debian: nghttp2-client)")
        return
    server: dict[str, list[float]] = {}
    answered: list[float] = []
    for name, watcher in (("nobody", nobody), *WATCHERS.items()):
        runs: list[Watched] = []
        for _ in range(rounds):
            with watcher(arena) as watched:
                before = arena.server_cpu_s()
                answered.append(arena.steady(STEADY_PER_S, seconds))
                watched.load_ended()
                server.setdefault(name, []).append(100 * (arena.server_cpu_s() - before) / watched.wall_s)
            runs.append(watched)
        yield Row(f"steady {STEADY_PER_S}/s: nginx CPU %, {name}", server[name], 1)
        if name in WATCHERS:
            yield Row(f"steady {STEADY_PER_S}/s: httptop CPU %, {name}", [100 * w.cpu_s / w.wall_s for w in runs], 1)
            yield Row(f"steady {STEADY_PER_S}/s: RSS, MB, {name}", [w.peak_rss_bytes / MB for w in runs], 1)
            lost = [float(w.lost) for w in runs if w.lost is not None]
            if lost:
                yield Row(f"steady {STEADY_PER_S}/s: events lost, {name}", lost, 0)
    yield Row(f"steady {STEADY_PER_S}/s: answered/s, all runs", answered, 0)


def start(arena: Arena) -> Iterator[Row]:
    """From the command to the first screen and the first URL on it, and from `q` to the end."""
    stop = threading.Event()

    def trickle() -> None:
        while not stop.wait(0.01):
            load.hammer(arena.where, ADDRESS, arena.server.port, 1, 1)

    traffic = threading.Thread(target=trickle)
    traffic.start()
    first, data, end = [], [], []
    try:
        for _ in range(3 if arena.quick else 9):
            with screen_on(arena) as window:
                window.expect("httptop")
                window.expect("/ok")
                first.append(window.appeared_s("httptop"))
                data.append(window.appeared_s("/ok"))
                end.append(window.quit_s())
    finally:
        stop.set()
        traffic.join()
    yield Row("start to first screen, s", first)
    yield Row("start to first data, s", data)
    yield Row("quit, s", end)


def files(arena: Arena) -> Iterator[Row]:
    """A generated capture of kept-alive exchanges through `-r`: packets per second, start of the program included."""
    packets, rounds = (100_000, 2) if arena.quick else (400_000, 5)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "generated.pcap")
        path.write_bytes(b"".join(_capture(packets)))
        rates = []
        for _ in range(rounds):
            began = time.monotonic()
            subprocess.run([*HTTPTOP, "-r", str(path), "--once", "--json"], check=True, stdout=subprocess.DEVNULL)
            rates.append(packets / (time.monotonic() - began))
    yield Row("-r: packets/s", rates, 0)


def _capture(packets: int) -> Iterator[bytes]:
    """A pcap file: 500 connections, each time a request, an answer of four segments, and two bare ACKs."""
    talks = [frames.Talk(v6=n % 5 == 0) for n in range(500)]
    yield struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    steps = ((talk, step) for talk in itertools.cycle(talks) for step in _STEPS)
    for number, (talk, (sender, payload)) in enumerate(itertools.islice(steps, packets)):
        frame = talk.frame(sender, payload)
        yield struct.pack("=IIII", 1 + number // 100_000, number % 100_000 * 10, len(frame), len(frame)) + frame


_BODY = b"x" * 1400
_STEPS = ((0, b"GET /item/1 HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: bench\r\n\r\n"),
          (1, b"HTTP/1.1 200 OK\r\nContent-Length: 4200\r\n\r\n"), (1, _BODY), (0, b""), (1, _BODY), (1, _BODY),
          (0, b""))


MEASUREMENTS: dict[str, Callable[[Arena], Iterator[Row]]] = {
    "start": start, "steady": steady, "saturation": saturation, "files": files,
}
