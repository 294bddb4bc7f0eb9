"""Traffic to look at: a few small servers and their clients on loopback, each a process of its own.

`python -m httptop.demo --seconds 5` makes it without httptop. Nothing here runs as root. Nothing outlives its parent:
every process asks the kernel to be killed when its parent dies, and all end when the pipe to the first is closed.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import encodings.idna  # noqa: F401 - by socket, late: after the drop a Python below /root can import nothing more
import functools
import http.client
import math
import os
import random
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple, NoReturn

from httptop.capture import privileges
from httptop.errors import HttptopError

CONNECTION_REQUESTS = 40  # a keep-alive client connects anew after so many, so that accepts go on
TIMEOUT_S = 5.0
END_TIMEOUT_S = 1.0

_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
_libc = ctypes.CDLL(None, use_errno=True)


class Route(NamedTuple):
    """What a server answers to `method` and paths that begin with `prefix`: one of `statuses`, within `delay_s`."""

    method: str
    prefix: str
    statuses: tuple[int, ...]
    delay_s: tuple[float, float] = (0.0005, 0.003)
    size_bytes: int = 400


class Client(NamedTuple):
    """Who asks: `calls` are (server, method, path); `{n}` becomes a small number, `{token}` a long one."""

    calls: tuple[tuple[str, str, str], ...]
    rate_per_s: float
    keep_alive: bool = True
    active_s: tuple[float, float] = (1.0, 1.0)  # active for the first of these, in each span of the second


SERVERS: Mapping[str, tuple[Route, ...]] = {
    "shop-api": (
        Route("GET", "/api/products/", (200,) * 19 + (404,), size_bytes=900),
        Route("GET", "/api/products", (200,), (0.002, 0.008), 6000),
        Route("GET", "/api/search", (200,) * 30 + (500,), (0.004, 0.02), 3000),
        Route("POST", "/api/carts/", (201,) * 12 + (422,)),
        Route("PUT", "/api/carts/", (200,)),
        Route("DELETE", "/api/carts/", (204,)),
        Route("POST", "/api/checkout", (201,) * 9 + (500,), (0.01, 0.05)),
        Route("POST", "/api/stock/sync", (503,), (0.0002, 0.0008), 80),
    ),
    "auth": (
        Route("POST", "/login", (200, 200, 200, 401, 429), (0.005, 0.015)),
        Route("GET", "/session/", (200,), (0.0003, 0.001), 120),
        Route("HEAD", "/healthz", (200,)),
    ),
    "static": (
        Route("GET", "/assets/", (200, 304, 304), size_bytes=20_000),
        Route("HEAD", "/assets/", (200,), size_bytes=20_000),
        Route("GET", "/old/", (301,)),
    ),
    "reports": (Route("GET", "/reports/", (200, 200, 500), (0.3, 1.2), 40_000),),
}

CLIENTS: Mapping[str, Client] = {
    "web-frontend": Client((
        ("shop-api", "GET", "/api/products"), ("shop-api", "GET", "/api/products/{n}"),
        ("shop-api", "GET", "/api/search?q=shoes&page={n}"), ("auth", "GET", "/session/{n}?token={token}"),
        ("static", "GET", "/assets/app.js"), ("static", "GET", "/assets/logo.svg?v={n}"),
    ), 80),
    "mobile-app": Client((
        ("shop-api", "GET", "/api/products/{n}"), ("auth", "POST", "/login"), ("static", "GET", "/old/start"),
    ), 30, keep_alive=False),
    "checkout": Client((
        ("shop-api", "POST", "/api/carts/{n}/items"), ("shop-api", "PUT", "/api/carts/{n}/items/1"),
        ("shop-api", "DELETE", "/api/carts/{n}/items/1"), ("shop-api", "POST", "/api/checkout?token={token}"),
    ), 20),
    "crawler": Client((
        ("static", "HEAD", "/assets/app.js"), ("static", "GET", "/robots.txt"), ("static", "GET", "/old/page/{n}"),
    ), 15, keep_alive=False),
    "health-probe": Client((("auth", "HEAD", "/healthz"),), 2),
    "report-cron": Client((("reports", "GET", "/reports/monthly?month={n}"),), 4, keep_alive=False),
    "stock-sync": Client((("shop-api", "POST", "/api/stock/sync"),), 60, active_s=(2, 9)),
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one segment; two would wait for each other's acknowledgement
    routes: tuple[Route, ...] = ()

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        matching = (r for r in self.routes if r.method == self.command and self.path.startswith(r.prefix))
        route = next(matching, Route(self.command, "", (404,)))
        status = random.choice(route.statuses)
        time.sleep(random.uniform(*route.delay_s))
        body = b"" if status in (204, 304) else b"x" * route.size_bytes
        self.send_response(status)
        if status == 301:
            self.send_header("Location", "/assets/app.js")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - names that the base class looks for

    def log_message(self, *_: object) -> None:
        """Say nothing: the terminal belongs to the screen."""


def _serve(listener: socket.socket, routes: tuple[Route, ...]) -> None:
    handler = type("Handler", (_Handler,), {"routes": routes})
    server = ThreadingHTTPServer(("", 0), handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.serve_forever()


def _ask(client: Client, addresses: Mapping[str, tuple[str, int]]) -> None:
    connections: dict[str, http.client.HTTPConnection] = {}
    asked = 0
    due_s = time.monotonic()
    while True:
        now_s = time.monotonic()
        due_s = max(due_s + _pause_s(client, now_s), now_s)
        time.sleep(due_s - now_s)
        server, method, path = random.choice(client.calls)
        if server not in connections:
            connections[server] = http.client.HTTPConnection(*addresses[server], timeout=TIMEOUT_S)
        asked += 1
        keep = client.keep_alive and asked % CONNECTION_REQUESTS != 0
        try:
            _exchange(connections[server], server, method, path, keep=keep)
        except (OSError, http.client.HTTPException):
            keep = False
        if not keep:
            connections.pop(server).close()


def _exchange(connection: http.client.HTTPConnection, server: str, method: str, path: str, *, keep: bool) -> None:
    target = path.format(n=random.randint(1, 12), token=random.getrandbits(64))
    headers = {"Host": f"{server}.demo", "Connection": "keep-alive" if keep else "close"}
    connection.request(method, target, b"y" * 150 if method in ("POST", "PUT") else None, headers)
    connection.getresponse().read()


def _pause_s(client: Client, now_s: float) -> float:
    """Until the next request: the rate swells and ebbs by a third, and some clients come in bursts."""
    active_s, span_s = client.active_s
    if active_s < span_s and now_s % span_s >= active_s:
        return span_s - now_s % span_s
    rate_per_s = client.rate_per_s * (1 + math.sin(now_s / 4) / 3)
    return random.uniform(0.5, 1.5) / rate_per_s


def _become(name: str, parent: int) -> None:
    """Take a telling name (prctl(2)), and die with `parent`."""
    _libc.prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the kernel knew
        os._exit(1)


def _fork(name: str, work: Callable[[], None]) -> int:
    """Run `work` in a child; its pid."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        _become(name, parent)
        work()
    finally:
        os._exit(1)


