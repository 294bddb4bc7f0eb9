"""What faces may read: one frozen Snapshot, tuples all the way down, comparable and serialisable.

Units are in the names. Epoch times are nanoseconds since 1970 (UTC). Counts are since the capture began;
`*_per_s` are over the last `rate_window_s` seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

Counts = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Process:
    """A process is (pid, start time): pids are reused. `start_time` is epoch seconds, None when it ended unseen."""

    pid: int
    comm: str
    start_time: float | None = None
    cmdline: str = ""
    container: str | None = None
    user: str = field(default="", compare=False)  # may change, as cmdline may: it is that of when it was first seen

    def __hash__(self) -> int:
        return self.pid


OTHERS = Process(0, "(other)")  # stands for processes of which there are too many


def namesakes(process: Process) -> Process:
    """Stands for all of its name in its container: a pid tells nothing of who runs a second and comes again."""
    return Process(0, process.comm, None, "", process.container)


class Cell(NamedTuple):
    """The finest count: exchanges of one (method, host, path, status, server, client).

    `status` None: not answered (yet). `method` "" : responses whose request was never seen (`requests` is 0).
    `server`/`client` None: not a process that we know (another host's, or unknown).
    `latency`: ((bucket, count), ...), buckets of `stats.bucket_ns`; only answered exchanges.
    `recent`: requests within the rate window. `born`: how often the table had been folded before: a cell that was
    folded, and is there again, is another one.
    """

    method: str
    host: str
    path: str
    status: int | None
    server: Process | None
    client: Process | None
    requests: int = 0
    responses: int = 0
    recent: int = 0
    latency: tuple[tuple[int, int], ...] = ()
    latency_max_ns: int = 0
    response_bytes: int = 0
    born: int = 0


class Latency(NamedTuple):
    """Quantiles over answered exchanges, milliseconds."""

    p50: float
    p95: float
    p99: float
    max: float


class UrlRow(NamedTuple):
    """One (method, host, path). `path` has no query unless it was asked to be kept."""

    method: str
    host: str
    path: str
    requests: int
    rate_per_s: float
    responses: int
    statuses: tuple[tuple[int, int], ...]
    latency_ms: Latency | None
    response_bytes: int
    servers: tuple[int, ...]
    clients: tuple[int, ...]


class ProcessRow(NamedTuple):
    """One process in one role. `process` None: requests with no known process in that role.

    `members`: how many it stands for, of one name, and `beyond`: and of those that were folded; 0: for itself.
    """

    process: Process | None
    role: str
    requests: int
    rate_per_s: float
    methods: Counts
    statuses: tuple[tuple[int, int], ...]
    accepts: int
    accepts_per_s: float
    latency_ms: Latency | None
    attribution: Counts
    members: int = 0
    beyond: bool = False


class Exchange(NamedTuple):
    """One request with its answer. `method` None: the request was not seen; `status` None: it was not answered.

    `ts_ns` is when the request was complete (the response began, if there is no request). Endpoints are 18 bytes:
    address (IPv4 is v4-mapped) and port. `target` as sent, without its query unless that is kept.
    """

    ts_ns: int
    client_end: bytes
    server_end: bytes
    method: str | None
    host: str
    path: str
    target: str
    version: str
    status: int | None
    latency_ns: int | None
    response_bytes: int | None
    server: Process | None
    client: Process | None
    server_how: str
    client_how: str


class InFlightRow(NamedTuple):
    """A request that waits for its answer now."""

    method: str
    host: str
    path: str
    age_ms: float
    server: Process | None
    client: Process | None


class LossRow(NamedTuple):
    """Something httptop knows it did not see, by cause, with what to do about it."""

    reason: str
    events: int
    remedy: str


class AcceptRow(NamedTuple):
    """Connections that one process accepted."""

    process: Process
    accepts: int
    accepts_per_s: float


class AttributionRow(NamedTuple):
    """How many exchanges were given to `process` (None: to nobody) in `role` by source `how`."""

    process: Process | None
    role: str
    how: str
    exchanges: int


class Totals(NamedTuple):
    """Messages delivered to the tables + candidates lost; `by_method` and `by_status` ("2xx") leave out zeros."""

    requests: int = 0
    responses: int = 0
    by_method: Counts = ()
    by_status: Counts = ()


class SelfCost(NamedTuple):
    """What httptop itself costs; None where the host does not tell."""

    cpu_percent: float | None = None
    rss_bytes: int | None = None
    bpf_ns_per_run: float | None = None
    bpf_runs: int | None = None
    owners: int | None = None  # ends of connections whose process the kernel remembers now
    owners_max: int | None = None
    owners_written: int | None = None  # how often that was learned since the start


class SourceInfo(NamedTuple):
    """Where the messages come from: `kind` is "live" or "file"; and what is around, as far as the source knows.

    `gone`: interfaces that are not there now. `busy`: other ones with traffic now, busiest first. `listening`: TCP
    endpoints (18 bytes) that somebody listens on. `slow`: the kernel or the compiler could not make the fast path.
    """

    kind: str = "live"
    interfaces: tuple[str, ...] = ()
    file: str | None = None
    gone: tuple[str, ...] = ()
    busy: tuple[str, ...] = ()
    listening: tuple[bytes, ...] = ()
    slow: bool = False


class Snapshot(NamedTuple):
    """All that is known at one moment."""

    source: SourceInfo = SourceInfo()
    start_ns: int = 0
    end_ns: int = 0
    rate_window_s: float = 1.0
    totals: Totals = Totals()
    requests_per_s: float = 0.0
    history: tuple[int, ...] = ()  # requests in each of the last full seconds, oldest first
    completeness: float = 1.0
    cells: tuple[Cell, ...] = ()
    accepts: tuple[AcceptRow, ...] = ()
    attribution: tuple[AttributionRow, ...] = ()
    in_flight: tuple[InFlightRow, ...] = ()  # oldest first, bounded
    in_flight_total: int = 0
    exchanges: tuple[Exchange, ...] = ()  # the latest, oldest first; only where they were asked for
    sampled: bool = False  # `exchanges` lacks most of those that the kernel has counted itself
    losses: tuple[LossRow, ...] = ()  # every reason, also at 0
    skipped: Counts = ()
    self_cost: SelfCost = SelfCost()

    @property
    def seconds(self) -> float:
        """Length of the window since the capture began."""
        return (self.end_ns - self.start_ns) / 1e9

    @property
    def lost(self) -> int:
        """Events lost, all reasons together."""
        return sum(row.events for row in self.losses)
