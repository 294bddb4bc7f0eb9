"""The records of bpf/events.h as user space sees them, and the one list of counters and loss reasons.

Sizes and offsets are asserted against the C compiler's in tests/kernel.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Sequence
from typing import NamedTuple

DATA_MAX = 2048
SEGMENT_MAX = 65536
RECENT_HEADS = 8
FOLLOW_BYTES = 16384
TOKEN_MAX = 24

FLOW_KEY = struct.Struct("=16s16s2s2s")
FLOW_END = struct.Struct("=36sI")
OWNER = struct.Struct("=IBBBxQ16s")
OWNED = struct.Struct("=32sQ")
RECORD = struct.Struct("=Q36sIIIHBBBBHII32s32s")
ACCEPT = struct.Struct("=Q32si2s2x16s")

V4_MAPPED = bytes(10) + b"\xff\xff"
NO_OWNER = bytes(OWNER.size)

# Why an end has no process
UNSEEN = "unseen"  # the address is this host's, but no process of it
ELSEWHERE = "elsewhere"  # neither end is on this host: bridged or forwarded traffic of others
CONTESTED = "contested"  # sockets in two network namespaces have these addresses and ports
TRANSLATED = "translated"  # it is the address of a translation, and nobody was seen behind it
REMOTE = "remote"  # a server on another host that a process of this one asks: no unknown process of ours


class How(enum.IntEnum):
    """How the process at an end of a flow is known (`enum how`)."""

    UNKNOWN = 0
    ACCEPT = 1
    RECV = 2
    CONNECT = 3
    SOCK_DIAG = 4


def nobody(why: str) -> bytes:
    """A `struct owner` for an end of which it is known why it has no process."""
    return OWNER.pack(0, How.UNKNOWN, 0, 0, 0, why.encode())


class Kind(enum.IntEnum):
    """What a record holds (`enum kind`)."""

    NONE = 0
    REQUEST = 1
    RESPONSE = 2
    PARTIAL = 3
    MORE = 4
    END = 5
    KNOWN = 6


FLAG_FIN = 1
FLAG_RST = 2
FLAG_SEEN = 4
FLAG_FOLLOWED = 8
FLAG_NEW = 16
FLAG_RESUMED = 32
FLAG_ASKER = 64
FLAG_FIRST = 128
FLAG_AHEAD = 128


class Counter(enum.IntEnum):
    """Index of each kernel counter (`enum counter`)."""

    GET = 0
    HEAD = 1
    POST = 2
    PUT = 3
    DELETE = 4
    CONNECT = 5
    OPTIONS = 6
    TRACE = 7
    PATCH = 8
    OTHER = 9
    C1XX = 10
    C2XX = 11
    C3XX = 12
    C4XX = 13
    C5XX = 14
    NO_CLASS = 15
    LOST_REQUEST = 16
    LOST_RESPONSE = 17
    LOST_SEGMENT = 18
    LOST_ACCEPT = 19
    DUPLICATES = 20
    FRAGMENTS = 21
    TLS_FLOWS = 22
    HTTP2_FLOWS = 23
    MALFORMED = 24
    PACKETS = 25
    ACCEPTS = 26
    OWNERS = 27
    OWNERS_NEW = 28
    OWNERS_GONE = 29


COUNTERS = 32
METHODS = tuple(c.name for c in Counter if c < Counter.OTHER)
STATUS_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx", "other")


class Record(NamedTuple):
    """One segment, or a part of one: `data` is its first bytes, `payload_len` its length on the wire."""

    ts_ns: int
    flow: bytes  # FLOW_KEY: endpoint 0 is the lower by (address, port)
    seq: int
    ack: int
    payload_len: int
    kind: int
    sender: int  # endpoint 0 or 1
    flags: int
    ifindex: int
    owners: tuple[bytes, bytes]  # OWNER of endpoint 0 and 1
    data: bytes
    counter: int = COUNTERS  # the Counter under which its head was counted; COUNTERS: it was not
    extra: int = 0  # Kind.KNOWN: the template; FLAG_RESUMED: where the server's next message begins
    gap: int = 0  # FLAG_ASKER: bytes of the client that have not come by before `seq`


class Accept(NamedTuple):
    """accept() returned in a process; `peer` is (address, port in network order), port 0 if not asked for."""

    ts_ns: int
    owner: bytes  # OWNER
    fd: int
    peer_port: bytes
    peer_addr: bytes


class Counted(NamedTuple):
    """Exchanges that the kernel has counted in one of its cells since the last time."""

    cell: int
    response_bytes: int
    latency: Sequence[tuple[int, int]]  # (bucket of stats.py, exchanges)


class Held(NamedTuple):
    """A request that the kernel knows, and whose answer it waits for."""

    template: int
    flow: bytes
    client: int  # endpoint
    asked_ns: int


class Batch(NamedTuple):
    """What a Source read at once. `counters` are absolute (COUNTERS ints, summed over CPUs).

    `counted` and `held` are what the kernel's fast path did with messages that are in no record; None: not looked at.
    """

    records: list[Record]
    accepts: list[Accept]
    counters: tuple[int, ...]
    now_ns: int
    eof: bool = False
    counted: Sequence[Counted] | None = None
    held: Sequence[Held] | None = None


def endpoint(address: bytes, port: int) -> bytes:
    """(4 or 16 address bytes, port) -> 18 bytes: comparable, IPv4 as v4-mapped."""
    return (V4_MAPPED + address if len(address) == 4 else address) + port.to_bytes(2, "big")


def flow_key(source: bytes, destination: bytes) -> tuple[bytes, int]:
    """Two endpoints (18 bytes each) -> (canonical FLOW_KEY, index of `source` in it)."""
    low, high, sender = (source, destination, 0) if source <= destination else (destination, source, 1)
    return low[:16] + high[:16] + low[16:] + high[16:], sender


def endpoints(flow: bytes) -> tuple[bytes, bytes]:
    """FLOW_KEY -> endpoints 0 and 1 (18 bytes each)."""
    return flow[:16] + flow[32:34], flow[16:32] + flow[34:36]
