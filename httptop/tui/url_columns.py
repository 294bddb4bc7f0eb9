"""The columns of the URL table."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from httptop import render
from httptop.render import Glyphs
from httptop.rollup import UrlGroup
from httptop.snapshot import Latency, Process, UrlRow
from httptop.tui import cells
from httptop.tui.canvas import Line
from httptop.tui.columns import Column

UrlColumn = Column[UrlGroup, "ShownUrl"]


class ShownUrl(NamedTuple):
    """A visible row: the numbers, how the rate went, and who serves it."""

    row: UrlRow
    trend: Sequence[float]
    servers: tuple[Process, ...]

    @property
    def latency(self) -> Latency | None:
        """Quantiles, None when nothing was answered."""
        return self.row.latency_ms


@lru_cache(maxsize=4096)
def calm(value: float) -> float:
    """Two digits of a rate are enough to sort by: rows of about the same rate do not change places each second."""
    return float(f"{value:.1e}") if value > 0 else 0.0


def _class(group: UrlGroup, first: str) -> int:
    return sum(count for status, count in group.statuses() if str(status)[0] == first)


def _quantile(name: str) -> Callable[[UrlGroup], float]:
    def order(group: UrlGroup) -> float:
        latency = group.latency_ms()
        return -1.0 if latency is None else float(getattr(latency, name))

    return order


def _status_column(name: str, importance: int, glyphs: Glyphs) -> UrlColumn:
    first = name[0]

    def cell(shown: ShownUrl, _width: int) -> Line:
        total = sum(count for status, count in shown.row.statuses if str(status)[0] == first)
        return cells.number(total, name, glyphs)

    return Column(name, name, 4, importance, cell, lambda group: _class(group, first))


def _latency_column(name: str, importance: int, glyphs: Glyphs) -> UrlColumn:
    def cell(shown: ShownUrl, _width: int) -> Line:
        return cells.latency(None if shown.latency is None else getattr(shown.latency, name), glyphs)

    return Column(name, name, 6, importance, cell, _quantile(name))


def _servers(shown: ShownUrl, width: int, glyphs: Glyphs) -> Line:
    if not shown.servers:
        return ((glyphs.dot, "rule"),)
    first, *more = shown.servers
    suffix = f" +{len(more)}" if more else ""
    return (*cells.process(first, width - len(suffix), glyphs), (suffix, "dim"))


def url_columns(glyphs: Glyphs) -> list[UrlColumn]:
    """All columns, in the order in which they stand; their importance decides which are shown."""
    return [
        Column("method", "METHOD", 7, 0, lambda u, w: cells.method(u.row.method, w, glyphs),
               lambda g: g.method, right=False, ascending=True),
        Column("url", "HOST/PATH", 32, 0, lambda u, w: cells.url(u.row.host, u.row.path, w, glyphs),
               lambda g: (g.host, g.path), right=False, ascending=True, wish=40, most=64),
        Column("server", "SERVED BY", 18, 11, lambda u, w: _servers(u, w, glyphs),
               lambda g: g.pids("server"), right=False, ascending=True, most=26),
        Column("trend", "TREND", 12, 10, lambda u, w: ((render.levels(u.trend, w, glyphs), "spark"),),
               lambda g: g.recent, most=30),
        Column("rate", "REQ/S", 6, 1, lambda u, _: cells.rate(u.row.rate_per_s, glyphs),
               lambda g: (calm(g.recent), g.requests)),
        Column("requests", "REQS", 5, 2, lambda u, _: cells.number(u.row.requests, "text", glyphs),
               lambda g: g.requests),
        _status_column("2xx", 7, glyphs), _status_column("3xx", 9, glyphs),
        _status_column("4xx", 5, glyphs), _status_column("5xx", 3, glyphs),
        _latency_column("p50", 6, glyphs), _latency_column("p95", 4, glyphs),
        _latency_column("p99", 8, glyphs), _latency_column("max", 13, glyphs),
        Column("bytes", "BYTES", 6, 12, lambda u, _: ((render.size(u.row.response_bytes), "text"),),
               lambda g: sum(cell.response_bytes for cell in g.cells)),
        Column("errors", "ERR%", 5, 14, lambda u, _: _error_share(u.row, glyphs),
               lambda g: g.errors / (g.responses or math.inf)),
    ]


def _error_share(row: UrlRow, glyphs: Glyphs) -> Line:
    errors = sum(count for status, count in row.statuses if status >= 400)
    return ((render.percent(errors / row.responses), "4xx"),) if errors else ((glyphs.dot, "rule"),)
