"""The bottom line: the keys of the screen that is shown, made from its bindings; a click does what the key does."""

from __future__ import annotations

from collections.abc import Iterable

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size

from httptop.tui.canvas import Canvas, Line, Look

NAMES = {
    "space": "space", "escape": "Esc", "question_mark": "?", "slash": "/", "less_than_sign": "<",
    "greater_than_sign": ">", "plus": "+", "enter": "Enter", "up": "Up", "down": "Down", "pageup": "PgUp",
    "pagedown": "PgDn", "home": "Home", "end": "End", "tab": "Tab", "shift+tab": "Shift-Tab", "ctrl+p": "Ctrl-P",
    "ctrl+c": "Ctrl-C", "ctrl+z": "Ctrl-Z",
}


def key_name(key: str) -> str:
    """A key as people write it: `question_mark` is "?"."""
    return ", ".join(NAMES.get(name, name) for name in key.split(","))


def bindings_of(bindings: Iterable[BindingType]) -> list[Binding]:
    """The declarations that are whole Bindings; ours all are."""
    return [binding for binding in bindings if isinstance(binding, Binding)]


def explained(bindings: Iterable[BindingType]) -> list[tuple[str, str]]:
    """(keys, what they do) for the help; a group of keys is one line."""
    found: dict[str, list[str]] = {}
    for binding in bindings_of(bindings):
        text = binding.group.description if binding.group else binding.tooltip or binding.description
        found.setdefault(text, []).append(key_name(binding.key))
    return [(" ".join(keys), text) for text, keys in found.items()]


class Keys(Canvas):
    """One line of keys, the most useful first; those that do not fit are in the help."""

    def __init__(self, look: Look, bindings: Iterable[BindingType]) -> None:
        super().__init__(look, id="keys")
        self._shown = [binding for binding in bindings_of(bindings) if binding.show]

    def _labels(self) -> list[tuple[Binding, str]]:
        return [(binding, key_name(binding.key)) for binding in self._shown]

    def lines(self, size: Size) -> list[Line]:
        """As many keys as fit."""
        spans: Line = ((" ", "text"),)
        used = 1
        for binding, name in self._labels():
            used += len(name) + len(binding.description) + 3
            if used > size.width:
                break
            spans = (*spans, (name, "key"), (f" {binding.description}  ", "dim"))
        return [spans]

    async def on_click(self, event: events.Click) -> None:
        left = 1
        for binding, name in self._labels():
            right = left + len(name) + len(binding.description) + 3
            if left <= event.x < right:
                await self.screen.run_action(binding.action)
                return
            left = right
