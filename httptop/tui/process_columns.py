"""The columns of the process table: one for each method that was seen, among others."""

from __future__ import annotations

from collections.abc import Sequence

from httptop import render
from httptop.render import Glyphs
from httptop.snapshot import ProcessRow
from httptop.tui import cells
from httptop.tui.canvas import Line
from httptop.tui.columns import METHODS, Column
from httptop.tui.url_columns import calm

ProcessColumn = Column[ProcessRow, ProcessRow]
METHOD_COLUMNS_MAX = 12


def _pid(row: ProcessRow, glyphs: Glyphs) -> Line:
    if row.members:
        return ((f"{glyphs.remove}{row.members}{'+' * row.beyond}", "dim"),)
    return ((str(row.process.pid), "text"),) if row.process and row.process.pid else ((glyphs.dot, "rule"),)


def _name(row: ProcessRow, width: int, glyphs: Glyphs) -> Line:
    if row.process is None:
        return (("unknown", "warn"),)
    return ((render.clean(row.process.comm, width, glyphs), "strong"),)


def _command(row: ProcessRow, width: int, glyphs: Glyphs) -> Line:
    if row.process is None:
        return ((render.fit("no process on this host is known for these", width, glyphs), "dim"),)
    return ((render.clean(row.process.cmdline, width, glyphs), "dim"),)


def _how(row: ProcessRow, width: int, glyphs: Glyphs) -> Line:
    names = [name for name, count in sorted(row.attribution, key=lambda item: -item[1]) if count]
    return ((render.fit(" ".join(names), width, glyphs), "dim"),) if names else ((glyphs.dot, "rule"),)


def _class(row: ProcessRow, first: str) -> int:
    return sum(count for status, count in row.statuses if str(status)[0] == first)


def _method_column(name: str, importance: int, glyphs: Glyphs) -> ProcessColumn:
    def of(row: ProcessRow) -> int:
        return dict(row.methods).get(name, 0)

    title = render.clean(name, 7, glyphs)
    return Column(f"{METHODS}{name}", title, max(render.width(title), 4), importance,
                  lambda row, _: cells.number(of(row), name, glyphs), of)


def _status_column(name: str, importance: int, glyphs: Glyphs) -> ProcessColumn:
    return Column(name, name, 4, importance, lambda row, _: cells.number(_class(row, name[0]), name, glyphs),
                  lambda row: _class(row, name[0]))


def _latency_column(name: str, importance: int, glyphs: Glyphs) -> ProcessColumn:
    def of(row: ProcessRow) -> float | None:
        return None if row.latency_ms is None else float(getattr(row.latency_ms, name))

    return Column(name, name, 6, importance, lambda row, _: cells.latency(of(row), glyphs),
                  lambda row: -1.0 if (value := of(row)) is None else value)


def process_columns(glyphs: Glyphs, methods: Sequence[str]) -> list[ProcessColumn]:
    """All columns, in the order in which they stand; `methods` are those seen, most frequent first."""
    by_method = [_method_column(name, 10 + 2 * place, glyphs)
                 for place, name in enumerate(methods[:METHOD_COLUMNS_MAX])]
    return [
        Column("pid", "PID", 7, 0, lambda row, _: _pid(row, glyphs),
               lambda row: row.process.pid if row.process else 0, ascending=True),
        Column("comm", "PROCESS", 12, 0, lambda row, w: _name(row, w, glyphs),
               lambda row: row.process.comm if row.process else "", right=False, ascending=True),
        Column("role", "ROLE", 6, 1, lambda row, _: ((row.role, "dim"),), lambda row: row.role,
               right=False, ascending=True),
        Column("command", "COMMAND", 8, 31, lambda row, w: _command(row, w, glyphs),
               lambda row: row.process.cmdline if row.process else "", right=False, ascending=True, most=60),
        Column("container", "CONTAINER", 14, 33, lambda row, w: _container(row, w, glyphs),
               lambda row: (row.process.container or "") if row.process else "", right=False, ascending=True),
        Column("how", "KNOWN BY", 12, 32, lambda row, w: _how(row, w, glyphs), lambda row: row.attribution,
               right=False),
        Column("rate", "REQ/S", 6, 2, lambda row, _: cells.rate(row.rate_per_s, glyphs),
               lambda row: (calm(row.rate_per_s), row.requests)),
        Column("requests", "REQS", 5, 3, lambda row, _: cells.number(row.requests, "text", glyphs),
               lambda row: row.requests),
        Column("accepts", "ACC/S", 6, 4, lambda row, _: _accepts(row, glyphs),
               lambda row: (row.accepts_per_s, row.accepts)),
        *by_method,
        _status_column("2xx", 30, glyphs), _status_column("3xx", 29, glyphs),
        _status_column("4xx", 13, glyphs), _status_column("5xx", 5, glyphs),
        _latency_column("p50", 15, glyphs), _latency_column("p95", 11, glyphs), _latency_column("p99", 17, glyphs),
    ]


def _accepts(row: ProcessRow, glyphs: Glyphs) -> Line:
    return cells.rate(row.accepts_per_s, glyphs, "text")


def _container(row: ProcessRow, width: int, glyphs: Glyphs) -> Line:
    container = row.process.container if row.process else None
    return ((render.clean(container, width, glyphs), "text"),) if container else ((glyphs.dot, "rule"),)
