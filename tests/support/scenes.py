"""Conversations as frames, each a corner of what the filter and its Python twin must see alike."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator

from tests.support import frames
from tests.support.frames import ACK, ETH_IP4, ETH_IP6, FIN, PSH, RST, SYN, Talk, ethernet, extension, ipv4, ipv6

GET = b"GET /path HTTP/1.1\r\nHost: example\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
METHODS = (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH")
CLIENT_HELLO = b"\x16\x03\x01\x00\x20\x01" + bytes(32)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)

Frames = Iterator[bytes]
Scene = Callable[[], Frames]


def plain() -> Frames:
    """Handshake, one exchange, both FINs."""
    talk = Talk()
    yield talk.frame(0, b"", flags=SYN)
    yield talk.frame(1, b"", flags=SYN | ACK)
    yield from talk.client(GET)
    yield from talk.server(OK)
    yield talk.frame(0, b"", flags=FIN | ACK)
    yield talk.frame(1, b"", flags=FIN | ACK)


def plain_v6() -> Frames:
    """The same over IPv6, ended by RST."""
    talk = Talk(v6=True)
    yield talk.frame(0, b"", flags=SYN)
    yield from talk.client(GET)
    yield from talk.server(OK)
    yield talk.frame(0, b"", flags=RST)


def methods() -> Frames:
    """The nine methods and every status class, and some beyond."""
    talk = Talk()
    for method, status in zip(METHODS, itertools.cycle(b"12345"), strict=False):
        yield from talk.client(method + b" /x HTTP/1.1\r\n\r\n")
        yield from talk.server(b"HTTP/1.1 %c00 Word\r\n\r\n" % status)
    yield from talk.server(b"HTTP/1.1 999 Far\r\n\r\n", b"HTTP/1.1  200\r\n\r\n", b"HTTP/1.0 000 No\r\n\r\n")


def other_methods() -> Frames:
    """Tokens with a valid request line count; lower case, too long, without a version, or with odd bytes do not all."""
    talk = Talk()
    lines = (b"PROPFIND /dav HTTP/1.1\r\n\r\n", b"get / HTTP/1.1\r\n\r\n", b"QUERY /q HTTP/1.0\n\n",
             b"A" * 24 + b" / HTTP/1.1\r\n\r\n", b"A" * 25 + b" / HTTP/1.1\r\n\r\n", b"HELO mail.example\r\n",
             b"M-SEARCH * HTTP/1.1\r\n\r\n", b"NOTIFY sip:x SIP/2.0\r\n\r\n", b"BAD(METHOD / HTTP/1.1\r\n\r\n",
             b"GET  / HTTP/1.1\r\n\r\n", b"GET\t/ HTTP/1.1\r\n\r\n", b"X / HTTP/1.x\r\n\r\n",
             b"!#$%&'*+-.^_`|~ / HTTP/1.1\r\n\r\n", b"FIND / HTTP/1.1", b"FIND * ",
             b"FIND HTTP://x", b"FIND http:", b"FIND x", b"FIND ",
             b"\r\n\r\nGET / HTTP/1.1\r\n\r\n", b"GET", b"G", b"HTTP", b"HTTP/1.1 20", b"HTTP/2 200 OK\r\n\r\n")
    for line in lines:
        yield from Talk().client(line)
        yield from talk.client(line)


def tokens() -> Frames:
    """Methods with each byte in each of the words that they are looked at by, and of each length before each target."""
    for at, byte in itertools.product((0, 1, 9, 23), range(256)):
        yield from Talk().client(b"A" * at + bytes([byte]) + b"Z /x HTTP/1.1\r\n\r\n")
    for length, target in itertools.product(range(1, 27), (b"/", b"*", b"h", b"H", b"x", b"")):
        yield from Talk().client(b"M" * length + b" " + target + b" HTTP/1.1\r\n\r\n")


def splits() -> Frames:
    """A request split at every byte, and a response as well; each on its own connection."""
    for at in range(1, len(GET)):
        talk = Talk()
        yield from talk.client(GET[:at], GET[at:])
        yield from talk.server(OK[:at], OK[at:])


def byte_by_byte() -> Frames:
    """One byte per segment, both ways."""
    talk = Talk()
    yield talk.frame(0, b"", flags=SYN)
    yield from talk.client(*(bytes([byte]) for byte in GET))
    yield from talk.server(*(bytes([byte]) for byte in OK))
    yield from talk.client(GET)


def long_head() -> Frames:
    """A head of 8 KB over many segments, and one of 3.4 KB in one segment."""
    head = b"GET /long HTTP/1.1\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"v" * 90) for n in range(80)) + b"\r\n"
    talk = Talk()
    yield from talk.client(*(head[at:at + 1448] for at in range(0, len(head), 1448)))
    yield from talk.server(OK)
    yield from Talk().client(head[:3400])


def pipelined() -> Frames:
    """Forty requests in one segment; their answers over several, the next ones while it waits."""
    talk = Talk()
    request = b"GET /%d HTTP/1.1\r\nHost: pipeline.example\r\n\r\n"
    yield from talk.client(b"".join(request % n for n in range(40)))
    answers = OK * 40
    yield from talk.server(*(answers[at:at + 700] for at in range(0, len(answers), 700)))
    yield from talk.client(GET, GET)
    yield from talk.server(OK + OK)


def bodies() -> Frames:
    """Bodies that look like messages, in the same segment as their head and behind it."""
    talk = Talk()
    post = b"POST /form HTTP/1.1\r\nContent-Length: %d\r\n\r\n"
    yield from talk.client(post % len(GET) + GET)
    yield from talk.server(OK)
    yield from talk.client(post % 5000, GET, b"x" * 1400, b"\r\n\r\n" + GET)
    yield from talk.server(b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n", b"y" * 1448, OK, b"y" * 1448)
    yield from talk.client(b"PUT /up HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
    yield from talk.server(b"HTTP/1.1 100 Continue\r\n\r\n")
    yield from talk.client(b"body is 9" + GET)
    yield from talk.server(OK, OK)


def line_ends() -> Frames:
    """Where the first line and the head end, at each place in a word of eight bytes; what follows tells who saw it."""
    ends = (b"\r\n\r\n", b"\n\r\n", b"\n\n", b"\r\nA: b\r\n\r\n", b"\r\nA: b\n\r\n", b"\r\n\n\r\n\r\n", b"\r\n\r\r\n")
    for method, length, end in itertools.product((b"POST", b"PATCHED"), range(18), ends):
        for rest in (b"", b"GET", b"a=b"):
            talk = Talk()
            line = method + b" /" + b"x" * length + b" HTTP/1.1"
            yield from talk.client(line + end + rest, b"more")
            yield from Talk().client(line)  # what was there before must not end it
            yield from talk.server(b"HTTP/1.1 204 No Content\r\n\r\n", b"is followed if a second request was seen")


def repeats() -> Frames:
    """Retransmissions whole, longer and shorter than the first time, reordering, and a ninth head in between."""
    talk = Talk()
    first = talk.next[0]
    yield from talk.client(GET)
    yield talk.frame(0, GET, seq=first)
    yield talk.frame(0, GET + GET, seq=first)
    yield talk.frame(0, GET[:20], seq=first)
    late = talk.next[0]
    talk.next[0] += len(GET)
    yield from talk.client(GET)
    yield talk.frame(0, GET, seq=late)
    for _ in range(10):
        yield from talk.client(GET)
        yield from talk.server(OK)
    yield talk.frame(0, GET, seq=first)
    for ago in range(1, 11):
        yield talk.frame(0, GET, seq=talk.next[0] - ago * len(GET))


def repeats_with_more() -> Frames:
    """A second sighting of a head that brings new bytes is no pipelining; one that brings none is a duplicate."""
    talk = Talk()
    first = talk.next[0]
    yield from talk.client(GET[:20])
    yield talk.frame(0, GET, seq=first)
    yield from talk.server(OK.ljust(2000))
    talk = Talk()
    first = talk.next[0]
    post = b"POST / HTTP/1.1\r\nContent-Length: 60\r\n\r\n"
    yield from talk.client(post, b"1" * 30, b"2" * 30)
    yield talk.frame(0, b"1" * 30, seq=first + len(post))
    yield talk.frame(0, post + b"1" * 30 + b"2" * 30, seq=first)
    yield talk.frame(0, post + b"1" * 30 + b"2" * 31, seq=first)


def followed() -> Frames:
    """What comes behind a head is followed up to a bound, after each method, ended or not, and after a short start."""
    for method in (*METHODS, b"ANY"):
        for end in (b"", b"\r\n", b"\r\n\r\n", b"\r\n\r\nbody", b"\r\n\r\nBODY", b"\r\n\r\nbody\r\n\r\n"):
            talk = Talk()
            yield from talk.client(method + b" / HTTP/1.1\r\nHost: a" + end, *[b"z" * 1024] * 17)
            yield from talk.server(OK.ljust(1100), b"more")
            yield from talk.client(b"unasked")
    for start in (b"ABC", b"G", b"ABC ", b"ABC /long"):
        yield from Talk().client(start, *[b"z" * 512] * 5)
        yield from Talk().client(start, b"z" * 2047, b"y", b"x")
    yield from Talk().client(b"POST / HTTP/1.1\r\n\r\n", *[b"z" * 1024] * 15, b"z" * 1023, b"y", b"x")
    talk = Talk()
    yield from talk.client(GET + GET)
    yield from talk.server(OK, *[b"z" * 2048] * 33)


def wrap() -> Frames:
    """Sequence numbers that wrap around in a head, and between heads."""
    for isn in (0xFFFFFFFF, 0xFFFFFFF0, 0x7FFFFFF0):
        talk = Talk(isn=isn)
        yield talk.frame(0, b"", flags=SYN)
        yield from talk.client(GET[:9], GET[9:])
        yield from talk.server(OK)
        yield from talk.client(GET)
        yield talk.frame(0, GET, seq=(talk.next[0] - len(GET)) & 0xFFFFFFFF)


def data_on_syn() -> Frames:
    """TCP fast open: the request is on the SYN; a second SYN forgets the flow."""
    talk = Talk()
    yield talk.frame(0, GET, flags=SYN)
    yield talk.frame(1, OK, flags=SYN | ACK)
    yield talk.frame(0, GET, flags=SYN, seq=talk.next[0])


def fin_with_data() -> Frames:
    """The last segment carries data and FIN; RST with data; FIN of a flow that never spoke HTTP."""
    talk = Talk()
    yield from talk.client(GET)
    yield talk.frame(1, OK, flags=FIN | PSH | ACK)
    yield talk.frame(0, b"GET / HTTP/1.1\r\n", flags=RST | ACK)
    yield Talk().frame(0, b"nothing", flags=FIN | ACK)
    yield Talk().frame(0, b"", flags=FIN | ACK)


def unreadable() -> Frames:
    """TLS and HTTP/2 are counted once for a flow and then left alone, until a SYN begins another one."""
    for first in (CLIENT_HELLO, PREFACE):
        talk = Talk()
        yield from talk.client(first, first, GET)
        yield from talk.server(OK, b"\x17\x03\x03" + bytes(100))
        yield talk.frame(0, b"", flags=FIN | ACK)
        yield talk.frame(0, b"", flags=SYN)
        yield from talk.client(GET)
    yield from Talk().client(CLIENT_HELLO[:5], CLIENT_HELLO[:6], PREFACE[:15], PREFACE[:16])
    yield from Talk().client(GET, CLIENT_HELLO, GET)


def ip_options() -> Frames:
    """IPv4 with options of every length, TCP with options."""
    for words in range(1, 11):
        talk = Talk()
        yield ethernet(ETH_IP4, ipv4(*talk.addresses, talk.segment(0, GET), options=b"\x01" * 4 * words))
    talk = Talk()
    yield ethernet(ETH_IP4, ipv4(*talk.addresses, frames.tcp(*talk.ports, 1, GET, options=b"\x01" * 40)))


def ip6_extensions() -> Frames:
    """The extension headers that may come before TCP, alone, together, too many, and a protocol that is not TCP."""
    hop, routing, destination = ((n, extension(1)) for n in (frames.HOP_BY_HOP, frames.ROUTING, frames.DESTINATION))
    authentication = (frames.AUTHENTICATION, bytes([4]) + bytes(22))
    atomic = (frames.FRAGMENT, bytes(7))
    for chain in ((hop,), (routing,), (destination,), (authentication,), (atomic,), (hop, destination, routing),
                  (hop, destination, routing, atomic, authentication, destination), (destination,) * 6,
                  (destination,) * 7, ((frames.FRAGMENT, b"\0\0\x01" + bytes(4)),),
                  ((frames.FRAGMENT, b"\0\0\x08" + bytes(4)),), ((50, extension()),)):
        talk = Talk(v6=True)
        yield ethernet(ETH_IP6, ipv6(*talk.addresses, talk.segment(0, GET), extensions=chain))
        yield ethernet(ETH_IP6, ipv6(*talk.addresses, talk.segment(0, GET), extensions=chain, protocol=frames.UDP))


def tags() -> Frames:
    """One, two and three VLAN tags; MPLS labels, one to five."""
    for vlans in (((0x8100, 5),), ((0x88A8, 5), (0x8100, 6)), ((0x9100, 1), (0x8100, 2)), ((0x8100, 1),) * 3):
        for v6 in (False, True):
            talk = Talk(v6=v6)
            yield ethernet(ETH_IP6 if v6 else ETH_IP4, talk.packet(0, talk.segment(0, GET)), vlans)
    for labels in range(1, 6):
        for v6 in (False, True):
            talk = Talk(v6=v6)
            stack = b"\0\x01\0\x40" * (labels - 1) + b"\0\x01\x01\x40"
            yield ethernet(0x8847, stack + talk.packet(0, talk.segment(0, GET)), ((0x8100, 3),) * (labels == 2))
    yield ethernet(0x8848, b"\0\x01\x01\x40" + b"\x70" * 40)


def padding_and_lengths() -> Frames:
    """Ethernet padding is no payload; length 0 means the whole packet; lengths that lie; fragments."""
    talk = Talk()
    yield ethernet(ETH_IP4, talk.packet(0, talk.segment(0, b"GE")))
    yield from talk.client(b"T / HTTP/1.1\r\n\r\n")
    for total in (0, 20, 39, 40, 41, 60, 3000, 65535):
        talk = Talk()
        yield ethernet(ETH_IP4, ipv4(*talk.addresses, talk.segment(0, GET), total=total))
        talk = Talk(v6=True)
        yield ethernet(ETH_IP6, ipv6(*talk.addresses, talk.segment(0, GET), total=total))
    for fragment in (0x2000, 0x0001, 0x2010, 0x4000, 0x8000):
        talk = Talk()
        yield ethernet(ETH_IP4, ipv4(*talk.addresses, talk.segment(0, GET), fragment=fragment))


def broken() -> Frames:
    """A good frame cut at every length, and with each header byte wrong in turn."""
    for v6 in (False, True):
        talk = Talk(v6=v6)
        ethertype = ETH_IP6 if v6 else ETH_IP4
        packet = talk.packet(0, talk.segment(0, GET))
        for length in range(len(packet)):
            # Behind a tag: TEST_RUN itself refuses a frame with less than an IP header.
            yield ethernet(ethertype, packet[:length], ((frames.ETH_VLAN, 1),), pad_to=0)
        for at, value in itertools.product(range(len(packet) - len(GET)), (0, 0x0F, 0x80, 0xFF)):
            yield ethernet(ethertype, packet[:at] + bytes([value]) + packet[at + 1:])


def not_ours() -> Frames:
    """ARP, UDP with a request in it, and an 802.3 length."""
    yield ethernet(frames.ETH_ARP, bytes(28))
    yield ethernet(ETH_IP4, ipv4("10.0.0.1", "10.0.0.2", b"\0\x50\0\x50\0\0\0\0" + GET, protocol=frames.UDP))
    yield ethernet(100, bytes(100))


def large_segments() -> Frames:
    """Segments as large as TEST_RUN takes: data in pieces, at both ends of the loops."""
    for size in (2047, 2048, 2049, 3000, 3500):
        talk = Talk()
        yield from talk.client((b"POST /big HTTP/1.1\r\n\r\n").ljust(size, b"b"), b"c" * size, b"d" * size)
        yield from talk.server(OK.ljust(size, b"e"))
        talk = Talk()
        yield from talk.client((GET * 100)[:size], (GET * 100)[size:2 * size])
        yield from talk.server((OK * 100)[:size])


def random_talk() -> Frames:
    """Two hundred short conversations by dice: pieces of messages, cut, repeated, reordered, ended."""
    dice = random.Random(7)
    pieces = (GET, OK, GET + GET, OK + OK, GET[:17], OK[:11], b"POST / HTTP/1.1\r\n\r\n", b"data" * 300, b"\r\n\r\n",
              b"HTTP/1.1 100 Continue\r\n\r\n", b"ABC / HTTP/1.1\r\n\r\n", b"ABC", b"ABC ", b"x", CLIENT_HELLO)
    for _ in range(200):
        talk = Talk(v6=dice.random() < 0.3, isn=dice.choice((1, 0xFFFFFF80)))
        for _ in range(dice.randrange(2, 12)):
            sender = dice.randrange(2)
            flags = dice.choices((ACK, SYN, FIN | ACK, RST), (20, 1, 1, 1))[0]
            again = (talk.next[sender] - dice.randrange(200)) & 0xFFFFFFFF if dice.random() < 0.2 else None
            yield talk.frame(sender, dice.choice(pieces), flags=flags, seq=again)


def ragged_lines() -> Frames:
    """Lines that end in LF or in CRLF anywhere within a word of memory, with and without an empty one."""
    dice = random.Random(11)
    lines = (b"GET / HTTP/1.1", b"ABC /x HTTP/1.1", b"ABC x HTTP/1.0", b"POST /a HTTP/1.1", b"ABC y", b"word and more")
    pieces = (b"\r\n", b"\n", b"\r", b"A", b"a: b", b"abcabcabc", b"\r\n\r\n", b"\n\n", b"GET / HTTP/1.1\r\n")
    for _ in range(2000):
        talk = Talk()
        for sender in (0, 1, 0):
            yield talk.frame(sender, dice.choice(lines) + b"".join(dice.choices(pieces, k=dice.randrange(20))))


SCENES: tuple[Scene, ...] = (
    plain, plain_v6, methods, other_methods, line_ends, splits, byte_by_byte, long_head, pipelined, bodies, repeats,
    repeats_with_more, followed, wrap, data_on_syn, fin_with_data, unreadable, ip_options, ip6_extensions, tags,
    padding_and_lengths, broken, not_ours, large_segments, random_talk,
    ragged_lines, tokens,
)
