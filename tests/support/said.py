"""Dialogs that two sockets have, in place of frames."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Mapping

from tests.support import tcp
from tests.support.dialogs import Dialog, Link, Script, end_text
from tests.support.frames import FIN, RST
from tests.support.net import Site


class SocketDialog(Dialog):
    """A dialog between two sockets: every `say` is one segment of the kernel's own making."""

    def __init__(self, script: Script, client: socket.socket, server: socket.socket) -> None:
        super().__init__(script)
        self._sockets = (client, server)
        self._ends = (end_text(*client.getsockname()[:2]), end_text(*server.getsockname()[:2]))

    @property
    def ends(self) -> tuple[str, str]:
        return self._ends

    def say(self, sender: int, payload: bytes, *, flags: int = 0, seq: int | None = None) -> None:
        assert seq is None
        end, peer = self._sockets[sender], self._sockets[1 - sender]
        if payload:
            tcp.send_segments(end, payload)
            tcp.receive(peer, len(payload))
        if flags & RST:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.close()
        elif flags & FIN:
            end.shutdown(socket.SHUT_WR)


class SocketScript(Script):
    """Plays as it is written."""

    def __init__(self, wire: Site, undo: contextlib.ExitStack, level: int = 0,
                 options: Mapping[int, bytes] | None = None) -> None:
        """`options` of the clients' sockets, at `level`."""
        super().__init__()
        self._wire, self._undo, self._level, self._options = wire, undo, level, options or {}

    def dialog(self, *, v6: bool = False, isn: int = 0, link: Link | None = None) -> Dialog:
        """Another connection, closed by the server when all have been played."""
        address = self._wire.server6 if v6 else self._wire.server4
        ends = self._undo.enter_context(tcp.conversation(self._wire.server, self._wire.client, address))
        for option, value in self._options.items():
            ends[0].setsockopt(self._level, option, value)
        self.dialogs.append(SocketDialog(self, *ends))
        return self.dialogs[-1]
