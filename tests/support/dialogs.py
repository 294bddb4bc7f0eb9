"""Conversations and the exchanges that are in them: played to the reference path, and injected into a live interface.

What is expected is written down from RFC 9112 and from what the client and the server of the dialog know, never from
what httptop says.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.support import frames
from tests.support.frames import ACK, ETH_IP4, ETH_IP6, FIN, PSH, RST, SYN, Talk, ethernet, extension, ipv4, ipv6

Row = tuple["str | None", str, "int | None", "int | None"]
"""method, target, status, response bytes"""

GET = b"GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GOT: Row = ("GET", "/a", 200, len(OK))
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
MSS = 1448
WEBSOCKET = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def get(target: object, method: str = "GET", *fields: bytes) -> bytes:
    """A request without a body."""
    return f"{method} {target} HTTP/1.1\r\nHost: a.example\r\n".encode() + b"".join(f + b"\r\n" for f in fields) + b"\r\n"


def post(target: object, body: bytes, method: str = "POST") -> bytes:
    """A request with a body of known length."""
    return get(target, method, b"Content-Length: %d" % len(body)) + body


def ok(body: bytes, status: str = "200 OK") -> bytes:
    """A response with a body of known length."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def chunks(*parts: bytes) -> bytes:
    """A chunked body."""
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (*parts, b""))


def cut(data: bytes, size: int) -> list[bytes]:
    """Pieces of `size` bytes."""
    return [data[at : at + size] for at in range(0, len(data), size)]


def end_text(address: str, port: int) -> str:
    """As the log names it."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class Dialog(Talk):
    """A connection whose frames go to its script, and what is expected of it."""

    def __init__(self, script: Script, *, v6: bool = False, isn: int = 1000,
                 link: Callable[[Dialog, int, bytes], bytes] | None = None) -> None:
        super().__init__(v6=v6, isn=isn)
        self.rows: list[Row] = []
        self.script = script
        self._link = link

    @property
    def ends(self) -> tuple[str, str]:
        """Client and server as the log names them."""
        client, server = map(end_text, self.addresses, self.ports)
        return client, server

    def frame(self, sender: int, payload: bytes, *, flags: int = ACK, seq: int | None = None) -> bytes:
        """As Talk's, with the headers that this dialog has."""
        if self._link is None:
            return super().frame(sender, payload, flags=flags, seq=seq)
        return self._link(self, sender, self.segment(sender, payload, flags=flags, seq=seq))

    def say(self, sender: int, payload: bytes, *, flags: int = ACK, seq: int | None = None) -> None:
        """One segment."""
        self.script.frames.append(self.frame(sender, payload, flags=flags, seq=seq))

    def ask(self, *payloads: bytes) -> None:
        """Segments of the client."""
        for payload in payloads:
            self.say(0, payload)

    def answer(self, *payloads: bytes) -> None:
        """Segments of the server."""
        for payload in payloads:
            self.say(1, payload)

    def lose(self, sender: int, payload: bytes) -> None:
        """A segment that nobody captured."""
        self.frame(sender, payload)

    def expect(self, *rows: Row) -> None:
        """The next exchanges of this connection, in order of their requests."""
        self.rows += rows

    def exchange(self, request: bytes = GET, response: bytes = OK, row: Row = GOT) -> None:
        """One of a segment each."""
        self.ask(request)
        self.answer(response)
        self.expect(row)


