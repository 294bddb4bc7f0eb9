"""The one loop that joins a Source to an Engine; in the caller's thread, or in one of its own for the screen."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING

from httptop.errors import HttptopError, internal

if TYPE_CHECKING:  # the screen paints before it needs them
    from httptop.capture import Source
    from httptop.engine import Engine
    from httptop.snapshot import Exchange, Snapshot

READ_S = 0.1  # how long a read may take: bounds how late a stop is heard
STOP_S = 2.0  # after that long the thread is left to die with the process
GARBAGE = (50_000, 2, 2)  # thresholds of the collector: what could pile up from one full one to the next is some 20 MB
LOSING_S = 0.5  # no longer is a screen left as it is while events are lost, whatever its delay
EARLY_S = (0.0, 0.08, 0.25)  # a screen says at once that it watches, and shows what there is soon, whatever its delay

MakeEngine = Callable[["Source"], "Engine"]
Publish = Callable[["Snapshot | HttptopError"], None]


def rest_collector() -> None:
    """For who is about to feed an Engine: what there is by now stays, and hardly anything to come is a cycle.

    To look for garbage as often as usual takes a sixth of the time, and makes a screen of 10,000 rows stutter.
    """
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    gc.enable()  # the screen starts without


def stream(source: Source, make_engine: MakeEngine, delay_s: Callable[[], float], stop: threading.Event,
           early_s: Sequence[float] = ()) -> Generator[Snapshot, None, None]:
    """Open `source` and yield a Snapshot every `delay_s`, and a last one at the end of a file or when it fails.

    `delay_s` is asked again and again: it may change.
    `early_s`: seconds after the opening when one is wanted besides.

    Raises HttptopError if it cannot be opened, or, after the last Snapshot, what ended it.
    """
    try:
        source.open()
        engine = make_engine(source)
        opened_s = time.monotonic()
        early = [opened_s + early for early in early_s if early < delay_s()]
        before_s = opened_s
        while not stop.is_set():
            due_s = before_s + delay_s()
            try:
                eof = _take_in(source, engine, max(min(READ_S, min([*early, due_s]) - time.monotonic()), 0.0))
            except HttptopError:
                yield finish(source, engine)
                raise
            if eof:
                yield finish(source, engine)
                return
            now_s = time.monotonic()
            if source.info.kind != "live" or now_s < min([*early, due_s]):
                continue
            early = [at for at in early if at > now_s]
            if now_s >= due_s:
                before_s = max(due_s, now_s - delay_s())
            yield _look(source, engine)
    finally:
        source.close()


def log(source: Source, make_engine: MakeEngine, exchanges: deque[Exchange],
        stop: threading.Event) -> Generator[list[Exchange], None, Snapshot]:
    """Open `source` and yield what its Engine puts into `exchanges`; returns a last Snapshot, for what was lost."""
    try:
        source.open()
        engine = make_engine(source)
        while not stop.is_set():
            try:
                eof = _take_in(source, engine, READ_S)
            except HttptopError:
                finish(source, engine)
                yield list(exchanges)
                raise
            if eof:
                break
            yield list(exchanges)
            exchanges.clear()
        snapshot = finish(source, engine)
        yield list(exchanges)
        return snapshot
    finally:
        source.close()


def once(source: Source, make_engine: MakeEngine, delay_s: float, stop: threading.Event) -> Snapshot:
    """One Snapshot after `delay_s`, or at the end of a file: detached before it is taken, so that totals are final."""
    try:
        source.open()
        engine = make_engine(source)
        end_s = time.monotonic() + delay_s
        live = source.info.kind == "live"
        while not stop.is_set() and not (live and time.monotonic() >= end_s):
            eof = _take_in(source, engine, max(min(READ_S, end_s - time.monotonic()), 0.0) if live else 0.0)
            if eof:
                break
        return finish(source, engine)
    finally:
        source.close()


def _take_in(source: Source, engine: Engine, timeout_s: float) -> bool:
    """Read and feed; whether that was the end. A batch is gone before the next one is read."""
    batch = source.read(timeout_s)
    engine.feed(batch)
    return batch.eof


def _look(source: Source, engine: Engine) -> Snapshot:
    batch = source.look()
    engine.feed(batch)
    return _snapshot(source, engine, batch.now_ns)


def finish(source: Source, engine: Engine) -> Snapshot:
    """Detach and count what is left."""
    batch = source.finish()
    engine.feed(batch)
    while batch.records and not batch.eof:
        batch.records.clear()  # not held while the next ones are read
        batch = source.read(0.0)
        engine.feed(batch)
    engine.finish()
    return _snapshot(source, engine, batch.now_ns)


def _snapshot(source: Source, engine: Engine, now_ns: int) -> Snapshot:
    """With what the source knows by now: interfaces go and come."""
    return engine.snapshot(now_ns, source.cost())._replace(source=source.info)


class Worker:
    """`stream` in a thread; what it yields, or the HttptopError that ended it, goes to `publish`."""

    def __init__(self, source: Source, make_engine: MakeEngine, delay_s: float) -> None:
        self._source = source
        self._make_engine = make_engine
        self._delay_s = delay_s
        self._losing = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, publish: Publish) -> None:
        """Begin; `publish` is called from the thread."""
        self._thread = threading.Thread(target=self._run, args=(publish,), name="worker", daemon=True)
        self._thread.start()

    def _run(self, publish: Publish) -> None:
        lost = 0
        try:
            for snapshot in stream(self._source, self._make_engine, self._due_s, self._stop, EARLY_S):
                self._losing, lost = snapshot.lost > lost, snapshot.lost
                publish(snapshot)
        except HttptopError as error:
            publish(error)
        except Exception as error:  # else the screen would stand still, and not say so
            publish(internal(error))
            if os.environ.get("HTTPTOP_DEBUG"):
                raise

    def _due_s(self) -> float:
        return min(self._delay_s, LOSING_S) if self._losing else self._delay_s

    def set_delay(self, delay_s: float) -> None:
        """Publish every `delay_s` from now on; heard within READ_S."""
        self._delay_s = delay_s

    def abandon(self) -> None:
        """Tell it to end, without waiting: what it holds goes with this process, and what it has started ends."""
        self._stop.set()
        self._source.abort()

    def stop(self) -> None:
        """End, and wait until it has let go of the kernel."""
        self.abandon()
        if self._thread is not None:
            self._thread.join(STOP_S)
