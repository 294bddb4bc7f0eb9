"""The file formats pcap and pcapng as streams of packets.

The readers are our own, not dpkt's: dpkt's pcapng reader takes one interface and one section per file, wants to seek
(a pipe cannot), reports damage by several exceptions, and an object for each packet takes the time that reading the
whole file should take.
Formats: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BufferedIOBase
from struct import Struct
from typing import NamedTuple

# Larger ones are no packets: a length field was damaged. Super-packets have at most 512 KB.
MAX_PACKET = 1 << 24
MAX_TIME_NS = 2**63 - 1

PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"
# Byte order, nanoseconds of the time's fraction, bytes of a packet header. The last two: "modified" pcap of old Linux.
PCAP_MAGICS = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000, 16),
    b"\xa1\xb2\xc3\xd4": (">", 1000, 16),
    b"\x4d\x3c\xb2\xa1": ("<", 1, 16),
    b"\xa1\xb2\x3c\x4d": (">", 1, 16),
    b"\x34\xcd\xb2\xa1": ("<", 1000, 24),
    b"\xa1\xb2\xcd\x34": (">", 1000, 24),
}
SECTION, INTERFACE, OLD_PACKET, SIMPLE_PACKET, PACKET = 0x0A0D0D0A, 1, 2, 3, 6
OPTION_TSRESOL, OPTION_TSOFFSET = 9, 14


# (time in ns, link type, interface, frame as captured, bytes on the wire): a plain tuple, there are many.
Packet = tuple[int, int, int, bytes, int]


CHUNK = 1 << 18


class DamagedError(Exception):
    """The file cannot be read on from here; says where and why."""


def _exactly(file: BufferedIOBase, size: int, what: str) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise DamagedError(f"cut off within {what}")
    return data


def read_pcap(file: BufferedIOBase, magic: bytes) -> Iterator[Packet]:
    """Packets of a pcap file whose magic number was read from it already."""
    order, fraction_ns, header_len = PCAP_MAGICS[magic]
    (link,) = Struct(order + "16x I").unpack(_exactly(file, 20, "the file header"))
    link &= 0xFFFF  # above it: the length of a frame check sequence
    unpack = Struct(f"{order}IIII{header_len - 16}x").unpack_from
    buffer, at = b"", 0  # two calls for each packet would be a tenth of the time
    while True:
        start = at + header_len
        if start > len(buffer):
            buffer, at, start = _filled(file, buffer[at:], header_len), 0, header_len
            if not buffer:
                return
            if start > len(buffer):
                raise DamagedError("cut off within a packet header")
        seconds, fraction, captured, wire_len = unpack(buffer, at)
        if captured > MAX_PACKET:
            raise DamagedError(f"a packet claims {captured} bytes")
        end = start + captured
        if end > len(buffer):
            buffer, start, end = _filled(file, buffer[start:], captured), 0, captured
            if end > len(buffer):
                raise DamagedError("cut off within a packet")
        at = end
        yield seconds * 1_000_000_000 + fraction * fraction_ns, link, 0, buffer[start:end], wire_len


def _filled(file: BufferedIOBase, held: bytes, size: int) -> bytes:
    """`held` and what follows it: at least `size` bytes unless the file ends, and what a pipe has by then."""
    while len(held) < size and (more := file.read1(CHUNK)):
        held += more
    return held


class _Interface(NamedTuple):
    link: int
    snaplen: int
    ticks_per_s: int
    offset_ns: int

    def time_ns(self, high: int, low: int) -> int:
        time_ns = (high << 32 | low) * 1_000_000_000 // self.ticks_per_s + self.offset_ns
        return min(max(time_ns, 0), MAX_TIME_NS)


class PcapngReader:
    """Packets of a pcapng file: any number of sections, each with its byte order and its interfaces."""

    def __init__(self, file: BufferedIOBase) -> None:
        self._file = file
        self._order = "<"
        self._headers: dict[int, Struct] = {}
        self._interfaces: list[_Interface] = []
        self._last_ns = 0  # for simple packets: they have no time of their own

    def packets(self) -> Iterator[Packet]:
        """Read a file whose first four bytes were read already."""
        kind, body = SECTION, self._section()
        while True:
            if kind == INTERFACE:
                self._interfaces.append(self._interface(body))
            elif kind in (PACKET, OLD_PACKET):
                yield self._packet(kind, body)
            elif kind == SIMPLE_PACKET:
                yield self._simple_packet(body)
            start = self._file.read(4)
            if not start:
                return
            if start == PCAPNG_MAGIC:
                kind, body = SECTION, self._section()
            else:
                kind, body = self._block(start)

    def _section(self) -> bytes:
        """The rest of a section header: it sets the byte order, also of its own length."""
        raw = _exactly(self._file, 8, "a section header")
        order = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}.get(raw[4:])
        if order is None:
            raise DamagedError("a section header has no byte order")
        self._order = order
        self._headers = {PACKET: Struct(order + "IIIII"), OLD_PACKET: Struct(order + "H2xIIII")}
        self._interfaces = []
        return self._body(raw[:4], already=12)

    def _block(self, start: bytes) -> tuple[int, bytes]:
        start += _exactly(self._file, 4, "a block header") if len(start) == 4 else b""
        if len(start) < 8:
            raise DamagedError("cut off within a block header")
        (kind,) = Struct(self._order + "I").unpack(start[:4])
        return kind, self._body(start[4:], already=8)

    def _body(self, length: bytes, already: int) -> bytes:
        (size,) = Struct(self._order + "I").unpack(length)
        if not already + 4 <= size <= MAX_PACKET or size % 4:
            raise DamagedError(f"a block claims {size} bytes")
        return _exactly(self._file, size - already, "a block")[:-4]

    def _interface(self, body: bytes) -> _Interface:
        if len(body) < 8:
            raise DamagedError("an interface block is too short")
        link, snaplen = Struct(self._order + "H 2x I").unpack_from(body)
        options = self._options(body, 8)
        resolution = options.get(OPTION_TSRESOL, b"\x06")[:1] or b"\x06"
        power = resolution[0] & 0x7F
        offset = options.get(OPTION_TSOFFSET, bytes(8))
        seconds = Struct(self._order + "q").unpack(offset)[0] if len(offset) == 8 else 0
        return _Interface(link, snaplen, 2**power if resolution[0] & 0x80 else 10**power, seconds * 1_000_000_000)

    def _options(self, body: bytes, at: int) -> dict[int, bytes]:
        options = {}
        while at + 4 <= len(body):
            code, size = Struct(self._order + "HH").unpack_from(body, at)
            if code == 0:
                break
            options[code] = body[at + 4 : at + 4 + size]
            at += 4 + (size + 3) // 4 * 4
        return options

    def _packet(self, kind: int, body: bytes) -> Packet:
        header = self._headers[kind]
        if len(body) < header.size:
            raise DamagedError("a packet block is too short")
        number, high, low, captured, wire_len = header.unpack_from(body)
        if number >= len(self._interfaces) or header.size + captured > len(body):
            raise DamagedError("a packet block contradicts itself")
        interface = self._interfaces[number]
        self._last_ns = interface.time_ns(high, low)
        return self._last_ns, interface.link, number, body[header.size : header.size + captured], wire_len

    def _simple_packet(self, body: bytes) -> Packet:
        """A packet of the first interface, without a time of its own and without the captured length."""
        if len(body) < 4 or not self._interfaces:
            raise DamagedError("a simple packet block contradicts itself")
        (wire_len,) = Struct(self._order + "I").unpack_from(body)
        captured = min(wire_len, self._interfaces[0].snaplen or wire_len)
        return self._last_ns, self._interfaces[0].link, 0, body[4 : 4 + captured], wire_len


def read_packets(file: BufferedIOBase) -> Iterator[Packet] | None:
    """The packets of a capture file from its first byte on; None if it is not one.

    The iterator raises DamagedError where the file cannot be read on, after all packets before that place.
    """
    magic = file.read(4)
    if magic in PCAP_MAGICS:
        return read_pcap(file, magic)
    if magic == PCAPNG_MAGIC:
        return PcapngReader(file).packets()
    return None
