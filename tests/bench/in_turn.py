"""What is small beside how a machine changes from one second to the next: two servers, of which one is watched.

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

from tests.bench.arena import Arena, arena

SLICE_S = 0.4
SETTLE_S = 0.1  # until a client that was stopped asks at full speed again
LEARN_S = 3.0  # until a watcher knows what is asked for

Watcher = Callable[[Arena], contextlib.AbstractContextManager[object]]
Client = Callable[[float], float]  # seconds at full speed -> requests per second, by the server's count


def kept(here: Arena, watcher: Watcher, pairs: int) -> list[float]:
    """Of `pairs` moments: the speed of the server that is watched, as a share of that of the other one.

    The one half of them with the one server watched, the other half with the other one: no two are equally fast.
    """
    found = []
    with arena(quick=here.quick) as other:
        for watched, alone in ((here, other), (other, here)):
            with watcher(watched), _client(watched) as loud, _client(alone) as quiet:
                loud(LEARN_S)
                found += [_pair(loud, quiet) for _ in range(pairs // 2)]
    return found


def mean(ratios: Sequence[float]) -> str:
    """Their geometric mean, and its standard error."""
    logs = [math.log(ratio) for ratio in ratios]
    return f"mean {math.exp(statistics.mean(logs)):.3f} ± {statistics.stdev(logs) / math.sqrt(len(logs)):.3f}"


def _pair(loud: Client, quiet: Client) -> float:
    while True:
        speeds = {client: client(SLICE_S) for client in random.sample([loud, quiet], 2)}
        if all(speeds.values()):  # else the whole machine stood still, which tells nothing of either
            return speeds[loud] / speeds[quiet]


@contextlib.contextmanager
def _client(here: Arena) -> Iterator[Client]:
    """One that never ends, and is stopped but in its turns."""
    words = here.where.command("wrk", "-t1", "-c32", "-d10h", here.url)
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as wrk:
        def turn(seconds: float) -> float:
            wrk.send_signal(signal.SIGCONT)
            time.sleep(SETTLE_S)
            before, began = here.server.requests(), time.monotonic()
            time.sleep(seconds)
            speed = (here.server.requests() - before) / (time.monotonic() - began)
            wrk.send_signal(signal.SIGSTOP)
            return speed

        try:
            turn(SETTLE_S)
            yield turn
        finally:
            wrk.kill()
