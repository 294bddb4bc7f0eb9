"""What this host tells about processes, open connections and our own cost; all from /proc and one netlink dump."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import struct
import time
from collections.abc import Iterator
from functools import lru_cache

from httptop.capture import netns
from httptop.capture.containers import Containers
from httptop.records import NO_OWNER, OWNER, V4_MAPPED, How, endpoint
from httptop.snapshot import Process, SelfCost

CMDLINE_MAX = 4096  # bytes; a longer command line is cut, a Java one has been seen with 30 KB

containers = Containers()

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

# linux/inet_diag.h, linux/sock_diag.h
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST_DUMP = 0x301
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBxI48x")
_MESSAGE = struct.Struct("=BBxx2s2s16s16sI8xIIIII")
# Connections that a process may still hold: ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK.
_STATES = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 9
_LISTEN = 1 << 10
_LISTENING_MAX = 256


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read()


@lru_cache(maxsize=1)
def _boot_time_s() -> int:
    """Epoch seconds; read once, as it moves when the clock is set and (pid, start time) must not."""
    for line in _read("/proc/stat").splitlines():
        if line.startswith(b"btime "):
            return int(line[6:])
    return 0


def process(pid: int) -> Process | None:
    """The process `pid` as it is now (name of the thread group, not of a thread); None when it is gone."""
    try:
        comm, start_ticks = _stat(pid)
        cmdline = _read(f"/proc/{pid}/cmdline")[:CMDLINE_MAX]
        cgroup = _read(f"/proc/{pid}/cgroup")
        user = _user(_read(f"/proc/{pid}/status"))
    except OSError:
        return None
    return Process(pid, _text(comm), _boot_time_s() + start_ticks / _TICKS_PER_S,
                   _text(cmdline.strip(b"\0").replace(b"\0", b" ")), containers.describe(_text(cgroup)), user)


def _user(status: bytes) -> str:
    """The effective user in the text of /proc/PID/status: its name on this host, else its number."""
    for line in status.splitlines():
        if line.startswith(b"Uid:"):
            return _user_name(int(line.split()[2]))
    return ""


@lru_cache(maxsize=256)
def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _stat(pid: int) -> tuple[bytes, int]:
    """Name, and start time in ticks since boot. OSError when it is gone."""
    # "pid (comm) state ...": comm may hold spaces and brackets, so the last bracket ends it (proc(5)).
    comm, _, rest = _read(f"/proc/{pid}/stat").partition(b"(")[2].rpartition(b")")
    return comm, int(rest.split()[19])


def owner(pid: int) -> bytes:
    """`struct owner` of a process whose socket sock_diag has told; NO_OWNER when it is gone."""
    try:
        comm, start_ticks = _stat(pid)
    except OSError:
        return NO_OWNER
    return OWNER.pack(pid, How.SOCK_DIAG, 0, 0, start_ticks * 1_000_000_000 // _TICKS_PER_S, comm[:15])


def identify(pid: int, start_ns: int, comm: str) -> Process:
    """The process `pid` that started `start_ns` after boot (0: not known), by `comm` alone when it is gone.

    proc(5) cuts the start time to ticks; the kernel's is cut here in the same way, so that both are equal.
    """
    found = process(pid)
    if not start_ns:
        return found or Process(pid, comm)
    started_s = _boot_time_s() + start_ns * _TICKS_PER_S // 1_000_000_000 / _TICKS_PER_S
    return found if found is not None and found.start_time == started_s else Process(pid, comm, started_s)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def open_flows() -> Iterator[tuple[bytes, bytes, int]]:
    """(local endpoint, remote endpoint, pid) of every TCP connection open now, in every network namespace.

    Endpoints are 18 bytes, as `records.endpoint` makes them. Flows on the loopback of other namespaces are left out:
    their addresses mean something else here. A socket shared by several processes is given to the youngest of them.
    Needs root for other users' processes, whose sockets are left out otherwise.

    With 50,000 connections open on loopback (100,000 sockets) this takes 1.0 s on one core, over half of it for
    reading /proc/PID/fd. psutil.net_connections takes 2.8 s and pyroute2's DiagSocket alone 16 s, hence the dump
    is read here.
    """
    owners = dict(_socket_owners())
    yield from _flows_here(owners)
    for _ in netns.others():
        with contextlib.suppress(OSError):
            yield from (flow for flow in _flows_here(owners) if not _is_loopback(flow[0]) and not _is_loopback(flow[1]))


def _is_loopback(end: bytes) -> bool:
    return end[:13] == V4_MAPPED + b"\x7f" or end[:16] == bytes(15) + b"\1"


def _flows_here(owners: dict[int, int]) -> Iterator[tuple[bytes, bytes, int]]:
    """As `open_flows`, for the namespace of the calling thread; `owners`: socket inode -> pid."""
    for family in (socket.AF_INET, socket.AF_INET6):
        for inode, local, remote in _diag(family):
            if inode in owners:
                yield local, remote, owners[inode]


def listening() -> tuple[bytes, ...]:
    """Endpoints that somebody in this network namespace listens on. Needs no privilege; 0.2 ms."""
    families = (socket.AF_INET, socket.AF_INET6)
    with contextlib.suppress(OSError):
        found = {local for family in families for _, local, _ in _diag(family, _LISTEN)}
        return tuple(sorted(found)[:_LISTENING_MAX])
    return ()


def _diag(family: int, states: int = _STATES) -> Iterator[tuple[int, bytes, bytes]]:
    """Dump (inode, local, remote) of the TCP sockets of one address family (sock_diag(7))."""
    request = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, states)
    header = _HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST_DUMP, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4) as link:
        link.send(header + request)
        while True:
            data = link.recv(1 << 18)
            offset = 0
            while offset < len(data):
                length, kind, *_ = _HEADER.unpack_from(data, offset)
                if kind in (_NLMSG_DONE, _NLMSG_ERROR):
                    return
                yield _diag_message(data, offset + _HEADER.size)
                offset += (length + 3) & ~3


def _diag_message(data: bytes, offset: int) -> tuple[int, bytes, bytes]:
    family, _, sport, dport, source, destination, *_, inode = _MESSAGE.unpack_from(data, offset)
    size = 4 if family == socket.AF_INET else 16
    return (inode, endpoint(source[:size], int.from_bytes(sport, "big")),
            endpoint(destination[:size], int.from_bytes(dport, "big")))


def _socket_owners() -> Iterator[tuple[int, int]]:
    """(socket inode, pid) of every descriptor that we may look at, the oldest process first."""
    for pid in sorted((int(name) for name in os.listdir("/proc") if name.isdigit()), key=_started_ticks):
        with contextlib.suppress(OSError):  # the process ended meanwhile, or it is not ours to see
            yield from _sockets_of(pid)


def _started_ticks(pid: int) -> int:
    """Clock ticks between boot and the start of `pid`, 0 when it is gone: pids wrap around, this does not."""
    with contextlib.suppress(OSError):
        return int(_read(f"/proc/{pid}/stat").rpartition(b")")[2].split()[19])
    return 0


def _sockets_of(pid: int) -> Iterator[tuple[int, int]]:
    directory = f"/proc/{pid}/fd"
    for fd in os.listdir(directory):
        with contextlib.suppress(OSError):
            target = os.readlink(f"{directory}/{fd}")
            if target.startswith("socket:["):
                yield int(target[8:-1]), pid


class SelfMeter:
    """What this process costs, between one reading and the next."""

    def __init__(self) -> None:
        self._cpu_s = time.process_time()
        self._wall_s = time.monotonic()

    def read(self) -> SelfCost:
        """CPU since the last reading, memory now; the BPF part is the caller's to add."""
        cpu_s, wall_s = time.process_time(), time.monotonic()
        passed_s = wall_s - self._wall_s
        percent = round(100 * (cpu_s - self._cpu_s) / passed_s, 2) if passed_s > 0 else None
        self._cpu_s, self._wall_s = cpu_s, wall_s
        return SelfCost(cpu_percent=percent, rss_bytes=int(_read("/proc/self/statm").split()[1]) * _PAGE_BYTES)
