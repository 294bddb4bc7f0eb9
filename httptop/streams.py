"""One direction of a connection as a position in sequence space.

The tap delivers heads and what may contain the next head, not bodies, so what is known about bytes that were never
delivered is kept here: their number (Content-Length), that they lie inside a chunk, or nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from httptop import http1
from httptop.http1 import Chunked, Request, Response
from httptop.records import Record

HEADS_MAX, HEAD_BYTES_MAX = 4096, 2048  # parsed heads that are remembered: mostly 500 bytes long, so about 4 MB


def after(a: int, b: int) -> int:
    """How far sequence number `a` lies behind `b`, modulo 2**32 (RFC 9293 3.4): negative when before it."""
    return ((a - b + 0x80000000) & 0xFFFFFFFF) - 0x80000000


class State(enum.IntEnum):
    """What the next byte of a stream is."""

    HEAD = 0  # the beginning of a message, or more of the head in `buffer`
    BODY = 1  # one of `left` bytes of a body
    CHUNKED = 2  # inside a chunked body
    UNKNOWN = 3  # of a body that ends who knows where


HEAD, BODY, CHUNKED, UNKNOWN = State  # members of an Enum are slow to look up: once, here


class Stream:
    """What one endpoint sends."""

    __slots__ = (
        "ack",
        "buffer",
        "chunked",
        "gap",
        "head_end",
        "head_ns",
        "head_seq",
        "interim",
        "left",
        "messages",
        "missed",
        "position",
        "searched",
        "started",
        "stash",
        "state",
    )

    def __init__(self) -> None:
        self.started = False
        self.position = 0  # sequence number of the next byte to look at
        self.state = HEAD
        self.buffer = b""  # the head so far, when it is not finished
        self.searched = 0
        self.left = 0
        self.chunked: Chunked | None = None
        self.head_seq = 0  # where the last message began
        self.head_end = 0
        self.head_ns = 0
        self.ack = 0  # of the segment in which it began
        self.interim = False
        self.messages = 0
        self.missed = True  # before the next message there may have been others
        self.gap: tuple[int, int] | None = None  # bytes that were passed over and may still come
        self.stash: Sequence[Record] = ()

    def restart(self, position: int) -> None:
        """A message begins at `position`, whatever was expected."""
        self.position = position
        self.state = HEAD
        self.buffer = b""
        self.searched = 0
        self.started = True

    def pass_over(self, count: int) -> bool:
        """Go on behind the next `count` bytes, if all of them are known to be of a body."""
        if self.state is BODY and self.left >= count:
            self.left -= count
            if not self.left:
                self.state = HEAD
            return True
        return self.state is CHUNKED and self.chunked is not None and self.chunked.skip(count)

    def leave_out(self, seq: int) -> None:
        """What is before `seq` was not delivered, and may still come."""
        if self.state == HEAD:
            self.gap, self.missed = (self.position, seq), True
        else:
            self.missed = self.missed or self.state is BODY  # more than the rest of it
            self.state = UNKNOWN
        self.position = seq

    def skip_to(self, seq: int) -> None:
        """What is before `seq` will not be looked at."""
        if after(seq, self.position) > 0:
            self.position = seq

    def follows_gap(self, record: Record) -> bool:
        """Whether `record` begins its last message, and what was sent before was neither delivered nor counted."""
        if self.gap is None:
            return self.messages == 1 and record.seq == self.head_seq
        return self.gap[1] == record.seq == self.head_seq

    def fills_gap(self, record: Record) -> bool:
        """Whether it is a part of what was passed over, which then is not missed any more."""
        if self.gap is None:
            return False
        (start, stop), end = self.gap, record.seq + record.payload_len
        if after(record.seq, start) < 0 or after(end, stop) > 0:
            return False
        if record.seq == start:
            self.gap = (end & 0xFFFFFFFF, stop)
        self.missed &= self.gap[0] != stop
        return True

    def expect_body(self, head: Request | Response, *, none: bool) -> None:
        """Frame what follows `head` (RFC 9112 6.3)."""
        if none:
            self.state = HEAD
        elif head.chunked:
            self.state, self.chunked = CHUNKED, Chunked()
        elif head.content_length is not None:
            self.left = head.content_length
            self.state = BODY if self.left else HEAD
        else:
            self.state = HEAD if isinstance(head, Request) and head.complete else UNKNOWN


class HeadCache:
    """Complete heads by their bytes: some come again and again."""

    __slots__ = ("_heads",)

    def __init__(self) -> None:
        self._heads: dict[bytes, Request | Response] = {}

    def whole(self, data: bytes) -> Request | Response | None:
        """The head that `data` begins with, if all of it is there."""
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            return None
        text = data[:end]
        head = self._heads.get(text)
        if head is None:
            parsed = http1.parse_head(text)
            if isinstance(parsed, http1.Verdict) or parsed.length != end:
                return None
            head = self._remember(text, parsed)
        return head

    def parse(self, data: bytes, *, final: bool, searched: int) -> Request | Response | http1.Verdict:
        """As `http1.parse_head`."""
        head = http1.parse_head(data, final=final, searched=searched)
        if not isinstance(head, http1.Verdict) and head.complete:
            self._remember(data[: head.length], head)
        return head

    def _remember(self, text: bytes, head: Request | Response) -> Request | Response:
        if head.length <= HEAD_BYTES_MAX:
            if len(self._heads) >= HEADS_MAX:
                self._heads.clear()
            self._heads[text] = head
        return head
