"""Cells -> rows: every count once where it belongs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from httptop import rollup
from httptop.export import View
from httptop.filters import Filter, parse
from httptop.running import Running
from httptop.snapshot import AcceptRow, AttributionRow, Cell, InFlightRow, Process, ProcessRow, Snapshot, UrlRow
from tests.support.rolled import rolled_up

SERVER = Process(1, "nginx", 1.0)
CLIENT = Process(2, "curl", 2.0)
PROCESSES = st.sampled_from([None, SERVER, CLIENT, Process(1, "reused", 9.0)])
CELLS = st.lists(st.builds(
    Cell, method=st.sampled_from(["", "GET", "POST"]), host=st.sampled_from(["a", "b"]),
    path=st.sampled_from(["/", "/x"]), status=st.sampled_from([None, 200, 404, 503]), server=PROCESSES,
    client=PROCESSES, requests=st.integers(0, 9), responses=st.integers(0, 9), recent=st.integers(0, 9),
    latency=st.sampled_from([(), ((700, 2),), ((650, 1), (700, 3))]), latency_max_ns=st.just(10**9),
    response_bytes=st.integers(0, 99)), max_size=30)


def urls(snapshot: Snapshot, keep: Filter = rollup.EVERYTHING) -> list[UrlRow]:
    """All rows."""
    return View(keep).urls(snapshot, None)[0]


def processes(snapshot: Snapshot, keep: Filter = rollup.EVERYTHING) -> list[ProcessRow]:
    """All rows."""
    return View(keep).processes(snapshot)


@given(CELLS)
def test_url_rows_add_up(cells: list[Cell]) -> None:
    """The rows of all URLs together have every request once, most first, and every cell's numbers."""
    snapshot = Snapshot(cells=tuple(cells), rate_window_s=5.0)
    rows = urls(snapshot)
    asked = [cell for cell in cells if cell.method]
    assert len({(row.method, row.host, row.path) for row in rows}) == len(rows)
    assert sum(row.requests for row in rows) == sum(cell.requests for cell in asked)
    assert sum(row.response_bytes for row in rows) == sum(cell.response_bytes for cell in asked)
    assert sum(n for row in rows for _, n in row.statuses) == sum(c.responses for c in asked if c.status)
    assert abs(sum(row.rate_per_s for row in rows) - sum(cell.recent for cell in asked) / 5) < 1e-6
    assert [row.requests for row in rows] == sorted((row.requests for row in rows), reverse=True)
    rolled = rolled_up(snapshot)
    groups = rolled.urls()
    assert rolled.total.requests == sum(row.requests for row in rows)
    assert sum(group.errors for group in groups) == sum(c.responses for c in asked if c.status and c.status >= 400)
    assert sum(group.failed_now for group in groups) == sum(c.recent for c in asked if c.status and c.status >= 500)


@given(CELLS, st.integers(0, 9))
def test_the_first_rows(cells: list[Cell], most: int) -> None:
    """As many as are wanted, and the same as of all."""
    running = Running()
    running.take(cells)
    assert rollup.by_requests(running.urls(), most) == rollup.by_requests(running.urls())[:most]


@given(CELLS)
def test_process_rows_add_up(cells: list[Cell]) -> None:
    """A request stands once under its server, once under its client; under nobody only if no process is known."""
    rows = processes(Snapshot(cells=tuple(cells)))
    asked = [cell for cell in cells if cell.method]
    for role, end in (("server", lambda cell: cell.server), ("client", lambda cell: cell.client)):
        known = sum(row.requests for row in rows if row.role == role and row.process)
        assert known == sum(cell.requests for cell in asked if end(cell))
    unknown = sum(row.requests for row in rows if row.process is None)
    assert unknown == sum(cell.requests for cell in asked if cell.server is None and cell.client is None)
    assert all(sum(n for _, n in row.methods) == row.requests for row in rows)


@given(CELLS, st.sampled_from(["host:a", "!method:GET", "status:4xx", "path:/x status:none", ">1ms"]))
def test_filtering_is_the_same_as_leaving_out(cells: list[Cell], text: str) -> None:
    """A filter gives the rows of a Snapshot that has only the cells that pass."""
    keep = parse(text)
    passing = Snapshot(cells=tuple(cell for cell in cells if keep.matches(cell)))
    snapshot = Snapshot(cells=tuple(cells))
    assert urls(snapshot, keep) == urls(passing)
    assert processes(snapshot, keep) == processes(passing)


def test_one_process_alone() -> None:
    """Filtered by pid there are the rows of that process, without its peers."""
    cells = (Cell("GET", "a", "/", 200, SERVER, CLIENT, 3, 3),)
    rows = processes(Snapshot(cells=cells), parse("pid:1"))
    assert [(row.process, row.role, row.requests) for row in rows] == [(SERVER, "server", 3)]
    rows = processes(Snapshot(cells=cells), parse("role:client"))
    assert [(row.process, row.role) for row in rows] == [(CLIENT, "client")]


def test_accepts_and_attribution() -> None:
    """A process that accepted without being asked has a row, and each row says how it is known."""
    snapshot = Snapshot(
        cells=(Cell("GET", "a", "/", 200, SERVER, None, 3, 3),),
        accepts=(AcceptRow(SERVER, 7, 1.5), AcceptRow(CLIENT, 1, 0.2)),
        attribution=(AttributionRow(SERVER, "server", "recv", 2), AttributionRow(SERVER, "server", "accept", 1)))
    rows = processes(snapshot)
    assert [(row.process, row.role, row.accepts, row.accepts_per_s) for row in rows] == [
        (SERVER, "server", 7, 1.5), (CLIENT, "server", 1, 0.2)]
    assert rows[0].attribution == (("accept", 1), ("recv", 2))


def test_in_flight_is_filtered_too() -> None:
    """What waits passes the same filters; its age is its latency so far, its status none."""
    rows = (InFlightRow("GET", "a", "/", 900.0, SERVER, None), InFlightRow("POST", "b", "/x", 5.0, None, CLIENT))
    snapshot = Snapshot(in_flight=rows, in_flight_total=2)
    assert rollup.in_flight(snapshot) == list(rows)
    assert rollup.in_flight(snapshot, parse(">100ms")) == [rows[0]]
    assert rollup.in_flight(snapshot, parse("pid:2 status:none")) == [rows[1]]
    assert rollup.in_flight(snapshot, parse("status:2xx")) == []


def test_latency_of_a_row() -> None:
    """Histograms of a row's cells are merged before quantiles are taken."""
    cells = (Cell("GET", "a", "/", 200, SERVER, None, 9, 9, latency=((700, 9),), latency_max_ns=10**9),
             Cell("GET", "a", "/", 500, SERVER, None, 1, 1, latency=((900, 1),), latency_max_ns=10**10))
    row = urls(Snapshot(cells=cells))[0]
    group = rolled_up(Snapshot(cells=cells)).urls()[0]
    assert group.histogram() == ((700, 9), (900, 1))
    assert row.latency_ms == group.latency_ms() == processes(Snapshot(cells=cells))[0].latency_ms
    assert row.latency_ms is not None
    assert row.latency_ms.p50 < row.latency_ms.p95 <= row.latency_ms.max == 10**4
    assert row.servers == (1,)
    assert row.clients == ()


def test_who_waits_is_as_slow_as_it_waits_already() -> None:
    """A filter by latency keeps the requests that have been waiting for longer, in JSON as on the screen."""
    rows = tuple(InFlightRow("GET", "a", "/", age, None, None) for age in (3200.0, 5.0))
    assert View(parse(">100ms")).in_flight(Snapshot(in_flight=rows)) == [rows[0]]
