"""The fast path means the same as the reference path: the same frames through both give equal Snapshots."""

from __future__ import annotations

import base64
import random
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from httptop import in_kernel
from httptop.capture.fast import _DETAIL_AT
from httptop.cells import OTHER_PATH
from httptop.records import V4_MAPPED, Counter, Kind
from httptop.snapshot import Snapshot
from httptop.stats import bucket
from httptop.taught import CELL, LATENCY_BUCKETS, ONE_MORE, STRANGERS_MAX, TRACK, TRACKS_MAX
from httptop.teaching import ALIKE_MIN
from tests.core.test_conversations import SIZES, Exchange, conversations, converse, disturbed, segments
from tests.support import bpf, corpus
from tests.support.dialogs import CHUNKED, GET, MSS, NOT_FOUND, OK, Dialog, Script, chunks, cut, get, ok, post
from tests.support.frames import ACK, FIN, RST, SYN
from tests.support.kernel import Kernel, kernel, python

ROUNDS = 4  # the first two teach
JSON = b"{ok}"
LONGEST = 2000  # frames of a capture that is tried: all would take minutes


@pytest.fixture(scope="module")
def reference() -> Iterator[Kernel]:
    """Every message goes through the ring."""
    with kernel(fast_path=False) as here:
        yield here


def meaning(snapshot: Snapshot) -> dict[str, Any]:
    """All of a Snapshot but when it was."""
    return {
        "cells": {(cell.method, cell.host, cell.path, cell.status, cell.server, cell.client):
                  (cell.requests, cell.responses, cell.response_bytes, sum(n for _, n in cell.latency))
                  for cell in snapshot.cells},
        "totals": snapshot.totals,
        "completeness": snapshot.completeness,
        "losses": snapshot.losses,
        "skipped": dict(snapshot.skipped),
        "attribution": {(row.process, row.role, row.how): row.exchanges for row in snapshot.attribution},
        "in_flight": sorted((row.method, row.host, row.path, str(row.server), str(row.client))
                            for row in snapshot.in_flight),
        "in_flight_total": snapshot.in_flight_total,
    }


def check_equal(fast: Kernel, reference: Kernel, frames: list[bytes], feed_every: int, *, but: str = "") -> Snapshot:
    """The Snapshot of the fast path, which is that of the reference path, `but` for what is skipped as that."""
    flows = {record.flow for record in python(frames).records}
    snapshots = []
    for here in (reference, fast):
        here.forget()
        for flow in flows:
            here.own(flow)
        parts = (frames[at : at + feed_every] for at in range(0, len(frames), feed_every))
        snapshots.append(here.watch(parts))
    want, got = map(meaning, snapshots)
    for each in want, got:
        each["skipped"].pop(but, None)
    for part, value in want.items():
        assert got[part] == value, part
    return snapshots[1]


def opened(script: Script, *, isn: int = 1000) -> Dialog:
    """A connection that begins as connections do."""
    talk = script.dialog(isn=isn)
    talk.say(0, b"", flags=SYN)
    talk.say(1, b"", flags=SYN | ACK)
    talk.say(0, b"")
    return talk


def learnt(here: Kernel, *exchange: bytes) -> Dialog:
    """A connection whose exchanges the kernel counts by now."""
    script = Script()
    talk = opened(script)
    here.forget()
    here.own(python([talk.frame(0, GET, seq=1)]).records[0].flow)
    for _ in range(6):
        talk.exchange(*exchange)
    here.watch([frame] for frame in script.frames)
    return talk


