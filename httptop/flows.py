"""One TCP connection: its two streams, and which response answers which request."""

from __future__ import annotations

from typing import Protocol

from httptop.cells import MutableCell
from httptop.http1 import Request, Response
from httptop.records import FLAG_AHEAD, NO_OWNER, Record
from httptop.streams import BODY, CHUNKED, HEAD, UNKNOWN, Stream, after

PENDING_MAX = 1024  # requests of one flow that wait for an answer
_NO_BODY = frozenset((204, 304))  # RFC 9112 6.3


class Pending:
    """A request that waits for its answer."""

    __slots__ = ("ack", "alone", "data", "end_ns", "head", "length", "seq", "start_ns")

    def __init__(self, head: Request, stream: Stream, record: Record, *, alone: bool) -> None:
        self.head = head
        self.seq = stream.head_seq  # of its first byte
        self.start_ns = stream.head_ns  # its first byte
        self.end_ns = record.ts_ns  # the last byte of its head
        self.ack = record.ack
        self.alone = alone  # nothing else waited for an answer when it was sent
        self.data = record.data if record.seq == stream.head_seq else b""  # of a segment that begins with it
        self.length = record.payload_len  # of all that segment

    def heard(self, seq: int) -> int:
        """How far `seq` lies behind what the client had heard when it asked; 0 for one on a SYN: it has no ACK."""
        return after(seq, self.ack) if self.ack else 0


class Flow:
    """Both directions of a connection. `client`: the endpoint that sends requests, None while not known."""

    __slots__ = ("ahead", "answer", "astray", "client", "closed_ns", "key", "lone", "owners", "pending", "streams",
                 "tunnel")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.reset()
        self.owners = [NO_OWNER, NO_OWNER]

    def owned(self, record: Record) -> Record:
        """One of this flow, with the owners that were told until then: the kernel tells them once."""
        return record._replace(owners=(self.owners[0], self.owners[1]))

    def reset(self) -> None:
        """Forget everything but who owned the ends."""
        self.streams = (Stream(), Stream())
        self.pending: list[Pending] = []  # nearly always one or none: a deque would take ten times the memory
        self.client: int | None = None
        self.tunnel = False  # CONNECT or Upgrade succeeded: what passes now is no HTTP of this flow
        self.closed_ns: int | None = None  # when it was over; None: it is not
        self.ahead = False  # it has asked again before it was answered
        self.lone: int | None = None  # where the last response began, if it answered none that was seen by then
        self.answer: MutableCell | None = None  # the engine's: where the last response is counted, while it goes on
        self.astray = False  # and messages were missed: nobody can tell which answer is whose


class Sink(Protocol):
    """Who is told of messages, in the order in which they are understood; times are those of the capture."""

    def on_request(self, flow: Flow, pending: Pending) -> None:
        """A request head is complete."""

    def on_response(self, flow: Flow, pending: Pending | None, head: Response, seq: int, ts_ns: int) -> None:
        """A response head is complete; `pending` None: it is interim, or its request was never seen."""

    def on_response_end(self, flow: Flow, length: int) -> None:
        """The last response of `flow` is `length` bytes long, head included."""

    def on_unanswered(self, flow: Flow, pending: Pending) -> None:
        """The answer will not come, or was not seen."""

    def on_resync(self) -> None:
        """A part of a head was never seen."""

    def on_duplicate(self) -> None:
        """A segment held only bytes that were looked at before."""


