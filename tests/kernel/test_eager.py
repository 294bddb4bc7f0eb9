"""The first start of a screen, which has to compile: open before the fast path is there, it loses nothing by that."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from httptop import worker
from httptop.capture import live
from httptop.capture.child import Child
from httptop.capture.live import NICE, LiveSource
from httptop.capture.system import identify
from httptop.engine import Engine
from httptop.records import Batch
from httptop.snapshot import Snapshot
from tests.support import bpf, load
from tests.support.net import Namespace, ip, join, namespace, site
from tests.support.nginx import nginx
from tests.support.poll import PATIENCE_S, until
from tests.support.program import compiler_held, taps

ADDRESS = "127.0.0.1"


@contextlib.contextmanager
def eager(cache: Path) -> Iterator[LiveSource]:
    """Open, on lo of the calling thread's namespace."""
    with contextlib.closing(LiveSource(("lo",), keep_root=True)) as source:
        source.cache, source.eager = str(cache), True
        source.open()
        yield source


class Held(NamedTuple):
    """Open, while the compiler of the fast path stands still."""

    source: LiveSource
    loader: psutil.Process
    compiler: psutil.Process


@contextlib.contextmanager
def held(cache: Path) -> Iterator[Held]:
    """As `eager`."""
    with contextlib.closing(LiveSource(("lo",), keep_root=True)) as source:
        source.cache, source.eager = str(cache), True
        source.begin()
        assert source._child is not None
        loader = psutil.Process(source._child._process.pid)
        with compiler_held(loader.pid) as compiler:
            source.open()
            yield Held(source, loader, compiler)


def pending(source: LiveSource) -> bool:
    """Whether the fast path is yet to come."""
    return source._child is not None


def programs(source: LiveSource) -> set[str]:
    """Names of all that run with the maps of the filter."""
    maps = set().union(*(bpf.maps_of(program) for program in bpf.fd_objects(fds=source._fds["program"])))
    return {bpf.name(program) for program in bpf.objects("prog") if bpf.maps_of(program) & maps}


class Watch:
    """Traffic that is watched: connections that come and go, and one that stays."""

    def __init__(self, where: Namespace, port: int, source: LiveSource) -> None:
        self.where, self.port, self.source, self.asked = where, port, source, 0
        self.engine = Engine(source.info, source.epoch_offset_ns, identify, source.owner, board=source.board)
        self.stays = http.client.HTTPConnection(ADDRESS, port)

    def finish(self) -> Snapshot:
        """The last one."""
        self.stays.close()
        return worker.finish(self.source, self.engine)

    def until(self, enough: Callable[[Batch], bool]) -> None:
        """Ask and look, until `enough` holds for what was seen."""
        end_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < end_s:
            load.hammer(self.where, ADDRESS, self.port, 39, 4)
            self.stays.request("GET", "/ok")
            self.stays.getresponse().read()
            self.asked += 40
            self.engine.feed(self.source.read(0.0))
            batch = self.source.look()
            self.engine.feed(batch)
            if enough(batch):
                return
        pytest.fail(f"not enough was seen of {self.asked} requests")


def test_what_comes_later(tmp_path: Path) -> None:
    """All is counted, whether by one path or by the other."""
    with (namespace() as where, nginx(tmp_path, where) as web, where.entered(),
          held(tmp_path / "cache") as (source, _, compiler)):
        assert "http_fast" not in programs(source)
        watch = Watch(where, web.port, source)
        watch.until(lambda _: watch.asked >= 200)
        assert pending(source)
        compiler.resume()
        watch.until(lambda _: not pending(source))
        assert "http_fast" in programs(source)
        watch.until(lambda batch: bool(batch.counted))
        snapshot = watch.finish()
    assert source.missing == ()
    assert not source.info.slow
    assert snapshot.totals.requests == snapshot.totals.responses == watch.asked
    assert sum(cell.responses for cell in snapshot.cells if cell.path == "/ok") == watch.asked
    assert not snapshot.lost
    assert not snapshot.in_flight_total


