"""Tunnels, targets and methods."""

from __future__ import annotations

from tests.support.dialogs import GET, NOT_FOUND, OK, SWITCHING, WEBSOCKET, Dialog, Row, Script, get, ok
from tests.support.frames import ACK, FIN


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
