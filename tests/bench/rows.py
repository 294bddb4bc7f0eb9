"""What measurements yield."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """One line of the table: median and range over the runs, in the unit that `name` says."""

    name: str
    values: Sequence[float]
    digits: int = 2
    note: str = ""

    def cells(self) -> tuple[str, str, str, str]:
        """What, median, range, note."""
        if not self.values:
            return self.name, "-", "-", self.note
        low, middle, high = min(self.values), statistics.median(self.values), max(self.values)
        n = self.digits
        return self.name, f"{middle:,.{n}f}", f"{low:,.{n}f} .. {high:,.{n}f}", self.note

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        middle = statistics.median(self.values) if self.values else None
        return {"what": self.name, "median": middle, "values": list(self.values), "note": self.note}


def pairs(names: Sequence[str], rounds: int) -> Iterator[tuple[str, bool]]:
    """(name, whether it watches) in turn: each after a run with nobody, so that a slow minute meets both alike."""
    for _ in range(rounds):
        for name in names:
            yield name, False
            yield name, True
