"""Which process is at an end of a flow: what the kernel joined, else what accept() told, else unknown; always how."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from httptop.records import (
    CONTESTED,
    ELSEWHERE,
    NO_OWNER,
    OWNER,
    REMOTE,
    UNSEEN,
    Accept,
    How,
    endpoints,
    nobody,
)
from httptop.snapshot import Process

PEERS_MAX = 4096  # accepted connections that are remembered by their peer's address, until somebody reads from them
PROCESSES_MAX = 8192  # processes that are remembered by what the kernel said of them
STRANGERS_MAX = 65536
LATE_MAX = 4096  # ends of flows that were looked up late
_CONTESTED_AT = 6  # in `struct owner`
LOOK_AGAIN_NS = 1_000_000_000  # how long a late answer holds; and a process whose start time is not known

Lookup = Callable[[int, int, str], "Process | None"]
"""(pid, start in ns since boot or 0, name that the kernel saw) -> that process, by name alone when it is gone; None:
the processes are another host's."""

Find = Callable[[bytes, int], bytes]
"""(flow, endpoint) -> `struct owner` as it is known now, NO_OWNER, or `nobody(why)`."""


class Owned(NamedTuple):
    """`how`: accept, recv, connect, sock_diag; with `process` None why it is not known."""

    process: Process | None
    how: str


UNKNOWN = Owned(None, "unknown")
_REMOTE, _ELSEWHERE, _UNSEEN, _CONTESTED = map(nobody, (REMOTE, ELSEWHERE, UNSEEN, CONTESTED))


def not_found(_flow: bytes, _end: int) -> bytes:
    """Look nowhere."""
    return NO_OWNER


class Owners:
    """Flow ends to processes."""

    def __init__(self, lookup: Lookup, find: Find = not_found) -> None:
        self._lookup = lookup
        self._find = find
        self._shared: dict[bytes, bytes] = {}
        self._known: OrderedDict[bytes, tuple[Owned, int]] = OrderedDict()  # until when
        self._processes: OrderedDict[tuple[int, float | str], Process] = OrderedDict()
        self._peers: OrderedDict[bytes, bytes] = OrderedDict()
        self._late: dict[tuple[bytes, int], tuple[bytes, int]] = {}
        self._addresses: set[bytes] = set()  # where processes of this host were seen
        self._strangers: set[bytes] = set()  # addresses of clients that are other hosts

    def share(self, owner: bytes) -> bytes:
        """The same bytes, kept once for all flows of a process."""
        if len(self._shared) >= PROCESSES_MAX:
            self._shared.clear()
        return self._shared.setdefault(owner, owner)

    def process(self, owner: bytes, now_ns: int) -> Owned:
        """The process that the kernel's `struct owner` names."""
        if owner == NO_OWNER:
            return UNKNOWN
        known = self._known.get(owner)
        if known is None or now_ns >= known[1]:
            known = self._known[owner] = self._identify(owner, now_ns)
            if len(self._known) > PROCESSES_MAX:
                self._known.popitem(last=False)
        return known[0]

    def _identify(self, owner: bytes, now_ns: int) -> tuple[Owned, int]:
        """The answer, and until when it holds: for ever if the kernel told when the process started."""
        pid, how, _, _, start_ns, comm = OWNER.unpack(owner)
        name = comm.split(b"\0", 1)[0].decode("utf-8", "replace")
        for_ever = 1 << 64
        if not pid:
            return Owned(None, name if name == REMOTE else f"unknown: {name}"), for_ever
        process = self._lookup(pid, start_ns, name)
        return (Owned(process and self._same(process), How(how).name.lower()),
                for_ever if start_ns else now_ns + LOOK_AGAIN_NS)

    def _same(self, process: Process) -> Process:
        """The first Process of this identity: one that changes its title, as servers do, stays one row."""
        identity = (process.pid, process.comm if process.start_time is None else process.start_time)
        first = self._processes.setdefault(identity, process)
        self._processes.move_to_end(identity)
        if len(self._processes) > PROCESSES_MAX:
            self._processes.popitem(last=False)
        return first

    def accepted(self, accept: Accept) -> None:
        """Remember who took the connection of this peer."""
        if accept.peer_port == b"\0\0":
            return
        self._peers[accept.peer_addr + accept.peer_port] = self.share(accept.owner)
        if len(self._peers) > PEERS_MAX:
            self._peers.popitem(last=False)

    def by_peer(self, flow: bytes, end: int) -> bytes:
        """The owner of endpoint `end`, if it accepted the connection from the other one."""
        return self._peers.get(endpoints(flow)[1 - end], NO_OWNER)

    # -- what the record did not tell ---------------------------------------------------------------------------

    def ends(self, flow: bytes, client: int, known: list[bytes], now_ns: int) -> tuple[bytes, bytes]:
        """Owners of server and client; `known`: what the records of the flow told of its endpoints.

        An end without a process is looked for again before it is shown so.
        """
        server_owner, client_owner = known[1 - client], known[client]
        if NO_OWNER in (server_owner, client_owner):
            nothing_known = server_owner == client_owner and not self._addresses and not self._peers
            if nothing_known and self._find is not_found:
                return _ELSEWHERE, _ELSEWHERE  # a capture file
            if server_owner != NO_OWNER and self._is_remote(flow, client, now_ns):
                return server_owner, _REMOTE  # most exchanges of a server are with other hosts: nothing to look for
            server_owner, client_owner = self._complete(flow, client, server_owner, client_owner, now_ns)
        if server_owner[_CONTESTED_AT] or client_owner[_CONTESTED_AT]:
            return _CONTESTED, NO_OWNER
        return server_owner, client_owner

    def _is_remote(self, flow: bytes, end: int, now_ns: int) -> bool:
        """Whether to look no further; an address is looked into once."""
        address = _address(flow, end)
        if address in self._strangers:
            return True
        ours = address in self._addresses or address == _address(flow, 1 - end)
        if ours or self._again(flow, end, now_ns) != NO_OWNER:
            return False
        if len(self._strangers) >= STRANGERS_MAX:
            self._strangers.clear()
        self._strangers.add(address)
        return True

    def _complete(self, flow: bytes, client: int, server_owner: bytes, client_owner: bytes,
                  now_ns: int) -> tuple[bytes, bytes]:
        if server_owner == NO_OWNER:
            server_owner = self.by_peer(flow, 1 - client)
        if server_owner == NO_OWNER:
            server_owner = self._again(flow, 1 - client, now_ns)
        if client_owner == NO_OWNER:
            client_owner = self._again(flow, client, now_ns)
        alone = NO_OWNER == server_owner == client_owner
        return (self._reason(flow, 1 - client, server_owner, alone=alone),
                self._reason(flow, client, client_owner, alone=alone))

    def _again(self, flow: bytes, end: int, now_ns: int) -> bytes:
        """Look for it as it is known now: a system call."""
        found = self._late.get((flow, end))
        if found is None or now_ns >= found[1]:
            if len(self._late) >= LATE_MAX:
                self._late.clear()
            found = self._late[flow, end] = (self._find(flow, end), now_ns + LOOK_AGAIN_NS)
        return found[0]

    def _reason(self, flow: bytes, end: int, owner: bytes, *, alone: bool) -> bytes:
        address = _address(flow, end)
        if owner != NO_OWNER:
            self._addresses.add(address)
            return owner
        return _UNSEEN if address in self._addresses else _ELSEWHERE if alone else _REMOTE


def _address(flow: bytes, end: int) -> bytes:
    return flow[16 * end : 16 * end + 16]
