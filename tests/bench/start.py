"""How long one waits: for the first screen, for data, for the end."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from tests.bench.arena import ADDRESS, Arena
from tests.bench.rows import Row
from tests.bench.watchers import screen_on
from tests.support import load


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
