"""Packets to exchanges on the reference path: order, framing, repetition and loss, case by case."""

from __future__ import annotations

import pytest

from tests.support.cases import CASES, play
from tests.support.dialogs import Case
from tests.support.reading import read


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_exchanges(case: Case) -> None:
    """Each connection has exactly the exchanges that its ends know of, and each skip and loss is counted."""
    script = play(case)
    reading = read(script.frames)
    snapshot = reading.finish()
    for number, dialog in enumerate(script.dialogs):
        assert reading.rows_of(dialog.ends) == dialog.rows, f"connection {number}"
    assert len(reading.rows) == sum(len(dialog.rows) for dialog in script.dialogs)
    counted = {**dict(snapshot.skipped), **{row.reason: row.events for row in snapshot.losses}}
    assert {name: counted[name] for name in script.counts} == script.counts
    assert snapshot.totals.requests == sum(row[0] is not None for dialog in script.dialogs for row in dialog.rows)
    assert snapshot.completeness == 1.0
