"""Exchange -> one line: the JSON object of the command line's contract, or text for eyes and grep."""

from __future__ import annotations

import ipaddress
import json
from functools import lru_cache

from httptop import render
from httptop.export.json_export import rfc3339
from httptop.snapshot import Cell, Exchange, Process


@lru_cache(maxsize=4096)
def endpoint_text(end: bytes) -> str:
    """18 bytes (address, port) -> "10.0.0.1:80" or "[fd00::1]:80"; 16 (an address) -> "10.0.0.1" or "fd00::1"."""
    address = ipaddress.IPv6Address(end[:16])
    host = str(address.ipv4_mapped or address)
    if len(end) == len(address.packed):
        return host
    return f"{host if address.ipv4_mapped else f'[{host}]'}:{int.from_bytes(end[16:], 'big')}"


def json_line(exchange: Exchange) -> str:
    """NDJSON, ASCII only: what the network sent stays escaped."""
    server, client = exchange.server, exchange.client
    return json.dumps({
        "ts": rfc3339(exchange.ts_ns),
        "client": endpoint_text(exchange.client_end),
        "server": endpoint_text(exchange.server_end),
        "method": exchange.method,
        "host": exchange.host,
        "target": exchange.target,
        "version": exchange.version,
        "status": exchange.status,
        "latency_ms": None if exchange.latency_ns is None else exchange.latency_ns / 1e6,
        "response_bytes": exchange.response_bytes,
        "server_pid": server.pid if server else None,
        "server_comm": server.comm if server else None,
        "client_pid": client.pid if client else None,
        "client_comm": client.comm if client else None,
        "attribution": {"server": exchange.server_how, "client": exchange.client_how},
    }) + "\n"


def text_line(exchange: Exchange, *, ascii_only: bool = False) -> str:
    """Time, status, latency, size, method and URL, then who asked whom."""
    glyphs = render.ASCII if ascii_only else render.UNICODE
    latency = "-" if exchange.latency_ns is None else render.millis(exchange.latency_ns / 1e6, glyphs)
    size = "-" if exchange.response_bytes is None else render.size(exchange.response_bytes)
    asked = f"{exchange.method or '-'} {exchange.host}{exchange.target}"
    line = (f"{rfc3339(exchange.ts_ns)[11:23]} {exchange.status or '-':>3} {latency:>7} {size:>6} {asked}"
            f"  {_end(exchange.client_end, exchange.client)} -> {_end(exchange.server_end, exchange.server)}")
    return render.safe(line, ascii_only=ascii_only) + "\n"


def as_cell(exchange: Exchange) -> Cell:
    """What a Filter looks at."""
    return Cell(exchange.method or "", exchange.host, exchange.path, exchange.status, exchange.server, exchange.client,
                latency_max_ns=exchange.latency_ns or 0)


def _end(end: bytes, process: Process | None) -> str:
    return f"{endpoint_text(end)} {process.comm}[{process.pid}]" if process else endpoint_text(end)
