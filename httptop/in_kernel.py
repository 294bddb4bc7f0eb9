"""What the kernel counts in our place, and the requests that it holds: its share of the Engine's counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from httptop.cells import MutableCell, Recent
from httptop.flows import Flow, Pending
from httptop.http1 import Request, Response
from httptop.records import REMOTE, Batch, Held, Kind, Record, nobody
from httptop.taught import Board
from httptop.teaching import Teacher

Answered = tuple[MutableCell, Recent, Recent]
"""Where an exchange counts: its cell, and its attribution to server and client."""

SAMPLES = 5  # exchanges that the kernel knows, and that are wanted one by one: of each reading

_REMOTE = nobody(REMOTE)


class Waiting(NamedTuple):
    """A request that waits in the kernel, as far as it is like a Pending."""

    head: Request
    end_ns: int


class InKernel:
    """`samples`: whether some exchanges are wanted one by one although the kernel knows them."""

    def __init__(self, board: Board, *, samples: bool) -> None:
        self._held: Sequence[Held] = ()
        self._board = board
        self._samples = SAMPLES if samples else 0
        self._teacher = Teacher(board)
        self._cells: dict[int, tuple[str, int, Answered]] = {}  # kernel's cell: method, status, where it counts

    def whole(self, record: Record) -> Record:
        """The record, or the request that it stands for."""
        return self._teacher.whole(record) if record.kind == Kind.KNOWN else record

    def learn(self, pending: Pending, head: Response, seq: int, record: Record, ends: tuple[bytes, bytes],
              answered: Answered) -> None:
        """`record` brought the answer, which begins at `seq`: let the kernel count such exchanges, if they are plain.

        `ends`: owners of server and client.
        """
        if record.kind != Kind.RESPONSE or record.seq != seq:
            return
        known = self._teacher.exchange(pending.head, pending.data, head, record)
        if known is not None:
            cell = self._teacher.cell(*known, record, ends, remote=_REMOTE, latency_max_ns=answered[0].latency_max)
            if cell is not None:
                self._cells[cell] = pending.head.method, head.status, answered

    def take(self, batch: Batch) -> Iterator[tuple[str, int, int]]:
        """Count what it has counted where it belongs; (method, status, how many exchanges)."""
        self._held = batch.held
        if self._samples:
            self._board.want(self._samples)
        for kernel_cell, response_bytes, latency in batch.counted:
            method, status, (cell, server, client) = self._cells[kernel_cell]
            while cell.into is not None:
                cell = cell.into
            count = sum(n for _, n in latency)
            cell.add(latency, count, response_bytes)
            server.total += count
            client.total += count
            yield method, status, count

    def waits(self) -> list[tuple[Waiting, Flow]]:
        """The requests that wait there, as the Engine's own."""
        found = []
        for template, key, client, asked_ns in self._held:
            flow = Flow(key)
            flow.client = client
            found.append((Waiting(self._teacher.head(template), asked_ns), flow))
        return found
