"""Network namespaces: entering one for a while or for good, and finding those that processes live in."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import socket
import threading
from collections.abc import Iterator

from httptop.errors import UsageError

_CLONE_NEWNET = 0x40000000  # linux/sched.h
_NAMED = "/run/netns"  # ip-netns(8)

_libc = ctypes.CDLL(None, use_errno=True)


def own() -> int:
    """Descriptor of the calling thread's namespace, for the caller to close."""
    return os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY)


def find(name_or_pid: str) -> int:
    """Descriptor of a namespace that `ip netns` lists, or of the one in which a process is; UsageError."""
    named = f"{_NAMED}/{name_or_pid}"
    is_name = "/" not in name_or_pid and os.path.isfile(named)
    try:
        return os.open(named if is_name else f"/proc/{int(name_or_pid)}/ns/net", os.O_RDONLY)
    except (ValueError, FileNotFoundError):
        raise UsageError(f"there is no network namespace or process {name_or_pid!r}",
                         "`ip netns` lists the named ones; for a container give the pid of one of its processes"
                         ) from None
    except OSError as error:
        raise UsageError(f"--netns {name_or_pid}: {error.strerror}", "run it as root") from None


def enter(fd: int) -> None:
    """Move the calling thread there for good. Sockets that it opens from now on are of that namespace."""
    if _libc.setns(fd, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "cannot enter the network namespace")


@contextlib.contextmanager
def entered(fd: int) -> Iterator[None]:
    """Move the calling thread there, and back."""
    home = own()
    try:
        enter(fd)
        try:
            yield
        finally:
            enter(home)
    finally:
        os.close(home)


@contextlib.contextmanager
def inside(name_or_pid: str | None) -> Iterator[None]:
    """Move the calling thread to what the user named, and back; None: stay."""
    if name_or_pid is None:
        yield
        return
    fd = find(name_or_pid)
    try:
        with entered(fd):
            yield
    finally:
        os.close(fd)


def others() -> Iterator[None]:
    """Visit each other namespace that has a process: the thread is inside while the caller's loop body runs."""
    home = own()
    seen = {os.fstat(home).st_ino}
    os.close(home)
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            fd = os.open(f"/proc/{name}/ns/net", os.O_RDONLY)
        except OSError:  # the process is gone, or not ours to see
            continue
        try:
            inode = os.fstat(fd).st_ino
            if inode not in seen:
                seen.add(inode)
                with entered(fd):
                    yield
        finally:
            os.close(fd)


def addresses() -> frozenset[bytes]:
    """IP addresses of the calling thread's namespace, 16 bytes each, IPv4 as v4-mapped."""
    directory = f"/proc/self/task/{threading.get_native_id()}/net"
    found = {bytes.fromhex(line.split()[0]) for line in _lines(f"{directory}/if_inet6")}
    lines = _lines(f"{directory}/fib_trie")
    for address, below in itertools.pairwise(lines):
        if "host LOCAL" in below and "|--" in address:
            found.add(bytes(10) + b"\xff\xff" + socket.inet_aton(address.split()[-1]))
    return frozenset(found)


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().splitlines()
    except OSError:
        return []
