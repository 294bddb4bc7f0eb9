"""The live screen as a program: it paints first, then starts the worker, and only ever reads Snapshots."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from asyncio import get_running_loop
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Protocol

from rich.console import Console
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.events import Event, Key
from textual.message import Message
from textual.screen import Screen

from httptop import render
from httptop.errors import HttptopError, internal
from httptop.filters import Filter
from httptop.render import ASCII, UNICODE
from httptop.settings import DEFAULTS, Settings
from httptop.snapshot import Snapshot
from httptop.tui.asking import Asking
from httptop.tui.canvas import Canvas, Look
from httptop.tui.driver import Driver
from httptop.tui.keys import bindings_of, key_name
from httptop.tui.live import Live
from httptop.tui.main import SMALLEST, Main
from httptop.tui.theme import palettes
from httptop.tui.typing import Typing
from httptop.tui.view import View

Publication = Snapshot | HttptopError
NOTICE_S = 10.0
BASIC_COLORS = 8


class Worker(Protocol):
    """What captures and counts, in a thread of its own."""

    def start(self, publish: Callable[[Publication], None]) -> None:
        """Begin; `publish` is called from that thread, with an error at most once and then no more."""

    def set_delay(self, delay_s: float) -> None:
        """Publish every so many seconds from now on."""

    def stop(self) -> None:
        """End and free everything; harmless when called twice, and before `start`."""


class Fresh(Message):
    """Something is in the mailbox."""


class HttptopApp(App[None]):
    """`failure` is what ended it, if anything did; `return_code` is then that error's exit code.

    `notice` is shown for a while at the beginning.
    """

    CSS_PATH = Path(__file__).with_name("httptop.tcss")
    TITLE = "httptop"
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (SMALLEST[0], "-narrow"), (110, "-wide")]  # noqa: RUF012 (Textual declares it)
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (SMALLEST[1], "-short"), (34, "-tall"), (50, "-huge")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "quit", "quit", show=False, priority=True),
        Binding("ctrl+z", "suspend_process", "suspend", show=False, priority=True),
    ]

    def __init__(
        self, worker: Worker, *, settings: Settings = DEFAULTS, initial_filter: Filter = Filter(),  # noqa: B008 (frozen)
        ascii_only: bool = False, color: bool = True, notice: str = "",
    ) -> None:
        color = color and not os.environ.get("NO_COLOR")
        colors = 0 if not color else BASIC_COLORS if settings.theme == "terminal" else _terminal_colors()
        with contextlib.nullcontext() if color else _no_color():
            super().__init__(driver_class=Driver, ansi_color=None if colors >= 256 else True)
        self._palettes = palettes(colors)
        for palette in self._palettes:
            self.register_theme(palette.theme)
        first = next((one for one in self._palettes if one.name.endswith(settings.theme)), self._palettes[0])
        self.theme = first.name
        self.stylesheet.set_variables(self.get_css_variables())  # so that it is parsed once, with these
        self.look = Look(first, ASCII if ascii_only else UNICODE)
        self.view = View(initial_filter)
        self.view.delay_s = settings.delay
        self._settings = settings
        self.failure: HttptopError | None = None
        self._worker = worker
        self._notice = notice
        self._mail: Publication | None = None
        self._mail_lock = threading.Lock()
        self._stopping: threading.Thread | None = None
        self._typing = Typing(self, super().on_event)
        self._at_once = {binding.key for binding in bindings_of(self.BINDINGS)}

    def get_default_screen(self) -> Main:
        """Textual's hook: the first screen."""
        return Main(self.look, self.view, self._settings, self._typing.when_done)

    async def on_event(self, event: Event) -> None:
        """Textual's hook: keys one after the other, but for those that must always get through."""
        typed = isinstance(event, Key) and not event.is_forwarded
        if isinstance(event, Key) and typed and event.key not in self._at_once:
            await self._typing.key(event)
        else:
            await super().on_event(event)

    def on_mount(self) -> None:
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # not in the main thread
            for number in (signal.SIGTERM, signal.SIGHUP):
                get_running_loop().add_signal_handler(number, self.leave, 128 + number)
        if self._notice:
            self.notify(self._notice, timeout=NOTICE_S, markup=False)
        self.call_after_refresh(self._start_worker)

    def _start_worker(self) -> None:
        if self._stopping is None:
            self._worker.start(self.publish)

    def publish(self, item: Publication) -> None:
        """Put into the mailbox, from any thread: a newer Snapshot takes the place of one not yet shown."""
        with self._mail_lock:
            waiting, self._mail = self._mail, self._mail if isinstance(self._mail, HttptopError) else item
        if waiting is None:
            self.post_message(Fresh())

    def on_fresh(self) -> None:
        with self._mail_lock:
            item, self._mail = self._mail, None
        if isinstance(item, HttptopError):
            from httptop.tui.dialogs import Failed  # noqa: PLC0415 (see preloading.py)

            self.failure = item
            self.push_screen(Failed(self.look, item))
        elif item is not None and self.failure is None:
            gone = self.view.latest.source.gone if self.view.latest else ()
            self.view.take(item)
            self._tell_interfaces(gone, item.source.gone)
            self._show()

    def _tell_interfaces(self, before: Sequence[str], now: Sequence[str]) -> None:
        """Of what goes and comes."""
        for name in now:
            if name not in before:
                self.notify("What was counted stays. Counting goes on when it is back.", severity="warning",
                            title=f"{render.safe(name)} is gone", timeout=NOTICE_S, markup=False)
        for name in before:
            if name not in now:
                self.notify("Counting goes on.", title=f"{render.safe(name)} is back", timeout=NOTICE_S, markup=False)

    def _show(self) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, Live):
                screen.show()

    def on_asking_delayed(self, event: Asking.Delayed) -> None:
        """Refresh every so many seconds from now on."""
        self.view.delay_s = event.delay_s
        self._worker.set_delay(event.delay_s)
        self._show()

    def action_next_theme(self) -> None:
        """The other palette, where there is one."""
        names = [palette.name for palette in self._palettes]
        self.look.palette = self._palettes[(names.index(self.look.palette.name) + 1) % len(names)]
        self.theme = self.look.palette.name
        for screen in self.screen_stack:
            for canvas in screen.query(Canvas):
                canvas.redraw(everything=True)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Textual's hook: what the command palette offers is what the keys of this screen do."""
        for binding in bindings_of(type(screen).BINDINGS):
            if binding.action != "app.command_palette":
                yield SystemCommand(binding.tooltip or binding.description, f"key {key_name(binding.key)}",
                                    partial(screen.run_action, binding.action))

    def _watch_theme(self, theme_name: str) -> None:
        """Textual's hook: what it does here before anything is shown is to parse and apply all CSS a second time."""
        if self.is_running:
            super()._watch_theme(theme_name)
        else:
            self.set_class(self.current_theme.dark, "-dark-mode", update=False)
            self.set_class(not self.current_theme.dark, "-light-mode", update=False)
            self.add_class(f"-theme-{theme_name}", update=False)

    def _fatal_error(self) -> None:
        """Textual's hook for our own bugs: its traceback shows the values of all variables, and needs files to read."""
        error = self._exception
        self.failure = internal(error)
        if os.environ.get("HTTPTOP_DEBUG"):
            super()._fatal_error()
        else:
            self._close_messages_no_wait()

    async def action_quit(self) -> None:
        self.leave(self.failure.exit_code if self.failure else 0)

    def leave(self, return_code: int = 0) -> None:
        """Stop the worker beside, and give the terminal back at once."""
        self._stop_worker()
        self.exit(return_code=return_code)

    def on_unmount(self) -> None:
        self._stop_worker()

    def _stop_worker(self) -> None:
        if self._stopping is None:
            self._stopping = threading.Thread(target=self._worker.stop, name="httptop-stop")
            self._stopping.start()


def _terminal_colors() -> int:
    """How many the terminal has, as far as Rich, which reduces all colours to them, knows."""
    return 256 if Console(force_terminal=True).color_system in ("256", "truecolor") else BASIC_COLORS


@contextlib.contextmanager
def _no_color() -> Iterator[None]:
    """Textual takes it from nowhere else; other programs that are started later shall not inherit it."""
    before = os.environ.get("NO_COLOR")
    os.environ["NO_COLOR"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["NO_COLOR"]
        else:
            os.environ["NO_COLOR"] = before
