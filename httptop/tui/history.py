"""How things went, refresh by refresh: what a Snapshot, which knows sums and one moment, cannot tell. Pure."""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Hashable, Mapping, Sequence
from operator import attrgetter

from httptop import stats
from httptop.rollup import UrlGroup
from httptop.snapshot import Exchange, Process, ProcessRow, Snapshot, namesakes
from httptop.tui.trends import POINTS, UrlKey, url_key

URLS_MAX = 32  # whose latency is followed, busiest first: 0.1 ms each
FOLLOWED_MAX = 256  # with those that were among the busiest before
ASKED_MAX = 4
PROCESSES_MAX = 128
SLOW_KEPT = 8  # slowest exchanges of a URL
SLOW_URLS_MAX = 512
SLOW_S = 300.0  # how long they are worth telling
ENDS_MAX = 8  # addresses of a server
PORT_BYTES = 2  # of an endpoint
HOSTS_OF = 100  # of so many of the latest exchanges of a URL or a process it is told which other hosts they were with
HOSTS_MAX = 512  # such URLs and processes

Points = deque[float]
ProcessKey = tuple["Process | None", str]


class Course:
    """How one process went: requests per second by method, and accepts per second."""

    def __init__(self) -> None:
        self.methods: dict[str, Points] = {}
        self.accepts: Points = deque(maxlen=POINTS)
        self.length = 0

    def add(self, row: ProcessRow, before: ProcessRow, seconds: float) -> None:
        """One more refresh."""
        counts = dict(before.methods)
        for name in {*self.methods, *dict(row.methods)}:
            points = self.methods.setdefault(name, deque([0.0] * min(self.length, POINTS), maxlen=POINTS))
            points.append(max(dict(row.methods).get(name, 0) - counts.get(name, 0), 0) / seconds)
        self.accepts.append(max(row.accepts - before.accepts, 0) / seconds)
        self.length += 1


