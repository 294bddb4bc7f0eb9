"""Rows that are kept from Snapshot to Snapshot are those that would be made anew."""

from __future__ import annotations

import random

import pytest

from httptop.filters import parse
from httptop.rollup import UrlGroup, process_group
from httptop.running import Running
from httptop.snapshot import OTHERS, AcceptRow, AttributionRow, Cell, Process, Snapshot, namesakes
from tests.support.rolled import rolled_up

PROCESSES = (Process(1, "nginx", 1.0), Process(2, "curl", 2.0), None)


def some_cell(rng: random.Random) -> Cell:
    return Cell(rng.choice(("GET", "POST", "")), f"h{rng.randrange(3)}", f"/{rng.randrange(4)}",
                rng.choice((200, 404, 500, None)), rng.choice(PROCESSES), rng.choice(PROCESSES))


def later(rng: random.Random, cell: Cell) -> Cell:
    """More of it."""
    latency = dict(cell.latency)
    for _ in range(rng.randrange(4)):
        bucket = rng.randrange(900, 930)
        latency[bucket] = latency.get(bucket, 0) + 1
    if rng.random() < 0.3:  # new ones come between those that are known, and one is not there any more: since a reset
        latency = dict(sorted(latency.items())[rng.randrange(2):])
    return cell._replace(
        requests=cell.requests + rng.randrange(3), responses=cell.responses + rng.randrange(3),
        recent=rng.randrange(9), latency=tuple(latency.items()),
        latency_max_ns=cell.latency_max_ns + rng.randrange(2) * 60_000_000, response_bytes=cell.response_bytes + 10)


