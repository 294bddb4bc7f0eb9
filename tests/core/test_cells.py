"""A bounded table: what is asked for least makes place, and nothing is lost of the sums."""

from __future__ import annotations

import pytest

from httptop.cells import OTHER_PATH, Cells, Key, Recent, parts
from httptop.owners import Owned
from httptop.shares import Shares
from httptop.snapshot import OTHERS, Cell, Process

NGINX = Process(1, "nginx", 1.0)
CURLS = Process(0, "curl")
MS = 1_000_000


def curl(number: int) -> Process:
    """One that asks and ends."""
    return Process(1000 + number, "curl", float(number))


def ask(cells: Cells, path: str, client: Process | None = None, times: int = 1) -> None:
    """Exchanges of a millisecond."""
    key: Key = ("GET", "a.example", path, 200, NGINX, client)
    for _ in range(times):
        cells.get(key).answered(MS)


def frozen(cells: Cells) -> tuple[Cell, ...]:
    """The first Snapshot's."""
    return cells.freeze(1, 0, {})


def test_what_is_new_has_a_row_when_the_table_is_full() -> None:
    """However many were asked for once before it; the sums stay what they are."""
    cells = Cells(lambda _: None, most=100)
    for number in range(1000):
        ask(cells, f"/{number}")
    ask(cells, "/hot", times=50)
    found = {cell.path: cell.requests for cell in frozen(cells)}
    assert found["/hot"] == 50
    assert found[OTHER_PATH] == cells.folded > 0
    assert sum(found.values()) == 1050
    assert 75 <= len(found) <= 100


def test_what_is_asked_for_most_stays() -> None:
    """Whatever comes after it."""
    cells = Cells(lambda _: None, most=100)
    ask(cells, "/busy", times=3)
    for number in range(1000):
        ask(cells, f"/{number}")
    assert {cell.path: cell.requests for cell in frozen(cells)}["/busy"] == 3


def test_processes_that_come_and_go() -> None:
    """They become one of their name; at the URL, and at the process that stays, there is every exchange."""
    gone: dict[Process, Process] = {}
    cells = Cells(gone.update, processes=50)
    ask(cells, "/healthz", curl(3000), times=2)
    for number in range(1000):
        ask(cells, "/healthz", curl(number))
    ask(cells, "/healthz", curl(2000), times=7)
    found = frozen(cells)
    assert {(cell.path, cell.server) for cell in found} == {("/healthz", NGINX)}
    assert sum(cell.requests for cell in found) == sum(cell.responses for cell in found) == 1009
    assert len(found) <= 52
    assert max(cell.born for cell in found) < 50  # it is folded for many at once
    by_client = {cell.client: cell.requests for cell in found}
    assert by_client[CURLS] == len(gone) > 900
    assert (by_client[curl(2000)], by_client[curl(3000)]) == (7, 2)
    assert gone == dict.fromkeys({curl(number) for number in range(1000)} - by_client.keys(), CURLS)


def test_what_is_folded_again() -> None:
    """Those of one name go to all others when they have become few; all others stay what they are."""
    assert parts([NGINX], [OTHERS, CURLS, curl(1)]) == {CURLS: OTHERS, curl(1): OTHERS}
    assert parts([NGINX, CURLS], [OTHERS, curl(1)]) == {curl(1): CURLS}
    assert parts([], [CURLS, *map(curl, range(10))]) == {curl(number): CURLS for number in range(10)}


def test_names_that_are_rare_count_together() -> None:
    """Any process can call itself what it likes; containers are told apart."""
    cells = Cells(lambda _: None, processes=100)
    for number in range(1000):
        ask(cells, "/", Process(number, f"x{number}", 1.0))
        ask(cells, "/", Process(5000 + number, "php", 2.0, container=f"docker:{number % 2}"))
    by_client = {cell.client: cell.requests for cell in frozen(cells)}
    assert len(by_client) <= 105
    assert sum(by_client.values()) == 2000
    assert by_client[OTHERS] > 900
    assert by_client[Process(0, "php", container="docker:1")] + by_client[Process(0, "php", container="docker:0")] > 900


