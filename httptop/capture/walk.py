"""The tap: which segments matter. The socket filter in plain Python, for capture files and as its specification.

It states the same rules as bpf/http_filter.c and bpf/http_deliver.c, function by function, on top of packet.py and
heads.py, which are bpf/packet.h and bpf/heads.h; a test holds both to the same records.
"""

from __future__ import annotations

import re

from httptop.capture.heads import CRLFCRLF, END, MORE, NONE, PARTIAL, REQUEST, RESPONSE, classify, head_end, unreadable
from httptop.capture.packet import ACK, FIN, RST, SYN, Segment, walk
from httptop.records import (
    COUNTERS,
    DATA_MAX,
    FLAG_FIN,
    FLAG_FOLLOWED,
    FLAG_NEW,
    FLAG_RST,
    FLAG_SEEN,
    FOLLOW_BYTES,
    NO_OWNER,
    RECENT_HEADS,
    SEGMENT_MAX,
    Counter,
    Kind,
    Record,
)

PACKETS, C1XX = Counter.PACKETS, Counter.C1XX

FLOWS_MAX = 65536
RESPONSE_BYTES = 1024
_UNREADABLE = b"\x16P"  # what a ClientHello and the HTTP/2 preface begin with
_UPPER = re.compile(rb"[A-Z]")  # a body that begins like a method
_NOBODY = (NO_OWNER, NO_OWNER)
_BODY_METHODS = frozenset((Counter.POST, Counter.PUT, Counter.PATCH, Counter.OTHER))


class _Direction:
    """What is known of the bytes that one endpoint sends."""

    __slots__ = ("awaiting", "budget", "first", "next", "recent")

    def __init__(self) -> None:
        self.recent: list[int] = []  # sequence numbers of its last heads
        self.first = -1  # the first byte that was delivered; -1: none was
        self.next = -1  # behind the furthest byte that was delivered
        self.budget = 0  # how many more bytes are followed
        self.awaiting = False  # it sent a request and has no final response yet

    def follows(self, seq: int) -> bool:
        return self.budget > 0 and (seq - self.next + SEGMENT_MAX) & 0xFFFFFFFF <= 2 * SEGMENT_MAX

    def seen_before(self, seq: int) -> bool:
        """Whether a head began here before; remembers it if not."""
        if seq in self.recent:
            return True
        self.recent = [*self.recent[1 - RECENT_HEADS :], seq]
        return False


class _Flow:
    __slots__ = ("directions", "opaque", "pipelined")

    def __init__(self) -> None:
        self.directions = (_Direction(), _Direction())
        self.pipelined = False  # requests were sent ahead of responses: both directions are followed
        self.opaque = False  # TLS or HTTP/2: left alone


def _signed(difference: int) -> int:
    """Difference of sequence numbers, RFC 9293 3.4."""
    return (difference + 0x80000000 & 0xFFFFFFFF) - 0x80000000


class Tap:
    """The filter with its state. `counters` only grow, by Counter; `ports`: only flows with one of them, if given."""

    def __init__(self, ports: frozenset[int] = frozenset()) -> None:
        self.counters = [0] * COUNTERS
        self._ports = frozenset(port.to_bytes(2, "big") for port in ports)
        self._flows: dict[bytes, _Flow] = {}

    def packet(self, ts_ns: int, ethertype: int, data: bytes, wire_len: int, ifindex: int = 0) -> list[Record]:
        """The records of one packet, which `data` holds from its network header on, perhaps cut. Never raises."""
        self.counters[PACKETS] += 1
        segment = walk(ethertype, data, wire_len)
        if segment is None:
            return []
        if not isinstance(segment, Segment):
            self.counters[segment] += 1
            return []
        if self._ports and segment.flow[32:34] not in self._ports and segment.flow[34:36] not in self._ports:
            return []
        if segment.flags & SYN:
            self._begin(segment)
        flow = self._flows.get(segment.flow)
        if flow and flow.opaque:
            return []
        records = self._payload(ts_ns, segment, flow, data, ifindex) if segment.payload_len else []
        if segment.flags & (FIN | RST):
            records += self._end(ts_ns, segment, ifindex)
        return records

    def _begin(self, segment: Segment) -> None:
        """A new connection has nothing of the old one; but a SYN may also be the old one's, seen again."""
        flow = self._flows.get(segment.flow)
        if not flow:
            return
        first = flow.directions[segment.sender].first
        # the answer to a SYN that carried data must not forget that data
        if first != segment.seq if first >= 0 else not segment.flags & ACK:
            del self._flows[segment.flow]

    def _payload(self, ts_ns: int, segment: Segment, flow: _Flow | None, data: bytes, ifindex: int) -> list[Record]:
        payload = data[segment.offset : segment.offset + segment.available]
        if payload[0] in _UNREADABLE and self._leave_alone(segment.flow, unreadable(payload)):
            return []
        kind, counter = classify(payload)
        if (kind is NONE or kind is PARTIAL) and flow and flow.directions[segment.sender].follows(segment.seq):
            kind = MORE
        if kind is NONE:
            return []
        record = _record(ts_ns, segment, ifindex, kind, payload)
        flags = 0 if flow else FLAG_NEW
        flow = self._touch(segment.flow)
        counted = COUNTERS
        if counter is not None:
            direction = flow.directions[segment.sender]
            if not direction.seen_before(segment.seq):
                counted = counter
                self.counters[counter] += 1
            elif _signed(segment.seq + segment.payload_len - direction.next) > 0:
                flags |= FLAG_SEEN
            else:
                self.counters[Counter.DUPLICATES] += 1
                return []
        if _advance(flow, record, counter, seen=bool(flags & FLAG_SEEN)):
            flags |= FLAG_FOLLOWED
        return _deliver(record._replace(flags=flags, counter=counted), pipelined=flow.pipelined)

    def _leave_alone(self, key: bytes, counter: Counter | None) -> bool:
        """Count an unreadable flow, once."""
        if counter is None:
            return False
        self.counters[counter] += 1
        self._touch(key).opaque = True
        return True

    def _touch(self, key: bytes) -> _Flow:
        """The flow's state as the one that was used last: the first of the dict is the one to forget."""
        flow = self._flows.pop(key, None) or _Flow()
        if len(self._flows) >= FLOWS_MAX:
            del self._flows[next(iter(self._flows))]
        self._flows[key] = flow
        return flow

    def _end(self, ts_ns: int, segment: Segment, ifindex: int) -> list[Record]:
        flow = self._flows.get(segment.flow)
        if flow is None or flow.opaque:
            return []
        flags = (FLAG_FIN if segment.flags & FIN else 0) | (FLAG_RST if segment.flags & RST else 0)
        seq = segment.seq + segment.payload_len & 0xFFFFFFFF
        return [_record(ts_ns, segment, ifindex, END, b"")._replace(seq=seq, payload_len=0, flags=flags)]