class Script:
    """What a case puts on the wire, in order. `counts`: what it adds to `skipped` and `losses`, where it does."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.dialogs: list[Dialog] = []
        self.counts: dict[str, int] = {}

    def dialog(self, *, v6: bool = False, isn: int = 1000,
               link: Callable[[Dialog, int, bytes], bytes] | None = None) -> Dialog:
        """Another connection."""
        self.dialogs.append(Dialog(self, v6=v6, isn=isn, link=link))
        return self.dialogs[-1]

    def count(self, **counts: int) -> None:
        """Expect these under their names."""
        for name, number in counts.items():
            self.counts[name] = self.counts.get(name, 0) + number


Case = Callable[[Script], None]


# -- below TCP --------------------------------------------------------------------------------------------------------


def ipv4_options(script: Script) -> None:
    """IPv4 headers of every length."""
    for words in range(1, 11):
        def link(talk: Dialog, sender: int, segment: bytes, options: bytes = b"\1" * 4 * words) -> bytes:
            return ethernet(ETH_IP4, ipv4(talk.addresses[sender], talk.addresses[1 - sender], segment, options=options))
        script.dialog(link=link).exchange()


def ipv6_extensions(script: Script) -> None:
    """Hop-by-hop options, routing and destination options, alone and together."""
    hop, routing, options = ((number, extension(1)) for number in (frames.HOP_BY_HOP, frames.ROUTING,
                                                                   frames.DESTINATION))
    for chain in ((hop,), (routing,), (options,), (hop, options, routing, options)):
        def link(talk: Dialog, sender: int, segment: bytes,
                 chain: tuple[tuple[int, bytes], ...] = chain) -> bytes:
            return ethernet(ETH_IP6, ipv6(talk.addresses[sender], talk.addresses[1 - sender], segment,
                                          extensions=chain))
        script.dialog(v6=True, link=link).exchange()


def vlan_tags(script: Script) -> None:
    """One and two VLAN tags, over both versions of IP."""
    for vlans in (((0x8100, 5),), ((0x88A8, 5), (0x8100, 6)), ((0x8100, 5), (0x8100, 6))):
        for v6 in (False, True):
            def link(talk: Dialog, sender: int, segment: bytes, vlans: tuple[tuple[int, int], ...] = vlans,
                     ethertype: int = ETH_IP6 if v6 else ETH_IP4) -> bytes:
                return ethernet(ethertype, talk.packet(sender, segment), vlans)
            script.dialog(v6=v6, link=link).exchange()


def padding(script: Script) -> None:
    """Short segments in frames that are padded to 60 bytes: what is padded is no payload."""
    talk = script.dialog()
    talk.ask(*cut(GET, 2))
    talk.answer(*cut(OK, 3))
    talk.expect(GOT)
    talk.exchange()


def super_packets_without_length(script: Script) -> None:
    """IP length 0, as a network card gets large packets that it is to cut: all that is there counts."""
    def link4(talk: Dialog, sender: int, segment: bytes) -> bytes:
        return ethernet(ETH_IP4, ipv4(talk.addresses[sender], talk.addresses[1 - sender], segment, total=0), pad_to=0)

    def link6(talk: Dialog, sender: int, segment: bytes) -> bytes:
        return ethernet(ETH_IP6, ipv6(talk.addresses[sender], talk.addresses[1 - sender], segment, total=0), pad_to=0)

    script.dialog(link=link4).exchange()
    script.dialog(v6=True, link=link6).exchange()


def fragments(script: Script) -> None:
    """A request in IP fragments is counted as fragments, over both versions of IP, and the flow goes on."""
    talk = script.dialog()
    for fragment in (0x2000, 0x0002):
        script.frames.append(ethernet(ETH_IP4, ipv4(*talk.addresses, talk.segment(0, GET, seq=5), fragment=fragment)))
    talk.exchange()
    talk = script.dialog(v6=True)
    for offset in (b"\0\0\1", b"\0\0\x10"):
        script.frames.append(ethernet(ETH_IP6, ipv6(*talk.addresses, talk.segment(0, GET, seq=5), extensions=(
            (frames.FRAGMENT, offset + bytes(4)),))))
    talk.exchange()
    script.count(fragments=4)


def data_on_syn(script: Script) -> None:
    """TCP fast open: the request is on the SYN, which may be sent again; its answer may be on the SYN+ACK."""
    talk = script.dialog()
    talk.say(0, GET, flags=SYN)
    talk.say(0, GET, flags=SYN, seq=1000)
    talk.say(1, b"", flags=SYN | ACK)
    talk.answer(OK)
    talk.expect(GOT)
    talk.exchange()
    talk = script.dialog()
    talk.say(0, GET, flags=SYN)
    talk.say(1, OK, flags=SYN | ACK)
    talk.expect(GOT)
    script.count(duplicates=1)


# -- segmentation -----------------------------------------------------------------------------------------------------


def request_line_split_anywhere(script: Script) -> None:
    """A head cut at every byte, of well-known and of other methods, asked on a new connection and on a kept one."""
    for method in ("GET", "PROPFIND"):
        head = get("/split?x=1", method)
        row: Row = (method, "/split?x=1", 200, len(OK))
        for at in range(1, len(head)):
            talk = script.dialog()
            for _ in range(2):
                talk.ask(head[:at], head[at:])
                talk.answer(OK)
                talk.expect(row)


def response_split_anywhere(script: Script) -> None:
    """A response cut at every byte."""
    for at in range(1, len(OK)):
        talk = script.dialog()
        for _ in range(2):
            talk.ask(GET)
            talk.answer(OK[:at], OK[at:])
            talk.expect(GOT)


def one_byte_per_segment(script: Script) -> None:
    """Request and response, twice; then a chunked answer."""
    talk = script.dialog()
    for _ in range(2):
        talk.ask(*cut(GET, 1))
        talk.answer(*cut(OK, 1))
        talk.expect(GOT)
    talk.ask(*cut(GET, 1))
    talk.answer(*cut(CHUNKED + chunks(b"abc", b"defg"), 1))
    talk.exchange()
    talk.rows.insert(2, ("GET", "/a", 200, len(CHUNKED + chunks(b"abc", b"defg"))))


def head_of_8_kb(script: Script) -> None:
    """Requests and responses whose heads run over many segments, on one connection."""
    fields = [b"X-%d: %s" % (n, b"v" * 90) for n in range(85)]
    head = get("/long", "GET", *fields)
    answer = b"HTTP/1.1 200 OK\r\n" + b"\r\n".join(fields) + b"\r\nContent-Length: 2\r\n\r\nok"
    talk = script.dialog()
    for size in (MSS, 100, len(head)):
        talk.ask(*cut(head, size))
        talk.answer(*cut(answer, size))
        talk.expect(("GET", "/long", 200, len(answer)))
    talk.ask(head[:2], *cut(head[2:], MSS))
    talk.answer(*cut(answer, MSS))
    talk.expect(("GET", "/long", 200, len(answer)))
    talk.exchange()


def long_heads_of_answers(script: Script) -> None:
    """Heads of 1.5 and 3 KB with and without a body: longer than what is delivered of an answer."""
    for count, size in ((15, 2000), (15, 500), (30, MSS)):
        fields = b"\r\n".join(b"X-%d: %s" % (n, b"v" * 90) for n in range(count))
        talk = script.dialog()
        for method, status, more in (("GET", 200, b"Content-Length: 5\r\n\r\nhello"),
                                     ("HEAD", 200, b"Content-Length: 5\r\n\r\n"),
                                     ("GET", 304, b"Content-Length: 5\r\n\r\n"), ("DELETE", 204, b"\r\n"),
                                     ("GET", 200, b"Transfer-Encoding: chunked\r\n\r\n" + chunks(OK))):
            answer = b"HTTP/1.1 %d Word\r\n%s\r\n%s" % (status, fields, more)
            talk.ask(get("/x", method))
            talk.answer(*cut(answer, size))
            talk.expect((method, "/x", status, len(answer)))
        talk.exchange()
        talk.ask(get("/last"))
        answer = b"HTTP/1.1 200 Word\r\nContent-Length: 9\r\n%s\r\n\r\nlast body" % fields
        talk.answer(*cut(answer, size))
        talk.say(1, b"", flags=FIN | ACK)
        talk.expect(("GET", "/last", 200, len(answer)))


def forty_in_a_segment(script: Script) -> None:
    """Forty pipelined requests in one segment, answered in pieces of any size."""
    for size in (1, 7, 700, 5000):
        talk = script.dialog()
        talk.ask(*cut(b"".join(get(f"/{n}") for n in range(40)), 5000))
        answers = [ok(b"x" * n) for n in range(40)]
        talk.answer(*cut(b"".join(answers), size))
        talk.expect(*(("GET", f"/{n}", 200, len(answers[n])) for n in range(40)))


def pipelined_in_segments(script: Script) -> None:
    """Requests sent ahead in segments of their own and across them; answers of every framing."""
    talk = script.dialog()
    asked = [get("/1"), post("/2", GET), get("/3", "HEAD"), get("/4"), get("/5", "DELETE")]
    answers = [ok(b"1" * 3000), CHUNKED + chunks(OK, b"2" * 2000), b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
               b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"]
    for size in (len(asked[0]), 17):
        talk.ask(*cut(b"".join(asked), size))
        talk.answer(*cut(b"".join(answers), MSS))
        talk.expect(*((method, f"/{n}", status, len(answer)) for n, (method, status, answer) in enumerate(
            zip(("GET", "POST", "HEAD", "GET", "DELETE"), (200, 200, 200, 304, 204), answers, strict=True), 1)))


def begins_in_the_middle(script: Script) -> None:
    """A request that starts in the middle of a segment, behind a body; so does its response."""
    talk = script.dialog()
    body = b"b" * 2000
    first = post("/up", body)
    talk.ask(first[:MSS], first[MSS:] + GET)
    talk.answer(ok(body)[:MSS], ok(body)[MSS:] + OK)
    talk.expect(("POST", "/up", 200, len(ok(body))), GOT)
    talk = script.dialog()
    upload = get("/up", "PUT", b"Transfer-Encoding: chunked") + chunks(body, body)
    talk.ask(*cut(upload + GET, MSS))
    talk.answer(OK + OK)
    talk.expect(("PUT", "/up", 200, len(OK)), GOT)


# -- bodies -----------------------------------------------------------------------------------------------------------


def bodies_like_messages(script: Script) -> None:
    """Bodies by Content-Length and chunked whose text is a request or a status line, also where a segment begins."""
    for size in (MSS, 200, 37):
        talk = script.dialog()
        fakes = GET + OK + get("/fake") + b"x" * (size - len(get("/fake"))) if size > 37 else GET + OK
        for body in (fakes, GET * 30, OK * 30, b"z" * 500 + OK):
            asked, answer = post("/form", body), ok(body)
            talk.ask(*head_apart(asked, size))
            talk.answer(*head_apart(answer, size))
            talk.expect(("POST", "/form", 200, len(answer)))
            asked = get("/put", "PUT", b"Transfer-Encoding: chunked") + chunks(body, body)
            answer = CHUNKED + chunks(body)
            talk.ask(*head_apart(asked, size))
            talk.answer(*head_apart(answer, size))
            talk.expect(("PUT", "/put", 200, len(answer)))
        talk.exchange()


def head_apart(message: bytes, size: int) -> list[bytes]:
    """The head in a segment of its own, so that the body begins one; it goes on in pieces of `size`."""
    end = message.index(b"\r\n\r\n") + 4
    return [message[:end], *cut(message[end:], size)]


def long_bodies_like_messages(script: Script) -> None:
    """The same far beyond what is followed: 100 KB of bodies, each segment of which begins like a message."""
    talk = script.dialog()
    for fake in (GET, OK):
        segment = fake.ljust(MSS, b".")
        for request, answer in (
            (post("/up", segment * 70), OK),
            (get("/up", "POST", b"Transfer-Encoding: chunked"), OK),
            (get("/up", "POST"), ok(segment * 70)),
            (get("/up", "POST"), CHUNKED + chunks(segment * 70)),
        ):
            parts = head_apart(request, MSS)
            talk.ask(*parts)
            if b"chunked" in request:
                talk.ask(b"%x\r\n" % (70 * MSS), *[segment] * 70, b"\r\n0\r\n\r\n")
            end = answer.index(b"\r\n\r\n") + 4
            size_line = answer.index(b"\r\n", end) + 2 if b"chunked" in answer else end
            talk.answer(answer[:size_line], *cut(answer[size_line:], MSS))
            talk.expect(("POST", "/up", 200, len(answer)))
    talk.exchange()


def without_body(script: Script) -> None:
    """1xx, HEAD, 204 and 304 have no body, whatever they announce."""
    talk = script.dialog()
    talk.ask(get("/up", "PUT", b"Expect: 100-continue", b"Content-Length: 4"))
    talk.answer(b"HTTP/1.1 100 Continue\r\n\r\n")
    talk.ask(b"body")
    talk.answer(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", OK)
    talk.expect(("PUT", "/up", 200, len(OK)))
    for method, head in (("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
                         ("HEAD", b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n"),
                         ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n"),
                         ("DELETE", b"HTTP/1.1 204 No Content\r\n\r\n")):
        talk.exchange(get("/x", method), head, (method, "/x", int(head[9:12]), len(head)))
    talk.ask(get("/y"))
    talk.answer(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + NOT_FOUND)
    talk.expect(("GET", "/y", 404, len(NOT_FOUND)))


def refused_expectation(script: Script) -> None:
    """A body that was announced and never sent, for the answer was 417: the next request begins where it would."""
    talk = script.dialog()
    talk.ask(get("/up", "PUT", b"Expect: 100-continue", b"Content-Length: 4000"))
    talk.answer(ok(b"", "417 Expectation Failed"))
    talk.expect(("PUT", "/up", 417, len(ok(b"", "417 Expectation Failed"))))
    talk.exchange()


def until_close(script: Script) -> None:
    """Responses without a length end with the connection: FIN alone, FIN with data, and the other version of HTTP."""
    head = b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n"
    for parts, flags in (((head, b"x" * 1000, b""), FIN | ACK), ((head + b"x" * 999, b"x"), FIN | PSH | ACK),
                         ((head + b"x" * 900, b"x" * 100, b""), FIN | ACK), ((*cut(head, 10), OK * 20, b""), FIN | ACK)):
        talk = script.dialog()
        talk.ask(get("/old"))
        talk.answer(*parts[:-1])
        talk.say(1, parts[-1], flags=flags)
        talk.say(0, b"", flags=FIN | ACK)
        talk.expect(("GET", "/old", 200, len(b"".join(parts))))


# -- tunnels ----------------------------------------------------------------------------------------------------------


def connect(script: Script) -> None:
    """After CONNECT succeeded what passes is not this connection's HTTP; after it failed it is."""
    talk = script.dialog()
    answer = b"HTTP/1.1 200 Connection established\r\n\r\n"
    talk.ask(b"CONNECT b.example:443 HTTP/1.1\r\nHost: b.example:443\r\n\r\n")
    talk.answer(answer)
    talk.expect(("CONNECT", "b.example:443", 200, len(answer)))
    inside(talk)
    talk = script.dialog()
    talk.exchange(b"CONNECT b.example:443 HTTP/1.1\r\n\r\n", NOT_FOUND,
                  ("CONNECT", "b.example:443", 404, len(NOT_FOUND)))
    talk.exchange()


