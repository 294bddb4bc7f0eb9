"""Packet sockets, packet(7): made by the loader, bound again by whoever has them.

Imported by the loader child, so the standard library of Python 3.8 must do.
"""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct

SO_ATTACH_BPF = 50
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC = 1, 1
SIOCETHTOOL, ETHTOOL_GDRVINFO = 0x8946, 3
ETH_P_ALL = 3
SIOCGIFHWADDR = 0x8927


def link_type(sock: socket.socket, name: str) -> int:
    """As linux/if_arp.h has it; -1: there is no such interface ("any")."""
    try:
        answer = fcntl.ioctl(sock, SIOCGIFHWADDR, struct.pack("40s", name.encode()))
    except OSError:
        return -1
    kind: int = struct.unpack_from("16xH", answer)[0]
    return kind


def is_bridge(sock: socket.socket, name: str) -> bool:
    """By the name of the driver (ethtool(8) -i): sysfs shows the namespace of whoever has mounted it."""
    answer = ctypes.create_string_buffer(struct.pack("=I", ETHTOOL_GDRVINFO), 256)
    try:
        fcntl.ioctl(sock, SIOCETHTOOL, struct.pack("16sP16x", name.encode(), ctypes.addressof(answer)))
    except OSError:  # no such interface ("any"), or no driver that has a name
        return False
    return answer.raw[4:36].split(b"\0")[0] == b"bridge"


def unbound(program_fd: int) -> socket.socket:
    """A packet socket that will show `program_fd` every packet of the interface that it is bound to, and queue none.

    SOCK_DGRAM: the program sees each packet from its network header on, whatever the link type. Protocol 0 until it is
    bound: nothing is queued before.
    """
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_BPF, program_fd)
    return sock


def packet_socket(name: str, program_fd: int, *, is_loopback: bool) -> int:
    """The fd of one that is bound to the interface, "any": to all."""
    sock = unbound(program_fd)
    if is_bridge(sock, name):  # it shows what it forwards only so
        sock.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP,
                        struct.pack("=iHH8x", socket.if_nametoindex(name), PACKET_MR_PROMISC, 0))
    if is_loopback:  # each packet is seen going out and coming in
        sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    if name == "any":  # socket.bind() takes no packet address without an interface
        every = struct.pack("=HHi12x", socket.AF_PACKET, socket.htons(ETH_P_ALL), 0)
        if ctypes.CDLL(None, use_errno=True).bind(sock.fileno(), every, len(every)):
            raise OSError(ctypes.get_errno(), "cannot listen on all interfaces")
    else:
        sock.bind((name, ETH_P_ALL))
    return sock.detach()
