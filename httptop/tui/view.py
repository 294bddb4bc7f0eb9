"""What the screen shows of what was counted: filter, order and pause. Pure; the engine knows nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from httptop import rollup
from httptop.filters import Filter, Term
from httptop.paths import grouped
from httptop.rollup import EVERYTHING, UrlGroup
from httptop.running import Running
from httptop.snapshot import Exchange, InFlightRow, ProcessRow, Snapshot
from httptop.tui.columns import Column
from httptop.tui.history import History
from httptop.tui.trends import Trends

WINDOW_MIN_S = 1.0

AnyGroup = TypeVar("AnyGroup")


class View:
    """The newest Snapshot and the one on the screen: they differ while the screen is paused."""

    def __init__(self, keep: Filter) -> None:
        self.keep = keep
        self.latest: Snapshot | None = None
        self.snapshot: Snapshot | None = None  # the one on the screen, as it is to be seen
        self.delay_s = 1.0  # between refreshes
        self.group_paths = self.hide_query = self.group_names = False
        self._shown: Snapshot | None = None  # the one on the screen, as it came
        self._reset: Snapshot | None = None  # what is not to be counted any more
        self._ways: list[Callable[[Snapshot], Snapshot]] = []  # in which what came is to be seen
        self._gone_ns = 0
        self.paused = False
        self.trends, self.history = Trends(), History()
        self.urls: list[UrlGroup] = []
        self.all_urls: list[UrlGroup] = []  # whatever the filter
        self.processes: list[ProcessRow] = []
        self.in_flight: list[InFlightRow] = []
        self.exchanges: list[Exchange] = []
        self.methods: tuple[str, ...] = ()
        self._all = self._kept = Running()
        self._kept_for = EVERYTHING  # the filter that _kept is of
        self.total = self._all.total
        self.loss_rates: dict[str, float] = {}

    def take(self, snapshot: Snapshot) -> None:
        """A new Snapshot has come: counting goes on, whatever is shown."""
        if self.latest is not None:
            self.loss_rates = _loss_rates(self.latest, snapshot)
        if snapshot.source.gone != (self.latest.source.gone if self.latest else ()):
            self._gone_ns = snapshot.end_ns
        self.latest = snapshot
        if not self.paused:
            self._show(snapshot)

    def _show(self, snapshot: Snapshot) -> None:
        self._shown = snapshot
        self.snapshot = self._shaped(snapshot)
        self.roll_up(fresh=True)

    def _shaped(self, snapshot: Snapshot) -> Snapshot:
        if snapshot.rate_window_s < WINDOW_MIN_S:  # the first one: two requests in a millisecond are no 2,000 a second
            per_s = snapshot.requests_per_s * snapshot.rate_window_s / WINDOW_MIN_S
            snapshot = snapshot._replace(rate_window_s=WINDOW_MIN_S, requests_per_s=per_s)
        for way in self._ways:
            snapshot = way(snapshot)
        return snapshot

    def reshape(self, *, group_paths: bool | None = None, hide_query: bool | None = None) -> None:
        """See the same Snapshot otherwise; None leaves a setting as it is."""
        from httptop.tui import reshape  # noqa: PLC0415 (see preloading.py)

        self.group_paths = self.group_paths if group_paths is None else group_paths
        self.hide_query = self.hide_query if hide_query is None else hide_query
        self._ways = [reshape.Since(self._reset)] if self._reset is not None else []
        self._ways += [reshape.Paths(reshape.without_query)] if self.hide_query else []
        self._ways += [reshape.Paths(grouped)] if self.group_paths else []
        self.trends, self.history = Trends(), History()
        self._all = self._kept = Running()
        self._kept_for = EVERYTHING
        if self._shown is not None:
            self._show(self._shown)

    def toggle_names(self) -> None:
        """See processes of one name in one container as one, or one by one."""
        self.group_names = not self.group_names
        self.roll_up()

    def everybody(self, *, by_name: bool = False) -> list[ProcessRow]:
        """Rows of processes whatever the filter, most requests first."""
        return self._all.processes(self.snapshot, by_name=by_name) if self.snapshot is not None else []

    def reset(self) -> None:
        """Count from now on."""
        self._reset = self.latest
        self.reshape()
        if self.latest is not None and not self.paused:
            self._show(self.latest)

    def roll_up(self, *, fresh: bool = False) -> None:
        """Make the rows again after a change of filter, or of Snapshot (`fresh`)."""
        snapshot = self.snapshot
        if snapshot is None:
            return
        if fresh:
            self._all.take(snapshot.cells)
            self.all_urls = self._all.urls()
            self.trends.add(self.all_urls, snapshot.rate_window_s)
        if self._kept_for != self.keep:
            self._kept, self._kept_for = Running(self.keep) if self.keep.active else self._all, self.keep
        if self._kept is not self._all:
            self._kept.take(snapshot.cells)
        self.urls = self._kept.urls() if self.keep.active else self.all_urls
        self.processes = self._kept.processes(snapshot, by_name=self.group_names)
        if fresh:
            everybody = self.everybody(by_name=self.group_names) if self.keep.active else self.processes
            self.history.add(snapshot, self.all_urls, everybody)
        self.in_flight = rollup.in_flight(snapshot, self.keep)
        self.exchanges = _passing(snapshot.exchanges, self.keep)
        self.methods = self._kept.methods()
        self.total = self._kept.total

    def toggle_pause(self) -> None:
        """Stop or go on; what was counted meanwhile shows at once."""
        self.paused = not self.paused
        if not self.paused and self.latest is not None:
            self._show(self.latest)

    @property
    def gone_s(self) -> float:
        """For how long the interfaces that are gone now have been, seconds."""
        return (self.latest.end_ns - self._gone_ns) / 1e9 if self.latest else 0.0

    @property
    def behind_s(self) -> float:
        """How much older the screen is than what was counted, seconds."""
        if self.latest is None or self.snapshot is None:
            return 0.0
        return (self.latest.end_ns - self.snapshot.end_ns) / 1e9

    @property
    def requests_per_s(self) -> float:
        """The rate of what the filter keeps."""
        if self.snapshot is None:
            return 0.0
        if self.keep.active:
            return self.total.recent / self.snapshot.rate_window_s
        return self.snapshot.requests_per_s

    def narrow(self, *terms: Term) -> None:
        """Add conditions to the filter."""
        self.keep = self.keep.also(*terms)
        self.roll_up()

    def widen(self) -> None:
        """Take the last condition of the filter away."""
        self.keep = self.keep.without_last()
        self.roll_up()


def failing(failed: int, requests: int) -> bool:
    """Whether server errors are more than a blemish now: one request in twenty, and more than one."""
    return failed > 1 and failed * 20 >= requests


def _passing(exchanges: Sequence[Exchange], keep: Filter) -> list[Exchange]:
    if not keep.active:
        return list(exchanges)
    from httptop.export.log import as_cell  # noqa: PLC0415 (see preloading.py)

    return [exchange for exchange in exchanges if keep.matches(as_cell(exchange))]


def _loss_rates(before: Snapshot, now: Snapshot) -> dict[str, float]:
    seconds = max((now.end_ns - before.end_ns) / 1e9, 1e-3)
    known = {row.reason: row.events for row in before.losses}
    return {row.reason: (row.events - known.get(row.reason, 0)) / seconds for row in now.losses}


class Sort:
    """By which column a table is sorted. The first press shows most first, `r` turns it round."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.reverse = False

    def by(self, key: str) -> None:
        """Sort by this column; by the same one again: the other way round."""
        self.reverse = not self.reverse if key == self.key else False
        self.key = key

    def apply(self, groups: Sequence[AnyGroup], columns: Sequence[Column[AnyGroup, Any]]) -> list[AnyGroup]:
        """`groups` in order; equal ones keep the order they came in."""
        column = next((column for column in columns if column.key == self.key), None)
        if column is None:
            return list(groups)
        return sorted(groups, key=column.order, reverse=self.reverse == column.ascending)
