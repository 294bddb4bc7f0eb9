"""What the kernel's fast path is taught: plain exchanges that came twice, and nothing that could be read otherwise."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Set as AbstractSet
from functools import partial

import pytest

from httptop.cells import OTHER_PATH, Cells
from httptop.engine import Engine
from httptop.in_kernel import DETAIL_MAX, DETAIL_PER_S, REFUSED_MAX, RENEW_NS, SETTLE_NS
from httptop.records import (
    FLAG_ASKER,
    FLAG_NEW,
    FLAG_RESUMED,
    FLOW_KEY,
    OWNER,
    Batch,
    Counted,
    Counter,
    Held,
    How,
    Kind,
    Record,
)
from httptop.snapshot import Process, Snapshot, SourceInfo
from httptop.stats import bucket
from httptop.taught import HEAD_MAX, Cut, Framing, Left, Masked
from httptop.teaching import ALIKE_MIN
from tests.support.dialogs import CHUNKED, GET, OK, SWITCHING, WEBSOCKET, Dialog, Script, chunks, get, ok, post
from tests.support.reading import MS, Reading


class Slate:
    """A board that remembers what was written."""

    def __init__(self, places: int = 100) -> None:
        self.places = places
        self.requests: list[tuple[bytes, int]] = []
        self.cuts: list[tuple[Cut, bytes]] = []
        self.lengths: list[bytes] = []  # what is left of the digits that tell them
        self.answers: list[tuple[int, int, bytes, int, int]] = []
        self.masked: list[Masked] = []
        self.cells: list[tuple[int, int, bytes, bytes, int]] = []
        self.strangers: list[bytes] = []
        self.wanted = self.detail = 0
        self.among = 1
        self.untaught = False
        self.kept: AbstractSet[int] | None = None

    def request(self, left: Left, counter: int, framing: Framing) -> int | None:
        """The next number, as long as there is place."""
        if len(self.requests) == self.places:
            return None
        data = left.data
        self.requests.append((data, counter))
        self.cuts.append((left.cut, data))
        self.lengths.append(data[framing.at : framing.at + framing.digits])
        return len(self.requests) - 1

    def answer(self, template: int, number: int, head: bytes, framing: Framing, how: Masked) -> None:
        """As taught.Board."""
        self.answers.append((template, number, head, *framing[:2]))
        self.masked.append(how)

    def cell(self, template: int, answer: int, server: bytes, client: bytes, latency_max_ns: int) -> int | None:
        """As taught.Board."""
        self.cells.append((template, answer, server, client, latency_max_ns))
        return len(self.cells) - 1

    def stranger(self, address: bytes) -> None:
        """As taught.Board."""
        self.strangers.append(address)

    def want(self, samples: int) -> None:
        """As taught.Board."""
        self.wanted = samples

    def afford(self, more: int, most: int, among: int) -> None:
        """As taught.Board."""
        self.detail, self.among = min(self.detail + more, most), among

    def unteach(self) -> None:
        """As taught.Board."""
        self.untaught = True

    def clear(self, keep: AbstractSet[int]) -> None:
        """As taught.Board."""
        self.kept = keep
        self.requests.clear()


OWNERS = tuple(OWNER.pack(pid, How.RECV, 0, 0, 10**9, b"process") for pid in (7, 8))


class Lesson(Reading):
    """A Reading whose engine teaches; both ends of each flow are processes of this host."""

    def __init__(self, places: int = 100, *, recent: int = 0, keep_query: bool = False) -> None:
        super().__init__()
        self.slate = Slate(places)
        self.engine = Engine(SourceInfo("live"), 0, lambda pid, _, name: Process(pid, name), board=self.slate,
                             recent=recent, keep_query=keep_query)
        self.owners = OWNERS

    def feed(self, records: list[Record] | tuple[Record, ...] = ()) -> None:
        """Records with the owners that the kernel would have put into them."""
        super().feed([record._replace(owners=self.owners) for record in records])

    def exchange(self, request: bytes, answer: bytes, times: int = 2) -> Dialog:
        """So many times on one connection."""
        talk = Script().dialog()
        for _ in range(times):
            self.see(talk.frame(0, request), talk.frame(1, answer))
        return talk


def test_the_second_sighting_is_taught() -> None:
    """A request by all of its bytes, its answer by the head without digits, and who talked; once each."""
    lesson = Lesson()
    lesson.exchange(GET, OK, times=1)
    assert lesson.slate.requests == []
    lesson.exchange(GET, ok(b"x" * 40), times=5)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 00\r\n\r\n"
    assert lesson.slate.requests == [(GET, Counter.GET)]
    assert [(number, masked, digits) for _, number, masked, _, digits in lesson.slate.answers] == [(0, head, 2)]
    assert head[lesson.slate.answers[0][3] :][:2] == b"00"
    assert len(lesson.slate.cells) == 1


@pytest.mark.parametrize(("request_", "answer"), [
    (GET, CHUNKED.replace(b": ch", b": gzip, ch") + chunks(b"text")),
    (GET, CHUNKED.replace(b"\r\nT", b"\r\nTransfer-Encoding: chunked\r\nT") + chunks(b"text")),
    (GET, CHUNKED.replace(b"\r\nT", b"\r\nContent-Length: 14\r\nT") + chunks(b"text")),
    (GET, b"HTTP/1.1 200 OK\r\n\r\nuntil it closes"),
    (GET, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"),
    (GET, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n \r\n\r\nok"),
    (GET, b"HTTP/1.1 200 OK\r\nContent-Length: 00000000002\r\n\r\nok"),
    (GET, b"HTTP/1.1        200 OK\r\nContent-Length: 2\r\n\r\nok"),
    (WEBSOCKET, SWITCHING),
    (WEBSOCKET, OK),
    (get("/up", "POST", b"Transfer-Encoding: chunked") + chunks(b"text"), OK),
    (get("/" + "x" * HEAD_MAX), OK),
    (b"CONNECT a:443 HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    (get("/x", "BREW"), OK),
    (GET + GET, OK + OK),
], ids=range(15))
def test_what_is_not_plain_is_not_taught(request_: bytes, answer: bytes) -> None:
    """Where the length of a message is not plainly told, or the connection changes its language."""
    lesson = Lesson()
    for _ in range(3):
        lesson.exchange(request_, answer)
    assert lesson.slate.answers == []
    assert lesson.slate.cells == []


@pytest.mark.parametrize(("request_", "answer", "digits"), [
    (post("/up", b"a body"), OK, 1),
    (get("/a", "HEAD"), OK[:-2], 0),
    (GET, b"HTTP/1.1 204 No Content\r\n\r\n", 0),
    (GET, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n", 0),
])
def test_bodies(request_: bytes, answer: bytes, digits: int) -> None:
    """A request's body is not part of what is compared; an answer that has none has no length."""
    lesson = Lesson()
    lesson.exchange(request_, answer)
    assert [data for data, _ in lesson.slate.requests] == [request_.removesuffix(b"a body")]
    assert [taught[-1] for taught in lesson.slate.answers] == [digits]


