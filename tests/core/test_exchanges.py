"""The log: each exchange is told once, when it is complete or given up, with its times and its length."""

from __future__ import annotations

import pytest

from httptop.decoder import STASH_MAX
from httptop.exchanges import LATE_NS
from httptop.paths import path_of
from tests.support.dialogs import CHUNKED, GET, OK, Dialog, Script, chunks, get
from tests.support.frames import ACK, FIN, RST
from tests.support.reading import MS, Reading

ENDLESS = b"HTTP/1.1 200 OK\r\n\r\n"


@pytest.fixture
def talk() -> Dialog:
    """A connection."""
    return Script().dialog()


@pytest.fixture
def reading() -> Reading:
    """A capture that has just begun."""
    return Reading()


@pytest.mark.parametrize(("target", "path"), [
    ("/a/b?c=1#d", "/a/b"), ("http://h:80/a?b", "/a"), ("https://h", "/"), ("h:443", "h:443"), ("*", "*"), ("", ""),
    ("/a#b", "/a"), ("/r?u=http://x/y", "/r"), ("/?u://x/y", "/")])
def test_path(target: str, path: str) -> None:
    """A path is what the origin-form would be, without query and fragment."""
    assert path_of(target, keep_query=False) == path


def test_the_query_is_kept_on_demand() -> None:
    """With --keep-query a path has it, from both forms."""
    assert path_of("/a?b=c", keep_query=True) == "/a?b=c"
    assert path_of("http://h/a?b=c", keep_query=True) == "/a?b=c"


def test_latency_is_from_the_last_byte_of_the_head_to_the_first_of_the_answer(talk: Dialog, reading: Reading) -> None:
    """Neither the time of the head counts, nor that of the answer; it is told under the time of the head's end."""
    reading.see(talk.frame(0, GET[:5]), step_ms=10)
    reading.see(talk.frame(0, GET[5:]), step_ms=20)
    complete_ns = reading.now_ns
    reading.see(talk.frame(1, OK[:5]), step_ms=7)
    reading.see(talk.frame(1, OK[5:]), step_ms=100)
    (exchange,) = reading.told
    assert exchange.latency_ns == 7 * MS
    assert exchange.ts_ns == complete_ns


def test_latency_of_an_upload_includes_its_body(talk: Dialog, reading: Reading) -> None:
    """The head was complete before the body came."""
    reading.see(talk.frame(0, get("/up", "PUT", b"Content-Length: 8")))
    reading.see(talk.frame(0, b"1234"), talk.frame(0, b"5678"), step_ms=30)
    reading.see(talk.frame(1, OK), step_ms=5)
    assert reading.told[0].latency_ns == 65 * MS


def test_latency_of_a_head_and_its_body_in_one_segment(talk: Dialog, reading: Reading) -> None:
    """They come together."""
    reading.see(talk.frame(0, get("/up", "PUT", b"Content-Length: 4") + b"1234"))
    reading.see(talk.frame(1, OK), step_ms=5)
    assert reading.told[0].latency_ns == 5 * MS


def test_interim_answers_do_not_end_the_latency(talk: Dialog, reading: Reading) -> None:
    """Only the final response is an answer."""
    reading.see(talk.frame(0, GET))
    reading.see(talk.frame(1, b"HTTP/1.1 103 Early Hints\r\n\r\n"), step_ms=5)
    reading.see(talk.frame(1, OK), step_ms=5)
    assert [exchange.latency_ns for exchange in reading.told] == [10 * MS]


def test_latencies_of_pipelined_requests(talk: Dialog, reading: Reading) -> None:
    """Each from its own head to its own answer, in order."""
    reading.see(talk.frame(0, get("/1")), talk.frame(0, get("/2")), step_ms=10)
    reading.see(talk.frame(1, OK), talk.frame(1, OK), step_ms=10)
    assert [(exchange.target, exchange.latency_ns) for exchange in reading.told] == [("/1", 20 * MS), ("/2", 20 * MS)]


def test_a_negative_latency_is_none(talk: Dialog, reading: Reading) -> None:
    """Where a capture has the answer before the request, it took no time."""
    records = reading.see(talk.frame(0, GET))
    reading = Reading()
    reading.feed(record._replace(ts_ns=50 * MS) for record in records)
    reading.see(talk.frame(1, OK))
    assert reading.told[0].latency_ns == 0


