"""A screen whose reader cannot keep up: how long one waits for the answer to a key, and how often it is drawn."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.bench.arena import ADDRESS, Arena
from tests.bench.rows import Row
from tests.bench.watchers import Screen, screen_on
from tests.support.flood import flood
from tests.support.poll import until
from tests.support.program import attached

URLS = 1_000_000  # more than there is place for
FILL_S = 3.0  # until the ring is full, and the tables are
REST_S = 0.17  # between keys: no multiple of the delay, so that they meet the screen at any moment of its work
DUE_PER_S = {"no traffic": 1, "overload": 2}
KEYS = {"pause": (" ", "paused"), "go on": (" ", "live"), "open the help": ("?", "this help")}


@dataclass
class Seen:
    """Of one run: milliseconds by what the key does, and repaints of each second."""

    answered_ms: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in KEYS})
    per_s: list[float] = field(default_factory=list)


def overload(arena: Arena) -> Iterator[Row]:
    """Keys and repaints, with a flood of requests of which none is like another, and with none."""
    presses, seconds = (5, 3) if arena.quick else (20, 10)
    seen = {}
    traffics: dict[str, contextlib.AbstractContextManager[object]] = {
        "no traffic": contextlib.nullcontext(), "overload": flood(arena.where, ADDRESS, arena.server.port, URLS)}
    for load, traffic in traffics.items():
        with screen_on(arena) as window:
            until(lambda window=window: attached(window.pid), "httptop to attach")  # type: ignore[misc]
            with traffic:
                time.sleep(FILL_S)
                if load == "overload":
                    window.expect("% seen, ")
                    window.appeared_s("% seen, ")  # it is one
                seen[load] = _look(window, presses, seconds)
    for load, found in seen.items():
        for name, values in found.answered_ms.items():
            yield Row(f"{load}: key to {name}, ms", values, 0)
        yield Row(f"{load}: repaints/s", found.per_s, 0, f"{DUE_PER_S[load]} are due")


def _look(window: Screen, presses: int, seconds: int) -> Seen:
    seen = Seen()
    for _ in range(seconds):
        before = len(window.painted)
        time.sleep(1)
        seen.per_s.append(len(window.painted) - before)
    for _ in range(presses):
        for name, (key, text) in KEYS.items():
            seen.answered_ms[name].append(1e3 * window.answered_s(key, text))
            time.sleep(REST_S)
        window.answered_s("?", "URLs")  # it is closed again
        time.sleep(REST_S)
    return seen
