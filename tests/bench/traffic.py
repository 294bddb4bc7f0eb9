"""A capture file as a web service with many clients gives it, the same one each time.

What it is made of; each of these decides how much work a packet is:
- Connections are set up with three packets and taken down with three, and carry eight exchanges on average. 200 are
  open at any time and take turns; one in five is IPv6. Every segment has the timestamp option: a full one holds 1448
  bytes.
- Of the answers, 60 % are small (JSON, one segment), 10 % are 304 without a body, 25 % are pages and pictures of about
  12 KB, 5 % are downloads of 50 to 130 KB. One in six is chunked. Half of the bodies are text, half are packed bytes.
- The client acknowledges every second full segment, and the last one. Three requests in ten take the server so long
  that it acknowledges them with a packet of its own.
- 15 % of the requests are POST with a JSON body, half of those in a segment of its own.
- 400 URLs, the popular ones far more often than the rest. Heads are 200 to 600 bytes, as browsers and programs send
  them: a cookie for each connection, a date that goes on, an ETag for each URL, an id for each API answer.
That comes to about 10 packets an exchange: small API traffic with some larger files between. Four in ten are bare ACKs,
four in ten belong to bodies.
"""

from __future__ import annotations

import itertools
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.support import frames
from tests.support.frames import ACK, FIN, PSH, SYN

OPEN = 200
PACKETS_PER_S = 20_000
SEGMENT_BYTES = 1448
STARTED_S = 1_700_000_000
URLS = 400
_SIZES = 12 * ((80, 1100),) + 2 * ((0, 0),) + 5 * ((4_000, 20_000),) + ((50_000, 130_000),)
_TIMESTAMPS = b"\x01\x01\x08\x0a" + bytes(8)
_TEXT = b'{"name": "Blue lamp", "price": 12.50, "about": "A lamp for the desk, blue, with a switch"},\n' * 1700
_PACKED = random.Random(2).randbytes(150_000)
_AGENTS = (b"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
           b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0",
           b"curl/8.8.0", b"python-requests/2.32.3", b"okhttp/4.12.0")
_WORDS = (b"item", b"orders", b"users", b"search", b"cart", b"static", b"img", b"news")
_BROWSERS = (b"Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n"
             b"Accept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\n")


class Url(NamedTuple):
    """A resource: what is asked for, and how it is answered."""

    target: bytes
    body: bytes  # none: 304
    chunked: bool


class Generated(NamedTuple):
    """A pcap file and what it holds."""

    data: bytes
    packets: int
    exchanges: int


