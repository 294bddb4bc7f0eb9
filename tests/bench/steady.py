"""A rate that a busy server has, from a client that does not wait: what watching adds to everybody's work."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

from tests.bench.arena import Arena, missing
from tests.bench.rows import Row, pairs
from tests.bench.watchers import WATCHERS, Watched, batch, nobody

RATE_PER_S = 10_000
SETTLE_S = 3  # a screen that has just come up still loads what keys will ask for
MB = 1e6


@dataclass
class Load:
    """Of the runs with one watcher, or with nobody: nginx's CPU %, and the client's latencies."""

    server: list[float] = field(default_factory=list)
    p50_us: list[float] = field(default_factory=list)
    p99_us: list[float] = field(default_factory=list)


def steady(arena: Arena) -> Iterator[Row]:
    """Httptop's CPU, what it adds to the server's CPU and to the client's latency, and losses."""
    rounds, seconds = (2, 2) if arena.quick else (4, 4)
    at = f"steady {RATE_PER_S}/s"
    if missing("h2load"):
        yield Row(at, [], note="not installed: h2load (Debian: nghttp2-client)")
        return
    loads = {(name, watching): Load() for name in WATCHERS for watching in (False, True)}
    runs: dict[str, list[Watched]] = {name: [] for name in WATCHERS}
    answered: list[float] = []
    for name, watching in pairs(list(WATCHERS), rounds):
        with (WATCHERS[name] if watching else nobody)(arena) as watched:
            arena.steady(RATE_PER_S, SETTLE_S)
            watched.begin()
            answered.append(_measure(arena, loads[name, watching], watched, seconds))
        if watching:
            runs[name].append(watched)
    for name, watched_runs in runs.items():
        yield from _rows(f"{at}: ", name, loads[name, False], loads[name, True], watched_runs)
    yield Row(f"{at}: answered/s, all runs", answered, 0)
    for path in ("/chunk", "/chunks"):  # whole in one segment; longer than what is looked at
        load = partial(replace(arena, path=path).steady, RATE_PER_S)
        yield from _of_form(arena, f"{at}, {path}: ", rounds, seconds, load)
    yield from _of_form(arena, "steady, POST with bodies of their own: ", rounds, seconds, arena.upload)


def _of_form(arena: Arena, at: str, rounds: int, seconds: int, load: Callable[[int], object]) -> Iterator[Row]:
    """What exchanges of one form cost; `load` makes them for so many seconds."""
    runs, answered = [], []
    for _ in range(rounds):
        with batch(arena) as watched:
            load(SETTLE_S)
            watched.begin()
            before = arena.server.requests()
            load(seconds)
            watched.load_ended()
        runs.append(watched)
        answered.append((arena.server.requests() - before) / watched.wall_s)
    yield Row(f"{at}answered/s", answered, 0)
    yield Row(f"{at}CPU %, batch", [100 * run.cpu_s / run.wall_s for run in runs], 1, "of one core")
    yield Row(f"{at}events lost, batch", [float(run.lost or 0) for run in runs], 0)


def _measure(arena: Arena, load: Load, watched: Watched, seconds: int) -> float:
    before = arena.server_cpu_s()
    answered, latencies = arena.steady(RATE_PER_S, seconds)
    watched.load_ended()
    load.server.append(100 * (arena.server_cpu_s() - before) / watched.wall_s)
    cuts = statistics.quantiles(latencies, n=100)
    load.p50_us.append(cuts[49])
    load.p99_us.append(cuts[98])
    return answered


def _rows(at: str, name: str, alone: Load, load: Load, runs: list[Watched]) -> Iterator[Row]:
    yield Row(f"{at}CPU %, {name}", [100 * run.cpu_s / run.wall_s for run in runs], 1, "of one core")
    yield Row(f"{at}peak RSS, MB, {name}", [run.peak_rss_bytes / MB for run in runs], 1)
    lost = [float(run.lost) for run in runs if run.lost is not None]
    if lost:
        yield Row(f"{at}events lost, {name}", lost, 0)
    for what, values, base, digits in (
            ("nginx's CPU, points", load.server, alone.server, 1), ("p50, us", load.p50_us, alone.p50_us, 0),
            ("p99, us", load.p99_us, alone.p99_us, 0)):
        yield Row(f"{at}added to {what}, {name}", [value - then for value, then in zip(values, base, strict=True)],
                  digits, f"to {statistics.median(base):,.{digits}f}")
