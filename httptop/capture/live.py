"""Live capture: starts the privileged child, takes over its fds, gives up root, then drains the rings."""

from __future__ import annotations

import contextlib
import mmap
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from httptop.capture import btf, child, interfaces, maps, netns, preflight, privileges, system
from httptop.capture.around import Around
from httptop.capture.attribution import Attribution
from httptop.capture.child import Child
from httptop.capture.fast import SIZES, Board
from httptop.capture.pace import Pace
from httptop.capture.rings import PerfRing, RingBuffer
from httptop.capture.taps import Taps
from httptop.errors import HttptopError, MissingFeatureError
from httptop.records import COUNTERS, NO_OWNER, Batch, Counter, How
from httptop.snapshot import SelfCost, SourceInfo

RING_BYTES = 16 << 20  # 0.1 s of everything at 150,000 exchanges/s; 1 s at 10,000
ACCEPT_PAGES = 128  # 6,000 accept() per CPU and read
FLOWS = 65536  # 13 MB in the kernel
OWNERS = 131072  # two ends to a flow; 14 MB
SOURCES = frozenset(How) - {How.UNKNOWN}
CACHE = "/var/cache/httptop"  # where the loader keeps what it has compiled
RECORDS_PER_READ = 1_000  # 2 KB each; and some 30 ms, after which a Snapshot may be due
NICE = 10
LOOK_S = 0.5  # between two looks at the interfaces: at each reading it was a seventh of what httptop costs
FAST_PATH = "http_fast.c"  # the part that may come later, or not at all
PACKETS, TCX = "packets ", "tcx "  # what the child (loader.py) calls what shows packets, and the interface
COMPILED, STANDBY = "fast path", "standby"  # and what comes later

_PACKAGE = Path(__file__).resolve().parent.parent
_ROW_BYTES = COUNTERS * 8


def bpf_directory() -> Path:
    """Where the BPF sources are: in the installed package, or beside it in a checkout."""
    installed = _PACKAGE / "bpf"
    return installed if installed.is_dir() else _PACKAGE.parent / "bpf"


def _named(prefix: str, fds: dict[str, list[int]]) -> dict[str, list[int]]:
    """Those whose names begin with `prefix`, by the rest, taken out."""
    return {name[len(prefix) :]: fds.pop(name) for name in list(fds) if name.startswith(prefix)}


