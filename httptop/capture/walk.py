"""The tap: which segments matter. The filter of bpf/ in plain Python, for capture files and as its specification.

It states the same rules as bpf/http_filter.c and bpf/http_deliver.c, function by function, on top of packet.py and
heads.py, which are bpf/packet.h and bpf/heads.h; a test holds both to the same records.
"""

from __future__ import annotations

import re

from httptop.capture.heads import CRLFCRLF, END, MORE, NONE, PARTIAL, REQUEST, RESPONSE, classify, head_end, unreadable
from httptop.capture.packet import ACK, FIN, RST, SYN, Segment, flow_of, walk
from httptop.records import (
    COUNTERS,
    DATA_MAX,
    FLAG_AHEAD,
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
_new = tuple.__new__  # not Record(...): this runs for each message, and takes half the time
_NOBODY = (NO_OWNER, NO_OWNER)
_BODY_METHODS = frozenset((Counter.POST, Counter.PUT, Counter.PATCH, Counter.OTHER))


class _Direction:
    """What is known of the bytes that one endpoint sends. What its peer does changes nothing here, as in the kernel."""

    __slots__ = ("answers", "answers_then", "asking", "budget", "first", "next", "recent")

    def __init__(self) -> None:
        self.recent: list[int] = []  # sequence numbers of its last heads
        self.first = -1  # the first byte that was delivered; -1: none was
        self.next = -1  # behind the furthest byte that was delivered
        self.budget = 0  # how many more bytes are followed
        self.answers = 0  # how many final responses it has sent
        self.answers_then = 0  # of its peer, when budget and asking were set: by the next one they are void
        self.asking = False  # it sent a request

    def awaits(self, peer: _Direction) -> bool:
        """It sent a request and has no final response yet."""
        return self.asking and self.answers_then == peer.answers

    def follow(self, peer: _Direction, budget: int) -> None:
        self.asking = self.awaits(peer)
        self.answers_then = peer.answers
        self.budget = budget

    def seen_before(self, seq: int) -> bool:
        """Whether a head began here before; remembers it if not."""
        if seq in self.recent:
            return True
        self.recent.append(seq)
        del self.recent[:-RECENT_HEADS]
        return False


class _Flow:
    __slots__ = ("directions", "opaque", "pipelined")

    def __init__(self) -> None:
        self.directions = (_Direction(), _Direction())
        self.pipelined = False  # requests were sent ahead of responses: both directions are followed
        self.opaque = False  # TLS or HTTP/2: left alone

    def follows(self, sender: int, seq: int) -> bool:
        """Whether this is one of the next bytes that are wanted."""
        direction, peer = self.directions[sender], self.directions[1 - sender]
        return (direction.budget > 0 and (self.pipelined or direction.answers_then == peer.answers)
                and (seq - direction.next + SEGMENT_MAX) & 0xFFFFFFFF <= 2 * SEGMENT_MAX)


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
        return self.segment(ts_ns, segment, data, ifindex)

    def segment(self, ts_ns: int, segment: Segment, data: bytes, ifindex: int = 0) -> list[Record]:
        """The records of a segment whose payload stands in `data`."""
        key, _, _, _, flags, _, payload_len, _ = segment
        if self._ports and key[32:34] not in self._ports and key[34:36] not in self._ports:
            return []
        if flags & SYN:
            self._begin(segment)
        flow = self._flows.get(key)
        if flow is not None and flow.opaque:
            return []
        records = self._payload(ts_ns, segment, flow, data, ifindex) if payload_len else []
        if flags & (FIN | RST):
            records += self._end(ts_ns, segment, ifindex)
        return records

    def follows(self, ends: bytes, seq: int) -> bool:
        """Whether bytes that begin no message are wanted there; `ends`: addresses and ports as in the packet."""
        key, sender = flow_of(ends)
        flow = self._flows.get(key)
        return flow is not None and not flow.opaque and flow.follows(sender, seq)

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
        key, sender, seq, ack, _, offset, payload_len, available = segment
        payload = data[offset : offset + available]
        if payload[0] in _UNREADABLE and self._leave_alone(key, unreadable(payload)):
            return []
        kind, counter = classify(payload)
        if counter is None and flow is not None and flow.follows(sender, seq):
            kind = MORE
        if kind is NONE:
            return []
        flags = 0 if flow is not None else FLAG_NEW
        flow = self._touch(key)
        counted = COUNTERS
        if counter is not None:
            direction = flow.directions[sender]
            if not direction.seen_before(seq):
                counted = counter
                self.counters[counter] += 1
            elif _signed(seq + payload_len - direction.next) > 0:
                flags |= FLAG_SEEN
            else:
                self.counters[Counter.DUPLICATES] += 1
                return []
        if kind is REQUEST and not flags & FLAG_SEEN and flow.directions[sender].awaits(flow.directions[1 - sender]):
            flags |= FLAG_AHEAD
        if _advance(flow, segment, kind, counter, payload, ahead=bool(flags & FLAG_AHEAD)):
            flags |= FLAG_FOLLOWED
        most = RESPONSE_BYTES if kind is RESPONSE and not flow.pipelined else DATA_MAX
        first = _new(Record, (ts_ns, key, seq, ack, payload_len, kind, sender, flags, ifindex, _NOBODY, payload[:most],
                              counted, 0, 0))
        if available <= most or most == RESPONSE_BYTES:
            return [first]
        return [first, *_rest(first, payload, pipelined=flow.pipelined)]

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
        key, sender, seq, ack, tcp_flags, _, payload_len, _ = segment
        flow = self._flows.get(key)
        if flow is None or flow.opaque:
            return []
        flags = (FLAG_FIN if tcp_flags & FIN else 0) | (FLAG_RST if tcp_flags & RST else 0)
        return [Record(ts_ns, key, seq + payload_len & 0xFFFFFFFF, ack, 0, END, sender, flags, ifindex, _NOBODY, b"")]


def _advance(flow: _Flow, segment: Segment, kind: Kind, counter: Counter | None, payload: bytes, *,
             ahead: bool) -> bool:
    """The state after a delivery. Whether the bytes behind it are followed."""
    _, sender, seq, _, _, _, payload_len, _ = segment
    direction = flow.directions[sender]
    if kind is REQUEST:
        _after_request(flow, sender, payload, payload_len, counter, ahead=ahead)
    elif kind is RESPONSE:
        _after_response(flow, sender, payload, payload_len, counter)
    elif kind is PARTIAL:
        direction.follow(flow.directions[1 - sender], 4 * FOLLOW_BYTES if flow.pipelined else FOLLOW_BYTES)
    else:
        direction.budget -= min(direction.budget, payload_len)
        flow.pipelined |= CRLFCRLF.endswith(payload[-4:])  # a short one has only the end of it
    end = seq + payload_len & 0xFFFFFFFF
    if direction.first < 0:
        direction.first, direction.next = seq, end
    elif _signed(end - direction.next) > 0:
        direction.next = end
    return direction.budget > 0


def _after_request(flow: _Flow, sender: int, payload: bytes, payload_len: int, counter: Counter | None, *,
                   ahead: bool) -> None:
    """Bytes behind a head are the next request, or a body: that is told from the method and from how they end."""
    direction, peer = flow.directions[sender], flow.directions[1 - sender]
    ends = payload.endswith(CRLFCRLF)
    body = counter in _BODY_METHODS
    end = head_end(payload)
    more = 0 < end < payload_len
    if ahead or (more and (ends or not body or _UPPER.match(payload, end, DATA_MAX))):
        flow.pipelined = True
    direction.follow(peer, 0 if ends and not body else FOLLOW_BYTES)
    direction.asking = True


def _after_response(flow: _Flow, sender: int, payload: bytes, payload_len: int, counter: Counter | None) -> None:
    """Its head alone is wanted; more only when it may be cut short, or when the next one may follow anywhere."""
    direction = flow.directions[sender]
    if counter is not C1XX:
        direction.answers += 1
    short = payload_len < RESPONSE_BYTES and not payload.endswith(CRLFCRLF)
    direction.follow(flow.directions[1 - sender], 4 * FOLLOW_BYTES if flow.pipelined else DATA_MAX if short else 0)


def _rest(first: Record, payload: bytes, *, pipelined: bool) -> list[Record]:
    """What is asked for behind the first DATA_MAX bytes of a payload, as records of at most so many bytes."""
    most = min(len(payload), 4 * FOLLOW_BYTES if pipelined else FOLLOW_BYTES)
    return [
        first._replace(
            seq=first.seq + skip & 0xFFFFFFFF,
            payload_len=first.payload_len - skip,
            kind=MORE,
            counter=COUNTERS,
            data=payload[skip : skip + DATA_MAX],
        )
        for skip in range(DATA_MAX, most, DATA_MAX)
    ]
