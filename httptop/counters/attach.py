"""Puts the programs on an interface and takes them off, through netlink. Nothing of anyone else is touched."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from httptop.counters import bpf, tcx
from httptop.counters.pins import About, Hook
from httptop.errors import HttptopError, MissingFeatureError

if TYPE_CHECKING:
    from pyroute2 import IPRoute

CLSACT, INGRESS, EGRESS = 0xFFFFFFF1, 0xFFFFFFF2, 0xFFFFFFF3  # linux/pkt_sched.h; as a parent of what is attached
WAYS = (INGRESS, EGRESS)
NAMES = ("httptop_in", "httptop_out")  # of programs, in bpf/counter.c
BLOCKS = {"TCA_INGRESS_BLOCK": 13, "TCA_EGRESS_BLOCK": 14}  # linux/rtnetlink.h
ETH_P_ALL = 3

# linux/if_arp.h: Ethernet and loopback; tun and WireGuard, PPP, raw IP, and the tunnels of IP in IP
LINK_HEADERS = {1: True, 772: True, 65534: False, 512: False, 519: False, 768: False, 769: False, 776: False}

# linux/if_link.h
XDP_IF_NOEXIST, XDP_REPLACE = 1, 16
XDP_MODES = {Hook.XDP_NATIVE: 4, Hook.XDP_GENERIC: 2}
XDP_IDS = {Hook.XDP_NATIVE: "IFLA_XDP_DRV_PROG_ID", Hook.XDP_GENERIC: "IFLA_XDP_SKB_PROG_ID"}
NOT_THE_DRIVER = (errno.EPERM, errno.EBUSY, errno.EEXIST)  # reasons for which no other mode need be tried


class Link(NamedTuple):
    """What an interface is and has."""

    ifindex: int
    header: bool  # packets begin with an Ethernet header, else with IP
    xdp: tuple[int, ...]  # ids of its programs
    qdisc: str  # the one that holds filters for packets that come in, "" for none
    block: bool  # it shares them with other interfaces
    tcx: bool  # there is a place for programs beside it


@contextlib.contextmanager
def _netlink() -> Iterator[IPRoute]:
    """A netlink socket; what the kernel refuses, here or of bpf(2), becomes one of our errors."""
    from pyroute2 import IPRoute, NetlinkError  # noqa: PLC0415 - a third of a second that reading does not need

    try:
        with IPRoute() as ip:
            yield ip
    except (NetlinkError, OSError) as error:
        code = int(error.code if isinstance(error, NetlinkError) else error.errno or 0)
        if code == errno.EPERM:
            raise MissingFeatureError("the kernel lets us change nothing on interfaces here (CAP_NET_ADMIN)",
                                      "run it with sudo; in a container, on the host") from None
        raise HttptopError(f"the kernel refuses: {os.strerror(code)}", "run: httptop --check") from None


def link(interface: str) -> Link:
    """What there is. MissingFeatureError when its packets are neither Ethernet nor IP."""
    with _netlink() as ip:
        index = socket.if_nametoindex(interface)
        [message] = ip.get_links(index)
        kind = message["ifi_type"]
        if kind not in LINK_HEADERS:
            raise MissingFeatureError(f"{interface} carries neither Ethernet nor bare IP (link type {kind})",
                                      "count on an interface above or below it")
        qdisc = _qdisc(ip, index)
        return Link(index, LINK_HEADERS[kind], _xdp_ids(message), _kind(qdisc), _is_block(qdisc),
                    tcx.available(index))


def _xdp_ids(message: Any) -> tuple[int, ...]:  # noqa: ANN401 - pyroute2 has no types
    xdp = message.get_attr("IFLA_XDP")
    names = ("IFLA_XDP_PROG_ID", *XDP_IDS.values(), "IFLA_XDP_HW_PROG_ID")
    found = [xdp.get_attr(name) for name in names] if xdp else []
    return tuple(dict.fromkeys(number for number in found if number))


def _qdisc(ip: IPRoute, index: int) -> Any:  # noqa: ANN401
    return next((message for message in ip.get_qdiscs(index=index) if message["parent"] == CLSACT), None)


def _kind(qdisc: Any) -> str:  # noqa: ANN401
    return str(qdisc.get_attr("TCA_KIND")) if qdisc else ""


def _is_block(qdisc: Any) -> bool:  # noqa: ANN401
    """By number where this pyroute2 does not know the name."""
    return any(name in BLOCKS or (name == "UNKNOWN" and value["header"]["type"] in BLOCKS.values())
               for name, value in (qdisc["attrs"] if qdisc else ()))


def add_clsact(index: int) -> bool:
    """Make the place for tc filters; False: it is there already."""
    from pyroute2 import NetlinkError  # noqa: PLC0415

    with _netlink() as ip:
        try:
            ip.tc("add", "clsact", index)
        except NetlinkError as error:
            if error.code == errno.ENOENT:
                raise MissingFeatureError("this kernel has no clsact (CONFIG_NET_SCH_INGRESS)",
                                          "use --hook xdp") from None
            if error.code != errno.EEXIST:
                raise
            return False
        return True


def add_tcx(index: int, fds: Sequence[int]) -> None:
    """A program for each direction, before those of others where they are tcx's too."""
    with _netlink():
        tcx.attach(index, fds)