class LiveSource:
    """HTTP on network interfaces of this host, from the kernel."""

    epoch_offset_ns = 0

    def __init__(self, names: tuple[str, ...], ports: frozenset[int] = frozenset(), *, ring_bytes: int = RING_BYTES,
                 before_drop: Callable[[], object] = lambda: None, keep_root: bool = False,
                 namespace: str | None = None, sources: frozenset[How] = SOURCES, fast_path: bool = True) -> None:
        self.info = SourceInfo("live", names)
        self.cache = CACHE
        self.patient = False  # to wait for interfaces that are gone, in place of an HttptopError
        self.eager = False  # to be open as soon as can be, with the fast path still to come
        self.tcx = True  # where the kernel has it; else packet sockets
        self._around = Around(names)
        self.missing: tuple[str, ...] = ()  # parts of the kernel side that this kernel cannot run
        self._ports = ports
        self._ring_bytes = ring_bytes
        self._before_drop = before_drop
        self._keep_root = keep_root
        self._namespace = namespace
        self._sources = sources
        self._fast_path = fast_path
        self.board: Board | None = None
        self._attribution: Attribution | None = None
        self._meter = system.SelfMeter()
        self._fds: dict[str, list[int]] = {}
        self._taps = Taps((), {}, {})
        self._child: Child | None = None
        self._to_come: list[str] = []  # of the child, in this order
        self._ring: RingBuffer | None = None
        self._counters: mmap.mmap | None = None
        self._accepts: list[PerfRing] = []
        self._pace = Pace()
        self._accepts_before = 0
        self._look_s = 0.0

    def begin(self) -> None:
        """Start the child already: it compiles while the caller does something else."""
        if os.geteuid() == 0 and self._child is None:
            with contextlib.suppress(OSError), netns.inside(self._namespace):
                self._child = self._spawn(child.pythons()[0])

    def open(self) -> None:
        """Attach; MissingFeatureError or HttptopError when that cannot be.

        The calling thread, which must be the one that reads, stays in the namespace.
        """
        preflight.require_privileges()
        if self._namespace is not None:
            self._move(self._namespace)
        interfaces.require(self.info.interfaces)
        self._load()
        self._map()
        self.epoch_offset_ns = time.time_ns() - time.monotonic_ns()
        system.containers.learn()
        if self._attribution is not None and How.SOCK_DIAG in self._sources:
            self._attribution.seed()
        # The watched service comes first: under full load we lose events, which are counted, and it keeps its speed.
        # On Linux this is for the calling thread alone; the screen stays as quick as it was.
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
        self._pace = Pace(self._ring, self.board)
        self._before_drop()
        if not self._keep_root:
            privileges.drop()

    @staticmethod
    def _move(namespace: str) -> None:
        fd = netns.find(namespace)
        try:
            netns.enter(fd)
        finally:
            os.close(fd)

    def owner(self, flow: bytes, end: int) -> bytes:
        """`struct owner` of an endpoint as it is known now."""
        return self._attribution.find(flow, end) if self._attribution is not None else NO_OWNER

    def read(self, timeout_s: float) -> Batch:
        """Nap, then drain. Shorter naps while there is much to read: the ring must not fill up meanwhile."""
        if self._taps:
            self._pace.nap(timeout_s)
            self._look_around()
        batch = self._drain(whole=False)
        self._pace.has_read(len(batch.records) + len(batch.accepts))
        return batch

    def look(self) -> Batch:
        """At once, with what the kernel holds."""
        return self._drain()

    def finish(self) -> Batch:
        """Detach; from now on every Batch that is read is one of what is left, and the counters are final."""
        self._taps.close()
        return self._drain()

    def cost(self) -> SelfCost:
        """What this process costs."""
        counters = self._read_counters()
        entries = counters[Counter.OWNERS_NEW] - counters[Counter.OWNERS_GONE]
        if self._attribution is not None:
            entries += self._attribution.seeded
        run_ns, measured = maps.run_statistics(self._fds["program"][0])
        return self._meter.read()._replace(bpf_runs=counters[Counter.PACKETS],
                       bpf_ns_per_run=run_ns / measured if measured else None,
                       owners=min(max(entries, 0), OWNERS), owners_max=OWNERS, owners_written=counters[Counter.OWNERS])

    def abort(self) -> None:
        """End an `open` that is under way in another thread: it fails, and cleans up."""
        loader = self._child
        if loader is not None:
            loader.kill()

    def close(self) -> None:
        """Let go of everything; the kernel then frees its side."""
        self._end_child(wait_s=0.0)
        self._taps.close()
        for ring in (self._ring, self._counters, self.board, *self._accepts):
            if ring is not None:
                ring.close()
        self._ring = self._counters = self.board = None
        self._accepts = []
        if self._attribution is not None:
            self._attribution.close()
            self._attribution = None
        for fd in [fd for fds in self._fds.values() for fd in fds]:
            os.close(fd)
        self._fds = {}

    def _load(self) -> None:
        for python in child.pythons():
            what, do = self._ask(python)
            if not what:
                return
            if not what.startswith(child.ABSENT):
                raise MissingFeatureError(f"cannot attach to the kernel: {what}", do or "run: httptop --check")
        raise child.without_bcc()

    def _ask(self, python: str) -> tuple[str, str]:
        """What went wrong in the child that runs in `python`, and what to do; empty: nothing."""
        answer: dict[str, Any] = {}
        try:
            if self._child is None:
                self._child = self._spawn(python)
            answer, self._fds = self._child.answer()
        except OSError as error:
            answer = {"error": (f"ImportError: {error}", "")}
        finally:
            self._to_come = answer.get("later", [])
            if not self._to_come:
                self._end_child()
        self.missing = tuple(answer.get("missing", ()))
        what, do = answer.get("error", ("", ""))
        return what, do

    def _spawn(self, python: str) -> Child:
        return Child(python, {
            "bpf": str(bpf_directory()), "cache": self.cache,
            "interfaces": [(name, name == "lo") for name in self.info.interfaces],
            "ports": sorted(self._ports), "ring_bytes": self._ring_bytes, "flows": FLOWS, "owners": OWNERS,
            "accept_pages": ACCEPT_PAGES, "fast_path": self._fast_path and preflight.has_fast_path(os.uname().release),
            "eager": self.eager, "tcx": self.tcx,
            "constants": {**btf.constants(), "SOURCES": sum(1 << how for how in self._sources)},
        })

    def _end_child(self, wait_s: float = child.EXIT_S) -> None:
        loader, self._child = self._child, None
        if loader is not None:
            loader.end(wait_s)

    def _hear_child(self) -> None:
        """Whether there is a fast path after all, and sockets for interfaces that will have gone and come back."""
        told = self._child.later() if self._child is not None else None
        if told is None:
            return
        answer, fds = told
        if self._to_come.pop(0) == COMPILED:
            self.missing = tuple(answer.get("missing", (FAST_PATH,)))  # it died without a word
            self.info = self.info._replace(slow=FAST_PATH in self.missing)
        self._taps.add({name: fd for name, [fd] in _named(PACKETS, fds).items()})
        self._fds.setdefault("programs", []).extend(fds.get("programs", ()))
        if not (answer and self._to_come):
            self._end_child()

    def _map(self) -> None:
        sockets = {name: fd for name, [fd] in _named(PACKETS, self._fds).items()}
        self._taps = Taps(self.info.interfaces, sockets, _named(TCX, self._fds))
        self._ring = RingBuffer(self._fds["heads"][0], self._ring_bytes)
        self._attribution = Attribution(self._fds["owners"][0])
        size = -(-_ROW_BYTES * os.sysconf("SC_NPROCESSORS_CONF") // mmap.PAGESIZE) * mmap.PAGESIZE
        self._counters = mmap.mmap(self._fds["counters"][0], size, mmap.MAP_SHARED, mmap.PROT_READ)
        if all(name in self._fds for name in SIZES):
            self.board = Board({name: self._fds[name][0] for name in SIZES})
        self.info = self.info._replace(slow=self._fast_path and self.board is None)
        self._accepts = [PerfRing(fd, ACCEPT_PAGES) for fd in self._fds.get("accepted", ())]
        # The tracepoints run a moment before their rings are there: those accepts are not of our time.
        self._accepts_before = self._read_counters()[Counter.LOST_ACCEPT]

    def _drain(self, most: int = RECORDS_PER_READ, *, whole: bool = True) -> Batch:
        # Counters first: what comes meanwhile is then a message more than they say, and not one that seems lost.
        counters = self._read_counters()
        accepts = [accept for ring in self._accepts for accept in ring.drain()]
        records = self._ring.drain(most) if self._ring else []
        board = self.board
        # Held before counted: what is answered in between is in both for a moment, and does not seem lost.
        held = board.held() if board is not None and whole else None
        counted = board.counted() if board is not None and self._pace.counts_are_due(whole=whole) else None
        return Batch(records, accepts, counters, time.monotonic_ns(), counted=counted, held=held)

    def _read_counters(self) -> tuple[int, ...]:
        if self._counters is None:
            return (0,) * COUNTERS
        with memoryview(self._counters) as raw, raw.cast("Q") as words:
            counters = [sum(words[i::COUNTERS]) for i in range(COUNTERS)]
        counters[Counter.LOST_ACCEPT] -= self._accepts_before
        return tuple(counters)

    def _look_around(self) -> None:
        self._hear_child()
        now_s = time.monotonic()
        if now_s < self._look_s:
            return
        self._look_s = now_s + LOOK_S
        gone = self._taps.look()
        if gone == self.info.interfaces and not self.patient:
            raise HttptopError(f"interface {', '.join(gone)} has vanished",
                               "start again when it is back, or use -i any")
        if self._around.look(now_s) or gone != self.info.gone:
            self.info = self.info._replace(gone=gone, busy=self._around.busy, listening=self._around.listening)
