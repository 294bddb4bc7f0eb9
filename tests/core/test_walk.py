"""The tap in plain Python: which packets are walked, which segments are delivered, and what is counted."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httptop.capture import walk as walk_module
from httptop.capture.walk import Tap
from httptop.records import (
    COUNTERS,
    DATA_MAX,
    FLAG_FIN,
    FLAG_FOLLOWED,
    FLAG_NEW,
    FLAG_RST,
    FLAG_SEEN,
    FOLLOW_BYTES,
    METHODS,
    RECENT_HEADS,
    Counter,
    Kind,
    Record,
    endpoint,
    endpoints,
)
from tests.support.frames import (
    ACK,
    AUTHENTICATION,
    DESTINATION,
    ETH_ARP,
    ETH_IP4,
    ETH_IP6,
    ETH_QINQ,
    ETH_VLAN,
    FIN,
    FRAGMENT,
    HOP_BY_HOP,
    ROUTING,
    RST,
    SYN,
    UDP,
    Talk,
    ethernet,
    extension,
    ipv4,
    ipv6,
    tcp,
)

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
SEGMENT = tcp(1234, 80, 100, GET)
V4 = ipv4("10.0.0.1", "10.0.0.2", SEGMENT)
V6 = ipv6("fd00::1", "fd00::2", SEGMENT)


def feed(tap: Tap, *frames: bytes) -> list[Record]:
    """The records of Ethernet frames."""
    records = []
    for ts_ns, frame in enumerate(frames):
        records += tap.packet(ts_ns, struct.unpack_from("!H", frame, 12)[0], frame[14:], len(frame) - 14)
    return records


def counts(tap: Tap) -> dict[str, int]:
    """Counters that are not 0, without PACKETS."""
    return {counter.name: tap.counters[counter] for counter in Counter if tap.counters[counter]
            and counter is not Counter.PACKETS}


def mpls(labels: int, packet: bytes) -> bytes:
    """A packet behind that many labels."""
    return b"".join(struct.pack("!I", 5 << 12 | (i == labels - 1) << 8 | 64) for i in range(labels)) + packet


WALKED = {
    "IPv4": ethernet(ETH_IP4, V4),
    "IPv6": ethernet(ETH_IP6, V6),
    "padding is no payload": ethernet(ETH_IP4, V4, pad_to=200),
    "IPv4 options": ethernet(ETH_IP4, ipv4("10.0.0.1", "10.0.0.2", SEGMENT, options=b"\x01" * 40)),
    "TCP options": ethernet(ETH_IP4, ipv4("10.0.0.1", "10.0.0.2", tcp(1234, 80, 100, GET, options=b"\x01" * 40))),
    "one VLAN tag": ethernet(ETH_IP4, V4, ((ETH_VLAN, 7),)),
    "two VLAN tags": ethernet(ETH_IP6, V6, ((ETH_QINQ, 7), (ETH_VLAN, 8))),
    "old QinQ": ethernet(ETH_IP4, V4, ((0x9100, 7), (ETH_VLAN, 8))),
    "MPLS": ethernet(0x8847, mpls(1, V4)),
    "four MPLS labels in a VLAN": ethernet(0x8848, mpls(4, V6), ((ETH_VLAN, 7),)),
    "super-packet, IPv4": ethernet(ETH_IP4, ipv4("10.0.0.1", "10.0.0.2", SEGMENT, total=0), pad_to=0),
    "super-packet, IPv6": ethernet(ETH_IP6, ipv6("fd00::1", "fd00::2", SEGMENT, total=0), pad_to=0),
    **{
        f"IPv6 {name}": ethernet(ETH_IP6, ipv6("fd00::1", "fd00::2", SEGMENT, extensions=chain))
        for name, chain in {
            "hop-by-hop": ((HOP_BY_HOP, extension()),),
            "routing": ((ROUTING, extension(2)),),
            "destination options": ((DESTINATION, extension(1)),),
            "authentication": ((AUTHENTICATION, b"\x04" + bytes(22)),),
            "atomic fragment": ((FRAGMENT, bytes(7)),),
            "six headers": ((HOP_BY_HOP, extension()),) + 5 * ((DESTINATION, extension()),),
        }.items()
    },
}


@pytest.mark.parametrize("name", WALKED)
def test_tcp_is_found_behind(name: str) -> None:
    """The payload is found behind every header that may stand before it, exactly, with its addresses."""
    tap = Tap()
    (record,) = feed(tap, WALKED[name])
    assert record.data == GET
    assert record.payload_len == len(GET)
    assert record.seq == 100
    assert counts(tap) == {"GET": 1}
    addresses = (bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))
    if "IPv6" in name or name in ("two VLAN tags", "four MPLS labels in a VLAN"):
        addresses = (b"\xfd" + bytes(14) + b"\x01", b"\xfd" + bytes(14) + b"\x02")
    assert endpoints(record.flow) == (endpoint(addresses[0], 1234), endpoint(addresses[1], 80))
    assert record.sender == 0


LEFT_ALONE: dict[str, tuple[bytes, dict[str, int]]] = {
    "ARP": (ethernet(ETH_ARP, V4), {}),
    "UDP": (ethernet(ETH_IP4, ipv4("10.0.0.1", "10.0.0.2", SEGMENT, protocol=UDP)), {}),
    "UDP over IPv6": (ethernet(ETH_IP6, ipv6("fd00::1", "fd00::2", SEGMENT, protocol=UDP)), {}),
    "three VLAN tags": (ethernet(ETH_IP4, V4, 3 * ((ETH_VLAN, 7),)), {}),
    "five MPLS labels": (ethernet(0x8847, mpls(5, V4)), {}),
    "MPLS and then no IP": (ethernet(0x8847, mpls(1, b"\0" * 40)), {}),
    "first fragment": (ethernet(ETH_IP4, ipv4("10.0.0.1", "10.0.0.2", SEGMENT, fragment=0x2000)), {"FRAGMENTS": 1}),
    "later fragment": (ethernet(ETH_IP4, ipv4("10.0.0.1", "10.0.0.2", SEGMENT, fragment=1)), {"FRAGMENTS": 1}),
    "IPv6 fragment": (
        ethernet(ETH_IP6, ipv6("fd00::1", "fd00::2", SEGMENT, extensions=((FRAGMENT, b"\0\0\1" + bytes(4)),))),
        {"FRAGMENTS": 1}),
    "seven extension headers": (
        ethernet(ETH_IP6, ipv6("fd00::1", "fd00::2", SEGMENT, extensions=7 * ((DESTINATION, extension()),))), {}),
    "IPv6 in an IPv4 frame": (ethernet(ETH_IP4, V6), {"MALFORMED": 1}),
    "IPv4 in an IPv6 frame": (ethernet(ETH_IP6, V4), {"MALFORMED": 1}),
    "IP shorter than its headers": (ethernet(ETH_IP4, ipv4("10.0.0.1", "10.0.0.2", SEGMENT, total=30)),
                                    {"MALFORMED": 1}),
    "IP header of 16 bytes": (ethernet(ETH_IP4, b"\x44" + V4[1:]), {"MALFORMED": 1}),
    "TCP header of 16 bytes": (
        ethernet(ETH_IP4, ipv4("10.0.0.1", "10.0.0.2", SEGMENT[:12] + b"\x40" + SEGMENT[13:])), {"MALFORMED": 1}),
    "an empty frame": (ethernet(ETH_IP4, b"", pad_to=0), {"MALFORMED": 1}),
    "only an acknowledgement": (ethernet(ETH_IP4, ipv4("10.0.0.1", "10.0.0.2", tcp(1234, 80, 1))), {}),
}


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_what_is_left_alone_is_counted_by_reason(name: str) -> None:
    """Packets that cannot be used give no record, and the counter that says why."""
    frame, counted = LEFT_ALONE[name]
    tap = Tap()
    assert feed(tap, frame) == []
    assert counts(tap) == counted
    assert tap.counters[Counter.PACKETS] == 1


@pytest.mark.parametrize("name", WALKED)
def test_a_cut_packet_gives_what_was_captured(name: str) -> None:
    """With less captured than was on the wire, data is shorter, payload_len is not, and nothing raises."""
    frame = WALKED[name]
    at = frame.index(GET)
    for size in range(14, at + len(GET)):
        tap = Tap()
        records = tap.packet(0, struct.unpack_from("!H", frame, 12)[0], frame[14:size], len(frame) - 14)
        assert [record.data for record in records] == ([GET[: size - at]] if size > at else [])
        assert all(record.payload_len == len(GET) for record in records)


# Payloads that begin a flow, and what they are.
PAYLOADS: list[tuple[bytes, Kind, str | None]] = [
    *((method.encode() + b" /", Kind.REQUEST, method) for method in METHODS),
    (b"QUERY /q HTTP/1.1\r\n", Kind.REQUEST, "OTHER"),
    (b"get / HTTP/1.0\n", Kind.REQUEST, "OTHER"),
    (b"M-SEARCH * HTTP/1.1\r\nHost: a\r\n\r\n", Kind.REQUEST, "OTHER"),
    (b"HTTP/1.1 200 OK\r\n", Kind.RESPONSE, "C2XX"),
    (b"HTTP/1.0 503", Kind.RESPONSE, "C5XX"),
    (b"HTTP/1.1 100 Continue\r\n\r\n", Kind.RESPONSE, "C1XX"),
    (b"HTTP/1.1 999 Denied\r\n", Kind.RESPONSE, "NO_CLASS"),
    (b"HTTP/1.01 200 OK\r\n", Kind.RESPONSE, "NO_CLASS"),
    (b"H", Kind.PARTIAL, None),
    (b"HTTP/1.1 20", Kind.PARTIAL, None),
    (b"HTTP/1.", Kind.PARTIAL, None),
    (b"GE", Kind.PARTIAL, None),
    (b"GET ", Kind.PARTIAL, None),
    (b"A-TOKEN-OF-24-CHARACTERS", Kind.PARTIAL, None),
    (b"QUERY /q?", Kind.PARTIAL, None),
    (b"QUERY http://a/", Kind.PARTIAL, None),
    (b"HTTP/2", Kind.NONE, None),
    (b"HTTP/1.1-20", Kind.NONE, None),
    (b"HTTP/1.x", Kind.NONE, None),
    (b"A-TOKEN-OF-25-CHARACTERS-", Kind.NONE, None),
    (b"QUERY q", Kind.NONE, None),
    (b"QUERY \n", Kind.NONE, None),
    (b"EHLO mail.example\r\n", Kind.NONE, None),
    (b"OPTION sip:a@b SIP/2.0\r\n", Kind.NONE, None),
    (b"QUERY /q HTTP/1.x\r\n", Kind.NONE, None),
    (b"QUERY /q XHTTP/1\r\n", Kind.NONE, None),
    (b"*1\r\n$4\r\nPING\r\n", Kind.NONE, None),
    (b"\x00\x01\x02", Kind.NONE, None),
    (b"PUT\t/x HTTP/1.1\r\n", Kind.NONE, None),
]


@pytest.mark.parametrize(("payload", "kind", "counter"), PAYLOADS, ids=str)
def test_a_segment_is_judged_by_how_it_begins(payload: bytes, kind: Kind, counter: str | None) -> None:
    """Request, response, perhaps one, or nothing: by content; heads are counted by method or class."""
    tap = Tap()
    records = feed(tap, Talk().frame(0, payload))
    assert [record.kind for record in records] == ([] if kind is Kind.NONE else [kind])
    assert counts(tap) == ({counter: 1} if counter else {})
    assert all(record.flags & FLAG_NEW for record in records)
    assert [record.counter for record in records] == ([] if kind is Kind.NONE else
                                                      [Counter[counter] if counter else COUNTERS])


@pytest.mark.parametrize("head", [GET, b"QUERY /x HTTP/1.1\r\nHost: a\r\n\r\n", POST])
def test_a_request_split_anywhere_is_delivered_whole(head: bytes) -> None:
    """Whatever the cut, the records of both parts together hold every byte; so with one byte per segment."""
    for cut in range(1, len(head)):
        records = feed(Tap(), *Talk().client(head[:cut], head[cut:]))
        assert b"".join(record.data for record in records) == head
        assert records[0].flags & FLAG_FOLLOWED
    records = feed(Tap(), *Talk().client(*(bytes([byte]) for byte in head)))
    assert b"".join(record.data for record in records) == head


def test_a_head_of_8_kb_is_followed_to_its_end() -> None:
    """A long head over many segments is delivered whole, as MORE."""
    head = GET[:-2] + b"Cookie: " + b"x" * 8000 + b"\r\n\r\n"
    records = feed(Tap(), *Talk().client(*(head[at : at + 1400] for at in range(0, len(head), 1400))))
    assert b"".join(record.data for record in records) == head
    assert {record.kind for record in records[1:]} == {Kind.MORE}


def test_a_request_body_is_followed_so_far_and_no_further() -> None:
    """Of a long body in separate segments about FOLLOW_BYTES are delivered; the next head is, again."""
    talk, tap = Talk(), Tap()
    body = feed(tap, talk.frame(0, POST), *talk.client(*(b"\xff" * 1000 for _ in range(100))))
    assert FOLLOW_BYTES <= sum(len(record.data) for record in body[1:]) < FOLLOW_BYTES + 1000
    assert [record.kind for record in feed(tap, talk.frame(1, OK), talk.frame(0, GET))] == [Kind.RESPONSE, Kind.REQUEST]


def test_bodies_of_responses_stay_where_they_are() -> None:
    """A response alone gives one record of at most 1024 bytes; segments of its body give none."""
    talk, tap = Talk(), Tap()
    records = feed(tap, talk.frame(0, GET), talk.frame(1, OK + b"x" * 1400), *talk.server(b"<p>" * 400, b"text " * 99))
    assert [(record.kind, len(record.data)) for record in records] == [(Kind.REQUEST, len(GET)), (Kind.RESPONSE, 1024)]
    assert records[1].payload_len == len(OK) + 1400
    assert not records[0].flags & FLAG_FOLLOWED
    assert not records[1].flags & (FLAG_FOLLOWED | FLAG_NEW)


def test_forty_requests_in_a_segment_are_delivered() -> None:
    """A segment with many requests comes whole, in records of DATA_MAX; then responses come whole, too."""
    talk, tap = Talk(), Tap()
    requests, responses = GET * 400, OK * 300
    records = feed(tap, talk.frame(0, requests), talk.frame(1, responses))
    for sender, payload in ((records[0].sender, requests), (records[-1].sender, responses)):
        parts = [record for record in records if record.sender == sender]
        assert b"".join(part.data for part in parts) == payload
        assert [part.seq - parts[0].seq for part in parts] == list(range(0, len(payload), DATA_MAX))
        assert [part.payload_len for part in parts] == [len(payload) - at for at in range(0, len(payload), DATA_MAX)]
        assert {(part.kind, part.counter) for part in parts[1:]} == {(Kind.MORE, COUNTERS)}


def test_a_request_behind_a_body_in_the_same_segment_is_delivered() -> None:
    """Where a body ends and a request begins in the middle of a segment, the segment is delivered."""
    talk = Talk()
    last = b"x" * 500 + GET
    records = feed(Tap(), talk.frame(0, POST), *talk.client(b"x" * 1000, b"x" * 1000, last))
    assert records[-1].data == last


def test_a_second_sighting_is_a_duplicate() -> None:
    """The same head again counts once; with bytes behind it that are new it is delivered again, as seen."""
    talk, tap = Talk(), Tap()
    first = talk.frame(0, GET, seq=500)
    assert len(feed(tap, first, first)) == 1
    (again,) = feed(tap, talk.frame(0, GET + GET, seq=500))
    assert again.flags & FLAG_SEEN
    assert again.counter == COUNTERS
    assert again.data == GET + GET
    assert counts(tap) == {"GET": 1, "DUPLICATES": 1}


def test_sequence_number_zero_is_like_any_other() -> None:
    """A head at sequence number 0 is new the first time, also after one that ends there (wrap-around)."""
    for frames in ([0, 0], [(1 << 32) - len(GET), 0, 0]):
        talk, tap = Talk(), Tap()
        assert len(feed(tap, *(talk.frame(0, GET, seq=seq) for seq in frames))) == len(frames) - 1
        assert counts(tap) == {"GET": len(frames) - 1, "DUPLICATES": 1}


def test_the_last_heads_are_remembered() -> None:
    """A retransmission of any of the last RECENT_HEADS heads is known as one; an older one no longer."""
    tap = Tap()
    talk = Talk()
    frames = [talk.frame(0, GET) for _ in range(RECENT_HEADS + 1)]
    feed(tap, *frames)
    assert feed(tap, *frames[1:]) == []
    assert tap.counters[Counter.DUPLICATES] == RECENT_HEADS
    assert len(feed(tap, frames[0])) == 1


def test_flows_that_cannot_be_read_are_counted_once_and_left_alone() -> None:
    """A ClientHello or the HTTP/2 preface closes a flow to us until its SYN, whatever passes."""
    for first, counter in ((HELLO, "TLS_FLOWS"), (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP2_FLOWS")):
        talk, tap = Talk(), Tap()
        assert feed(tap, *talk.client(first, first, GET), talk.frame(1, OK), talk.frame(0, b"", flags=FIN | ACK)) == []
        assert counts(tap) == {counter: 1}
        assert len(feed(tap, talk.frame(0, b"", flags=SYN), talk.frame(0, GET))) == 1
    talk, tap = Talk(), Tap()
    assert [record.kind for record in feed(tap, talk.frame(0, GET), talk.frame(0, HELLO))] == [Kind.REQUEST]


def test_data_on_a_syn_begins_one_later() -> None:
    """RFC 7413: a SYN takes one sequence number, the payload comes after it."""
    talk = Talk(isn=(1 << 32) - 1)
    (record,) = feed(Tap(), talk.frame(0, GET, flags=SYN))
    assert record.seq == 0


def test_a_syn_starts_a_flow_afresh() -> None:
    """After another SYN the same ports and sequence numbers are another connection; after the same one they are not."""
    talk, tap = Talk(), Tap()
    get = talk.frame(0, GET, seq=77)
    assert len(feed(tap, get, talk.frame(0, b"", flags=SYN, seq=5000), get)) == 2
    assert counts(tap) == {"GET": 2}
    talk, tap = Talk(), Tap()
    first = talk.frame(0, GET, flags=SYN, seq=76)
    assert len(feed(tap, first, first, talk.frame(0, GET, seq=77))) == 1
    assert counts(tap) == {"GET": 1, "DUPLICATES": 2}


def test_a_response_head_in_pieces_is_followed() -> None:
    """A short segment that begins a response is followed to the end of its head, and so is what comes behind it."""
    talk = Talk()
    pieces = (b"HTTP/1.1 200 OK\r\n", b"Content-Type: text/html\r\n", b"Content-Length: 3\r\n\r\n", b"abc" + OK)
    records = feed(Tap(), talk.frame(0, GET), *talk.server(*pieces))
    assert tuple(record.data for record in records[1:]) == pieces


def test_the_end_of_a_flow_with_messages_is_told() -> None:
    """FIN and RST give END behind the last byte on flows that carried a head, and nothing on others."""
    talk, tap = Talk(), Tap()
    assert feed(tap, talk.frame(0, b"", flags=FIN | ACK), talk.frame(1, b"", flags=RST)) == []
    records = feed(tap, talk.frame(0, GET, flags=FIN | ACK, seq=9), talk.frame(1, b"", flags=RST, seq=5))
    assert [(record.kind, record.flags, record.seq, record.payload_len) for record in records[1:]] == [
        (Kind.END, FLAG_FIN, 9 + len(GET), 0), (Kind.END, FLAG_RST, 5, 0),
    ]


def test_ports_narrow_what_is_seen() -> None:
    """With ports given, only flows with one of them at either end are looked at."""
    for ports, expected in (({80}, 1), ({1234}, 1), ({443, 8080}, 0)):
        assert len(feed(Tap(frozenset(ports)), ethernet(ETH_IP4, V4))) == expected


def test_the_table_of_flows_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The flow that was used least lately is forgotten, and nothing else."""
    monkeypatch.setattr(walk_module, "FLOWS_MAX", 3)
    tap = Tap()
    a, b, c, d = (Talk().frame(0, GET, seq=1) for _ in range(4))
    assert len(feed(tap, a, b, a, c, d, a)) == 4
    assert counts(tap) == {"GET": 4, "DUPLICATES": 2}
    assert len(feed(tap, b)) == 1


