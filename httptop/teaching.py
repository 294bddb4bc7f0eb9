"""What the kernel's fast path is taught: exchanges that were understood here before, and are alike.

The kernel decides nothing about HTTP. It compares with what is taught, counts what is the same, and sends the rest. So
both paths mean the same, and the bounds of its tables are kept here. So is what may differ: a query; and the values of
fields that say nothing about the message, in their lengths.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from httptop import alike
from httptop.cells import OTHER_PATH
from httptop.http1 import Request, Response
from httptop.records import METHODS, NO_OWNER, OWNER, Kind, Record
from httptop.taught import ANSWERS_MAX, IDENTITY, Board, Cut, Framing, Left, Masked

SEEN_MAX = 8192  # requests that were seen once, and are not worth a place yet
LOOKED_MAX = 1024  # paths within a flood: what does not come again among so many is no hot one
# Rows that the kernel counts: each costs whenever it is read. From so many on, a further one must have come so often
# among LOOKED_MAX: of thousands that all come alike hardly any have, of five hundred each one some time.
ROWS_SOME, WARM = 128, 3
ROWS_MAX, HOT = 1024, 5
ALIKE_MIN = 64  # so many requests that differ in their targets alone: there may be no end of them
ALIKE_MAX = 1024  # kinds of them that are counted
IDENTITIES_MAX = 1024  # processes

_NOBODY = bytes(IDENTITY.size)  # a process of another host


class Template:
    """`data`: a request that it fits, without its body; `answers`: what is taught, by their masked heads.

    `framing`: of the request; `statuses`: of each answer; `decimal`: those answers of which digits alone are masked, by
    what they are if all values are.
    """

    __slots__ = ("answers", "data", "decimal", "framing", "head", "number", "statuses")

    def __init__(self, number: int, data: bytes, head: Request, framing: Framing) -> None:
        self.number = number
        self.data = data
        self.head = head
        self.framing = framing
        self.answers: dict[bytes, int] = {}
        self.decimal: dict[bytes, int] = {}
        self.statuses: list[int] = []


class Teacher:
    """Sees each exchange that came through the ring and teaches what it holds on its second sighting.

    `queries`: whether requests count by their queries.
    """

    def __init__(self, board: Board, *, queries: bool = False) -> None:
        self._board = board
        self._queries = queries
        self._seen: set[Left] = set()
        self._looked_at: Counter[bytes] = Counter()  # beginnings of requests, as far as their paths
        self._alike: Counter[Left] = Counter()  # requests by what is left of them without their target
        self._by_left: dict[Left, Template] = {}
        self._by_number: dict[int, Template] = {}
        self._cells: dict[tuple[int, int, bytes, bytes], int | None] = {}
        self.refused = 0  # what found no place
        self.taught = 0  # requests, since somebody looked

    def forget(self, keep: AbstractSet[int]) -> None:
        """Begin anew. `keep`: templates by which requests are held."""
        self._by_left.clear()
        self._by_number = {number: self._by_number[number] for number in keep if number in self._by_number}
        self._cells.clear()
        self._alike.clear()
        self.refused = 0

    def head(self, template: int) -> Request:
        """The parsed head of a template."""
        return self._by_number[template].head

    def whole(self, record: Record) -> Record:
        """A Kind.KNOWN record as a request that ends where that ended which it stands for."""
        template, body = self._by_number[record.extra], record.gap
        data, (at, digits, _) = template.data, template.framing
        if digits:
            data = data[:at] + b"%0*d" % (digits, body) + data[at + digits :]
        seq = (record.seq + record.payload_len - body - len(data)) & 0xFFFFFFFF
        return record._replace(kind=Kind.REQUEST, data=data, seq=seq, payload_len=len(data) + body, extra=record.ack,
                               gap=0)

    def exchange(self, request: Request, data: bytes, length: int, answer: Response,
                 record: Record) -> tuple[Template, int] | None:
        """An exchange was understood: `data` is of a segment of `length` bytes that begins with the request.

        Returns the template and the number of the answer when both are taught. Its `head` tells for what it stands.
        `record` begins with the answer.
        """
        part = alike.compared(request, data, length)
        template = self._template(request, part) if part is not None else None
        if template is None:
            return None
        head = record.data[: answer.length]
        framing = alike.framing(request.method, answer, head)
        if framing is None:
            return None
        decimal = alike.masked_answer(head, Masked.DECIMAL)
        number = template.answers.get(decimal)
        if number is None:
            names = alike.masked_answer(head, Masked.VALUES, framing.kept)
            number = template.answers.get(names)
            if number is None:
                number = self._teach_answer(template, answer.status, head, framing, decimal, names)
        return None if number is None else (template, number)

    def _template(self, request: Request, data: bytes) -> Template | None:
        """The closest one that fits, if it is taught, or is now."""
        exact = Left(Cut.NOTHING, data)
        known = self._by_left.get(exact)
        if known is not None:
            return known
        target = alike.TARGET.match(data)
        if target is None:
            return self._stands_for_others(request, data) or self._second(request, data, exact)
        rest = data[target.end() :]
        host = alike.host_of(request, rest)
        behind = alike.kept_of(rest, host)
        flood = Left(Cut.TARGET, data[: target.start(1)], *behind)
        others = self._by_left.get(flood)
        query = target.start(2) if target[2] is not None and not self._queries else None
        if others is not None and self._is_rare(exact, data[: query or target.end()]):
            return others
        lefts = [Left(Cut.VALUES, target[0], *behind)] if host else []
        if query is not None:
            lefts.append(Left(Cut.QUERY, data[: query + 1], *behind))
        return (self._nearly(request, data, exact, lefts) or self._second(request, data, exact)
                or others or self._alike_ones(request, data, flood))

    def _is_rare(self, exact: Left, path: bytes) -> bool:
        """Whether hardly anybody asks for this path, with which it begins: so it is with most of a flood."""
        if path not in self._looked_at and len(self._looked_at) >= LOOKED_MAX:
            self._looked_at.clear()
        self._looked_at[path] += 1
        times = self._looked_at[path]
        rows = len(self._cells)
        rare = times < (2 if rows < ROWS_SOME else WARM if rows < ROWS_MAX else HOT)
        if rare:
            self._see(exact)
            self.refused += times > 1  # rows of the past make place, as when there is none
        return rare

    def _nearly(self, request: Request, data: bytes, exact: Left, lefts: Sequence[Left]) -> Template | None:
        """When the same is asked for with other values or another query; `lefts`: what is left of it without."""
        known = next((known for left in lefts if (known := self._by_left.get(left))), None)
        if known is None and exact not in self._seen:
            taught = [self._second(request, data, left) for left in lefts]
            known = next(filter(None, taught), None)
        return known

    def _second(self, request: Request, data: bytes, left: Left) -> Template | None:
        """Teach what is `left` of a request, if that was seen before."""
        if left not in self._seen:
            self._see(left)
            return None
        self._seen.discard(left)  # no sooner again, if there is no place
        return self._teach(request, data, left)

    def _see(self, left: Left) -> None:
        if len(self._seen) >= SEEN_MAX:
            self._seen.clear()
        self._seen.add(left)

    def _alike_ones(self, request: Request, data: bytes, left: Left) -> Template | None:
        """What stands for all requests that differ in their targets, once there are many: for `other`."""
        if len(self._alike) >= ALIKE_MAX and left not in self._alike:
            self._alike.clear()
        self._alike[left] += 1
        if self._alike[left] != ALIKE_MIN:
            return None
        other = left.front + OTHER_PATH.encode() + data[len(data) - len(left.behind) :]
        return self._teach(request._replace(target=OTHER_PATH), other, left)

    def _stands_for_others(self, request: Request, data: bytes) -> Template | None:
        """What `whole` has made of a request of which no more is known."""
        if request.target != OTHER_PATH:
            return None
        at = len(request.method) + 1
        behind = data[at + len(OTHER_PATH) :]
        kept = alike.kept_of(behind, alike.host_of(request, behind))
        return self._by_left.get(Left(Cut.TARGET, data[:at], *kept))

    def _teach(self, request: Request, data: bytes, left: Left) -> Template | None:
        framing = alike.request_framing(request.method, data)
        removed = len(data) - len(left.data)  # in front of it
        placed = framing._replace(at=framing.at - removed) if framing.digits else framing
        number = self._board.request(left, METHODS.index(request.method), placed)
        if number is None:
            self.refused += 1
            return None
        self.taught += 1
        template = self._by_left[left] = self._by_number[number] = Template(number, data, request, framing)
        return template

    def _teach_answer(self, template: Template, status: int, head: bytes, framing: Framing,
                      decimal: bytes, names: bytes) -> int | None:
        at, digits, _ = framing
        number = template.decimal.get(names)  # it has been answered so, but for some values
        if number is not None and (not digits or alike.is_plain_length(head, at, at + digits)):
            left, how = names, Masked.VALUES
        else:
            number, left, how = _number_of(template, status), decimal, Masked.DECIMAL
        if number is None:
            return None
        template.answers = {known: n for known, n in template.answers.items() if n != number}
        template.decimal = {known: n for known, n in template.decimal.items() if n != number}
        template.answers[left] = number
        if how is Masked.DECIMAL:
            template.decimal[names] = number
        self._board.answer(template.number, number, left, framing, how)
        return number

    def cell(self, template: Template, answer: int, record: Record, here: tuple[bool, bool],
             latency_max_ns: int) -> int | None:
        """Teach to count such exchanges; the number of a cell that is new. `here`: server and client may be ours."""
        server = self._identity(record, record.sender, here=here[0])
        client = self._identity(record, 1 - record.sender, here=here[1])
        if server is None or client is None or (template.number, answer, server, client) in self._cells:
            return None
        cell = self._board.cell(template.number, answer, server, client, latency_max_ns)
        self._cells[template.number, answer, server, client] = cell
        self.refused += cell is None
        return cell

    def _identity(self, record: Record, end: int, *, here: bool) -> bytes | None:
        told = record.owners[end]
        if told == NO_OWNER and not here:
            self._board.stranger(record.flow[16 * end : 16 * end + 16])
            return _NOBODY
        return _identified(told)


def _number_of(template: Template, status: int) -> int | None:
    """Of an answer that is new: in place of one with its status, if all numbers are taken."""
    if len(template.statuses) < ANSWERS_MAX:
        template.statuses.append(status)
        return len(template.statuses) - 1
    return template.statuses.index(status) if status in template.statuses else None  # cells are known by the number


@functools.lru_cache(maxsize=IDENTITIES_MAX)
def _identified(owner: bytes) -> bytes | None:
    """`struct owner` -> `struct identity`; None when it is not certain enough to count by."""
    pid, how, _, contested, start_ns, _ = OWNER.unpack(owner)
    return IDENTITY.pack(pid, how, start_ns) if pid and start_ns and not contested else None