def test_an_answer_with_another_head_takes_the_place_of_one_with_its_status() -> None:
    """Four at most: a number must not change the status that it stands for."""
    lesson = Lesson()
    for day in (b"Mon", b"Tue", b"Wed", b"Thu", b"Fri"):
        lesson.exchange(GET, b"HTTP/1.1 200 OK\r\n%s: a\r\nContent-Length: 0\r\n\r\n" % day)
    lesson.exchange(GET, ok(b"", "404 Not Found"))
    assert [number for _, number, *_ in lesson.slate.answers] == [0, 1, 2, 3, 0]


@pytest.mark.parametrize("owner", [OWNER.pack(7, How.RECV, 0, 1, 10**9, b"contested"),
                                   OWNER.pack(7, How.RECV, 0, 0, 0, b"no start time")])
def test_processes_that_are_not_certain_are_not_taught(owner: bytes) -> None:
    """Then each exchange comes through the ring, and is attributed with all that is known by then."""
    lesson = Lesson()
    lesson.owners = (owner, owner)
    lesson.exchange(GET, OK, times=4)
    assert lesson.slate.requests
    assert lesson.slate.cells == []


@pytest.mark.parametrize("server", [OWNERS[0], bytes(OWNER.size)], ids=["a client", "both"])
def test_other_hosts_are_taught_as_strangers(server: bytes) -> None:
    """Who is elsewhere has no process here: that is as certain as a pid, also for traffic that is only forwarded."""
    lesson = Lesson()
    lesson.owners = (server, bytes(OWNER.size))
    lesson.exchange(GET, OK, times=4)
    assert len(set(lesson.slate.strangers)) == 1 + (server not in OWNERS)
    assert len(lesson.slate.cells) == 1


