"""Exchanges one by one, each told when its response is complete: for the log."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from httptop.flows import Flow, Pending
from httptop.http1 import Response
from httptop.owners import Owned
from httptop.records import endpoints
from httptop.snapshot import Exchange

LATE_NS = 1_000_000_000  # a response whose end cannot be seen is told after so long, without its length

Ends = Callable[[Flow, int], "tuple[Owned, Owned]"]


def path_of(target: str, *, keep_query: bool) -> str:
    """Request target -> path, from origin-form and absolute-form alike (RFC 9112 3.2)."""
    path = target
    if "://" in path[:8]:
        path = "/" + path.split("://", 1)[1].partition("/")[2]
    return path if keep_query else path.partition("?")[0].partition("#")[0]


class Log:
    """Makes Exchanges and hands them to `tell`. `ends` finds the processes of a flow at a time."""

    def __init__(self, tell: Callable[[Exchange], object], ends: Ends, epoch_offset_ns: int, *,
                 keep_query: bool) -> None:
        self._tell = tell
        self._ends = ends
        self._epoch_offset_ns = epoch_offset_ns
        self._keep_query = keep_query
        self._open: OrderedDict[Flow, tuple[Exchange, int]] = OrderedDict()

    def response(self, flow: Flow, pending: Pending | None, head: Response, ts_ns: int) -> None:
        """A final response began at `ts_ns`; `response_end` will say how long it is."""
        self.end(flow, None)
        exchange = replace(
            self._exchange(flow, pending, ts_ns), status=head.status, version=head.version,
            latency_ns=max(ts_ns - pending.end_ns, 0) if pending is not None else None)
        self._open[flow] = (exchange, ts_ns)

    def end(self, flow: Flow, length: int | None) -> None:
        """The open response of `flow`, if there is one, is complete."""
        known = self._open.pop(flow, None)
        if known is not None:
            self._tell(replace(known[0], response_bytes=length))

    def unanswered(self, flow: Flow, pending: Pending) -> None:
        """It will not be answered, or there is no more time."""
        self._tell(self._exchange(flow, pending, pending.end_ns))

    def expire(self, now_ns: int) -> None:
        """Tell what began so long before `now_ns` that its end will not be seen soon."""
        while self._open:
            flow, (_, ts_ns) = next(iter(self._open.items()))
            if now_ns - ts_ns < LATE_NS:
                return
            self.end(flow, None)

    def finish(self) -> None:
        """Tell what is left."""
        while self._open:
            self.end(next(iter(self._open)), None)

    def _exchange(self, flow: Flow, pending: Pending | None, ts_ns: int) -> Exchange:
        client = flow.client or 0
        ends = endpoints(flow.key)
        server_owned, client_owned = self._ends(flow, ts_ns)
        head = pending.head if pending is not None else None
        target = head.target if head is not None else ""
        return Exchange(
            ts_ns=(pending.end_ns if pending is not None else ts_ns) + self._epoch_offset_ns,
            client_end=ends[client], server_end=ends[1 - client],
            method=head.method if head is not None else None,
            host=head.host if head is not None else "",
            path=path_of(target, keep_query=self._keep_query),
            target=target if self._keep_query else target.partition("?")[0],
            version=head.version if head is not None else "",
            status=None, latency_ns=None, response_bytes=None,
            server=server_owned.process, client=client_owned.process,
            server_how=server_owned.how, client_how=client_owned.how)
