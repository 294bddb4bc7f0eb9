"""Link layers of capture files: from the frame to the network header. A live packet socket has done that already.

Numbers and layouts: https://www.tcpdump.org/linktypes.html.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

IPV4, IPV6 = 0x0800, 0x86DD
# PF_INET6 differs: Linux, NetBSD and OpenBSD, FreeBSD, Darwin.
FAMILIES = {2: IPV4, 10: IPV6, 24: IPV6, 28: IPV6, 30: IPV6}
SNAP = b"\xaa\xaa\x03\x00\x00\x00"


def _ethernet(frame: bytes) -> tuple[int, int]:
    ethertype = frame[12] << 8 | frame[13]
    if ethertype <= 1500 and frame[14:20] == SNAP:  # IEEE 802.3: a length, then LLC
        return frame[20] << 8 | frame[21], 22
    return ethertype, 14


def _loopback(frame: bytes) -> tuple[int, int]:
    """The address family, in the byte order of the machine that captured (NULL) or of the network (LOOP)."""
    family = frame[0] | frame[1] << 8 if frame[3] == 0 else frame[3] | frame[2] << 8
    return FAMILIES.get(family, 0), 4


def _cooked(frame: bytes) -> tuple[int, int]:
    return frame[14] << 8 | frame[15], 16


def _cooked2(frame: bytes) -> tuple[int, int]:
    return frame[0] << 8 | frame[1], 20


def _raw(frame: bytes) -> tuple[int, int]:
    return {4: IPV4, 6: IPV6}.get(frame[0] >> 4, 0), 0


# Each takes a frame and returns (ethertype, offset of the network header), or raises IndexError if it is too short.
LINKS: Mapping[int, Callable[[bytes], tuple[int, int]]] = {
    0: _loopback,
    1: _ethernet,
    12: _raw,
    14: _raw,
    101: _raw,
    108: _loopback,
    113: _cooked,
    228: _raw,
    229: _raw,
    276: _cooked2,
}
