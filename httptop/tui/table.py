"""A table of any number of rows with a cursor that stays on its row; only what is visible is ever rendered."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import ClassVar, Generic

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message

from httptop.render import fit, pad
from httptop.tui.canvas import Canvas, Line, Look, Span, cells, spread
from httptop.tui.columns import GAP, Column, Group, Row, fitting

HEAD = 2  # lines above the first row: title, column titles
WHEEL = 3  # rows to a notch of the wheel
BY_ROW, BY_PAGE, TO_END = Binding.Group("by a row"), Binding.Group("by a page"), Binding.Group("first, last row")


def title(pane: Canvas, number: int, heading: str, note: Line, columns: int) -> Line:
    """The line above a pane: the key that brings it up, its name, a note at the right."""
    glyphs = pane.look.glyphs
    style, rule = ("focus", "focus-rule") if pane.has_focus else ("title", "rule")
    left: Line = ((glyphs.rule, rule), (f"{glyphs.numerals[number]} ", "dim"), (heading, style), (" ", rule))
    right: Line = ((" ", rule), *note, (f" {glyphs.rule}", rule)) if note else ()
    gap = columns - cells(left) - cells(right)
    return (*left, (glyphs.rule * gap, rule), *right) if gap > 0 else spread(left, (), columns, glyphs)


class Table(Canvas, Generic[Group, Row], can_focus=True):
    """`show` gives it sorted groups; subclasses say what a row is known by and what its columns read.

    The cursor is at the top until it is moved; from then on it stays on its row (by key) wherever that goes.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "up", show=False, group=BY_ROW),
        Binding("down", "move(1)", "down", show=False, group=BY_ROW),
        Binding("pageup", "page(-1)", "page up", show=False, group=BY_PAGE),
        Binding("pagedown", "page(1)", "page down", show=False, group=BY_PAGE),
        Binding("home", "top", "first row", show=False, group=TO_END),
        Binding("end", "bottom", "last row", show=False, group=TO_END),
    ]

    class Opened(Message):
        """Enter or a second click on a row."""

        def __init__(self, table: Table[Group, Row], group: Group) -> None:
            super().__init__()
            self.table = table
            self.group = group

    class Sorted(Message):
        """A click on a column's title."""

        def __init__(self, table: Table[Group, Row], key: str) -> None:
            super().__init__()
            self.table = table
            self.key = key

    HEADING: ClassVar[str]
    NUMBER: ClassVar[int]  # the key that brings the pane up

    def __init__(self, look: Look) -> None:
        super().__init__(look, id=type(self).__name__.lower(), classes="pane")
        self.note: Line = ()
        self.empty: list[Line] = []
        self.columns: Sequence[Column[Group, Row]] = ()
        self.sort_key = ""
        self.reverse = False
        self._groups: Sequence[Group] = ()
        self._cursor: Hashable = None  # the key of its row, None while it is just "the top"
        self._index = 0
        self._offset = 0

    def key(self, group: Group) -> Hashable:
        """What a row is known by while its numbers change."""
        raise NotImplementedError

    def row(self, group: Group) -> Row:
        """What the columns read; asked for visible rows only."""
        raise NotImplementedError

    def mark(self, group: Group) -> Span:  # noqa: ARG002 (for subclasses)
        """One cell before the row, for what must not be overlooked."""
        return " ", "text"

    def show(self, groups: Sequence[Group], *, note: Line = (), empty: Sequence[Line] = ()) -> None:
        """Show `groups` in this order; `note` stands at the right of the title, `empty` where there are none."""
        if len(groups) != len(self._groups):
            self.refresh(layout=True)  # its height may follow its rows
        self._groups, self.note, self.empty = groups, note, list(empty)
        if self._cursor is not None:
            found = next((index for index, group in enumerate(groups) if self.key(group) == self._cursor), None)
            self._index = self._index if found is None else found
        self._scroll()
        self.redraw()

    @property
    def selected(self) -> Group | None:
        """The row under the cursor."""
        return self._groups[self._index] if self._index < len(self._groups) else None

    def rows_shown(self) -> Sequence[Group]:
        """All rows in the order of the table, also those beyond its edge."""
        return self._groups

    def _page(self) -> int:
        return max(self.size.height - HEAD, 1)

    def _scroll(self) -> None:
        """Keep the cursor within the rows and the rows around it within sight."""
        self._index = max(0, min(self._index, len(self._groups) - 1))
        page = self._page()
        self._offset = max(min(self._offset, self._index, len(self._groups) - page), self._index - page + 1, 0)

    def _go(self, index: int) -> None:
        if not self._groups:
            return
        self._index = max(0, min(index, len(self._groups) - 1))
        self._cursor = self.key(self._groups[self._index])
        self._scroll()
        self.redraw()

    def action_move(self, rows: int) -> None:
        self._go(self._index + rows)

    def action_page(self, pages: int) -> None:
        self._go(self._index + pages * self._page())

    def action_top(self) -> None:
        """Back to the top, and stay there whatever row it is."""
        self._go(0)
        self._cursor = None

    def action_bottom(self) -> None:
        self._go(len(self._groups) - 1)

    def action_open(self) -> None:
        if (group := self.selected) is not None:
            self.post_message(self.Opened(self, group))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self._go(self._index + WHEEL)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._go(self._index - WHEEL)

    def on_click(self, event: events.Click) -> None:
        """A title sorts, a row is selected, a second click on it opens it."""
        if event.y == HEAD - 1:
            if (key := self._column_at(event.x)) is not None:
                self.post_message(self.Sorted(self, key))
            return
        index = self._offset + event.y - HEAD
        if event.y < HEAD or index >= len(self._groups):
            return
        self._go(index)
        if event.chain == 2:
            self.action_open()

    def _column_at(self, x: int) -> str | None:
        left = 1
        for column, width in fitting(self.columns, self.size.width - 2):
            if left <= x < left + width + GAP:
                return column.key
            left += width + GAP
        return None

    def on_focus(self) -> None:
        self.redraw()

    def on_blur(self) -> None:
        self.redraw()

    def on_resize(self, event: events.Resize) -> None:
        self._scroll()
        super().on_resize(event)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        """Textual's hook, for `height: auto`."""
        return HEAD + max(len(self._groups), 1)

    def shown_columns(self) -> list[str]:
        """The keys of the columns for which there is room."""
        return [column.key for column, _ in fitting(self.columns, self.size.width - 2)]

    def lines(self, size: Size) -> list[Line]:
        """Title, column titles, and the visible rows; or why there are none."""
        columns, rows = size
        title = self._title(columns)
        if not self._groups:
            return [title, *self._centred(columns, rows - 1)]
        shown = fitting(self.columns, columns - 2)
        visible = self._groups[self._offset:self._offset + max(rows - HEAD, 0)]
        bar = self._scrollbar(rows - HEAD)
        body = [(*self._line(group, shown, selected=self._offset + y == self._index), bar[y])
                for y, group in enumerate(visible)]
        return [title, self._titles(shown), *body]

    def _title(self, columns: int) -> Line:
        return title(self, self.NUMBER, self.HEADING, self.note, columns)

    def _titles(self, shown: Sequence[tuple[Column[Group, Row], int]]) -> Line:
        spans: list[Span] = [(" ", "dim")]
        for column, width in shown:
            text, style = column.title, "dim"
            if column.key == self.sort_key:
                arrow = self.arrow(column)
                text, style = (arrow + text if column.right else text + arrow), "title"
            spans.append((pad(fit(text, width, self.look.glyphs), width, right=column.right) + " " * GAP, style))
        return tuple(spans)

    def arrow(self, column: Column[Group, Row]) -> str:
        """Which way the rows are sorted: down is most first."""
        return self.look.glyphs.up if self.reverse != column.ascending else self.look.glyphs.down

    def _line(self, group: Group, shown: Sequence[tuple[Column[Group, Row], int]], *, selected: bool) -> Line:
        row = self.row(group)
        spans: list[Span] = [("", "cursor" if selected and self.has_focus else "text"), self.mark(group)]
        for column, width in shown:
            cell = column.cell(row, width)
            gap = " " * (width - cells(cell))
            spans += [(gap, "text"), *cell] if column.right else [*cell, (gap, "text")]
            spans.append((" " * GAP, "text"))
        return tuple(spans)

    def _scrollbar(self, rows: int) -> list[Span]:
        total = len(self._groups)
        if total <= rows:
            return [("", "text")] * rows
        size = max(rows * rows // total, 1)
        start = self._offset * (rows - size) // max(total - rows, 1)
        return [(self.look.glyphs.thumb if start <= y < start + size else " ", "rule") for y in range(rows)]

    def _centred(self, columns: int, rows: int) -> list[Line]:
        above = max((rows - len(self.empty)) // 2, 0)
        block = max((cells(line) for line in self.empty), default=0)
        left = " " * max((columns - block) // 2, 1)
        return [()] * above + [((left, "text"), *line) for line in self.empty]
