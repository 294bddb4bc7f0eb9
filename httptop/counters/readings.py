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
    """What the counters of one interface say. `attached` False: the counts are final."""

    interface: str
    hook: Hook
    started_ns: int  # since the epoch
    attached: bool
    counts: Mapping[str, Counts]  # by direction, those alone that the hook sees


def read(interface: str) -> Reading | None:
    """None: nothing runs there, or it is just starting or stopping."""
    pinned = Pinned(interface)
    with contextlib.suppress(FileNotFoundError):
        about, counts = pinned.about(), pinned.counts()
        if about is not None:
            seen = {way: counts[way] for way in about.hook.ways}
            return Reading(interface, about.hook, about.started_ns, about.running, seen)
    return None


def read_all(names: Sequence[str] = ()) -> tuple[Reading, ...]:
    """Those of `names` that there are, or all."""
    found = (read(name) for name in names or pins.interfaces())
    return tuple(reading for reading in found if reading is not None)


def mention() -> str:
    """What others say of counters that run; empty: there are none, or this user may not know."""
    try:
        found = read_all()
    except (OSError, HttptopError):
        return ""
    names = ", ".join(f"{reading.interface}{'' if reading.attached else ' (not attached)'}" for reading in found)
    return f"on {names}: httptop counters show" if names else ""


def per_second(now: Reading, before: Reading, seconds: float) -> dict[str, tuple[float, ...]]:
    """How fast each count grew; zeros when the counters were started again meanwhile."""
    if now.started_ns != before.started_ns:
        return {way: (0.0,) * len(counts) for way, counts in now.counts.items()}
    return {way: tuple((new - old) / seconds for new, old in zip(counts, before.counts[way], strict=True))
            for way, counts in now.counts.items()}
