"""Compiled programs as plain data, and what makes them run: bpf(2) and perf_event_open(2), without libbcc.

What BCC has compiled can so be kept (see image_cache.py) and loaded again without LLVM, which takes most of a start.
Imported by the loader child, so the standard library of Python 3.8 must do.
"""

from __future__ import annotations

import bisect
import ctypes
import fcntl
import os
import struct
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

_MACHINE = os.uname().machine
_SYS_BPF = {"x86_64": 321, "s390x": 351, "ppc64le": 361}.get(_MACHINE, 280)
_SYS_PERF_EVENT_OPEN = {"x86_64": 298, "s390x": 331, "ppc64le": 319}.get(_MACHINE, 241)
_IOC_NONE, _IOC_WRITE = (1 << 29, 4 << 29) if _MACHINE == "ppc64le" else (0, 1 << 30)
_PERF_ENABLE, _PERF_SET_BPF = _IOC_NONE | 0x2400, _IOC_WRITE | 0x42408

SOCKET_FILTER, SCHED_CLS, TRACEPOINT, RAW_TRACEPOINT = 1, 3, 5, 17  # enum bpf_prog_type
INGRESS, EGRESS = 46, 47  # enum bpf_attach_type: of tcx
PERF_EVENT_ARRAY = 4  # enum bpf_map_type
_MAP_CREATE, _MAP_UPDATE, _PROG_LOAD, _RAW_TRACEPOINT_OPEN, _LINK_CREATE = 0, 2, 5, 17, 28  # enum bpf_cmd
_PERF_TRACEPOINT, _PERF_SOFTWARE, _BPF_OUTPUT = 2, 1, 10
_SAMPLE_RAW = 1 << 10
_NO_WAKEUP = 1 << 30  # events before a reader is woken: ours looks by itself
_CLOEXEC = 8  # PERF_FLAG_FD_CLOEXEC
_BEFORE = 1 << 3  # BPF_F_BEFORE: with nothing named, before all others
_LOG_BYTES = 1 << 20

_LOAD_64 = 0x18  # BPF_LD | BPF_IMM | BPF_DW: two instructions' room for a constant of 64 bits
_MAP_FD = 1  # BPF_PSEUDO_MAP_FD: its constant is the fd of a map
_INSTRUCTION = struct.Struct("=BBhi")
_JUMPS, _ALWAYS, _CALL, _EXIT = (5, 6), 0x05, 0x85, 0x95  # two classes of instructions, and three of them

_libc = ctypes.CDLL(None, use_errno=True)
Key = TypeVar("Key")


class Map(NamedTuple):
    """What a map is created from."""

    name: str
    kind: int
    key_bytes: int
    value_bytes: int
    entries: int
    flags: int


class Program(NamedTuple):
    """Instructions, and the names of the maps whose fds belong into some of them."""

    name: str
    kind: int
    code: bytes
    maps: list[tuple[int, str]]  # (number of the instruction, map)


class Image(NamedTuple):
    """All maps and programs of one compilation."""

    maps: list[Map]
    programs: list[Program]

    def as_json(self) -> dict[str, Any]:
        """What `from_json` takes."""
        return {"maps": self.maps,
                "programs": [[p.name, p.kind, p.code.hex(), p.maps] for p in self.programs]}

    def joined(self, other: Image) -> Image:
        """All of both; what has the same name in both must be the same."""
        maps = {m.name: m for m in (*self.maps, *other.maps)}
        if any(maps[m.name] != m for m in self.maps):
            raise ValueError("two maps have one name")
        return Image(list(maps.values()), [*self.programs, *other.programs])

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Image:
        """ValueError, TypeError or KeyError when it is not one."""
        return cls([Map(*fields) for fields in data["maps"]],
                   [Program(name, kind, bytes.fromhex(code), [(at, which) for at, which in maps])
                    for name, kind, code, maps in data["programs"]])


