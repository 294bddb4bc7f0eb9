"""What is going on around the watched interfaces: where else there is traffic, and who listens. Needs no privilege."""

from __future__ import annotations

from collections.abc import Iterable

from httptop.capture import system
from httptop.capture.interfaces import ANY

EVERY_S = 1.0
BUSY_MAX = 4
_COUNTERS = "/proc/thread-self/net/dev"


class Around:
    """Looked at once in a while, in the network namespace of the calling thread."""

    def __init__(self, watched: Iterable[str]) -> None:
        self._watched = frozenset(watched)
        self._next_s = 0.0
        self._before: dict[str, int] = {}
        self.busy: tuple[str, ...] = ()  # other interfaces with packets since the look before, busiest first
        self.listening: tuple[bytes, ...] = ()  # endpoints

    def look(self, now_s: float) -> bool:
        """Whether it looked: not oftener than every EVERY_S."""
        if now_s < self._next_s:
            return False
        self._next_s = now_s + EVERY_S
        packets = _packets()
        gained = {name: count - self._before.get(name, count) for name, count in packets.items()
                  if name not in self._watched and ANY not in self._watched}
        self._before = packets
        busiest = sorted((name for name in gained if gained[name] > 0), key=lambda name: -gained[name])
        self.busy = tuple(busiest[:BUSY_MAX])
        self.listening = system.listening()
        return True


def _packets() -> dict[str, int]:
    """Packets received and sent by interface, since it was made."""
    try:
        with open(_COUNTERS, encoding="ascii", errors="replace") as file:
            lines = file.read().splitlines()[2:]
    except OSError:
        return {}
    found = {}
    for line in lines:
        name, _, numbers = line.rpartition(":")
        fields = numbers.split()
        found[name.strip()] = int(fields[1]) + int(fields[9])
    return found
