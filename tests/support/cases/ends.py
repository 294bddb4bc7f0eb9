"""Ends of connections, and connections that cannot be read."""

from __future__ import annotations

from tests.support.dialogs import GET, GOT, OK, Script, get
from tests.support.frames import ACK, FIN, PSH, RST, SYN


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
