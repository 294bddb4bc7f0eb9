"""Owners of flows that the kernel's tracepoints do not tell in time: those open at the start, and late ones.

Both go through the kernel's own map of owners, so that user space keeps nothing for each connection.
"""

from __future__ import annotations

import contextlib

from httptop.capture import netns, system
from httptop.capture.conntrack import Conntrack
from httptop.capture.maps import HashMap
from httptop.records import FLOW_END, NO_OWNER, OWNED, OWNER, TRANSLATED, UNSEEN, flow_key, nobody


class Attribution:
    """`owners_fd`: the map of owners. Made while we are root, asked when we no longer are."""

    def __init__(self, owners_fd: int) -> None:
        self.seeded = 0  # entries that were added
        self._map = HashMap(owners_fd, FLOW_END.size, OWNED.size)
        self._addresses = netns.addresses()
        self._conntrack: Conntrack | None = None
        with contextlib.suppress(OSError):  # then what is unknown at an address of ours is taken to be translated
            self._conntrack = Conntrack()

    def close(self) -> None:
        """Ask no more."""
        if self._conntrack is not None:
            self._conntrack.close()

    def seed(self) -> None:
        """Store who has the connections that are open now, unless the kernel knows better."""
        known: dict[int, bytes] = {}
        for local, remote, pid in system.open_flows():
            if pid not in known:
                known[pid] = system.owner(pid)
            self.seeded += self._map.add(FLOW_END.pack(*flow_key(local, remote)), OWNED.pack(known[pid], 0))

    def find(self, flow: bytes, end: int) -> bytes:
        """`struct owner` of an endpoint as the kernel has it now, at the other side of a translation if there is one.

        NO_OWNER: it is not an address of this namespace, nor known to be translated.
        """
        found = self._owner(flow, end)
        if found == NO_OWNER and self._conntrack is not None:
            self._conntrack.read()
            other = self._conntrack.other(flow, end)
            if other is not None:
                found = self._owner(*other)
                return nobody(TRANSLATED) if found == NO_OWNER else found
        if found == NO_OWNER and flow[16 * end : 16 * end + 16] in self._addresses:
            return nobody(TRANSLATED if self._conntrack is None else UNSEEN)
        return found

    def _owner(self, flow: bytes, end: int) -> bytes:
        value = self._map.get(FLOW_END.pack(flow, end))
        return NO_OWNER if value is None else value[: OWNER.size]
