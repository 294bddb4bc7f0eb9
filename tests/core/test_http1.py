"""The head parser: each case whole, byte by byte, and with trailing bytes; then whatever bytes hypothesis thinks of."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from httptop.http1 import (
    MAX_HEAD,
    NEED_MORE,
    NOT_HTTP,
    NeedMore,
    NotHttp,
    Request,
    Response,
    empty_lines,
    parse_head,
)

Parsed = Request | Response | NeedMore | NotHttp


def request(
    method: str, target: str, *, version: str = "1.1", host: str = "", content_length: int | None = None,
    chunked: bool = False, upgrade: bool = False,
) -> Request:
    """A whole request; the tests fill in its length."""
    return Request(method, target, version, host, content_length, chunked, upgrade, 0, True)


def response(
    status: int, *, version: str = "1.1", content_length: int | None = None, chunked: bool = False,
) -> Response:
    """A whole response; the tests fill in its length."""
    return Response(status, version, content_length, chunked, status == 101, 0, True)


HEADS: list[tuple[bytes, Request | Response]] = [
    (b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", request("GET", "/", host="a.example")),
    (b"GET / HTTP/1.0\n\n", request("GET", "/", version="1.0")),
    (b"GET / HTTP/1.1\r\nHost: mixed\n\r\n", request("GET", "/", host="mixed")),
    (b"GET /x HTTP/1.1\r\nhOST:\t spaced \t\r\n\r\n", request("GET", "/x", host="spaced")),
    (b"GET /x HTTP/1.1\r\nHost: one\r\nHost: two\r\n\r\n", request("GET", "/x", host="one")),
    (b"GET /x HTTP/1.1\r\nX-Host: no\r\nA: Host: no\r\n\r\n", request("GET", "/x")),
    # RFC 9112 3.2: the four forms of a target
    (b"GET http://u:p@b.example:81/p?q HTTP/1.1\r\nHost: a\r\n\r\n",
     request("GET", "http://u:p@b.example:81/p?q", host="b.example:81")),
    (b"GET http://b.example?q HTTP/1.1\r\n\r\n", request("GET", "http://b.example?q", host="b.example")),
    (b"CONNECT c.example:443 HTTP/1.1\r\nHost: a\r\n\r\n", request("CONNECT", "c.example:443", host="c.example:443")),
    (b"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", request("CONNECT", "/", host="a")),
    (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", request("OPTIONS", "*", host="a")),
    # methods beyond the usual nine
    (b"QUERY /q HTTP/1.1\r\n\r\n", request("QUERY", "/q")),
    (b"get / HTTP/1.1\r\n\r\n", request("get", "/")),
    (b"M-SEARCH * HTTP/1.1\r\n\r\n", request("M-SEARCH", "*")),
    (b"VERSION-CONTROL /x HTTP/1.1\r\n\r\n", request("VERSION-CONTROL", "/x")),
    # what servers accept in a request line
    (b"GET /a b c HTTP/1.1\r\n\r\n", request("GET", "/a b c")),
    (b"GET     /x \t HTTP/1.1 \r\n\r\n", request("GET", "/x")),
    (b"GET HTTP/1.1\r\nHost: a\r\n\r\n", request("GET", "", host="a")),
    (b"GET /x HTTP/1.0.8\r\n\r\n", request("GET", "/x", version="1.0.8")),
    (b"GET /HTTP/1.1 HTTP/1.1\r\n\r\n", request("GET", "/HTTP/1.1")),
    (b"GET /\xc3\xbc\xff HTTP/1.1\r\n\r\n", request("GET", "/\u00fc\\xff")),
    (b"GET /old\r\n\r\n", request("GET", "/old", version="0.9")),
    (b"GET /old\n\n", request("GET", "/old", version="0.9")),
    # RFC 9112 6.3: how long the body is
    (b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", request("POST", "/", content_length=5)),
    (b"POST / HTTP/1.1\r\ncontent-length:5\r\nContent-Length: 5 , 5\r\n\r\n", request("POST", "/", content_length=5)),
    (b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", request("POST", "/")),
    (b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", request("POST", "/")),
    (b"POST / HTTP/1.1\r\nContent-Length: 0x5\r\n\r\n", request("POST", "/")),
    (b"POST / HTTP/1.1\r\nContent-Length:\r\n\r\n", request("POST", "/")),
    (b"POST / HTTP/1.1\r\nContent-Length: 9223372036854775807\r\n\r\n",
     request("POST", "/", content_length=2**63 - 1)),
    (b"POST / HTTP/1.1\r\nContent-Length: 9223372036854775808\r\n\r\n", request("POST", "/")),
    (b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", request("POST", "/")),
    (b"POST / HTTP/1.1\r\nContent-Length:\r\n  7\r\n\r\n", request("POST", "/", content_length=7)),
    (b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: Chunked\r\n\r\n", request("POST", "/", chunked=True)),
    (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", request("POST", "/", chunked=True)),
    (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n",
     request("POST", "/", chunked=True)),
    (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\nContent-Length: 5\r\n\r\n", request("POST", "/")),
    # RFC 9110 7.8
    (b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\r\n",
     request("GET", "/ws", upgrade=True)),
    (b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: close\r\n\r\n", request("GET", "/ws")),
    (b"GET /ws HTTP/1.1\r\nConnection: Upgrade\r\n\r\n", request("GET", "/ws")),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 35\r\n\r\n", response(200, content_length=35)),
    (b"HTTP/1.0 404\r\n\r\n", response(404, version="1.0")),
    (b"HTTP/1.1 204 No Content\n\n", response(204)),
    (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", response(101)),
    (b"HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", response(200)),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", response(200, chunked=True)),
    # seen in captures: odd but answered
    (b"HTTP/1.01 200 ok\r\n\r\n", response(200, version="1.01")),
    (b"HTTP/1.2 200 ok\r\n\r\n", response(200, version="1.2")),
    (b"HTTP/1.0 2XX OK\n\n", response(2, version="1.0")),
    (b"HTTP/1.1  200 OK\r\n\r\n", response(200)),
]

NOT_HEADS = [
    b"\r\nGET / HTTP/1.1\r\n\r\n",  # empty lines before a message are the caller's: empty_lines()
    b" GET / HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    b"PRI * HTTP/2.0\r\n\r\n",
    b"OPTIONS sip:probe@edge.test SIP/2.0\r\n\r\n",
    b"OPTIONS rtsp://10.2.2.2:8554/ RTSP/1.0\r\n\r\n",
    b"RTSP/1.0 200 OK\r\n\r\n",
    b"CONNECT ircd2.local\r\n\r\n",
    b'CONNECT {"verbose":false}\r\n\r\n',
    b"GET key\r\n\r\n",
    b"get key\r\n\r\n",
    b"SET key 0 0 5\r\nvalue\r\n",
    b"GET /\nFakeHeader\nHost: localhost\n\n",
    b"GET /bad.html\r\nHost: a\r\n\r\n",
    b"GET /x HTTP/2.0\r\n\r\n",
    b"POST /xHTTP/1.1\r\n\r\n",
    b"GET /x HTTP/1.1x\r\n\r\n",
    b"GET /x HTTP/1.\r\n\r\n",
    b"G(T /x HTTP/1.1\r\n\r\n",
    b"A-METHOD-OF-25-CHARACTERS / HTTP/1.1\r\n\r\n",
    b"EHLO mail.example\r\n",
    b"HTTP/2.0 200 ok\r\n\r\n",
    b"HTTP/1.x 200 ok\r\n\r\n",
    b"HTTP/1.1\r\n\r\n",
    b"HTTP/1.1 OK\r\n\r\n",
    b"HTTP/1.1 2000 OK\r\n\r\n",
    b"HTTP/1.1 is a protocol\r\n\r\n",
]


def in_pieces(data: bytes, sizes: list[int]) -> Parsed:
    """What parse_head says in the end when `data` arrives in pieces of these sizes (the last is repeated)."""
    parsed: Parsed = NEED_MORE
    searched = end = 0
    while parsed is NEED_MORE and end < len(data):
        end += sizes.pop(0) if len(sizes) > 1 else sizes[0]
        parsed = parse_head(data[:end], searched=searched)
        assert parsed == parse_head(data[:end])  # `searched` saves work and changes nothing
        searched = min(end, len(data))
    return parsed


@pytest.mark.parametrize(("head", "expected"), HEADS, ids=str)
def test_a_head_is_the_same_however_it_arrives(head: bytes, expected: Request | Response) -> None:
    """A head parses to the same whole, byte by byte, and with bytes behind it, and never before its end."""
    expected = expected._replace(length=len(head))
    assert parse_head(head) == expected
    assert in_pieces(head, [1]) == expected
    for trailing in (b"x", b"\r\n", b"\n\n", b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100):
        assert parse_head(head + trailing) == expected
    assert all(parse_head(head[:end]) is NEED_MORE for end in range(len(head)))


@pytest.mark.parametrize("data", NOT_HEADS, ids=str)
def test_what_is_no_head_is_found_out_however_it_arrives(data: bytes) -> None:
    """Lines of other protocols, and text about HTTP, are NOT_HTTP whole and byte by byte."""
    assert parse_head(data) is NOT_HTTP
    assert in_pieces(data, [1]) is NOT_HTTP
    assert parse_head(data, final=True) is NOT_HTTP


@pytest.mark.parametrize(("head", "expected"), HEADS[:1] + HEADS[23:25], ids=str)
def test_a_cut_head_gives_its_whole_lines(head: bytes, expected: Request | Response) -> None:
    """With `final` a head with a whole start line is returned, without the header line that is cut."""
    line_end = head.index(b"\n") + 1
    for end in range(len(head)):
        cut = parse_head(head[:end], final=True)
        if end < line_end:
            assert cut is NOT_HTTP
        else:
            assert isinstance(cut, Request)
            assert not cut.complete
            assert cut.length == end
            assert cut.host in ("", expected.host if isinstance(expected, Request) else "")
            assert cut.content_length in (None, expected.content_length)
    cut = parse_head(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nContent-Length: 1", final=True)
    assert isinstance(cut, Response)
    assert cut.content_length == 12


def test_an_endless_head_is_given_up_at_the_bound() -> None:
    """At MAX_HEAD a head with a start line is returned as incomplete; one without is NOT_HTTP."""
    head = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"x: y\r\n" * MAX_HEAD
    parsed = parse_head(head)
    assert parsed == request("GET", "/", host="a")._replace(length=MAX_HEAD, complete=False)
    assert parse_head(head[: MAX_HEAD - 1]) is NEED_MORE
    assert parse_head(b"GET /" + b"x" * MAX_HEAD) is NOT_HTTP


def test_empty_lines_before_a_message_are_counted() -> None:
    """RFC 9112 2.2: a recipient ignores them."""
    assert [empty_lines(data) for data in (b"", b"\r\n", b"\r\n\n\rGET", b"GET\r\n")] == [0, 2, 4, 0]


class Watched(bytes):
    """Bytes that count how many of them were searched or copied."""

    work = 0

    def find(self, sub: bytes, start: int = 0, end: int | None = None) -> int:  # type: ignore[override]
        end = len(self) if end is None else min(end, len(self))
        found = super().find(sub, start, end)
        Watched.work += (found if found >= 0 else end) - start
        return found

    def __getitem__(self, key: slice) -> bytes:  # type: ignore[override]
        part = super().__getitem__(key)
        Watched.work += len(part)
        return part


@pytest.mark.parametrize("line", [b"A: " + b"x" * 61 + b"\n", b"a\n"])
def test_a_slow_sender_costs_linear_time(line: bytes) -> None:
    """Byte by byte, twice the head takes at most a bit more than twice the work."""

    def work(lines: int) -> int:
        data = b"GET /" + b"x" * 50 + b" HTTP/1.1\r\n" + line * lines + b"\r\n"
        Watched.work = 0
        for end in range(1, len(data) + 1):
            parsed = parse_head(Watched(data[:end]), searched=end - 1)
        assert isinstance(parsed, Request)
        return Watched.work

    assert work(200) < 2.2 * work(100)


TEXT = st.binary(max_size=200) | st.lists(
    st.sampled_from(
        [b"GET ", b"POST", b" ", b"/", b"http://", b"HTTP/1.", b"HTTP/1.1", b"1", b"200", b"\r\n", b"\n", b"\r", b"\t",
         b":", b",", b"Host:", b"\nhost:", b"Content-Length:", b"Transfer-Encoding: chunked", b"Connection: upgrade",
         b"Upgrade:", b"x" * 30, b"\xff", b"\0"],
    ),
    max_size=30,
).map(b"".join)


@given(TEXT, TEXT, st.lists(st.integers(1, 40), min_size=1))
@example(b"GET /\r\n", b"\r\n", [1])
@example(b"GET / HTTP/1.1\n", b"\n", [15])
def test_pieces_and_trailing_bytes_do_not_matter(data: bytes, trailing: bytes, sizes: list[int]) -> None:
    """Whatever the bytes: no exception; once there is a verdict, neither the cuts nor what follows change it."""
    whole = parse_head(data)
    assert in_pieces(data, sizes) == whole
    if whole is not NEED_MORE:
        assert parse_head(data + trailing) == whole


@given(TEXT)
def test_a_head_ends_within_its_bytes(data: bytes) -> None:
    """A returned head covers at least its start line and no more than there is, final or not."""
    for final in (False, True):
        parsed = parse_head(data, final=final)
        assert not (final and parsed is NEED_MORE)
        if isinstance(parsed, Request | Response):
            assert data.index(b"\n") < parsed.length <= len(data)
            assert parsed.complete == data[: parsed.length].endswith((b"\n\n", b"\n\r\n"))
