"""Network interfaces: the default one, whether one exists, and which carry traffic now."""

from __future__ import annotations

import difflib
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass

from httptop.errors import UsageError

ANY = "any"
SAMPLE_S = 0.2
_NET = "/sys/class/net"
_RTF_UP, _RTF_REJECT = 0x1, 0x200  # linux/route.h


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface; `packets` went over it, both directions, since it was made."""

    name: str
    up: bool
    addresses: tuple[str, ...]
    packets: int


def names() -> tuple[str, ...]:
    """Every interface of this network namespace."""
    return tuple(sorted(name for _, name in socket.if_nameindex()))


def default() -> str:
    """The interface of the default route, IPv4 before IPv6. UsageError when there is none."""
    name = _default_v4() or _default_v6()
    if name is None:
        raise UsageError("there is no default route to take the interface from",
                         f"name one with -i: {_listed(names())}")
    return name


def _lines(path: str) -> list[list[str]]:
    try:
        with open(path, encoding="ascii") as file:
            return [line.split() for line in file]
    except OSError:
        return []


def _default_v4() -> str | None:
    routes = [(int(row[6]), row[0]) for row in _lines("/proc/net/route")[1:]
              if row[1] == row[7] == "00000000" and int(row[3], 16) & (_RTF_UP | _RTF_REJECT) == _RTF_UP]
    return min(routes)[1] if routes else None


def _default_v6() -> str | None:
    routes = [(int(row[5], 16), row[9]) for row in _lines("/proc/net/ipv6_route")
              if row[0] == "0" * 32 and row[1] == "00" and int(row[8], 16) & (_RTF_UP | _RTF_REJECT) == _RTF_UP]
    return min(routes)[1] if routes else None


def require(wanted: Iterable[str]) -> None:
    """UsageError for the first of `wanted` that is neither an interface nor `any`."""
    present = names()
    for name in wanted:
        if name != ANY and name not in present:
            near = difflib.get_close_matches(name, present, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UsageError(f"there is no interface {name!r}", f"{hint}interfaces here: {_listed(present)}, or any")


def _listed(present: tuple[str, ...]) -> str:
    shown = ", ".join(present[:12])
    return f"{shown} and {len(present) - 12} more" if len(present) > 12 else shown


def listing() -> tuple[Interface, ...]:
    """All interfaces with addresses and state."""
    import psutil  # noqa: PLC0415 - 20 ms that only a listing needs

    families = (socket.AF_INET, socket.AF_INET6)
    addresses = {name: tuple(entry.address for entry in entries if entry.family in families)
                 for name, entries in psutil.net_if_addrs().items()}
    return tuple(Interface(name, _is_up(name), addresses.get(name, ()), _packets(name)) for name in names())


def _attribute(name: str, attribute: str) -> str:
    try:
        with open(f"{_NET}/{name}/{attribute}", encoding="ascii") as file:
            return file.read().strip()
    except OSError:  # it vanished, or sysfs shows another namespace
        return ""


def _is_up(name: str) -> bool:
    return bool(int(_attribute(name, "flags") or "0", 16) & 0x1)  # IFF_UP


def _packets(name: str) -> int:
    return sum(int(_attribute(name, f"statistics/{side}_packets") or "0") for side in ("rx", "tx"))


def busy(sample_s: float = SAMPLE_S) -> tuple[str, ...]:
    """Interfaces over which packets went during the next `sample_s` seconds, busiest first."""
    before = {name: _packets(name) for name in names()}
    time.sleep(sample_s)
    gained = {name: _packets(name) - count for name, count in before.items()}
    return tuple(sorted((name for name, count in gained.items() if count > 0), key=lambda name: -gained[name]))
