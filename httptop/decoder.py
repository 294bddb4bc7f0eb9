"""Records to messages: order, duplicates, holes and framing.

Where nothing tells where a body ends, a segment that begins like a message is one if its sender has heard something
new from its peer since the current message began (its ACK moved): a body that merely looks like a head comes from a
sender that is still talking.
"""

from __future__ import annotations

from httptop import http1
from httptop.flows import Flow, Pairing, Sink
from httptop.http1 import Request, Response
from httptop.records import FLAG_ASKER, FLAG_FIN, FLAG_FIRST, FLAG_FOLLOWED, FLAG_NEW, FLAG_RST, NO_OWNER, Kind, Record
from httptop.streams import BODY, CHUNKED, HEAD, UNKNOWN, HeadCache, Stream, after

# Members of an Enum are slow to look up: once, here.
_, REQUEST, RESPONSE, _, MORE, END, _ = Kind

STASH_MAX = 64  # segments of one direction kept while a hole in a head may still be filled
BACK_BYTES, AHEAD_BYTES = 1 << 20, 1 << 28  # further away than this, a number belongs to another connection


class Decoder:
    """Feeds records to flows and tells the sink what they say."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._pairing = Pairing(sink)
        self._heads = HeadCache()

    def feed(self, flow: Flow, record: Record) -> None:
        """One record of `flow`, in the order of capture."""
        stream, peer = flow.streams[record.sender], flow.streams[1 - record.sender]
        if (record.seq == stream.position and stream.state is HEAD and stream.started and record.data
                and not (record.flags & FLAG_NEW or stream.buffer or stream.stash or peer.stash or flow.tunnel)):
            self._expected(flow, stream, record)  # nearly always
        else:
            self._unexpected(flow, stream, record)

    def _unexpected(self, flow: Flow, stream: Stream, record: Record) -> None:
        if record.kind == END:
            self._end(flow, record)
            return
        if record.flags & FLAG_NEW and stream.started and (
                flow.closed_ns is not None or self._is_far(stream, record)):
            self.abandon(flow)
            flow.reset()
            stream = flow.streams[record.sender]
        if flow.tunnel or not record.data:
            return
        peer = flow.streams[1 - record.sender]
        if peer.stash and after(record.ack, peer.position) > 0:
            self._give_up(flow, peer)  # what is missing has arrived there, and will not come again
        self._place(flow, stream, record)
        if stream.stash:
            self._unstash(flow, stream)

    def _expected(self, flow: Flow, stream: Stream, record: Record) -> None:
        """A message begins where one should, and mostly its head is whole."""
        data = record.data
        head = self._heads.whole(data)
        if head is None or not self._plausible(flow, record, head):
            self._consume(flow, stream, record, data)
            return
        stream.head_seq, stream.head_ns, stream.ack = record.seq, record.ts_ns, record.ack
        stream.position = stream.head_end = (record.seq + head.length) & 0xFFFFFFFF
        self._emit(flow, stream, head, record)
        more = len(data) - head.length
        if not more or flow.tunnel:
            return
        if stream.state is BODY and stream.pass_over(more):
            stream.position = (stream.position + more) & 0xFFFFFFFF
        else:
            self._consume(flow, stream, record, data[head.length :])

    def flush(self, flow: Flow) -> None:
        """No more bytes will come: take heads that have begun as far as they go."""
        for stream in flow.streams:
            if stream.stash:
                self._give_up(flow, stream)
            if stream.buffer:
                self._finish_head(flow, stream)

    def resume(self, flow: Flow, record: Record) -> None:
        """`record` is the first one of `flow` after the kernel has counted in our place: see FLAG_RESUMED."""
        self.abandon(flow)
        flow.reset()
        stream, peer = flow.streams[record.sender], flow.streams[1 - record.sender]
        stream.missed, peer.missed = False, bool(record.flags & FLAG_FIRST)
        flow.client = record.sender if record.flags & FLAG_ASKER else 1 - record.sender
        flow.streams[flow.client].messages = 1  # it has asked before
        if flow.client != record.sender:
            stream.restart(record.extra)  # what it acknowledges may not have come by yet
            return
        stream.restart((record.seq - record.gap) & 0xFFFFFFFF)
        if not peer.missed:
            peer.restart(record.ack)
        left = after(record.extra, record.ack)
        if left > 0:
            peer.state, peer.left = BODY, left  # it asks while the last answer still comes

    def abandon(self, flow: Flow) -> None:
        """Nothing more will be heard of `flow`: finish what has begun and give up on what waits."""
        self.flush(flow)
        self._pairing.abandon(flow)

    @staticmethod
    def _is_far(stream: Stream, record: Record) -> bool:
        return not -BACK_BYTES < after(record.seq, stream.position) < AHEAD_BYTES

    def _end(self, flow: Flow, record: Record) -> None:
        stream = flow.streams[record.sender]
        if record.flags & FLAG_RST:
            flow.closed_ns = record.ts_ns
            self.abandon(flow)
        elif record.sender == flow.client:
            self._pairing.client_ends(flow, record)
        elif record.flags & FLAG_FIN and flow.client is not None:
            self.flush(flow)
            if stream.messages and stream.state in (UNKNOWN, CHUNKED):
                self._pairing.response_ends(flow, stream, record.seq)
                stream.state = HEAD
            flow.closed_ns = record.ts_ns
            self.abandon(flow)

    def _place(self, flow: Flow, stream: Stream, record: Record) -> None:
        """Bring the stream's position to the record, then look at its bytes."""
        begins = record.kind in (REQUEST, RESPONSE)
        if not stream.started:
            stream.restart(record.seq)
        ahead = after(record.seq, stream.position)
        if ahead < 0:
            self._late(flow, stream, record, -ahead)
        elif ahead:
            self._skip(flow, stream, record, ahead, begins=begins)
        elif stream.state == UNKNOWN or (begins and self._body_never_came(flow, stream, record)):
            self._resume(flow, stream, record, begins=begins)
        else:
            self._consume(flow, stream, record, record.data)

    def _late(self, flow: Flow, stream: Stream, record: Record, behind: int) -> None:
        """Bytes from before the position: a retransmission with new bytes at its end, or a gap that is filled."""
        if len(record.data) > behind:
            trimmed = record._replace(seq=stream.position, payload_len=record.payload_len - behind,
                                      data=record.data[behind:], kind=MORE)
            self._place(flow, stream, trimmed)
        elif stream.fills_gap(record):
            self._stray(flow, record)
        else:
            self._sink.on_duplicate()

    def _stray(self, flow: Flow, record: Record) -> None:
        """A message that was overtaken by a later one: understood on its own."""
        data, stream = record.data, Stream()
        stream.head_ns = record.ts_ns
        while data:
            head = self._heads.parse(data, final=True, searched=0)
            if isinstance(head, http1.Verdict):
                return
            stream.head_seq = (record.seq + len(record.data) - len(data)) & 0xFFFFFFFF
            self._emit(flow, stream, head, record)
            data = data[head.length + (head.content_length or 0) :]

    def _skip(self, flow: Flow, stream: Stream, record: Record, ahead: int, *, begins: bool) -> None:
        """Bytes before the record were not delivered (yet)."""
        if stream.pass_over(ahead):
            stream.position = record.seq
            self._place(flow, stream, record)
        elif stream.state != UNKNOWN and (record.kind == MORE or stream.buffer or stream.stash):
            # What is before a MORE was delivered, too, or lost: wait for it.
            stream.stash = [*stream.stash, record]
            if len(stream.stash) > STASH_MAX or (begins and after(record.ack, stream.ack) > 0):
                self._give_up(flow, stream)
        elif stream.state != HEAD or begins:
            stream.leave_out(record.seq)
            self._place(flow, stream, record)

    def _give_up(self, flow: Flow, stream: Stream) -> None:
        """What is missing was lost: its sender goes on, or its peer has it."""
        if stream.buffer:
            self._sink.on_resync()
            self._finish_head(flow, stream)
        stream.state, stream.missed = UNKNOWN, True
        stash, stream.stash = sorted(stream.stash, key=lambda r: after(r.seq, stream.position)), ()
        for record in stash:
            stream.skip_to(record.seq)
            self._place(flow, stream, record)

    def _unstash(self, flow: Flow, stream: Stream) -> None:
        """Place what waited for the byte that has now come."""
        progress = True
        while progress and stream.stash:
            progress = False
            for record in stream.stash:
                ahead = after(record.seq, stream.position)
                if ahead <= 0 or stream.state == UNKNOWN or stream.pass_over(ahead):
                    stream.stash = [r for r in stream.stash if r is not record]
                    stream.skip_to(record.seq)
                    self._place(flow, stream, record)
                    progress = True
                    break

    def _body_never_came(self, flow: Flow, stream: Stream, record: Record) -> bool:
        """A head where a body was announced: Expect: 100-continue that was refused, or the answer to an unseen HEAD."""
        return (stream.state == BODY and record.seq == stream.head_end and after(record.ack, stream.ack) > 0
                and (record.sender != flow.client or not flow.pending))

    def _resume(self, flow: Flow, stream: Stream, record: Record, *, begins: bool) -> None:
        """Decide whether this is the next message, when nothing tells where the current one ends."""
        expected = REQUEST if record.sender == flow.client else RESPONSE
        if begins and record.kind == expected and after(record.ack, stream.ack) > 0:
            if expected == RESPONSE and not (flow.ahead and stream.missed):
                self._pairing.response_ends(flow, stream, record.seq)
                stream.missed = not flow.ahead
            stream.restart(record.seq)
            self._consume(flow, stream, record, record.data)
        else:
            stream.position = (record.seq + len(record.data)) & 0xFFFFFFFF

    def _consume(self, flow: Flow, stream: Stream, record: Record, data: bytes) -> None:
        """Look at `data`, which begins at the stream's position, message by message."""
        while data:
            if stream.state == HEAD:
                used = self._read_head(flow, stream, record, data)
            elif stream.state == BODY:
                used = min(stream.left, len(data))
                stream.left -= used
                if not stream.left:
                    stream.state = HEAD
            else:
                used = self._read_unframed(flow, stream, data)
            stream.position = (stream.position + used) & 0xFFFFFFFF
            data = data[used:]
            if flow.tunnel:
                return

    def _read_unframed(self, flow: Flow, stream: Stream, data: bytes) -> int:
        if stream.state == CHUNKED and stream.chunked is not None:
            end = stream.chunked.feed(data)
            if stream.chunked.broken:
                stream.state = UNKNOWN
            elif end is not None:
                stream.state = HEAD
                if stream is not flow.streams[flow.client or 0]:
                    self._pairing.response_ends(flow, stream, stream.position + end)
                return end
        return len(data)

    def _read_head(self, flow: Flow, stream: Stream, record: Record, data: bytes) -> int:
        """Returns how many bytes of `data` belong to the head."""
        if not stream.buffer:
            stripped = http1.empty_lines(data)
            if stripped:
                return stripped
            stream.head_seq, stream.head_ns, stream.ack = stream.position, record.ts_ns, record.ack
        held = len(stream.buffer)
        whole = stream.buffer + data if held else data
        rest_follows = record.kind != RESPONSE and record.payload_len > len(record.data)
        final = not record.flags & FLAG_FOLLOWED and not rest_follows
        head = self._heads.parse(whole, final=final, searched=stream.searched)
        if head is http1.NEED_MORE:
            stream.buffer, stream.searched = whole, len(whole)
            return len(data)
        stream.buffer, stream.searched = b"", 0
        if isinstance(head, http1.Verdict) or not self._plausible(flow, record, head):
            stream.state = UNKNOWN
            return len(data)
        stream.position = (stream.position + head.length - held) & 0xFFFFFFFF
        stream.head_end = stream.position
        self._emit(flow, stream, head, record)
        stream.position = (stream.position - (head.length - held)) & 0xFFFFFFFF
        return head.length - held

    @staticmethod
    def _plausible(flow: Flow, record: Record, head: Request | Response) -> bool:
        """A side that asks does not answer."""
        return flow.client is None or (record.sender == flow.client) == isinstance(head, Request)

    def _finish_head(self, flow: Flow, stream: Stream) -> None:
        """No more of the head in the buffer will come: take it as far as it goes."""
        data, stream.buffer, stream.searched = stream.buffer, b"", 0
        head = self._heads.parse(data, final=True, searched=0)
        stream.state = UNKNOWN
        sender = 0 if stream is flow.streams[0] else 1
        record = Record(stream.head_ns, flow.key, stream.head_seq, stream.ack, len(data), MORE, sender, 0, 0,
                        (NO_OWNER, NO_OWNER), data)
        if not isinstance(head, http1.Verdict) and self._plausible(flow, record, head):
            stream.head_end = stream.position
            self._emit(flow, stream, head, record)
            stream.state = UNKNOWN

    def _emit(self, flow: Flow, stream: Stream, head: Request | Response, record: Record) -> None:
        stream.messages += 1
        if isinstance(head, Request):
            self._pairing.request(flow, stream, head, record)
            return
        asker = flow.streams[1 - record.sender]
        if not flow.pending and asker.buffer and head.status >= 200:
            self._give_up(flow, asker)
        self._pairing.response(flow, stream, head, record)
