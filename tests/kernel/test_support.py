"""The tools of the other tests, on their own: a test that leans on a broken tool proves nothing."""

from __future__ import annotations

import socket

from tests.support import tcp
from tests.support.net import Site


def test_each_send_is_one_segment(wire: Site) -> None:
    """What `send_segments` is given arrives on the wire as that many segments, over IPv4 and IPv6."""
    chunks = [b"a", b"bc", b"d" * 700, b"e"]
    for address in (wire.server4, wire.server6):
        sniffer = wire.client.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        with sniffer, tcp.conversation(wire.server, wire.client, address) as (client, server):
            tcp.send_segments(client, *chunks)
            assert tcp.receive(server, 704) == b"".join(chunks)
            sniffer.setblocking(False)
            assert [p for p in _payloads(sniffer, client.getsockname()[1]) if p] == chunks


def _payloads(sniffer: socket.socket, source_port: int) -> list[bytes]:
    found: list[bytes] = []
    while True:
        try:
            packet, (_, protocol, kind, *_) = sniffer.recvfrom(65536)
        except BlockingIOError:
            return found
        header = {0x0800: 20, 0x86DD: 40}.get(protocol)
        if header and kind == socket.PACKET_OUTGOING:
            segment = packet[header:]
            if int.from_bytes(segment[:2], "big") == source_port:
                found.append(segment[(segment[12] >> 4) * 4:])
