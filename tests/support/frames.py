"""Ethernet frames by hand: every field that the packet walk looks at can be set, rightly or wrongly."""

from __future__ import annotations

import itertools
import socket
import struct
from collections.abc import Iterator

ETH_IP4, ETH_IP6, ETH_VLAN, ETH_QINQ, ETH_ARP = 0x0800, 0x86DD, 0x8100, 0x88A8, 0x0806
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION, AUTHENTICATION = 0, 43, 44, 60, 51
TCP, UDP = 6, 17


def ethernet(ethertype: int, payload: bytes, vlans: tuple[tuple[int, int], ...] = (), pad_to: int = 60) -> bytes:
    """A frame; `vlans` are (tag ethertype, id) from the outside in; padded with zeros to `pad_to` bytes."""
    types = [tag for tag, _ in vlans] + [ethertype]
    tags = b"".join(struct.pack("!HH", vid, inner) for (_, vid), inner in zip(vlans, types[1:], strict=True))
    return (bytes(12) + struct.pack("!H", types[0]) + tags + payload).ljust(pad_to, b"\0")


def ipv4(
    source: str, destination: str, payload: bytes, *, options: bytes = b"", protocol: int = TCP, fragment: int = 0,
    total: int | None = None,
) -> bytes:
    """An IPv4 packet; `fragment` is the flags-and-offset word, `total` the length that it claims."""
    length = 20 + len(options)
    return struct.pack("!BBHHHBBH4s4s", 0x40 | length // 4, 0, length + len(payload) if total is None else total,
                       0, fragment, 64, protocol, 0, socket.inet_aton(source),
                       socket.inet_aton(destination)) + options + payload


def ipv6(
    source: str, destination: str, payload: bytes, *, extensions: tuple[tuple[int, bytes], ...] = (),
    protocol: int = TCP, total: int | None = None,
) -> bytes:
    """An IPv6 packet; `extensions` are (header number, its bytes after the next-header byte)."""
    numbers = [number for number, _ in extensions] + [protocol]
    chain = b"".join(bytes([following]) + body
                     for (_, body), following in zip(extensions, numbers[1:], strict=True))
    length = len(chain) + len(payload) if total is None else total
    return struct.pack("!IHBB16s16s", 0x60000000, length, numbers[0], 64,
                       socket.inet_pton(socket.AF_INET6, source),
                       socket.inet_pton(socket.AF_INET6, destination)) + chain + payload


def extension(words: int = 0) -> bytes:
    """Bytes after next-header of an extension of 8 + 8 * `words` bytes (hop-by-hop, routing, destination)."""
    return bytes([words]) + bytes(6 + 8 * words)


def tcp(
    source: int, destination: int, seq: int, payload: bytes = b"", *, flags: int = ACK, ack: int = 0,
    options: bytes = b"",
) -> bytes:
    """A TCP segment; `options` must fill whole words."""
    offset = (20 + len(options)) // 4
    return struct.pack("!HHIIBBHHH", source, destination, seq & 0xFFFFFFFF, ack, offset << 4, flags, 65535,
                       0, 0) + options + payload


class Talk:
    """One connection as frames: `client` and `server` say things in turn, sequence numbers follow by themselves."""

    _ports = itertools.cycle(range(20000, 65536))

    def __init__(self, *, v6: bool = False, isn: int = 1000) -> None:
        self.addresses = ("fd83::2", "fd83::1") if v6 else ("10.83.83.2", "10.83.83.1")
        self.ports = (next(self._ports), 80)
        self.next = [isn, isn + 50000 & 0xFFFFFFFF]
        self._v6 = v6

    def segment(self, sender: int, payload: bytes, *, flags: int = ACK, seq: int | None = None) -> bytes:
        """Segment bytes from the client (0) or the server (1); an explicit `seq` leaves the counting alone."""
        at = self.next[sender] if seq is None else seq
        if seq is None:
            self.next[sender] = (at + len(payload) + bool(flags & SYN) + bool(flags & FIN)) & 0xFFFFFFFF
        return tcp(self.ports[sender], self.ports[1 - sender], at, payload, flags=flags,
                   ack=self.next[1 - sender] if flags & ACK else 0)

    def packet(self, sender: int, segment: bytes) -> bytes:
        """The segment as an IP packet without options."""
        make = ipv6 if self._v6 else ipv4
        return make(self.addresses[sender], self.addresses[1 - sender], segment)

    def frame(self, sender: int, payload: bytes, *, flags: int = ACK, seq: int | None = None) -> bytes:
        """The segment as a plain Ethernet frame."""
        packet = self.packet(sender, self.segment(sender, payload, flags=flags, seq=seq))
        return ethernet(ETH_IP6 if self._v6 else ETH_IP4, packet)

    def client(self, *payloads: bytes) -> Iterator[bytes]:
        """One frame from the client for each payload."""
        return (self.frame(0, payload) for payload in payloads)

    def server(self, *payloads: bytes) -> Iterator[bytes]:
        """One frame from the server for each payload."""
        return (self.frame(1, payload) for payload in payloads)