ASKED: list[tuple[tuple[bytes, ...], bool]] = [
    ((GET,), False),
    ((GET, GET), True),
    ((GET + GET,), True),
    ((GET + GET[:5],), True),
    ((b"GET / HTTP/1.1\n\r\nGET",), True),
    ((b"GET / HTTP/1.1\nHost: a\n\r\nGET",), True),
    ((POST,), False),
    ((POST + b"x" * 10,), False),
    ((POST + b"X" * 10,), True),
    ((POST, b"x" * 10), False),
    ((POST + b"x" * 10 + GET,), True),
    ((POST, b"\xff" * 10 + GET), True),
]


@pytest.mark.parametrize(("asked", "whole"), ASKED, ids=str)
def test_responses_come_whole_when_several_may_be_in_a_segment(asked: tuple[bytes, ...], whole: bool) -> None:
    """When requests were sent ahead, or may have been, the segments of the answer are delivered; else its head."""
    talk = Talk()
    answer = OK + b"x" * 2000
    records = feed(Tap(), *talk.client(*asked), talk.frame(1, answer), talk.frame(1, b"\xff" * 99))
    answered = b"".join(record.data for record in records if record.sender != records[0].sender)
    assert answered == (answer + b"\xff" * 99 if whole else answer[:1024])


def test_an_answer_ends_the_interest_in_a_body() -> None:
    """After the response the rest of a request body is no longer followed; 100 is no such response."""
    talk = Talk()
    frames = [talk.frame(0, POST), talk.frame(1, b"HTTP/1.1 100 Continue\r\n\r\n"), talk.frame(0, b"\xff" * 9),
              talk.frame(1, OK), talk.frame(0, b"\xfe" * 9)]
    assert [record.data[:1] for record in feed(Tap(), *frames)] == [b"P", b"H", b"\xff", b"H"]


