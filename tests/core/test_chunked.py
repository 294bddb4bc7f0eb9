"""Chunked bodies: whole, byte by byte, with trailing bytes, and with data that was never delivered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httptop.chunked import MAX_CHUNK_LINE, Chunked

BODIES = [
    b"0\r\n\r\n",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"5\nhello\n0\n\n",
    b"a;name=value\r\n0123456789\r\n0\r\n\r\n",
    b"A \r\n0123456789\r\n000\r\n\r\n",
    b"3\r\n\r\n\r\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\n",
    b"10\r\nGET / HTTP/1.1\r\n\r\n0\r\n\r\n",
]
BROKEN = [b"hello\r\n", b"\r\n", b"-1\r\n", b"5\r\nhelloX\r\n", b"12345678901234567\r\n", b"5" * (MAX_CHUNK_LINE + 1)]


def feed_all(body: bytes, size: int) -> tuple[int | None, bool]:
    """(where the body ended, broken) when it is fed in pieces of `size`."""
    chunked = Chunked()
    for start in range(0, len(body), size):
        ended = chunked.feed(body[start : start + size])
        if ended is not None:
            return start + ended, chunked.broken
    return None, chunked.broken


@pytest.mark.parametrize("body", BODIES, ids=str)
def test_a_body_ends_where_it_ends(body: bytes) -> None:
    """The end is found whole, in pieces of any size, and with bytes behind it."""
    for size in range(1, len(body) + 1):
        assert feed_all(body, size) == (len(body), False)
    assert feed_all(body + b"HTTP/1.1 200 OK", len(body) + 15) == (len(body), False)
    assert feed_all(body[:-1], len(body)) == (None, False)


@pytest.mark.parametrize("body", BROKEN, ids=lambda body: str(body[:20]))
def test_what_is_not_chunked_is_broken(body: bytes) -> None:
    """Bytes that are no chunks end nowhere and say so, whole and byte by byte, and for good."""
    chunked = Chunked()
    assert chunked.feed(body) is None
    assert chunked.broken
    assert chunked.feed(b"0\r\n\r\n") is None
    assert feed_all(body, 1) == (None, True)


def test_a_hole_within_a_chunk_can_be_skipped() -> None:
    """Bytes that were not delivered do no harm if they are data of one chunk, and are refused otherwise."""
    chunked = Chunked()
    assert not chunked.skip(1)
    assert chunked.feed(b"a\r\n01") is None
    assert not chunked.skip(9)
    assert chunked.skip(7)
    assert chunked.feed(b"9\r\n0\r\n\r\nmore") == 8
    chunked = Chunked()
    chunked.feed(b"2\r\n")
    assert chunked.skip(2)
    assert not chunked.skip(1)
    assert chunked.feed(b"\r\n0\r\n\r\n") == 7


@given(st.lists(st.binary(min_size=1, max_size=50)), st.binary(max_size=20), st.integers(1, 30))
def test_any_chunks_are_read_back(chunks: list[bytes], trailing: bytes, size: int) -> None:
    """Whatever the chunks hold, their end is found, however the body is cut."""
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    assert feed_all(body + trailing, size) == (len(body), False)


@given(st.binary(max_size=100), st.integers(1, 30))
def test_no_bytes_raise(data: bytes, size: int) -> None:
    """Whatever the bytes, pieces do not change the answer."""
    assert feed_all(data, size) == feed_all(data, max(len(data), 1))
