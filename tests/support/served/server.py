"""Servers of the tests' own, one for each way in which a Linux process can come by a connection.

Run as: server.py HOW PORT LOG. Each request is answered with the pid of the process that serves it, which also goes to
LOG, one line for a request, written before the answer. Standard library only.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

WORKERS = 3
FIRST_INHERITED_FD = 3  # sd_listen_fds(3)


def log(path: str) -> None:
    """One line, whole: O_APPEND."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.write(fd, b"%d\n" % os.getpid())
    os.close(fd)


def listener(port: int, *, reuseport: bool = False) -> socket.socket:
    """Dual stack: IPv4 peers are v4-mapped."""
    return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, reuse_port=reuseport)


def serve(connection: socket.socket, path: str) -> None:
    """Answer requests without a body until the peer closes."""
    data = b""
    with connection:
        while part := connection.recv(65536):
            data += part
            while b"\r\n\r\n" in data:
                head, _, data = data.partition(b"\r\n\r\n")
                answer(connection, head, path)


def answer(connection: socket.socket, head: bytes, path: str) -> None:
    """`/slow` takes a second."""
    if b" /slow" in head.split(b"\r\n")[0]:
        time.sleep(1)
    log(path)
    body = b"%d\n" % os.getpid()
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def accept_each(here: socket.socket, path: str) -> None:
    """One connection after the other would let an idle one block the rest: a thread for each."""
    while True:
        connection, _ = here.accept()
        threading.Thread(target=serve, args=(connection, path), daemon=True).start()


def threads(port: int, path: str) -> None:
    """http.server with a thread for each connection."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            log(path)
            body = b"%d\n" % os.getpid()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6

        def server_bind(self) -> None:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            super().server_bind()

    Server(("::", port), Handler).serve_forever()


def prefork(port: int, path: str) -> None:
    """Processes that accept from one socket."""
    here = listener(port)
    for _ in range(WORKERS):
        if os.fork() == 0:
            accept_each(here, path)
    os.wait()


def acceptors(port: int, path: str) -> None:
    """Threads that accept from one socket."""
    here = listener(port)
    for _ in range(WORKERS):
        threading.Thread(target=accept_each, args=(here, path)).start()


def reuseport(port: int, path: str) -> None:
    """Twins with a socket each on one port."""
    ready, told = os.pipe()
    for _ in range(2):
        if os.fork() == 0:
            here = listener(port, reuseport=True)
            os.write(told, b".")
            accept_each(here, path)
    os.read(ready, 1)
    os.wait()


def activated(port: int, path: str) -> None:
    """A parent listens; the server gets the socket over exec, as systemd gives it."""
    here = listener(port)
    if os.fork() == 0:
        os.dup2(here.fileno(), FIRST_INHERITED_FD)
        os.set_inheritable(FIRST_INHERITED_FD, True)  # also when it was that one already
        environment = {**os.environ, "LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
        words = [sys.executable, __file__, "inherited", str(port), path]
        os.execve(words[0], words, environment)  # noqa: S606 - it must be this process
    os.wait()


def inherited(_port: int, path: str) -> None:
    """The other half of `activated`."""
    accept_each(socket.socket(fileno=FIRST_INHERITED_FD), path)


def passed(port: int, path: str) -> None:
    """One process accepts, another gets the connection over a Unix socket and serves it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    here = listener(port)
    if os.fork() == 0:
        while True:
            _, fds, _, _ = socket.recv_fds(theirs, 1, 1)
            threading.Thread(target=serve, args=(socket.socket(fileno=fds[0]), path), daemon=True).start()
    while True:
        connection, _ = here.accept()
        with connection:
            socket.send_fds(ours, [b"."], [connection.fileno()])


def forking(port: int, path: str) -> None:
    """A process for each connection, which the parent accepted."""
    here = listener(port)
    while True:
        connection, _ = here.accept()
        if os.fork() == 0:
            here.close()
            serve(connection, path)
            os._exit(0)
        connection.close()


def multipath(port: int, path: str) -> None:
    """A socket of Multipath TCP, which falls back to TCP for a peer without (Go does this by itself since 1.24)."""
    here = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, 262)  # IPPROTO_MPTCP, in Python since 3.10
    here.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    here.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    here.bind(("::", port))
    here.listen()
    accept_each(here, path)


WAYS = {way.__name__: way for way in (threads, acceptors, prefork, reuseport, activated, inherited, passed, forking,
                                      multipath)}

if __name__ == "__main__":
    Path(sys.argv[3]).touch()
    WAYS[sys.argv[1]](int(sys.argv[2]), sys.argv[3])
