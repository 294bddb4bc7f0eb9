"""What is pinned for an interface, and where: the layout that others read too.

/sys/fs/bpf/httptop/IFACE/counts: a per-CPU array; key 0 is ingress, 1 egress; a value is 17 counters of 64 bits.
/sys/fs/bpf/httptop/IFACE/about: an array of one; what runs, see About.
A BPF file system takes no dots in names: eth0.100 is pinned as eth0:100, which is no interface name.

Programs are not pinned. The interface holds them, so that a program that exists is one that counts.
"""

from __future__ import annotations

import contextlib
import enum
import os
import socket
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from httptop.counters import bpf, bpffs
from httptop.errors import HttptopError, MissingFeatureError
from httptop.records import Counter

VERSION = 1

MESSAGES = Counter.NO_CLASS + 1  # counters of messages, in the order of Counter; then packets
COUNTS = struct.Struct(f"={MESSAGES + 1}Q")
ABOUT = struct.Struct("=6IQQ")
WAYS = ("ingress", "egress")  # by key
SHAPES = {"about": (2, 4, ABOUT.size, 1), "counts": (6, 4, COUNTS.size, len(WAYS))}  # as bpf.shape says

Counts = tuple[int, ...]  # one direction, summed over CPUs: MESSAGES by Counter, then packets


class Hook(enum.IntEnum):
    """Where the program sits (`enum hook`)."""

    TC = 1
    XDP_NATIVE = 2
    XDP_GENERIC = 3
    TCX = 4

    @property
    def ways(self) -> tuple[str, ...]:
        """The directions that it sees."""
        return WAYS if self in (Hook.TC, Hook.TCX) else WAYS[:1]


class About(NamedTuple):
    """What was started (`struct about`). `programs`: ids by direction, 0 for none; `started_ns`: since the epoch."""

    hook: Hook
    ifindex: int
    made_clsact: bool
    programs: tuple[int, int]
    network_namespace: int
    started_ns: int

    def pack(self) -> bytes:
        """As it stands in the map."""
        return ABOUT.pack(VERSION, self.hook, self.ifindex, self.made_clsact, *self.programs, self.network_namespace,
                          self.started_ns)

    @property
    def counting(self) -> tuple[str, ...]:
        """The directions whose program still exists. One that nobody holds any more is gone, and with it its id."""
        return tuple(way for way, number in zip(WAYS, self.programs, strict=True) if number and _exists(number))

    @property
    def running(self) -> bool:
        """Whether all of its programs still exist."""
        return self.counting == self.hook.ways

    @property
    def interface_now(self) -> str:
        """What its interface is called now; empty: there is none, or it is not in this network namespace."""
        if self.network_namespace == own_namespace():
            with contextlib.suppress(OSError):
                return socket.if_indextoname(self.ifindex)
        return ""


def unpack(raw: bytes) -> About:
    """The inverse of About.pack; HttptopError when another version of httptop wrote it."""
    version, hook, ifindex, made, ingress, egress, namespace, started = ABOUT.unpack(raw)
    if version != VERSION or hook not in tuple(Hook):
        raise HttptopError(f"the counters that run were started by another version of httptop (layout {version})",
                           "stop and start them with one and the same version")
    return About(Hook(hook), ifindex, bool(made), (ingress, egress), namespace, started)


def _exists(program: int) -> bool:
    try:
        os.close(bpf.program_fd(program))
    except FileNotFoundError:
        return False
    return True


def own_namespace() -> int:
    """The number of this network namespace."""
    return os.stat("/proc/self/ns/net").st_ino  # noqa: PTH116 - follows the link to no path


def root() -> Path:
    """Where all of it is pinned."""
    return bpffs.directory() / "httptop"


def directory(interface: str) -> Path:
    """Where the maps of `interface` are pinned."""
    return root() / interface.replace(".", ":")


def interfaces() -> tuple[str, ...]:
    """Those for which something is pinned. MissingFeatureError when this user may not look."""
    try:
        return tuple(sorted(entry.name.replace(":", ".") for entry in root().iterdir()))
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except PermissionError:
        raise MissingFeatureError(f"only root may look into {bpffs.USUAL}", "run it with sudo") from None


def all_abouts() -> dict[str, About]:
    """What was started, by the name that the interface had then."""
    found = ((name, Pinned(name).about()) for name in interfaces())
    return {name: about for name, about in found if about is not None}


def started_as(interface: str) -> str:
    """The name under which the counters of `interface` are pinned: what it was called when they were started."""
    abouts = all_abouts()
    former = (name for name, about in abouts.items() if about.counting and about.interface_now == interface)
    return interface if interface in abouts else next(former, interface)


class Pinned:
    """The maps of one interface. They are whole as soon as the counts are pinned, which is the last step of a start."""

    def __init__(self, interface: str) -> None:
        self.interface = interface
        self._directory = directory(interface)

    @property
    def whole(self) -> bool:
        """Whether a start got to its end."""
        return (self._directory / "counts").exists()

    @property
    def exists(self) -> bool:
        """Whether there is anything."""
        return self._directory.exists()

    @property
    def foreign(self) -> bool:
        """Whether somebody else has pinned something in its place, and nothing of ours is there."""
        if not self._directory.is_dir():
            return self.exists or root().is_file()
        return self.about() is None and any(self._directory.iterdir())

    def about(self) -> About | None:
        """What was started; None: nothing yet."""
        try:
            with self._map("about") as fd:
                return unpack(bpf.lookup(fd, 0, ABOUT.size))
        except FileNotFoundError:
            return None

    def counts(self) -> Mapping[str, Counts]:
        """All directions, summed over CPUs. FileNotFoundError when they are not pinned."""
        with self._map("counts") as fd:
            return {way: _sum(bpf.lookup(fd, key, COUNTS.size * bpf.possible_cpus())) for key, way in enumerate(WAYS)}

    @contextlib.contextmanager
    def _map(self, name: str) -> Iterator[int]:
        """An fd. FileNotFoundError also when something else has the name: a read would go beyond our buffer."""
        path = self._directory / name
        if not path.is_file():
            raise FileNotFoundError(path)
        fd = bpf.opened(path)
        try:
            if bpf.shape(fd) != SHAPES[name]:
                raise FileNotFoundError(path)
            yield fd
        finally:
            os.close(fd)

    def begin(self, about_fd: int) -> None:
        """Pin what tells of the start that follows."""
        self._directory.mkdir(parents=True)
        bpf.pin(about_fd, self._directory / "about")

    def complete(self, counts_fd: int) -> None:
        """All is in place: let others see it."""
        bpf.pin(counts_fd, self._directory / "counts")

    def remove(self) -> None:
        """Nothing counts any more: nobody need see it."""
        (self._directory / "counts").unlink(missing_ok=True)
        (self._directory / "about").unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # somebody else has pinned something there
            self._directory.rmdir()
            root().rmdir()


def _sum(raw: bytes) -> Counts:
    return tuple(map(sum, zip(*COUNTS.iter_unpack(raw), strict=True)))