def _supervise(listeners: Mapping[str, socket.socket], stop: int) -> NoReturn:
    """Start everybody; kill everybody when `stop` is closed at its other end."""
    parent = os.getppid()
    os.setsid()  # Ctrl-C is for the screen
    if os.geteuid() == 0:
        privileges.drop()
    _become("httptop-demo", parent)  # after the drop, which makes the kernel forget the death signal
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    silence = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(silence, fd)
    pids = _start_all(listeners)
    while not select.select([stop], [], [], 1.0)[0]:
        if os.waitpid(-1, os.WNOHANG)[0]:  # nobody ends by himself
            break
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    os._exit(0 if select.select([stop], [], [], 0)[0] else 1)


def _start_all(listeners: Mapping[str, socket.socket]) -> list[int]:
    addresses = _addresses(listeners)
    pids = [_fork(name, functools.partial(_serve, listener, SERVERS[name])) for name, listener in listeners.items()]
    for listener in listeners.values():
        listener.close()
    return pids + [_fork(name, functools.partial(_ask, client, addresses)) for name, client in CLIENTS.items()]


def _addresses(listeners: Mapping[str, socket.socket]) -> dict[str, tuple[str, int]]:
    return {name: listener.getsockname()[:2] for name, listener in listeners.items()}


def _listen(name: str) -> socket.socket:
    """A free port on loopback; the server of static files is on IPv6 where there is any."""
    if name == "static":
        with contextlib.suppress(OSError):
            return socket.create_server(("::1", 0), family=socket.AF_INET6, backlog=64)
    return socket.create_server(("127.0.0.1", 0), backlog=64)


@contextlib.contextmanager
def running() -> Iterator[Mapping[str, tuple[str, int]]]:
    """Servers and clients run within this context; where each server listens. Call it before threads are started."""
    try:
        listeners = {name: _listen(name) for name in SERVERS}
    except OSError as error:
        raise HttptopError(f"the demo cannot listen on loopback: {error.strerror}", "is lo up?") from error
    stop, running_until_closed = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.close(running_until_closed)
            _supervise(listeners, stop)
        finally:
            os._exit(1)
    os.close(stop)
    addresses = _addresses(listeners)
    for listener in listeners.values():
        listener.close()
    try:
        yield addresses
        if os.waitpid(pid, os.WNOHANG)[0]:
            raise HttptopError("the demo traffic ended by itself", "what was shown is what there was")
    finally:
        os.close(running_until_closed)
        _reap(pid)


def _reap(pid: int) -> None:
    deadline_s = time.monotonic() + END_TIMEOUT_S
    with contextlib.suppress(ChildProcessError):  # it has ended by itself
        while not os.waitpid(pid, os.WNOHANG)[0]:
            if time.monotonic() > deadline_s:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)


def main() -> int:
    """Make the traffic for a while, without httptop."""
    parser = argparse.ArgumentParser(prog="python -m httptop.demo", description="HTTP traffic on loopback")
    parser.add_argument("--seconds", type=float, default=60.0)
    seconds = parser.parse_args().seconds
    with running() as addresses:
        for name, (host, port) in addresses.items():
            print(f"{name:<10} {host} port {port}", flush=True)  # noqa: T201
        with contextlib.suppress(KeyboardInterrupt):
            time.sleep(seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