def add_filters(index: int, ids: Sequence[int], fds: Sequence[int]) -> None:
    """A filter for each direction, before those of others where there is room: what they decide ends the walk."""
    with _netlink() as ip:
        for parent, number, fd in zip(WAYS, ids, fds, strict=True):
            taken = {message["info"] >> 16 for message in _filters(ip, index, parent)}
            priority = next(free for free in range(1, 0xFFFF) if free not in taken)
            ip.tc("add-filter", "bpf", index, 1, fd=fd, name=_name(number), parent=parent, direct_action=True,
                  prio=priority, protocol=ETH_P_ALL)


def _filters(ip: IPRoute, index: int, parent: int) -> list[Any]:
    return list(ip.get_filters(index=index, parent=parent))


def _name(program: int | str) -> str:
    """What a filter of ours is called: the kernel tells the program's id, but pyroute2 does not know that field."""
    return f"httptop:{program}"


def add_xdp(index: int, fd: int) -> Hook:
    """Natively if the driver can, else generically."""
    from pyroute2 import NetlinkError  # noqa: PLC0415

    with _netlink() as ip:
        try:
            _set_xdp(ip, index, fd, XDP_MODES[Hook.XDP_NATIVE] | XDP_IF_NOEXIST)
        except NetlinkError as error:
            if error.code in NOT_THE_DRIVER:
                raise
            _set_xdp(ip, index, fd, XDP_MODES[Hook.XDP_GENERIC] | XDP_IF_NOEXIST)
            return Hook.XDP_GENERIC
        return Hook.XDP_NATIVE


def _set_xdp(ip: IPRoute, index: int, fd: int, flags: int, expected_fd: int | None = None) -> None:
    attributes = [("IFLA_XDP_FD", fd), ("IFLA_XDP_FLAGS", flags)]
    if expected_fd is not None:
        attributes.append(("IFLA_XDP_EXPECTED_FD", expected_fd))
    ip.link("set", index=index, xdp={"attrs": attributes})


def holder(about: About) -> int:
    """The index of the interface of this network namespace that has the programs, XDP's or tcx's; 0: none."""
    with _netlink() as ip:
        return next((int(message["index"]) for message in ip.get_links() if _has(message, about)), 0)


def _has(message: Any, about: About) -> bool:  # noqa: ANN401
    if about.hook is Hook.TCX:
        return any(number in tcx.programs(message["index"], way)
                   for way, number in zip(tcx.WAYS, about.programs, strict=True))
    return about.programs[0] in _xdp_ids(message)


def detach(about: About) -> bool:
    """Take off what `about` names, as far as it is there; then the qdisc, if it is ours and nobody else uses it.

    False: there is no such interface here.
    """
    with _netlink() as ip:
        links = [message for message in ip.get_links() if message["index"] == about.ifindex]
        if links and about.hook is Hook.TC:
            _remove_filters(ip, about)
        elif links and about.hook is Hook.TCX:
            tcx.detach(about.ifindex, about.programs)
        elif links and about.programs[0] in _xdp_ids(links[0]):
            _remove_xdp(ip, links[0], about.programs[0])
        return bool(links)


def _remove_filters(ip: IPRoute, about: About) -> None:
    index = about.ifindex
    for message in _ours(ip, index):
        if _called(message) in map(_name, about.programs):
            _remove_filter(ip, index, message)
    if about.made_clsact and _kind(_qdisc(ip, index)) == "clsact" and not any(_filters(ip, index, way) for way in WAYS):
        ip.tc("del", "clsact", index)


def _ours(ip: IPRoute, index: int) -> list[Any]:
    return [message for way in WAYS for message in _filters(ip, index, way) if _called(message).startswith(_name(""))]


def _called(message: Any) -> str:  # noqa: ANN401
    options = message.get_attr("TCA_OPTIONS")
    return str((options and options.get_attr("TCA_BPF_NAME")) or "")


def _remove_filter(ip: IPRoute, index: int, message: Any) -> None:  # noqa: ANN401
    ip.tc("del-filter", "bpf", index, message["handle"], parent=message["parent"], info=message["info"])


def _remove_xdp(ip: IPRoute, link: Any, program: int) -> None:  # noqa: ANN401
    """From where it sits: a start that was killed may not have got to say that. Never another program."""
    fd = bpf.program_fd(program)
    try:
        for hook, attribute in XDP_IDS.items():
            if link.get_attr("IFLA_XDP").get_attr(attribute) == program:
                _set_xdp(ip, link["index"], -1, XDP_MODES[hook] | XDP_REPLACE, fd)
    finally:
        os.close(fd)


def remove_strays(index: int, known: Collection[int]) -> bool:
    """Take off what we left on an interface and no pin tells of, `known` being what pins do tell of.

    Who unmounts the BPF file system takes the pins away, but not what counts. The qdisc stays: it may be another's.
    """
    with _netlink() as ip:
        [link] = ip.get_links(index)
        programs = _strays(_xdp_ids(link), known)
        both = _strays(tcx.on(index), known)
        filters = [message for message in _ours(ip, index) if _called(message) not in map(_name, known)]
        for message in filters:
            _remove_filter(ip, index, message)
        for number in programs:
            _remove_xdp(ip, link, number)
        tcx.detach(index, both)
        return bool(filters or programs or both)


def _strays(programs: Collection[int], known: Collection[int]) -> list[int]:
    return [number for number in programs if number not in known and bpf.program_name(number) in NAMES]
