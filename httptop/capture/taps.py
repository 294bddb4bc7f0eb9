"""Where packets are seen, interface by interface (place.py); and the interfaces, which come and go."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Mapping, Sequence

from httptop.capture.af_packet import ETH_P_ALL, PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC, SOL_PACKET, is_bridge
from httptop.capture.interfaces import ANY


class Taps:
    """Made by the loader. An interface that comes back as another one of its name has its packet socket bound again.

    Only to make a socket takes a privilege. `links`: fds of the programs on tcx.
    """

    def __init__(self, names: Sequence[str], sockets: Mapping[str, int], links: Mapping[str, Sequence[int]]) -> None:
        self._names = tuple(names)
        self._sockets: dict[str, socket.socket] = {}
        self._links = {name: list(fds) for name, fds in links.items()}
        self._bound = {name: index for index, name in socket.if_nameindex() if name in names}
        self.add(sockets)

    def __bool__(self) -> bool:
        return bool(self._names)

    def add(self, sockets: Mapping[str, int]) -> None:
        """Packet sockets by interface, bound to it or for when it has come back."""
        self._sockets |= {name: socket.socket(fileno=fd) for name, fd in sockets.items()}

    def look(self) -> tuple[str, ...]:
        """The interfaces that are gone now. What has come back is watched again."""
        present = {name: index for index, name in socket.if_nameindex()}
        for name in [name for name, index in self._bound.items() if present.get(name) != index]:
            del self._bound[name]
            self._let_go(name)  # programs would go along to another name, or another network namespace
        for name, sock in self._sockets.items():
            if name in present and name not in self._bound:
                with contextlib.suppress(OSError):  # it went again: the next look will see
                    self._bind(sock, name, present[name])
        return tuple(name for name in self._names if name not in self._bound and name != ANY)

    def _bind(self, sock: socket.socket, name: str, index: int) -> None:
        if is_bridge(sock, name):
            sock.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, struct.pack("=iHH8x", index, PACKET_MR_PROMISC, 0))
        sock.bind((name, ETH_P_ALL))
        self._bound[name] = index

    def _let_go(self, name: str) -> None:
        for fd in self._links.pop(name, ()):
            os.close(fd)

    def close(self) -> None:
        """Watch no more."""
        for sock in self._sockets.values():
            sock.close()
        for name in list(self._links):
            self._let_go(name)
        self._names, self._sockets = (), {}
