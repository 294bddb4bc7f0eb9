"""Records in, Snapshots out: joins flows, owners and cells. Pure: time comes with the records."""

from __future__ import annotations

import heapq
from collections import Counter, OrderedDict, deque
from collections.abc import Iterator, Sequence
from functools import partial

from httptop import losses, paths, records, stats
from httptop.cells import OTHER_PATH, Cells, Marks, MutableCell
from httptop.decoder import Decoder
from httptop.exchanges import Log, Told, exchange
from httptop.flows import Flow, Pending
from httptop.http1 import Request, Response
from httptop.in_kernel import Answered, InKernel, Waiting
from httptop.owners import Find, Lookup, Owned, Owners, not_found
from httptop.records import FLAG_RESUMED, METHODS, NO_OWNER, Batch, Kind, Record
from httptop.shares import Shares
from httptop.snapshot import Exchange, InFlightRow, SelfCost, Snapshot, SourceInfo
from httptop.taught import Board

FLOWS_MAX = 24576  # 35 MB when full; what is evicted was quiet for longest, and mostly has nothing open
OVER_NS = 5_000_000_000  # how long one that is over may still be heard of: segments that come twice, or late
IN_FLIGHT_SHOWN = 200  # oldest first
HISTORY_S = 120
METHODS_MAX = 100  # that are told apart: any word can be one
MEMO_MAX = 8192  # exchanges whose cells are remembered: the same ones come again and again
Asked = tuple[str, str, str, int, bytes, bytes, int]