def upgrade(script: Script) -> None:
    """After 101 the connection speaks something else; after a refusal it goes on."""
    talk = script.dialog()
    talk.exchange()
    talk.exchange(WEBSOCKET, SWITCHING + b"\x81\x02hi", ("GET", "/ws", 101, len(SWITCHING)))
    inside(talk)
    talk = script.dialog()
    talk.exchange(WEBSOCKET, OK, ("GET", "/ws", 200, len(OK)))
    talk.exchange()


def inside(talk: Dialog) -> None:
    """What looks like HTTP in a tunnel, to its end."""
    for _ in range(3):
        talk.ask(GET)
        talk.answer(OK)
    talk.ask(GET + GET)
    talk.say(1, OK, flags=FIN | ACK)
    talk.say(0, b"", flags=FIN | ACK)


# -- request lines ----------------------------------------------------------------------------------------------------


def target_forms(script: Script) -> None:
    """Absolute-form, authority-form, asterisk-form, a target with a space, an empty query."""
    talk = script.dialog()
    for line in ("GET http://b.example:8080/p/q?r=1", "OPTIONS *", "GET /a%20b?", "GET /with space/x",
                 "GET http://b.example", "CONNECT c.example:1"):
        method, _, target = line.partition(" ")
        talk.exchange(f"{line} HTTP/1.1\r\nHost: a.example\r\n\r\n".encode(), NOT_FOUND,
                      (method, target, 404, len(NOT_FOUND)))


METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "PROPFIND", "MKCOL", "LOCK", "COPY",
           "REPORT", "VERSION-CONTROL", "QUERY", "PURGE", "M-SEARCH", "BREW", "get", "Post", "x", "!#$%&'*+-.^_`|~",
           "A-TOKEN-OF-24-CHARACTERS")


def methods(script: Script) -> None:
    """Any token, in any case, once it has a valid request line; on one connection and first on its own."""
    kept = script.dialog()
    answer = ok(b"", "200 OK")
    for method in METHODS:
        row: Row = (method, "/m", 200, len(answer))
        kept.exchange(get("/m", method), answer, row)
        script.dialog().exchange(get("/m", method), answer, row)


def no_requests(script: Script) -> None:
    """Lines of other protocols are none."""
    for line in (b"HELO mail.example\r\n", b"NOTIFY sip:x SIP/2.0\r\n\r\n", b"BAD(METHOD / HTTP/1.1\r\n\r\n",
                 b"get key\r\n", b"*1\r\n$4\r\nPING\r\n", b"OPTIONS sip:a SIP/2.0\r\n\r\n", b"GET key\r\n",
                 b"DELETE FROM x\r\n", b"A" * 25 + b" / HTTP/1.1\r\n\r\n"):
        talk = script.dialog()
        talk.ask(line, line)
        talk.answer(b"+OK\r\n", b"HTTP/2.0 200\r\n\r\n")


