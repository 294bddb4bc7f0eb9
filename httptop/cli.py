"""Puts the program together: flags -> Source, Engine and face. The only module that knows everybody.

What not every run needs is imported late: --version must not wait for Textual.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from httptop import options as command_line
from httptop import paths, settings
from httptop.errors import HttptopError, UsageError, internal
from httptop.options import HelpRequested, Options
from httptop.stopping import Signals, Stopped

if TYPE_CHECKING:
    from httptop.capture import Source
    from httptop.capture.preflight import Check
    from httptop.engine import Engine
    from httptop.snapshot import Exchange, Snapshot

EXIT_MISSING = 3
EXIT_INCOMPLETE = 4
EXIT_READER_GONE = 128 + signal.SIGPIPE

RECENT_EXCHANGES = 500  # that the screen can show; 0.5 MB
DUMB_TERMINALS = ("", "dumb", "unknown")
WIDTH_OF_NO_TERMINAL = 132


class World:
    """All that is outside of this program. Tests run the real `main` on another one."""

    environ: Mapping[str, str] = os.environ

    def __init__(self) -> None:
        # A closed standard descriptor would be given to the next file opened, and then be written to.
        self.closed = tuple(fd for fd in (0, 1, 2) if not _is_open(fd))
        for _ in self.closed:
            os.open(os.devnull, os.O_RDWR)

    def is_terminal(self, fd: int) -> bool:
        """Whether standard descriptor `fd` is a terminal."""
        return fd not in self.closed and os.isatty(fd)

    def width(self) -> int:
        """Columns for plain tables."""
        if self.environ.get("COLUMNS", "").isdigit():
            return int(self.environ["COLUMNS"])
        with contextlib.suppress(OSError):
            return os.get_terminal_size(1).columns
        return WIDTH_OF_NO_TERMINAL

    def write(self, text: str) -> None:
        """All of `text` to standard output, past Python's buffer: it is there when this returns."""
        if 1 in self.closed:
            raise HttptopError("standard output is closed", "give it a file or a pipe")
        rest = memoryview(text.encode(getattr(sys.stdout, "encoding", "utf-8"), "replace"))
        try:
            while rest:
                rest = rest[os.write(1, rest):]
        except BrokenPipeError:
            raise
        except OSError as error:
            raise HttptopError(f"cannot write to standard output: {error.strerror}") from None

    def complain(self, text: str) -> None:
        """`text` to standard error, if anybody listens."""
        with contextlib.suppress(OSError):
            os.write(2, text.encode("utf-8", "replace"))

    def settings(self) -> tuple[str, str | None]:
        """The path of the configuration file, and its text if there is one."""
        from httptop.capture import config

        path = config.path(self.environ)
        return path, config.read(path, self.environ)

    def checks(self) -> Sequence[Check]:
        """What `--check` prints."""
        from httptop.capture import preflight
        from httptop.counters import readings

        counters = readings.mention()
        return (*preflight.preflight(), *([preflight.Check("counters", ok=True, what=counters)] if counters else []))

    def live(self, options: Options) -> Source:
        """The interfaces to watch. What else may be missing shows when it is opened: on the screen, if there is one."""
        from httptop.capture import interfaces, netns, preflight
        from httptop.capture.live import LiveSource

        if options.netns is not None:
            preflight.require_privileges()
        with netns.inside(options.netns):
            wanted = options.interfaces or (("lo",) if options.demo else (interfaces.default(),))
            interfaces.require(wanted)
        source = LiveSource(wanted, options.ports, before_drop=_preload_screen, namespace=options.netns,
                            fast_path=options.fast_path and not options.log)
        source.patient = source.eager = not options.batch
        source.begin()
        return source

    def file(self, path: str, options: Options) -> Source:
        """Read a capture file, "-" for standard input."""
        from httptop.capture.pcap import PcapSource

        return PcapSource(path, options.ports)

    def engines(self, options: Options, exchanges: deque[Exchange] | None = None,
                recent: int = 0) -> Callable[[Source], Engine]:
        """What makes the Engine of an opened source. All is imported by now: after root is given up it may be late."""
        from httptop.capture.system import identify
        from httptop.engine import Engine
        from httptop.owners import not_found
        from httptop.worker import rest_collector

        def engine(source: Source) -> Engine:
            rest_collector()
            ask = (identify, source.owner) if source.info.kind == "live" else (_nobody, not_found)
            made = Engine(source.info, source.epoch_offset_ns, *ask, keep_query=options.keep_query, board=source.board,
                          exchanges=exchanges, recent=recent)
            made.path_of = paths.counted(keep_query=options.keep_query, group=options.group_paths)
            return made

        return engine

    def demo(self) -> contextlib.AbstractContextManager[object]:
        """Traffic on loopback for as long as the context lasts."""
        from httptop import demo

        return demo.running()

    def screen(self, source: Source, options: Options) -> int:
        """Show the live screen until the user leaves it; the exit code."""
        gc.disable()  # until the source is open: there is no garbage, and looking for it takes a tenth of the time
        from httptop.counters import readings
        from httptop.tui.app import HttptopApp
        from httptop.worker import Worker

        counters = readings.mention() if options.file is None else ""
        worker = Worker(source, lambda opened: self.engines(options, recent=RECENT_EXCHANGES)(opened),  # noqa: PLW0108
                        options.delay_s)  # it is imported then, behind the first paint
        app = HttptopApp(worker, settings=options.settings, initial_filter=options.filter, ascii_only=options.ascii,
                         color=options.color, notice=f"counters run {counters}" if counters else "")
        app.run()
        worker.abandon()
        if app.failure is not None:  # the terminal is as it was: say it again where it stays
            raise app.failure
        return app.return_code or 0