def test_a_server_hello_alone_closes_nothing() -> None:
    """Only a ClientHello says that a flow is TLS."""
    talk, tap = Talk(), Tap()
    assert len(feed(tap, talk.frame(1, HELLO[:5] + b"\x02" + HELLO[6:]), talk.frame(1, HELLO[:4]),
                    talk.frame(0, GET))) == 1
    assert counts(tap) == {"GET": 1}


PIECES = st.sampled_from(
    [GET, POST, OK, OK[:20], GET[:3], GET[:6], GET[6:], HELLO, b"QUERY /x", b" HTTP/1.1\r\n\r\n", b"x" * 3000,
     b"\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"],
) | st.binary(min_size=1, max_size=40)


@given(st.lists(st.tuples(PIECES, st.integers(0, 1), st.sampled_from([ACK, ACK, FIN | ACK, RST, SYN]),
                          st.integers(-70000, 70000) | st.just(0), st.integers(0, 4000))))
def test_records_are_parts_of_packets(steps: list[tuple[bytes, int, int, int, int]]) -> None:
    """Whatever a connection says, records hold bytes of the packet at their own sequence numbers, and counts add up."""
    talk, tap = Talk(), Tap()
    fresh = 0
    for payload, sender, flags, shift, cut in steps:
        seq = (talk.next[sender] + shift) & 0xFFFFFFFF if shift else None
        start = talk.next[sender] if seq is None else seq
        frame = talk.frame(sender, payload, flags=flags, seq=seq)
        captured = frame[14 : max(len(frame) - cut, 14)]
        for record in tap.packet(1, ETH_IP4, captured, len(frame) - 14):
            offset = (record.seq - start - bool(flags & SYN)) & 0xFFFFFFFF
            assert record.data == payload[offset : offset + len(record.data)]
            assert record.payload_len == len(payload) - offset
            assert len(record.data) <= DATA_MAX
            assert endpoints(record.flow)[record.sender][16:] == talk.ports[sender].to_bytes(2, "big")
            fresh += record.kind in (Kind.REQUEST, Kind.RESPONSE) and not record.flags & FLAG_SEEN
    assert fresh == sum(tap.counters[: Counter.NO_CLASS + 1])
    assert tap.counters[Counter.PACKETS] == len(steps)


ETHERTYPES = st.sampled_from([ETH_IP4, ETH_IP6, ETH_VLAN, 0x8847, 0])


@given(st.lists(st.tuples(ETHERTYPES, st.binary(max_size=80)), max_size=5), st.integers(0, 200))
def test_no_bytes_raise(packets: list[tuple[int, bytes]], wire_len: int) -> None:
    """Whatever the bytes and the lengths that are claimed, a packet gives records or counts, never an exception."""
    tap = Tap()
    for ethertype, data in packets:
        for base in (b"", V4[:20], V6[:40], V4[:40]):
            tap.packet(0, ethertype, base + data, wire_len)
