"""Bodies, and what has none."""

from __future__ import annotations

from tests.support.dialogs import CHUNKED, GET, GOT, MSS, NOT_FOUND, OK, Script, chunks, cut, get, ok, post
from tests.support.frames import ACK, FIN, PSH


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
    talk.ask(get("/up", "PUT", b"Expect: 100-continue", b"Content-Length: 4"))
    talk.answer(b"HTTP/1.1 100 Continue\r\n\r\n")
    talk.ask(b"body", GET)
    talk.answer(OK, OK)
    talk.expect(("PUT", "/up", 200, len(OK)), GOT)
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
                         ((head + b"x" * 900, b"x" * 100, b""), FIN | ACK),
                         ((*cut(head, 10), OK * 20, b""), FIN | ACK)):
        talk = script.dialog()
        talk.ask(get("/old"))
        talk.answer(*parts[:-1])
        talk.say(1, parts[-1], flags=flags)
        talk.say(0, b"", flags=FIN | ACK)
        talk.expect(("GET", "/old", 200, len(b"".join(parts))))
