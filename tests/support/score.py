"""What httptop says about processes, to be held against what servers and clients say of themselves."""

from __future__ import annotations

from collections import Counter

from tests.support import load
from tests.support.net import Namespace
from tests.support.program import Snapshot
from tests.support.servers import PORT

# requests on one connection each: 31 over IPv6, and IPv4 that a dual-stack socket sees as v4-mapped
PLAN = (("[::1]", (1, 1, 7, 2)), ("127.0.0.1", (1, 3, 1, 1, 11, 3)))
TOTAL = 31


def rows(snapshot: Snapshot, role: str) -> dict[int | None, int]:
    """Requests by pid, of those that had any; each pid once."""
    found = [row for row in snapshot["processes"] if row["role"] == role and row["requests"]]
    assert len({row["pid"] for row in found}) == len(found)
    return {row["pid"]: row["requests"] for row in found}


def names(snapshot: Snapshot, role: str) -> set[str | None]:
    """Names of the processes that had requests."""
    return {row["comm"] for row in snapshot["processes"] if row["role"] == role and row["requests"]}


def sources(snapshot: Snapshot, role: str) -> Counter[str]:
    """How exchanges were attributed, over all processes of a role."""
    found: Counter[str] = Counter()
    for row in snapshot["processes"]:
        if row["role"] == role:
            found.update(row["attribution"])
    return found


def ask(where: Namespace) -> Counter[int]:
    """The plan, by curl; requests by client."""
    return Counter({load.curl(where, "GET", f"http://{host}:{PORT}", "/", times).pid: times
                    for host, plan in PLAN for times in plan})
