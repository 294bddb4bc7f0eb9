"""The same Snapshot seen since a reset, or with other paths."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest

from httptop.cells import OTHER_PATH, Cells
from httptop.owners import Owned
from httptop.paths import grouped
from httptop.rollup import EVERYTHING
from httptop.shares import Shares
from httptop.snapshot import Cell, Process, Snapshot, Totals
from httptop.tui import reshape
from httptop.tui.view import View
from tests.support.rolled import rolled_up
from tests.tui import snapshots


@pytest.mark.parametrize(("path", "shown"), [
    ("/", "/"), ("", ""), ("*", "*"), ("/users/123/orders/4", "/users/:id/orders/:id"), ("/v1/x", "/v1/x"),
    ("/u/123e4567-e89b-12d3-a456-426614174000", "/u/:uuid"), ("/blob/0123456789abcdef0123", "/blob/:hash"),
    ("/facade/deadbeef", "/facade/deadbeef"), ("/a/1?b=2", "/a/:id?b=2"),
    ("/abcdefabcdefabcdef", "/abcdefabcdefabcdef"),
])
def test_grouped(path: str, shown: str) -> None:
    """Numbers, UUIDs and hashes become placeholders, words and versions stay."""
    assert grouped(path) == shown


@pytest.mark.parametrize("state", ["calm", "losses", "error_burst", "unknown_owners", "empty"])
def test_since_itself_is_nothing(state: str) -> None:
    """Reset now, nothing is left but what is in flight."""
    snapshot = getattr(snapshots, state)()
    rest = reshape.Since(snapshot)(snapshot)
    assert (rest.totals.requests, rest.totals.by_method, rest.lost, rest.seconds) == (0, (), 0, 0.0)
    assert rest.completeness == 1.0
    assert sum(cell.requests + cell.responses + cell.response_bytes for cell in rest.cells) == 0
    assert all(cell.latency == () for cell in rest.cells)
    assert sum(row.accepts for row in rest.accepts) == sum(row.exchanges for row in rest.attribution) == 0
    assert rest.in_flight == snapshot.in_flight


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("pids", [2, 100])
def test_since_when_the_table_was_full_meanwhile(seed: int, pids: int) -> None:
    """What was folded after the reset, and what has a row again, counts from the reset on, refresh by refresh."""
    rng, shares = random.Random(seed), Shares()
    cells = Cells(shares.fold, most=90, processes=70)
    asked: list[tuple[str, int]] = []

    def traffic(number: int, most: int) -> None:
        for _ in range(number):
            path, pid = f"/{min(rng.randrange(most), rng.randrange(most))}", rng.randrange(1, pids)
            client = Process(pid, ("curl", "php", f"x{pid}")[pid % 3], float(pid))
            cells.get(("GET", "h", path, 200, None, client)).answered(rng.randrange(1, 10) * 1_000_000)
            shares.of(Owned(None, "unknown"), Owned(client, "connect"))[1].total += 1
            asked.append((path, pid))

    def snapshot(mark: int) -> Snapshot:
        return Snapshot(cells=cells.freeze(mark, 0, {}), attribution=shares.attribution(),
                        totals=Totals(len(asked), len(asked)))

    traffic(2000, 200)
    since = reshape.Since(snapshot(1))
    for mark, more in enumerate((0, 1, 3, 100, 2000, 5), 2):
        traffic(more, 400)
        rest = since(snapshot(mark))
        count = len(asked) - 2000
        assert sum(cell.requests for cell in rest.cells) == sum(cell.responses for cell in rest.cells) == count
        assert sum(number for cell in rest.cells for _, number in cell.latency) == count
        told = Counter(asked[2000:])
        for cell in rest.cells:
            assert cell.requests >= 0
            if cell.path != OTHER_PATH and cell.client is not None and cell.client.pid:
                assert cell.requests <= told[cell.path, cell.client.pid]
        assert sum(row.exchanges for row in rest.attribution) == count
        assert all(row.exchanges >= 0 for row in rest.attribution)
    assert len({cell.client for cell in rest.cells if cell.client and not cell.client.pid}) == (3 if pids > 2 else 0)


def test_a_fold_for_what_was_not_counted_yet() -> None:
    """Nothing came since the reset, wherever it counts now."""
    cells = Cells(lambda _: None, most=20)
    for number in range(40):  # so it was folded before
        cells.get(("GET", "h", f"/{number}", 200, None, None)).answered(1_000_000)
    since = reshape.Since(Snapshot(cells=cells.freeze(1, 0, {})))
    before = since(Snapshot(cells=cells.freeze(2, 1, {})))
    for number in range(10):
        cells.get(("GET", "h", f"/new/{number}", 200, None, None))
    now = Snapshot(cells=cells.freeze(3, 2, {}))
    assert before.cells == ()
    assert sum(cell.requests for cell in since(now).cells) == 0


def test_reset_while_the_screen_is_paused() -> None:
    """What came between the Snapshot on the screen and the reset is forgotten, too, when the screen goes on."""
    cells = tuple(Cell("GET", "h", f"/{n}", 200, None, None, 2, 2) for n in range(4))
    view = View(EVERYTHING)
    view.take(Snapshot(cells=cells[:2], end_ns=1))
    view.toggle_pause()
    view.take(Snapshot(cells=cells, end_ns=2))
    view.reset()
    view.take(Snapshot(cells=(*cells, cells[0]._replace(path="/new")), end_ns=3))
    view.toggle_pause()
    assert [(group.path, group.requests) for group in view.urls] == [("/new", 2)]


@pytest.mark.parametrize("make", [reshape.Since, lambda _: reshape.Paths(str.upper)])
def test_what_did_not_change_is_the_same_object(make: Callable[[Snapshot], Callable[[Snapshot], Snapshot]]) -> None:
    """However often it comes; so nothing of it is counted again."""
    first, *rest = (Cell("GET", "h", f"/{n}", 200, None, None, 2, 2) for n in range(100))
    way = make(Snapshot(cells=(first._replace(requests=1), *(cell._replace(requests=1) for cell in rest))))
    before = way(Snapshot(cells=(first, *rest)))
    now = way(Snapshot(cells=(first._replace(requests=5), *rest)))
    assert all(one is other for one, other in zip(before.cells[1:], now.cells[1:], strict=True))
    assert now.cells[0].requests - before.cells[0].requests == 3


def test_a_row_that_is_there_again_counts_from_its_return() -> None:
    """What it had before the reset is in `other` by now."""
    cells = Cells(lambda _: None, most=20)

    def ask(path: str, times: int) -> None:
        for _ in range(times):
            cells.get(("GET", "h", path, 200, None, None)).answered(1_000_000)

    ask("/quiet", 2)
    before = Snapshot(cells=cells.freeze(1, 0, {}))
    for number in range(30):
        ask(f"/{number}", 3)
    assert "/quiet" not in {cell.path for cell in cells.freeze(2, 0, {})}
    ask("/quiet", 1)
    rest = {cell.path: cell.requests for cell in reshape.Since(before)(Snapshot(cells=cells.freeze(3, 0, {}))).cells}
    assert rest["/quiet"] == 1
    assert sum(rest.values()) == 91


def test_since_keeps_the_difference() -> None:
    """What came after the reset is counted, and loss only if it was after it."""
    before = snapshots.losses()
    after = snapshots.later(before, growth=1.5)
    rest = reshape.Since(before)(after)
    assert rest.totals.requests == sum(cell.requests for cell in rest.cells)
    assert rolled_up(rest).total.requests == rolled_up(after).total.requests - rolled_up(before).total.requests
    assert rest.lost == 0