class Pairing:
    """Responses answer requests in order (RFC 9112 9.3.2)."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def request(self, flow: Flow, stream: Stream, head: Request, record: Record) -> None:
        """`record` holds the last byte of the head."""
        waiting, server = flow.pending, flow.streams[1 - record.sender]
        if flow.client is None:
            stream.missed = False  # what it asked before does not matter
            flow.client = record.sender
        if waiting:
            self._drop_missed(flow, record)
            if waiting and after(record.ack, waiting[-1].ack) <= 0:
                flow.ahead = True
        if not waiting and record.flags & FLAG_AHEAD and stream.follows_gap(record):
            flow.ahead = flow.astray = True  # one that was missed waits before it
        if server.state >= CHUNKED and not waiting and server.messages and after(record.ack, server.head_seq) > 0:
            # A client that waits for its answers has all of the last one when it asks again: its ACK tells the length.
            self.response_ends(flow, server, record.ack)
            server.restart(record.ack)
        pending = Pending(head, stream, record, alone=not waiting)
        place = len(waiting)
        while place and after(pending.seq, waiting[place - 1].seq) < 0:  # overtaken on its way to us
            place -= 1
        waiting.insert(place, pending)
        stream.expect_body(head, none=False)
        self._sink.on_request(flow, pending)
        lone, flow.lone = flow.lone, None
        if lone is not None and pending.ack and pending.heard(lone) >= 0:
            waiting.remove(pending)  # its answer was there before it
            self._sink.on_unanswered(flow, pending)
        if len(flow.pending) > PENDING_MAX:
            self._sink.on_unanswered(flow, flow.pending.pop(0))

    def _drop_missed(self, flow: Flow, record: Record) -> None:
        """The client acknowledges an answer that we did not see, and goes on."""
        if len(flow.pending) == 1 and flow.pending[0].alone and after(record.ack, flow.pending[0].ack) > 0:
            server = flow.streams[1 - record.sender]
            if not server.started or (not server.buffer and after(record.ack, server.position) > 0
                                      and not server.interim and server.state != BODY):
                self._sink.on_unanswered(flow, flow.pending.pop(0))

    def client_ends(self, flow: Flow, record: Record) -> None:
        """The client says no more: it may still wait for an answer, but not for one that it has acknowledged."""
        if not flow.pending:
            return
        if not flow.streams[1 - record.sender].started and after(record.ack, flow.pending[-1].ack) > 0:
            self.abandon(flow)  # nothing of the server is captured
        else:
            self._drop_missed(flow, record)

    def response(self, flow: Flow, stream: Stream, head: Response, record: Record) -> None:
        """`record` holds the last byte of the head; latency is taken to the first one."""
        flow.client = 1 - record.sender
        waiting = flow.pending
        # nearly always the first of these: who waits for an answer asks when he has all that came before it
        in_step = waiting and ((waiting[0].ack == stream.head_seq and not flow.ahead) or self._in_step(flow, stream))
        stream.missed = False
        stream.interim = 100 <= head.status < 200 and head.status != 101
        if stream.interim:
            self._sink.on_response(flow, None, head, stream.head_seq, stream.head_ns)
            return
        pending = waiting.pop(0) if in_step else None
        flow.lone = stream.head_seq if pending is None else None
        method = pending.head.method if pending is not None else ""
        if head.status == 101 or (method == "CONNECT" and 200 <= head.status < 300):
            flow.tunnel = True
        if head.complete or flow.tunnel:
            stream.expect_body(head, none=flow.tunnel or head.status in _NO_BODY or method == "HEAD")
        else:
            stream.state = UNKNOWN
        self._sink.on_response(flow, pending, head, stream.head_seq, stream.head_ns)
        if stream.state is HEAD:
            self._sink.on_response_end(flow, head.length)
        elif stream.state is BODY:
            self._sink.on_response_end(flow, head.length + stream.left)

    def _in_step(self, flow: Flow, stream: Stream) -> bool:
        """Whether the response answers the first of those that wait. Else its request was missed, or none can tell."""
        waiting, seq = flow.pending, stream.head_seq
        flow.astray |= flow.ahead and flow.streams[flow.client or 0].missed
        if stream.missed:
            flow.astray |= flow.ahead and waiting[0].heard(seq) != 0
            while waiting and waiting[0].heard(seq) > 0:
                self._sink.on_unanswered(flow, waiting.pop(0))  # its answer was among those that were missed
        if flow.astray:
            self.abandon(flow)
        return bool(waiting) and waiting[0].heard(seq) >= 0

    def response_ends(self, flow: Flow, stream: Stream, seq: int) -> None:
        """A response whose length was not announced ends before `seq`."""
        self._sink.on_response_end(flow, max(after(seq, stream.head_seq), 0))

    def abandon(self, flow: Flow) -> None:
        """Nothing more will be heard of `flow`."""
        while flow.pending:
            self._sink.on_unanswered(flow, flow.pending.pop(0))
