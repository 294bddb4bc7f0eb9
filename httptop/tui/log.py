"""The live log: each exchange as it completed, newest first."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from httptop import render
from httptop.render import Glyphs
from httptop.snapshot import Exchange, Process
from httptop.tui import cells
from httptop.tui.canvas import Line
from httptop.tui.columns import Column
from httptop.tui.panes import Pane

LogColumn = Column[Exchange, Exchange]


class Log(Pane[Exchange, Exchange]):
    """What a filter leaves of the latest exchanges."""

    HEADING, NUMBER, FIRST_SORT = "log", 5, "time"

    def all_columns(self) -> Sequence[LogColumn]:
        return log_columns(self.look.glyphs)

    def groups(self) -> Sequence[Exchange]:
        return self.view.exchanges

    def key(self, group: Exchange) -> Hashable:
        return group.ts_ns, group.client_end, group.target

    def row(self, group: Exchange) -> Exchange:
        return group

    def count_note(self, shown: int) -> str:
        sampled = self.view.snapshot is not None and self.view.snapshot.sampled
        return f"{shown}, a sample" if sampled else str(shown)

    def nothing(self) -> list[Line]:
        if self.view.snapshot is None:
            return []
        hidden = bool(self.view.snapshot.exchanges)
        return [(("none passes the filter" if hidden else "nothing was answered yet", "dim"),)]


def log_columns(glyphs: Glyphs) -> list[LogColumn]:
    """All columns, in the order in which they stand."""
    return [
        Column("time", "UTC", 12, 0, lambda x, _: ((clock(x.ts_ns), "dim"),), lambda x: x.ts_ns, right=False),
        Column("status", "STATUS", 6, 0, lambda x, _: status(x.status, glyphs), lambda x: x.status or 0),
        Column("latency", "TOOK", 6, 1, lambda x, _: cells.latency(_ms(x), glyphs), lambda x: x.latency_ns or -1),
        Column("bytes", "BYTES", 6, 4, lambda x, _: _bytes(x, glyphs), lambda x: x.response_bytes or 0),
        Column("method", "METHOD", 7, 0, lambda x, w: cells.method(x.method or glyphs.dot, w, glyphs),
               lambda x: x.method or "", right=False, ascending=True),
        Column("url", "HOST/TARGET", 16, 0, lambda x, w: cells.url(x.host, x.target, w, glyphs),
               lambda x: (x.host, x.target), right=False, ascending=True, wish=32, most=200),
        _end_column("client", "ASKED BY", 2, glyphs, lambda x: (x.client_end, x.client)),
        _end_column("server", "SERVED BY", 3, glyphs, lambda x: (x.server_end, x.server)),
    ]


def clock(ts_ns: int) -> str:
    """The time of day, UTC, to the millisecond."""
    from httptop.export.json_export import rfc3339  # noqa: PLC0415 (see preloading.py)

    return rfc3339(ts_ns)[11:23]


def status(code: int | None, glyphs: Glyphs) -> Line:
    """A status in the colour of its class; none: not answered."""
    return ((glyphs.dot, "rule"),) if code is None else ((str(code), f"{code // 100}xx"),)


def _ms(exchange: Exchange) -> float | None:
    return None if exchange.latency_ns is None else exchange.latency_ns / 1e6


def _bytes(exchange: Exchange, glyphs: Glyphs) -> Line:
    number = exchange.response_bytes
    return ((glyphs.dot, "rule"),) if number is None else ((render.size(number), "text"),)


def _end_column(
    key: str, title: str, importance: int, glyphs: Glyphs, of: Callable[[Exchange], tuple[bytes, Process | None]],
) -> LogColumn:
    """A process where one is known, else an address."""

    def cell(exchange: Exchange, width: int) -> Line:
        end, process = of(exchange)
        if process is not None:
            return cells.process(process, width, glyphs)
        from httptop.export.log import endpoint_text  # noqa: PLC0415 (see preloading.py)

        return ((render.fit(endpoint_text(end), width, glyphs), "dim"),)

    return Column(key, title, 20, importance, cell, _by_process(of), right=False, ascending=True)


def _by_process(of: Callable[[Exchange], tuple[bytes, Process | None]]) -> Callable[[Exchange], tuple[int, bytes]]:
    """By pid, then by address."""

    def order(exchange: Exchange) -> tuple[int, bytes]:
        end, process = of(exchange)
        return process.pid if process else 0, end

    return order
