"""Real packets on real interfaces: the records are those that the specification makes of what a sniffer saw.

The sniffer is a second packet socket on the same interface, so both see the same packets, super-packets included.
"""

from __future__ import annotations

import contextlib
import socket
from collections import Counter as Tally
from collections.abc import Iterator

import pytest

from httptop.capture.live import LiveSource
from httptop.capture.walk import Tap
from httptop.records import Counter, Record
from tests.support import frames, tcp
from tests.support.kernel import OF_THE_FILTER, PLACES, bare
from tests.support.net import TUN, Site, ip, site, tun
from tests.support.poll import until
from tests.support.scenes import GET, METHODS, OK, SCENES, Scene, broken

BIG = 60_000
SO_RCVBUFFORCE, ETH_P_ALL = 33, 3
ETHERNET_HEADER = 14
IN_FLIGHT = 100  # a busy CPU drops packets when 1000 wait (net.core.netdev_max_backlog)


class Watch:
    """One interface of the server's namespace, seen by httptop's kernel side and by a sniffer."""

    def __init__(self, source: LiveSource, sniffer: socket.socket, interface: str) -> None:
        self._source, self._sniffer, self._skip_outgoing = source, sniffer, interface == "lo"
        self._begins = 0 if interface == TUN else ETHERNET_HEADER
        self._tap = Tap()
        self._expected: list[Record] = []
        self._records: list[Record] = []
        self._offset = (0,) * len(self._tap.counters)  # what one of both has counted before the other was there
        until(self._align, "a moment without packets")

    def _align(self) -> bool:
        self._sniff()
        kernel = self._source._drain().counters
        aligned = self._sniff() == 0
        self._offset = tuple(now - tap for now, tap in zip(kernel, self._tap.counters, strict=True))
        self._start_again()
        return aligned

    def _start_again(self) -> None:
        self._expected.clear()
        self._records.clear()
        self._before = tuple(self._tap.counters)

    def _sniff(self) -> int:
        packets = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                frame, (_, ethertype, direction, *_) = self._sniffer.recvfrom(1 << 17)
                if not (self._skip_outgoing and direction == socket.PACKET_OUTGOING):
                    packets += 1
                    at = self._begins
                    ethertype = int.from_bytes(frame[at - 2:at], "big") or ethertype
                    self._expected += map(bare, self._tap.packet(0, ethertype, frame[at:], len(frame) - at))
        return packets

    def settled(self) -> bool:
        """Whether both have seen the same number of packets, and no more are coming."""
        packets = self._sniff()
        batch = self._source._drain()
        self._records += map(bare, batch.records)
        self._counters = tuple(now - then for now, then in zip(batch.counters, self._offset, strict=True))
        return not packets and self._counters[Counter.PACKETS] == self._tap.counters[Counter.PACKETS]

    def gained(self) -> tuple[int, ...]:
        """What each counter has gained since the last check."""
        self._sniff()
        return tuple(now - then for now, then in zip(self._tap.counters, self._before, strict=True))

    def check(self, requests: int = 0, responses: int = 0) -> tuple[int, ...]:
        """Both have seen the same, with at least so many heads in it; what each counter gained.

        Two CPUs may see two packets in either order, so that of the records is not compared.
        """
        try:
            until(lambda: heads(self.gained()) >= (requests, responses) and self.settled(), "all to have been seen")
            assert Tally(self._records) == Tally(self._expected)
            for counter in OF_THE_FILTER:
                assert self._counters[counter] == self._tap.counters[counter], counter.name
            return self.gained()
        finally:
            until(self._align, "a moment without packets")


def heads(counters: tuple[int, ...]) -> tuple[int, int]:
    """Candidates for requests and for responses."""
    return sum(counters[:Counter.OTHER + 1]), sum(counters[Counter.C1XX:Counter.NO_CLASS + 1])


@contextlib.contextmanager
def watch(wire: Site, interface: str = "veth0", *, tcx: bool = True) -> Iterator[Watch]:
    """Watch `interface` of the server's namespace."""
    with wire.server.entered():
        sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        source = LiveSource((interface,), keep_root=True)
        source.tcx = tcx
        with contextlib.ExitStack() as undo:
            undo.enter_context(sniffer)
            undo.callback(source.close)
            source.open()
            closing = undo.pop_all()
    with closing:
        sniffer.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        sniffer.setblocking(False)
        sniffer.bind((interface, ETH_P_ALL))
        yield Watch(source, sniffer, interface)


@pytest.fixture(scope="module")
def wire() -> Iterator[Site]:
    """A cable of our own, for frames larger than usual."""
    with site() as here:
        for end in (here.server, here.client):
            ip("-n", end.name, "link", "set", here.interface, "mtu", "4000")
        yield here


@pytest.fixture(scope="module", params=PLACES)
def cable(wire: Site, request: pytest.FixtureRequest) -> Iterator[Watch]:
    """The server's end of the veth pair."""
    with watch(wire, tcx=request.param == "tcx") as here:
        yield here


