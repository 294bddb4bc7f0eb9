"""Screens that go on counting."""

from __future__ import annotations

from textual.screen import Screen


class Live(Screen[None]):
    """The app calls `show` whenever the View has something new."""

    def show(self) -> None:
        """Bring what the View has on the screen."""
        raise NotImplementedError
