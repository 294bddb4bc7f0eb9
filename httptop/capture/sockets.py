"""The packet sockets, one to an interface, and the interfaces, which come and go."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Sequence

from httptop.capture.af_packet import ETH_P_ALL, PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC, SOL_PACKET, is_bridge
from httptop.capture.interfaces import ANY


class PacketSockets:
    """Made by the loader with the filter on. Only to make one takes a privilege: binding it again takes none."""

    def __init__(self, names: Sequence[str], fds: Sequence[int]) -> None:
        self._sockets = {name: socket.socket(fileno=fd) for name, fd in zip(names, fds, strict=True)}
        self._bound = {name: index for index, name in socket.if_nameindex() if name in self._sockets}

    def __bool__(self) -> bool:
        return bool(self._sockets)

    def look(self) -> tuple[str, ...]:
        """The interfaces that are gone now. What has come back, as another interface of that name, is watched again."""
        present = {name: index for index, name in socket.if_nameindex()}
        for name, sock in self._sockets.items():
            if name in present and self._bound.get(name) != present[name]:
                with contextlib.suppress(OSError):  # it went again: the next look will see
                    self._bind(sock, name, present[name])
        return tuple(name for name in self._sockets if name not in (ANY, *present))

    def _bind(self, sock: socket.socket, name: str, index: int) -> None:
        if is_bridge(sock, name):
            sock.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, struct.pack("=iHH8x", index, PACKET_MR_PROMISC, 0))
        sock.bind((name, ETH_P_ALL))
        self._bound[name] = index

    def close(self) -> None:
        """Watch no more."""
        for sock in self._sockets.values():
            sock.close()
        self._sockets = {}
