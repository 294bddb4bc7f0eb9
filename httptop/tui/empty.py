"""What stands where rows would be: why there are none, and what to try."""

from __future__ import annotations

from httptop import render
from httptop.render import Glyphs
from httptop.snapshot import Snapshot
from httptop.tui.canvas import Line
from httptop.tui.view import View

WAIT_S = 5.0  # after this long without a request, hints are worth their lines


def urls(view: View, glyphs: Glyphs) -> list[Line]:
    """Attaching, waiting for traffic, or everything filtered away."""
    if view.snapshot is None:
        return [(("loading the BPF programs", "dim"),)]
    if view.keep.active and view.all_urls:
        chips = render.clean("  ".join(view.keep.chips()), 60, glyphs)
        return [((f"none of {len(view.all_urls)} URLs passes the filter", "text"),), ((chips, "accent"),), (),
                (("Esc", "key"), (" takes the last condition away", "dim"))]
    return _waiting(view.snapshot, glyphs)


def processes(view: View) -> list[Line]:
    """No process was seen, or none passes."""
    if view.snapshot is None:
        return []
    return [(("none passes the filter" if view.keep.active else "none seen yet", "dim"),)]


def _waiting(snapshot: Snapshot, glyphs: Glyphs) -> list[Line]:
    where = render.clean(snapshot.source.file or ", ".join(snapshot.source.interfaces) or "-", 40, glyphs)
    if snapshot.source.kind != "live":
        return [(("no HTTP message in ", "text"), (where, "accent"))]
    if snapshot.source.gone == snapshot.source.interfaces:
        return [((where, "accent"), (" is gone", "text")), (),
                (("httptop goes on when an interface of this name is back", "dim"),)]
    lines: list[Line] = [(("waiting for HTTP on ", "text"), (where, "accent"))]
    return lines if snapshot.seconds < WAIT_S else [*lines, (), *_hints(snapshot, glyphs)]


def _hints(snapshot: Snapshot, glyphs: Glyphs) -> list[Line]:
    skipped, busy = dict(snapshot.skipped), snapshot.source.busy
    hints = []
    if encrypted := skipped.get("tls_flows", 0):
        hints.append((f"{render.count(encrypted)} TLS connections", "cannot be read: watch behind what ends TLS"))
    if http2 := skipped.get("http2_flows", 0):
        hints.append((f"{render.count(http2)} HTTP/2 connections", "are not parsed"))
    hints += [(f"traffic now on {render.clean(name, 15, glyphs)}", f"httptop -i {render.clean(name, 15, glyphs)}")
              for name in busy]
    if not busy and snapshot.source.interfaces != ("any",):
        hints.append(("another interface?", "httptop -i any"))
    hints += [("in a container?", "httptop --netns PID, of a process in it"),
              ("anything wrong here?", "httptop --check")]
    room = max(len(question) for question, _ in hints)
    return [((question.ljust(room + 2), "dim"), (answer, "text")) for question, answer in hints]
