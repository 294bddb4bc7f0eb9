"""The pinned maps as they are now. Needs neither bcc nor netlink, and loads nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from httptop.counters import pins
from httptop.counters.pins import Counts, Hook, Pinned
from httptop.errors import HttptopError


@dataclass(frozen=True, slots=True)
class Reading:
    """What the counters of one interface say. `counting`: directions that still count, the others are final."""

    interface: str  # what it was called when they were started
    hook: Hook
    started_ns: int  # since the epoch
    counting: tuple[str, ...]
    counts: Mapping[str, Counts]  # by direction, those alone that the hook sees
    now: str = ""  # what the interface is called now, if that is something else

    @property
    def attached(self) -> bool:
        """Whether all that was attached still is."""
        return self.counting == self.hook.ways

    @property
    def title(self) -> str:
        """The name of the interface, and the new one if it has one."""
        return f"{self.interface} (now {self.now})" if self.now else self.interface


def read(interface: str) -> Reading | None:
    """None: nothing runs there, or it is just starting or stopping."""
    pinned = Pinned(interface)
    with contextlib.suppress(FileNotFoundError):
        about, counts = pinned.about(), pinned.counts()
        if about is not None:
            seen = {way: counts[way] for way in about.hook.ways}
            counting = about.counting
            now = about.interface_now if counting else ""
            return Reading(interface, about.hook, about.started_ns, counting, seen, now if now != interface else "")
    return None


def read_all(names: Sequence[str] = ()) -> tuple[Reading, ...]:
    """Those of `names` that there are, by their names of then or of now; or all."""
    wanted = dict.fromkeys(map(pins.started_as, names)) if names else pins.interfaces()
    found = map(read, wanted)
    return tuple(reading for reading in found if reading is not None)


def mention() -> str:
    """What others say of counters that run; empty: there are none, or this user may not know."""
    try:
        found = read_all()
    except (OSError, HttptopError):
        return ""
    names = ", ".join(f"{reading.title}{'' if reading.counting else ' (not attached)'}" for reading in found)
    return f"on {names}: httptop counters show" if names else ""


def per_second(now: Reading, before: Reading, seconds: float) -> dict[str, tuple[float, ...]]:
    """How fast each count grew; zeros when the counters were started again meanwhile."""
    if now.started_ns != before.started_ns:
        return {way: (0.0,) * len(counts) for way, counts in now.counts.items()}
    return {way: tuple((new - old) / seconds for new, old in zip(counts, before.counts[way], strict=True))
            for way, counts in now.counts.items()}