def counted(here: Kernel) -> int:
    """How many exchanges the kernel has counted itself since `forget`."""
    assert here.source.board is not None
    return sum(counts.bytes // ONE_MORE for counts in here.source.board._cells.values())


def test_known_exchanges_stay_in_the_kernel(loaded: Kernel, reference: Kernel) -> None:
    """After an exchange was seen twice, nothing of it goes through the ring any more; digits may change."""
    script = Script()
    for number in range(40):
        talk = opened(script)
        for _ in range(5):
            talk.exchange(GET, ok(b"x" * (10 + number)))
        talk.say(0, b"", flags=FIN | ACK)
        talk.say(1, b"", flags=FIN | ACK)
    snapshot = check_equal(loaded, reference, script.frames, 20)
    assert snapshot.totals.requests == 200
    assert counted(loaded) > 180


def test_nothing_is_known_before_the_first_lesson(loaded: Kernel) -> None:
    """Packets come before user space has said how to hash: they are no templates, of which there are none."""
    loaded.forget()
    assert loaded.source.board is not None
    words = loaded.source.board._words["settings"]
    seed, factor = words[0], words[1]
    try:
        words[0] = words[1] = 0
        script = Script()
        talk = opened(script)
        for _ in range(4):
            talk.exchange()
        assert [record.kind for record in loaded.run(script.frames).records] == [Kind.REQUEST, Kind.RESPONSE] * 4
    finally:
        words[0], words[1] = seed, factor


def test_other_hosts_in_one_place(loaded: Kernel) -> None:
    """Addresses whose hashes are the same find room side by side: both ends can be such."""
    loaded.forget()
    board = loaded.source.board
    assert board is not None

    def place(address: str) -> int:
        value = board._seed
        for high, low in struct.iter_unpack("=II", V4_MAPPED + socket.inet_aton(address)):
            value = board._mixed(value, high << 32 | low)
        return value & (STRANGERS_MAX - 1)

    server = "10.83.83.1"
    client = next(address for n in range(1 << 16) if place(address := f"10.84.{n >> 8}.{n & 255}") == place(server))
    script = Script()
    talk = script.dialog()
    talk.addresses = (client, server)
    talk.say(0, b"", flags=SYN)
    talk.say(1, b"", flags=SYN | ACK)
    for _ in range(50):
        talk.exchange()
    loaded.watch([frame] for frame in script.frames)
    assert counted(loaded) > 20


def test_held_requests_are_in_flight(loaded: Kernel, reference: Kernel) -> None:
    """Wherever their connections are tracked; once they are answered, too, nothing waits any more."""
    script = Script()
    talks = [opened(script) for _ in range(100)]
    for turn in range(5):
        for talk in talks:
            talk.ask(GET)
            if turn < 4:
                talk.answer(OK)
    snapshot = check_equal(loaded, reference, script.frames, 20)
    assert snapshot.in_flight_total == len(talks)
    assert loaded.source.board is not None
    assert len(loaded.source.board.held()) > 90
    loaded.run([talk.frame(1, OK) for talk in talks])
    assert not loaded.source.board.held()


@pytest.mark.parametrize("last", [False, True], ids=["length within the head", "length at its end"])
def test_answers_like_the_one_before_but_for_their_length(loaded: Kernel, reference: Kernel, last: bool) -> None:
    """Many that are the same, byte for byte, and then others of the same form: each counts with its own length."""
    def answer(size: int) -> bytes:
        length, server = b"Content-Length: %d\r\n" % size, b"Server: a server of some name\r\n"
        return b"HTTP/1.1 200 OK\r\n" + (server + length if last else length + server) + b"\r\n" + b"x" * size

    script = Script()
    talk = opened(script)
    for size in (11, 12, 21, 11, 17):
        for _ in range(60):
            talk.exchange(GET, answer(size))
    snapshot = check_equal(loaded, reference, script.frames, 10)
    assert counted(loaded) > 280
    assert sum(cell.response_bytes for cell in snapshot.cells) == sum(60 * len(answer(n)) for n in (11, 12, 21, 11, 17))


def test_chunked_answers_stay_in_the_kernel(loaded: Kernel, reference: Kernel) -> None:
    """One chunk in one segment, and long ones, whose ends the client tells next, or the server; with ids in heads."""
    script, dice = Script(), random.Random(1)
    for number in range(30):
        talk = opened(script)
        for size in (1, 15, 16, 700, 2000, 5000):
            head = CHUNKED[:-2] + b"X-Id: %s\r\n\r\n" % base64.b64encode(dice.randbytes(9))
            parts = (b"x" * size,) if size < MSS else cut(b"y" * (size + number), 1999)
            talk.ask(get(f"/{size}"))
            talk.answer(*cut(head + chunks(*parts), MSS))
        talk.say(1, b"", flags=FIN | ACK)
        talk.say(0, b"", flags=FIN | ACK)
    check_equal(loaded, reference, script.frames, 20)
    assert counted(loaded) > 130


def test_a_full_bucket_begins_anew(loaded: Kernel) -> None:
    """After 4 billion exchanges of one latency, further ones count all the same, and where they belong."""
    talk = learnt(loaded)
    board = loaded.source.board
    assert board is not None
    [cell] = board._cells
    begin = cell * (CELL.size + 4 * LATENCY_BUCKETS)
    cells = board._maps["cells"]
    cells[begin + CELL.size : begin + CELL.size + 4 * LATENCY_BUCKETS] = b"\xff" * 4 * LATENCY_BUCKETS
    cells[begin + CELL.size - 16 : begin + CELL.size - 8] = b"\0\0\0\0\1\0\0\0"  # none is the slowest one
    board.want(0)
    for told in (1, 20):
        for _ in range(told):
            for frame in (talk.frame(0, GET), talk.frame(1, OK)):
                bpf.run(loaded.program, frame)
        [(_, length, grown)] = board.counted()
    assert length == 20 * len(OK)
    assert sum(n for _, n in grown) == 20
    assert all(0 < n <= 20 for _, n in grown)


def test_the_time_that_an_answer_takes(loaded: Kernel) -> None:
    """From when the request was seen to when the answer was: not less than what lies between, nor more than all."""
    talk = learnt(loaded)
    board = loaded.source.board
    assert board is not None
    board.counted()
    [cell] = board._cells
    board._publish("cells", cell * (CELL.size + 4 * LATENCY_BUCKETS) + CELL.size - 16, 1 << 40)  # it is not the slowest
    board.want(0)
    began_ns = time.monotonic_ns()
    bpf.run(loaded.program, talk.frame(0, GET))
    asked_ns = time.monotonic_ns()
    time.sleep(0.005)
    ready_ns = time.monotonic_ns()
    bpf.run(loaded.program, talk.frame(1, OK))
    [(_, _, [(took, count)])] = board.counted()
    assert count == 1
    assert bucket(ready_ns - asked_ns) <= took <= bucket(time.monotonic_ns() - began_ns)


def upload(dice: random.Random, method: str, size: int, *, at_once: bool) -> list[bytes]:
    """A request whose body and identifier are its own, in segments."""
    head = get("/api", method, b"X-Id: %s" % base64.b64encode(dice.randbytes(9)), b"Content-Length: %d" % size)
    body = dice.randbytes(size)
    return cut(head + body, 3500) if at_once else [head, *cut(body, MSS)]


def test_requests_with_bodies_stay_in_the_kernel(loaded: Kernel, reference: Kernel) -> None:
    """Whatever their bodies are, and their ids; in the segment of the head, behind it, or in many segments."""
    script, dice = Script(), random.Random(1)
    for number in range(40):
        talk = opened(script)
        for method, size in (("POST", 40), ("PUT", 700), ("PATCH", 3000), ("POST", 20000), ("POST", 0)):
            talk.ask(*upload(dice, method, size + number, at_once=number % 2 == 0))
            talk.answer(OK)
        talk.say(0, b"", flags=FIN | ACK)
    for _ in range(ROUNDS):  # more than a track has numbers for
        talk = opened(script)
        *parts, last = upload(dice, "POST", 70_000, at_once=True)
        talk.ask(*parts, last + GET)
        talk.answer(OK, OK)
    check_equal(loaded, reference, script.frames, 10)
    assert counted(loaded) > 150


def test_requests_with_bodies_behind_what_is_cut_out(loaded: Kernel, reference: Kernel) -> None:
    """Of a target, however long that is: where the length of the body is told is so much further on."""
    script = Script()
    for number in range(70):
        talk = opened(script)
        for part in range(3):
            talk.exchange(post(f"/api?q={100 ** (number % 9) + 3 * number + part}", b"x" * (10 + number)), OK)
    check_equal(loaded, reference, script.frames, 10)
    assert counted(loaded) > 150


@pytest.mark.parametrize("length", [b"12", b"1x", b"4 ", b" 4", b"+4", b"-4", b"03", b"4\t", b"\x004", b"4\r"])
def test_what_may_be_a_length(loaded: Kernel, reference: Kernel, length: bytes) -> None:
    """Where a body ends is what the reference path says, once lengths of as many bytes are taught."""
    script = Script()
    for number in range(2 * ROUNDS):
        talk = opened(script)
        for said, body in ((b"10", b"x" * 10), (b"11", b"x" * 11), (length, b"body" + GET), (length, b"more")):
            talk.ask(get("/up", "POST", b"Content-Length: " + said, b"X-Id: %04x" % number) + body)
            talk.answer(OK)
            talk.exchange()
    check_equal(loaded, reference, script.frames, 4)
    assert counted(loaded) > 0


@pytest.mark.parametrize("body", [
    b"4\r\ntext\r\n0\r\n\r\n", b"004\r\ntext\r\n0\r\n\r\n", b"A\r\ntext, text\r\n0\r\n\r\n", b"0\r\n\r\n",
    b"00\r\n\r\n0\r\n\r\n", b"3\r\ntext\r\n0\r\n\r\n", b"5\r\ntext\r\n0\r\n\r\n", b"4;a\r\ntext\r\n0\r\n\r\n",
    b"4 \r\ntext\r\n0\r\n\r\n", b"J\r\ntext, text and text\r\n0\r\n\r\n", b"4\n\rtext\r\n0\r\n\r\n",
    b"4\r\rtext\r\n0\r\n\r\n", b"4\r\ntext\r\n1\r\n\r\n", b"4\r\ntext\n\n0\r\n\r\n", b"4\r\ntext\r\n0\r\nA: b\r\n\r\n",
    b"4\r\ntext\r\n0\r\n", b"2\r\nte\r\n2\r\nxt\r\n0\r\n\r\n", b"1234567\r\ntext\r\n0\r\n\r\n",
    b"\r\ntext123\r\n0\r\n\r\n"])
def test_what_may_be_one_chunk(loaded: Kernel, reference: Kernel, body: bytes) -> None:
    """Where such an answer ends is what the reference path says; the first time it says so, and once it is known."""
    script = Script()
    for _ in range(4 * ROUNDS):
        talk = opened(script)
        for said in (b"4\r\ntext\r\n0\r\n\r\n", body):
            talk.exchange(GET, CHUNKED + said)
        talk.ask(GET)
        talk.answer(CHUNKED + body, b"more")
        talk.ask(GET)
        talk.answer(CHUNKED + body[:-3], body[-3:])
        talk.exchange(GET, CHUNKED + chunks(b"end"))
        talk.say(1, b"", flags=FIN | ACK)
    check_equal(loaded, reference, script.frames, 4)
    assert counted(loaded) > 0


def test_contested_connections_are_not_counted_in_the_kernel(loaded: Kernel) -> None:
    """The same processes, but nobody knows whether it is they who talk: such exchanges come through the ring."""
    script = Script()
    talks = [opened(script) for _ in range(6)]
    frames = [[talk.frame(0, GET), talk.frame(1, OK)] for talk in talks for _ in range(3)]
    flows = [python([talk.frame(0, GET, seq=1)]).records[0].flow for talk in talks]
    loaded.forget()
    for number, flow in enumerate(flows):
        loaded.own(flow, contested=number >= 3)
    loaded.watch([script.frames, *frames])
    assert 3 < counted(loaded) < 9


def swap(talk: Dialog) -> None:
    """The last two segments arrived the other way round."""
    talk.script.frames[-2:] = talk.script.frames[:-3:-1]


# Not here, as what begins like no message is not looked at on such a connection: an answer whose head is cut in two
# that arrive the wrong way round. It is told as a head that is incomplete.
UNUSUAL = {
    "late request": lambda talk: (talk.ask(GET, get("/b")), swap(talk), talk.answer(OK, NOT_FOUND)),
    "late answer": lambda talk: (talk.ask(GET, get("/b")), talk.answer(OK, NOT_FOUND), swap(talk)),
    "late, both": lambda talk: (talk.ask(GET, GET), swap(talk), talk.answer(OK, OK), swap(talk)),
    "late part of a request": lambda talk: (talk.ask(GET[:20], GET[20:]), swap(talk), talk.answer(OK)),
    "late part of a method": lambda talk: (talk.ask(GET[:2], GET[2:]), swap(talk), talk.answer(OK)),
    "late parts": lambda talk: (talk.ask(GET[:20], GET[20:]), swap(talk), talk.answer(OK[:20], OK[20:]), swap(talk)),
    "late head": lambda talk: (talk.ask(GET), talk.answer(ok(b"z" * 3000)[:1400], ok(b"z" * 3000)[1400:]), swap(talk)),
    "pipelined": lambda talk: (talk.ask(GET + GET), talk.answer(OK), talk.answer(OK)),
    "asked twice": lambda talk: (talk.ask(GET, GET), talk.answer(OK, OK)),
    "long answers to what was asked ahead": lambda talk: (talk.ask(GET, GET), talk.answer(
        ok(b"y" * 3000)[:1400], ok(b"y" * 3000)[1400:2800], ok(b"y" * 3000)[2800:] + OK)),
    "split request": lambda talk: (talk.ask(GET[:20], GET[20:]), talk.answer(OK)),
    "split method": lambda talk: (talk.ask(GET[:2], GET[2:]), talk.answer(OK)),
    "split response": lambda talk: (talk.ask(GET), talk.answer(OK[:30], OK[30:])),
    "split status": lambda talk: (talk.ask(GET), talk.answer(OK[:5], OK[5:])),
    "request again": lambda talk: (talk.ask(GET), talk.script.frames.append(talk.script.frames[-1]), talk.answer(OK)),
    "answer again": lambda talk: (talk.ask(GET), talk.answer(OK), talk.script.frames.append(talk.script.frames[-1])),
    "both again": lambda talk: (talk.ask(GET), talk.answer(OK), talk.script.frames.extend(talk.script.frames[-2:])),
    "no answer": lambda talk: talk.ask(GET),
    "reset": lambda talk: (talk.ask(GET), talk.say(0, b"", flags=RST)),
    "answer after the client ended": lambda talk: (talk.ask(GET), talk.say(0, b"", flags=FIN | ACK), talk.answer(OK)),
    "server ends": lambda talk: (talk.ask(GET), talk.say(1, b"", flags=FIN | ACK)),
    "answer and end at once": lambda talk: (talk.ask(GET), talk.say(1, OK, flags=FIN | ACK)),
    "request and end at once": lambda talk: (talk.say(0, GET, flags=FIN | ACK), talk.answer(OK)),
    "interim": lambda talk: (talk.ask(GET), talk.answer(b"HTTP/1.1 103 Early Hints\r\n\r\n", OK)),
    "another status": lambda talk: (talk.ask(GET), talk.answer(ok(b"no", "404 Not Found"))),
    "chunked": lambda talk: (talk.ask(GET), talk.answer(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")),
    "chunks": lambda talk: (talk.ask(GET), talk.answer(*cut(CHUNKED + chunks(b"some", b"more" * 999), MSS))),
    "chunks, and the end": lambda talk: (
        talk.ask(GET), talk.answer(CHUNKED + chunks(b"x" * 2000)[:-5]), talk.say(1, b"0\r\n\r\n", flags=FIN | ACK)),
    "chunks, and no end": lambda talk: (
        talk.ask(GET), talk.answer(CHUNKED + b"800\r\n" + b"x" * 1400), talk.say(0, b"", flags=FIN | ACK),
        talk.say(1, b"", flags=RST), UNUSUAL["another connection"](talk)),
    "chunks like heads": lambda talk: (talk.ask(GET), talk.answer(CHUNKED + chunks(b"x" * 1100)[:-7], *(
        part for fake in (OK, GET, b"HTT", b"WORDS /", OK) for part in (b"\r\n%x\r\n" % len(fake), fake)),
        b"\r\n0\r\n\r\n")),
    "asked before the chunks ended": lambda talk: (
        talk.ask(GET), talk.answer(CHUNKED + b"800\r\n" + b"x" * 2000), talk.ask(GET),
        talk.answer(b"x" * 48 + b"\r\n0\r\n\r\n", OK)),
    "answer in chunks again": lambda talk: (
        talk.ask(GET), talk.answer(*cut(CHUNKED + chunks(b"x" * 2000), MSS)),
        talk.script.frames.extend(talk.script.frames[-2:]), talk.script.frames.append(talk.script.frames[-5])),
    "answer in chunks again, behind another one": lambda talk: (
        talk.ask(GET), talk.answer(*cut(CHUNKED + chunks(b"z" * 3000), MSS)), UNUSUAL["unasked"](talk), talk.ask(GET),
        talk.answer(OK), talk.script.frames.extend([talk.script.frames[-2], talk.script.frames[-6]])),
    "until it closes": lambda talk: (talk.ask(GET), talk.answer(b"HTTP/1.1 200 OK\r\n\r\n", b"abc", OK),
                                     talk.say(1, b"", flags=FIN | ACK)),
    "a body like a head": lambda talk: (talk.ask(GET), talk.answer(ok(OK * 3)[:-2 * len(OK)], OK, OK)),
    "a body like a request": lambda talk: (talk.ask(GET), talk.answer(ok(GET + OK)[:-len(GET + OK)], GET, OK)),
    "a long body": lambda talk: (talk.ask(GET), talk.answer(ok(b"z" * 4000)[:1400], b"z" * 1400, b"z" * 1241)),
    "asked before the answer ended": lambda talk: (talk.ask(GET), talk.answer(ok(OK * 3)[:-len(OK)]), talk.ask(GET),
                                                   talk.answer(OK, OK)),
    "a long request": lambda talk: (talk.ask(get("/a", "GET", b"Cookie: " + b"c" * 2500)), talk.answer(OK)),
    "unasked": lambda talk: talk.answer(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"),
    "lost request": lambda talk: (talk.lose(0, GET), talk.answer(OK)),
    "lost request, and an older one again": lambda talk: (
        talk.lose(0, GET), talk.answer(OK), talk.script.frames.extend(talk.script.frames[-5:-4])),
    "lost request, and an older answer again": lambda talk: (
        talk.lose(0, GET), talk.answer(OK), talk.script.frames.append(talk.script.frames[-4])),
    "lost answer": lambda talk: (talk.ask(GET), talk.lose(1, OK), talk.ask(GET), talk.answer(OK)),
    "lost answer and request": lambda talk: (talk.ask(GET), talk.lose(1, OK), talk.lose(0, GET), talk.answer(OK)),
    "lost exchange": lambda talk: (talk.lose(0, GET), talk.lose(1, OK)),
    "post": lambda talk: (talk.ask(post("/up", b"body")), talk.answer(OK)),
    "post in two": lambda talk: (talk.ask(post("/up", b"body")[:-4], b"body"), talk.answer(OK)),
    "post in three": lambda talk: (talk.ask(post("/up", JSON)[:-4], JSON[:2], JSON[2:]), talk.answer(OK)),
    "body like a request": lambda talk: (talk.ask(post("/up", GET)[:-len(GET)], GET), talk.answer(OK)),
    "body like an answer": lambda talk: (talk.ask(post("/up", OK)[:-len(OK)], OK), talk.answer(OK)),
    "body like a beginning": lambda talk: (talk.ask(post("/up", b"GE")[:-2], b"GE"), talk.answer(OK)),
    "body, and another request": lambda talk: (
        talk.ask(post("/up", JSON)[:-4], JSON + GET), talk.answer(OK), talk.answer(OK)),
    "another request at once": lambda talk: (talk.ask(post("/up", JSON) + GET), talk.answer(OK), talk.answer(OK)),
    "a part of the body, and another request": lambda talk: (
        talk.ask(post("/up", JSON)[:-2], JSON[2:] + post("/up", b"more")), talk.answer(OK, OK)),
    "body like a request, and another one": lambda talk: (
        talk.ask(post("/up", GET)[:-len(GET)], GET + GET), talk.answer(OK), talk.answer(OK)),
    "body again": lambda talk: (talk.ask(post("/up", JSON)[:-4], JSON),
                                talk.script.frames.append(talk.script.frames[-1]), talk.answer(OK)),
    "head again": lambda talk: (talk.ask(post("/up", JSON)[:-4], JSON),
                                talk.script.frames.append(talk.script.frames[-2]), talk.answer(OK)),
    "head again behind another request": lambda talk: (
        talk.ask(post("/up", JSON)[:-4], JSON + GET), talk.script.frames.append(talk.script.frames[-2]),
        talk.answer(OK, OK)),
    "late body": lambda talk: (talk.ask(post("/up", JSON)[:-2], JSON[2:]), swap(talk), talk.answer(OK)),
    "lost body": lambda talk: (talk.ask(post("/up", JSON)[:-4]), talk.lose(0, JSON), talk.answer(OK)),
    "answered within the body": lambda talk: (
        talk.ask(post("/up", JSON)[:-4]), talk.answer(OK), talk.ask(JSON), talk.exchange()),
    "ended within the body": lambda talk: (talk.ask(post("/up", JSON)[:-4]), talk.say(0, b"", flags=FIN | ACK)),
    "reset within the body": lambda talk: (talk.ask(post("/up", JSON)[:-4]), talk.say(1, b"", flags=RST)),
    "ended with the body": lambda talk: (
        talk.ask(post("/up", JSON)[:-4]), talk.say(0, JSON, flags=FIN | ACK), talk.answer(OK)),
    "refused, and no body": lambda talk: (
        talk.ask(post("/up", JSON)[:-4]), talk.answer(NOT_FOUND), talk.exchange(post("/up", JSON), OK)),
    "refused, and no long body": lambda talk: (
        talk.ask(post("/up", b"x" * 99)[:-99]), talk.answer(NOT_FOUND), talk.exchange()),
    "answered, and then a body like a request": lambda talk: (
        talk.ask(post("/up", GET)[:-len(GET)]), talk.answer(OK), talk.next.__setitem__(1, talk.next[1] - len(OK)),
        talk.ask(GET), talk.next.__setitem__(1, talk.next[1] + len(OK))),
    "another request, and no body": lambda talk: (
        talk.ask(get("/none", "POST") + GET), talk.answer(OK), talk.answer(OK)),
    "body again behind the answer": lambda talk: (
        talk.ask(post("/up", JSON)[:-4], JSON), talk.answer(OK), talk.script.frames.append(talk.script.frames[-2])),
    "expected": lambda talk: (
        talk.ask(get("/up", "POST", b"Expect: 100-continue", b"Content-Length: 4")),
        talk.answer(b"HTTP/1.1 100 Continue\r\n\r\n"), talk.ask(JSON), talk.answer(OK)),
    "another connection within the body": lambda talk: (
        talk.ask(post("/up", JSON)[:-4]), UNUSUAL["another connection"](talk)),
    "head": lambda talk: (talk.ask(get("/a", "HEAD")), talk.answer(OK[:-2])),
    "no content": lambda talk: (talk.ask(GET), talk.answer(b"HTTP/1.1 204 No Content\r\n\r\n")),
    "empty lines": lambda talk: (talk.ask(b"\r\n" + GET), talk.answer(OK)),
    "upgrade": lambda talk: (talk.ask(get("/a", "GET", b"Connection: Upgrade", b"Upgrade: x")), talk.answer(OK)),
    "connect": lambda talk: (talk.ask(b"CONNECT a:1 HTTP/1.1\r\n\r\n"), talk.answer(b"HTTP/1.1 200 OK\r\n\r\n")),
    "two lengths": lambda talk: (talk.ask(GET), talk.answer(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok")),
    "another connection": lambda talk: (talk.ask(GET), talk.next.__setitem__(slice(None), [5000000, 6000000]),
                                        talk.say(0, b"", flags=SYN), talk.say(1, b"", flags=SYN | ACK),
                                        talk.ask(GET), talk.answer(OK)),
}


PLAIN = {"of known length": OK, "a chunk": CHUNKED + chunks(b"text"), "long chunks": CHUNKED + chunks(b"z" * 3000)}


@pytest.mark.parametrize("name", UNUSUAL)
@pytest.mark.parametrize(("handshake", "before"), [(True, 3), (False, 3), (True, 0)],
                         ids=["from the start", "from the middle", "at once"])
@pytest.mark.parametrize("answer", PLAIN)
def test_unusual(loaded: Kernel, reference: Kernel, name: str, handshake: bool, before: int, answer: str) -> None:
    """A connection of plain exchanges that does something else once, and goes on."""
    script = Script()
    for _ in range(ROUNDS):
        learned = opened(script)
        for body in (JSON, b"GE", GET):
            learned.exchange(post("/up", body))
        learned.exchange(get("/none", "POST"))
        talk = opened(script) if handshake else script.dialog()
        for _ in range(before):
            talk.ask(GET)
            talk.answer(*cut(PLAIN[answer], MSS))
        UNUSUAL[name](talk)
        for _ in range(3):
            talk.ask(GET)
            talk.answer(*cut(PLAIN[answer], MSS))
        if answer == "long chunks":
            talk.say(1, b"", flags=FIN | ACK)  # else it may be known on one path alone how long the last one is
    for feed_every in (4, 1000):
        check_equal(loaded, reference, script.frames, feed_every)


def test_a_late_handshake(loaded: Kernel, reference: Kernel) -> None:
    """The server's SYN comes again within a request that is no plain one: the connection is no new one."""
    script = Script()
    for _ in range(ROUNDS):
        talk = opened(script)
        talk.exchange()
        talk.ask(GET[:20])
        talk.script.frames.append(talk.script.frames[-5])
        talk.ask(GET[20:])
        talk.answer(OK)
    check_equal(loaded, reference, script.frames, 4)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(conversations(), SIZES, st.integers(1, 30))
def test_conversations(loaded: Kernel, reference: Kernel, said: list[Exchange], sizes: list[int],
                       feed_every: int) -> None:
    """Whatever is said, and however it is cut, on one connection after the other."""
    frames = [frame for _ in range(ROUNDS) for frame in converse(said, segments(sizes)).script.frames]
    check_equal(loaded, reference, frames, feed_every)


WORDS = st.lists(st.sampled_from(["/", "?", "a", "bcdefgh", "#", " ", "  ", "\t", "%3f", "\xe9", "://", "HTTP/1.1",
                                  "\x01"]), max_size=9).map("".join)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(["GET", "POST", "OPTIONS", "GET "]), WORDS), min_size=1, max_size=6))
def test_targets(loaded: Kernel, reference: Kernel, asked: list[tuple[str, str]]) -> None:
    """Whatever a target is made of, and whatever is behind it: the kernel counts by its path, and by no other."""
    script = Script()
    for _ in range(ROUNDS):
        talk = opened(script)
        for number, (method, target) in enumerate(asked * 2):
            for more in ("", f"?{number}", f"?{number}&b={target}", f"{number}?"):
                talk.exchange(get(f"/{target}{more}", method), OK)
    check_equal(loaded, reference, script.frames, 8)


def test_queries_stay_in_the_kernel(loaded: Kernel, reference: Kernel) -> None:
    """No two of them are alike, and no one is of interest; also those that are held and come back."""
    script = Script()
    for number in range(40):
        talk = opened(script)
        for length in range(5):
            talk.exchange(get(f"/find?{number}{'x' * length}"), OK)
        if number % 4 == 0:
            talk.ask(get(f"/find?{'long' * number}"))
            talk.answer(NOT_FOUND)
            talk.exchange(get("/find?after"), OK)
    check_equal(loaded, reference, script.frames, 20)
    assert counted(loaded) > 150


def test_identifiers_stay_in_the_kernel(loaded: Kernel, reference: Kernel) -> None:
    """A request has a number of its own, which its answer repeats, with a query and without, held and released."""
    script, dice = Script(), random.Random(1)
    for number in range(40):
        talk = opened(script)
        for path in ("/a", "/a", "/b", f"/find?{'x' * number}", f"/find?{number}b"):
            field = b"X-Request-Id: " + base64.b64encode(dice.randbytes(18))
            talk.exchange(get(path, "GET", field), ok(b"x" * dice.randrange(10, 99), "200 OK", field))
        talk.exchange(b"GET /late HTTP/1.1\r\n%s\r\n%sHost: a\r\n\r\n" % (field, b"A: b\r\n" * (number % 3)), OK)
        if number % 4 == 0:
            talk.ask(get("/a", "GET", b"X-Request-Id: " + base64.b64encode(dice.randbytes(18))))
            talk.answer(NOT_FOUND)
    check_equal(loaded, reference, script.frames, 20)
    assert counted(loaded) > 205


# Each is one and the same field, or nearly, when values are masked.
HOST = (b"Host: a1.example", b"Host: a1.example", b"Host: a1.example", b"Host: a2.example", b"host: a1.example",
        b"Host: a1.exampl ", b"Host: a1.exampl\1", b"Host:\ta1.example", b"Host: a1.ex\0ple", b"Host: a1:xxxxxx",
        b"Host: a1.exampl\r\nX: a", b"Host: a1.exampl\r\nX: a", b"Host: a1.exampl\1\nX: b")
SAME = (
    (b"X-Id: 12ab", b"X-Id: ffff", b"X-Id: z::z", b"X-Id:\t\xff\0\1\r", b"X-Id: a\nc:", b"X-Id: ab\r\n", b"X-Ib: 12ab"),
    (b"Host: b1.example", b"Host: b1.example", b"Host: b2.example"),
    (b"Content-Length: 2", b"Content-Length: 2", b"Dontent-Length: 2", b"Content-Length: a", b"content-length: 1",
     b"Content-Length:02", b"Content-Length:\t2", b"Content-Length:2 ", b"Content-Length: /", b"Content-Length: :"),
    (b"Content-Length: 02", b"Content-Length:  2", b"Content-Length: 2 ", b"Content-Length:2\n:"),
    (b"Content-Length: 02", b"Content-Length: 2\n"), (b"Content-Length:2", b"Content-Length:3", b"Content-Length\t2"),
    (b"Transfer-Encoding: chunked", b"Transfer-Encoding: identit", b"Transfer_Encoding: chunked"),
    (b"Upgrade: c", b"Upgrade: c", b"Upgrade: d", b"Upgrbde: c"), (b"Connection: Upgrade", b"Connection: Upgrbde"),
    (b" abc", b" 123", b" a:b", b" b:c"), (b"Hf: 1", b"Hf: 2"), (b"host:a1", b"host:a2"), (b"hosd: 1", b"hose: 1"))
FIELDS = st.lists(st.sampled_from(SAME), max_size=3)
WITH_HOST = st.builds(lambda found, at: [*found[:at], HOST, *found[at:]], FIELDS, st.integers(0, 3))


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["GET", "GET", "HEAD", "DELETE", "POST"]), WITH_HOST | FIELDS,
       FIELDS.map(lambda found: [SAME[2], *found]) | FIELDS, st.integers(1, 40), st.randoms(use_true_random=False))
def test_values(loaded: Kernel, reference: Kernel, method: str, asked: list[tuple[bytes, ...]],
                answered: list[tuple[bytes, ...]], feed_every: int, dice: random.Random) -> None:
    """Whatever a value, or nearly one, makes of a head that looks the same without it: it has its own meaning."""
    script = Script()
    for turn in range(20):
        talk = opened(script)
        target = f"/a?{turn // 2}" if dice.random() < 0.2 else "/a"
        said = [f"{method} {target} HTTP/1.1".encode(), *map(dice.choice, asked)]
        talk.ask(b"\r\n".join([*said, b"", b""]), *[b"GE"] * (b"Content-Length: 2" in said))
        body = b"" if method == "HEAD" else b"ok"
        talk.answer(b"\r\n".join([b"HTTP/1.1 200 OK", *map(dice.choice, answered), b"", body]))
        talk.say(1, b"", flags=FIN | ACK)
        talk.say(0, b"", flags=FIN | ACK)
    check_equal(loaded, reference, script.frames, feed_every)


@pytest.mark.parametrize(("asked", "odd"), [
    (b"Host: a1\r\nX-Id: %d", b"Host: a2\r\nX-Id: %d"), (b"Host: a\r\nX-Id: %d", b"Host: a\1\nX-Id: %d"),
    (b"X-Id: %d\r\nHost: a1", b"X-Id: %d\r\nHost: a2"), (b"Host: a1\r\nX-Id: %d", b"Host: a1\r\nX-Id: \n:"),
    (b"Host: a1\r\nA:\r\nX-Id: %d", b"Host: a1\r\nA:\n\nX-Id: %d")])
@pytest.mark.parametrize(("answered", "wrong"), [
    (b"Content-Length: 2\r\nX-Id: %d", b"Content-Length: 2\r\nX-Id: %d"),
    (b"Content-Length: 2\r\nX-Id: %d", b"Content-Length:12\r\nX-Id: %d"),
    (b"Content-Length: 2\r\nX-Id: %d", b"Content-Length: 23\nX-Id: %d"),
    (b"Content-Length: 2\r\nX-Id: %d", b"Content-Length: a\r\nX-Id: %d"),
    (b"Content-Length: 2\r\nX-Id: %d", b"Content-Length: /\r\nX-Id: %d"),
    (b"Content-Length:  2\r\nX-Id: %d", b"Content-Length:1 2\r\nX-Id: %d")])
def test_what_is_nearly_the_same(loaded: Kernel, reference: Kernel, asked: bytes, odd: bytes, answered: bytes,
                                 wrong: bytes) -> None:
    """What is known but for its values, and what has the same names and length, yet another meaning."""
    script = Script()
    for number in range(10, 40):
        talk = opened(script)
        request, answer = (odd, answered) if number % 8 == 0 else (asked, wrong if number % 8 == 4 else answered)
        talk.ask(b"GET /a HTTP/1.1\r\n%s\r\n\r\n" % request.replace(b"%d", b"%02x" % (7 * number)))
        body = b"ok" if answer == answered else b"okay"
        talk.answer(b"HTTP/1.1 200 OK\r\n%s\r\n\r\n%s" % (answer.replace(b"%d", b"%02x" % (5 * number)), body))
        talk.say(1, b"", flags=FIN | ACK)
        talk.say(0, b"", flags=FIN | ACK)
    check_equal(loaded, reference, script.frames, 16)


@pytest.mark.parametrize("odd", [
    (b"X-Id: \nContent-Length:37\r\n\r\n", GET),
    (b"X-Id: 1234567890123456789012", b"\r\nContent-Length: 37\r\n\r\n", GET),
], ids=["a line more", "no end yet"])
def test_what_is_remembered(loaded: Kernel, reference: Kernel, odd: tuple[bytes, ...]) -> None:
    """After many requests that differ in values alone, one that is as long, and has a body that looks like one."""
    script = Script()
    for number in range(90):
        talk = opened(script)
        first, *more = odd if number in (40, 80) else (b"X-Id: %018d\r\n\r\n" % number,)
        talk.ask(b"GET /a HTTP/1.1\r\nHost: a1.example\r\nAccept: a\r\n" + first, *more)
        talk.answer(OK)
    check_equal(loaded, reference, script.frames, 4)


def test_nobody_can_make_a_request_that_is_taken_for_another(loaded: Kernel, reference: Kernel) -> None:
    """The highest bits of bytes, which a multiplication leaves where they are: no other ones make up for them."""
    script = Script()
    known = get("/a-path-of-some-length/in-which-all-may-differ")
    for number in range(12, 48):
        talk = opened(script)
        talk.exchange(known, OK)
        other = bytearray(known)
        for at in {number, number + 4, number + 8}:
            other[at] ^= 0x80
        talk.exchange(bytes(other), OK)
    check_equal(loaded, reference, script.frames, 16)
    assert counted(loaded) > 20


def test_a_flood_of_targets_costs_detail_alone(loaded: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not looked at one by one is in `other`, exactly: requests, statuses, bytes, processes."""
    monkeypatch.setattr(in_kernel, "DETAIL_MAX", 100)
    monkeypatch.setattr(in_kernel, "DETAIL_PER_S", 0)
    script = Script()
    for number in range(300):
        talk = opened(script)
        for part in range(3):
            talk.exchange(get(f"/item/{number}.{part}"), ok(b"x" * number) if number % 3 else NOT_FOUND)
    loaded.forget()
    for flow in {record.flow for record in python(script.frames).records}:
        loaded.own(flow)
    frames = script.frames
    snapshot = loaded.watch(frames[at : at + 50] for at in range(0, len(frames), 50))
    others = [cell for cell in snapshot.cells if cell.path == OTHER_PATH]
    folded = sum(cell.requests for cell in others)
    assert len(snapshot.cells) - len(others) > ALIKE_MIN + 90
    assert counted(loaded) > 600
    assert folded == dict(snapshot.skipped)["folded_urls"] >= counted(loaded)
    assert {cell.host for cell in others} == {"a.example"}
    assert {(cell.server, cell.client) for cell in others} == {(snapshot.cells[0].server, snapshot.cells[0].client)}
    assert sum(cell.requests for cell in snapshot.cells) == snapshot.totals.requests == 900
    assert dict(snapshot.totals.by_status) == {"2xx": 600, "4xx": 300}
    assert sum(cell.responses for cell in snapshot.cells if cell.status == 404) == 300
    assert sum(cell.response_bytes for cell in snapshot.cells) == sum(
        3 * len(ok(b"x" * number) if number % 3 else NOT_FOUND) for number in range(300))
    assert snapshot.completeness == 1.0


@pytest.mark.parametrize(("urls", "among", "least", "most"), [(400, 1, 400, 400), (4, 8, 20, 90), (400, 8, 0, 14)])
def test_looks_at_a_flood_are_spread(urls: int, among: int, least: int, most: int, loaded: Kernel) -> None:
    """By chance: 50 of 400 are looked at, +- 7, each of which is one less that may be; never those that come first.

    What did not come a short while ago is an example at most: one of 400.
    """
    script = Script()
    for number in range(3 * ALIKE_MIN):
        talk = opened(script)
        talk.exchange(get(f"/item/{number:04d}"), OK)
    loaded.forget()
    for flow in {record.flow for record in python(script.frames).records}:
        loaded.own(flow)
    loaded.watch([frame] for frame in script.frames)
    board = loaded.source.board
    assert board is not None
    board._publish("settings", _DETAIL_AT, 0)
    board.want(0)
    board.afford(1000, 1000, among)
    for number in range(400):
        for frame in (talk.frame(0, get(f"/more/{number % urls:04d}")), talk.frame(1, OK)):
            bpf.run(loaded.program, frame)
    looked = [record.data for record in loaded.source._drain(most=1 << 30).records if record.kind == Kind.REQUEST]
    assert least <= len(looked) <= most
    assert board._words["settings"][_DETAIL_AT // 8] == 1000 - len(looked)
    assert (looked[7:8] == [get("/more/0007")]) == (among == 1)


def in_chunks(body: bytes) -> bytes:
    """A response whose length is not told before."""
    return CHUNKED + (chunks(body) if body else chunks())


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["keep"] * 6 + ["drop", "again"]), min_size=1, max_size=40), st.integers(1, 30),
       st.lists(st.tuples(st.sampled_from([GET, GET, get("/b"), post("/c", b"12")]), st.sampled_from([ok, in_chunks]),
                          st.sampled_from([40, 40, 4000])), max_size=20),
       st.randoms(use_true_random=False))
def test_disturbed(loaded: Kernel, reference: Kernel, steps: list[str], feed_every: int,
                   asked: list[tuple[bytes, Callable[[bytes], bytes], int]], dice: random.Random) -> None:
    """Whatever is lost or sent again on connections of plain exchanges."""
    frames: list[bytes] = []
    for _ in range(ROUNDS):
        talk = opened(Script())
        for request, answer, most in asked:
            talk.ask(request)
            talk.answer(*cut(answer(b"x" * dice.randrange(most)), MSS))
        frames += disturbed(talk.script.frames, steps, dice)
        frames.append(talk.frame(1, b"", flags=FIN | ACK))
    # Parts of bodies that come again are counted where they are followed: behind a short answer, on the one path alone.
    check_equal(loaded, reference, frames, feed_every, but="duplicates")


def elsewhere(frame: bytes, number: int) -> bytes:
    """The frame between other hosts, if it is one of plain IP: a conversation that was had again."""
    at = {b"\x08\x00": (26, 30), b"\x86\xdd": (22, 38)}.get(frame[12:14])
    if at is None or len(frame) <= at[1]:
        return frame
    moved = bytearray(frame)
    for place in at:
        moved[place] ^= number
    return bytes(moved)


@pytest.mark.corpus
def test_corpus(loaded: Kernel, reference: Kernel) -> None:
    """Captures that other people made, each as if it happened three times: the first two teach."""
    paths = corpus.files()
    if not paths:
        pytest.skip(f"no corpus at {corpus.FOLDER}")
    known = 0
    for path in paths:
        frames = list(corpus.frames(path))
        if len(frames) > LONGEST:
            continue
        again = [elsewhere(frame, number) for number in range(3) for frame in frames]
        try:
            check_equal(loaded, reference, again, 50)
        except AssertionError as error:
            raise AssertionError(f"{path.name}: {error}") from error
        known += counted(loaded)
    assert known > 100


def test_totals_are_exact_when_the_ring_is_full() -> None:
    """Requests that were held back and find no place in the ring are counted as lost, and in the totals."""
    with kernel(ring_bytes=1 << 16) as here:
        script = Script()
        for _ in range(3):
            opened(script).exchange()
        known = len(script.frames)
        talks = [opened(script) for _ in range(500)]
        for talk in talks:
            talk.ask(GET)
        for talk in talks:
            talk.answer(ok(b"", "404 Not Found"))
        for flow in {record.flow for record in python(script.frames).records}:
            here.own(flow)
        frames = script.frames
        snapshot = here.watch([*([frame] for frame in frames[:known]), frames[known:]])
        lost = {row.reason: row.events for row in snapshot.losses}
        assert lost["ring_request"] > 0
        assert dict(snapshot.totals.by_method) == {"GET": 503}
        assert dict(snapshot.totals.by_status) == {"2xx": 3, "4xx": 500}
        told = sum(cell.requests for cell in snapshot.cells)
        assert told + lost["ring_request"] == 503


def test_a_body_whose_connection_is_forgotten(loaded: Kernel) -> None:
    """Tracks are given away: what was to come of a body is not sent to somebody who has not seen its head."""
    talk = learnt(loaded, post("/up", JSON))
    assert not loaded.run([talk.frame(0, post("/up", JSON)[:-4]), talk.frame(1, OK)]).records
    bpf.zero(loaded.source._fds["tracks"][0], TRACK.size, TRACKS_MAX)
    assert not loaded.run([talk.frame(0, JSON)]).records
    assert len(loaded.run([talk.frame(0, GET), talk.frame(1, OK)]).records) == 2


def test_a_held_request_that_is_lost_is_told_as_a_gap() -> None:
    """It is given back, because the client asks again, and finds no place: the next record says how much is missing."""
    with kernel(ring_bytes=1 << 16) as here:
        talk = learnt(here)
        held, again, third = (talk.frame(0, GET) for _ in range(3))
        assert not here.run([held]).records
        lost = here.run([*(Script().dialog().frame(0, get(f"/{n}")) for n in range(600)), again], drain_every=1 << 30)
        assert lost.counters[Counter.LOST_REQUEST] > 1
        [record] = here.run([third]).records
        assert record.gap == 2 * len(GET)
