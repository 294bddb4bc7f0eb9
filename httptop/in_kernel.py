"""What the kernel counts in our place, and the requests that it holds: its share of the Engine's counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from httptop.cells import OTHER_PATH, MutableCell, Recent
from httptop.flows import Flow, Pending
from httptop.http1 import Request, Response
from httptop.records import ELSEWHERE, REMOTE, Batch, Held, Kind, Record, nobody
from httptop.taught import Board
from httptop.teaching import Teacher, Template

Answered = tuple[MutableCell, Recent, Recent]
"""Where an exchange counts: its cell, and its attribution to server and client."""

Place = Callable[[str], Answered]
"""Path -> where an exchange counts that is known but for it."""

SAMPLES = 5  # exchanges that the kernel knows, and that are wanted one by one: of each reading

# Of requests that could count under `other`, so many come one by one: at once, and each second. Up to that rate all do,
# and each row is whole. When many more come no row would be: then they are samples, which find what is asked for often.
# What is found is counted in its own row from then on, and pays for further ones: there may be more of its kind.
DETAIL_MAX, DETAIL_PER_S = 250, 1_000
SAMPLES_PER_S = 100
FOUND_PAYS = 4

REFUSED_MAX = 512  # so many found no place: begin anew with what is asked for now
RENEW_NS = 30_000_000_000  # but not all the time
SETTLE_NS = 1_000_000_000  # until nothing is under way by what was taught
QUIET_RECORDS = 100  # records of a reading that has emptied the ring

_NOT_HERE = frozenset((nobody(REMOTE), nobody(ELSEWHERE)))


class Waiting(NamedTuple):
    """A request that waits in the kernel, as far as it is like a Pending."""

    head: Request
    end_ns: int


class _Known(NamedTuple):
    """Exchanges that the kernel counts: where they count, and where when that was folded."""

    kind: tuple[str, int]  # method, status
    answered: Answered
    again: Callable[[], Answered]


class InKernel:
    """`samples`: whether some exchanges are wanted one by one although the kernel knows them.

    `queries`: whether exchanges count by their queries.
    """

    def __init__(self, board: Board, *, samples: bool, queries: bool) -> None:
        self._held: Sequence[Held] = ()
        self._board = board
        self._samples = SAMPLES if samples else 0
        self._teacher = Teacher(board, queries=queries)
        self._detail = 0.0  # parts of a request that there is no more room for
        self._detail_per_s: float = DETAIL_PER_S
        self._earned = 0.0
        self._afforded_ns = self._counted_ns = 0
        self._others_per_s = 0.0  # requests that were not looked at
        board.afford(DETAIL_MAX, DETAIL_MAX, 1)
        self._cells: dict[int, _Known] = {}  # by the kernel's number of its cell
        self.counts = False  # it has counted at all
        self._asked: set[int] = set()  # of these: for what was asked since they were looked through
        self._keep: set[int] = set()  # templates by which requests were held since it was untaught
        self._unteaching = False
        self._renewed_ns = self._held_ns = 0

    def whole(self, record: Record) -> Record:
        """The record, or the request that it stands for."""
        return self._teacher.whole(record) if record.kind == Kind.KNOWN else record

    def learn(self, pending: Pending, head: Response, seq: int, record: Record) -> tuple[Template, int] | None:
        """`record` brought the answer, which begins at `seq`. Returns as which exchange the kernel knows this one."""
        if not pending.data or record.kind != Kind.RESPONSE or record.seq != seq or self._unteaching:
            return None
        return self._teacher.exchange(pending.head, pending.data, pending.length, head, record)

    def is_sample(self, known: tuple[Template, int] | None) -> bool:
        """Whether it is one of many under `other` that are not looked at: its row would show a few of its exchanges."""
        return known is not None and known[0].head.target == OTHER_PATH and self._detail_per_s < DETAIL_PER_S

    def count(self, known: tuple[Template, int], status: int, record: Record, ends: tuple[bytes, bytes],
              answered: Answered, place: Place) -> None:
        """Let the kernel count such exchanges. `record`: of this one, with its owners, as far as the kernel told them.

        `ends`: owners of server and client; `place`: where such exchanges count, if that is no longer `answered`.
        """
        path = answered[0].key[2]
        if known[0].head.target == OTHER_PATH != path:
            answered, path = place(OTHER_PATH), OTHER_PATH
        here = ends[0] not in _NOT_HERE, ends[1] not in _NOT_HERE
        cell = self._teacher.cell(*known, record, here, latency_max_ns=answered[0].latency_max)
        if cell is not None:
            self._cells[cell] = _Known((known[0].head.method, status), answered, partial(place, path))

    def take(self, batch: Batch) -> Mapping[tuple[str, int], int]:
        """Count what it has counted where it belongs; exchanges by (method, status)."""
        if batch.held is not None:
            self._held = batch.held
        if self._samples:
            self._board.want(self._samples)
        self.counts = self.counts or bool(batch.counted)
        others = 0
        exchanges: dict[tuple[str, int], int] = {}
        for kernel_cell, response_bytes, latency in batch.counted or ():
            kind, (cell, server, client), again = known = self._cells[kernel_cell]
            if cell.into is not None:  # it was quiet, and was folded: it gets a row again
                cell, server, client = answered = again()
                self._cells[kernel_cell] = known._replace(answered=answered)
            count = cell.add(latency, response_bytes)
            if cell.key[2] == OTHER_PATH:
                others += count
            server.total += count
            client.total += count
            exchanges[kind] = exchanges.get(kind, 0) + count
        if batch.counted is not None:
            self._asked.update(counted.cell for counted in batch.counted)
            self._others_per_s = others * 1e9 / max(batch.now_ns - self._counted_ns, 1)
            self._detail_per_s = _detail_per_s(self._others_per_s)
            self._counted_ns = batch.now_ns
        self._afford(batch.now_ns)
        self._renew(batch)
        return exchanges

    def _afford(self, now_ns: int) -> None:
        passed_s = (now_ns - self._afforded_ns) / 1e9 if self._afforded_ns else 0.0
        self._afforded_ns = now_ns
        found, self._teacher.taught = self._teacher.taught, 0
        self._earned = min(self._earned + found * FOUND_PAYS, DETAIL_MAX)
        spent = min(self._earned, passed_s * (DETAIL_PER_S - self._detail_per_s))
        self._earned -= spent
        looks = passed_s * self._detail_per_s + spent
        self._detail += looks
        more = int(self._detail)
        self._detail -= more
        self._board.afford(more, DETAIL_MAX, _among(self._others_per_s * passed_s, looks))

    def _renew(self, batch: Batch) -> None:
        """Full tables are emptied, of what nobody may ask for any more: untaught first, cleared when all is quiet.

        Until then all comes one by one: not for tables of which most is asked for, which would soon be full again.
        """
        if self._unteaching:
            if batch.held is not None and batch.now_ns - self._renewed_ns > SETTLE_NS:
                self._settle(batch, batch.held)
        elif self._teacher.refused >= REFUSED_MAX and batch.now_ns - self._renewed_ns > RENEW_NS:
            self._renewed_ns = batch.now_ns
            if 2 * len(self._asked) > len(self._cells):
                self._teacher.refused = 0
            else:
                self._board.unteach()
                self._unteaching = True
            self._asked.clear()

    def _settle(self, batch: Batch, held: Sequence[Held]) -> None:
        """Clear when no record can be yet to read that names what is not kept."""
        self._keep.update(request.template for request in held)
        self._held_ns = self._held_ns or batch.now_ns
        read_ns = max((record.ts_ns for record in batch.records), default=batch.now_ns)
        if len(batch.records) < QUIET_RECORDS or read_ns > self._held_ns:
            self._board.clear(self._keep)
            self._teacher.forget(self._keep)
            self._cells.clear()
            self._asked.clear()
            self._keep, self._held_ns = set(), 0
            self._unteaching = False

    def waits(self) -> list[tuple[Waiting, Flow]]:
        """The requests that wait there, as the Engine's own."""
        found = []
        for template, key, client, asked_ns in self._held:
            flow = Flow(key)
            flow.client = client
            found.append((Waiting(self._teacher.head(template), asked_ns), flow))
        return found


def _detail_per_s(others_per_s: float) -> float:
    """How many requests of `other` are worth a look each second, when so many are not looked at."""
    return min(max(DETAIL_PER_S * DETAIL_PER_S / max(others_per_s, 1.0), SAMPLES_PER_S), DETAIL_PER_S)


def _among(others: float, looks: float) -> int:
    """Of how many one is looked at, so that looks are spread over the time: what comes in turns would show some alone.

    Half as many as there are for each, so that none is left over.
    """
    return 1 << max(int(others / 2 / max(looks, 1.0)).bit_length() - 1, 0)