# -- order, repetition and loss ---------------------------------------------------------------------------------------


def retransmissions(script: Script) -> None:
    """Whole, in part, longer than the first time, late, and of what was split: counted once."""
    talk = script.dialog()
    at = talk.next[:]
    talk.exchange()
    talk.say(0, GET, seq=at[0])
    talk.say(1, OK, seq=at[1])
    talk.exchange()
    talk.say(0, GET, seq=at[0])
    talk.say(0, GET[:10], seq=at[0] + len(GET))
    split = talk.next[0]
    talk.ask(GET[:12])
    talk.say(0, GET[:12], seq=split)
    talk.ask(GET[12:])
    talk.say(0, GET, seq=split)
    talk.say(0, GET[12:], seq=split + 12)
    talk.answer(OK)
    talk.expect(GOT)
    longer = talk.next[0]
    talk.ask(GET[:20])
    talk.say(0, GET, seq=longer)
    talk.next[0] = longer + len(GET)
    talk.answer(OK)
    talk.expect(GOT)
    talk.exchange()


def overlap(script: Script) -> None:
    """Segments that begin before the end of the last one, in a head, in a body, and with the next request behind."""
    talk = script.dialog()
    first = talk.next[0]
    talk.ask(GET[:20])
    talk.say(0, GET[10:] + GET, seq=first + 10)
    talk.next[0] = first + 2 * len(GET)
    talk.answer(OK)
    talk.answer(OK)
    talk.expect(GOT, GOT)
    body = post("/up", b"b" * 300)
    first = talk.next[0]
    talk.ask(body[:200])
    talk.say(0, body[150:] + GET, seq=first + 150)
    talk.next[0] = first + len(body) + len(GET)
    talk.answer(OK, OK)
    talk.expect(("POST", "/up", 200, len(OK)), GOT)