def _preload_screen() -> None:
    """What the screen imports late must be there before root is given up: a home directory may be closed afterwards."""
    if "httptop.tui.app" in sys.modules:
        from httptop.tui import preload

        preload()


def _is_open(fd: int) -> bool:
    with contextlib.suppress(OSError):
        return bool(os.fstat(fd))
    return False


def _nobody(_pid: int, _start_ns: int, _comm: str) -> None:
    """The processes of a capture file are not those of this host."""


def main(arguments: Sequence[str] | None = None, world: World | None = None) -> int:
    """Run httptop; the exit code (see --help). Errors are two lines on standard error, never a traceback."""
    world = world or World()
    try:
        return _main(sys.argv[1:] if arguments is None else arguments, world)
    except HttptopError as error:
        world.complain("\n".join(error.lines()) + "\n")
        return error.exit_code
    except BrokenPipeError:
        return EXIT_READER_GONE
    except (Stopped, KeyboardInterrupt) as stopped:
        return 128 + getattr(stopped, "number", signal.SIGINT)
    except Exception as error:
        if world.environ.get("HTTPTOP_DEBUG"):
            raise
        world.complain("\n".join(internal(error).lines()) + "\n")
        return 1


def _main(arguments: Sequence[str], world: World) -> int:
    if arguments[:1] == ["counters"]:
        from httptop.counters import cli as counters

        return counters.main(arguments[1:], world)
    try:
        options = command_line.parse(arguments)
    except HelpRequested as asked:
        world.write(asked.text)
        return 0
    if options.check:
        return _check(world)
    if world.environ.get("NO_COLOR"):
        options = replace(options, color=False)
    options = replace(options, batch=options.batch or not world.is_terminal(1) or options.file == "-")
    if options.show_config or not options.batch:  # what scripts read does not depend on settings
        path, text = world.settings()
        options = command_line.settled(options, settings.parse(text, path) if text is not None else settings.DEFAULTS)
        if options.show_config:
            world.write(settings.shown(options.settings, path, options.settled))
            return 0
        _require_terminal(world)
    source = world.live(options) if options.file is None else world.file(options.file, options)
    with world.demo() if options.demo else contextlib.nullcontext():
        if options.log:
            return _log(source, options, world)
        return _batch(source, options, world) if options.batch else world.screen(source, options)


def _check(world: World) -> int:
    checks = world.checks()
    for check in checks:
        fix = f"\n         {check.fix}" if check.fix else ""
        world.write(f"{'ok' if check.ok else 'MISSING':<8} {check.name}: {check.what}{fix}\n")
    return 0 if all(check.ok for check in checks) else EXIT_MISSING


def _require_terminal(world: World) -> None:
    if not world.is_terminal(0):
        raise UsageError("the live screen needs a terminal to read keys from", "or print tables: httptop --batch")
    name = world.environ.get("TERM", "")
    if name in DUMB_TERMINALS:
        raise UsageError(f"the live screen cannot be drawn on a terminal of type {name!r} (TERM)",
                         "set TERM, for example to xterm-256color, or print tables: httptop --batch")


def _batch(source: Source, options: Options, world: World) -> int:
    signals = Signals()
    signals.catch()
    latest = None
    text = _printer(options, world)
    for latest in _snapshots(source, options, world):
        with signals.after_this():
            world.write(text(latest))
    return EXIT_INCOMPLETE if latest is not None and latest.lost else 0


def _log(source: Source, options: Options, world: World) -> int:
    from httptop import worker
    from httptop.export import log

    line = log.json_line if options.json else partial(log.text_line, ascii_only=options.ascii)
    stop = threading.Event()  # what is open when a signal comes is still told
    signals = Signals(stop)
    signals.catch()
    exchanges: deque[Exchange] = deque()
    batches = worker.log(source, world.engines(options, exchanges), exchanges, stop)
    with contextlib.closing(batches):
        while True:
            try:
                batch = next(batches)
            except StopIteration as end:
                lost = EXIT_INCOMPLETE if end.value.lost else 0
                return 128 + signals.number if signals.number else lost
            text = "".join(line(exchange) for exchange in batch if options.filter.matches(log.as_cell(exchange)))
            with signals.after_this():
                world.write(text)


def _snapshots(source: Source, options: Options, world: World) -> Iterator[Snapshot]:
    """Those to print. A file has one, at its end or where it is damaged."""
    from httptop import worker

    engines, stop = world.engines(options), threading.Event()
    if options.iterations == 1 and options.file is None:
        yield worker.once(source, engines, options.delay_s, stop)
        return
    snapshots = worker.stream(source, engines, lambda: options.delay_s, stop)
    with contextlib.closing(snapshots):
        yield from itertools.islice(snapshots, options.iterations if options.file is None else None)


def _printer(options: Options, world: World) -> Callable[[Snapshot], str]:
    from httptop import sorting
    from httptop.export import View, json_export, table

    view = View(options.filter, options.ports, options.sort or sorting.DEFAULT, options.rows)
    if options.json:
        return lambda snapshot: json_export.dumps(snapshot, view)
    return lambda snapshot: table.render_table(snapshot, view, width=world.width(), ascii_only=options.ascii)
