"""What fuzzing has found, and inputs that once looked dangerous, through the fuzz targets' own checks."""

from __future__ import annotations

import pytest

from tests.fuzz import files, heads, talks

HEADS = [
    b"",
    b"\x80",
    b"\xe0GET /\r\nF",  # a simple request that turns out to be none, cut behind its line
    b"\x80GET /\n\n\n",
    b"\xffHTTP/1.1 200 OK\nA: b\r\n\n\r\n",
    b"\x80POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",  # int() refuses so many digits
    b"\x805;" + b"x" * 5000 + b"\r\n",
    b"\x80\nhost:\n ",
]
FILES = [
    b"\x0a\x0d\x0d\x0a",
    b"\x0a\x0d\x0d\x0a" + b"\xff" * 60,
    b"\xd4\xc3\xb2\xa1" + b"\xff" * 60,
]
TALKS = [
    bytes((0, 128, 0, 0, 0)) + bytes((0, 127, 0, 0, 0)) * 9,  # each retransmission begins a byte earlier
    bytes((16, 1, 1, 0, 0)) + bytes((1, 255, 6, 0, 0)) + bytes((0, 128, 0x55, 3, 0)),
]


@pytest.mark.parametrize("data", HEADS, ids=lambda data: str(data[:30]))
def test_heads(data: bytes) -> None:
    """The parser does not raise, and cuts do not matter."""
    heads.check(data)


@pytest.mark.parametrize("data", FILES, ids=lambda data: str(data[:30]))
def test_files(data: bytes) -> None:
    """Reading ends, and every head is accounted for."""
    files.check(data)


@pytest.mark.parametrize("data", TALKS, ids=lambda data: data.hex()[:30])
def test_talks(data: bytes) -> None:
    """Reading ends, and every head is accounted for."""
    talks.check(data)


def test_seeds() -> None:
    """The seeds themselves hold what the targets state."""
    for target in (heads, files, talks):
        for seed in target.SEEDS:
            target.check(seed)
