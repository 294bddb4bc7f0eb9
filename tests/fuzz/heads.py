"""Whatever the bytes and their cuts, the head parser and the chunk reader never raise nor change their minds."""

from __future__ import annotations

from httptop.chunked import Chunked
from httptop.http1 import NEED_MORE, Request, Response, parse_head
from tests.core.test_chunked import BODIES
from tests.core.test_http1 import HEADS, NOT_HEADS


def check(data: bytes) -> None:
    """The first byte says where the others are cut."""
    cut, data = (data[0] * len(data) // 256, data[1:]) if data else (0, b"")
    whole = parse_head(data)
    part = parse_head(data[:cut])
    assert parse_head(data, searched=cut if part is NEED_MORE else 0) == whole
    assert part is NEED_MORE or part == whole
    final = parse_head(data, final=True)
    assert final == whole or (whole is NEED_MORE and final is not NEED_MORE)
    if isinstance(final, Request | Response):
        assert 0 < final.length <= len(data)
    _check_chunked(data, cut)


def _check_chunked(data: bytes, cut: int) -> None:
    whole, parts = Chunked(), Chunked()
    ended = whole.feed(data)
    assert (ended is None) or not whole.broken
    first = parts.feed(data[:cut])
    second = parts.feed(data[cut:]) if first is None else None
    assert ended == (first if first is not None else None if second is None else second + cut)
    assert whole.broken == parts.broken


SEEDS = [b"\x80" + seed for seed in (*(head for head, _ in HEADS), *NOT_HEADS, *BODIES)]