def test_an_answer_of_known_length_is_told_at_once(talk: Dialog, reading: Reading) -> None:
    """Nobody waits for a body whose length was announced."""
    reading.see(talk.frame(0, GET), talk.frame(1, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"))
    assert reading.rows == [("GET", "/a", 200, 44 + 1_000_000)]


def test_an_answer_of_unknown_length_is_told_when_it_ends(talk: Dialog, reading: Reading) -> None:
    """By FIN, by the next request, or by its last chunk."""
    reading.see(talk.frame(0, GET), talk.frame(1, ENDLESS + b"x" * 100))
    assert reading.rows == []
    reading.see(talk.frame(0, GET))
    assert reading.rows == [("GET", "/a", 200, len(ENDLESS) + 100)]
    reading.see(talk.frame(1, CHUNKED + chunks(b"abc")))
    assert reading.rows[1:] == [("GET", "/a", 200, len(CHUNKED + chunks(b"abc")))]
    reading.see(talk.frame(0, GET), talk.frame(1, ENDLESS), talk.frame(1, b"", flags=FIN | ACK))
    assert reading.rows[2:] == [("GET", "/a", 200, len(ENDLESS))]


def test_an_answer_whose_end_does_not_come_is_told_late(talk: Dialog, reading: Reading) -> None:
    """After LATE_NS without its length, once."""
    reading.see(talk.frame(0, GET), talk.frame(1, ENDLESS))
    reading.wait(LATE_NS / MS - 1)
    assert reading.rows == []
    reading.wait(2)
    assert reading.rows == [("GET", "/a", 200, None)]
    reading.see(talk.frame(1, b"", flags=FIN | ACK))
    reading.finish()
    assert len(reading.rows) == 1


def test_an_answer_with_a_hole_is_told_when_the_client_goes_on(talk: Dialog, reading: Reading) -> None:
    """Part of its head was lost; the client has acknowledged it, so it will not come again."""
    answer = b"HTTP/1.1 200 OK\r\nServer: b\r\nContent-Length: 2\r\n\r\nok"
    reading.see(talk.frame(0, GET), talk.frame(1, answer[:17]))
    talk.frame(1, answer[17:28])
    reading.see(talk.frame(1, answer[28:]))
    assert reading.rows == []
    reading.see(talk.frame(0, GET))
    assert reading.rows == [("GET", "/a", 200, len(answer))]
    assert {row.reason: row.events for row in reading.snapshot().losses if row.events} == {"head_incomplete": 1}


def test_an_answer_alone_has_no_method(talk: Dialog, reading: Reading) -> None:
    """Its request was not seen: null method, no latency, the time of the answer."""
    reading.see(talk.frame(1, OK))
    (exchange,) = reading.told
    assert (exchange.method, exchange.target, exchange.status, exchange.latency_ns) == (None, "", 200, None)
    assert exchange.ts_ns == reading.now_ns
    assert exchange.server_end[16:] == (80).to_bytes(2, "big")


@pytest.mark.parametrize(("sender", "flags"), [(1, FIN | ACK), (1, RST), (0, RST)])
def test_the_end_of_a_flow_tells_what_was_not_answered(talk: Dialog, reading: Reading, sender: int, flags: int) -> None:
    """Null status, no latency, no length; and it is no longer in flight."""
    reading.see(talk.frame(0, GET))
    assert reading.snapshot().in_flight_total == 1
    assert reading.rows == []
    reading.see(talk.frame(sender, b"", flags=flags))
    (exchange,) = reading.told
    assert (exchange.method, exchange.status, exchange.latency_ns, exchange.response_bytes) == ("GET", None, None, None)
    assert reading.snapshot().in_flight_total == 0
    assert dict(reading.snapshot().skipped)["unanswered"] == 1


def test_what_waits_is_told_at_the_end(talk: Dialog, reading: Reading) -> None:
    """At the end of the capture all is told, with null status, but it is not counted as unanswered: it is in flight."""
    reading.see(talk.frame(0, get("/1")), talk.frame(0, get("/2")))
    snapshot = reading.finish()
    assert reading.rows == [("GET", "/1", None, None), ("GET", "/2", None, None)]
    assert snapshot.in_flight_total == 2
    assert dict(snapshot.skipped)["unanswered"] == 0


def test_a_head_with_a_hole_is_told_at_the_end(talk: Dialog, reading: Reading) -> None:
    """When nothing more comes: by its first line, and as a loss."""
    head = get("/1", "GET", b"X: " + b"x" * 100)
    reading.see(talk.frame(0, head[:30]))
    talk.frame(0, head[30:60])
    reading.see(talk.frame(0, head[60:]))
    snapshot = reading.finish()
    assert reading.rows == [("GET", "/1", None, None)]
    assert {row.reason: row.events for row in snapshot.losses if row.events} == {"head_incomplete": 1}


def test_what_waits_for_a_hole_is_bounded(talk: Dialog, reading: Reading) -> None:
    """A head whose middle is lost is told when too much waits behind it, not when memory is full."""
    reading.see(talk.frame(0, GET[:20]))
    talk.frame(0, b"lost")
    reading.see(*(talk.frame(0, b"X-%d: y\r\n" % n) for n in range(STASH_MAX + 1)))
    assert reading.snapshot().totals.requests == 1


def test_a_head_that_is_cut_short_is_told_at_the_end(talk: Dialog, reading: Reading) -> None:
    """Of a request that never became complete its first line is enough."""
    reading.see(talk.frame(0, GET[:25]))
    assert reading.rows == []
    reading.finish()
    assert reading.rows == [("GET", "/a", None, None)]