def _record(ts_ns: int, segment: Segment, ifindex: int, kind: Kind, data: bytes) -> Record:
    flow, sender, seq, ack, _, _, payload_len, _ = segment
    return Record(ts_ns, flow, seq, ack, payload_len, kind, sender, 0, ifindex, _NOBODY, data)


def _advance(flow: _Flow, record: Record, counter: Counter | None, *, seen: bool) -> bool:
    """The state after a delivery. Whether the bytes behind it are followed."""
    direction = flow.directions[record.sender]
    if record.kind is REQUEST:
        _after_request(flow, record, counter, seen=seen)
    elif record.kind is RESPONSE:
        _after_response(flow, record, counter)
    elif record.kind is PARTIAL:
        direction.budget = 4 * FOLLOW_BYTES if flow.pipelined else FOLLOW_BYTES
    else:
        direction.budget -= min(direction.budget, record.payload_len)
        flow.pipelined |= CRLFCRLF.endswith(record.data[-4:])  # a short one has only the end of it
    end = record.seq + record.payload_len & 0xFFFFFFFF
    if direction.first < 0:
        direction.first, direction.next = record.seq, end
    elif _signed(end - direction.next) > 0:
        direction.next = end
    return direction.budget > 0


def _after_request(flow: _Flow, record: Record, counter: Counter | None, *, seen: bool) -> None:
    """Bytes behind a head are the next request, or a body: that is told from the method and from how they end."""
    direction = flow.directions[record.sender]
    ends = record.data.endswith(CRLFCRLF)
    body = counter in _BODY_METHODS
    end = head_end(record.data)
    more = 0 < end < record.payload_len
    if (direction.awaiting and not seen) or (more and (ends or not body or _UPPER.match(record.data, end, DATA_MAX))):
        flow.pipelined = True
    direction.awaiting = True
    direction.budget = 0 if ends and not body else FOLLOW_BYTES


def _after_response(flow: _Flow, record: Record, counter: Counter | None) -> None:
    """Its head alone is wanted; more only when it may be cut short, or when the next one may follow anywhere."""
    peer = flow.directions[1 - record.sender]
    if counter is not C1XX:
        peer.awaiting = False
        if not flow.pipelined:
            peer.budget = 0
    short = record.payload_len < RESPONSE_BYTES and not record.data.endswith(CRLFCRLF)
    flow.directions[record.sender].budget = 4 * FOLLOW_BYTES if flow.pipelined else DATA_MAX if short else 0


def _deliver(whole: Record, *, pipelined: bool) -> list[Record]:
    """The payload in `whole.data`, or as much as is asked for, as records of at most DATA_MAX bytes."""
    if whole.kind is RESPONSE and not pipelined:
        return [whole._replace(data=whole.data[:RESPONSE_BYTES]) if len(whole.data) > RESPONSE_BYTES else whole]
    if len(whole.data) <= DATA_MAX:
        return [whole]
    most = min(len(whole.data), 4 * FOLLOW_BYTES if pipelined else FOLLOW_BYTES)
    first = whole._replace(data=whole.data[:DATA_MAX])
    return [first] + [
        whole._replace(
            seq=whole.seq + skip & 0xFFFFFFFF,
            payload_len=whole.payload_len - skip,
            kind=MORE,
            counter=COUNTERS,
            data=whole.data[skip : skip + DATA_MAX],
        )
        for skip in range(DATA_MAX, most, DATA_MAX)
    ]
