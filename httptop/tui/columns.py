"""The columns of the tables: what each shows, how wide it is, and which of them fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from httptop.tui.canvas import Line

Group = TypeVar("Group")
Row = TypeVar("Row")


@dataclass(frozen=True)
class Column(Generic[Group, Row]):
    """`importance` 0 is always there, the highest goes first when room is short.

    `order` gives what to sort by, for values where more comes first; `ascending` turns that round. The
    room that is left goes to the flexible columns, up to `most` each, the rest to the most important of them.
    """

    key: str
    title: str
    width: int
    importance: int
    cell: Callable[[Row, int], Line]  # (row, width) -> safe text, at most that wide
    order: Callable[[Group], Any]
    right: bool = True
    ascending: bool = False
    wish: int = 0  # its width before luxuries get any room
    most: int = 0  # not 0: flexible, up to this width


METHODS = "method:"  # begins the keys of the columns of which there is one to each method
GAP = 1
LUXURY = 10  # columns from this importance on


def chosen(columns: Sequence[Column[Group, Row]], names: Sequence[str]) -> Sequence[Column[Group, Row]]:
    """Those that are named, in that order, the first ones the most important; all of them if none is named.

    "methods" names one column to each method.
    """
    if not names:
        return columns
    found: dict[str, list[Column[Group, Row]]] = {}
    for column in columns:
        found.setdefault("methods" if column.key.startswith(METHODS) else column.key, []).append(column)
    wanted = [column for name in names for column in found.get(name, ())]
    return [replace(column, importance=0 if column.most else place) for place, column in enumerate(wanted)]


def fitting(columns: Sequence[Column[Group, Row]], cells: int) -> list[tuple[Column[Group, Row], int]]:
    """The columns that fit into `cells`, in their order, with their widths."""
    chosen: set[str] = set()
    used, reserved = -GAP, 0
    for column in sorted(columns, key=lambda column: column.importance):
        kept_free = reserved if column.importance >= LUXURY else 0
        if column.importance and used + GAP + column.width + kept_free > cells:
            continue
        chosen.add(column.key)
        used += GAP + column.width
        reserved += max(column.wish - column.width, 0)
    shown = [column for column in columns if column.key in chosen]
    widths = {column.key: column.width for column in shown}
    spare = max(cells - used, 0)
    flexible = sorted((column for column in shown if column.most), key=lambda column: column.importance)
    for column in flexible:
        given = min(spare, max(column.most - column.width, 0))
        widths[column.key] += given
        spare -= given
    if flexible:
        widths[flexible[0].key] += spare
    return [(column, widths[column.key]) for column in shown]
