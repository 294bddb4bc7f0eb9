"""What is small beside how a machine changes from one second to the next: two of a kind, of which one is watched.

Each is asked at full speed for a moment, in turn, so that whatever else the machine does meets both alike. Nothing is
started or stopped in between.
"""

from __future__ import annotations

import contextlib
import math
import random
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from tests.bench.arena import Arena, arena

SLICE_S = 0.4
SETTLE_S = 0.1  # until a client that was stopped asks at full speed again
BLOCKS = 8
LEARN_S = 3.0  # until a watcher knows what is asked for

Side = TypeVar("Side")
Watcher = Callable[[Side], contextlib.AbstractContextManager[object]]
Client = Callable[[float], float]  # seconds at full speed -> how fast that was


def kept(here: Arena, watcher: Watcher[Arena], pairs: int) -> list[float]:
    """Of `pairs` moments: the speed of the server that is watched, as a share of that of another one."""
    with arena(quick=here.quick) as other:
        return between((here, other), watcher, _wrk, pairs)


def between(sides: tuple[Side, Side], watcher: Watcher[Side],
            client: Callable[[Side], contextlib.AbstractContextManager[Client]], pairs: int) -> list[float]:
    """Of `pairs` moments: the speed of the side that is watched, as a share of that of the other one.

    In BLOCKS, of which the one half has the one side watched, the other half the other one: no two are equally fast,
    nor is one after it has begun anew.
    """
    found = []
    for watched, alone in (sides, sides[::-1]) * (BLOCKS // 2):
        with watcher(watched), client(watched) as loud, client(alone) as quiet:
            loud(LEARN_S)
            found += [_pair(loud, quiet) for _ in range(pairs // BLOCKS)]
    return found


def mean(ratios: Sequence[float]) -> str:
    """Their geometric mean, and its standard error by how much the blocks differ."""
    logs = [math.log(ratio) for ratio in ratios]
    size = len(logs) // BLOCKS
    blocks = [statistics.mean(logs[at : at + size]) for at in range(0, len(logs), size)]
    return f"mean {math.exp(statistics.mean(blocks)):.3f} ± {statistics.stdev(blocks) / math.sqrt(len(blocks)):.3f}"


def _pair(loud: Client, quiet: Client) -> float:
    while True:
        speeds = {client: client(SLICE_S) for client in random.sample([loud, quiet], 2)}
        if all(speeds.values()):  # else the whole machine stood still, which tells nothing of either
            return speeds[loud] / speeds[quiet]


@contextlib.contextmanager
def stopped_between(words: Sequence[str], total: Callable[[], float]) -> Iterator[Client]:
    """A command that never ends, and is stopped but in its turns. `total`: what it has done so far."""
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as process:
        def turn(seconds: float) -> float:
            process.send_signal(signal.SIGCONT)
            time.sleep(SETTLE_S)
            before, began = total(), time.monotonic()
            time.sleep(seconds)
            speed = (total() - before) / (time.monotonic() - began)
            process.send_signal(signal.SIGSTOP)
            return speed

        try:
            turn(SETTLE_S)
            yield turn
        finally:
            process.kill()


def _wrk(here: Arena) -> contextlib.AbstractContextManager[Client]:
    """Requests per second, by the server's count."""
    return stopped_between(here.where.command("wrk", "-t1", "-c32", "-d10h", here.url), here.server.requests)
