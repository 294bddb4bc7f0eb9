"""Whatever two hosts say in whatever order, overlap and loss, reading it never raises, and every head is accounted for.

The input is a list of steps of five bytes: who, flags and kind of payload; how far off its place; which payload.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.core.test_pcap import pcap
from tests.fuzz.harness import read_file
from tests.support.frames import ACK, FIN, RST, SYN, Talk

PAYLOADS = (
    b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /b HTTP/1.1\r\nContent-Length: 30\r\n\r\n",
    b"PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HEAD /d HTTP/1.1\r\n\r\n",
    b"CONNECT e:443 HTTP/1.1\r\n\r\n",
    b"QUERY /f HTTP/1.1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\n",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"GET /looks/like HTTP/1.1\r\n\r\nx",
    b"\r\n\r\n",
    b"x" * 2500,
)
FLAGS = (ACK, ACK, ACK, ACK, FIN | ACK, RST, SYN, SYN | ACK)


def frames(data: bytes) -> Iterator[bytes]:
    """Steps -> frames."""
    talk = Talk()
    for at in range(0, len(data) - 4, 5):
        who, shift, which, begin, end = data[at : at + 5]
        sender = who & 1
        payload = (PAYLOADS[which & 15] + PAYLOADS[which >> 4])[begin : len(PAYLOADS[which & 15]) + end * 10]
        seq = None if shift == 128 else (talk.next[sender] + (shift - 128) * (700 if who & 16 else 1)) & 0xFFFFFFFF
        yield talk.frame(sender, payload, flags=FLAGS[who >> 1 & 7], seq=seq)


def check(data: bytes) -> None:
    """As a capture file."""
    read_file(pcap(frames(data)))


REQUEST, ANSWER = bytes((0, 128, 0, 0, 0)), bytes((1, 128, 6, 0, 0))
SEEDS = [REQUEST + ANSWER, REQUEST * 3 + ANSWER * 3, *(bytes((n & 1, 128, n, 0, 9)) * 4 for n in range(256))]
