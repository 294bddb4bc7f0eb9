"""Plays on the screen in tests: after each thing that it does it waits until the screen has nothing left to do.

Textual's own Pilot waits until the process uses little CPU time, which on a loaded machine it always does.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

from textual import events
from textual.keys import _character_to_key, _get_unicode_name_from_key
from textual.message_pump import MessagePump
from textual.pilot import Pilot

from httptop.tui.app import HttptopApp, Publication

QUIET_ROUNDS = 4  # a message that is just being handled may still send one that is handled at once
ROUNDS_MAX = 500
DEADLINE_S = 30.0


class Player:
    """A Pilot whose every step ends with a settled screen."""

    def __init__(self, pilot: Pilot[None]) -> None:
        self.app: HttptopApp = pilot.app  # type: ignore[assignment]
        self._pilot = pilot

    async def publish(self, *items: Publication) -> None:
        """As the worker does; each is shown before the next one comes."""
        for item in items:
            self.app.publish(item)
            await self.pause()

    async def press(self, *keys: str) -> None:
        """Key by key."""
        for key in keys:
            self.app._driver.send_message(_key_event(key))  # type: ignore[union-attr]
            await self.pause()

    async def burst(self, *keys: str) -> None:
        """All keys at once, as when they are pasted."""
        for key in keys:
            self.app._driver.send_message(_key_event(key))  # type: ignore[union-attr]
        await self.pause()

    async def click(self, widget: Any, offset: tuple[int, int]) -> None:  # noqa: ANN401 (Pilot's)
        """Click within a widget."""
        await self._pilot.click(widget, offset=offset)
        await self.pause()

    async def resize_terminal(self, columns: int, rows: int) -> None:
        """Another size."""
        await self._pilot.resize_terminal(columns, rows)
        await self.pause()

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait for what comes by a clock, not by a message."""
        deadline = asyncio.get_running_loop().time() + DEADLINE_S
        while not holds():
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.02)
            await self.pause()

    async def pause(self) -> None:
        """Until no widget has a message waiting, and all that changed is drawn."""
        quiet = 0
        for _ in range(ROUNDS_MAX):
            await self._round()
            if self.app._exit or self.app._exception is not None:
                return
            self.app.screen._on_timer_update()
            quiet = 0 if any(map(_busy, self._pumps())) else quiet + 1
            if quiet == QUIET_ROUNDS:
                return
        raise AssertionError("the screen does not come to rest")

    def _pumps(self) -> Iterator[MessagePump]:
        yield self.app
        for screen in self.app.screen_stack:
            yield from screen.walk_children(with_self=True)

    async def _round(self) -> None:
        """Until every widget has handled what was waiting for it."""
        waiting = []
        for pump in self._pumps():
            reached = asyncio.Event()
            if pump.call_later(reached.set):
                waiting.append(asyncio.create_task(reached.wait()))
        ended = asyncio.create_task(self.app._exception_event.wait())
        everybody = asyncio.gather(*waiting)
        await asyncio.wait((everybody, ended), timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
        for task in (everybody, ended):
            task.cancel()


def _busy(pump: MessagePump) -> bool:
    return bool(not pump._message_queue.empty() or pump._pending_message or pump._next_callbacks
                or getattr(pump, "_callbacks", None) or getattr(pump, "_dirty_widgets", None))


def _key_event(key: str) -> events.Key:
    name = _character_to_key(key) if len(key) == 1 and not key.isalnum() else key
    try:
        character: str | None = unicodedata.lookup(_get_unicode_name_from_key(name))
    except KeyError:
        character = key if len(key) == 1 else None
    return events.Key(name, character)
