"""Records to Snapshots: what is counted where, what is in flight, and that nothing is lost between the two."""

from __future__ import annotations

from functools import partial

import pytest

from httptop import engine as engine_module
from httptop import paths
from httptop.cells import Cells
from httptop.engine import METHODS_MAX
from httptop.records import COUNTERS, FLAG_SEEN, Batch, Counter, Kind
from httptop.snapshot import Cell, Snapshot
from tests.support.dialogs import GET, NOT_FOUND, OK, Dialog, Script, get, ok
from tests.support.frames import ACK, FIN, RST, SYN
from tests.support.reading import MS, Reading, read


def dialog() -> Dialog:
    """A connection."""
    return Script().dialog()


def cells(snapshot: Snapshot) -> dict[tuple[str, str, int | None], Cell]:
    """By method, path and status."""
    return {(cell.method, cell.path, cell.status): cell for cell in snapshot.cells}


def skipped(snapshot: Snapshot) -> dict[str, int]:
    """What is not 0."""
    return {name: count for name, count in snapshot.skipped if count}


def test_a_cell_holds_requests_answers_bytes_and_latency() -> None:
    """Exchanges of one URL and status are one cell; another status is another one; the query is not part of it."""
    talk, reading = dialog(), Reading()
    for _ in range(3):
        reading.see(talk.frame(0, GET))
        reading.see(talk.frame(1, OK), step_ms=8)
    reading.see(talk.frame(0, GET), talk.frame(1, NOT_FOUND))
    found = cells(reading.snapshot())
    assert found.keys() == {("GET", "/a", 200), ("GET", "/a", 404)}
    cell = found["GET", "/a", 200]
    assert (cell.host, cell.requests, cell.responses, cell.response_bytes) == ("a.example", 3, 3, 3 * len(OK))
    assert sum(count for _, count in cell.latency) == 3
    assert cell.latency_max_ns == 8 * MS


def test_totals_count_messages_by_method_and_class() -> None:
    """Also interim responses, and methods and codes of one's own."""
    talk = dialog()
    for method, answer in (("GET", OK), ("BREW", ok(b"", "418 Teapot")), ("post", ok(b"", "999 Odd")),
                           ("PUT", b"HTTP/1.1 100 Continue\r\n\r\n" + ok(b"", "503 Busy"))):
        talk.exchange(get("/x", method), answer)
    totals = read(talk.script.frames).snapshot().totals
    assert (totals.requests, totals.responses) == (4, 5)
    assert dict(totals.by_method) == {"GET": 1, "BREW": 1, "post": 1, "PUT": 1}
    assert dict(totals.by_status) == {"2xx": 1, "4xx": 1, "other": 1, "1xx": 1, "5xx": 1}


def test_any_word_can_be_a_method() -> None:
    """The first hundred are told apart, and none is lost."""
    talk = dialog()
    for number in range(2 * METHODS_MAX):
        talk.exchange(get("/x", f"M{number}"), OK)
    totals = read(talk.script.frames).snapshot().totals
    assert (totals.requests, len(totals.by_method)) == (2 * METHODS_MAX, METHODS_MAX + 1)
    assert dict(totals.by_method)["other"] == METHODS_MAX


def test_body_bytes_that_look_like_heads_are_taken_out() -> None:
    """The tap counts candidates; what turns out to be a body is not in the totals, and what was pipelined is."""
    talk = dialog()
    post = get("/up", "POST", b"Content-Length: %d" % len(GET))
    talk.exchange(post, OK)  # the body comes in a segment of its own:
    talk.script.frames.insert(1, talk.frame(0, GET))
    talk.ask(GET + GET)
    talk.answer(OK + OK)
    reading = read(talk.script.frames)
    assert sum(reading.tap.counters[: Counter.OTHER + 1]) == 3
    snapshot = reading.snapshot()
    assert dict(snapshot.totals.by_method) == {"POST": 1, "GET": 2}
    assert snapshot.completeness == 1.0


