"""The keys by which tables can be sorted. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from httptop.snapshot import Latency, ProcessRow, UrlRow

DEFAULT = "requests"

_Value: TypeAlias = tuple[float | str, ...]
_Row = TypeVar("_Row", UrlRow, ProcessRow)


@dataclass(frozen=True, slots=True)
class SortKey:
    """How one key orders each table; None where the table has no such column and keeps its own order."""

    about: str
    url: Callable[[UrlRow], _Value] | None
    process: Callable[[ProcessRow], _Value] | None


def _latency(quantile: str) -> SortKey:
    def value(row: UrlRow | ProcessRow) -> _Value:
        latency: Latency | None = row.latency_ms
        return (-getattr(latency, quantile) if latency else 1.0,)

    return SortKey(f"{quantile} of the latency, slowest first", value, value)


def _errors(row: UrlRow | ProcessRow) -> _Value:
    return (-sum(count for status, count in row.statuses if status >= 400),)


KEYS = {
    "requests": SortKey("requests since the start, most first", lambda row: (-row.requests,),
                        lambda row: (-row.requests,)),
    "rate": SortKey("requests per second now, most first", lambda row: (-row.rate_per_s,),
                    lambda row: (-row.rate_per_s,)),
    "errors": SortKey("responses with a 4xx or 5xx status, most first", _errors, _errors),
    **{quantile: _latency(quantile) for quantile in ("p50", "p95", "p99", "max")},
    "bytes": SortKey("response bytes, most first", lambda row: (-row.response_bytes,), None),
    "accepts": SortKey("connections accepted, most first", None, lambda row: (-row.accepts,)),
    "url": SortKey("host and path, in alphabetical order", lambda row: (row.host, row.path, row.method), None),
    "method": SortKey("method, in alphabetical order", lambda row: (row.method,), None),
    "pid": SortKey("process id, lowest first", None, lambda row: (row.process.pid if row.process else 0,)),
    "comm": SortKey("process name, in alphabetical order", None,
                    lambda row: (row.process.comm if row.process else "",)),
}


def _ordered(rows: Iterable[_Row], key: Callable[[_Row], _Value] | None) -> list[_Row]:
    return sorted(rows, key=key) if key else list(rows)


def urls(rows: Iterable[UrlRow], key: str) -> list[UrlRow]:
    """`rows` by the key of this name; rows that are equal keep their order."""
    return _ordered(rows, KEYS[key].url)


def processes(rows: Iterable[ProcessRow], key: str) -> list[ProcessRow]:
    """`rows` by the key of this name; rows that are equal keep their order."""
    return _ordered(rows, KEYS[key].process)


def help_text() -> str:
    """What `--sort help` prints."""
    return "".join(f"{name:<10}{key.about}\n" for name, key in KEYS.items())
