"""bpf(2) through ctypes: pins and maps, without bcc, so that anybody can read what was left in the kernel."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from pathlib import Path

_SYS_BPF = {"x86_64": 321, "i686": 357, "ppc64le": 361, "s390x": 351, "armv7l": 386}.get(platform.machine(), 280)
_MAP_LOOKUP_ELEM, _MAP_UPDATE_ELEM, _OBJ_PIN, _OBJ_GET = 1, 2, 6, 7
_PROG_GET_FD_BY_ID, _MAP_GET_FD_BY_ID, _OBJ_GET_INFO_BY_FD = 13, 14, 15
_PROG_INFO = struct.Struct("64x16s")  # the beginning of struct bpf_prog_info, up to its name
_POSSIBLE_CPUS = Path("/sys/devices/system/cpu/possible")

_libc = ctypes.CDLL(None, use_errno=True)


def call(command: int, attributes: bytes) -> tuple[int, bytes]:
    """The result of the call, and the attributes as the kernel leaves them; OSError when it fails."""
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    result: int = _libc.syscall(_SYS_BPF, command, buffer, len(attributes))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result, buffer.raw


def pin(fd: int, path: Path) -> None:
    """Keep a map alive under `path` in a BPF file system."""
    name = ctypes.create_string_buffer(os.fsencode(path))
    call(_OBJ_PIN, struct.pack("=QII", ctypes.addressof(name), fd, 0))


def opened(path: Path) -> int:
    """A new fd of what is pinned under `path`."""
    name = ctypes.create_string_buffer(os.fsencode(path))
    return call(_OBJ_GET, struct.pack("=QII", ctypes.addressof(name), 0, 0))[0]


def shape(fd: int) -> tuple[int, ...]:
    """Of a map: its type, the sizes of key and value, how many entries. Zeros: it is something else."""
    lines = Path(f"/proc/self/fdinfo/{fd}").read_text(encoding="ascii").splitlines()
    fields = dict(line.split(":\t", 1) for line in lines)
    return tuple(int(fields.get(name, "0")) for name in ("map_type", "key_size", "value_size", "max_entries"))


def lookup(fd: int, key: int, size: int) -> bytes:
    """The value, `size` bytes, of `key` in an array; of a per-CPU array the values of all possible CPUs."""
    value = ctypes.create_string_buffer(size)
    _element(_MAP_LOOKUP_ELEM, fd, key, value)
    return value.raw


def update(fd: int, key: int, value: bytes) -> None:
    """Set the value of `key` in an array."""
    _element(_MAP_UPDATE_ELEM, fd, key, ctypes.create_string_buffer(value, len(value)))


def _element(command: int, fd: int, key: int, value: ctypes.Array[ctypes.c_char]) -> None:
    where = ctypes.c_uint32(key)
    call(command, struct.pack("=I4xQQQ", fd, ctypes.addressof(where), ctypes.addressof(value), 0))


def program_fd(number: int) -> int:
    """A new fd of the program with this id; FileNotFoundError when it is gone. An id is used once between two boots."""
    return call(_PROG_GET_FD_BY_ID, struct.pack("=III", number, 0, 0))[0]


def program_name(number: int) -> str:
    """What the program with this id is called; FileNotFoundError when it is gone."""
    info = ctypes.create_string_buffer(_PROG_INFO.size)
    fd = program_fd(number)
    try:
        call(_OBJ_GET_INFO_BY_FD, struct.pack("=IIQ", fd, len(info), ctypes.addressof(info)))
    finally:
        os.close(fd)
    return str(_PROG_INFO.unpack(info.raw)[0].rstrip(b"\0").decode())


def map_fd(number: int) -> int:
    """A new fd of the map with this id."""
    return call(_MAP_GET_FD_BY_ID, struct.pack("=III", number, 0, 0))[0]


def possible_cpus() -> int:
    """How many values a per-CPU map has for one key."""
    ranges = [part.split("-") for part in _POSSIBLE_CPUS.read_text(encoding="ascii").strip().split(",")]
    return sum(int(ends[-1]) - int(ends[0]) + 1 for ends in ranges)