def reordering(script: Script) -> None:
    """Segments of a head, of pipelined requests and of answers that overtake one another."""
    talk = script.dialog()
    parts = cut(GET, 10)
    at = talk.next[0]
    for n in (0, 2, 1, 3):
        talk.say(0, parts[n], seq=at + 10 * n)
    talk.next[0] = at + len(GET)
    talk.answer(OK)
    talk.expect(GOT)
    talk.exchange()
    talk = script.dialog()
    at = talk.next[0]
    asked = [get("/1"), get("/2"), get("/3")]
    talk.say(0, asked[0])
    talk.say(0, asked[2], seq=at + 2 * len(asked[0]))
    talk.say(0, asked[1], seq=at + len(asked[0]))
    talk.next[0] = at + 3 * len(asked[0])
    talk.answer(OK + OK + OK)
    talk.expect(*(("GET", f"/{n}", 200, len(OK)) for n in (1, 2, 3)))
    talk.exchange()
    talk = script.dialog()
    talk.ask(GET)
    at = talk.next[1]
    talk.say(1, OK[20:], seq=at + 20)
    talk.say(1, OK[:20], seq=at)
    talk.next[1] = at + len(OK)
    talk.exchange()
    talk.expect(GOT)


def reordering_of_answers(script: Script) -> None:
    """Each segment of pipelined answers is overtaken by the next one in turn, in bodies and where the next one begins."""
    answers = [ok(b"1" * 3000), CHUNKED + chunks(b"2" * 1000, OK, b"2" * 2000), ok(GET * 60), OK]
    rows: list[Row] = [("GET", f"/{n}", 200, len(answer)) for n, answer in enumerate(answers)]
    pieces = cut(b"".join(answers), 900)
    for late in range(1, len(pieces) - 1):
        talk = script.dialog()
        talk.ask(b"".join(get(f"/{n}") for n in range(len(answers))))
        at = talk.next[1]
        order = [*range(late), late + 1, late, *range(late + 2, len(pieces))]
        for n in order:
            talk.say(1, pieces[n], seq=at + 900 * n)
        talk.next[1] = at + len(b"".join(answers))
        talk.expect(*rows)
        talk.exchange()


