"""The parts of the detail screens: Group -> lines with bars. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from httptop import render, stats
from httptop.render import Glyphs
from httptop.rollup import Group
from httptop.snapshot import Cell, Exchange, InFlightRow, Process
from httptop.tui import cells
from httptop.tui.canvas import Line
from httptop.tui.canvas import cells as line_cells
from httptop.tui.log import clock

LISTED = 8  # processes or URLs in a section
STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, float("inf"))  # ms
GRAPH_ROWS = 4

Key = TypeVar("Key", bound=Hashable)


def section(title: str, lines: Iterable[Line]) -> list[Line]:
    """A title, lines below it, and a blank one."""
    return [((f" {title}", "title"),), *lines, ()]


def bar(share: float, room: int, style: str, glyphs: Glyphs) -> Line:
    """A bar of at most `room` cells; what is not zero has one cell at least."""
    return ((glyphs.bar * (max(1, round(share * room)) if share > 0 and room > 0 else 0), style),)


def bars(rows: Sequence[tuple[Line, int, str]], columns: int, glyphs: Glyphs) -> list[Line]:
    """(label, count, style of the bar) -> aligned lines: label, count, share, bar."""
    total, top = sum(count for _, count, _ in rows), max((count for _, count, _ in rows), default=0)
    label_room = max((line_cells(label) for label, _, _ in rows), default=0)
    room = max(min(columns - label_room - 20, 40), 0)
    return [((" ", "text"), *label, (" " * (label_room - line_cells(label)), "text"),
             (f" {render.count(count):>5} {render.percent(count / total if total else 0):>6}  ", "text"),
             *bar(count / top if top else 0, room, style, glyphs))
            for label, count, style in rows]


def rate(points: Sequence[float], now_per_s: float, columns: int, glyphs: Glyphs) -> list[Line]:
    """How the rate went, refresh by refresh."""
    top = max(points, default=0.0)
    drawn = render.graph(points, min(columns - 12, 60), GRAPH_ROWS, glyphs)
    labels = [f"{render.rate(top)}/s", *[""] * (GRAPH_ROWS - 2), f"{render.rate(now_per_s)} now"]
    return [((f" {label:>8} ", "dim"), (line, f"graph{row}"))
            for row, (label, line) in enumerate(zip(labels, drawn, strict=True))]


def statuses(group: Group, columns: int, glyphs: Glyphs) -> list[Line]:
    """Responses by status code."""
    found = group.statuses()
    if not found:
        return [((" no answer yet", "dim"),)]
    return bars([(((str(status), f"{status // 100}xx"),), count, f"{status // 100}xx") for status, count in found],
                columns, glyphs)


def methods(group: Group, columns: int, glyphs: Glyphs) -> list[Line]:
    """Requests by method, most first."""
    found = sorted(group.methods(), key=lambda item: -item[1])
    return bars([(cells.method(name, 12, glyphs), count, name) for name, count in found], columns, glyphs)


def latency(group: Group, columns: int, glyphs: Glyphs) -> list[Line]:
    """Quantiles, and how many answers took how long, from the first step that any took to the last."""
    quantiles = group.latency_ms()
    if quantiles is None:
        return [((" no answer yet", "dim"),)]
    counts = [0] * len(STEPS)
    for index, count in group.histogram():
        value_ms = stats.bucket_ns(index) / 1e6
        counts[next(place for place, limit in enumerate(STEPS) if value_ms <= limit)] += count
    first = next(place for place, count in enumerate(counts) if count)
    last = max(place for place, count in enumerate(counts) if count)
    rows = [(((f"{_limit(place, glyphs):>9}", "dim"),), counts[place], _step_style(place))
            for place in range(first, last + 1)]
    named = (("p50", quantiles.p50), ("p95", quantiles.p95), ("p99", quantiles.p99), ("max", quantiles.max))
    head: Line = ()
    for name, value in named:
        head = (*head, (f" {name} ", "dim"), *cells.latency(value, glyphs), (" ", "text"))
    return [head, *bars(rows, columns, glyphs)]


def _limit(place: int, glyphs: Glyphs) -> str:
    if STEPS[place] == float("inf"):
        return f"> {render.millis(STEPS[place - 1], glyphs)}"
    return f"< {render.millis(STEPS[place], glyphs)}"


def _step_style(place: int) -> str:
    style = cells.time_style(STEPS[place])
    return "spark" if style == "text" else style


def ends(group: Group, role: str, columns: int, glyphs: Glyphs) -> list[Line]:
    """Requests by the process at one end, most first."""

    def of(cell: Cell) -> Process | None:
        return cell.server if role == "server" else cell.client

    rows = [(cells.process(who, max(columns - 30, 16), glyphs), count, "spark") for who, count in _most(group, of)]
    return bars(rows, columns, glyphs)


def urls(group: Group, columns: int, glyphs: Glyphs) -> list[Line]:
    """Requests by URL, most first."""
    room = max(columns - 36, 16)
    rows = [((*cells.method(method, 7, glyphs), (" " * max(8 - len(method), 1), "text"),
              *cells.url(host, path, room, glyphs)), count, "spark")
            for (method, host, path), count in _most(group, lambda cell: (cell.method, cell.host, cell.path))]
    return bars(rows, columns, glyphs)


def _most(group: Group, key: Callable[[Cell], Key]) -> list[tuple[Key, int]]:
    found: dict[Key, int] = {}
    for cell in group.cells:
        found[key(cell)] = found.get(key(cell), 0) + cell.requests
    return sorted(found.items(), key=lambda item: -item[1])[:LISTED]


def slowest(exchanges: Sequence[Exchange], columns: int, glyphs: Glyphs) -> list[Line]:
    """The exchanges that took longest among the latest."""
    answered = sorted((x for x in exchanges if x.latency_ns is not None), key=lambda x: -(x.latency_ns or 0))
    if not answered:
        return [((" none", "dim"),)]
    return [((f" {clock(x.ts_ns)}  ", "dim"), (f"{x.status or glyphs.dot}", f"{(x.status or 0) // 100}xx"),
             ("  ", "text"), *cells.latency((x.latency_ns or 0) / 1e6, glyphs), ("  ", "text"),
             *cells.process(x.client, max(columns - 40, 12), glyphs)) for x in answered[:LISTED]]


def waiting(rows: Sequence[InFlightRow], columns: int, glyphs: Glyphs) -> list[Line]:
    """Requests without an answer yet, oldest first."""
    if not rows:
        return [((" none", "dim"),)]
    return [((" ", "text"), *cells.latency(row.age_ms, glyphs), ("  ", "text"), *cells.method(row.method, 7, glyphs),
             (" ", "text"), *cells.url(row.host, row.path, max(columns - 40, 12), glyphs), ("  ", "text"),
             *cells.process(row.client, 18, glyphs)) for row in rows[:LISTED]]