def test_the_child_meanwhile(tmp_path: Path) -> None:
    """It has nothing attached, so that all ends with who watches; and the watched service comes first."""
    with namespace() as where, where.entered(), held(tmp_path / "cache") as (_, loader, _):
        until(lambda: loader.nice() == NICE, "it to go on")
        assert not [kind for kind in open_files(loader.pid) if kind.endswith(("[perf_event]", "bpf_link"))]
        assert not taps(loader.pid)


def test_where_much_would_be_lost_it_waits(tmp_path: Path) -> None:
    """More packets than can be HTTP that is read one by one: it is open when the fast path is there."""
    with namespace() as where, flooded(where), where.entered(), eager(tmp_path / "cache") as source:
        assert not pending(source)
        assert "http_fast" in programs(source)
        assert source.missing == ()


@contextlib.contextmanager
def flooded(where: Namespace) -> Iterator[None]:
    """As many datagrams on lo as can be."""
    flood = f"import socket\ns = socket.socket(type=socket.SOCK_DGRAM)\nwhile True: s.sendto(b'', ('{ADDRESS}', 9))"
    process = subprocess.Popen(where.command(sys.executable, "-c", flood))
    try:
        yield
    finally:
        process.kill()
        process.wait()


def open_files(pid: int) -> list[str]:
    """What kinds they are of."""
    return [str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()]


def test_the_next_one_has_it_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What came later is kept as well, also when nobody waits for it any more: who has given up root cannot end it."""
    monkeypatch.setattr(Child, "kill", lambda _: False)
    with namespace() as where, where.entered():
        with eager(tmp_path / "cache") as source:
            child = source._child
            assert child is not None
        assert child._process.wait(60) == 0
        assert list((tmp_path / "cache").iterdir())
        with eager(tmp_path / "cache") as source:
            assert not pending(source)
            assert "http_fast" in programs(source)


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler that does not take the fast path."""
    bpf_directory = tmp_path / "bpf"
    shutil.copytree(live.bpf_directory(), bpf_directory)
    tracks = bpf_directory / "tracks.c"
    tracks.write_text("#error not this compiler\n" + tracks.read_text())
    monkeypatch.setattr(live, "bpf_directory", lambda: bpf_directory)


@pytest.mark.usefixtures("refused")
def test_interface_that_comes_back_without_a_fast_path(tmp_path: Path) -> None:
    """A packet socket is ready for it all the same."""
    with site() as wire, wire.server.entered(), contextlib.closing(
            LiveSource((wire.interface,), keep_root=True)) as source:
        source.cache, source.patient = str(tmp_path / "cache"), True
        source.open()
        assert "http_fast.c" in source.missing
        until(lambda: source.read(0.0) is not None and not source._to_come, "what is to come later")
        ip("-n", wire.client.name, "link", "del", wire.interface)
        until(lambda: source.read(0.0) is not None and source.info.gone, "it to be gone")
        join(wire)
        until(lambda: source.read(0.0) is not None and not source.info.gone, "it to be back")


@pytest.mark.usefixtures("refused")
def test_what_never_comes(tmp_path: Path) -> None:
    """Without a fast path all is seen, and it is said that there is none."""
    with namespace() as where, nginx(tmp_path, where) as web, where.entered(), eager(tmp_path / "cache") as source:
        assert not source.info.slow
        watch = Watch(where, web.port, source)
        watch.until(lambda _: not pending(source))
        assert "http_fast.c" in source.missing
        assert source.info.slow
        watch.until(lambda _: True)
        snapshot = watch.finish()
    assert snapshot.totals.requests == snapshot.totals.responses == watch.asked
    assert not snapshot.lost


def test_the_compiler_dies(tmp_path: Path) -> None:
    """As if it had said that there is no fast path."""
    with namespace() as where, where.entered(), held(tmp_path / "cache") as (source, _, compiler):
        assert pending(source)
        source.abort()
        compiler.resume()
        until(lambda: source.read(0.0) is not None and not pending(source), "it to be missed")
        assert source.info.slow