def wrap_around(script: Script) -> None:
    """Sequence numbers that pass 2**32 at every place of a request and of its answer, and in a long body."""
    for back in range(0, len(GET) + 4, 3):
        talk = script.dialog(isn=-back & 0xFFFFFFFF)
        talk.next[1] = talk.next[0]
        talk.ask(GET[:15], GET[15:])
        talk.answer(OK[:25], OK[25:])
        talk.expect(GOT)
        talk.exchange()
    talk = script.dialog(isn=-5000 & 0xFFFFFFFF)
    talk.next[1] = talk.next[0]
    talk.ask(*cut(post("/up", GET * 300), MSS))
    talk.answer(*cut(ok(OK * 300), MSS))
    talk.expect(("POST", "/up", 200, len(ok(OK * 300))))
    talk.exchange()


def middle_of_a_connection(script: Script) -> None:
    """The capture begins in a body, in a head, and before an answer: what is whole is told, an answer alone as well."""
    talk = script.dialog()
    talk.ask(b"the rest of a body")
    talk.answer(OK)
    talk.expect((None, "", 200, len(OK)))
    talk.exchange()
    talk = script.dialog()
    talk.answer(OK[30:], NOT_FOUND)
    talk.expect((None, "", 404, len(NOT_FOUND)))
    talk.exchange()
    talk = script.dialog()
    talk.ask(GET[20:])
    talk.answer(OK)
    talk.expect((None, "", 200, len(OK)))
    talk.exchange()
    script.count(responses_alone=3)


def one_direction(script: Script) -> None:
    """Only requests, or only answers, were captured: each is told alone."""
    talk = script.dialog()
    for n in range(3):
        talk.ask(get(f"/{n}"))
        talk.lose(1, OK)
        talk.expect(("GET", f"/{n}", None, None))
    talk.say(0, b"", flags=FIN | ACK)
    talk = script.dialog()
    for _ in range(3):
        talk.lose(0, GET)
        talk.answer(OK)
        talk.expect((None, "", 200, len(OK)))
    script.count(unanswered=3, responses_alone=3)


def loss_in_bodies(script: Script) -> None:
    """Segments of bodies are missing, by Content-Length and chunked: the next messages are found."""
    body = b"b" * 5000
    for upload in (post("/up", body), get("/up", "POST", b"Transfer-Encoding: chunked") + chunks(body)):
        for download in (ok(body), CHUNKED + chunks(body)):
            for missing in (1, 2):
                talk = script.dialog()
                for sender, message in ((0, upload), (1, download)):
                    for n, part in enumerate(cut(message, MSS)):
                        talk.lose(sender, part) if n == missing else talk.say(sender, part)
                talk.expect(("POST", "/up", 200, len(download)))
                talk.exchange()


