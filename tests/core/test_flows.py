"""Which response answers which request, and which requests are given up."""

from __future__ import annotations

from typing import Any

import pytest

from httptop import flows
from httptop.flows import Flow, Pairing, Pending
from httptop.http1 import Request, Response, parse_head
from httptop.records import NO_OWNER, Kind, Record
from httptop.streams import State

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
CLIENT, SERVER = 0, 1


class Told:
    """A Sink that writes down what it is told."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []

    def on_request(self, flow: Flow, pending: Pending) -> None:
        self.said.append(("request", pending.head.target))

    def on_response(self, flow: Flow, pending: Pending | None, head: Response, seq: int, ts_ns: int) -> None:
        self.said.append(("response", head.status, pending and pending.head.target))

    def on_response_end(self, flow: Flow, length: int) -> None:
        self.said.append(("end", length))

    def on_unanswered(self, flow: Flow, pending: Pending) -> None:
        self.said.append(("unanswered", pending.head.target))

    def on_resync(self) -> None:
        self.said.append(("resync",))

    def on_duplicate(self) -> None:
        self.said.append(("duplicate",))


class Talk:
    """Heads of one flow, paired."""

    def __init__(self) -> None:
        self.told = Told()
        self.flow = Flow(bytes(36))
        self.pairing = Pairing(self.told)
        self.next = [1000, 5000]

    def record(self, sender: int, data: bytes = b"", *, ack: int | None = None) -> Record:
        """A segment; `ack`: all that the peer sent, unless given."""
        return Record(0, self.flow.key, self.next[sender], self.next[1 - sender] if ack is None else ack, len(data),
                      Kind.MORE, sender, 0, 0, (NO_OWNER, NO_OWNER), data)

    def head(self, sender: int, data: bytes, *, ack: int | None = None, seq: int | None = None) -> None:
        """A message head, and then its body, which is not looked at."""
        head = parse_head(data)
        stream = self.flow.streams[sender]
        stream.started = True
        stream.head_seq = self.next[sender] if seq is None else seq
        record = self.record(sender, data, ack=ack)
        if isinstance(head, Request):
            self.pairing.request(self.flow, stream, head, record)
        elif isinstance(head, Response):
            self.pairing.response(self.flow, stream, head, record)
            stream.messages += 1
        self.next[sender] = stream.position = self.next[sender] + len(data)

    def ask(self, target: str, method: str = "GET", *, ack: int | None = None, seq: int | None = None) -> None:
        self.head(CLIENT, f"{method} {target} HTTP/1.1\r\n\r\n".encode(), ack=ack, seq=seq)

    def answer(self, data: bytes = OK) -> None:
        self.head(SERVER, data)

    def waiting(self) -> list[str]:
        """Targets that have no answer."""
        return [pending.head.target for pending in self.flow.pending]


def test_responses_answer_requests_in_order() -> None:
    """RFC 9112 9.3.2: the first response is that of the first request, whoever waits."""
    talk = Talk()
    for target in "/1", "/2", "/3":
        talk.ask(target)
    for _ in range(4):
        talk.answer()
    assert [said[2] for said in talk.told.said if said[0] == "response"] == ["/1", "/2", "/3", None]


def test_a_request_that_was_overtaken_keeps_its_place() -> None:
    """Requests wait in the order in which they were sent, not in which they were captured; so over the wrap-around."""
    for base in (1000, 2**32 - 50):
        talk = Talk()
        for target, offset in (("/1", 0), ("/3", 80), ("/2", 40), ("/4", 120)):
            talk.ask(target, seq=(base + offset) & 0xFFFFFFFF)
        assert talk.waiting() == ["/1", "/2", "/3", "/4"]


@pytest.mark.parametrize("status", [100, 102, 103, 199])
def test_interim_responses_answer_nothing(status: int) -> None:
    """RFC 9110 15.2: after 1xx the final response is still to come."""
    talk = Talk()
    talk.ask("/1")
    talk.answer(b"HTTP/1.1 %d Wait\r\n\r\n" % status)
    assert talk.told.said[-1] == ("response", status, None)
    assert talk.waiting() == ["/1"]
    talk.answer()
    assert ("response", 200, "/1") in talk.told.said


@pytest.mark.parametrize(("method", "status", "tunnel"), [
    ("CONNECT", 200, True), ("CONNECT", 204, True), ("CONNECT", 407, False), ("GET", 101, True), ("GET", 200, False)])
def test_tunnels(method: str, status: int, tunnel: bool) -> None:
    """CONNECT that succeeded and 101 end HTTP on the connection, and have no body; nothing else does."""
    talk = Talk()
    talk.ask("/x", method)
    head = b"HTTP/1.1 %d Word\r\n\r\n" % status
    talk.answer(head)
    assert talk.flow.tunnel is tunnel
    assert (talk.told.said[-1] == ("end", len(head))) is tunnel


@pytest.mark.parametrize(("method", "head", "length"), [
    ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 43),
    ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 38),
    ("GET", b"HTTP/1.1 304 Same\r\nContent-Length: 5\r\n\r\n", 40),
    ("GET", b"HTTP/1.1 204 None\r\nContent-Length: 5\r\n\r\n", 40),
    ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 47),
    ("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", None),
    ("GET", b"HTTP/1.1 200 OK\r\n\r\n", None),
])
def test_lengths(method: str, head: bytes, length: int | None) -> None:
    """A response is as long as it says, head included; without a body as long as its head; else it is not known yet."""
    talk = Talk()
    talk.ask("/1", method)
    talk.answer(head)
    assert [said[1] for said in talk.told.said if said[0] == "end"] == ([] if length is None else [length])


def test_the_next_request_ends_an_answer_of_unknown_length() -> None:
    """A client that asks again has acknowledged all of the last answer."""
    talk = Talk()
    talk.ask("/1")
    talk.answer(b"HTTP/1.1 200 OK\r\n\r\n")
    talk.ask("/2", ack=5000 + 19 + 700)
    assert ("end", 19 + 700) in talk.told.said


def test_a_client_that_goes_on_has_its_answer() -> None:
    """It acknowledges bytes of an answer that was not seen, and asks again: the first request is given up."""
    talk = Talk()
    talk.ask("/1")
    talk.ask("/2", ack=5000 + 40)
    assert ("unanswered", "/1") in talk.told.said
    assert talk.waiting() == ["/2"]


def test_an_interim_answer_is_no_answer_that_was_missed() -> None:
    """The client has acknowledged it and sends the next request ahead: the first one still waits."""
    talk = Talk()
    talk.ask("/1")
    talk.answer(b"HTTP/1.1 100 Continue\r\n\r\n")
    talk.ask("/2", ack=talk.next[1] + 1)
    assert talk.waiting() == ["/1", "/2"]


def test_nothing_of_the_server_is_captured() -> None:
    """A client that closes has all of its answers, if it has acknowledged any of them and none was ever seen."""
    talk = Talk()
    for target in "/1", "/2":
        talk.ask(target, ack=5000)
    talk.pairing.client_ends(talk.flow, talk.record(CLIENT, ack=5000))
    assert talk.waiting() == ["/1", "/2"]
    talk.pairing.client_ends(talk.flow, talk.record(CLIENT, ack=5100))
    assert talk.waiting() == []


def test_pipelining_gives_nothing_up() -> None:
    """Requests that follow without a new acknowledgement wait, all of them."""
    talk = Talk()
    for target in "/1", "/2", "/3":
        talk.ask(target, ack=5000)
    assert talk.waiting() == ["/1", "/2", "/3"]


def test_a_client_that_closes_may_still_wait() -> None:
    """After its FIN a client can get an answer, but none that it has acknowledged unseen."""
    talk = Talk()
    talk.ask("/1")
    talk.pairing.client_ends(talk.flow, talk.record(CLIENT))
    assert talk.waiting() == ["/1"]
    talk.pairing.client_ends(talk.flow, talk.record(CLIENT, ack=5040))
    assert talk.waiting() == []
    assert talk.told.said[-1] == ("unanswered", "/1")
    talk.pairing.client_ends(talk.flow, talk.record(CLIENT, ack=5080))


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more requests than are remembered the oldest is given up."""
    monkeypatch.setattr(flows, "PENDING_MAX", 3)
    talk = Talk()
    for number in range(5):
        talk.ask(f"/{number}")
    assert talk.waiting() == ["/2", "/3", "/4"]
    assert [said[1] for said in talk.told.said if said[0] == "unanswered"] == ["/0", "/1"]


def test_abandoned() -> None:
    """When nothing more will be heard all that waits is given up, in order; a second time there is nothing."""
    talk = Talk()
    for target in "/1", "/2":
        talk.ask(target)
    talk.pairing.abandon(talk.flow)
    talk.pairing.abandon(talk.flow)
    assert talk.told.said[2:] == [("unanswered", "/1"), ("unanswered", "/2")]


def test_reset() -> None:
    """A flow whose ports are used again keeps only who owned its ends."""
    talk = Talk()
    talk.ask("/1", "CONNECT")
    talk.answer()
    talk.flow.owners[0] = b"somebody"
    talk.flow.reset()
    assert (talk.flow.client, talk.flow.tunnel, talk.flow.closed_ns, talk.waiting()) == (None, False, None, [])
    assert talk.flow.owners[0] == b"somebody"
    assert all(stream.state is State.HEAD and not stream.started for stream in talk.flow.streams)