def test_everybody_asks_everybody() -> None:
    """Where processes in pairs fill the table, fewer of them have rows, and the busiest keep theirs."""
    cells = Cells(lambda _: None, most=1000)
    for client in range(100):
        for server in range(100):
            cells.get(("GET", "h", "/", 200, curl(1000 + server), curl(client))).answered(MS)
            cells.get(("GET", "h", "/", 200, NGINX, curl(5000))).answered(MS)
    found = frozen(cells)
    assert sum(cell.requests for cell in found) == 20_000
    assert len(found) <= 1000
    assert {cell.requests for cell in found if cell.client == curl(5000)} == {10_000}


def test_a_rate_goes_along_when_rows_are_joined() -> None:
    """Within the window there are as many as the two had."""
    one, two = Recent(), Recent()
    for mark, (first, second) in enumerate([(3, 1), (0, 5), (2, 0), (0, 0), (4, 7)], 1):
        one.total, two.total = one.total + first, two.total + second
        one.since(mark, 0)
        two.since(mark, 0)
    one.absorb(two)
    assert one.total == 22
    assert one.since(6, 2) == 2 + 4 + 7
    assert one.since(6, 4) == 4 + 7
    assert one.since(6, 5) == 0


def test_shares_of_processes_that_are_folded() -> None:
    """They go with them: connections accepted, and exchanges by how they are known."""
    shares = Shares()
    for number in range(10):
        shares.accepted(curl(number))
        for share in shares.of(Owned(curl(number), "accept"), Owned(None, "unknown")):
            share.total += 2
    shares.fold({curl(number): OTHERS if number < 3 else CURLS for number in range(1, 10)})
    assert {row.process: row.accepts for row in shares.accepts(1, 0, 1.0)} == {curl(0): 1, OTHERS: 2, CURLS: 7}
    assert {row.process: row.exchanges for row in shares.attribution()} == {curl(0): 2, OTHERS: 4, CURLS: 14}


def test_who_accepts_and_is_asked_nothing() -> None:
    """Thousands of them come and go, too; those that are asked stay, and no connection is lost."""
    shares = Shares(processes=100)
    for number in range(60):
        shares.accepted(curl(number))
        shares.of(Owned(curl(number), "accept"), Owned(None, "unknown"))[0].total += 1
    for _ in range(5):
        shares.accepted(NGINX)
    for number in range(5000):
        shares.accepted(Process(9000 + number, "inetd" if number % 2 else f"x{number}", 1.0))
    accepts = {row.process: row.accepts for row in shares.accepts(1, 0, 1.0)}
    assert sum(accepts.values()) == 5065
    assert len(accepts) <= 125
    assert accepts[Process(0, "inetd")] > 2000 < accepts[OTHERS]
    assert [accepts[process] for process in (NGINX, curl(0), curl(59))] == [5, 1, 1]


def test_folding_is_for_many_even_where_it_makes_no_room() -> None:
    """Where there are more statuses and processes than places, which nobody has seen, it does not take all the time."""
    cells = Cells(lambda _: None, most=160)
    for status in range(1000):
        cells.get(("GET", "h", "/", status, NGINX, None)).answered(MS)
    assert max(cell.born for cell in frozen(cells)) < 100


@pytest.mark.parametrize("key", [0, 1, 2, 4, 5])  # but the status, of which there are a thousand
def test_no_key_makes_the_table_grow(key: int) -> None:
    """Whichever of its parts is another one each time."""
    cells = Cells(lambda _: None, most=200, processes=50)
    parts: list[list[object]] = [[f"M{n}", f"h{n}", f"/{n}", n, curl(n), curl(n)] for n in range(2000)]
    for part in parts:
        made = ["GET", "h", "/", 200, NGINX, None]
        made[key] = part[key]
        cells.get(tuple(made)).answered(MS)  # type: ignore[arg-type]
    found = frozen(cells)
    assert sum(cell.requests for cell in found) == 2000
    assert len(found) <= 200
