"""Exchanges one by one, each told when its response is complete: for the log."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from httptop.flows import Flow, Pending
from httptop.http1 import Response
from httptop.owners import Owned
from httptop.records import endpoints
from httptop.snapshot import Exchange

LATE_NS = 1_000_000_000  # a response whose end cannot be seen is told after so long, without its length

Ends = Callable[[Flow, int], "tuple[Owned, Owned]"]


class Told(NamedTuple):
    """What is known of an exchange when it is over; most are never looked at, so it is kept as it comes."""

    flow: bytes
    client: int
    pending: Pending | None
    head: Response | None
    ts_ns: int  # when the response began, or the request was complete
    length: int | None
    server_owned: Owned
    client_owned: Owned


class Log:
    """Notices when exchanges are over, and tells. `ends` finds the processes of a flow at a time."""

    def __init__(self, tell: Callable[[Told], object], ends: Ends) -> None:
        self._tell = tell
        self._ends = ends
        self._open: OrderedDict[Flow, tuple[Pending | None, Response, int, Owned, Owned]] = OrderedDict()

    def response(self, flow: Flow, pending: Pending | None, head: Response, ts_ns: int) -> None:
        """A final response began at `ts_ns`; `response_end` will say how long it is."""
        self.end(flow, None)
        self._open[flow] = (pending, head, ts_ns, *self._ends(flow, ts_ns))

    def end(self, flow: Flow, length: int | None) -> None:
        """The open response of `flow`, if there is one, is complete."""
        known = self._open.pop(flow, None)
        if known is not None:
            pending, head, ts_ns, server, client = known
            self._tell(Told(flow.key, flow.client or 0, pending, head, ts_ns, length, server, client))

    def unanswered(self, flow: Flow, pending: Pending) -> None:
        """It will not be answered, or there is no more time."""
        ends = self._ends(flow, pending.end_ns)
        self._tell(Told(flow.key, flow.client or 0, pending, None, pending.end_ns, None, *ends))

    def expire(self, now_ns: int) -> None:
        """Tell what began so long before `now_ns` that its end will not be seen soon."""
        while self._open:
            flow, known = next(iter(self._open.items()))
            if now_ns - known[2] < LATE_NS:
                return
            self.end(flow, None)

    def finish(self) -> None:
        """Tell what is left."""
        while self._open:
            self.end(next(iter(self._open)), None)


def exchange(told: Told, epoch_offset_ns: int, path_of: Callable[[str], str], *, keep_query: bool) -> Exchange:
    """As a face wants it; `path_of` makes the path of a target."""
    request = told.pending.head if told.pending is not None else None
    begun_ns = told.pending.end_ns if told.pending is not None else told.ts_ns
    answered = told.pending is not None and told.head is not None
    target = request.target if request is not None else ""
    ends = endpoints(told.flow)
    return Exchange(
        ts_ns=begun_ns + epoch_offset_ns,
        client_end=ends[told.client], server_end=ends[1 - told.client],
        method=request.method if request is not None else None,
        host=request.host if request is not None else "",
        path=path_of(target),
        target=target if keep_query else target.partition("?")[0],
        version=told.head.version if told.head is not None else request.version if request is not None else "",
        status=told.head.status if told.head is not None else None,
        latency_ns=max(told.ts_ns - begun_ns, 0) if answered else None,
        response_bytes=told.length,
        server=told.server_owned.process, client=told.client_owned.process,
        server_how=told.server_owned.how, client_how=told.client_owned.how)
