"""The BPF file system: which one, that there is one, and who may change what is pinned in it."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import functools
import os
from collections.abc import Iterator
from pathlib import Path

from httptop.errors import MissingFeatureError

USUAL = Path("/sys/fs/bpf")

_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 2, 4, 8
_CLONE_FS, _CLONE_NEWNS = 0x200, 0x20000


@functools.cache
def _keeper() -> str:
    """The process in /proc whose BPF file system we use.

    It is PID 1 where we have another mount namespace: that of `ip netns exec`, with a /sys of its own, ends with us.
    """
    try:
        own, first = (os.stat(f"/proc/{pid}/ns/mnt").st_ino for pid in ("self", "1"))  # noqa: PTH116 - the link leads to no path
    except OSError:  # not root: the file system itself says what is to be said
        return "self"
    return "self" if own == first else "1"


def directory() -> Path:
    """Where it is, seen from here."""
    return USUAL if _keeper() == "self" else Path(f"/proc/1/root{USUAL}")


def mount() -> None:
    """See to it that there is a BPF file system, as systemd would mount it."""
    mounts = Path(f"/proc/{_keeper()}/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    if any(line.split()[1:3] == [str(USUAL), "bpf"] for line in mounts):
        return
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - reading does not need it

    with ThreadPoolExecutor(1) as thread:  # it may enter another mount namespace, and ends there
        error = thread.submit(_mount, _keeper()).result()
    if error:
        raise MissingFeatureError(f"cannot mount a BPF file system: {os.strerror(error)}",
                                  f"mount it yourself: mount -t bpf bpf {USUAL}")


def _mount(keeper: str) -> int:
    """Mount it where `keeper` sees it; what went wrong, or 0."""
    libc = ctypes.CDLL(None, use_errno=True)
    if keeper != "self":
        with Path(f"/proc/{keeper}/ns/mnt").open("rb") as namespace:
            if libc.unshare(_CLONE_FS) or libc.setns(namespace.fileno(), _CLONE_NEWNS):
                return ctypes.get_errno()
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    failed = libc.mount(b"bpf", os.fsencode(USUAL), b"bpf", ctypes.c_ulong(flags), b"mode=0700")
    return ctypes.get_errno() if failed else 0


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """One start or stop at a time. The kernel lets go of the lock when its holder dies."""
    fd = os.open(directory(), os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
