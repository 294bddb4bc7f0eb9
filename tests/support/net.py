"""Network namespaces of the test's own: a server and a client, joined by a veth pair, and removed whatever happens."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import itertools
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

CLONE_NEWNET = 0x40000000
IFF_TUN, IFF_NO_PI, TUNSETIFF = 1, 0x1000, 0x400454CA
TUN = "httptun0"
_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count()


def ip(*words: str) -> None:
    """Run `ip`; its complaint becomes the test's."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"


@dataclass(frozen=True)
class Namespace:
    """A named network namespace."""

    name: str

    @property
    def path(self) -> Path:
        return Path("/run/netns", self.name)

    def command(self, *words: str) -> list[str]:
        """`words` as a command inside the namespace: nsenter becomes the command, so the pid is its own."""
        return ["nsenter", f"--net={self.path}", "--", *words]

    def run(self, *words: str) -> None:
        """Run a command inside, which must succeed."""
        subprocess.run(self.command(*words), check=True)

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Move the calling thread into the namespace for a while; sockets made there stay there."""
        with Path(f"/proc/self/task/{threading.get_native_id()}/ns/net").open() as home, self.path.open() as there:
            _setns(there.fileno())
            try:
                yield
            finally:
                _setns(home.fileno())

    def socket(self, family: int = socket.AF_INET, kind: int = socket.SOCK_STREAM, protocol: int = 0) -> socket.socket:
        """A socket inside the namespace, for code that runs outside."""
        with self.entered():
            return socket.socket(family, kind, protocol)


def _setns(fd: int) -> None:
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@dataclass(frozen=True)
class Site:
    """Two namespaces and the cable between them: interface `interface` in both, loopback up in both."""

    server: Namespace
    client: Namespace
    interface: str = "veth0"
    server4: str = "10.83.83.1"
    client4: str = "10.83.83.2"
    server6: str = "fd83::1"
    client6: str = "fd83::2"

    def ifindex(self, namespace: Namespace) -> int:
        """Number of `interface` in `namespace`."""
        with namespace.entered():
            return socket.if_nametoindex(self.interface)


def _send_nothing_twice() -> None:
    """On a busy machine an answer may be late by more than TCP waits before it asks again, which is counted again."""
    for name, value in (("tcp_early_retrans", "0"), ("tcp_rto_min_us", "2000000")):  # the latter since Linux 6.11
        with contextlib.suppress(FileNotFoundError):
            Path("/proc/sys/net/ipv4", name).write_text(value)


@contextlib.contextmanager
def namespace() -> Iterator[Namespace]:
    """A namespace with its loopback up."""
    here = Namespace(f"htt{os.getpid()}n{next(_numbers)}")
    ip("netns", "add", here.name)
    try:
        ip("-n", here.name, "link", "set", "lo", "up")
        with here.entered():
            _send_nothing_twice()
        yield here
    finally:
        ip("netns", "del", here.name)


def join(here: Site) -> None:
    """Lay the cable between the two namespaces."""
    ip("-n", here.server.name, "link", "add", here.interface, "type", "veth",
       "peer", "name", here.interface, "netns", here.client.name)
    for end, v4, v6 in ((here.server, here.server4, here.server6), (here.client, here.client4, here.client6)):
        ip("-n", end.name, "addr", "add", f"{v4}/30", "dev", here.interface)
        ip("-n", end.name, "addr", "add", f"{v6}/64", "dev", here.interface, "nodad")
        ip("-n", end.name, "link", "set", here.interface, "up")


@contextlib.contextmanager
def site() -> Iterator[Site]:
    """Both namespaces with addresses: nothing outside can send into them."""
    with namespace() as server, namespace() as client:
        here = Site(server, client)
        join(here)
        yield here


@contextlib.contextmanager
def tun(where: Namespace) -> Iterator[BinaryIO]:
    """The interface TUN, on which packets begin with IP: what is written there comes in."""
    with where.entered():
        device = Path("/dev/net/tun").open("r+b", buffering=0)  # noqa: SIM115 - as below
    with device:
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", TUN.encode(), IFF_TUN | IFF_NO_PI))
        ip("-n", where.name, "link", "set", TUN, "up")
        yield device
