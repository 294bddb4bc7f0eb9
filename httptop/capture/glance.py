"""A glance at a frame of a capture file: most are acknowledgements and bodies, and need no second look.

This is a short cut and no second opinion: what a glance does not understand goes the long way, through link.py and
packet.py, and what it says of the rest is what they say.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from struct import error as struct_error
from typing import Any

from httptop.capture.heads import BEGINS, NOTABLE
from httptop.capture.packet import FIN, IPV4, IPV6, RST, SYN, Segment, flow_of

Follows = Callable[[bytes, int], bool]
"""(addresses and ports as they stand in the packet, sequence number) -> whether bytes that are no head are wanted."""

PLAIN_IPV4, PLAIN_IPV6, TCP, UDP = 0x45, 6, 6, 17
TCP_MIN = 0x50  # 20 bytes, as the data offset says it
CONNECTION = SYN | FIN | RST
_begins = BEGINS.match
_new = tuple.__new__


# What `glance` raises for a frame that must be looked at the long way: of another link type, cut, or odd.
UNCLEAR = (LookupError, struct_error)


def _unpackers(before: int, between: int) -> tuple[Callable[[bytes], Any], Callable[[bytes], Any], int]:
    """For IPv4 and IPv6, each with TCP, and where they begin: so many bytes `before` the ethertype and behind it."""
    link = f">{before}x H {between}x "
    return (Struct(link + "B x H 2x H x B 2x 12s I I B B 6x").unpack_from,
            Struct(link + "B 3x H B x 36s I I B B 6x").unpack_from,
            before + 2 + between)


_LINKS = {1: _unpackers(12, 0), 113: _unpackers(14, 0), 276: _unpackers(0, 18)}  # Ethernet, Linux cooked, its version 2


def glance(link: int, frame: bytes, follows: Follows) -> Segment | None:
    """The segment in `frame`; None if nothing of it is wanted. Raises one of UNCLEAR when that takes a longer look."""
    ipv4, ipv6, at = _LINKS[link]
    ethertype, version, length, fragment, protocol, ends, seq, ack, offset, flags = ipv4(frame)
    if ethertype == IPV4:
        at += 20
        end = at + length - 20
        plain = version == PLAIN_IPV4 and not fragment & 0x3FFF
    else:
        _, version, length, protocol, ends, seq, ack, offset, flags = ipv6(frame)
        at += 40
        end = at + length
        plain = ethertype == IPV6 and version >> 4 == PLAIN_IPV6
    if protocol == UDP and plain:
        return None
    at += offset >> 2 & 60
    if not plain or protocol != TCP or offset < TCP_MIN or at > end:
        raise LookupError
    if not flags & CONNECTION:
        if at == end:
            return None
        if (frame[at] not in NOTABLE or not _begins(frame, at, end)) and not follows(ends, seq):
            return None
    flow, sender = flow_of(ends)
    available = min(end, len(frame)) - at
    if at < end and available <= 0:
        raise LookupError
    if flags & SYN:
        seq = seq + 1 & 0xFFFFFFFF
    return _new(Segment, (flow, sender, seq, ack, flags, at, end - at, available))
