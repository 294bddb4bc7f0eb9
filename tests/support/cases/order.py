"""Retransmission, reordering, loss, and captures that do not have all."""

from __future__ import annotations

from tests.support.dialogs import CHUNKED, GET, GOT, MSS, NOT_FOUND, OK, Row, Script, chunks, cut, get, ok, post
from tests.support.frames import ACK, FIN


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
    talk = script.dialog()
    talk.ask(GET)
    at = talk.next[1]
    talk.say(1, OK[20:], seq=at + 20)
    talk.say(1, OK[:20], seq=at)
    talk.next[1] = at + len(OK)
    talk.say(1, b"", flags=FIN | ACK)
    talk.expect(GOT)


def reordering_of_answers(script: Script) -> None:
    """Each segment of pipelined answers is overtaken by the next one in turn, in bodies and where an answer begins."""
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
    """The middle or the end of a head is missing: it counts by its first line and as a loss, the next one is found."""
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
    """A whole request is missing, then a whole answer, then an answer and the next request: the rest is told alone."""
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
    talk.ask(get("/unanswered"))
    talk.lose(1, OK)
    talk.lose(0, GET)
    talk.answer(NOT_FOUND)
    talk.expect(("GET", "/unanswered", None, None), (None, "", 404, len(NOT_FOUND)))
    talk.exchange()
    script.count(responses_alone=2, unanswered=2)


def answers_before_requests(script: Script) -> None:
    """The answer was captured first: it is not that of the next request, and the next answer not that of this one."""
    for answer, status in (NOT_FOUND, 404), (CHUNKED + chunks(b"z" * 3000), 200):
        talk = script.dialog()
        talk.exchange()
        talk.ask(get("/late"))
        late = script.frames.pop()
        talk.answer(*cut(answer, MSS))
        script.frames.append(late)
        alone, late_row = (None, "", status, len(answer)), ("GET", "/late", None, None)
        talk.expect(*((alone, late_row) if status == 404 else (late_row, alone)))  # each when all is known of it
        talk.exchange()
        script.count(responses_alone=1, unanswered=1)


def loss_of_messages_asked_ahead(script: Script) -> None:
    """A message is missing while several requests wait: which answer is whose can be told up to there, not later."""
    for lost in ("answer", "request"):
        talk = script.dialog()
        talk.ask(get("/1"), get("/2"))
        if lost == "request":
            talk.lose(0, GET)
        talk.ask(get("/3"))
        if lost == "answer":
            talk.answer(OK)
            talk.lose(1, OK)
            talk.expect(("GET", "/1", 200, len(OK)))
        talk.answer(NOT_FOUND)
        talk.expect(*(("GET", f"/{n}", None, None) for n in (1, 2, 3) if n > 1 or lost == "request"),
                    (None, "", 404, len(NOT_FOUND)))
        talk.ask(GET)
        talk.answer(OK)
        talk.expect(("GET", "/a", None, None), (None, "", 200, len(OK)))
    talk = script.dialog()
    talk.ask(get("/1"), get("/2"), get("/3"))
    talk.answer(OK[:20])
    talk.lose(1, OK[20:] + OK)
    talk.answer(NOT_FOUND)
    talk.ask(GET)
    talk.answer(OK)
    talk.expect(*(("GET", target, None, None) for target in ("/2", "/3", "/a")), ("GET", "/1", 200, None),
                (None, "", 200, len(OK)))
    talk = script.dialog()
    talk.ask(get("/1"), get("/2"), get("/3"))
    talk.answer(OK[:-2])
    talk.lose(1, OK[-2:] + OK)
    talk.answer(OK)
    talk.ask(GET)
    talk.answer(NOT_FOUND)
    talk.expect(("GET", "/1", 200, len(OK)), *(("GET", target, None, None) for target in ("/2", "/3", "/a")),
                (None, "", 404, len(NOT_FOUND)))
    script.count(responses_alone=6, unanswered=13, head_incomplete=1)
