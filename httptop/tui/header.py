"""The lines at the top: where, since when, how much, how well, how fast, and whether it can be trusted."""

from __future__ import annotations

from collections.abc import Sequence

from textual.geometry import Size

from httptop import render
from httptop.render import Glyphs
from httptop.snapshot import Latency, Snapshot
from httptop.tui import cells
from httptop.tui.canvas import Canvas, Line, Look, Span, clip, spread
from httptop.tui.canvas import cells as line_cells
from httptop.tui.view import View, failing

GRAPH_MIN = 20  # columns below which a sparkline says nothing
TEXT_MIN = 58  # what the text beside the graph needs
CLASSES = ("2xx", "3xx", "4xx", "5xx")


class Header(Canvas):
    """Two lines, or four with a graph where there is room."""

    def __init__(self, look: Look, view: View) -> None:
        super().__init__(look, id="header")
        self._view = view

    def lines(self, size: Size) -> list[Line]:
        """What the newest Snapshot says; before the first one, that httptop attaches."""
        return header(self._view, self.look.glyphs, size.width, size.height)


def header(view: View, glyphs: Glyphs, columns: int, rows: int) -> list[Line]:
    """All lines of the header."""
    snapshot = view.snapshot
    if snapshot is None:
        return [((" httptop ", "strong"), (f" {glyphs.live} attaching", "warn"))]
    identity = _identity(view, snapshot, glyphs)
    if rows < 4:
        first = spread(identity, _rate(view, snapshot, columns - line_cells(identity) - 2, glyphs), columns - 1, glyphs)
        return [first, spread(_second(view, snapshot, glyphs, columns), _trust(snapshot, glyphs), columns - 1, glyphs)]
    text = [identity, _now(view), _since(view, snapshot, glyphs),
            (*_waiting(snapshot, glyphs), ("  ", "text"), *_trust(snapshot, glyphs), *_cost(snapshot))]
    return _beside_graph(text, snapshot, columns, rows, glyphs)


def _identity(view: View, snapshot: Snapshot, glyphs: Glyphs) -> Line:
    source = snapshot.source
    where = render.clean(source.file or ",".join(source.interfaces) or "-", 24, glyphs)
    state: Span = (f"{glyphs.live} {'live' if source.kind == 'live' else 'file'}", "good")
    if source.gone:
        which = "" if source.gone == source.interfaces else f"{render.clean(','.join(source.gone), 16, glyphs)} "
        state = (f" {glyphs.bad} {which}gone {render.age(view.gone_s)} ", "bad")
    if view.paused:
        state = (f" {glyphs.pause} paused, {render.age(view.behind_s)} old ", "paused")
    return ((" httptop ", "strong"), (f" {where} ", "accent"), (" ", "text"), state,
            (f"  {render.uptime(snapshot.seconds)}{f' every {view.delay_s:g}s' if view.delay_s != 1 else ''}", "dim"))


def _rate(view: View, snapshot: Snapshot, room: int, glyphs: Glyphs) -> Line:
    number = f"{render.rate(view.requests_per_s)} req/s"
    graph = min(room - len(number) - 2, len(snapshot.history), 60)
    if graph < 5:
        return ((number, "strong"),)
    return (number, "strong"), (" ", "text"), (render.levels(snapshot.history, graph, glyphs), "spark")


def _second(view: View, snapshot: Snapshot, glyphs: Glyphs, columns: int) -> Line:
    """What fits beside the badge: errors and slowness first of all."""
    waiting = f" {render.count(snapshot.in_flight_total)} in flight "
    parts: list[Line] = [((f" {render.count(snapshot.totals.requests)} reqs ", "text"),), _shares(view, CLASSES[2:]),
                         _speed(view, glyphs, ("p95",)), ((waiting, "text" if snapshot.in_flight_total else "dim"),),
                         _shares(view, CLASSES[:2])]
    room = columns - line_cells(_trust(snapshot, glyphs)) - 3
    line: Line = ()
    for part in parts:
        if line_cells(line) + line_cells(part) <= room:
            line = (*line, *part)
    return line


def _now(view: View) -> Line:
    return ((f" {render.rate(view.requests_per_s)} req/s ", "strong"), *_shares(view))


def _since(view: View, snapshot: Snapshot, glyphs: Glyphs) -> Line:
    totals = snapshot.totals
    text = f" {render.count(totals.requests)} requests  {render.count(totals.responses)} responses "
    return ((text, "text"), *_speed(view, glyphs))


def _waiting(snapshot: Snapshot, glyphs: Glyphs) -> Line:
    if not snapshot.in_flight:
        return ((" 0 in flight", "dim"),)
    oldest = snapshot.in_flight[0].age_ms
    return ((f" {render.count(snapshot.in_flight_total)} in flight, oldest ", "text"),
            *cells.latency(oldest, glyphs))


def _shares(view: View, names: Sequence[str] = CLASSES) -> Line:
    """Shares of the status classes now, among what the filter keeps; a burst of errors is a badge."""
    found = view.total.classes_now()
    answered = sum(found.values())
    spans: list[Span] = []
    for name in names:
        share = found.get(name, 0) / answered if answered else 0.0
        if name == "5xx" and failing(found.get(name, 0), answered):
            spans.append((f" {name} {render.percent(share)} ", "bad"))
        else:
            spans += [(f" {name} ", name if share else "dim"),
                      (f"{render.percent(share)} ", "text" if share else "dim")]
    return tuple(spans)


def _speed(view: View, glyphs: Glyphs, names: Sequence[str] = ("p50", "p95", "p99")) -> Line:
    latency = view.total.latency_ms()
    spans: list[Span] = []
    for name in names:
        value = None if latency is None else _of(latency, name)
        shown = cells.latency(value, glyphs)
        spans += [(f" {name} ", "dim"), *shown, (" ", "text")]
    return tuple(spans)


def _of(latency: Latency, name: str) -> float:
    return float(getattr(latency, name))


def _trust(snapshot: Snapshot, glyphs: Glyphs) -> Line:
    if not snapshot.lost:
        return ((f"{glyphs.good} complete", "good"),)
    if snapshot.completeness >= 1:  # an answer, or a detail, but no request
        return ((f"{glyphs.bad} {render.count(snapshot.lost)} lost", "warn"),)
    seen, lost = render.percent(snapshot.completeness), render.count(snapshot.lost)
    return ((f" {glyphs.bad} {seen} seen, {lost} lost ", "bad"),)


def _cost(snapshot: Snapshot) -> Line:
    cost = snapshot.self_cost
    parts = []
    if cost.cpu_percent is not None:
        parts.append(f"{cost.cpu_percent:.1f}% cpu")
    if cost.rss_bytes is not None:
        parts.append(f"{render.size(cost.rss_bytes)}")
    if cost.bpf_ns_per_run:
        parts.append(f"{cost.bpf_ns_per_run:.0f} ns/packet")
    return (("  own cost " + " ".join(parts), "dim"),) if parts else ()


def _beside_graph(text: list[Line], snapshot: Snapshot, columns: int, rows: int, glyphs: Glyphs) -> list[Line]:
    left = max(TEXT_MIN, *(line_cells(line) for line in text)) + 2
    room = min(columns - left - 1, len(snapshot.history))
    if room < GRAPH_MIN:
        return [clip(line, columns - 1, glyphs) for line in text]
    drawn = render.graph(snapshot.history, room, rows, glyphs)
    return [spread(line, ((part, f"graph{row}"),), columns - 1, glyphs)
            for row, (line, part) in enumerate(zip(text, drawn, strict=False))]
