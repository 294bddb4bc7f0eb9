"""One direction of a connection: sequence numbers, what frames a body, and heads that are remembered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httptop import streams
from httptop.http1 import NEED_MORE, NOT_HTTP, Request, Response, parse_head
from httptop.streams import HeadCache, State, Stream, after

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@given(st.integers(0, 2**32 - 1), st.integers(-(2**31), 2**31 - 1))
def test_distance_wraps_around(seq: int, distance: int) -> None:
    """Sequence numbers are compared modulo 2**32, up to half of them apart, in both directions."""
    assert after((seq + distance) & 0xFFFFFFFF, seq) == distance


BODIES: list[tuple[bytes, State, int]] = [
    (b"GET / HTTP/1.1\r\n\r\n", State.HEAD, 0),
    (b"POST / HTTP/1.1\r\n\r\n", State.HEAD, 0),  # a request without a length has no body (RFC 9112 6.3)
    (b"POST / HTTP/1.1\r\nContent-Length: 7\r\n\r\n", State.BODY, 7),
    (b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", State.HEAD, 0),
    (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 7\r\n\r\n", State.CHUNKED, 0),
    (b"HTTP/1.1 200 OK\r\n\r\n", State.UNKNOWN, 0),  # until the connection closes
    (b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", State.BODY, 7),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", State.HEAD, 0),
    (b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n", State.CHUNKED, 0),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nContent-Length: 8\r\n\r\n", State.UNKNOWN, 0),
]


def parsed(data: bytes, *, final: bool = False) -> Request | Response:
    head = parse_head(data, final=final)
    assert isinstance(head, Request | Response)
    return head


@pytest.mark.parametrize(("head", "state", "left"), BODIES, ids=str)
def test_what_follows_a_head(head: bytes, state: State, left: int) -> None:
    """Content-Length, chunked, nothing, or until the end, by RFC 9112 6.3; and nothing where there is no body."""
    stream = Stream()
    stream.expect_body(parsed(head), none=False)
    assert (stream.state, stream.left) == (state, left)
    stream.expect_body(parsed(head), none=True)
    assert stream.state is State.HEAD


def test_a_request_that_was_cut_short_frames_nothing() -> None:
    """Where the end of a request's head was not seen, nobody knows what follows."""
    stream = Stream()
    stream.expect_body(parsed(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Le", final=True), none=False)
    assert stream.state is State.UNKNOWN


def test_restart_forgets_the_unfinished_head() -> None:
    """A message begins anew at a position."""
    stream = Stream()
    stream.buffer, stream.searched, stream.state = b"GET", 3, State.UNKNOWN
    stream.restart(77)
    assert (stream.position, stream.buffer, stream.searched, stream.state) == (77, b"", 0, State.HEAD)
    assert stream.started


def test_a_whole_head_is_parsed_once() -> None:
    """What a segment begins with is a head if all of it is there, the same object each time, whatever follows it."""
    cache = HeadCache()
    head = cache.whole(GET + b"more")
    assert head == parsed(GET)
    assert cache.whole(GET) is head
    assert cache.whole(GET + GET) is head
    assert cache.whole(GET[:-2]) is None
    assert cache.whole(b"") is None
    assert cache.whole(b"\0" + GET) is None
    assert cache.whole(b"GET / HTTP/1.0\n\n" + GET) is None  # its end is not where it was looked for
    assert cache.parse(GET[:9], final=False, searched=0) is NEED_MORE
    assert cache.parse(b"\0" + GET, final=False, searched=0) is NOT_HTTP


def test_the_heads_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither many different heads nor long ones grow the cache beyond its bound."""
    monkeypatch.setattr(streams, "HEADS_MAX", 10)
    cache = HeadCache()
    for number in range(25):
        head = b"GET /%d HTTP/1.1\r\n\r\n" % number
        if number % 2:
            cache.parse(head, final=False, searched=0)
        else:
            cache.whole(head)
        assert 0 < len(cache._heads) <= 10
    remembered = dict(cache._heads)
    assert cache.whole(b"GET / HTTP/1.1\r\nCookie: %s\r\n\r\n" % (b"x" * streams.HEAD_BYTES_MAX)) is not None
    assert cache._heads == remembered
