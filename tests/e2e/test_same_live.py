"""The fast path means the same as the reference path, on live traffic: two httptops watch one loopback at once."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

from httptop.capture.fast import SIZES
from httptop.taught import CELL, CELLS_MAX, LATENCY_BUCKETS
from tests.support import bpf, load
from tests.support.mixed import V4, traffic
from tests.support.net import namespace
from tests.support.nginx import nginx
from tests.support.program import Snapshot, httptop

SEED = 20
CELL_WORDS = (CELL.size + 4 * LATENCY_BUCKETS) // 4
OF_TIME = ("rate_per_s", "accepts_per_s", "start_time", "age_ms",
           "cmdline", "container")  # of a process that has ended, who asks a moment later learns less
OF_UNANSWERED = {"requests", "methods", "attribution"}  # what requests without an answer add to a server
LAST = "/last"


def row(of: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    """A row of a snapshot but for times: of latencies, whether there are any.

    How a process is known is a matter of time too: by accept() until it is seen to read, which one may learn between
    two packets and the other one before them. That all are attributed is not. So is who would have answered a request
    of a connection that was closed at once: he may read it just before one looks for him, or just after.
    """
    kept = {name: value for name, value in of.items() if name not in OF_TIME}
    if of.get("role") == "server":
        kept = {name: value for name, value in kept.items() if name not in OF_UNANSWERED}
    elif of.get("requests") != of.get("responses"):
        kept.pop("servers", None)
    if "latency_ms" in kept:
        kept["latency_ms"] = kept["latency_ms"] is not None
    if "attribution" in kept:
        kept["attribution"] = sum(kept["attribution"].values())
    return tuple(sorted((name, repr(value)) for name, value in kept.items()))


def _is_asked(of: dict[str, Any]) -> bool:
    return bool(of["statuses"] if of["role"] == "server" else of["requests"])


def meaning(snapshot: Snapshot) -> dict[str, Any]:
    """All of a snapshot but when it was, and what it cost."""
    # whoever else accepts connections on this host, and is asked nothing here, has a row too
    asked = {**snapshot, "processes": [found for found in snapshot["processes"] if _is_asked(found)]}
    tables = {name: sorted(map(row, asked[name])) for name in ("urls", "processes", "in_flight")}
    return {**{name: snapshot[name] for name in ("totals", "completeness", "skipped", "losses")}, **tables}


def counted_in_kernel(pid: int) -> int:
    """How many exchanges the kernel has counted itself for an httptop."""
    [cells] = [thing for thing in bpf.fd_objects(pid) if bpf.name(thing) == "cells"]
    with bpf.opened(cells) as fd, mmap.mmap(fd, -(-SIZES["cells"] // mmap.PAGESIZE) * mmap.PAGESIZE) as view, \
            memoryview(view) as raw, raw[: SIZES["cells"]].cast("I") as words:
        return sum(sum(words[(n + 1) * CELL_WORDS - LATENCY_BUCKETS : (n + 1) * CELL_WORDS]) for n in range(CELLS_MAX))


def test_both_paths_mean_the_same(tmp_path: Path) -> None:
    """Kept alive, pipelined, cut anywhere, sent again, closed at any point: both snapshots are equal, but for times."""
    flags = ("-i", "lo", "-b", "--json", "-d", "0.2")
    with namespace() as here, nginx(tmp_path, here) as web, httptop(*flags, where=here) as fast, \
            httptop(*flags, "--no-fast-path", where=here) as reference:
        fast.wait_attached()
        reference.wait_attached()
        with traffic(here, web, SEED):
            load.curl(here, "GET", web.url(V4), LAST)
            got, want = fast.wait_path(LAST), reference.wait_path(LAST)
        counted = counted_in_kernel(fast.pid)
    assert want["totals"]["requests"] > 5000
    assert counted > 500
    for part, value in meaning(want).items():
        assert meaning(got)[part] == value, part