def test_full_tables_refuse() -> None:
    """What finds no place goes on as before."""
    lesson = Lesson(places=1)
    lesson.exchange(GET, OK)
    lesson.exchange(get("/b"), OK, times=9)
    assert [data for data, _ in lesson.slate.requests] == [GET]
    assert lesson.snapshot().totals.requests == 11


def test_tables_full_of_the_past_are_emptied() -> None:
    """What is asked for now finds a place, after nothing is under way by what was taught; held requests keep theirs."""
    lesson = Lesson(places=2)
    lesson.now_ns, slate = RENEW_NS, lesson.slate
    lesson.exchange(GET, OK)
    lesson.exchange(get("/old"), OK)
    for number in range(REFUSED_MAX):
        lesson.exchange(get(f"/{number}"), OK)
    assert slate.untaught
    assert slate.kept is None
    lesson.now_ns += 2 * SETTLE_NS
    lesson.engine.feed(Batch([], [], tuple(lesson.tap.counters), lesson.now_ns, held=(Held(1, bytes(36), 0, 0),)))
    assert slate.kept == {1}
    lesson.exchange(get("/new"), OK)
    assert [data for data, _ in slate.requests] == [get("/new")]


def taught() -> tuple[Lesson, Dialog]:
    """An engine that has taught one exchange."""
    lesson = Lesson()
    return lesson, lesson.exchange(GET, OK)


def counted(lesson: Lesson, *, held: tuple[Held, ...] = (), of: tuple[Counted, ...] = (),
            counters: dict[Counter, int] | None = None) -> Snapshot:
    """The Snapshot after the kernel has done these."""
    for counter, count in (counters or {}).items():
        lesson.tap.counters[counter] += count
    lesson.engine.feed(Batch([], [], tuple(lesson.tap.counters), lesson.now_ns, counted=of, held=held))
    return lesson.snapshot()


def test_what_the_kernel_counts_is_in_every_figure() -> None:
    """Cells, totals, attribution and history, as if each had come through the ring."""
    lesson, _ = taught()
    snapshot = counted(lesson, of=(Counted(0, 500, ((bucket(2 * MS), 3), (bucket(5 * MS), 7))),),
                       counters={Counter.GET: 10, Counter.C2XX: 10})
    (cell,) = snapshot.cells
    assert (cell.requests, cell.responses, cell.response_bytes) == (12, 12, 500 + 2 * len(OK))
    assert dict(cell.latency)[bucket(5 * MS)] == 7
    assert (snapshot.totals.requests, snapshot.totals.responses, snapshot.completeness) == (12, 12, 1.0)
    assert {(row.role, row.exchanges) for row in snapshot.attribution} == {("server", 12), ("client", 12)}


