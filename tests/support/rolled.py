"""The rows of one Snapshot alone."""

from __future__ import annotations

from httptop.filters import Filter
from httptop.rollup import EVERYTHING
from httptop.running import Running
from httptop.snapshot import Snapshot


def rolled_up(snapshot: Snapshot, keep: Filter = EVERYTHING) -> Running:
    """Made anew, with no Snapshot before it."""
    running = Running(keep)
    running.take(snapshot.cells)
    return running