class History:
    """Latency of the busiest URLs, the course of the busiest processes, and what the exchanges told."""

    def __init__(self) -> None:
        self._end_ns = 0
        self._asked: deque[UrlKey] = deque(maxlen=ASKED_MAX)
        self._buckets: dict[UrlKey, dict[int, int]] = {}
        self._latencies: dict[UrlKey, Points] = {}
        self._rows: dict[ProcessKey, ProcessRow] = {}
        self._courses: dict[ProcessKey, Course] = {}
        self._told_ns = 0
        self._slow: dict[UrlKey, list[Exchange]] = {}
        self._ends: dict[Process, dict[bytes, None]] = {}
        self._hosts: dict[tuple[Hashable, str], deque[bytes]] = {}

    def add(self, snapshot: Snapshot, urls: Sequence[UrlGroup], processes: Sequence[ProcessRow]) -> None:
        """One more refresh; `urls` and `processes` whatever the filter."""
        seconds = (snapshot.end_ns - self._end_ns) / 1e9
        if seconds > 0:
            self._follow_urls(urls)
            self._follow_processes(processes, seconds)
            self._end_ns = snapshot.end_ns
        self._listen(snapshot)

    def follow(self, key: UrlKey) -> None:
        """Follow its latency from now on, however busy it is."""
        if key not in self._asked:
            self._asked.append(key)

    def latency_ms(self, key: UrlKey) -> Sequence[float]:
        """p95 of what was answered between refreshes, 0 where nothing was; empty when not followed."""
        return tuple(self._latencies.get(key, ()))

    def course(self, key: ProcessKey) -> Course:
        """How a process went."""
        return self._courses.get(key) or Course()

    def slowest(self, key: UrlKey) -> Sequence[Exchange]:
        """The slowest exchanges that were seen lately, slowest first."""
        return self._slow.get(key, ())

    def ends(self, server: Process) -> Sequence[bytes]:
        """Where a process was seen to serve."""
        return tuple(self._ends.get(server, ()))

    def hosts(self, key: UrlKey | Process | None, role: str) -> Mapping[bytes, int]:
        """Who was at the other end of the latest exchanges of a URL or a process, where no process of this host was.

        In `role` "client" by address (16 bytes), in "server" by endpoint (18).
        """
        return Counter(self._hosts.get((key, role), ()))

    def _follow_urls(self, urls: Sequence[UrlGroup]) -> None:
        busy = heapq.nlargest(URLS_MAX, (group for group in urls if group.recent), attrgetter("recent"))
        if self._asked:
            busy += [group for group in urls if url_key(group) in self._asked and group not in busy]
        now = {url_key(group): dict(group.histogram()) for group in busy}
        kept: dict[UrlKey, Points] = {}
        for key in [*now, *(key for key in self._latencies if key not in now)][:FOLLOWED_MAX]:
            points = self._latencies.get(key) or deque(maxlen=POINTS)
            points.append(_p95(now[key], self._buckets[key]) if key in now and key in self._buckets else 0.0)
            if any(points) or key in now:
                kept[key] = points
        self._latencies = kept
        self._buckets = {key: now[key] if key in now else self._buckets[key] for key in kept}

    def _follow_processes(self, rows: Sequence[ProcessRow], seconds: float) -> None:
        now = {(row.process, row.role): row for row in rows[:PROCESSES_MAX]}
        for key, row in now.items():
            if key in self._rows:
                self._courses.setdefault(key, Course()).add(row, self._rows[key], seconds)
        self._courses = {key: course for key, course in self._courses.items() if key in now}
        self._rows = now

    def _listen(self, snapshot: Snapshot) -> None:
        """Exchanges that came since the last time."""
        told_ns, self._told_ns = self._told_ns, max((x.ts_ns for x in snapshot.exchanges), default=self._told_ns)
        since_ns = snapshot.end_ns - int(SLOW_S * 1e9)
        for exchange in snapshot.exchanges:
            if exchange.ts_ns > told_ns:
                self._remember(exchange)
        for key, slow in list(self._slow.items()):
            kept = [x for x in slow if x.ts_ns >= since_ns]
            if kept:
                self._slow[key] = kept
            else:
                del self._slow[key]

    def _remember(self, exchange: Exchange) -> None:
        if exchange.server is not None:
            ends = self._ends.setdefault(exchange.server, {})
            if len(ends) < ENDS_MAX:
                ends[exchange.server_end] = None
            if len(self._ends) > PROCESSES_MAX:
                del self._ends[next(iter(self._ends))]
        key = (exchange.method or "", exchange.host, exchange.path)
        if exchange.client is None:
            self._hear("client", exchange.client_end[:-PORT_BYTES], key, exchange.server)
        if exchange.server is None:
            self._hear("server", exchange.server_end, key, exchange.client)
        if exchange.latency_ns is not None:
            slow = [*self._slow.get(key, ()), exchange]
            self._slow[key] = sorted(slow, key=lambda x: -(x.latency_ns or 0))[:SLOW_KEPT]
            if len(self._slow) > SLOW_URLS_MAX:
                del self._slow[next(iter(self._slow))]

    def _hear(self, role: str, end: bytes, url: UrlKey, process: Process | None) -> None:
        for key in {url, process, process and namesakes(process)}:
            latest = self._hosts.pop((key, role), None)
            self._hosts[key, role] = deque(maxlen=HOSTS_OF) if latest is None else latest  # the last one now
            self._hosts[key, role].append(end)
        while len(self._hosts) > HOSTS_MAX:
            del self._hosts[next(iter(self._hosts))]


def _p95(now: dict[int, int], before: dict[int, int]) -> float:
    gained = [(index, count - before.get(index, 0)) for index, count in now.items() if count > before.get(index, 0)]
    latency = stats.latency_ms(gained, stats.bucket_ns(max(gained)[0])) if gained else None
    return latency.p95 if latency else 0.0
