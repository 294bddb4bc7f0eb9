"""The walk: from the network header of a packet to its TCP payload, as bpf/packet.h does it.

What must be fast here is to say no: most packets are acknowledgements and bodies.
"""

from __future__ import annotations

import functools
from struct import Struct
from struct import error as struct_error
from typing import NamedTuple

from httptop.records import V4_MAPPED, Counter, flow_key

IPV4, IPV6 = 0x0800, 0x86DD
VLAN_TYPES = frozenset((0x8100, 0x88A8, 0x9100))
MPLS_TYPES = frozenset((0x8847, 0x8848))
VLAN_TAGS = 2
MPLS_LABELS = 4
EXTENSIONS = 6
FIN, SYN, RST, ACK = 1, 2, 4, 16

# Members of an Enum are slow to look up: once, here.
_MALFORMED, _FRAGMENTS = Counter.MALFORMED, Counter.FRAGMENTS

_IPV4 = Struct(">B x H 2x H x B 2x")
_IPV6 = Struct(">B 3x H B x")
_TCP = Struct(">4x I I B B")
_U16 = Struct(">H")
_EXTENSION = Struct(">B B H")


class Segment(NamedTuple):
    """A TCP segment. Its payload begins at `offset` of the packet, which holds `available` bytes of it."""

    flow: bytes
    sender: int
    seq: int
    ack: int
    flags: int
    offset: int
    payload_len: int
    available: int


def walk(ethertype: int, data: bytes, wire_len: int) -> Segment | Counter | None:
    """From the network header to the TCP payload. A Counter: what to count for a packet that cannot be used.

    `wire_len`: length of the packet on the wire from the network header on. None: of no interest, that is not TCP or
    a segment without payload, SYN, FIN and RST.
    """
    try:
        at = 0
        if ethertype not in (IPV4, IPV6):
            ethertype, at = _skip_tags(ethertype, data)
        if ethertype == IPV4:
            return _walk_ipv4(data, at, wire_len)
        if ethertype == IPV6:
            return _walk_ipv6(data, at, wire_len)
    except (struct_error, IndexError):
        return _MALFORMED
    return None


def _skip_tags(ethertype: int, data: bytes) -> tuple[int, int]:
    """Step over VLAN tags and MPLS labels: (ethertype, 0 if unknown; offset of what it says)."""
    at = 0
    while ethertype in VLAN_TYPES and at < 4 * VLAN_TAGS:
        (ethertype,) = _U16.unpack_from(data, at + 2)
        at += 4
    return _skip_mpls(data, at) if ethertype in MPLS_TYPES else (ethertype, at)


def _skip_mpls(data: bytes, at: int) -> tuple[int, int]:
    """The version nibble behind the last label says what follows."""
    for _ in range(MPLS_LABELS):
        if len(data) < at + 5:
            break
        bottom = data[at + 2] & 1
        at += 4
        if bottom:
            return {4: IPV4, 6: IPV6}.get(data[at] >> 4, 0), at
    return 0, at


def _walk_ipv4(data: bytes, at: int, wire_len: int) -> Segment | Counter | None:
    version_ihl, total, fragment, protocol = _IPV4.unpack_from(data, at)
    header = (version_ihl & 15) * 4
    if version_ihl >> 4 != 4 or header < 20 or len(data) < at + 20:
        return _MALFORMED
    if fragment & 0x3FFF:  # more-fragments bit and offset
        return _FRAGMENTS
    if protocol != 6:
        return None
    # Total length 0: a super-packet that the network card was still to cut.
    return _walk_tcp(data, at + header, at + total if total else wire_len, data[at + 12 : at + 20])


def _walk_ipv6(data: bytes, at: int, wire_len: int) -> Segment | Counter | None:
    version, payload, following = _IPV6.unpack_from(data, at)
    if version >> 4 != 6 or len(data) < at + 40:
        return _MALFORMED
    end = at + 40 + payload if payload else wire_len
    addresses = data[at + 8 : at + 40]
    at += 40
    for _ in range(EXTENSIONS + 1):  # RFC 8200 section 4: what may stand between IPv6 and TCP
        if following == 6:
            return _walk_tcp(data, at, end, addresses)
        if following not in (0, 43, 44, 51, 60):
            return None
        header = following
        following, units, fragment = _EXTENSION.unpack_from(data, at)
        if header == 44 and fragment & 0xFFF9:
            return _FRAGMENTS
        at += 8 if header == 44 else (units + 2) * 4 if header == 51 else (units + 1) * 8
    return None


def _walk_tcp(data: bytes, at: int, end: int, addresses: bytes) -> Segment | Counter | None:
    seq, ack, offset, flags = _TCP.unpack_from(data, at)
    header = (offset >> 4) * 4
    offset = at + header
    if header < 20 or offset > end or len(data) < at + 20:
        return _MALFORMED
    payload_len = end - offset
    if not payload_len and not flags & (SYN | FIN | RST):
        return None
    available = min(end, len(data)) - offset
    if payload_len and available <= 0:
        return _MALFORMED
    flow, sender = flow_of(addresses + data[at : at + 4])
    if flags & SYN:
        seq = seq + 1 & 0xFFFFFFFF
    return Segment(flow, sender, seq, ack, flags, offset, payload_len, available)


@functools.lru_cache(maxsize=16384)
def flow_of(addresses_ports: bytes) -> tuple[bytes, int]:
    """(flow key, index of the source in it) from both addresses and both ports, as they stand in a packet."""
    size = (len(addresses_ports) - 4) // 2
    mapped = b"" if size == 16 else V4_MAPPED
    source, destination, ports = addresses_ports[:size], addresses_ports[size:-4], addresses_ports[-4:]
    return flow_key(mapped + source + ports[:2], mapped + destination + ports[2:])
