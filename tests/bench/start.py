"""How long one waits: for the first screen, for data, for the end."""

from __future__ import annotations

import compileall
import contextlib
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import httptop
from httptop.capture.live import CACHE
from tests.bench.arena import ADDRESS, Arena
from tests.bench.rows import Row
from tests.bench.watchers import screen_on
from tests.support import load


def start(arena: Arena) -> Iterator[Row]:
    """From the command to the first screen and the first URL on it, and from `q` to the end."""
    compileall.compile_dir(Path(httptop.__file__).parent, quiet=1)  # as whoever installs it does
    with _trickle(arena):
        runs = 3 if arena.quick else 9
        for which in ("first start", "start"):
            first, data, end = [], [], []
            for _ in range(runs):
                if which == "first start":  # nothing was compiled before
                    shutil.rmtree(CACHE, ignore_errors=True)
                with screen_on(arena) as window:
                    window.expect("httptop")
                    window.expect("/ok")
                    first.append(window.appeared_s("httptop"))
                    data.append(window.appeared_s("/ok"))
                    end.append(window.quit_s())
            yield Row(f"{which} to first screen, s", first)
            yield Row(f"{which} to first data, s", data)
    yield Row("quit, s", end)


@contextlib.contextmanager
def _trickle(arena: Arena) -> Iterator[None]:
    """A request every 10 ms."""
    stop = threading.Event()

    def trickle() -> None:
        while not stop.wait(0.01):
            load.hammer(arena.where, ADDRESS, arena.server.port, 1, 1)

    traffic = threading.Thread(target=trickle)
    traffic.start()
    try:
        yield
    finally:
        stop.set()
        traffic.join()
