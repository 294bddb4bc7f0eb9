"""The parts of the detail screens: Group -> lines with bars. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from httptop import render, stats
from httptop.export.log import endpoint_text
from httptop.records import V4_MAPPED
from httptop.render import Glyphs
from httptop.rollup import Group
from httptop.snapshot import Cell, Exchange, InFlightRow, Process, ProcessRow, namesakes
from httptop.tui import cells
from httptop.tui.canvas import Line
from httptop.tui.canvas import cells as line_cells
from httptop.tui.log import clock
from httptop.tui.trends import UrlKey

LISTED = 8  # processes or URLs in a section
STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, float("inf"))  # ms
GRAPH_ROWS, SLOWNESS_ROWS = 4, 4
_ANY_ADDRESS = (bytes(16), V4_MAPPED + bytes(4))

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


def slowness(points: Sequence[float], columns: int, glyphs: Glyphs) -> list[Line]:
    """How a latency went, milliseconds, refresh by refresh; 0 where nothing was answered."""
    top = max(points, default=0.0)
    if not top:
        return [((" nothing was answered since this screen follows it", "dim"),)]
    drawn = render.graph(points, min(columns - 12, 60), SLOWNESS_ROWS, glyphs)
    now = next((point for point in reversed(points) if point), 0.0)
    labels = [render.millis(top, glyphs), *[""] * (SLOWNESS_ROWS - 2), render.millis(now, glyphs)]
    return [((f" {label:>8} ", "dim"), (line, _graph_style(top, row)))
            for row, (label, line) in enumerate(zip(labels, drawn, strict=True))]


def _graph_style(top_ms: float, row: int) -> str:
    """The upper half of a graph that reaches into what is slow is coloured like a slow cell."""
    style = cells.time_style(top_ms)
    return f"graph{row}" if style == "text" or row >= SLOWNESS_ROWS // 2 else style


def methods(group: Group, courses: Mapping[str, Sequence[float]], columns: int, glyphs: Glyphs) -> list[Line]:
    """Requests by method, most first, and how the rate of each went."""
    found = sorted(group.methods(), key=lambda item: -item[1])
    total = sum(count for _, count in found)
    room = max(min(columns - 36, 60), 0)
    lines: list[Line] = []
    for name, count in found:
        points = courses.get(name, ())
        now = f"{render.rate(points[-1])}/s" if points else ""
        label = cells.method(name, 12, glyphs)
        lines.append(((" ", "text"), *label, (" " * (12 - line_cells(label)), "text"),
                      (f" {render.count(count):>5} {render.percent(count / total):>6}  ", "text"),
                      (render.levels(list(points), room, glyphs), name), (f" {now:>7}", "strong")))
    return lines


def accepts(row: ProcessRow, points: Sequence[float], columns: int, glyphs: Glyphs) -> list[Line]:
    """Connections that it accepted, and how their rate went."""
    if not row.accepts:
        return [((" none seen", "dim"),)]
    room = max(min(columns - 36, 60), 0)
    return [((" connections ", "dim"), (f" {render.count(row.accepts):>5} {'':>6}  ", "text"),
             (render.levels(list(points), room, glyphs), "spark"),
             (f" {render.rate(row.accepts_per_s) + '/s':>7}", "strong"))]


def sizes(group: Group, latest: Sequence[Exchange]) -> list[Line]:
    """Of responses, head included: all of them, and the latest."""
    if not group.responses:
        return [((" no answer yet", "dim"),)]
    total = sum(cell.response_bytes for cell in group.cells)
    lines: list[Line] = [((" all     ", "dim"), (f"{render.size(total)}, {render.size(total / group.responses)} each",
                                                 "text"))]
    known = sorted(x.response_bytes for x in latest if x.response_bytes is not None)
    if known:
        smallest, median, largest = (render.size(known[at]) for at in (0, (len(known) - 1) // 2, -1))
        span = f"{smallest} to {largest}, median {median}"
        lines.append(((" latest  ", "dim"), (span, "text")))
    return lines


def listening(seen: Sequence[bytes], listeners: Sequence[bytes]) -> list[str]:
    """Where a process that was seen to serve at `seen` listens: the listener of that port, if one is known.

    Workers hold the socket of their master, so that the port tells more than the owner of the socket.
    """
    found: dict[str, None] = {}
    for end in seen:
        of_port = [other for other in listeners if other[16:] == end[16:] and other[:16] in (end[:16], *_ANY_ADDRESS)]
        for other in of_port or [end]:
            anywhere = other[:16] in _ANY_ADDRESS
            found[f"*:{int.from_bytes(other[16:], 'big')}" if anywhere else endpoint_text(other)] = None
    return list(found)


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
    """Requests by the process at one end, most first; by name where they are many."""
    found = _requests(group, lambda cell: cell.server if role == "server" else cell.client)
    members: Counter[Process] = Counter()
    if len(found) > LISTED:
        members.update(namesakes(who) for who in found if who is not None)
    named: Counter[Process | None] = Counter()
    for who, count in found.items():
        named[namesakes(who) if who is not None and members[namesakes(who)] > 1 else who] += count

    def label(who: Process | None) -> Line:
        if who is None:
            return (("another host, or unknown", "dim"),)
        beyond = who in found
        many = f" {glyphs.remove}{members[who] - beyond}{'+' * beyond}" if members[who] > 1 else ""
        return *cells.process(who, max(columns - 30 - len(many), 16), glyphs), (many, "dim")

    return _shares(named, label, "processes", columns, glyphs)


def hosts(title: str, seen: Mapping[bytes, int], columns: int, glyphs: Glyphs) -> list[list[Line]]:
    """A section of the other hosts, by how many of the latest exchanges they were in; none where there were none."""
    if not seen:
        return []
    lines = _shares(seen, lambda end: ((endpoint_text(end), "text"),), "addresses", columns, glyphs)
    return [section(f"{title}, the latest {sum(seen.values())}", lines)]


def urls(group: Group, columns: int, glyphs: Glyphs) -> list[Line]:
    """Requests by URL, most first."""
    room = max(columns - 36, 16)
    alone = one_host(group)

    def label(url: UrlKey) -> Line:
        method, host, path = url
        return (*cells.method(method, 7, glyphs), (" " * max(8 - len(method), 1), "text"),
                *cells.url("" if alone else host, path, room, glyphs))

    return _shares(_requests(group, lambda cell: (cell.method, cell.host, cell.path)), label, "URLs", columns, glyphs)


def one_host(group: Group) -> str:
    """The host of all URLs, if it is one."""
    hosts = {cell.host for cell in group.cells}
    return hosts.pop() if len(hosts) == 1 else ""


def _shares(found: Mapping[Key, int], label: Callable[[Key], Line], what: str, columns: int,
            glyphs: Glyphs) -> list[Line]:
    """Those with the most requests, and the rest: shares are of all."""
    ranked = sorted(found.items(), key=lambda item: -item[1])
    shown = LISTED if len(ranked) <= LISTED else LISTED - 1
    rows: list[tuple[Line, int, str]] = [(label(key), count, "spark") for key, count in ranked[:shown]]
    if rest := ranked[shown:]:
        rows.append((((f"{len(rest)} more {what}", "dim"),), sum(count for _, count in rest), "dim"))
    return bars(rows, columns, glyphs)


def _requests(group: Group, key: Callable[[Cell], Key]) -> dict[Key, int]:
    found: dict[Key, int] = {}
    for cell in group.cells:
        found[key(cell)] = found.get(key(cell), 0) + cell.requests
    return found


def slowest(exchanges: Sequence[Exchange], columns: int, glyphs: Glyphs) -> list[Line]:
    """Exchanges and how long they took, slowest first."""
    if not exchanges:
        return [((" none seen", "dim"),)]
    return [((f" {clock(x.ts_ns)}  ", "dim"), (f"{x.status or glyphs.dot}", f"{(x.status or 0) // 100}xx"),
             ("  ", "text"), *cells.latency((x.latency_ns or 0) / 1e6, glyphs), ("  ", "text"),
             *_end(x.client_end, x.client, max(columns - 40, 12), glyphs)) for x in exchanges[:LISTED]]


def _end(end: bytes, who: Process | None, columns: int, glyphs: Glyphs) -> Line:
    """A process where one is known, else an address."""
    return cells.process(who, columns, glyphs) if who else ((endpoint_text(end), "dim"),)


def waiting(rows: Sequence[InFlightRow], columns: int, glyphs: Glyphs) -> list[Line]:
    """Requests without an answer yet, oldest first."""
    if not rows:
        return [((" none", "dim"),)]
    return [((" ", "text"), *cells.latency(row.age_ms, glyphs), ("  ", "text"), *cells.method(row.method, 7, glyphs),
             (" ", "text"), *cells.url(row.host, row.path, max(columns - 40, 12), glyphs), ("  ", "text"),
             *cells.process(row.client, 18, glyphs)) for row in rows[:LISTED]]
