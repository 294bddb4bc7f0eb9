"""Conversations by chance, cut, repeated, reordered and lost by chance: what must hold of each of them."""

from __future__ import annotations

import random
from collections import Counter as Tally
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from httptop.records import COUNTERS, Counter
from httptop.snapshot import Snapshot
from tests.support import corpus
from tests.support.dialogs import GET, MSS, OK, Dialog, Row, Script, chunks, get
from tests.support.frames import ACK, FIN
from tests.support.reading import Reading, read

FAKES = (GET, OK, get("/fake", "POST"), b"HTTP/1.1 100 Continue\r\n\r\n", b"\r\n\r\n", b"0\r\n\r\n", b"x" * 40,
         b"PROPFIND /fake HTTP/1.1\r\n\r\n", b"y" * 1000)
BODIES = st.lists(st.sampled_from(FAKES), max_size=4).map(b"".join) | st.binary(max_size=60)


@dataclass(frozen=True)
class Exchange:
    """A request and its answer as bytes, and what is to be told of them. `ahead`: sent before the last answer came."""

    asked: bytes
    answer: bytes
    row: Row
    ahead: bool
    closes: bool  # the answer ends with the connection
    has_body: bool  # the request has one


def framed(start: bytes, body: bytes | None, *, chunked: bool) -> bytes:
    """Head and body."""
    if body is None:
        return start + b"\r\n"
    if chunked:
        parts = body[: len(body) // 3], body[len(body) // 3 :]
        return start + b"Transfer-Encoding: chunked\r\n\r\n" + chunks(*filter(None, parts))
    return start + b"Content-Length: %d\r\n\r\n" % len(body) + body


@st.composite
def exchanges(draw: st.DrawFn, number: int) -> Exchange:
    """Any request that a client may send, and any answer that it may get."""
    method = draw(st.sampled_from(["GET", "GET", "HEAD", "POST", "PUT", "OPTIONS", "PROPFIND", "query"]))
    target = f"/{number}?{draw(st.sampled_from(['', 'x' * 200]))}"
    body = draw(st.none() | BODIES) if method in ("POST", "PUT", "PROPFIND", "query") else None
    asked = framed(f"{method} {target} HTTP/1.1\r\nHost: a\r\n".encode(), body, chunked=draw(st.booleans()))
    interim = b"".join(draw(st.lists(st.sampled_from(
        [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"]), max_size=2)))
    status = draw(st.sampled_from([200, 200, 201, 204, 304, 404, 500]))
    answer = framed(b"HTTP/1.1 %d Word\r\nServer: b\r\n" % status, draw(BODIES), chunked=draw(st.booleans()))
    if status in (204, 304) or method == "HEAD":
        answer = answer[: answer.index(b"\r\n\r\n") + 4]
    closes = status == 200 and method != "HEAD" and draw(st.integers(0, 9)) == 0
    if closes:
        answer = b"HTTP/1.1 200 OK\r\n\r\n" + draw(BODIES)
    return Exchange(asked, interim + answer, (method, target, status, len(answer)), draw(st.booleans()), closes,
                    body is not None)


@st.composite
def conversations(draw: st.DrawFn) -> list[Exchange]:
    """The exchanges of one connection."""
    said: list[Exchange] = []
    for number in range(draw(st.integers(1, 6))):
        said.append(draw(exchanges(number)))
        if said[-1].closes:
            break
    return said


Cuts = Callable[[bytes], list[bytes]]


def segments(sizes: list[int]) -> Cuts:
    """Cut into these sizes, in turn; what is still left after a hundred into full segments."""
    def cut(data: bytes) -> list[bytes]:
        pieces: list[bytes] = []
        at = 0
        while at < len(data):
            size = sizes[len(pieces) % len(sizes)] if len(pieces) < 100 else MSS
            pieces.append(data[at : at + size])
            at += size
        return pieces
    return cut


SIZES = st.lists(st.sampled_from([1, 3, 17, 40, 200, 536, 1448, 1448, 9000]), min_size=1, max_size=6)


def converse(said: list[Exchange], cut: Cuts) -> Dialog:
    """The conversation as frames in the order in which they were sent; `rows` are its exchanges."""
    talk = Script().dialog()
    groups: list[list[Exchange]] = []
    for exchange in said:
        # Behind a body, and in lower case behind what may have one, the tap does not look for a request that was
        # sent ahead: answers that share a segment may then be seen as one.
        if exchange.ahead and groups and not groups[-1][-1].has_body and exchange.asked[:1].isupper():
            groups[-1].append(exchange)
        else:
            groups.append([exchange])
    for group in groups:
        talk.ask(*cut(b"".join(exchange.asked for exchange in group)))
        talk.answer(*cut(b"".join(exchange.answer for exchange in group)))
    talk.say(1, b"", flags=FIN | ACK)
    talk.say(0, b"", flags=FIN | ACK)
    talk.expect(*(exchange.row for exchange in said))
    return talk


def finals(snapshot: Snapshot) -> int:
    """Responses in the totals that are no interim ones."""
    return sum(count for name, count in snapshot.totals.by_status if name != "1xx")


def check_counts(reading: Reading, snapshot: Snapshot) -> None:
    """What the tables, the log and the totals say is the same, and all that the tap counted is accounted for."""
    told = [row for row in reading.rows if row[0] is not None]
    assert snapshot.totals.requests == len(told) == sum(cell.requests for cell in snapshot.cells)
    assert dict(snapshot.totals.by_method) == Tally(row[0] for row in told)
    answered = [row[2] for row in reading.rows if row[2] is not None]
    assert sum(cell.responses for cell in snapshot.cells) == len(answered)
    assert finals(snapshot) == sum(not 100 <= status < 200 for status in answered)
    assert snapshot.completeness == 1.0
    assert snapshot.in_flight_total == sum(row[2] is None for row in told) - dict(snapshot.skipped)["unanswered"]


@settings(deadline=None)
@given(conversations(), SIZES)
def test_undisturbed(said: list[Exchange], sizes: list[int]) -> None:
    """Without loss and reordering exactly the conversation's exchanges come out, wherever segments begin and end."""
    talk = converse(said, segments(sizes))
    reading = read(talk.script.frames)
    snapshot = reading.finish()
    assert reading.rows == talk.rows
    check_counts(reading, snapshot)


@settings(deadline=None)
@given(conversations(), SIZES, st.lists(st.integers(0, 5), min_size=1, max_size=20))
def test_repeated(said: list[Exchange], sizes: list[int], again: list[int]) -> None:
    """Segments that are sent again, at once or up to five segments later, change nothing."""
    talk = converse(said, segments(sizes))
    repeated: list[bytes] = []
    for number in range(len(talk.script.frames)):
        back = again[number % len(again)]
        repeated += [talk.script.frames[number], *talk.script.frames[max(number - back, 0) : number][:1]]
    reading = read(repeated)
    snapshot = reading.finish()
    assert reading.rows == talk.rows
    check_counts(reading, snapshot)


STEPS = st.lists(st.sampled_from(["keep"] * 6 + ["drop", "again", "later", "later"]), min_size=1, max_size=40)


def disturbed(frames: list[bytes], steps: list[str], dice: random.Random) -> list[bytes]:
    """Frames lost, repeated and put off by up to six places."""
    places: list[tuple[float, int]] = []
    for number in range(len(frames)):
        step = steps[number % len(steps)]
        if step != "drop":
            places.append((number + (dice.uniform(0, 6) if step == "later" else 0), number))
        if step == "again":
            places.append((number + dice.uniform(0, 6), number))
    return [frames[number] for _, number in sorted(places)]


@settings(deadline=None)
@given(conversations(), SIZES, STEPS, st.randoms(use_true_random=False))
def test_disturbed(said: list[Exchange], sizes: list[int], steps: list[str], dice: random.Random) -> None:
    """Whatever is lost, repeated or reordered: no request is told twice, and every one is told and counted once."""
    talk = converse(said, segments(sizes))
    reading = read(disturbed(talk.script.frames, steps, dice))
    snapshot = reading.finish()
    check_counts(reading, snapshot)
    times = Tally(row[1] for row in reading.rows if row[0] is not None)
    assert all(times[str(row[1])] <= 1 for row in talk.rows)


@settings(deadline=None)
@given(conversations(), SIZES, st.lists(st.booleans(), min_size=1, max_size=30))
def test_lost_on_the_way(said: list[Exchange], sizes: list[int], kept: list[bool]) -> None:
    """Records that the ring had no place for: totals are the messages delivered and the candidates lost."""
    tapped = Reading()
    records = [record for frame in converse(said, segments(sizes)).script.frames for record in tapped.see(frame)]
    reading = Reading()
    reading.tap = tapped.tap
    reading.feed(record for number, record in enumerate(records) if kept[number % len(kept)])
    lost = [record.counter for number, record in enumerate(records) if not kept[number % len(kept)]]
    snapshot = reading.finish()
    requests = sum(row[0] is not None for row in reading.rows)
    assert snapshot.totals.requests == requests + sum(counter <= Counter.OTHER for counter in lost)
    assert sum(cell.requests for cell in snapshot.cells) == requests
    assert finals(snapshot) == sum(cell.responses for cell in snapshot.cells) + sum(
        Counter.C2XX <= counter < COUNTERS for counter in lost)
    assert snapshot.completeness == (requests / snapshot.totals.requests if snapshot.totals.requests else 1.0)


FILLING = st.none() | st.integers(0, 3000).map(lambda size: b"y" * size)
TURNS = st.lists(st.tuples(FILLING, st.booleans(), st.integers(0, 3000).map(lambda size: b"z" * size), st.booleans()),
                 min_size=2, max_size=10)


@pytest.mark.parametrize("place", ["on the network", "in the ring"])
@settings(deadline=None)
@given(TURNS, SIZES, st.lists(st.sampled_from([True, True, False]), min_size=1, max_size=30))
def test_no_request_gets_the_answer_of_another(place: str, turns: list[tuple[bytes | None, bool, bytes, bool]],
                                               sizes: list[int], kept: list[bool]) -> None:
    """Whatever is lost, while a client waits for its answers: a request has its own answer, or none."""
    talk, cut, tapped, reading = Script().dialog(), segments(sizes), Reading(), Reading()
    for number, (asked, asked_in_chunks, answer, in_chunks) in enumerate(turns):
        talk.ask(*cut(framed(f"POST /{number} HTTP/1.1\r\nHost: a\r\n".encode(), asked, chunked=asked_in_chunks)))
        talk.answer(*cut(framed(b"HTTP/1.1 %d Word\r\n" % (220 + number), answer, chunked=in_chunks)))
    frames = talk.script.frames
    if place == "on the network":
        frames = [frame for number, frame in enumerate(frames) if kept[number % len(kept)]]
    records = tapped.see(*frames)
    if place == "in the ring":
        records = [record for number, record in enumerate(records) if kept[number % len(kept)]]
    reading.feed(records)
    reading.finish()
    for method, target, status, _ in reading.rows:
        if method is not None and status is not None and target:  # "": the middle of its line was lost
            assert target == f"/{status - 220}"


@settings(deadline=None)
@example([3], [False, True])  # the first of all is lost, and the second gets no answer of it
@example([1, 4], [True, False, False])  # so is one behind an answer that is lost too
@given(st.lists(st.integers(1, 4), min_size=1, max_size=8), st.lists(st.booleans(), min_size=1, max_size=30))
def test_no_request_gets_the_answer_of_another_when_clients_ask_ahead(turns: list[int], kept: list[bool]) -> None:
    """So many at once, each in a segment, and then their answers: whatever the ring loses."""
    talk, tapped, reading, number = Script().dialog(), Reading(), Reading(), 0
    for many in turns:
        asked = range(number, number := number + many)
        for each in asked:
            talk.ask(get(f"/{each}"))
        for each in asked:
            talk.answer(b"HTTP/1.1 %d Word\r\nContent-Length: 2\r\n\r\nok" % (220 + each))
    records = tapped.see(*talk.script.frames)
    reading.feed(record for number, record in enumerate(records) if kept[number % len(kept)])
    reading.finish()
    assert all(target == f"/{status - 220}" for method, target, status, _ in reading.rows
               if method is not None and status is not None)


@settings(deadline=None)
@given(st.integers(1, 30), st.lists(st.booleans(), min_size=1, max_size=60))
def test_totals_are_right_whatever_is_lost(number: int, kept: list[bool]) -> None:
    """Where each message is a segment, totals are exact, by method and class, however much the ring loses."""
    talk, tapped, reading = Script().dialog(), Reading(), Reading()
    for _ in range(number):
        talk.exchange()
        talk.exchange(get("/b", "PUT"), b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
    records = tapped.see(*talk.script.frames)
    reading.tap = tapped.tap
    reading.feed(record for n, record in enumerate(records) if kept[n % len(kept)])
    totals = reading.finish().totals
    assert dict(totals.by_method) == {"GET": number, "PUT": number}
    assert dict(totals.by_status) == {"2xx": number, "4xx": number}


@pytest.mark.corpus
def test_other_peoples_captures() -> None:
    """In each of them: every request is told and counted once, and every candidate of the tap is accounted for."""
    paths = corpus.files()
    if not paths:
        pytest.skip(f"no corpus at {corpus.FOLDER}")
    for path in paths:
        reading = read(corpus.frames(path))
        check_counts(reading, reading.finish())
