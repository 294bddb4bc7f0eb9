"""Keys in their order: what is typed ahead belongs to what the keys before it bring up.

Textual hands a key to whatever has the focus when it arrives, and only then looks what it means. So of `/path` that is
pasted, or typed while a busy machine draws, the `p` would be a command: the line in which it belongs is not there yet.
"""

from __future__ import annotations

from asyncio import get_running_loop
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from textual import events

if TYPE_CHECKING:
    from textual.app import App
    from textual.message_pump import MessagePump

KEYS_MAX = 1000  # typed ahead; of more the first are dropped
PASSES = 3  # a key becomes a message of who has it, and that perhaps one of what is around it
LOST_S = 1.0  # whoever had a key for so long has gone away with it


class Typing:
    """Lets one key at a time through. `hand_on`: what the App does with one."""

    def __init__(self, app: App[None], hand_on: Callable[[events.Key], Awaitable[None]]) -> None:
        self._app = app
        self._hand_on = hand_on
        self._waiting: deque[events.Key] = deque(maxlen=KEYS_MAX)
        self._since_s = 0.0  # when the last one was handed on; 0: it has arrived
        self._then: Callable[[], None] | None = None

    async def key(self, event: events.Key) -> None:
        """One that was typed."""
        self._waiting.append(event)
        if get_running_loop().time() - self._since_s > LOST_S:
            await self._next()

    def when_done(self, then: Callable[[], None]) -> None:
        """Call this, in place of what was given before, when all that was typed has arrived."""
        if self._since_s:
            self._then = then
        else:
            then()

    async def _next(self) -> None:
        self._since_s = 0.0
        if not self._waiting and self._then is not None:
            then, self._then = self._then, None
            then()
        if self._waiting:
            self._since_s = get_running_loop().time()
            first = self._app.focused or self._app.screen
            await self._hand_on(self._waiting.popleft())
            self._follow([first, *first.ancestors] * PASSES)

    def _follow(self, queues: Sequence[MessagePump]) -> None:
        """Behind the key, through the queues of all who may look at it: each puts it into the next one's."""
        for number, queue in enumerate(queues):
            if queue.call_later(self._follow, queues[number + 1 :]):
                return
        # It has done what it does. A screen that it has brought up comes first.
        if not self._app.screen.call_later(self._next):
            self._app.call_later(self._next)