def test_what_the_kernel_holds_is_in_flight() -> None:
    """A request that waits in the kernel is shown with its age, counted, and not lost."""
    lesson, talk = taught()
    assert lesson.engine._flows
    flow = next(iter(lesson.engine._flows))
    assert len(flow) == FLOW_KEY.size
    assert talk.ports
    lesson.now_ns += 30 * MS
    snapshot = counted(lesson, held=(Held(0, flow, 1, lesson.now_ns - 20 * MS),), counters={Counter.GET: 1})
    (row,) = snapshot.in_flight
    assert (row.method, row.path, row.age_ms) == ("GET", "/a", 20.0)
    assert (snapshot.totals.requests, snapshot.completeness, snapshot.in_flight_total) == (3, 1.0, 1)


def test_samples_are_asked_for_when_exchanges_are_shown() -> None:
    """The live log is not to fall silent because the kernel knows them all."""
    silent, shown = Lesson(), Lesson(recent=10)
    silent.exchange(GET, OK)
    shown.exchange(GET, OK)
    assert silent.slate.wanted == 0
    assert shown.slate.wanted > 0


def test_queries_are_cut_out() -> None:
    """What they are does not matter, so they need not be alike; one that comes again is known by all of its bytes."""
    lesson = Lesson()
    for query in ("", "a=1", "a=22?&/"):
        lesson.exchange(get(f"/find?{query}"), OK, times=1)
    lesson.exchange(get("/again?b"), OK)
    assert lesson.slate.cuts == [(Cut.QUERY, get("/find?")), (Cut.NOTHING, get("/again?b"))]
    assert [template for template, *_ in lesson.slate.cells] == [0, 1]


def test_queries_that_count_are_not_cut_out() -> None:
    """With --keep-query each is a row of its own."""
    lesson = Lesson(keep_query=True)
    for number in range(5):
        lesson.exchange(get(f"/find?{number}"), OK, times=1)
    assert lesson.slate.cuts == []


def test_values_are_masked() -> None:
    """A request that comes again with other values of the same length, with another query too, or the same."""
    lesson = Lesson()
    for number, target in enumerate(("/a", "/a", "/a", "/a?1", "/b?1", "/b?2")):
        lesson.exchange(get(target, "GET", b"Cookie: %04x" % (number * 0xABC)), OK, times=1)
    field = b"Cookie:\0\0\0\0\0\0\n\r\n"
    assert [(cut, left[left.index(b"Cookie") :]) for cut, left in lesson.slate.cuts] == [
        (Cut.VALUES, field), (Cut.QUERY, field)]


def test_the_host_may_stand_anywhere() -> None:
    """It is kept, and so is all in the words of eight bytes that it is in."""
    lesson = Lesson()
    for host in (b"a1", b"a2"):
        for number in range(0xABC, 0xABF):
            lesson.exchange(b"GET / HTTP/1.1\r\nX-Id: %x\r\nhOST: %s\r\nY-Id: %x\r\n\r\n" % (number, host, number), OK,
                            times=1)
    head = b"GET / HTTP/1.1\r\nX-Id:\0\0\0\0\0\nhOST: %s\r\nY-Id:\0\0\0\0\0\n\r\n"
    assert lesson.slate.cuts == [(Cut.VALUES, head % b"a1"), (Cut.VALUES, head % b"a2")]


@pytest.mark.parametrize("fields", [
    [b"Host: a", b"Host: b", b"X-Id: %x"], [b"Host: a b", b"X-Id: %x"], [b"X-Id: %x", b"Host: b", b"Host: a"],
    [b"Host: a", b" b", b"X-Id: %x"], [b"Host:a", b"X-Id: %x"], [b"X-Id: %x", b"Host:a"],
    [b"Hi: a", b"Host: a", b"X-Id: %x"], [b"Host: a", b"Content-Length: x%x"], [b"Host: a", b"X-Id: %x", b"upgrade: h"],
    [b"upgrade: h", b"Host: a", b"X-Id: %x"], [b"Host: a", b"Transfer-Encoding: identity", b"X-Id: %x"], [b"X-Id: %x"],
    [b"Host: %x"]])
