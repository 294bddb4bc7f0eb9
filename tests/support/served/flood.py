"""A client that never asks for the same twice: flood.py ADDRESS PORT, until standard input ends.

Requests go one to a segment over 64 connections, as fast as they are answered. Then it says how many there were.
"""

from __future__ import annotations

import select
import socket
import sys

CONNECTIONS = 64


def main(address: str, port: str) -> None:
    """All ask, then all are answered."""
    ends = [socket.create_connection((address, int(port))) for _ in range(CONNECTIONS)]
    asked = 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        for end in ends:
            asked += 1
            end.send(b"GET /ok/%d HTTP/1.1\r\nHost: flood\r\n\r\n" % asked)
        for end in ends:
            while not end.recv(65536).endswith(b"ok\n"):
                pass
    print(asked)


if __name__ == "__main__":
    main(*sys.argv[1:])