@dataclass
class Service:
    """What all connections share. `packets`: how many there were, which is the clock."""

    chance: random.Random = field(default_factory=lambda: random.Random(1))
    packets: int = 0
    exchanges: int = 0

    def __post_init__(self) -> None:
        self._urls = [self._url(number) for number in range(URLS)]
        self._popular = list(itertools.accumulate(1 / (rank + 5) for rank in range(URLS)))

    def _url(self, number: int) -> Url:
        chance = self.chance
        target = b"/%s/%d" % (chance.choice(_WORDS), number)
        # By number, not by chance: the popular ones, which decide, are to be as mixed as the others.
        low, high = _SIZES[number * 7 % len(_SIZES)]
        size = chance.randint(low, high)
        body = (_TEXT if chance.random() < 0.5 else _PACKED)[:size]
        return Url(target + b"?page=%d" % (number % 7) * (number % 3 == 0), body, chance.random() < 1 / 6)

    def asked(self) -> list[Url]:
        """What the next connection asks for."""
        return self.chance.choices(self._urls, cum_weights=self._popular, k=self.chance.randint(1, 15))

    @property
    def now(self) -> tuple[int, int]:
        """Seconds and microseconds."""
        return STARTED_S + self.packets // PACKETS_PER_S, self.packets % PACKETS_PER_S * (1_000_000 // PACKETS_PER_S)

    def answer(self, url: Url) -> bytes:
        """A whole response."""
        minute, second = divmod(self.now[0] % 3600, 60)
        head = (b"HTTP/1.1 %s\r\nServer: nginx/1.26.1\r\nDate: Tue, 14 Nov 2023 22:%02d:%02d GMT\r\n"
                b"Connection: keep-alive\r\n" % (b"200 OK" if url.body else b"304 Not Modified", minute, second))
        if not url.body:
            return head + b'ETag: "65536a-%s"\r\n\r\n' % url.target[-3:].hex().encode()
        if len(url.body) < SEGMENT_BYTES:
            head += b"Content-Type: application/json\r\nX-Request-Id: %s\r\n" % self.token(8)
        else:
            head += b'Content-Type: text/html; charset=utf-8\r\nETag: "65536a-%x"\r\n' % len(url.body)
        if not url.chunked:
            return head + b"Content-Length: %d\r\n\r\n%s" % (len(url.body), url.body)
        chunks = (url.body[at : at + 8192] for at in range(0, len(url.body), 8192))
        return (head + b"Transfer-Encoding: chunked\r\n\r\n"
                + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n")

    def token(self, size: int) -> bytes:
        """Some hexadecimal digits."""
        return self.chance.randbytes(size).hex().encode()


class Connection:
    """The packets of one keep-alive connection."""

    def __init__(self, service: Service, number: int) -> None:
        client = number * 7919 % 251 + 2
        self._v6 = number % 5 == 0
        self._addresses = (f"fd83::{client:x}", "fd83::1") if self._v6 else (f"10.83.{client}.2", "10.83.83.1")
        self._ports = (20000 + number % 40000, 80)
        self._service, self._chance = service, service.chance
        self._next = [self._chance.getrandbits(32), self._chance.getrandbits(32)]
        self._cookie = service.token(16)
        self._agent = self._chance.choice(_AGENTS)

    def packets(self) -> Iterator[bytes]:
        """From SYN to the last ACK."""
        yield self._frame(0, flags=SYN)
        yield self._frame(1, flags=SYN | ACK)
        yield self._frame(0)
        for url in self._service.asked():
            yield from self._exchange(url)
            self._service.exchanges += 1
        yield self._frame(0, flags=FIN | ACK)
        yield self._frame(1, flags=FIN | ACK)
        yield self._frame(0)

    def _exchange(self, url: Url) -> Iterator[bytes]:
        for payload in self._request(url):
            yield self._frame(0, payload, flags=PSH | ACK)
        if self._chance.random() < 0.3:
            yield self._frame(1)
        answer = self._service.answer(url)
        for number, at in enumerate(range(0, len(answer), SEGMENT_BYTES)):
            last = at + SEGMENT_BYTES >= len(answer)
            yield self._frame(1, answer[at : at + SEGMENT_BYTES], flags=ACK | PSH * last)
            if last or number % 2:
                yield self._frame(0)

    def _request(self, url: Url) -> tuple[bytes, ...]:
        head = (b"%s HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: %s\r\n%sCookie: session=%s; theme=dark\r\n"
                % (url.target, self._agent, _BROWSERS if self._agent.startswith(b"Mozilla") else b"Accept: */*\r\n",
                   self._cookie))
        if self._chance.random() >= 0.15:
            return (b"GET %s\r\n" % head,)
        body = b'{"id": "%s", "filter": ["new", "sale"]}' % self._service.token(8) * self._chance.randint(1, 20)
        head = b"POST %sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (head, len(body))
        return (head, body) if self._chance.random() < 0.5 else (head + body,)

    def _frame(self, sender: int, payload: bytes = b"", *, flags: int = ACK) -> bytes:
        at = self._next[sender]
        self._next[sender] = at + len(payload) + bool(flags & (SYN | FIN)) & 0xFFFFFFFF
        segment = frames.tcp(self._ports[sender], self._ports[1 - sender], at, payload, flags=flags,
                             ack=self._next[1 - sender], options=_TIMESTAMPS)
        source, destination = self._addresses[sender], self._addresses[1 - sender]
        if self._v6:
            return frames.ethernet(frames.ETH_IP6, frames.ipv6(source, destination, segment))
        return frames.ethernet(frames.ETH_IP4, frames.ipv4(source, destination, segment))


def generate(packets: int) -> Generated:
    """At least so many packets: until the last of the connections that are open then has ended."""
    service, numbers = Service(), itertools.count()
    open_now = [Connection(service, next(numbers)).packets() for _ in range(OPEN)]
    data = [struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)]
    while open_now:
        place = service.chance.randrange(len(open_now))
        frame = next(open_now[place], None)
        if frame is not None:
            data += (struct.pack("=IIII", *service.now, len(frame), len(frame)), frame)
            service.packets += 1
        elif service.packets < packets:
            open_now[place] = Connection(service, next(numbers)).packets()
        else:
            del open_now[place]
    return Generated(b"".join(data), service.packets, service.exchanges)
