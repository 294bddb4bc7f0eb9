"""Snapshot -> plain text tables for pipes, logs and dumb terminals: no colour, no cursor movement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone
from typing import TypeAlias

from httptop import render
from httptop.export import View
from httptop.filters import Filter
from httptop.render import ASCII, UNICODE, Glyphs
from httptop.snapshot import Latency, ProcessRow, Snapshot, UrlRow

ROWS_DEFAULT = 20
MANY_PROCESSES = 100  # mostly of one name, and asking once each: then a row is of a name, unless --rows is given
WIDTH_MIN = 60

Line: TypeAlias = tuple[str, ...]

_URLS: Line = ("METHOD", "REQS", "REQ/S", "2XX", "3XX", "4XX", "5XX", "P50", "P95", "P99", "URL")
_PROCESSES: Line = ("PID", "ROLE", "REQS", "REQ/S", "ACC/S", "4XX", "5XX", "P50", "P95", "COMM", "METHODS")


def render_table(snapshot: Snapshot, view: View, *, width: int = 80, ascii_only: bool = False) -> str:
    """Header, URLs, processes; `width` bounds every line. Ends with an empty line."""
    glyphs = ASCII if ascii_only else UNICODE
    width = max(width, WIDTH_MIN)
    shown = ROWS_DEFAULT if view.rows is None else view.rows
    (urls, more_urls), processes = view.urls(snapshot, shown), view.processes(snapshot)
    each, what = len(processes), "processes"
    if each >= MANY_PROCESSES and view.rows is None:
        processes, what = view.processes(snapshot, by_name=True), "names"
    lines = [
        *_header(snapshot, view.keep),
        "",
        *_columns(_URLS, [_url(row, glyphs) for row in urls], "lrrrrrrrrrl"),
        *_more(more_urls, "URLs"),
        "",
        *_columns(_PROCESSES, [_process(row, glyphs) for row in processes[:shown]], "rlrrrrrrrll"),
        *_more(len(processes) - shown, what),
        *([f"{each} processes by name; --rows shows each"] if len(processes) < each else []),
        "",
    ]
    safe = (render.safe(line, ascii_only=ascii_only) for line in lines)
    return "".join(render.fit(line.rstrip(), width, glyphs) + "\n" for line in safe)


def _header(snapshot: Snapshot, keep: Filter) -> list[str]:
    where = snapshot.source.file or ",".join(snapshot.source.interfaces)
    rate = render.rate(snapshot.requests_per_s)
    at = datetime.fromtimestamp(snapshot.end_ns // 1_000_000_000, tz=timezone.utc)
    totals = snapshot.totals
    now = f"{snapshot.seconds:.1f} s  {rate} req/s  {snapshot.in_flight_total} in flight"
    lines = [
        f"httptop  {at:%Y-%m-%d %H:%M:%S}Z  {now}  {where}",
        f"{totals.requests} requests{_counts(totals.by_method)}",
        f"{totals.responses} responses{_counts(totals.by_status)}",
        *_losses(snapshot),
    ]
    skipped = [(reason, count) for reason, count in snapshot.skipped if count]
    if skipped:
        lines.append(f"not counted{_counts(skipped)}")
    return [*lines, f"filter: {'  '.join(keep.chips())}"] if keep.active else lines


def _counts(counts: Iterable[tuple[str, int]]) -> str:
    text = "  ".join(f"{name} {count}" for name, count in counts)
    return f":  {text}" if text else ""


def _losses(snapshot: Snapshot) -> Iterator[str]:
    if not snapshot.lost:
        yield "nothing lost"
        return
    yield f"INCOMPLETE: {render.percent(snapshot.completeness)} of the requests are in the tables"
    for row in snapshot.losses:
        if row.events:
            yield f"  {row.events} lost, {row.reason}: {row.remedy}"


def _class(statuses: Iterable[tuple[int, int]], leading: int) -> str:
    return str(sum(count for status, count in statuses if status // 100 == leading))


def _latency(latency: Latency | None, names: Sequence[str], glyphs: Glyphs) -> Line:
    return tuple(render.millis(getattr(latency, name), glyphs) if latency else "-" for name in names)


def _url(row: UrlRow, glyphs: Glyphs) -> Line:
    return (row.method, str(row.requests), render.rate(row.rate_per_s),
            *(_class(row.statuses, leading) for leading in (2, 3, 4, 5)),
            *_latency(row.latency_ms, ("p50", "p95", "p99"), glyphs), row.host + render.behind_host(row.host, row.path))


def _process(row: ProcessRow, glyphs: Glyphs) -> Line:
    pid, comm = (str(row.process.pid or "-"), row.process.comm) if row.process else ("-", "unknown")
    many = f"{glyphs.remove}{row.members}{'+' * row.beyond}"
    return (many if row.members else pid, row.role, str(row.requests), render.rate(row.rate_per_s),
            render.rate(row.accepts_per_s) if row.role == "server" else "-",
            _class(row.statuses, 4), _class(row.statuses, 5), *_latency(row.latency_ms, ("p50", "p95"), glyphs),
            comm, " ".join(f"{method} {count}" for method, count in row.methods))


def _columns(titles: Line, rows: Sequence[Line], sides: str) -> list[str]:
    """Align each column to the left or the right; the last one is as long as it is."""
    lines = [titles, *(tuple(map(render.safe, row)) for row in rows)]
    widths = [max(render.width(line[index]) for line in lines) for index in range(len(titles))]
    return [" ".join(render.pad(cell, width, right=side == "r")
                     for cell, width, side in zip(line, widths, sides, strict=True)) for line in lines]


def _more(hidden: int, what: str) -> list[str]:
    return [f"and {hidden} more {what}; --rows shows them"] if hidden > 0 else []
