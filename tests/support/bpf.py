"""bpf(2) through ctypes: what is loaded, whose it is, and BPF_PROG_TEST_RUN, for which libbcc has no helper."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import platform
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

SYS_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
MAP_GET_NEXT_KEY, MAP_DELETE_ELEM = 4, 3
PROG_TEST_RUN, PROG_GET_NEXT_ID, MAP_GET_NEXT_ID = 10, 11, 12
PROG_GET_FD_BY_ID, MAP_GET_FD_BY_ID, OBJ_GET_INFO_BY_FD = 13, 14, 15
NEXT_ID = {"prog": PROG_GET_NEXT_ID, "map": MAP_GET_NEXT_ID}
FD_BY_ID = {"prog": PROG_GET_FD_BY_ID, "map": MAP_GET_FD_BY_ID}
NAME_OFFSET = {"prog": 64, "map": 24}
MAX_FRAME = 3600  # what TEST_RUN takes for an skb: a page less head- and tailroom

_libc = ctypes.CDLL(None, use_errno=True)
Object = tuple[str, int]  # ("prog" or "map", id)


def call(command: int, attr: bytes) -> tuple[int, bytes]:
    """bpf(command, attr) -> (result, attr as the kernel left it); raises OSError."""
    buffer = ctypes.create_string_buffer(attr.ljust(144, b"\0"), 144)
    result = _libc.syscall(SYS_BPF, command, buffer, len(buffer.raw))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result, buffer.raw


def objects(kind: str) -> set[Object]:
    """All programs or maps of the system."""
    found: set[Object] = set()
    last = 0
    with contextlib.suppress(FileNotFoundError):
        while True:
            last = struct.unpack_from("=I", call(NEXT_ID[kind], struct.pack("=II", last, 0))[1], 4)[0]
            found.add((kind, last))
    return found


@contextlib.contextmanager
def opened(thing: Object) -> Iterator[int]:
    """A file descriptor of a program or map; FileNotFoundError when it is gone."""
    fd = call(FD_BY_ID[thing[0]], struct.pack("=I", thing[1]))[0]
    try:
        yield fd
    finally:
        os.close(fd)


def info(fd: int, extra: bytes = b"") -> bytes:
    """The struct bpf_prog_info or bpf_map_info; `extra` is what the caller has filled in beforehand."""
    buffer = ctypes.create_string_buffer(extra.ljust(256, b"\0"), 256)
    call(OBJ_GET_INFO_BY_FD, struct.pack("=IIQ", fd, len(buffer.raw), ctypes.addressof(buffer)))
    return buffer.raw


def name(thing: Object) -> str:
    """Name of a program or map, empty when it is gone."""
    try:
        with opened(thing) as fd:
            return info(fd)[NAME_OFFSET[thing[0]]:][:16].split(b"\0")[0].decode()
    except FileNotFoundError:
        return ""


def maps_of(program: Object) -> set[Object]:
    """The maps that a program uses; none when it is gone."""
    ids = (ctypes.c_uint32 * 64)()
    try:
        with opened(program) as fd:
            count = struct.unpack_from("=I", info(fd, struct.pack("=52xIQ", len(ids), ctypes.addressof(ids))), 52)[0]
    except FileNotFoundError:
        return set()
    return {("map", i) for i in ids[:count]}


def fd_objects(pid: int | str = "self", fds: Iterable[int] | None = None) -> set[Object]:
    """Programs and maps that a process holds open; `fds`: look at these only."""
    found: set[Object] = set()
    folder = Path(f"/proc/{pid}/fdinfo")
    with contextlib.suppress(FileNotFoundError, PermissionError, ProcessLookupError):
        for entry in folder.iterdir() if fds is None else [folder / str(fd) for fd in fds]:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                for line in entry.read_text().splitlines():
                    key, _, value = line.partition(":")
                    if key in ("prog_id", "map_id"):
                        found.add((key[:-3], int(value)))
    return found


def held_by(*pids: int) -> set[Object]:
    """Programs and maps that live because of these processes: their fds, and the programs on the same maps."""
    held = set().union(*(fd_objects(pid) for pid in pids))
    for program in objects("prog"):
        if program in held or maps_of(program) & held:
            held |= {program} | maps_of(program)
    return held


def leaked(before: set[Object]) -> set[Object]:
    """What is loaded now, was not in `before`, and that no living process accounts for."""
    fresh = (objects("prog") | objects("map")) - before
    if not fresh:
        return set()
    return fresh - held_by(*(int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()))


class Ran(NamedTuple):
    """What came of BPF_PROG_TEST_RUN: the last return value, and the average time of a run."""

    result: int
    duration_ns: int


def timed_run(program_fd: int, frame: bytes, ifindex: int = 0, repeat: int = 1) -> Ran:
    """Run a program `repeat` times on an Ethernet frame.

    From a socket filter the kernel takes the Ethernet header off, so the program sees what it sees on a SOCK_DGRAM
    packet socket: the network header first, and the ethertype in skb->protocol.
    """
    data = ctypes.create_string_buffer(frame, len(frame))
    context = struct.pack("=40xI", ifindex).ljust(192, b"\0") if ifindex else b""
    context_buffer = ctypes.create_string_buffer(context, len(context)) if context else None
    attr = struct.pack("=IIIIQQIIII QQ", program_fd, 0, len(frame), 0, ctypes.addressof(data), 0, repeat, 0,
                       len(context), 0, ctypes.addressof(context_buffer) if context_buffer else 0, 0)
    left = call(PROG_TEST_RUN, attr)[1]
    return Ran(*(int.from_bytes(left[at:at + 4], sys.byteorder) for at in (4, 36)))


def run(program_fd: int, frame: bytes, ifindex: int = 0) -> int:
    """The return value of one run, see timed_run."""
    return timed_run(program_fd, frame, ifindex).result


def clear(map_fd: int, key_size: int) -> None:
    """Delete every entry of a hash map."""
    key = ctypes.create_string_buffer(key_size)
    while True:
        try:
            call(MAP_GET_NEXT_KEY, struct.pack("=I4xQQ", map_fd, 0, ctypes.addressof(key)))
        except FileNotFoundError:
            return
        call(MAP_DELETE_ELEM, struct.pack("=I4xQ", map_fd, ctypes.addressof(key)))


def zero(map_fd: int, size: int, entries: int) -> None:
    """Every entry of an array to zero."""
    with mmap.mmap(map_fd, -(-size * entries // mmap.PAGESIZE) * mmap.PAGESIZE) as view:
        view[:] = bytes(len(view))
