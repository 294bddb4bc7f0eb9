"""Start and stop. Killed at any point, a start leaves a whole thing, or something that the next start or stop clears.

First what will be there is pinned, then it is attached, and last of all the counts are pinned: before that nobody
sees it. On the way back too the pins go last, so that a stop that fails hides nothing that still counts.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Sequence

from httptop.capture import interfaces, preflight
from httptop.counters import attach, bpf, bpffs, pins
from httptop.counters.attach import Link
from httptop.counters.load import Loaded, loaded
from httptop.counters.pins import About, Hook, Pinned
from httptop.errors import HttptopError, MissingFeatureError, UsageError

AUTO, TCX, TC, XDP = "auto", "tcx", "tc", "xdp"
HOOKS = {TCX: Hook.TCX, TC: Hook.TC, XDP: Hook.XDP_NATIVE}  # auto takes the first that has room
FREED_S = 2.0  # the kernel frees a program a moment after it is detached


def hook_name(hook: Hook) -> str:
    """What was asked for to get it."""
    return next((name for name, each in HOOKS.items() if each is hook), XDP)


def sentence(hook: Hook) -> str:
    """What it got, and what that sees."""
    return {Hook.TCX: "tcx, ingress and egress", Hook.TC: "tc, ingress and egress",
            Hook.XDP_NATIVE: "native XDP, ingress only",
            Hook.XDP_GENERIC: "generic XDP, ingress only: the driver takes no native program"}[hook]


def start(interface: str, hook: str = AUTO) -> str:
    """Leave counters on an interface; what was done. HttptopError when something else is in the way."""
    _require_root()
    require((interface,))
    bpffs.mount()
    with bpffs.locked():
        pinned = Pinned(interface)
        if pinned.foreign:
            raise HttptopError(f"{pins.directory(interface)} holds what this version of httptop did not pin",
                               "stop it with what pinned it, or move it away")
        about = _own(pinned)
        _refuse_renamed(interface, about)
        if about is not None and pinned.whole and about.running and about.interface_now:
            return _already(interface, about, hook)
        _clear(pinned, about)
        _remove_strays(interface)
        link = attach.link(interface)
        wanted = _choose(interface, link, hook)
        with loaded(xdp=wanted == XDP, link_header=link.header) as new:
            return f"counting on {interface} ({sentence(_begin(pinned, link, wanted, new).hook)})"


def require(wanted: Sequence[str]) -> None:
    """UsageError for the first of `wanted` that is no interface to count on."""
    if interfaces.ANY in wanted:
        raise UsageError("counters are started on one interface", "name it: httptop counters start -i eth0")
    interfaces.require(wanted)


def _require_root() -> None:
    if os.geteuid() != 0:
        raise MissingFeatureError("what counts in the kernel is root's to start and stop", "run it with sudo")
    preflight.require_privileges()


def _own(pinned: Pinned) -> About | None:
    """What was started; HttptopError when that is counting in another network namespace."""
    about = pinned.about()
    if about is None:
        return None
    if about.hook is not Hook.TC and (index := attach.holder(about)):
        return about._replace(ifindex=index, network_namespace=pins.own_namespace())  # it moved with its interface
    if about.network_namespace != pins.own_namespace() and about.counting:
        raise _elsewhere(pinned.interface)
    return about


def _elsewhere(name: str) -> HttptopError:
    return HttptopError(f"counters run on an interface {name} of another network namespace",
                        f"stop them there: nsenter --net=... httptop counters stop -i {name}")


def _refuse_renamed(interface: str, own: About | None) -> None:
    """Who would count the same packets twice, or believe that a new interface of an old name is counted."""
    for name, about in {**pins.all_abouts(), **({interface: own} if own else {})}.items():
        now = about.interface_now
        if now and about.counting and (name == interface) != (now == interface):
            raise HttptopError(f"counters that were started on {name} run on {now} now",
                               f"stop them first: httptop counters stop -i {name}")


def _already(interface: str, about: About, hook: str) -> str:
    if hook not in (AUTO, hook_name(about.hook)):
        raise HttptopError(f"counters run on {interface} already, with {hook_name(about.hook)} and not {hook}",
                           f"stop them first: httptop counters stop -i {interface}")
    return f"counters run on {interface} already ({sentence(about.hook)})"


def _choose(interface: str, link: Link, hook: str) -> str:
    """What sees both directions, unless its place is taken; HttptopError when what is asked for cannot be."""
    against = {TCX: _against_tcx(link), TC: _against_tc(interface, link), XDP: _against_xdp(interface, link)}
    free = [each for each in HOOKS if not against[each]]
    if hook == AUTO:
        hook = free[0] if free else TC
    if hook in free:
        return hook
    what, do = against[hook]
    raise HttptopError(what, f"use --hook {free[0]}, or {do}" if free else do)


def _against_tcx(link: Link) -> tuple[str, ...]:
    """What is in its way and what to do about that; nothing: it would work."""
    return () if link.tcx else ("this kernel has no tcx", "run Linux 6.6 or newer")


def _against_tc(interface: str, link: Link) -> tuple[str, ...]:
    """As for tcx."""
    if link.qdisc == "ingress":
        return (f"{interface} has an ingress qdisc, which takes the place of clsact",
                "put clsact there, which holds the same filters")
    if link.block:
        return (f"clsact on {interface} shares its filters with other interfaces (a block)",
                "put a clsact there that shares none")
    return ()


def _against_xdp(interface: str, link: Link) -> tuple[str, ...]:
    """As for tcx."""
    if not link.header:
        return f"{interface} carries bare IP, and XDP wants Ethernet", "count on the interface below it"
    if link.xdp:
        return (f"{interface} has an XDP program already (id {link.xdp[0]}), and takes only one",
                "have that one taken off")
    return ()


def _begin(pinned: Pinned, link: Link, hook: str, new: Loaded) -> About:
    ingress, egress = (*new.ids, 0)[:2]
    about = About(HOOKS[hook], link.ifindex, hook == TC and not link.qdisc,
                  (ingress, egress), pins.own_namespace(), time.time_ns())
    try:
        bpf.update(new.maps["about"], 0, about.pack())
        pinned.begin(new.maps["about"])
        about = _attach(about, new)
        bpf.update(new.maps["about"], 0, about.pack())
        pinned.complete(new.maps["counts"])
    except BaseException:
        attach.detach(about)
        pinned.remove()
        raise
    return about


def _attach(about: About, new: Loaded) -> About:
    """What came of it."""
    if about.hook is Hook.TCX:
        attach.add_tcx(about.ifindex, new.programs)
        return about
    if about.hook is not Hook.TC:
        return about._replace(hook=attach.add_xdp(about.ifindex, new.programs[0]))
    if about.made_clsact and not attach.add_clsact(about.ifindex):
        about = about._replace(made_clsact=False)  # somebody was quicker
    attach.add_filters(about.ifindex, new.ids, new.programs)
    return about


def stop(names: Sequence[str] = ()) -> Iterator[str]:
    """Detach and unpin those of `names`, or all; what was done, one by one."""
    _require_root()
    with bpffs.locked():
        for name in names or [name for name in pins.interfaces() if not Pinned(name).foreign]:
            pinned = Pinned(pins.started_as(name))
            present = pinned.exists and not pinned.foreign
            if present:
                _clear(pinned, _own(pinned))
            stopped = _remove_strays(name) or present
            yield f"no more counters on {name}" if stopped else f"no counters run on {name}"


def _clear(pinned: Pinned, about: About | None) -> None:
    here = about is not None and about.network_namespace == pins.own_namespace()
    if about is not None and here and not attach.detach(about) and _still_counts(about):
        raise _elsewhere(pinned.interface)  # an interface keeps such programs when it moves
    pinned.remove()


def _still_counts(about: About) -> bool:
    deadline = time.monotonic() + FREED_S
    while about.counting and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(about.counting)


def _remove_strays(interface: str) -> bool:
    if interface not in interfaces.names():
        return False
    known = {number for about in pins.all_abouts().values() for number in about.programs}
    return attach.remove_strays(socket.if_nametoindex(interface), known)
