"""What the kernel's fast path is taught: plain exchanges that came twice, and nothing that could be read otherwise."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

import pytest

from httptop.engine import Engine
from httptop.in_kernel import REFUSED_MAX, RENEW_NS, SETTLE_NS
from httptop.records import FLOW_KEY, OWNER, Batch, Counted, Counter, Held, How, Record
from httptop.snapshot import Process, Snapshot, SourceInfo
from httptop.stats import bucket
from httptop.taught import HEAD_MAX
from tests.support.dialogs import CHUNKED, GET, OK, SWITCHING, WEBSOCKET, Dialog, Script, chunks, get, ok, post
from tests.support.reading import MS, Reading


class Slate:
    """A board that remembers what was written."""

    def __init__(self, places: int = 100) -> None:
        self.places = places
        self.requests: list[tuple[bytes, int]] = []
        self.answers: list[tuple[int, int, bytes, int, int]] = []
        self.cells: list[tuple[int, int, bytes, bytes, int]] = []
        self.strangers: list[bytes] = []
        self.wanted = 0
        self.untaught = False
        self.kept: AbstractSet[int] | None = None

    def request(self, data: bytes, counter: int) -> int | None:
        """The next number, as long as there is place."""
        if len(self.requests) == self.places:
            return None
        self.requests.append((data, counter))
        return len(self.requests) - 1

    def answer(self, template: int, number: int, head: bytes, length_at: int, digits: int) -> None:
        """As taught.Board."""
        self.answers.append((template, number, head, length_at, digits))

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

    def __init__(self, places: int = 100, *, recent: int = 0) -> None:
        super().__init__()
        self.slate = Slate(places)
        self.engine = Engine(SourceInfo("live"), 0, lambda pid, _, name: Process(pid, name), board=self.slate,
                             recent=recent)
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
    (GET, CHUNKED + chunks(b"text")),
    (GET, b"HTTP/1.1 200 OK\r\n\r\nuntil it closes"),
    (GET, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"),
    (GET, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n \r\n\r\nok"),
    (GET, b"HTTP/1.1 200 OK\r\nContent-Length: 00000000002\r\n\r\nok"),
    (WEBSOCKET, SWITCHING),
    (WEBSOCKET, OK),
    (get("/up", "POST", b"Transfer-Encoding: chunked") + chunks(b"text"), OK),
    (get("/" + "x" * HEAD_MAX), OK),
    (b"CONNECT a:443 HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    (get("/x", "BREW"), OK),
    (GET + GET, OK + OK),
], ids=range(12))
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
    """A body in the request's segment is part of it; an answer that has none has no length."""
    lesson = Lesson()
    lesson.exchange(request_, answer)
    assert [data for data, _ in lesson.slate.requests] == [request_]
    assert [taught[-1] for taught in lesson.slate.answers] == [digits]


def test_an_answer_with_another_head_takes_the_place_of_one_with_its_status() -> None:
    """Four at most: a number must not change the status that it stands for."""
    lesson = Lesson()
    for day in (b"Mon", b"Tue", b"Wed", b"Thu", b"Fri"):
        lesson.exchange(GET, b"HTTP/1.1 200 OK\r\nDate: %s\r\nContent-Length: 0\r\n\r\n" % day)
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
