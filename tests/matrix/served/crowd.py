"""Many connections between two processes: crowd.py server PORT | crowd.py client PORT COUNT.

The client says `ready` when all are open; for each line on standard input it makes one request on each and says `done`.
"""

from __future__ import annotations

import resource
import selectors
import socket
import sys

PER_ADDRESS = 10_000  # connections to one of the addresses 127.0.0.N: there are 28,000 source ports
REQUEST = b"GET / HTTP/1.1\r\nHost: crowd\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
AT_ONCE = 100


def server(port: int) -> None:
    """Answer whatever is sent."""
    poll = selectors.DefaultSelector()
    here = socket.create_server(("", port), backlog=4096)
    poll.register(here, selectors.EVENT_READ)
    while True:
        for key, _ in poll.select():
            end = key.fileobj
            assert isinstance(end, socket.socket)
            if end is here:
                poll.register(here.accept()[0], selectors.EVENT_READ)
            elif end.recv(4096):
                end.send(ANSWER)
            else:
                poll.unregister(end)
                end.close()


def client(port: int, count: int) -> None:
    """Open all, then ask on all, AT_ONCE at a time."""
    ends = [socket.create_connection((f"127.0.0.{1 + number // PER_ADDRESS}", port)) for number in range(count)]
    print("ready", flush=True)
    for _ in sys.stdin:
        for first in range(0, count, AT_ONCE):
            some = ends[first : first + AT_ONCE]
            for end in some:
                end.send(REQUEST)
            for end in some:
                end.recv(4096)
        print("done", flush=True)


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if sys.argv[1] == "server":
        server(int(sys.argv[2]))
    else:
        client(int(sys.argv[2]), int(sys.argv[3]))
