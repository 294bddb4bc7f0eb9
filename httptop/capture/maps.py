"""BPF hash maps and what programs cost, by file descriptor: bpf(2), without bcc.

Since Linux 5.19 this needs no privilege, only the descriptor; before it, only while kernel.unprivileged_bpf_disabled
is 0. So what is read after root is given up must be an extra.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

_SYS_BPF = {"x86_64": 321, "s390x": 351, "ppc64le": 361}.get(platform.machine(), 280)
_LOOKUP, _UPDATE, _INFO = 1, 2, 15
_NOEXIST = 1
_PROGRAM_INFO = struct.Struct("=192xQQ")  # run_time_ns and run_cnt of struct bpf_prog_info
_ATTRIBUTES = struct.Struct("=I4xQQQ")  # map fd, pointer to key, pointer to value, flags

_libc = ctypes.CDLL(None, use_errno=True)


class HashMap:
    """A map with keys and values of fixed sizes. It borrows `fd`."""

    def __init__(self, fd: int, key_bytes: int, value_bytes: int) -> None:
        self._key = ctypes.create_string_buffer(key_bytes)
        self._value = ctypes.create_string_buffer(value_bytes)
        pointers = ctypes.addressof(self._key), ctypes.addressof(self._value)
        self._lookup = ctypes.create_string_buffer(_ATTRIBUTES.pack(fd, *pointers, 0), _ATTRIBUTES.size)
        self._add = ctypes.create_string_buffer(_ATTRIBUTES.pack(fd, *pointers, _NOEXIST), _ATTRIBUTES.size)

    def get(self, key: bytes) -> bytes | None:
        """The value; None when there is none, or when we may not look."""
        ctypes.memmove(self._key, key, len(key))
        if _libc.syscall(_SYS_BPF, _LOOKUP, self._lookup, _ATTRIBUTES.size):
            return None
        return self._value.raw

    def add(self, key: bytes, value: bytes) -> bool:
        """Store it unless the key is there already. OSError when we may not."""
        ctypes.memmove(self._key, key, len(key))
        ctypes.memmove(self._value, value, len(value))
        if _libc.syscall(_SYS_BPF, _UPDATE, self._add, _ATTRIBUTES.size) == 0:
            return True
        error = ctypes.get_errno()
        if error == errno.EEXIST:
            return False
        raise OSError(error, os.strerror(error))


def run_statistics(program_fd: int) -> tuple[int, int]:
    """(ns, runs) of a program, for as long as somebody on this host has had the kernel measure it; (0, 0): nobody.

    kernel.bpf_stats_enabled is not switched on here: it makes each BPF program of the host a little slower.
    """
    info = ctypes.create_string_buffer(_PROGRAM_INFO.size)
    attributes = ctypes.create_string_buffer(struct.pack("=IIQ", program_fd, len(info), ctypes.addressof(info)), 16)
    if _libc.syscall(_SYS_BPF, _INFO, attributes, 16):
        return 0, 0
    run_time_ns, runs = _PROGRAM_INFO.unpack(info.raw)
    return run_time_ns, runs
