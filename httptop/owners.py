"""Which process is at an end of a flow: what the kernel joined, else what accept() told, else unknown; always how."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from httptop.records import NO_OWNER, OWNER, Accept, How, endpoints
from httptop.snapshot import Process

PEERS_MAX = 65536  # accepted connections that are remembered by their peer's address
PROCESSES_MAX = 16384  # processes that are remembered by what the kernel said of them
LOOK_AGAIN_NS = 1_000_000_000  # how long a process is believed to be the same: pids are reused

Lookup = Callable[[int], "Process | None"]


class Owned(NamedTuple):
    """`process` None: not known, and `how` is UNKNOWN."""

    process: Process | None
    how: How


UNKNOWN = Owned(None, How.UNKNOWN)


class Owners:
    """Flow ends to processes. `lookup` asks the host about a pid, None when it is gone."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._processes: OrderedDict[bytes, tuple[Owned, int]] = OrderedDict()
        self._peers: OrderedDict[bytes, bytes] = OrderedDict()

    def process(self, owner: bytes, now_ns: int) -> Owned:
        """The process that the kernel's `struct owner` names."""
        if owner == NO_OWNER:
            return UNKNOWN
        known = self._processes.get(owner)
        if known is not None and now_ns - known[1] < LOOK_AGAIN_NS:
            return known[0]
        owned = self._identify(owner, known[0].process if known else None)
        self._processes[owner] = (owned, now_ns)
        if len(self._processes) > PROCESSES_MAX:
            self._processes.popitem(last=False)
        return owned

    def _identify(self, owner: bytes, before: Process | None) -> Owned:
        """What the host says if it is still that process; else the name that the kernel saw."""
        pid, how, thread, comm = OWNER.unpack(owner)
        name = comm.split(b"\0", 1)[0].decode("utf-8", "replace")
        found = self._lookup(pid)
        if found is None or (not thread and found.comm[:15] != name[:15] and before is not None):
            return Owned(before or Process(pid, name), How(how))
        return Owned(found, How(how))

    @staticmethod
    def accepter(accept: Accept) -> bytes:
        """Who accepted, as a `struct owner`."""
        return OWNER.pack(accept.pid, How.ACCEPT, accept.thread, accept.comm)

    def accepted(self, accept: Accept) -> None:
        """Remember who took the connection of this peer."""
        if accept.peer_port == b"\0\0":
            return
        self._peers[accept.peer_addr + accept.peer_port] = self.accepter(accept)
        if len(self._peers) > PEERS_MAX:
            self._peers.popitem(last=False)

    def by_peer(self, flow: bytes, end: int) -> bytes:
        """The owner of endpoint `end`, if it accepted the connection from the other one."""
        return self._peers.get(endpoints(flow)[1 - end], NO_OWNER)
