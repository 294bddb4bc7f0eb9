"""Kernel counters on a machine of the test's own: a mount namespace without a BPF file system."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute

from httptop.counters import bpf as pinned_maps
from httptop.counters.pins import ABOUT, COUNTS, MESSAGES, WAYS, About, unpack
from tests.support import bpf
from tests.support.net import Namespace
from tests.support.poll import until
from tests.support.program import HTTPTOP

# Who looks for the machine's first process finds this one, so that nothing gets into the real BPF file system.
FIRST = "mount --bind /proc/$$ /proc/1"
UNMOUNTED = "while umount /sys/fs/bpf 2>/dev/null; do :; done"
READY = "echo ready; exec sleep infinity"
PINS = "/sys/fs/bpf/httptop"
PROG_LOAD, PROG_TYPE_SCHED_CLS, PROG_TYPE_XDP = 5, 3, 6
XDP_PASS, TC_ACT_UNSPEC, TC_ACT_OK = 2, -1, 0
PROG_ATTACH, PROG_DETACH, PROG_QUERY = 8, 9, 16
TCX = {"ingress": 46, "egress": 47}  # enum bpf_attach_type
OURS = {"httptop_in", "httptop_out", "counts", "about", "starts"}


class Host:
    """Commands in network namespace `where` and in the mount namespace of process `pid`."""

    def __init__(self, pid: int, where: Namespace) -> None:
        self._pid, self.where = pid, where

    def also(self, where: Namespace) -> Host:
        """The same machine, in another network namespace."""
        return Host(self._pid, where)

    def command(self, *words: str) -> list[str]:
        """`words` as a command there."""
        return ["nsenter", f"--mount=/proc/{self._pid}/ns/mnt", f"--net={self.where.path}", f"--wd={Path.cwd()}", "--",
                *words]

    def run(self, *words: str) -> str:
        """What a command prints, which must succeed."""
        done = subprocess.run(self.command(*words), capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def counters(self, *arguments: str) -> str:
        """What `httptop counters` prints, which must succeed."""
        return self.run(*HTTPTOP, "counters", *arguments)

    def refused(self, *arguments: str) -> tuple[int, str]:
        """Exit code and complaint of `httptop counters`, which must fail."""
        done = subprocess.run(self.command(*HTTPTOP, "counters", *arguments), capture_output=True, text=True,
                              check=False)
        assert done.returncode != 0, done.stdout
        assert len(done.stderr.splitlines()) == 2, done.stderr  # what, and what to do
        return done.returncode, done.stderr

    def shown(self, interface: str) -> dict[str, Any]:
        """What `show --json` says of an interface."""
        [found] = json.loads(self.counters("show", "--json", "-i", interface))["interfaces"]
        return dict(found)

    def messages(self, interface: str, way: str = "ingress") -> tuple[int, ...]:
        """The counts of messages of one direction, by Counter up to NO_CLASS; read as any program may read them."""
        raw = self._lookup(interface, "counts", WAYS.index(way), COUNTS.size * pinned_maps.possible_cpus())
        return tuple(map(sum, zip(*COUNTS.iter_unpack(raw), strict=True)))[:MESSAGES]

    def about(self, interface: str) -> About:
        """What runs on an interface."""
        return unpack(self._lookup(interface, "about", 0, ABOUT.size))

    def _lookup(self, interface: str, name: str, key: int, size: int) -> bytes:
        fd = pinned_maps.opened(Path(f"/proc/{self._pid}/root{PINS}/{interface}/{name}"))
        try:
            return pinned_maps.lookup(fd, key, size)
        finally:
            os.close(fd)

    def reaches(self, interface: str, expected: tuple[int, ...], way: str = "ingress") -> None:
        """The counts become `expected`, and stay that."""
        until(lambda: sum(self.messages(interface, way)) >= sum(expected), f"{sum(expected)} messages")
        assert self.messages(interface, way) == expected

    def attached(self, interface: str) -> str:
        """All that tc and ip know of an interface, and its tcx programs, by way, id and name in their order."""
        shown = (self.run("tc", "filter", "show", "dev", interface, way) for way in ("ingress", "egress"))
        tcx = (f"tcx {way} {number} {bpf.name(('prog', number))}\n"
               for way in TCX for number in tcx_programs(self.where, interface, way))
        return "".join([self.run("tc", "qdisc", "show", "dev", interface), *shown,
                        self.run("ip", "-d", "link", "show", "dev", interface), *tcx])

    def pinned(self) -> list[str]:
        """What is under /sys/fs/bpf/httptop, by path from there."""
        done = subprocess.run(self.command("find", PINS, "-mindepth", "1"), capture_output=True, text=True, check=False)
        return sorted(line.removeprefix(PINS + "/") for line in done.stdout.splitlines())

    @contextlib.contextmanager
    def counting(self, interface: str, hook: str) -> Iterator[str]:
        """Counters that are stopped at the end; what the start said."""
        said = self.counters("start", "-i", interface, "--hook", hook)
        try:
            yield said
        finally:
            self.counters("stop", "-i", interface)


def ours() -> set[bpf.Object]:
    """Programs and maps in the kernel that have names of ours."""
    return {thing for thing in bpf.objects("prog") | bpf.objects("map") if bpf.name(thing) in OURS}


@contextlib.contextmanager
def someone_elses_xdp(kind: int = PROG_TYPE_XDP, verdict: int = XDP_PASS) -> Iterator[tuple[int, int]]:
    """(fd, id) of the shortest XDP program, which passes all; or of another `kind` of program."""
    code = struct.pack("=BBhi", 0xB7, 0, 0, verdict) + struct.pack("=BBhi", 0x95, 0, 0, 0)  # r0 = verdict; exit
    text, licence = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b"GPL")
    fd, _ = bpf.call(PROG_LOAD, struct.pack("=IIQQ", kind, len(code) // 8, ctypes.addressof(text),
                                            ctypes.addressof(licence)))
    try:
        yield fd, struct.unpack_from("=I", bpf.info(fd), 4)[0]
    finally:
        os.close(fd)


def empty_tc() -> contextlib.AbstractContextManager[tuple[int, int]]:
    """(fd, id) of the shortest direct-action program, which leaves all to others."""
    return someone_elses_xdp(PROG_TYPE_SCHED_CLS, TC_ACT_UNSPEC)


def set_xdp(where: Namespace, ifindex: int, fd: int) -> None:
    """Put a program on an interface, whatever is there; -1: take it off."""
    with where.entered(), IPRoute() as netlink:
        netlink.link("set", index=ifindex, xdp={"attrs": [("IFLA_XDP_FD", fd)]})


def tcx_programs(where: Namespace, interface: str, way: str) -> list[int]:
    """Ids, in the order in which they are asked. By the system call: bpftool of 2023 does not know them."""
    ids = (ctypes.c_uint32 * 64)()
    with where.entered():
        asked = struct.pack("=4IQI", socket.if_nametoindex(interface), TCX[way], 0, 0, ctypes.addressof(ids), 64)
        _, answer = bpf.call(PROG_QUERY, asked)
    return ids[:struct.unpack_from("=I", answer, 24)[0]]


@contextlib.contextmanager
def on_tcx(where: Namespace, interface: str, way: str, fd: int) -> Iterator[None]:
    """A program behind those that are there."""
    with where.entered():
        change = struct.pack("=3I", socket.if_nametoindex(interface), fd, TCX[way])
        bpf.call(PROG_ATTACH, change)
    try:
        yield
    finally:
        with where.entered():
            bpf.call(PROG_DETACH, change)


def take_off(where: Namespace, interface: str, way: str) -> None:
    """Its only tcx program."""
    [number] = tcx_programs(where, interface, way)
    with bpf.opened(("prog", number)) as fd, where.entered():
        bpf.call(PROG_DETACH, struct.pack("=3I", socket.if_nametoindex(interface), fd, TCX[way]))


@contextlib.contextmanager
def host(where: Namespace) -> Iterator[Host]:
    """All that is pinned there ends with it."""
    words = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", f"{FIRST}; {UNMOUNTED}; {READY}"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield Host(process.pid, where)
    finally:
        process.kill()
        process.communicate()