def test_what_could_matter_is_not_masked(fields: list[bytes]) -> None:
    """The Host in all its parts, and requests that have fields that could say where they end, or what follows."""
    lesson = Lesson()
    for number in range(5):
        head = b"\r\n".join([b"GET /a HTTP/1.1", *fields, b"", b""])
        lesson.exchange(head % (0x1A0 + number), OK, times=1)
    assert lesson.slate.cuts == []


def test_a_body_does_not_matter() -> None:
    """Only its length, which the kernel reads; so it need not be in the segment of the head, nor be seen whole."""
    lesson = Lesson()
    talk = Script().dialog()
    for size in (10, 10, 99, 15, 8, 9, 3000, 4000):
        head, body = get("/a", "POST", b"Content-Length: %d" % size), b"x" * size
        for request in ([head + body], [head, body], [head + body[:5], body[5:]]):
            lesson.see(*(talk.frame(0, part) for part in request), talk.frame(1, OK))
    lesson.exchange(get("/none", "POST"), OK)
    assert lesson.slate.cuts[:2] == [
        (Cut.NOTHING, get("/a", "POST", b"Content-Length: 10")),
        (Cut.VALUES, b"POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length:\0\0\0\0\n\r\n")]
    assert lesson.slate.lengths == [b"10", bytes(2), b"8", bytes(1), b"3000", bytes(4), b""]


def test_a_body_without_a_method_for_it() -> None:
    """It is part of what must be the same: nobody looks where it begins."""
    lesson = Lesson()
    for number in range(5):
        lesson.exchange(get("/b", "GET", b"Content-Length: 1") + b"%x" % number, OK, times=1)
    assert lesson.slate.cuts == []
    lesson.exchange(get("/b", "GET", b"Content-Length: 1") + b"x", OK, times=2)
    assert lesson.slate.cuts == [(Cut.NOTHING, get("/b", "GET", b"Content-Length: 1") + b"x")]
    assert lesson.slate.lengths == [b""]


@pytest.mark.parametrize("fields", [
    [b"Content-Length:  4"], [b"Content-Length:4"], [b"Content-Length: 4 "], [b"Content-Length: 4", b" "],
    [b"Content-Length: 4", b"Content-Length: 4"], [b"Content-Length: 4, 4"], [b"Content-Length: 00000000004"],
    [b"Content-Length: 4", b"Expect: 100-continue"], [b"Content-Length: 4", b"Transfer-Encoding: identity"]])
def test_bodies_whose_length_is_not_plain(fields: list[bytes]) -> None:
    """Requests that have one, or that may be refused before it is sent."""
    lesson = Lesson()
    lesson.exchange(get("/a", "POST", *fields) + b"body", OK, times=4)
    assert lesson.slate.cuts == []


def test_a_request_that_was_held_has_its_own_length() -> None:
    """Of its template the head, with the digits of this one, and how long its body is: what comes behind is found."""
    lesson = Lesson()
    for number in (11, 22, 33):
        talk = lesson.exchange(post(f"/a?{number}", b"x" * number), OK, times=1)
    [flow] = {record.flow for record in lesson.tap.packet(0, 0x0800, talk.frame(0, GET)[14:], 0)}
    sent = post("/a?q=long", b"y" * 77)
    known = Record(lesson.now_ns, flow, 5000, 7000, len(sent), Kind.KNOWN, 0, FLAG_NEW | FLAG_RESUMED | FLAG_ASKER,
                   Counter.POST, OWNERS, b"", extra=lesson.slate.cuts.index((Cut.QUERY, lesson.slate.cuts[-1][1])),
                   gap=77)
    rest = known._replace(seq=5000 + len(sent) - 7, payload_len=7 + len(GET), kind=Kind.MORE, flags=0, gap=0, extra=0,
                          data=b"y" * 7 + GET)
    answer = known._replace(seq=7000, ack=rest.seq + rest.payload_len, payload_len=2 * len(OK), kind=Kind.RESPONSE,
                            sender=1, flags=0, counter=Counter.C2XX, data=OK + OK, gap=0, extra=0)
    before = lesson.snapshot().totals.responses
    lesson.feed([known, rest, answer])
    snapshot = lesson.snapshot()
    assert Counts(cell.method for cell in snapshot.cells for _ in range(cell.responses)) == {"POST": 4, "GET": 1}
    assert {cell.path for cell in snapshot.cells} == {"/a"}
    assert snapshot.totals.responses == before + 2


