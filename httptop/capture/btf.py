"""Where the running kernel keeps a few fields, by its own description of itself (BTF, /sys/kernel/btf/vmlinux).

The programs work without: then a process that ends at once has the name of the thread that was seen, and no start time.
Only the structs that are asked for are looked at: parsing all 150,000 types would take longer than the whole start.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

PATH = "/sys/kernel/btf/vmlinux"
KIND_STRUCT = 4

# Constant of the BPF programs -> path of a field, from struct to member (Documentation/bpf/btf.rst). Each group is of
# use only as a whole.
FIELDS = (
    {
        "TASK_LEADER": (("task_struct", "group_leader"),),
        "TASK_FLAGS": (("task_struct", "flags"),),
        "TASK_COMM": (("task_struct", "comm"),),
        "TASK_STARTED": (("task_struct", "start_boottime"),),
    },
    {
        "SOCK_NET": (("sock_common", "skc_net"),),
        "NET_INODE": (("net", "ns"), ("ns_common", "inum")),
    },
    {
        "SOCK_FAMILY": (("sock_common", "skc_family"),),
        "SOCK_LOCAL": (("sock_common", "skc_v6_rcv_saddr"),),
        "SOCK_REMOTE": (("sock_common", "skc_v6_daddr"),),
    },
)

_HEADER = struct.Struct("=HBBIIIII")  # magic, version, flags, header length, types at, length, strings at, length
_MAGIC = 0xEB9F
_TYPE = struct.Struct("=III")  # name, info, size
_MEMBER = struct.Struct("=III")  # name, type, offset in bits


class Btf:
    """`raw`: as in /sys/kernel/btf/vmlinux, in this machine's byte order. ValueError when it is something else."""

    def __init__(self, raw: bytes) -> None:
        if len(raw) < _HEADER.size or _HEADER.unpack_from(raw)[0] != _MAGIC:
            raise ValueError("no BTF in this machine's byte order")
        _, _, _, header, types, self._types_length, strings, self._strings_length = _HEADER.unpack_from(raw)
        self._raw = raw
        self._types = header + types
        self._strings = header + strings

    def offset(self, struct_name: str, member: str) -> int | None:
        """Bytes from the beginning of a struct to its direct member; None when there is no such one."""
        wanted = self._name(member)
        for at, count in self._structs(struct_name):
            for number in range(count):
                name, _, bits = _MEMBER.unpack_from(self._raw, at + number * _MEMBER.size)
                if name == wanted:
                    return int(bits & 0xFFFFFF) // 8  # the upper byte is the width of a bit field
        return None

    def _name(self, text: str) -> int | None:
        end = self._strings + self._strings_length
        at = self._raw.find(b"\0" + text.encode() + b"\0", self._strings, end)
        return at + 1 - self._strings if at >= 0 else None

    def _structs(self, name: str) -> Iterator[tuple[int, int]]:
        """(where its members begin, how many) of what looks like the definition of a struct of this name."""
        number = self._name(name)
        if number is None:
            return
        pattern, end = number.to_bytes(4, "little" if self._little() else "big"), self._types + self._types_length
        at = self._raw.find(pattern, self._types, end)
        while at >= 0:
            _, info, _ = _TYPE.unpack_from(self._raw, at)
            if at % 4 == self._types % 4 and info >> 24 & 0x1F == KIND_STRUCT:
                yield at + _TYPE.size, info & 0xFFFF
            at = self._raw.find(pattern, at + 1, end)

    def _little(self) -> bool:
        return self._raw[0] == _MAGIC & 0xFF


def constants(path: str = PATH) -> dict[str, int]:
    """Values of FIELDS in the running kernel, of those groups that it knows."""
    try:
        with open(path, "rb") as file:
            btf = Btf(file.read())
    except (OSError, ValueError):
        return {}
    known: dict[str, int] = {}
    for group in FIELDS:
        found = {name: [btf.offset(*step) for step in steps] for name, steps in group.items()}
        if not any(None in parts for parts in found.values()):
            known |= {name: sum(offset or 0 for offset in parts) for name, parts in found.items()}
    return known
