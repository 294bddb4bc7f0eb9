"""The place for BPF programs on an interface that needs no qdisc, through bpf(2): kernel/bpf/mprog.c, Linux 6.6.

A packet costs there what its program costs: clsact asks its chain of filters first, which takes ten times as long.
A program stays until it is taken off, and goes along when the interface moves to another network namespace.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Sequence

from httptop.capture.bytecode import EGRESS, INGRESS
from httptop.counters import bpf

WAYS = (INGRESS, EGRESS)
_BEFORE = 1 << 3  # BPF_F_BEFORE: with nothing named, before all others
_PROG_ATTACH, _PROG_DETACH, _PROG_QUERY = 8, 9, 16
_CHANGE = struct.Struct("=6IQ")  # ifindex, program, attach type, flags, what it replaces, beside what; revision
_QUERY = struct.Struct("=4IQI4x32x")  # ifindex, attach type, two flags, ids, how many; and what we do not ask for
_MOST = 64  # BPF_MPROG_MAX


def available(index: int) -> bool:
    """Whether the kernel has it."""
    try:
        programs(index, INGRESS)
    except OSError as error:
        if error.errno == errno.EINVAL:
            return False
        raise
    return True


def programs(index: int, way: int) -> tuple[int, ...]:
    """The ids of those on an interface of this network namespace, in their order. OSError where there can be none."""
    ids = (ctypes.c_uint32 * _MOST)()
    _, answer = bpf.call(_PROG_QUERY, _QUERY.pack(index, way, 0, 0, ctypes.addressof(ids), _MOST))
    return tuple(ids[:_QUERY.unpack(answer)[5]])


def on(index: int) -> tuple[int, ...]:
    """Those of both directions; none where the kernel has no tcx."""
    return tuple(number for way in WAYS for number in programs(index, way)) if available(index) else ()


def attach(index: int, fds: Sequence[int]) -> None:
    """A program for each direction, before those of others: what they decide ends the walk."""
    for way, fd in zip(WAYS, fds, strict=True):
        _change(_PROG_ATTACH, index, way, fd, _BEFORE)


def detach(index: int, wanted: Sequence[int]) -> None:
    """Take off those of `wanted` that are there."""
    for way in WAYS if wanted else ():
        for number in programs(index, way):
            if number in wanted:
                _detach(index, way, number)


def _detach(index: int, way: int, number: int) -> None:
    fd = bpf.program_fd(number)
    try:
        _change(_PROG_DETACH, index, way, fd, 0)
    finally:
        os.close(fd)


def _change(command: int, index: int, way: int, fd: int, flags: int) -> None:
    bpf.call(command, _CHANGE.pack(index, fd, way, flags, 0, 0, 0))