def next_cells(rng: random.Random, cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
    """Some change, some are new, some were folded into others."""
    changed = [later(rng, cell) if rng.random() < 0.4 else cell for cell in cells]
    if rng.random() < 0.2:
        rng.shuffle(changed)
        changed = changed[len(changed) // 3:]
    keys = {rollup_key(cell) for cell in changed}
    for _ in range(rng.randrange(6)):
        cell = some_cell(rng)
        if rollup_key(cell) not in keys:
            keys.add(rollup_key(cell))
            changed.append(later(rng, cell))
    return tuple(changed)


def rollup_key(cell: Cell) -> tuple[object, ...]:
    return cell.method, cell.host, cell.path, cell.status, cell.server, cell.client


def url_rows(groups: list[UrlGroup]) -> set[object]:
    return {(group.row(5.0), group.recent, group.errors, group.failed_now) for group in groups}


def latencies(running: Running) -> list[dict[int, int]]:
    """Answers by bucket, of all and of each process."""
    tallies = [running.total, *(tally for _, tally in sorted(running._processes.items(), key=str))]
    return [{index: count for index, count in tally.latency.items() if count} for tally in tallies]


@pytest.mark.parametrize("terms", ["", "status:5xx", "!host:h1", ">100ms", "pid:1", "role:client method:GET"])
@pytest.mark.parametrize("seed", range(8))
def test_same_as_made_anew(terms: str, seed: int) -> None:
    """URL rows, process rows and sums, whatever changed, came and went, under any filter."""
    rng, keep = random.Random(seed), parse(terms)
    running, cells = Running(keep), ()
    slowest: dict[object, int] = {}
    for _ in range(25):
        cells = next_cells(rng, cells)
        snapshot = Snapshot(cells=cells, rate_window_s=5.0, accepts=(AcceptRow(PROCESSES[0], 3, 0.5),),
                            attribution=(AttributionRow(PROCESSES[0], "server", "recv", 9),))
        running.take(cells)
        anew = rolled_up(snapshot, keep)
        assert url_rows(running.urls()) == url_rows(anew.urls())
        assert (running.total.requests, running.total.recent) == (anew.total.requests, anew.total.recent)
        assert running.total.classes_now() == anew.total.classes_now()
        assert latencies(running) == latencies(anew)
        for made, kept in zip(anew.processes(snapshot), running.processes(snapshot), strict=True):
            key = (made.process, made.role)
            slowest[key] = max(slowest.get(key, 0), made.latency_ms.max if made.latency_ms else 0)
            assert kept._replace(latency_ms=None) == made._replace(latency_ms=None)
            if made.latency_ms is not None and made.latency_ms.max == slowest[key]:
                assert kept.latency_ms == made.latency_ms


def test_processes_that_are_folded_leave_nothing() -> None:
    """A thousand clients, then one row for all of them: what is kept of each is gone."""
    running = Running()
    clients = [Process(10 + number, "curl", float(number)) for number in range(1000)]
    running.take(tuple(Cell("GET", "h", "/", 200, PROCESSES[0], client, 1, 1) for client in clients))
    assert len(running.processes(Snapshot())) == 1001
    now = Snapshot(cells=(Cell("GET", "h", "/", 200, PROCESSES[0], OTHERS, 1000, 1000),))
    running.take(now.cells)
    assert {(row.process, row.requests) for row in running.processes(now)} == {(PROCESSES[0], 1000), (OTHERS, 1000)}
    assert len(running._processes) == 2


def test_processes_of_one_name_as_one() -> None:
    """In each role and container of their own; who is alone stays who it is, and of those that were folded is some."""
    boxed = [Process(20 + number, "curl", 1.0, container="docker:a") for number in range(2)]
    curls = [Process(30 + number, "curl", 1.0) for number in range(3)]
    wget = Process(40, "wget", 1.0)
    nginx, *clients = [PROCESSES[0], *curls, *boxed, wget, namesakes(wget)]
    cells = tuple(Cell("GET", "h", f"/{number}", 200 + number, nginx, client, 2, 2, 1, ((900 + number, 2),), 10**9)
                  for number, client in enumerate(clients))
    snapshot = Snapshot(
        cells=cells, rate_window_s=2.0, accepts=tuple(AcceptRow(process, 3, 0.5) for process in [nginx, *curls[:2]]),
        attribution=tuple(AttributionRow(curl, "client", "connect", 2) for curl in curls))
    running = rolled_up(snapshot)
    rows = {(row.process, row.role): row for row in running.processes(snapshot, by_name=True)}
    found = {key: (row.requests, row.rate_per_s, row.members, row.beyond) for key, row in rows.items()}
    assert found == {
        (nginx, "server"): (14, 3.5, 0, False), (namesakes(curls[0]), "server"): (0, 0.0, 2, False),
        (namesakes(curls[0]), "client"): (6, 1.5, 3, False), (namesakes(boxed[0]), "client"): (4, 1.0, 2, False),
        (namesakes(wget), "client"): (4, 1.0, 1, True)}
    curl = rows[namesakes(curls[0]), "client"]
    assert (curl.attribution, curl.methods) == ((("connect", 6),), (("GET", 6),))
    assert curl.statuses == ((200, 2), (201, 2), (202, 2))
    assert curl.latency_ms is not None
    assert rows[namesakes(curls[0]), "server"][6:8] == (6, 1.0)
    assert len(running.processes(snapshot)) == 10  # each alone
    cells_of = [process_group(snapshot, process, role, by_name=bool(row.members)).requests
                for (process, role), row in rows.items()]
    assert cells_of == [row.requests for row in rows.values()]


def test_rows_of_processes_are_kept() -> None:
    """They are not made again, until something of them changes; a rate is of the window that there is now."""
    cells = tuple(Cell("GET", "h", "/", 200, None, client, 1, 1) for client in PROCESSES[:2])
    running = Running()
    running.take(cells)
    before = running.processes(Snapshot())
    busy = cells[0]._replace(requests=2, recent=1)
    running.take((busy, cells[1]))
    now = running.processes(Snapshot())
    assert now[1] is next(row for row in before if row.process == PROCESSES[1])
    assert (now[0].process, now[0].requests, now[0].rate_per_s) == (PROCESSES[0], 2, 1.0)
    assert running.processes(Snapshot(rate_window_s=4.0))[0].rate_per_s == 0.25
    running.take((busy._replace(recent=0), cells[1]))
    assert running.processes(Snapshot())[0].rate_per_s == 0.0
    known = Snapshot(attribution=(AttributionRow(PROCESSES[1], "client", "connect", 1),))
    assert running.processes(known)[1].attribution == (("connect", 1),)


CELLS = tuple(Cell("GET", "h", f"/{number}", 200, None, None, 1, 1) for number in range(10_000))


def counted(running: Running, monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What it counts in (1) and out (-1) from now on, and what has changed: as it was, and as it is."""
    found: list[tuple[object, ...]] = []
    count, change = running._count, running._change
    monkeypatch.setattr(running, "_count", lambda changes, *what: (found.append(what), count(changes, *what)))
    monkeypatch.setattr(running, "_change", lambda changes, *what: (found.append(what), change(changes, *what)))
    return found


def test_what_did_not_change_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ten thousand cells one that changed is one to look at."""
    running = Running()
    running.take(CELLS)
    found = counted(running, monkeypatch)
    changed = CELLS[70]._replace(requests=2)
    running.take((*CELLS[:70], changed, *CELLS[71:]))
    assert found == [(CELLS[70], changed)]
    assert running.total.requests == 10_001


def test_what_has_moved_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell that is taken out of a full table gives all that follow another place."""
    running = Running()
    running.take(CELLS)
    found = counted(running, monkeypatch)
    more = Cell("GET", "h", "/more", 200, None, None, 7, 7)
    running.take((*CELLS[:70], *CELLS[71:], more))
    assert found == [(CELLS[70], -1), (more, 1)]
    assert running.total.requests == 10_006
