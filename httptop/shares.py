"""What each process has to do with the traffic: connections that it accepted, and exchanges by how it is known."""

from __future__ import annotations

from collections.abc import Mapping

from httptop.cells import PROCESSES_MAX, Recent, parts
from httptop.owners import Owned
from httptop.records import REMOTE
from httptop.snapshot import AcceptRow, AttributionRow, Process

Share = tuple["Process | None", str, str]
"""Process, role, how it is known."""


class Shares:
    """Counts by process; of those that were folded, where they are parts of."""

    def __init__(self, processes: int = PROCESSES_MAX) -> None:
        self._processes = self._full = processes
        self._accepts: dict[Process, Recent] = {}
        self._exchanges: dict[Share, Recent] = {}

    def accepted(self, process: Process) -> None:
        """One connection more."""
        self._accepts.setdefault(process, Recent()).total += 1
        if len(self._accepts) > self._full:
            self._fold_idle()
            self._full = max(self._processes, len(self._accepts) + self._processes // 4)  # if it made no room

    def of(self, server: Owned, client: Owned) -> tuple[Recent, Recent]:
        """Where an exchange between these counts."""
        return (self._exchanges.setdefault((server.process, "server", server.how), Recent()),
                self._exchanges.setdefault((client.process, "client", client.how), Recent()))

    def fold(self, gone: Mapping[Process, Process]) -> None:
        """These processes have no row of their own any more, but are parts of others."""
        for (process, role, how), exchanges in list(self._exchanges.items()):
            if process is not None and process in gone:
                del self._exchanges[process, role, how]
                self._exchanges.setdefault((gone[process], role, how), Recent()).absorb(exchanges)
        for process in self._accepts.keys() & gone.keys():
            self._accepts.setdefault(gone[process], Recent()).absorb(self._accepts.pop(process))

    def _fold_idle(self) -> None:
        """Of those that accept and are asked nothing no cell tells when they are too many."""
        asked = {process for process, _, _ in self._exchanges}
        idle = sorted(self._accepts.keys() - asked, key=lambda process: -self._accepts[process].total)
        half = len(idle) // 2
        self.fold(parts(idle[:half], idle[half:]))

    def accepts(self, mark: int, base: int, window_s: float) -> tuple[AcceptRow, ...]:
        """By process; `mark`, `base` and `window_s` as cells.Marks gives them."""
        return tuple(AcceptRow(process, accepts.total, accepts.since(mark, base) / window_s)
                     for process, accepts in self._accepts.items())

    def attribution(self) -> tuple[AttributionRow, ...]:
        """By process, but for servers on other hosts and what is not known of clients."""
        return tuple(AttributionRow(process, role, how, exchanges.total)
                     for (process, role, how), exchanges in self._exchanges.items()
                     if exchanges.total and how != REMOTE and (process is not None or role == "server"))