def test_an_answer_with_values_of_its_own_is_taught_without() -> None:
    """In place of the one that it is like but for them."""
    lesson = Lesson()
    for number in (0x10A, 0x10B, 0x10C, 0x10D):
        lesson.exchange(GET, ok(b"xx", "200 OK", b"X-Id: %x" % number), times=1)
    heads = [(number, head) for _, number, head, *_ in lesson.slate.answers]
    start = b"HTTP/1.1 200 OK\r\n"
    assert heads == [(0, start + b"Content-Length: 0\r\nX-Id: 00b\r\n\r\n"),
                     (0, start + b"Content-Length:\0\0\0\nX-Id:\0\0\0\0\0\n\r\n")]
    assert lesson.slate.masked == [Masked.DECIMAL, Masked.VALUES]


@pytest.mark.parametrize("field", [
    b"Content-Length:  2", b"Content-Length:2", b"Content-Length: 2 ", b"Content-Length:\t2"])
def test_answers_whose_length_could_be_another_are_not_masked(field: bytes) -> None:
    """If a space were a digit."""
    lesson = Lesson()
    for number in range(0x10A, 0x110):
        lesson.exchange(GET, b"HTTP/1.1 200 OK\r\n%s\r\nX-Id: %x\r\n\r\nok" % (field, number), times=1)
    assert set(lesson.slate.masked) == {Masked.DECIMAL}


@pytest.mark.parametrize("request_", [
    b"GET  /two?%d HTTP/1.1\r\n\r\n", b"GET /a b?%d HTTP/1.1\r\n\r\n", b"GET /a?b c%d HTTP/1.1\r\n\r\n",
    b"GET http://h/a?%d HTTP/1.1\r\n\r\n", b"GET /a?%d\tHTTP/1.1\r\n\r\n", b"GET /a?%d  HTTP/1.1\r\n\r\n"])
def test_only_plain_targets_are_cut(request_: bytes) -> None:
    """A word that begins with a slash: what is else might be read otherwise by somebody."""
    lesson = Lesson()
    for number in range(ALIKE_MIN + 1):
        lesson.exchange(request_ % number, OK, times=1)
    assert lesson.slate.cuts == []


def test_there_is_no_end_of_targets() -> None:
    """Requests that differ in it alone can count as one, once there are many; until then each counts as itself."""
    lesson = Lesson()
    for number in range(ALIKE_MIN + 1):
        lesson.exchange(get(f"/item/{number}"), OK, times=1)
    assert lesson.slate.cuts == [(Cut.TARGET, get(""))]
    assert len(lesson.slate.answers) == len(lesson.slate.cells) == 1
    before = lesson.snapshot()
    assert dict(before.skipped)["folded_urls"] == 0
    assert len(before.cells) == ALIKE_MIN + 1
    snapshot = counted(lesson, of=(Counted(0, 500, ((bucket(2 * MS), 10),)),),
                       counters={Counter.GET: 10, Counter.C2XX: 10})
    [row] = [cell for cell in snapshot.cells if cell.path == OTHER_PATH]
    assert (row.host, row.requests, row.status, row.response_bytes) == ("a.example", 10, 200, 500)
    assert dict(snapshot.skipped)["folded_urls"] == 10
    assert snapshot.totals.requests == ALIKE_MIN + 1 + 10


