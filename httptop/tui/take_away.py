"""What leaves the screen: a file of what is shown, a row as a curl command."""

from __future__ import annotations

import csv
import io
import itertools
import os
import pwd
import shlex
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

from httptop import render
from httptop.export import View as Selection
from httptop.export import json_export, log
from httptop.filters import Filter
from httptop.rollup import UrlGroup
from httptop.snapshot import Exchange, InFlightRow, Latency, Process, ProcessRow, Snapshot

URL_CHARACTERS = "/:?#[]@!$&'()*+,;=%-._~"  # RFC 3986 sections 2.2 and 2.3; all else is percent-encoded
CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
QUANTILES = ("p50", "p95", "p99", "max")

Fields = dict[str, object]


def json_text(snapshot: Snapshot, keep: Filter) -> str:
    """All that passes the filter, as `--once --json` prints it."""
    return json_export.dumps(snapshot, Selection(keep))


def csv_text(rows: Sequence[Any], snapshot: Snapshot) -> str:
    """The rows of a pane, a header line above them (RFC 4180); no row: nothing."""
    table = [_fields(row, snapshot) for row in rows]
    if not table:
        return ""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(table[0])
    writer.writerows([_harmless(value) for value in fields.values()] for fields in table)
    return file.getvalue()


def _harmless(value: object) -> object:
    """Text from the network begins no formula of a spreadsheet, and controls no terminal."""
    if not isinstance(value, str):
        return "" if value is None else value
    text = render.safe(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def _fields(row: object, snapshot: Snapshot) -> Fields:
    if isinstance(row, UrlGroup):
        return _url(row, snapshot)
    if isinstance(row, ProcessRow):
        return _process(row)
    if isinstance(row, InFlightRow):
        return {"method": row.method, "host": row.host, "path": row.path, "age_ms": round(row.age_ms, 3),
                **_end("server", row.server), **_end("client", row.client)}
    return _exchange(row) if isinstance(row, Exchange) else {}


def _url(group: UrlGroup, snapshot: Snapshot) -> Fields:
    row = group.row(snapshot.rate_window_s)
    return {"method": row.method, "host": row.host, "path": row.path, "requests": row.requests,
            "rate_per_s": round(row.rate_per_s, 3), "responses": row.responses, **_classes(row.statuses),
            **_quantiles(row.latency_ms), "response_bytes": row.response_bytes,
            "server_pids": " ".join(map(str, row.servers)), "client_pids": " ".join(map(str, row.clients))}


def _process(row: ProcessRow) -> Fields:
    who = row.process
    return {"pid": who.pid or None if who else None, "comm": who.comm if who else None,
            "cmdline": who.cmdline if who else None, "container": who.container if who else None, "role": row.role,
            "requests": row.requests, "rate_per_s": round(row.rate_per_s, 3), "accepts": row.accepts,
            "methods": " ".join(f"{name}:{count}" for name, count in row.methods), **_classes(row.statuses),
            **_quantiles(row.latency_ms)}


def _exchange(row: Exchange) -> Fields:
    return {"ts": json_export.rfc3339(row.ts_ns), "method": row.method, "host": row.host, "target": row.target,
            "status": row.status, "latency_ms": None if row.latency_ns is None else round(row.latency_ns / 1e6, 3),
            "response_bytes": row.response_bytes, "client": log.endpoint_text(row.client_end),
            "server": log.endpoint_text(row.server_end), **_end("server", row.server), **_end("client", row.client)}


def _classes(statuses: Iterable[tuple[int, int]]) -> Fields:
    counts = dict.fromkeys(CLASSES, 0)
    for status, count in statuses:
        name = f"{status // 100}xx"
        counts[name] = counts.get(name, 0) + count
    return {name: counts[name] for name in CLASSES}


def _quantiles(latency: Latency | None) -> Fields:
    return {f"{name}_ms": None if latency is None else round(getattr(latency, name), 3) for name in QUANTILES}


def _end(role: str, who: Process | None) -> Fields:
    return {f"{role}_pid": who.pid if who else None, f"{role}_comm": who.comm if who else None}


def write_new(text: str, directory: Path, at_ns: int, kind: str) -> Path:
    """Write a new file below `directory`; its path. Raises OSError."""
    at = datetime.fromtimestamp(at_ns // 1_000_000_000, tz=timezone.utc)
    for number in itertools.count(1):
        path = directory / f"httptop-{at:%Y%m%dT%H%M%SZ}{f'-{number}' if number > 1 else ''}.{kind}"
        try:
            with path.open("x", encoding="utf-8", newline="") as file:
                file.write(text)
        except FileExistsError:
            continue
        return path
    raise AssertionError  # counting does not end


def me() -> str:
    """Who we are by now."""
    uid = os.geteuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def curl(method: str, host: str, path: str) -> str:
    """A command that makes this request again. Nothing that the network sent can break out of it."""
    url = quote(f"http://{host}{path}", safe=URL_CHARACTERS, errors="surrogateescape")
    verb = {"GET": [], "HEAD": ["--head"]}.get(method, ["--request", quote(method, safe="")])
    return shlex.join(["curl", *verb, url])
