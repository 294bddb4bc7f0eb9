"""The path of a request target as it is counted. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

PATH_MAX = 1024  # characters of a path that are kept: what is longer is one row, told apart by its beginning

_PLACEHOLDERS = (
    (re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"), ":uuid"),
    (re.compile(r"[0-9]+"), ":id"),
    (re.compile(r"(?=.*[0-9])[0-9a-fA-F]{16,}"), ":hash"),
)


def path_of(target: str, *, keep_query: bool) -> str:
    """Request target -> path, from origin-form and absolute-form alike (RFC 9112 3.2)."""
    path = target
    if "://" in path[:8] and not path.startswith("/"):
        path = "/" + path.split("://", 1)[1].partition("/")[2]
    return path if keep_query else path.partition("?")[0].partition("#")[0]


@lru_cache(maxsize=16_384)
def grouped(path: str) -> str:
    """/users/123/orders/4 -> /users/:id/orders/:id; so are UUIDs and hashes. A query is kept."""
    path, mark, query = path.partition("?")
    return "/".join(map(_placeholder, path.split("/"))) + mark + query


def _placeholder(segment: str) -> str:
    return next((name for pattern, name in _PLACEHOLDERS if pattern.fullmatch(segment)), segment)


def counted(*, keep_query: bool, group: bool = False) -> Callable[[str], str]:
    """What makes the path that is counted of a target."""

    def path(target: str) -> str:
        found = path_of(target, keep_query=keep_query)[:PATH_MAX]
        return grouped(found) if group else found

    return path
