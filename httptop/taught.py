"""What user space teaches the kernel of HTTP, and what the kernel counts by it (the second half of bpf/events.h).

Sizes and offsets are asserted against the C compiler's in tests/kernel.
"""

from __future__ import annotations

import enum
import re
import struct
from collections.abc import Set as AbstractSet
from typing import NamedTuple, Protocol

TEMPLATES_MAX = 4096
ANSWERS_MAX = 4
CELLS_MAX = 4096
PROBES = 4
STRANGERS_MAX = 1024
TRACKS_MAX = 131072
TRACKS_NEAR = 32  # in a page
HEAD_MAX = 1024
STATUS_BYTES = 16
LENGTH_DIGITS = 10
ASKS_MAX = 65535
LATENCY_LOW = 192
LATENCY_BUCKETS = 704
TRACK_FAST = 2
ONE_MORE = 1 << 48  # added to a cell's bytes with each exchange
TAKEN = (1 << 64) - 1  # instead of a track's asked_ns: a CPU is at it

ANSWER = struct.Struct("=QHHBBBx")
TEMPLATE = struct.Struct("=HHHBB")  # without its answers
IDENTITY = struct.Struct("=IIQ")
CELL_KEY = struct.Struct("=II16s16s")
CELL = struct.Struct("=40sQQ")  # without its histogram
STRANGER = struct.Struct("=16sQ")
TRACK = struct.Struct("=36sBBBB2IQHHI2IQIHB41x")
SETTINGS = struct.Struct("=6Q")


class Cut(enum.IntEnum):
    """What of a request may be anything, as bpf/events.h says."""

    NOTHING, VALUES, QUERY, TARGET = range(4)


class Masked(enum.IntEnum):
    """What of a head is masked: decimal digits, or all of the values of its fields."""

    NOTHING, DECIMAL, VALUES = range(3)


class Kept(NamedTuple):
    """What is compared all the same: bytes before `plain`, and from `host` to `behind`; multiples of 8."""

    plain: int
    host: int = 0
    behind: int = 0


ALL_KEPT = Kept(HEAD_MAX)


class Left(NamedTuple):
    """What is left of a request: all of it, or what is in front of a cut, and `behind` it, its target's end.

    Of that values are masked, but for what is `kept`.
    """

    cut: Cut
    front: bytes
    behind: bytes = b""
    kept: Kept = ALL_KEPT

    @property
    def data(self) -> bytes:
        """All of it."""
        return self.front + self.behind


class Framing(NamedTuple):
    """What tells how long a message is: `digits` of its Content-Length, or "chunked", that begin `at`; or nothing."""

    at: int = 0
    digits: int = 0
    chunked: bool = False

    @property
    def kept(self) -> Kept:
        """What is compared of an answer although its values are masked."""
        if not self.chunked:
            return Kept(STATUS_BYTES)
        return Kept(STATUS_BYTES, self.at & ~7, self.at + len("chunked") + 7 & ~7)


NO_BODY = Framing()

_DECIMAL_AS_0 = bytes.maketrans(b"123456789", b"0" * 9)
_VALUE = re.compile(rb"(?<=:)[^\n]+")


def masked(data: bytes, kept: Kept, what: Masked = Masked.VALUES) -> bytes:
    """With each decimal digit as "0", or each byte of a value as NUL, but for what is kept."""
    return restored(without_values(data) if what is Masked.VALUES else data.translate(_DECIMAL_AS_0), data, kept)


def without_values(data: bytes) -> bytes:
    """With each byte of a value as NUL."""
    return _VALUE.sub(lambda value: bytes(len(value[0])), data)


def restored(left: bytes, data: bytes, kept: Kept) -> bytes:
    """What is `left` of the data, and what is kept of it."""
    both = bytearray(left)
    for part in (slice(kept.plain), slice(kept.host, kept.behind)):
        both[part] = data[part]
    return bytes(both)


class Board(Protocol):
    """Where it is written. What finds no place is not taught, and comes through the ring as before."""

    def request(self, left: Left, counter: int, framing: Framing) -> int | None:
        """Teach a request, with which a segment begins; the template's number, None when there is no place.

        `left`: of it without its body; `framing`: as it is there.
        """

    def answer(self, template: int, number: int, head: bytes, framing: Framing, how: Masked) -> None:
        """Teach how it is answered, in place of what answer `number` was. `head`: masked behind the status."""

    def cell(self, template: int, answer: int, server: bytes, client: bytes, latency_max_ns: int) -> int | None:
        """Teach that these exchanges are counted, between these identities; the cell's number, None: no place."""

    def stranger(self, address: bytes) -> None:
        """Teach that an address (16 bytes) is another host's."""

    def want(self, samples: int) -> None:
        """So many of the next exchanges are to come one by one although they are known."""

    def afford(self, more: int, most: int, among: int) -> None:
        """So many `more` requests are to come one by one although a Cut.TARGET fits them, `most` at once.

        By chance, one `among` so many, a power of 2; if not all, mostly such as have come a short while ago.
        """

    def unteach(self) -> None:
        """Nothing that is taught is known any more; what is held by it stays held."""

    def clear(self, keep: AbstractSet[int]) -> None:
        """Make place, some time after `unteach`. `keep`: templates by which requests are held."""