def program(name: str, kind: int, code: bytes, names: dict[int, str]) -> Program:
    """`code` as it was compiled; `names`: map fd -> name. ValueError when it needs anything else but maps."""
    code = closed_by_jumps(code)
    raw, maps, skip = bytearray(code), [], False
    for number in range(len(code) // _INSTRUCTION.size):
        opcode, registers, _, constant = _INSTRUCTION.unpack_from(code, number * _INSTRUCTION.size)
        if skip:  # the second half of the one before
            skip = False
            continue
        skip = opcode == _LOAD_64
        source = registers >> 4 if sys.byteorder == "little" else registers & 0xF
        if opcode == _LOAD_64 and source == _MAP_FD:
            maps.append((number, names[constant]))
            _put(raw, number, 0)
        elif opcode == _LOAD_64 and source:
            raise ValueError(f"{name}: instruction {number} refers to what is no map")
    return Program(name, kind, bytes(raw), maps)


def closed_by_jumps(code: bytes) -> bytes:
    """The same program, but the end of a loop jumps to its beginning where it fell into it.

    Linux before 6.7 takes other loops for endless ("back-edge from insn 7 to 8", check_cfg() of kernel/bpf/verifier.c),
    and where compilers put them is theirs to choose. The kernel leaves out jumps that lead to what comes next anyway.
    """
    heads = sorted(fallen_into(code))
    if not heads:
        return code
    made = bytearray()
    for number, (opcode, registers, offset, constant) in enumerate(_INSTRUCTION.iter_unpack(code)):
        if number in heads:
            made += _INSTRUCTION.pack(_ALWAYS, 0, 0, 0)
        target = _target(number, opcode, offset)
        further = 0 if target is None else bisect.bisect(heads, target) - bisect.bisect(heads, number)
        made += _INSTRUCTION.pack(opcode, registers, offset + further, constant)
    return bytes(made)


def fallen_into(code: bytes) -> set[int]:
    """Where loops begin that do not end with a jump: numbers of instructions."""
    steps = [(opcode not in (_ALWAYS, _EXIT), _target(number, opcode, offset))
             for number, (opcode, _, offset, _) in enumerate(_INSTRUCTION.iter_unpack(code))]

    def followers(number: int) -> Iterator[int]:
        goes_on, target = steps[number]
        if goes_on:
            yield number + 1
        if target is not None:
            yield target

    found, unseen = set(), set(range(1, len(steps)))
    path = {0: followers(0)}
    while path:
        number = next(reversed(path))
        follower = next(path[number], None)
        if follower is None:
            del path[number]
        elif follower in unseen:
            unseen.discard(follower)
            path[follower] = followers(follower)
        elif follower in path and steps[number][1] is None:
            found.add(follower)
    return found


def _target(number: int, opcode: int, offset: int) -> int | None:
    """Where an instruction may jump to; None: it does not."""
    return number + 1 + offset if opcode & 7 in _JUMPS and opcode not in (_CALL, _EXIT) else None


def _put(code: bytearray, number: int, constant: int) -> None:
    struct.pack_into("=i", code, number * _INSTRUCTION.size + 4, constant)


def create_maps(maps: Iterable[Map]) -> dict[str, int]:
    """{name: fd}."""
    return {m.name: _bpf(_MAP_CREATE, struct.pack("=7I16s", *m[1:], 0, 0, m.name.encode()[:15])) for m in maps}


class Job(NamedTuple):
    """A program to be loaded; `maps`: {name: fd}; `settings`: constants of 64 bits -> their values."""

    program: Program
    maps: dict[str, int]
    settings: dict[int, int]


def load(jobs: dict[Key, Job]) -> dict[Key, int]:
    """The fds of the programs."""
    loaded: dict[Key, int] = {}
    errors: list[Exception] = []

    def load_one(key: Key) -> None:
        try:
            loaded[key] = _load(jobs[key])
        except Exception as error:  # noqa: BLE001 - raised below
            errors.append(error)

    # The verifier takes 40 to 100 ms for each of the large ones, and lets other threads go on.
    threads = [threading.Thread(target=load_one, args=(key,)) for key in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return loaded


def _load(job: Job) -> int:
    which, code = job.program, bytearray(job.program.code)
    for number, name in which.maps:
        _put(code, number, job.maps[name])
    for mark, value in job.settings.items():
        put_setting(code, mark, value)
    instructions = ctypes.create_string_buffer(bytes(code), len(code))
    licence = ctypes.create_string_buffer(b"GPL")
    try:
        return _bpf(_PROG_LOAD, _load_attributes(which, instructions, licence, None))
    except OSError as error:
        log = ctypes.create_string_buffer(_LOG_BYTES)  # ask again, now with the reason
        try:
            return _bpf(_PROG_LOAD, _load_attributes(which, instructions, licence, log))
        except OSError:
            last = [line for line in log.value.decode("utf-8", "replace").splitlines() if line][-3:]
            raise OSError(error.errno, f"{error.strerror}: {which.name}: {'; '.join(last[:2])}") from None


def _load_attributes(which: Program, instructions: Any, licence: Any, log: Any) -> bytes:  # noqa: ANN401 - ctypes
    return struct.pack(
        "=IIQQIIQII16s", which.kind, len(instructions) // _INSTRUCTION.size, ctypes.addressof(instructions),
        ctypes.addressof(licence), 1 if log else 0, len(log) if log else 0, ctypes.addressof(log) if log else 0,
        0, 0, which.name.encode()[:15])


def put_setting(code: bytearray, mark: int, value: int) -> None:
    """Replace the constant `mark` wherever it is loaded."""
    size = _INSTRUCTION.size
    pattern = struct.pack("=I4xI", mark & 0xFFFFFFFF, mark >> 32)
    at = code.find(pattern[:4])
    while at >= 0:
        if at % size == 4 and code[at - 4] == _LOAD_64 and code[at + size : at + size + 4] == pattern[8:]:
            struct.pack_into("=I4xI", code, at, value & 0xFFFFFFFF, value >> 32)
        at = code.find(pattern[:4], at + 4)


def update(map_fd: int, key: int, value: int) -> None:
    """Store a 32-bit value, as an fd is, in an array."""
    key_at, value_at = ctypes.c_uint32(key), ctypes.c_uint32(value)
    _bpf(_MAP_UPDATE, struct.pack("=I4xQQQ", map_fd, ctypes.addressof(key_at), ctypes.addressof(value_at), 0))


def tracepoint(identifier: int, program_fd: int) -> int:
    """The fd of a perf event that runs the program whenever tracepoint `identifier` is passed, on every CPU."""
    fd = _perf_event(_PERF_TRACEPOINT, identifier, 0)
    fcntl.ioctl(fd, _PERF_SET_BPF, program_fd)
    fcntl.ioctl(fd, _PERF_ENABLE, 0)
    return fd


def raw_tracepoint(name: str, program_fd: int) -> int:
    """The fd of a link that runs the program with the tracepoint's own arguments; closing it takes no time."""
    text = ctypes.create_string_buffer(name.encode())
    return _bpf(_RAW_TRACEPOINT_OPEN, struct.pack("=QI4x", ctypes.addressof(text), program_fd))


def tcx_link(ifindex: int, program_fd: int, way: int) -> int:
    """The fd of a link that shows the program what goes one `way` (enum bpf_attach_type), before others."""
    return _bpf(_LINK_CREATE, struct.pack("=4I16x", program_fd, ifindex, way, _BEFORE))


def perf_ring(cpu: int) -> int:
    """The fd of a perf event into which programs on one CPU can write."""
    fd = _perf_event(_PERF_SOFTWARE, _BPF_OUTPUT, cpu)
    fcntl.ioctl(fd, _PERF_ENABLE, 0)
    return fd


def holder(fds: list[int]) -> int:
    """The fd of a map that holds these perf events, which may then be closed.

    Whoever closes the last fd of a tracepoint waits until no CPU can be running its program: 75 ms for each. What a
    map holds is closed by the kernel on its own time.
    """
    map_fd = create_maps([Map("held", PERF_EVENT_ARRAY, 4, 4, len(fds), 0)])["held"]
    for number, fd in enumerate(fds):
        update(map_fd, number, fd)
    return map_fd


def _perf_event(kind: int, config: int, cpu: int) -> int:
    """For all processes, on `cpu`: struct perf_event_attr in its first version. A tracepoint's runs on every CPU."""
    attributes = struct.pack("=IIQQQQQIIQ", kind, 64, config, 1, _SAMPLE_RAW, 0, 0, _NO_WAKEUP, 0, 0)
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    return _checked(_libc.syscall(_SYS_PERF_EVENT_OPEN, buffer, -1, cpu, -1, _CLOEXEC))


def _bpf(command: int, attributes: bytes) -> int:
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    return _checked(_libc.syscall(_SYS_BPF, command, buffer, len(attributes)))


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
