"""Where the filter stands: on tcx or in a packet socket, also when its interface has gone and come back."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Iterator

import pytest

from httptop.capture import bytecode, live
from httptop.capture.live import LiveSource
from httptop.records import Counter
from tests.support import bpf, tcp
from tests.support.counters import empty_tc, on_tcx, tcx_programs
from tests.support.kernel import Kernel
from tests.support.loader import place
from tests.support.net import TUN, Namespace, Site, ip, join, namespace, site, tun
from tests.support.poll import until
from tests.support.scenes import GET, OK, SCENES, Scene

NEXT = 0xFFFFFFFF  # TCX_NEXT, -1
NOW = "6.18.1"


def best(where: Namespace, name: str, release: str = NOW) -> int:
    """The place for an interface of a namespace."""
    with where.entered():
        return place.best(name, release)


def test_best_place() -> None:
    """Tcx where packets begin with Ethernet; a socket for all interfaces, bridges, other links and older kernels."""
    with namespace() as where, tun(where):
        ip("-n", where.name, "link", "add", "bridge0", "type", "bridge")
        found = [best(where, name) for name in ("lo", TUN, "any", "bridge0")]
        older = [best(where, "lo", release) for release in ("6.5.0-15-generic", "5.15.0", "6.6-rc1", "10.0")]
    with site() as wire:
        assert best(wire.server, wire.interface) == place.TCX
    assert found == [place.TCX, place.SOCKET, place.SOCKET, place.SOCKET]
    assert older == [place.SOCKET, place.SOCKET, place.TCX, place.TCX]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_verdict(loaded: Kernel, scene: Scene) -> None:
    """Every packet is left to others on tcx, and none is kept in a packet socket."""
    loaded.forget()
    kind, _ = struct.unpack_from("=II", bpf.info(loaded.program))
    assert {bpf.run(loaded.program, frame) for frame in scene()} == {NEXT if kind == bytecode.SCHED_CLS else 0}


def ask(wire: Site) -> None:
    """One exchange over the cable."""
    with tcp.conversation(wire.server, wire.client, wire.server4) as (client, server):
        tcp.send_segments(client, GET)
        tcp.receive(server, len(GET))
        tcp.send_segments(server, OK)
        tcp.receive(client, len(OK))


def reading(source: LiveSource, enough: Callable[[tuple[int, ...]], bool], what: str) -> None:
    """Read until the counters are `enough`."""
    until(lambda: enough(source.read(0.0).counters), what)


@contextlib.contextmanager
def watched(wire: Site, *, tcx: bool = True) -> Iterator[LiveSource]:
    """The server's end of the cable."""
    with wire.server.entered(), contextlib.closing(LiveSource((wire.interface,), keep_root=True)) as source:
        source.tcx, source.patient = tcx, True
        source.open()
        yield source


def on_the_cable(wire: Site, interface: str = "") -> list[list[int]]:
    """Ids of the programs on the server's end, by way."""
    return [tcx_programs(wire.server, interface or wire.interface, way) for way in ("ingress", "egress")]


def test_before_others(wire: Site) -> None:
    """One program each way, before those whose verdict would end the walk. It ends with whoever has it."""
    with empty_tc() as (fd, other), on_tcx(wire.server, wire.interface, "ingress", fd):
        with watched(wire) as source:
            _, number = struct.unpack_from("=II", bpf.info(source._fds["program"][0]))
            assert on_the_cable(wire) == [[number, other], [number]]
        assert on_the_cable(wire) == [[other], []]


def test_interface_of_another_name() -> None:
    """It is watched no more; who takes its name is."""
    with site() as wire, watched(wire) as source:
        until(lambda: source.read(0.0) is not None and not source._to_come, "what is to come later")
        ip("-n", wire.server.name, "link", "set", wire.interface, "down", "name", "renamed")
        reading(source, lambda _: source.info.gone == (wire.interface,), "it to be gone")
        assert on_the_cable(wire, "renamed") == [[], []]
        ip("-n", wire.server.name, "link", "add", wire.interface, "type", "bridge")
        reading(source, lambda _: not source.info.gone, "it to be back")


@pytest.mark.parametrize("tcx", [True, False])
def test_interface_that_moves_away_and_back(tcx: bool) -> None:
    """It is watched as long as it is here, though it keeps its number."""
    with site() as wire, namespace() as other, watched(wire, tcx=tcx) as source:
        until(lambda: source.read(0.0) is not None and not source._to_come, "what is to come later")
        ip("-n", wire.server.name, "link", "set", wire.interface, "netns", other.name)
        reading(source, lambda _: source.info.gone == (wire.interface,), "it to be gone")
        assert tcx_programs(other, wire.interface, "ingress") == []
        ip("-n", other.name, "link", "set", wire.interface, "netns", wire.server.name)
        ip("-n", wire.server.name, "link", "set", wire.interface, "up")
        ip("-n", wire.server.name, "addr", "add", f"{wire.server4}/30", "dev", wire.interface)
        reading(source, lambda _: not source.info.gone, "it to be back")
        ask(wire)
        reading(source, lambda counters: counters[Counter.C2XX] == 1, "an exchange")


@pytest.mark.parametrize("tcx", [True, False])
def test_interface_that_comes_back(tcx: bool) -> None:
    """It is watched again, as another one of its name, by a packet socket: that takes no privilege."""
    with site() as wire, watched(wire, tcx=tcx) as source:
        until(lambda: source.read(0.0) is not None and not source._to_come, "what is to come later")
        ask(wire)
        reading(source, lambda counters: counters[Counter.C2XX] == 1, "an exchange")
        ip("-n", wire.client.name, "link", "del", wire.interface)
        reading(source, lambda _: source.info.gone == (wire.interface,), "it to be gone")
        join(wire)
        reading(source, lambda _: not source.info.gone, "it to be back")
        ask(wire)
        reading(source, lambda counters: counters[Counter.C2XX] == 2, "one more exchange")


def test_socket_that_never_came() -> None:
    """If the child that makes it died, the interface stays gone: nobody is to believe that it is quiet."""
    with site() as wire, watched(wire) as source:
        assert source._to_come == [live.STANDBY]
        source.abort()
        until(lambda: source.read(0.0) is not None and not source._to_come, "it to be missed")
        assert source.missing == ()
        ip("-n", wire.client.name, "link", "del", wire.interface)
        join(wire)
        reading(source, lambda _: source.info.gone == (wire.interface,), "it to be gone")
