"""Snapshot -> the JSON object of `snapshot.schema.json`: every field always there, null or empty where not known."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Any, TypeAlias

from httptop.export import View
from httptop.snapshot import InFlightRow, Latency, Process, ProcessRow, Snapshot, UrlRow

SCHEMA = "httptop.snapshot/1"

Json: TypeAlias = dict[str, Any]

_QUANTILES = Latency._fields
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def rfc3339(epoch_ns: int) -> str:
    """UTC with microseconds; by integers, as a float loses them."""
    moment = _EPOCH + timedelta(microseconds=epoch_ns // 1000)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def dumps(snapshot: Snapshot, view: View) -> str:
    """One line of ASCII: what the network sent stays escaped, so that it is harmless on a terminal too."""
    return json.dumps(snapshot_object(snapshot, view), allow_nan=False) + "\n"


def snapshot_object(snapshot: Snapshot, view: View) -> Json:
    """`view` is about urls, processes and in_flight; totals and losses stay whole."""
    return {
        "schema": SCHEMA,
        "source": {"kind": snapshot.source.kind, "interfaces": list(snapshot.source.interfaces),
                   "file": snapshot.source.file},
        "window": {"start": rfc3339(snapshot.start_ns), "end": rfc3339(snapshot.end_ns),
                   "seconds": round(snapshot.seconds, 6)},
        "filter": filter_object(view),
        "totals": {"requests": snapshot.totals.requests, "responses": snapshot.totals.responses,
                   "by_method": dict(snapshot.totals.by_method), "by_status": dict(snapshot.totals.by_status)},
        "completeness": snapshot.completeness,
        "urls": [_url(row) for row in view.urls(snapshot, view.rows)[0]],
        "processes": [_process(row) for row in view.processes(snapshot)[:view.rows]],
        "in_flight": [_waiting(row) for row in view.in_flight(snapshot)[:view.rows]],
        "losses": [row._asdict() for row in snapshot.losses],
        "skipped": dict(snapshot.skipped),
        "self": snapshot.self_cost._asdict(),
    }


def filter_object(view: View) -> Json:
    """The active filters by the names of their flags; empty when there is none."""
    keep = view.keep
    flags: Json = {
        "pid": sorted(keep.pids),
        "method": sorted(keep.methods),
        "port": sorted(view.ports),
        "status": sorted(keep.statuses),
        "host": keep.host and keep.host.pattern,
        "url": keep.url and keep.url.pattern,
        "role": keep.role,
        "filter": " ".join(map(str, keep.terms)),
    }
    return {name: value for name, value in flags.items() if value}


def _latency(latency: Latency | None) -> Json | None:
    return {name: round(getattr(latency, name), 3) for name in _QUANTILES} if latency else None


def _statuses(statuses: Iterable[tuple[int, int]]) -> dict[str, int]:
    return {str(status): count for status, count in statuses}


def _url(row: UrlRow) -> Json:
    return {
        "method": row.method,
        "host": row.host,
        "path": row.path,
        "requests": row.requests,
        "rate_per_s": round(row.rate_per_s, 3),
        "responses": row.responses,
        "statuses": _statuses(row.statuses),
        "latency_ms": _latency(row.latency_ms),
        "response_bytes": row.response_bytes,
        "servers": list(row.servers),
        "clients": list(row.clients),
    }


def _identity(process: Process | None) -> Json:
    if process is None:
        return dict.fromkeys(("pid", "start_time", "comm", "cmdline", "container"))
    started = None if process.start_time is None else rfc3339(round(process.start_time * 1e6) * 1000)
    return {"pid": process.pid or None, "start_time": started, "comm": process.comm, "cmdline": process.cmdline or None,
            "container": process.container}


def _process(row: ProcessRow) -> Json:
    return {
        **_identity(row.process),
        "role": row.role,
        "requests": row.requests,
        "rate_per_s": round(row.rate_per_s, 3),
        "methods": dict(row.methods),
        "statuses": _statuses(row.statuses),
        "accepts": row.accepts,
        "accepts_per_s": round(row.accepts_per_s, 3),
        "latency_ms": _latency(row.latency_ms),
        "attribution": dict(row.attribution),
    }


def _waiting(row: InFlightRow) -> Json:
    return {
        "method": row.method,
        "host": row.host,
        "path": row.path,
        "age_ms": round(row.age_ms, 3),
        "server_pid": row.server.pid if row.server else None,
        "client_pid": row.client.pid if row.client else None,
    }
