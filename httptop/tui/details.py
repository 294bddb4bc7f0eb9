"""All about one URL or one process, over the main screen; it goes on counting."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import Size

from httptop import render, rollup
from httptop.render import Glyphs
from httptop.rollup import Group, UrlGroup
from httptop.snapshot import Process, ProcessRow, Snapshot
from httptop.tui import cells, sections
from httptop.tui.canvas import Canvas, Line, Look, clip
from httptop.tui.canvas import cells as line_cells
from httptop.tui.keys import Keys
from httptop.tui.live import Live
from httptop.tui.text import wrap
from httptop.tui.trends import UrlKey, url_key
from httptop.tui.view import View

TWO_COLUMNS = 110


class Page(Canvas):
    """Lines that may be more than the screen has; `offset_y` is the first that is shown."""

    def __init__(self, look: Look, view: View) -> None:
        super().__init__(look, id="detail")
        self.view = view
        self.first = 0

    def content(self, columns: int) -> list[Line]:
        """All lines, however many."""
        raise NotImplementedError

    def lines(self, size: Size) -> list[Line]:
        """The part that is in sight."""
        everything = self.content(size.width)
        self.first = max(0, min(self.first, len(everything) - size.height))
        return everything[self.first:]

    def scroll(self, rows: int) -> None:
        """Move the part that is in sight."""
        self.first += rows
        self.redraw()


class UrlPage(Page):
    """Rate, statuses, latency, who serves and who asks."""

    def __init__(self, look: Look, view: View, key: UrlKey) -> None:
        super().__init__(look, view)
        self._url = key

    def content(self, columns: int) -> list[Line]:
        """One column of sections, or two."""
        snapshot, glyphs = self.view.snapshot or Snapshot(), self.look.glyphs
        group = next((group for group in self.view.all_urls if url_key(group) == self._url), UrlGroup(*self._url))
        half = columns // 2 - 2 if columns >= TWO_COLUMNS else columns - 2
        points, history = self.view.trends.of(self._url), self.view.history
        history.follow(self._url)
        waiting = [row for row in snapshot.in_flight if (row.method, row.host, row.path) == self._url]
        latest = [x for x in snapshot.exchanges if (x.method, x.host, x.path) == self._url]
        left = [sections.section("rate", sections.rate(points, group.recent / snapshot.rate_window_s, half, glyphs)),
                sections.section("p95", sections.slowness(history.latency_ms(self._url), half, glyphs)),
                sections.section("statuses", sections.statuses(group, half, glyphs)),
                sections.section("sizes", sections.sizes(group, latest)),
                sections.section("in flight", sections.waiting(waiting, half, glyphs))]
        right = [sections.section("latency", sections.latency(group, half, glyphs)),
                 sections.section("slowest lately", sections.slowest(history.slowest(self._url), half, glyphs)),
                 sections.section("served by", sections.ends(group, "server", half, glyphs)),
                 *sections.hosts("served from", history.hosts(self._url, "server"), half, glyphs),
                 sections.section("asked by", sections.ends(group, "client", half, glyphs)),
                 *sections.hosts("asked from", history.hosts(self._url, "client"), half, glyphs)]
        return [*_url_head(self._url, group, columns, glyphs), *columned(left, right, columns, half)]


def _url_head(key: UrlKey, group: UrlGroup, columns: int, glyphs: Glyphs) -> list[Line]:
    method, host, path = key
    response_bytes = sum(cell.response_bytes for cell in group.cells)
    mean = f", {render.size(response_bytes / group.responses)} each" if group.responses else ""
    address = [((" " * 9, "text"), (part, "strong")) for part in wrap(host + path, columns - 12, glyphs)]
    method_name = render.clean(method, 7, glyphs)
    first: Line = ((f" {method_name:<8}", method), *address[0][1:]) if address else ((f" {method_name}", method),)
    return [first, *address[1:],
            ((f"         {group.requests} requests  {group.responses} responses  {render.size(response_bytes)}{mean}",
              "dim"),), ()]


class ProcessPage(Page):
    """What it is, its methods and statuses, its URLs and who is at the other end."""

    def __init__(self, look: Look, view: View, row: ProcessRow) -> None:
        super().__init__(look, view)
        self._process, self._role, self._row = row.process, row.role, row

    def content(self, columns: int) -> list[Line]:
        """One column of sections, or two."""
        snapshot, glyphs = self.view.snapshot or Snapshot(), self.look.glyphs
        group = rollup.process_group(snapshot, self._process, self._role, by_name=bool(self._row.members))
        self._row = next((row for row in self.view.processes
                          if (row.process, row.role) == (self._process, self._role)), self._row)
        half = columns // 2 - 2 if columns >= TWO_COLUMNS else columns - 2
        other = "client" if self._role == "server" else "server"
        verb = "asked" if other == "client" else "served"
        course = self.view.history.course((self._process, self._role))
        left = [sections.section("methods", sections.methods(group, course.methods, half, glyphs)),
                sections.section("statuses", sections.statuses(group, half, glyphs)),
                sections.section(f"{verb} by", sections.ends(group, other, half, glyphs)),
                *sections.hosts(f"{verb} from", self.view.history.hosts(self._process, other), half, glyphs)]
        right = [sections.section("latency", sections.latency(group, half, glyphs)),
                 sections.section(_urls_title(group, glyphs), sections.urls(group, half, glyphs))]
        if self._role == "server" and self._process is not None:
            left[:0] = [sections.section("accepts", sections.accepts(self._row, course.accepts, half, glyphs))]
        where = self.view.history.ends(self._process) if self._process and self._role == "server" else ()
        head = _process_head(self._process, self._row, snapshot, where, columns, glyphs)
        return [*head, *columned(left, right, columns, half)]


def _urls_title(group: Group, glyphs: Glyphs) -> str:
    host = sections.one_host(group)
    return f"URLs of {render.clean(host, 40, glyphs)}" if host else "URLs"


def _process_head(
    process: Process | None, row: ProcessRow, snapshot: Snapshot, where: Sequence[bytes], columns: int, glyphs: Glyphs,
) -> list[Line]:
    numbers = f"{row.requests} requests  {render.rate(row.rate_per_s)}/s"
    known = ", ".join(f"{how} {render.count(count)}" for how, count in row.attribution if count)
    if process is None:
        return [((" unknown ", "warn"), (row.role, "dim")), ((f" {numbers}", "dim"),),
                ((" no process on this host is known for these requests", "text"),), ()]
    facts = [("processes", f"{row.members}{' and more' * row.beyond}" if row.members else ""),
             ("command", process.cmdline), ("user", process.user), ("container", process.container or ""),
             ("running", _running(process, snapshot)),
             ("listens on", "  ".join(sections.listening(where, snapshot.source.listening))), ("known by", known)]
    lines: list[Line] = [((" ", "text"), *cells.process(process, columns - 12, glyphs), (f"  {row.role}", "accent")),
                         ((f" {numbers}", "dim"),)]
    for name, fact in facts:
        for place, part in enumerate(wrap(fact, columns - 14, glyphs)[:3]):
            lines.append(((f" {name if place == 0 else '':<10} ", "dim"), (part, "text")))
    return [*lines, ()]


def _running(process: Process, snapshot: Snapshot) -> str:
    if process.start_time is None or not snapshot.end_ns:
        return ""
    return render.age(snapshot.end_ns / 1e9 - process.start_time)


def columned(left: Sequence[list[Line]], right: Sequence[list[Line]], columns: int, half: int) -> list[Line]:
    """Sections side by side where there is room, else one after the other, by turns from left and right."""
    if columns < TWO_COLUMNS:
        both = itertools.chain.from_iterable(itertools.zip_longest(left, right, fillvalue=[]))
        return list(itertools.chain.from_iterable(both))
    sides = (itertools.chain.from_iterable(side) for side in (left, right))
    return [(*(part := clip(one, half)), (" " * (half + 2 - line_cells(part)), "text"), *other)
            for one, other in itertools.zip_longest(*sides, fillvalue=())]


class Detail(Live):
    """A page and the keys that leave it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter", "dismiss", "back", tooltip="back to the tables"),
        Binding("up", "scroll_lines(-1)", "up", show=False, tooltip="scroll up"),
        Binding("down", "scroll_lines(1)", "down", show=False, tooltip="scroll down"),
        Binding("pageup", "scroll_lines(-10)", "page up", show=False, tooltip="a page up"),
        Binding("pagedown", "scroll_lines(10)", "more", tooltip="a page down"),
        Binding("space", "pause", "pause", tooltip="pause the screen; counting goes on"),
        Binding("q", "app.quit", "quit", tooltip="quit"),
    ]

    def __init__(self, look: Look, page: Page) -> None:
        super().__init__()
        self._look, self._page = look, page

    def compose(self) -> ComposeResult:
        yield self._page
        yield Keys(self._look, self.BINDINGS)

    def show(self) -> None:
        """Take what the View has now."""
        self._page.redraw()

    def action_scroll_lines(self, rows: int) -> None:
        self._page.scroll(rows)

    def action_pause(self) -> None:
        self._page.view.toggle_pause()
        self.show()