def test_what_comes_again_within_a_flood() -> None:
    """It is no part of it: the same is taught when it comes again, and so is one that differs in its query alone."""
    lesson = Lesson()
    for number in range(ALIKE_MIN):
        lesson.exchange(get(f"/item/{number}"), OK, times=1)
    lesson.exchange(get("/hot"), OK, times=2)
    for number in range(3):
        lesson.exchange(get(f"/search?q={number}"), OK, times=1)
    assert lesson.slate.cuts[1:] == [(Cut.NOTHING, get("/hot")), (Cut.QUERY, get("/search?"))]


def test_what_the_kernel_counts_has_a_row_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL that made place for others while it was quiet, and is asked for again."""
    monkeypatch.setattr("httptop.engine.Cells", partial(Cells, most=20))
    lesson = Lesson()
    lesson.exchange(get("/quiet"), OK, times=2)
    for number in range(30):
        lesson.exchange(get(f"/{number}"), OK, times=3)
    assert "/quiet" not in {cell.path for cell in lesson.snapshot().cells}
    ten = Counted(0, 500, ((bucket(2 * MS), 10),))
    for again in (1, 2):
        snapshot = counted(lesson, of=(ten,), counters={Counter.GET: 10, Counter.C2XX: 10})
        [row] = [cell for cell in snapshot.cells if cell.path == "/quiet"]
        assert (row.requests, row.response_bytes) == (10 * again, 500 * again)
    assert sum(cell.requests for cell in snapshot.cells) == snapshot.totals.requests == 2 + 90 + 20


def test_each_exchange_is_somebodys_whoever_is_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that come and go, while what their requests have in common is taught."""
    monkeypatch.setattr("httptop.engine.Cells", partial(Cells, most=21, processes=4))
    lesson = Lesson()
    for number in range(600):
        lesson.owners = (OWNER.pack(1000 + number, How.CONNECT, 0, 0, 10**9 + number, b"curl"), OWNERS[1])
        lesson.exchange(get(f"/item/{number}"), OK, times=1)
    attribution = lesson.snapshot().attribution
    assert sum(row.exchanges for row in attribution if row.role == "client") == 600
    assert sum(row.exchanges for row in attribution if row.role == "server") == 600


def test_requests_of_which_only_the_end_is_known() -> None:
    """One that was held and comes back ends where it ended, whatever its target was; it counts as `other`."""
    lesson = Lesson()
    for number in range(ALIKE_MIN):
        talk = lesson.exchange(get(f"/item/{number}"), OK, times=1)
    [flow] = {record.flow for record in lesson.tap.packet(0, 0x0800, talk.frame(0, get("/long"))[14:], 0)} or {b""}
    sent = get("/" + "x" * 300)
    known = Record(lesson.now_ns, flow, 5000, 7000, len(sent), Kind.KNOWN, 0, FLAG_NEW | FLAG_RESUMED | FLAG_ASKER,
                   Counter.GET, OWNERS, b"", extra=0)
    answer = known._replace(seq=7000, ack=5000 + len(sent), payload_len=len(OK), kind=Kind.RESPONSE, sender=1, flags=0,
                            counter=Counter.C2XX, data=OK)
    again = known._replace(seq=5000 + len(sent), ack=7000 + len(OK), payload_len=len(GET), kind=Kind.REQUEST, flags=0,
                           data=GET)
    lesson.feed([known, answer, again])
    snapshot = lesson.snapshot()
    assert {(cell.path, cell.requests) for cell in snapshot.cells if "item" not in cell.path} == {
        (OTHER_PATH, 1), ("/a", 1)}
    assert {row.reason: row.events for row in snapshot.losses}["head_incomplete"] == 0


def test_detail_is_afforded_bit_by_bit() -> None:
    """So many requests come one by one although they could count as `other`: at once, and each second."""
    lesson = Lesson()
    assert lesson.slate.detail == DETAIL_MAX
    lesson.slate.detail = 0
    for _ in range(61):
        lesson.wait(3.3)
    assert lesson.slate.detail == pytest.approx(DETAIL_PER_S / 5, rel=0.02)
    lesson.wait(3_600_000)
    assert lesson.slate.detail == DETAIL_MAX
