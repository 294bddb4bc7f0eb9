"""The same Snapshot seen since a reset, or with other paths."""

from __future__ import annotations

import pytest

from httptop.paths import grouped
from httptop.tui import reshape
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
    rest = reshape.since(snapshot, snapshot)
    assert (rest.totals.requests, rest.totals.by_method, rest.lost, rest.seconds) == (0, (), 0, 0.0)
    assert rest.completeness == 1.0
    assert sum(cell.requests + cell.responses + cell.response_bytes for cell in rest.cells) == 0
    assert all(cell.latency == () for cell in rest.cells)
    assert sum(row.accepts for row in rest.accepts) == sum(row.exchanges for row in rest.attribution) == 0
    assert rest.in_flight == snapshot.in_flight


def test_since_keeps_the_difference() -> None:
    """What came after the reset is counted, and loss only if it was after it."""
    before = snapshots.losses()
    after = snapshots.later(before, growth=1.5)
    rest = reshape.since(after, before)
    assert rest.totals.requests == sum(cell.requests for cell in rest.cells)
    assert rolled_up(rest).total.requests == rolled_up(after).total.requests - rolled_up(before).total.requests
    assert rest.lost == 0
