"""A TCP conversation whose every send is exactly one segment on the wire."""

from __future__ import annotations

import contextlib
import fcntl
import socket
import sys
from collections.abc import Iterator

from tests.support.net import Namespace
from tests.support.poll import until

SIOCOUTQNSD = 0x894B  # bytes in the send queue that were never sent


def unsent(end: socket.socket) -> int:
    """Bytes that the kernel has taken but not yet put on the wire."""
    return int.from_bytes(fcntl.ioctl(end, SIOCOUTQNSD, bytes(4)), sys.byteorder)


def send_segments(end: socket.socket, *chunks: bytes) -> None:
    """Send each chunk as one segment.

    TCP_NODELAY is not enough: small writes are joined while an earlier one waits in the queue ("autocorking"),
    so the queue must be empty before the next write. Waiting for the ACK would cost 40 ms where it is delayed.
    """
    for chunk in chunks:
        end.sendall(chunk)
        until(lambda: unsent(end) == 0, "the segment to leave", every_s=0.0005)


def receive(end: socket.socket, count: int) -> bytes:
    """Exactly `count` bytes."""
    data = b""
    while len(data) < count:
        more = end.recv(count - len(data))
        assert more, f"the peer closed after {len(data)} of {count} bytes"
        data += more
    return data


@contextlib.contextmanager
def conversation(server: Namespace, client: Namespace, address: str,
                 port: int = 0) -> Iterator[tuple[socket.socket, socket.socket]]:
    """(client end, server end) of a fresh connection to `address` of `server`; port 0: any free one."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with server.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen()
        with client.socket(family) as caller:
            caller.connect(listener.getsockname()[:2])
            answerer, _ = listener.accept()
            with answerer:
                for end in (caller, answerer):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    end.settimeout(10)
                yield caller, answerer