@pytest.fixture(params=["server4", "server6"])
def address(wire: Site, request: pytest.FixtureRequest) -> str:
    """The server's IPv4 and IPv6 addresses in turn."""
    return str(getattr(wire, request.param))


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_frames_over_a_cable(wire: Site, cable: Watch, scene: Scene) -> None:
    """Hand-made frames through a real interface, which takes the outer VLAN tag off."""
    frames = list(scene())
    with wire.client.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind((wire.interface, 0))
        for at in range(0, len(frames), IN_FLIGHT):
            for frame in frames[at:at + IN_FLIGHT]:
                sender.send(frame)
            # Not their number: the kernel drops a tagged frame with less than two bytes behind its tag.
            until(cable.settled, "both to have seen the frames", every_s=0.002)
    assert cable.check()[Counter.PACKETS] >= len(frames) - 4 * (scene is broken)


def test_methods(wire: Site, cable: Watch, address: str) -> None:
    """Nine methods on one connection, each answered."""
    with tcp.conversation(wire.server, wire.client, address) as (client, server):
        for method in METHODS:
            tcp.send_segments(client, method + b" /x HTTP/1.1\r\n\r\n")
            tcp.send_segments(server, OK)
    assert cable.check(len(METHODS), len(METHODS))[:Counter.OTHER] == (1,) * len(METHODS)


def test_pipelined_in_one_segment(wire: Site, cable: Watch, address: str) -> None:
    """Forty requests in one segment and their answers in one: the kernel counts the first of each."""
    with tcp.conversation(wire.server, wire.client, address) as (client, server):
        tcp.send_segments(client, GET * 40)
        tcp.receive(server, len(GET) * 40)
        tcp.send_segments(server, OK * 40)
        tcp.receive(client, len(OK) * 40)
    assert heads(cable.check(1, 1))[0] == 1


def test_super_packets(wire: Site, cable: Watch, address: str) -> None:
    """60 KB at once go over a veth as a few super-packets; bodies, and requests one behind the other."""
    body = b"POST /big HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % BIG + b"b" * BIG
    requests = GET * (BIG // len(GET))
    with tcp.conversation(wire.server, wire.client, address) as (client, server):
        for message in (body, requests):
            client.sendall(message)
            tcp.receive(server, len(message))
            server.sendall(OK + b"c" * BIG)
            tcp.receive(client, len(OK) + BIG)
    cable.check(2, 2)


@pytest.mark.parametrize(("option", "value"), [
    ("IPV6_HOPOPTS", b"\0\0\1\4\0\0\0\0"), ("IPV6_DSTOPTS", b"\0\0\1\4\0\0\0\0")])
def test_extension_headers(wire: Site, cable: Watch, option: str, value: bytes) -> None:
    """IPv6 with hop-by-hop or destination options on every packet of the client."""
    with tcp.conversation(wire.server, wire.client, wire.server6) as (client, server):
        client.setsockopt(socket.IPPROTO_IPV6, getattr(socket, option), value)
        tcp.send_segments(client, GET)
        tcp.receive(server, len(GET))
        tcp.send_segments(server, OK)
    cable.check(1, 1)


def test_ip_options(wire: Site, cable: Watch) -> None:
    """IPv4 with options on every packet of the client."""
    with tcp.conversation(wire.server, wire.client, wire.server4) as (client, server):
        client.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, b"\1" * 12)
        tcp.send_segments(client, GET)
        tcp.receive(server, len(GET))
        tcp.send_segments(server, OK)
    cable.check(1, 1)


def test_fragments_are_counted(wire: Site, cable: Watch) -> None:
    """A datagram of 9 KB is three fragments, counted and left alone."""
    with wire.client.socket(kind=socket.SOCK_DGRAM) as sender:
        sender.sendto(bytes(9000), (wire.server4, 9))
    until(lambda: cable.gained()[Counter.FRAGMENTS] >= 3, "three fragments")
    assert cable.check()[Counter.FRAGMENTS] == 3


def test_data_on_syn(wire: Site, cable: Watch) -> None:
    """TCP fast open: the request is on the SYN."""
    wire.server.run("sysctl", "-qw", "net.ipv4.tcp_fastopen=519")  # server and client, no cookie asked for
    wire.client.run("sysctl", "-qw", "net.ipv4.tcp_fastopen=519")
    with wire.server.socket() as listener:
        listener.bind((wire.server4, 0))
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 5)
        listener.listen()
        with wire.client.socket() as client:
            client.sendto(GET, socket.MSG_FASTOPEN, listener.getsockname())
            server, _ = listener.accept()
            with server:
                tcp.receive(server, len(GET))
                server.sendall(OK)
                tcp.receive(client, len(OK))
    cable.check(1, 1)


def test_without_link_header(wire: Site) -> None:
    """On tun packets begin with IP."""
    with tun(wire.server) as device, watch(wire, TUN) as seen:
        for one in (frames.Talk(), frames.Talk(v6=True)):
            device.writelines(one.packet(0, one.segment(0, payload)) for payload in (GET, OK))
        seen.check(2, 2)


@pytest.mark.parametrize("place", PLACES)
def test_loopback_once(wire: Site, place: str) -> None:
    """On loopback, where each packet passes twice, each is seen once."""
    with watch(wire, "lo", tcx=place == "tcx") as seen:
        with tcp.conversation(wire.server, wire.server, "::1") as (client, server):
            tcp.send_segments(client, GET)
            tcp.receive(server, len(GET))
            tcp.send_segments(server, OK)
        gained = seen.check(1, 1)
    assert heads(gained) == (1, 1)
    assert gained[Counter.DUPLICATES] == 0