class Engine:
    """The only mutable object of the core. `lookup` asks the host about a pid."""

    def __init__(self, info: SourceInfo, epoch_offset_ns: int, lookup: Lookup, find: Find = not_found, *,
                 keep_query: bool = False, board: Board | None = None,
                 exchanges: deque[Exchange] | None = None, recent: int = 0) -> None:
        """`exchanges`: where each exchange is put, for a reader who empties it; `recent`: how many Snapshots hold.

        `board`: where the kernel reads what it may count itself.
        """
        self._told: deque[Told] = deque(maxlen=recent)
        tell = self._told.append if exchanges is None else lambda told: exchanges.append(self._exchange(told))
        self._log = Log(tell, self._owned) if recent or exchanges is not None else None
        self._info = info
        self._epoch_offset_ns = epoch_offset_ns
        self._keep_query = keep_query
        self.path_of = paths.counted(keep_query=keep_query)  # another one may be set before anything is fed
        self._start_ns: int | None = None
        self._counted_ns = 0  # when the kernel's counts were read
        self._marks: Marks | None = None
        self._owners = Owners(lookup, find)
        self._decoder = Decoder(self)
        self._flows: OrderedDict[bytes, Flow] = OrderedDict()
        self._shares = Shares()
        self._cells = Cells(self._shares.fold)
        self._in_flight: dict[Pending, Flow] = {}
        self._counters: tuple[int, ...] = (0,) * records.COUNTERS
        self._candidates = [0] * (records.COUNTERS + 1)  # delivered, by kernel counter
        self._methods: Counter[str] = Counter()
        self._statuses: Counter[int] = Counter()
        self._events: Counter[str] = Counter()  # losses and skips that user space finds
        self._history = stats.Rolling(HISTORY_S)
        self._memo: dict[Asked, Answered] = {}
        self._in_kernel = InKernel(board, samples=bool(recent), queries=keep_query) if board else None
        self._record: Record | None = None  # that is being decoded

    # -- records in ---------------------------------------------------------------------------------------------

    def feed(self, batch: Batch) -> None:
        """Take in what a Source has read."""
        self._counters = batch.counters
        if self._start_ns is None:
            self._start_ns = self._begin(batch)
            self._counted_ns = batch.now_ns
        for accept in batch.accepts:
            self._owners.accepted(accept)
            process = self._owners.process(accept.owner, accept.ts_ns).process
            if process is not None:
                self._shares.accepted(process)
        self._feed_records(batch.records)
        if self._in_kernel is not None:
            self._add_counted(self._in_kernel, batch)
        if self._log is not None:
            self._log.expire(batch.now_ns)

    def _begin(self, batch: Batch) -> int | None:
        """Live: now. In a file: when its first record was captured."""
        return batch.now_ns if self._info.kind == "live" else batch.records[0].ts_ns if batch.records else None

    def finish(self) -> None:
        """Nothing more will come: heads that are cut short are taken as they are. What waits stays in flight."""
        for flow in self._flows.values():
            self._decoder.flush(flow)
        if self._log is not None:
            self._log.finish()
            for pending, flow in self._in_flight.items():
                self._log.unanswered(flow, pending)

    def _feed_records(self, batch: list[Record]) -> None:
        flows, candidates, decode = self._flows, self._candidates, self._decoder.feed
        for record in batch:
            key = record.flow
            flow = flows.get(key)
            if flow is None:
                if record.kind == Kind.END and not record.flags & FLAG_RESUMED:
                    continue  # of one that is over, or on which nothing was said
                flow = self._new_flow(key)
            else:
                flows.move_to_end(key)
            owners, (low, high) = flow.owners, record.owners
            if low != owners[0] and low != NO_OWNER:
                owners[0] = self._owners.share(low)
            if high != owners[1] and high != NO_OWNER:
                owners[1] = self._owners.share(high)
            candidates[record.counter] += 1
            if record.flags & FLAG_RESUMED:
                record = self._resumed(flow, record)  # noqa: PLW2901 - it stands for another one
            self._record = record
            decode(flow, record)

    def _resumed(self, flow: Flow, record: Record) -> Record:
        record = self._in_kernel.whole(record) if self._in_kernel is not None else record
        self._decoder.resume(flow, record)
        return record

    def _add_counted(self, in_kernel: InKernel, batch: Batch) -> None:
        """What the kernel has counted as it was taught."""
        counted = in_kernel.take(batch)
        for (method, status), count in counted.items():
            self._methods[method] += count
            self._statuses[status] += count
            self._candidates[METHODS.index(method)] += count
            self._candidates[records.Counter.C1XX + status // 100 - 1] += count
        if batch.counted is not None:
            self._history.spread(self._counted_ns, batch.now_ns, sum(counted.values()))
            self._counted_ns = batch.now_ns

    def _new_flow(self, key: bytes) -> Flow:
        flow = self._flows[key] = Flow(key)
        if len(self._flows) > FLOWS_MAX:
            _, oldest = self._flows.popitem(last=False)
            self._events["flow_evicted"] += bool(oldest.pending)
            self._decoder.abandon(oldest)
        return flow

    def _forget(self, now_ns: int) -> None:
        """Who asks once on each connection leaves thousands that are over: they must not push out one that waits."""
        for key in [key for key, flow in self._flows.items()
                    if flow.closed_ns is not None and flow.closed_ns < now_ns - OVER_NS]:
            self._decoder.abandon(self._flows.pop(key))

    # -- what flows say (flows.Sink) ----------------------------------------------------------------------------

    def on_request(self, flow: Flow, pending: Pending) -> None:
        """A request head is complete."""
        method = pending.head.method
        few = method in self._methods or len(self._methods) < METHODS_MAX
        self._methods[method if few else losses.OTHER_METHOD] += 1
        self._history.add(pending.end_ns)
        self._in_flight[pending] = flow

    def on_response(self, flow: Flow, pending: Pending | None, head: Response, seq: int, ts_ns: int) -> None:
        """A response head is complete; `pending` None: interim, or to a request that was never seen."""
        status = head.status
        self._statuses[status] += 1
        interim = pending is None and 100 <= status < 200
        if self._log is not None and not interim:
            self._log.response(flow, pending, head, ts_ns)
        if pending is None:
            if not interim:
                self._events["responses_alone"] += 1
                flow.answer = self._cell("", "", "", status, *self._owned(flow, ts_ns))
                flow.answer.responses += 1
                flow.answer.dirty = True
            return
        del self._in_flight[pending]
        ends, kernel, record = self._ends(flow, ts_ns), self._in_kernel, self._record
        known = kernel.learn(pending, head, seq, record) if kernel and record else None
        cell, server, client = answered = (self._place(pending.head, status, ends, ts_ns, OTHER_PATH)
            if kernel and kernel.is_sample(known) else self._answered(pending.head, status, ends, ts_ns))
        cell.answered(max(ts_ns - pending.end_ns, 0))
        server.total += 1
        client.total += 1
        flow.answer = cell
        if kernel and record and known:
            kernel.count(known, status, flow.owned(record), ends, answered,  # which may fold all these
                         partial(self._place, pending.head, status, ends, ts_ns))

    def on_response_end(self, flow: Flow, length: int) -> None:
        """The last response of `flow` is `length` bytes long, head included."""
        if flow.answer is not None:
            cell = flow.answer.last
            cell.bytes += length
            cell.dirty = True
            flow.answer = None
        if self._log is not None:
            self._log.end(flow, length)

    def on_unanswered(self, flow: Flow, pending: Pending) -> None:
        """Its answer will not come, or was not seen."""
        del self._in_flight[pending]
        self._events["unanswered"] += 1
        if self._log is not None:
            self._log.unanswered(flow, pending)
        cell = self._request_cell(flow, pending)
        cell.recent.total += 1
        cell.dirty = True
        for attributed in self._shares.of(*self._owned(flow, pending.end_ns)):
            attributed.total += 1

    def on_resync(self) -> None:
        """A part of a head was never seen."""
        self._events["head_incomplete"] += 1

    def on_duplicate(self) -> None:
        """Bytes that were looked at before."""
        self._events["duplicates"] += 1

    # -- where things are counted -------------------------------------------------------------------------------

    def _ends(self, flow: Flow, ts_ns: int) -> tuple[bytes, bytes]:
        """`struct owner` of server and client, as far as they are known now."""
        return self._owners.ends(flow.key, flow.client or 0, flow.owners, ts_ns)

    def _owned(self, flow: Flow, ts_ns: int) -> tuple[Owned, Owned]:
        return self._identified(self._ends(flow, ts_ns), ts_ns)

    def _identified(self, ends: tuple[bytes, bytes], ts_ns: int) -> tuple[Owned, Owned]:
        return self._owners.process(ends[0], ts_ns), self._owners.process(ends[1], ts_ns)

    def _cell(self, method: str, host: str, path: str, status: int | None, server: Owned, client: Owned) -> MutableCell:
        return self._cells.get((method, host, path, status, server.process, client.process))

    def _answered(self, head: Request, status: int, ends: tuple[bytes, bytes], ts_ns: int) -> Answered:
        """Where an exchange counts. The same one again is the common case, and is remembered."""
        memo = (head.method, head.host, head.target, status, *ends, ts_ns >> 30)  # processes are looked at each second
        known = self._memo.get(memo)
        if known is None or known[0].into is not None:
            if len(self._memo) >= MEMO_MAX:
                self._memo.clear()
            known = self._memo[memo] = self._place(head, status, ends, ts_ns, self.path_of(head.target))
        return known

    def _place(self, head: Request, status: int, ends: tuple[bytes, bytes], ts_ns: int, path: str) -> Answered:
        server, client = self._identified(ends, ts_ns)
        cell = self._cell(head.method, head.host, path, status, server, client)
        return cell, *self._shares.of(server, client)

    def _request_cell(self, flow: Flow, pending: Pending | Waiting) -> MutableCell:
        head, ts_ns = pending.head, pending.end_ns
        return self._cell(head.method, head.host, self.path_of(head.target), None, *self._owned(flow, ts_ns))

    def _exchange(self, told: Told) -> Exchange:
        return exchange(told, self._epoch_offset_ns, self.path_of, keep_query=self._keep_query)

    # -- snapshots out ------------------------------------------------------------------------------------------

    def snapshot(self, now_ns: int, cost: SelfCost | None = None) -> Snapshot:
        """All that is known at `now_ns` (the clock of the records)."""
        start_ns = self._start_ns if self._start_ns is not None else now_ns
        if self._marks is None:
            self._marks = Marks(start_ns)
        self._forget(now_ns)
        mark, base, window_s = self._marks.take(now_ns)
        held = self._in_kernel.waits() if self._in_kernel is not None else []
        waits: list[tuple[Pending | Waiting, Flow]] = [*self._in_flight.items(), *held]
        totals, completeness = losses.totals(self._counters, self._candidates, self._methods, self._statuses,
                                             Counter(METHODS.index(pending.head.method) for pending, _ in held))
        asked = [self._request_cell(flow, pending) for pending, flow in waits]
        waiting = Counter(cell.last for cell in asked)  # which is known when the last one has found its place
        cells = self._cells.freeze(mark, base, waiting)
        return Snapshot(
            source=self._info,
            start_ns=start_ns + self._epoch_offset_ns,
            end_ns=now_ns + self._epoch_offset_ns,
            rate_window_s=window_s,
            totals=totals,
            requests_per_s=sum(cell.recent for cell in cells) / window_s,
            history=self._history.per_second(now_ns),
            completeness=completeness,
            cells=cells,
            accepts=self._shares.accepts(mark, base, window_s),
            attribution=self._shares.attribution(),
            in_flight=tuple(self._waiting(waits, now_ns)),
            in_flight_total=len(waits),
            exchanges=tuple(map(self._exchange, self._told)),
            sampled=self._in_kernel is not None and self._in_kernel.counts,
            losses=losses.rows(self._counters, self._events),
            skipped=losses.skipped(self._counters, self._events, self._cells.folded),
            self_cost=cost or SelfCost(),
        )

    def _waiting(self, waits: Sequence[tuple[Pending | Waiting, Flow]], now_ns: int) -> Iterator[InFlightRow]:
        """The oldest of what waits."""
        for pending, flow in heapq.nsmallest(IN_FLIGHT_SHOWN, waits, key=lambda wait: wait[0].end_ns):
            server, client = self._owned(flow, now_ns)
            head = pending.head
            yield InFlightRow(head.method, head.host, self.path_of(head.target), (now_ns - pending.end_ns) / 1e6,
                              server.process, client.process)
