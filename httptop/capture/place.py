"""Where the filter stands that sees the packets of an interface: on tcx (Linux 6.6) or in a packet socket.

On tcx it costs what the program costs, which may look into the packet. A packet socket costs something itself, and a
copy of the head of each packet that goes out. But who has given up root can bind a socket to an interface that has come
back, and cannot put a program there; and only a socket sees all interfaces, or what a bridge forwards.

Imported by the loader child, so the standard library of Python 3.8 must do.
"""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from httptop.capture import af_packet, bytecode
else:  # see loader.py
    import af_packet
    import bytecode

SOCKET, TCX = 0, 1  # enum place of bpf/access.h
SINCE = (6, 6)
ETHERNET, LOOPBACK = 1, 772  # linux/if_arp.h: of others drivers differ, whether packets have a link header on tcx


def best(name: str, release: str) -> int:
    """Of an interface ("any": all of them), on Linux `release`."""
    version = tuple(map(int, re.findall("[0-9]+", release)[:2]))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        begins = af_packet.link_type(sock, name) in (ETHERNET, LOOPBACK)
        return TCX if version >= SINCE and begins and not af_packet.is_bridge(sock, name) else SOCKET


def links(name: str, program_fd: int, *, is_loopback: bool) -> list[int]:
    """The fds that keep the program on tcx; OSError where it cannot be.

    On loopback each packet goes out and comes in: once will do.
    """
    index = socket.if_nametoindex(name)
    ways = (bytecode.INGRESS,) if is_loopback else (bytecode.INGRESS, bytecode.EGRESS)
    return [bytecode.tcx_link(index, program_fd, way) for way in ways]
