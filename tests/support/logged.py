"""What a run of `httptop --log --json` tells."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.support.dialogs import Row
from tests.support.net import Namespace
from tests.support.program import Snapshot, httptop

Told = dict[str, Any]


@dataclass
class Run:
    """What one run of httptop told, and the last snapshot of another one that ran beside it."""

    exchanges: list[Told] = field(default_factory=list)
    snapshot: Snapshot = field(default_factory=dict)

    def rows_of(self, ends: tuple[str, str]) -> list[Row]:
        """The exchanges of one connection, in the order in which they were told."""
        return [(told["method"], told["target"], told["status"], told["response_bytes"])
                for told in self.exchanges if (told["client"], told["server"]) == ends]


@contextlib.contextmanager
def log(where: Namespace, interface: str) -> Iterator[Run]:
    """Run `--log --json` on `interface` meanwhile; afterwards the Run has all that it told."""
    run = Run()
    with httptop("-i", interface, "--log", "--json", "--keep-query", where=where) as top:
        top.wait_attached()
        yield run
        assert top.interrupt() == 130
        assert top.err == ""
        run.exchanges += [json.loads(line) for line in top.out.splitlines()]
