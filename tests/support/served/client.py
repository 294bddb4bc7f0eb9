"""A client on one connection: client.py HOST PORT [SOURCE_PORT]; a request for each line on standard input.

It says `ready` when it is connected, then the status line of each response. `thread` as last argument: the requests are
made by a thread that has a name of its own.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
import threading

PR_SET_NAME = 15
REQUEST = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


def ask(end: socket.socket) -> None:
    """Requests until standard input ends."""
    for _ in sys.stdin:
        end.sendall(REQUEST)
        data = b""
        while b"\r\n\r\n" not in data:
            data += end.recv(4096)
        head, _, body = data.partition(b"\r\n\r\n")
        left = int(head.lower().partition(b"content-length: ")[2].split()[0]) - len(body)
        while left > 0:
            left -= len(end.recv(left))
        print(data.split(b"\r\n")[0].decode(), flush=True)


def main(host: str, port: str, source_port: str = "0", *options: str) -> None:
    """Connect, then ask."""
    end = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    end.bind(("", int(source_port)))

    def work() -> None:
        if options:
            ctypes.CDLL(None).prctl(PR_SET_NAME, b"a-thread", 0, 0, 0)
        end.connect((host, int(port)))
        print("ready", flush=True)
        ask(end)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
