"""Address translation: which flow on the wire is which flow at the socket, as this namespace's conntrack tells it.

Connections that are there are dumped once; new ones are told by multicast (nfnetlink). Both need CAP_NET_ADMIN when
they are asked for, reading the events later does not. A kernel that tracks no connections tells none, at no cost.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections import OrderedDict
from collections.abc import Iterator

from httptop.records import endpoint, flow_key

TRANSLATIONS_MAX = 65536
RECEIVE_BYTES = 1 << 20  # 4,000 new connections between two looks

# linux/netfilter/nfnetlink.h, nfnetlink_conntrack.h
_NETLINK_NETFILTER = 12
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_GROUP_NEW = 1
_CTNETLINK = 1 << 8
_NEW, _GET = 0, 1
_REQUEST_DUMP = 0x301
_DONE, _ERROR = 3, 2
_ORIGINAL, _REPLY = 1, 2
_TUPLE_IP, _TUPLE_PROTO = 1, 2
_SOURCES, _DESTINATIONS = (1, 3), (2, 4)  # IPv4, IPv6
_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3
_HEADER = struct.Struct("=IHHII")
_FAMILY = struct.Struct("=BBH")
_ATTRIBUTE = struct.Struct("=HH")
_TYPE = 0x3FFF  # without the flags for nesting and byte order

Tuple = tuple[bytes, bytes]
"""source and destination, 18 bytes each"""


class Conntrack:
    """TCP connections whose addresses are translated. OSError when this kernel or namespace does not tell."""

    def __init__(self) -> None:
        self._flows: OrderedDict[bytes, tuple[bytes, bool]] = OrderedDict()
        self._events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
        try:
            self._events.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
            self._events.bind((0, 0))
            self._events.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _GROUP_NEW)
            self._events.settimeout(0)
            self._dump()
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Listen no more."""
        self._events.close()

    def other(self, flow: bytes, end: int) -> tuple[bytes, int] | None:
        """The same connection and endpoint on the other side of the translation; None: it is not translated."""
        known = self._flows.get(flow)
        if known is None:
            return None
        other, swapped = known
        return other, end ^ swapped

    def read(self) -> None:
        """Take in what was told since the last time. What did not fit into the buffer is not known."""
        while self._read():
            pass

    def _read(self) -> bool:
        try:
            self._learn(self._events.recv(1 << 16))
        except BlockingIOError:
            return False
        except OSError as error:
            return error.errno == errno.ENOBUFS  # some were lost: the next ones are there
        return True

    def _dump(self) -> None:
        header = _HEADER.pack(_HEADER.size + _FAMILY.size, _CTNETLINK | _GET, _REQUEST_DUMP, 1, 0)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as link:
            link.send(header + _FAMILY.pack(socket.AF_UNSPEC, 0, 0))
            while self._learn(link.recv(1 << 18)):
                pass

    def _learn(self, data: bytes) -> bool:
        """Whether more will follow, for a dump."""
        at = 0
        while at + _HEADER.size <= len(data):
            length, kind, *_ = _HEADER.unpack_from(data, at)
            if kind == _ERROR:
                number = -struct.unpack_from("=i", data, at + _HEADER.size)[0]
                raise OSError(number, os.strerror(number))
            if kind == _DONE or length < _HEADER.size:
                return False
            if kind == _CTNETLINK | _NEW:
                self._connection(data[at + _HEADER.size + _FAMILY.size : at + length])
            at += (length + 3) & ~3
        return True

    def _connection(self, attributes: bytes) -> None:
        found = dict(_attributes(attributes))
        with contextlib.suppress(KeyError):  # not TCP
            original, reply = _tuple(found[_ORIGINAL]), _tuple(found[_REPLY])
            if original != reply[::-1]:
                self._add(original, reply)

    def _add(self, original: Tuple, reply: Tuple) -> None:
        """The initiator is the source of `original` and the destination of `reply`."""
        before, initiator = flow_key(*original)
        after, responder = flow_key(*reply)
        swapped = initiator == responder
        self._flows[before] = after, swapped
        self._flows[after] = before, swapped
        while len(self._flows) > TRANSLATIONS_MAX:
            self._flows.popitem(last=False)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size:
            return
        yield kind & _TYPE, data[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3


def _tuple(data: bytes) -> Tuple:
    """KeyError when it is not TCP."""
    parts = dict(_attributes(data))
    address, protocol = dict(_attributes(parts[_TUPLE_IP])), dict(_attributes(parts[_TUPLE_PROTO]))
    if protocol[_NUMBER][0] != socket.IPPROTO_TCP:
        raise KeyError(_NUMBER)
    source, destination = (next(address[kind] for kind in kinds if kind in address)
                           for kinds in (_SOURCES, _DESTINATIONS))
    return (endpoint(source, int.from_bytes(protocol[_SOURCE_PORT], "big")),
            endpoint(destination, int.from_bytes(protocol[_DESTINATION_PORT], "big")))
