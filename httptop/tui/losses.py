"""What httptop did not see, why, and what helps; and what it left alone on purpose."""

from __future__ import annotations

from textual.geometry import Size

from httptop import render
from httptop.render import Glyphs
from httptop.snapshot import Snapshot
from httptop.tui.canvas import Canvas, Line, Look, Span
from httptop.tui.table import title
from httptop.tui.text import wrap
from httptop.tui.view import View

SKIPS = {
    "duplicates": "seen twice, counted once",
    "fragments": "not reassembled",
    "tls_flows": "encrypted, cannot be read",
    "http2_flows": "not parsed",
    "malformed": "packets with broken headers",
    "responses_alone": "to requests that are not known",
    "unanswered": "given up on, or the answer not seen",
    "folded_urls": "beyond the bound, counted as other",
}


class Losses(Canvas, can_focus=True):
    """One line where there is no room for more, else every cause with its remedy."""

    HEADING, NUMBER = "losses and skips", 4

    def __init__(self, look: Look, view: View) -> None:
        super().__init__(look, id="losses", classes="pane")
        self.view = view

    def update_rows(self) -> None:
        """Take what the View has now."""
        self.redraw()

    def on_focus(self) -> None:
        self.redraw()

    def on_blur(self) -> None:
        self.redraw()

    def lines(self, size: Size) -> list[Line]:
        """The title and the causes, or both in one line."""
        columns, rows = size
        snapshot, glyphs = self.view.snapshot, self.look.glyphs
        if snapshot is None:
            return [] if rows == 1 else [title(self, self.NUMBER, self.HEADING, (), columns)]
        if rows == 1:
            return [(*verdict(snapshot, glyphs), ("  ", "text"), *_skips_in_one_line(snapshot, glyphs))]
        body = [*causes(snapshot, self.view.loss_rates, columns), *skips(snapshot, glyphs), *owners(snapshot)]
        return [title(self, self.NUMBER, self.HEADING, (), columns), verdict(snapshot, glyphs), *body, *slow(snapshot)]


def verdict(snapshot: Snapshot, glyphs: Glyphs) -> Line:
    """Nothing lost, or how much."""
    if not snapshot.lost:
        return ((f" {glyphs.good} nothing lost", "good"),)
    events = f"{render.count(snapshot.lost)} events lost"
    if snapshot.completeness >= 1:
        return (f" {glyphs.bad} {events}", "warn"), ("  every request is in the tables", "text")
    seen = render.percent(snapshot.completeness)
    return (" ", "text"), (f" {glyphs.bad} {events} ", "bad"), (
        f"  {seen} of the requests in the tables; totals are exact", "text")


def owners(snapshot: Snapshot) -> list[Line]:
    """How full the kernel's table of connections and their processes is: beyond its bound processes are unknown."""
    cost = snapshot.self_cost
    if cost.owners is None or cost.owners_max is None:
        return []
    known, most = render.count(cost.owners), render.count(cost.owners_max)
    return [((f" {known:>5} ", "text"), (f"of {most} ends of connections known", "dim"))]


def slow(snapshot: Snapshot) -> list[Line]:
    """Why it costs more than it should."""
    if not snapshot.source.slow:
        return []
    return [((" no fast path", "warn"), ("  it wants Linux 5.12, or another BCC", "dim"))]


def causes(snapshot: Snapshot, rates: dict[str, float], columns: int) -> list[Line]:
    """Each cause that struck, the worst first, with its remedy below."""
    struck = sorted((row for row in snapshot.losses if row.events), key=lambda row: -row.events)
    lines: list[Line] = []
    for place, row in enumerate(struck):
        per_s = rates.get(row.reason, 0.0)
        now = (f"{render.rate(per_s)}/s now", "warn") if per_s > 0 else ("not now", "dim")
        lines.append(((f" {render.count(row.events):>5} ", "5xx"), (f"{_words(row.reason)}  ", "text"), now))
        if place + 1 == len(struck) or struck[place + 1].remedy != row.remedy:  # one remedy may help against several
            lines += [((" " * 7 + part, "dim"),) for part in wrap(row.remedy, columns - 8)]
    return lines


def skips(snapshot: Snapshot, glyphs: Glyphs) -> list[Line]:
    """What was left alone on purpose."""
    seen = [(_words(name), count, SKIPS.get(name, "left alone")) for name, count in snapshot.skipped if count]
    if not seen:
        return [((f" {glyphs.good} nothing skipped", "good"),)]
    room = max(len(name) for name, _, _ in seen)
    return [((f" {render.count(count):>5} ", "text"), (f"{name:<{room}}  ", "text"), (why, "dim"))
            for name, count, why in seen]


def _skips_in_one_line(snapshot: Snapshot, glyphs: Glyphs) -> Line:
    spans: list[Span] = []
    for name, count in snapshot.skipped:
        if count:
            spans += [("skipped " if not spans else f" {glyphs.dot} ", "dim"),
                      (f"{render.count(count)} {_words(name)}", "dim")]
    return tuple(spans)


def _words(name: str) -> str:
    words = render.safe(name.replace("_", " "))
    return words.replace("tls", "TLS").replace("http2", "HTTP/2")