def loss_in_heads(script: Script) -> None:
    """The middle or the end of a head is missing: it counts by its first line, is reported, and the next one is found."""
    fields = [b"X-%d: %s" % (n, b"v" * 90) for n in range(20)]
    long = get("/long", "GET", *fields)
    for missing in ((1,), (2, 3), (3,)):
        talk = script.dialog()
        for n, part in enumerate(cut(long, 550)):
            talk.lose(0, part) if n in missing else talk.ask(part)
        talk.answer(OK)
        talk.expect(("GET", "/long", 200, len(OK)))
        talk.exchange()
    script.count(head_incomplete=3)


def loss_of_messages(script: Script) -> None:
    """A whole request is missing, then a whole answer: the other half is told alone."""
    talk = script.dialog()
    talk.exchange()
    talk.lose(0, GET)
    talk.answer(NOT_FOUND)
    talk.expect((None, "", 404, len(NOT_FOUND)))
    talk.exchange()
    talk.ask(get("/unanswered"))
    talk.lose(1, OK)
    talk.expect(("GET", "/unanswered", None, None))
    talk.exchange()
    script.count(responses_alone=1, unanswered=1)


# -- ends -------------------------------------------------------------------------------------------------------------


def unanswered(script: Script) -> None:
    """The server closes, resets or is reset instead of answering; so with several requests, and behind an answer."""
    for sender, flags in ((1, FIN | ACK), (1, RST), (0, RST | ACK)):
        talk = script.dialog()
        talk.exchange()
        talk.ask(get("/1"), get("/2"))
        talk.say(sender, b"", flags=flags)
        talk.expect(("GET", "/1", None, None), ("GET", "/2", None, None))
    script.count(unanswered=6)


def ports_used_again(script: Script) -> None:
    """A new connection with the same ports: what waited on the old one is given up."""
    talk = script.dialog()
    talk.exchange()
    talk.ask(get("/waits"))
    talk.expect(("GET", "/waits", None, None))
    talk.next[:] = (0x7000_0000, 0x3000_0000)
    talk.say(0, b"", flags=SYN)
    talk.say(1, b"", flags=SYN | ACK)
    talk.exchange()
    script.count(unanswered=1)


def half_closed(script: Script) -> None:
    """A client that has closed its side still gets its answer."""
    talk = script.dialog()
    talk.say(0, GET, flags=FIN | PSH | ACK)
    talk.answer(OK)
    talk.say(1, b"", flags=FIN | ACK)
    talk.expect(GOT)


CLIENT_HELLO = b"\x16\x03\x01\x00\x20\x01" + bytes(32)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)


def unreadable(script: Script) -> None:
    """TLS and HTTP/2 flows are counted once each, and what they say is never read."""
    for first in (CLIENT_HELLO, CLIENT_HELLO, PREFACE):
        talk = script.dialog()
        talk.say(0, b"", flags=SYN)
        talk.ask(first, first)
        talk.answer(OK, b"\x17\x03\x03\x00\x10" + bytes(16))
        talk.ask(GET)
        talk.answer(OK)
        talk.say(0, b"", flags=FIN | ACK)
    script.count(tls_flows=2, http2_flows=1)


CASES: tuple[Case, ...] = (
    ipv4_options, ipv6_extensions, vlan_tags, padding, super_packets_without_length, fragments, data_on_syn,
    request_line_split_anywhere, response_split_anywhere, one_byte_per_segment, head_of_8_kb, long_heads_of_answers,
    forty_in_a_segment,
    pipelined_in_segments, begins_in_the_middle, bodies_like_messages, long_bodies_like_messages, without_body,
    refused_expectation, until_close, connect, upgrade, target_forms, methods, no_requests, retransmissions, overlap,
    reordering, reordering_of_answers, wrap_around, middle_of_a_connection, one_direction, loss_in_bodies, loss_in_heads, loss_of_messages,
    unanswered, ports_used_again, half_closed, unreadable,
)


def play(case: Case) -> Script:
    """What a case puts on the wire, and what it expects."""
    script = Script()
    case(script)
    return script
