"""Where segments begin and end."""

from __future__ import annotations

from tests.support.dialogs import CHUNKED, GET, GOT, MSS, OK, Row, Script, chunks, cut, get, ok, post
from tests.support.frames import ACK, FIN


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


def response_split_behind_long_chunks(script: Script) -> None:
    """Where chunks of which most is not looked at end, the next request says: the next head may begin there anyhow."""
    long = CHUNKED + chunks(b"z" * 3000)
    for at in (1, 5, 8, 12, 20, len(OK) - 3):
        talk = script.dialog()
        for _ in range(2):
            talk.ask(GET)
            talk.answer(*cut(long, MSS))
            talk.expect(("GET", "/a", 200, len(long)))
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


def pipelined_without_bodies(script: Script) -> None:
    """Behind a head of a method that may have a body the next head follows at once; their answers share segments."""
    for method in ("POST", "PUT", "PROPFIND"):
        talk = script.dialog()
        talk.ask(get("/1", method) + post("/2", b"x"))
        talk.answer(*cut(ok(b"1" * 1500) + ok(b"2" * 1500), MSS))  # the second one begins behind what is delivered
        talk.expect((method, "/1", 200, len(ok(b"1" * 1500))), ("POST", "/2", 200, len(ok(b"2" * 1500))))
        talk.exchange()


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
