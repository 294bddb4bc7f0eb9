"""A client of whose requests none is like another: flood.py ADDRESS PORT URLS, until standard input ends.

They go one to a segment over 64 connections, as fast as they are answered, to so many URLs; what differs always is an
id. Then it says how many there were.
"""

from __future__ import annotations

import select
import socket
import sys

CONNECTIONS = 64


def main(address: str, port: str, urls: str) -> None:
    """All ask, then all are answered."""
    ends = [socket.create_connection((address, int(port))) for _ in range(CONNECTIONS)]
    asked, most = 0, int(urls)
    while not select.select([sys.stdin], [], [], 0)[0]:
        for end in ends:
            asked += 1
            end.send(b"GET /ok/%d HTTP/1.1\r\nHost: flood\r\nX-Request-Id: %d\r\n\r\n" % (asked % most, asked))
        for end in ends:
            while not end.recv(65536).endswith(b"ok\n"):
                pass
    print(asked)


if __name__ == "__main__":
    main(*sys.argv[1:])
