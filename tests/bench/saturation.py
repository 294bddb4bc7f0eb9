"""A server that is as busy as it can be, and who watches it: what that takes from it, and how much they see."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.bench import in_turn
from tests.bench.arena import Arena
from tests.bench.peers import PEERS, absent
from tests.bench.rows import Row, pairs
from tests.bench.watchers import WATCHERS, Watched, empty_filter, nobody

MB = 1e6
SETTLE_S = 2.0  # what has just come up still loads what it will need: starts are measured elsewhere
IN_TURN: dict[str, in_turn.Watcher[Arena]] = {  # what differs least from nothing
    "nobody": nobody, "an empty filter": empty_filter, "batch": WATCHERS["batch"], "screen": WATCHERS["screen"]}


@dataclass
class Runs:
    """Of one watcher: (requests served, what it cost and saw), and the server's speeds."""

    speeds: list[tuple[int, float]] = field(default_factory=list)  # with the number of the run alone before it
    watched: list[tuple[int, Watched]] = field(default_factory=list)


def saturation(arena: Arena) -> Iterator[Row]:
    """Nginx and wrk at full speed: what the server keeps of its speed, what each watcher sees, and what it costs."""
    rounds, seconds, moments = (2, 1, 16) if arena.quick else (3, 2, 120)
    watchers = {**WATCHERS, **PEERS}
    runs = {name: Runs() for name in watchers}
    alone: list[float] = []
    for name, watching in pairs(list(watchers), rounds):
        with (watchers[name] if watching else nobody)(arena) as watched:
            time.sleep(SETTLE_S)
            watched.begin()
            before = arena.server.requests()
            speed = arena.wrk(seconds)
            watched.load_ended()
            served = arena.server.requests() - before
        if watching:
            runs[name].speeds.append((len(alone) - 1, speed))
            runs[name].watched.append((served, watched))
        else:
            alone.append(speed)
    alone.append(arena.wrk(seconds))
    yield Row("saturation: alone, requests/s", alone, 0)
    for name, found in runs.items():
        yield from _rows(name, found, alone)
    for name, watcher in IN_TURN.items():
        kept = in_turn.kept(arena, watcher, moments)
        yield Row(f"saturation: server keeps with {name}, in turn", kept, 3, in_turn.mean(kept))
    if absent():
        yield Row("saturation: not installed", [], note=", ".join(absent()))


def _rows(name: str, runs: Runs, alone: list[float]) -> Iterator[Row]:
    kept = [2 * speed / (alone[before] + alone[before + 1]) for before, speed in runs.speeds]
    yield Row(f"saturation: server keeps with {name}", kept, 3, "of the speed alone before and after")
    seen = [watched.seen / served for served, watched in runs.watched if watched.seen is not None]
    if seen:
        yield Row(f"saturation: share of requests seen, {name}", seen, 4)
    yield Row(f"saturation: CPU s per million requests, {name}",
              [watched.cpu_s / served * 1e6 for served, watched in runs.watched])
    yield Row(f"saturation: peak RSS, MB, {name}", [watched.peak_rss_bytes / MB for _, watched in runs.watched], 1)
    counted = [watched.total - served for served, watched in runs.watched if watched.total is not None]
    if counted:
        yield Row(f"saturation: totals - nginx's count, {name}", counted, 0,
                  "requests in flight when wrk hangs up are in totals only")

