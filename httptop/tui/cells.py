"""Values as styled table cells: numbers that are zero recede, errors and slowness stand out."""

from __future__ import annotations

from httptop import render
from httptop.render import Glyphs
from httptop.snapshot import Process
from httptop.tui.canvas import Line

SLOW_MS = 500.0
VERY_SLOW_MS = 2000.0


def number(value: int, style: str, glyphs: Glyphs) -> Line:
    """Give a count, or a dot where there is none."""
    return ((render.count(value), style),) if value else ((glyphs.dot, "rule"),)


def rate(per_s: float, glyphs: Glyphs, style: str = "strong") -> Line:
    """Give a rate, or a dot where there is none."""
    return ((render.rate(per_s), style),) if per_s > 0 else ((glyphs.dot, "rule"),)


def time_style(value_ms: float) -> str:
    """Slow and very slow are coloured; their unit tells the same without colour."""
    return "5xx" if value_ms >= VERY_SLOW_MS else "4xx" if value_ms >= SLOW_MS else "text"


def latency(value_ms: float | None, glyphs: Glyphs) -> Line:
    """Give a time, or a dot when nothing was answered yet."""
    if value_ms is None:
        return ((glyphs.dot, "rule"),)
    return ((render.millis(value_ms, glyphs), time_style(value_ms)),)


def method(name: str, cells: int, glyphs: Glyphs) -> Line:
    """A method in its own colour."""
    return ((render.clean(name, cells, glyphs), name),)


def url(host: str, path: str, cells: int, glyphs: Glyphs) -> Line:
    """Host and path in at most `cells`; of the two the path matters more, of each its beginning and its end."""
    host, path = host[:4096], render.behind_host(host, path or "")
    whole = render.width(render.clean_middle(host, cells, glyphs)) + render.width(
        render.clean_middle(path, cells, glyphs))
    host_room = cells if whole <= cells else max(cells // 3, cells - _wanted(path, cells, glyphs))
    shown = render.clean(host, host_room, glyphs)
    return (shown, "dim"), (render.clean_middle(path, cells - render.width(shown), glyphs), "text")


def _wanted(path: str, cells: int, glyphs: Glyphs) -> int:
    return render.width(render.clean_middle(path, cells, glyphs))


def process(who: Process | None, cells: int, glyphs: Glyphs) -> Line:
    """Name and pid, or that it is not known."""
    if who is None:
        return (("unknown", "dim"),)
    pid = f" {who.pid}" if who.pid else ""
    name = render.clean(who.comm, max(cells - len(pid), 4), glyphs)
    return (name, "text"), (pid, "dim")