def test_heads_in_a_tunnel_are_not_in_the_totals() -> None:
    """What passes after 101 or CONNECT is counted by the tap and taken out again."""
    talk = dialog()
    talk.exchange(b"CONNECT b:443 HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(5):
        talk.exchange()
    totals = read(talk.script.frames).snapshot().totals
    assert (totals.requests, totals.responses) == (1, 1)


def test_what_waits_is_in_flight_and_in_the_tables() -> None:
    """A request counts as soon as it is complete: in flight with its age, in a cell without a status."""
    talk, reading = dialog(), Reading()
    reading.see(talk.frame(0, get("/1?secret")), talk.frame(0, get("/2", "PUT")))
    reading.wait(250)
    snapshot = reading.snapshot()
    assert [(row.method, row.host, row.path) for row in snapshot.in_flight] == [
        ("GET", "a.example", "/1?secret"), ("PUT", "a.example", "/2")]
    assert [round(row.age_ms) for row in snapshot.in_flight] == [250, 250]
    assert snapshot.in_flight_total == snapshot.totals.requests == sum(cell.requests for cell in snapshot.cells) == 2
    reading.see(talk.frame(1, OK))
    after = reading.snapshot()
    assert [row.path for row in after.in_flight] == ["/2"]
    assert cells(after)["GET", "/1?secret", 200].requests == 1
    assert sum(cell.requests for cell in after.cells) == 2
    reading.see(talk.frame(1, OK), talk.frame(0, get("/1?secret")))
    assert cells(reading.snapshot())["GET", "/1?secret", None].requests == 1


def test_what_waits_is_in_a_full_table_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request is somewhere in the tables, also where the last ones push out the first."""
    monkeypatch.setattr(engine_module, "Cells", partial(Cells, most=20))
    script, reading = Script(), Reading()
    for number in range(50):
        reading.see(script.dialog().frame(0, get(f"/{number}")))
    snapshot = reading.snapshot()
    assert snapshot.in_flight_total == snapshot.totals.requests == sum(cell.requests for cell in snapshot.cells) == 50


@pytest.mark.parametrize(("sender", "flags"), [(1, FIN | ACK), (1, RST), (0, RST)])
def test_unanswered_requests_stay_in_the_tables(sender: int, flags: int) -> None:
    """When their flow ends they are counted as unanswered, once, and keep their cell without a status."""
    talk = dialog()
    talk.ask(get("/1"), get("/1"))
    talk.say(sender, b"", flags=flags)
    talk.say(1 - sender, b"", flags=RST)
    snapshot = read(talk.script.frames).snapshot()
    assert skipped(snapshot) == {"unanswered": 2}
    assert snapshot.in_flight_total == 0
    assert cells(snapshot)["GET", "/1", None].requests == 2
    assert snapshot.totals.requests == 2


def test_evicted_flows_are_counted_when_something_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    """More flows than are remembered: the quietest is given up, as a loss if a request waited there."""
    monkeypatch.setattr(engine_module, "FLOWS_MAX", 2)
    reading, talks = Reading(), [dialog() for _ in range(4)]
    reading.see(talks[0].frame(0, GET), talks[0].frame(1, OK), talks[1].frame(0, GET))
    reading.see(talks[2].frame(0, GET), talks[3].frame(0, GET))
    snapshot = reading.snapshot()
    assert {row.reason: row.events for row in snapshot.losses if row.events} == {"flow_evicted": 1}
    assert skipped(snapshot) == {"unanswered": 1}
    assert snapshot.in_flight_total == 2
    assert snapshot.totals.requests == sum(cell.requests for cell in snapshot.cells) == 4


@pytest.mark.parametrize("late_ms", [1, 7000])
def test_who_waits_is_not_evicted_by_what_is_over(monkeypatch: pytest.MonkeyPatch, late_ms: int) -> None:
    """Connections of one exchange each are forgotten when they are over, also where the client closes its side late."""
    monkeypatch.setattr(engine_module, "FLOWS_MAX", 10)
    reading, script = Reading(), Script()
    poll = script.dialog()
    reading.see(poll.frame(0, GET))
    for _ in range(40):
        talk = script.dialog()
        reading.see(talk.frame(0, GET), talk.frame(1, OK), talk.frame(1, b"", flags=FIN | ACK))
        reading.wait(1000)
        reading.snapshot()
        reading.see(talk.frame(0, b"", flags=FIN | ACK), step_ms=late_ms)
    reading.see(poll.frame(1, OK))
    snapshot = reading.snapshot()
    assert skipped(snapshot) == {}
    assert (snapshot.lost, snapshot.in_flight_total, snapshot.totals.responses) == (0, 0, 41)


def test_a_connection_that_is_over_at_time_zero() -> None:
    """There are captures without times; its ports may be used again, with numbers that the body would have had."""
    reading = Reading()
    for isn, answer in ((1000, b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"), (1200, OK)):
        talk = Script().dialog(isn=isn)
        talk.ports = (40_000, 80)
        reading.see(talk.frame(0, b"", flags=SYN), talk.frame(1, b"", flags=SYN | ACK), talk.frame(0, GET),
                    talk.frame(1, answer), talk.frame(1, b"", flags=RST), step_ms=0)
    snapshot = reading.snapshot()
    assert skipped(snapshot) == {}
    assert cells(snapshot)["GET", "/a", 200].responses == 2


def test_nothing_waits_on_a_connection_that_is_over() -> None:
    """A request that comes after the server has closed: for a while it may be so, then nobody will answer."""
    reading, talk = Reading(), dialog()
    reading.see(talk.frame(0, GET), talk.frame(1, OK), talk.frame(1, b"", flags=FIN | ACK), talk.frame(0, GET))
    assert reading.snapshot().in_flight_total == 1
    reading.wait(10_000)
    snapshot = reading.snapshot()
    assert snapshot.in_flight_total == 0
    assert skipped(snapshot) == {"unanswered": 1}
    assert snapshot.totals.requests == sum(cell.requests for cell in snapshot.cells) == 2


def test_losses_of_the_ring_are_in_the_totals() -> None:
    """Totals are messages delivered and candidates lost, by method and class; completeness is the delivered share."""
    talk, reading = dialog(), Reading()
    for _ in range(8):
        talk.exchange()
    talk.exchange(get("/q", "QUERY"), ok(b"", "500 Broken"))
    script = Reading()
    records = [record for frame in talk.script.frames for record in script.see(frame)]
    reading.tap = script.tap
    reading.feed(record for number, record in enumerate(records) if number not in (0, 5, 16, 17))
    snapshot = reading.snapshot()
    assert (snapshot.totals.requests, snapshot.totals.responses) == (9, 9)
    assert dict(snapshot.totals.by_method) == {"GET": 8, "other": 1}
    assert dict(snapshot.totals.by_status) == {"2xx": 8, "5xx": 1}
    assert snapshot.completeness == pytest.approx(7 / 9)


def test_every_reason_for_loss_and_skip_is_told() -> None:
    """Also at zero, each loss with what to do about it; kernel counters come from the last batch."""
    snapshot = Reading().snapshot()
    assert all(row.events == 0 and row.remedy for row in snapshot.losses)
    reading = Reading()
    counters = [0] * COUNTERS
    counters[Counter.LOST_REQUEST], counters[Counter.LOST_ACCEPT], counters[Counter.TLS_FLOWS] = 3, 2, 5
    reading.engine.feed(Batch([], [], tuple(counters), 1))
    snapshot = reading.snapshot()
    assert {row.reason: row.events for row in snapshot.losses if row.events} == {"ring_request": 3, "perf_accept": 2}
    assert skipped(snapshot) == {"tls_flows": 5}
    assert snapshot.lost == 5


def test_a_long_path_is_told_apart_by_its_beginning() -> None:
    """Paths are bounded in the tables."""
    talk = dialog()
    for end in "12":
        talk.exchange(get("/" + "x" * 3000 + end), OK)
    (cell,) = read(talk.script.frames).snapshot().cells
    assert (cell.path, cell.requests) == ("/" + "x" * (paths.PATH_MAX - 1), 2)


def test_ports_that_are_used_again_are_another_connection() -> None:
    """After a SYN with new numbers nothing of the old connection is left: not its role, not its framing."""
    talk = dialog()
    talk.exchange(b"CONNECT b:443 HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n")
    talk.say(1, b"", flags=FIN | ACK)
    talk.next[:] = (0x6000_0000, 0x2000_0000)
    talk.say(0, b"", flags=SYN)
    talk.exchange()
    reading = read(talk.script.frames)
    assert reading.rows[1:] == [("GET", "/a", 200, len(OK))]


def test_snapshots_are_of_their_time() -> None:
    """One that was taken stays as it is; without change the next one has the same cells."""
    talk, reading = dialog(), Reading()
    reading.see(talk.frame(0, GET), talk.frame(1, OK))
    first = reading.snapshot()
    again = reading.snapshot()
    reading.see(talk.frame(0, GET), talk.frame(1, OK))
    assert first.totals.requests == first.cells[0].requests == 1
    assert again.cells == first.cells
    assert reading.snapshot().cells[0].requests == 2


def test_the_window_begins_with_the_first_batch() -> None:
    """Live: when the capture began, not when the first request came."""
    reading, talk = Reading(), dialog()
    reading.wait(500)
    reading.wait(1500)
    reading.see(talk.frame(0, GET), step_ms=1000)
    snapshot = reading.snapshot()
    assert snapshot.seconds == pytest.approx(2.5)
    assert snapshot.requests_per_s == pytest.approx(1 / 2.5)


def test_records_without_data_do_no_harm() -> None:
    """An empty record of any kind, and one that only names an owner, change no count."""
    reading, talk = Reading(), dialog()
    (record,) = reading.see(talk.frame(0, GET))
    before = reading.snapshot()
    reading.feed(record._replace(kind=kind, data=b"", counter=COUNTERS, flags=FLAG_SEEN)
                 for kind in (Kind.NONE, Kind.MORE, Kind.PARTIAL))
    assert reading.snapshot().totals == before.totals
