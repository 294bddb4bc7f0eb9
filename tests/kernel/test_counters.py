"""What tcx, tc and XDP count, live over veth: exactly what was sent, and they leave every packet as it is."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Iterable

import pytest

from httptop.capture.heads import classify
from httptop.capture.live import LiveSource
from httptop.capture.packet import Segment, walk
from httptop.records import METHODS, Counter
from tests.support import frames, tcp
from tests.support.counters import Host, host
from tests.support.net import TUN, Namespace, Site, ip, site, tun
from tests.support.scenes import GET, OK, SCENES

HOOKS = ("tcx", "tc", "xdp")
MESSAGES = Counter.NO_CLASS + 1
MTU = 1500
ETH_P_ALL, SO_RCVBUFFORCE = 3, 33

REQUESTS = {method: times for times, method in enumerate((*METHODS, "PROPFIND"), 2)}
RESPONSES = {status: times for times, status in enumerate(("100", "204", "302", "404", "500", "999"), 3)}
IN_REQUESTS = (*(REQUESTS[name] for name in METHODS), REQUESTS["PROPFIND"], *(0,) * len(RESPONSES))
IN_RESPONSES = (*(0,) * len(REQUESTS), *RESPONSES.values())
BOTH = tuple(map(sum, zip(IN_REQUESTS, IN_RESPONSES, strict=True)))


def talk(server: Namespace, client: Namespace, address: str) -> None:
    """Each message of the plan, one segment each."""
    with tcp.conversation(server, client, address) as (asking, answering):
        for method, times in REQUESTS.items():
            tcp.send_segments(asking, *[f"{method} /x HTTP/1.1\r\nHost: h\r\n\r\n".encode()] * times)
        for status, times in RESPONSES.items():
            tcp.send_segments(answering, *[f"HTTP/1.1 {status} Word\r\n\r\n".encode()] * times)


def per_packet(sent: Iterable[bytes]) -> tuple[int, ...]:
    """What the plain-Python walk and classification say of each frame alone."""
    found = [0] * MESSAGES
    for frame in sent:
        segment = walk(frame[12] << 8 | frame[13], frame[14:], len(frame) - 14)
        if isinstance(segment, Segment) and segment.available > 0:
            _, counter = classify(frame[14 + segment.offset:][:segment.available])
            if counter is not None:
                found[counter] += 1
    return tuple(found)


def send(where: Host, sent: Iterable[bytes]) -> None:
    """Raw frames out of veth0."""
    with where.where.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind(("veth0", 0))
        for frame in sent:
            sender.send(frame)


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("version", [4, 6])
def test_exact_counts(wire: Site, here: Host, hook: str, version: int) -> None:
    """Every method and status class, as often as it was sent, in the direction in which it went."""
    with here.counting("veth0", hook) as said:
        assert ("ingress and egress" if hook != "xdp" else "native XDP, ingress only") in said
        talk(wire.server, wire.client, getattr(wire, f"server{version}"))
        here.reaches("veth0", IN_REQUESTS)
        if hook != "xdp":
            here.reaches("veth0", IN_RESPONSES, "egress")
        else:
            assert list(here.shown("veth0")["counts"]) == ["ingress"]
        talk(wire.client, wire.server, getattr(wire, f"client{version}"))
        here.reaches("veth0", BOTH)
        if hook != "xdp":
            here.reaches("veth0", BOTH, "egress")


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("vlans", [((0x8100, 7),), ((0x88A8, 7), (0x8100, 8))])
def test_vlan(wire: Site, here: Host, hook: str, vlans: tuple[tuple[int, int], ...]) -> None:
    """One and two VLAN tags, IPv4 and IPv6, coming in and, for tcx and tc, going out."""
    sent = []
    for v6, payload in itertools.product((False, True), (GET, OK, b"PATCH /x HTTP/1.1\r\n\r\n")):
        one = frames.Talk(v6=v6)
        sent.append(frames.ethernet(frames.ETH_IP6 if v6 else frames.ETH_IP4,
                                    one.packet(0, one.segment(0, payload)), vlans))
    expected = per_packet(sent)
    assert (expected[Counter.GET], expected[Counter.PATCH], expected[Counter.C2XX]) == (2, 2, 2)
    with here.counting("veth0", hook):
        send(here.also(wire.client), sent)
        here.reaches("veth0", expected)
        if hook != "xdp":
            send(here, sent)
            here.reaches("veth0", expected, "egress")


@pytest.mark.parametrize(("hook", "mtu", "mode"),
                         [("tcx", 4000, None), ("tc", 4000, None), ("xdp", MTU, "native"), ("xdp", 4000, "generic")])
def test_same_as_the_specification(hook: str, mtu: int, mode: str | None) -> None:
    """All hand-made frames of the filter's tests, right and wrong ones, give what each says on its own."""
    with site() as wire, host(wire.server) as here:
        for end in (wire.server, wire.client):
            ip("-n", end.name, "link", "set", "veth0", "mtu", str(mtu))
        with here.counting("veth0", hook):
            assert here.shown("veth0")["mode"] == mode
            sent = [frame for scene in SCENES for frame in scene() if len(frame) <= mtu + 14]
            if hook != "xdp":  # the kernel has taken the outer VLAN tag off
                sent = [frame for frame in sent if frame[20:22] != b"\x81\x00"]
            send(here.also(wire.client), sent)
            here.reaches("veth0", per_packet(sent))


@pytest.mark.parametrize("hook", HOOKS)
def test_agrees_with_the_socket_filter(wire: Site, here: Host, hook: str) -> None:
    """On the same traffic at the same time, messages are the same; but for XDP, which sees one way, packets too."""
    source = LiveSource(("veth0",), keep_root=True)
    opener = threading.Thread(target=wire.server.entered()(source.open))  # opening lowers a thread's priority for good
    opener.start()
    opener.join()
    try:
        with here.counting("veth0", hook):
            before = source._drain().counters
            since = sum(counts["packets"] for counts in here.shown("veth0")["counts"].values())
            talk(wire.server, wire.client, wire.server4)
            talk(wire.client, wire.server, wire.client6)
            here.reaches("veth0", BOTH)
            gained = tuple(now - then for now, then in zip(source._drain().counters, before, strict=True))
            assert gained[:MESSAGES] == tuple(2 * count for count in BOTH)  # in and out
            if hook != "xdp":
                assert here.messages("veth0", "egress") == BOTH
                packets = sum(counts["packets"] for counts in here.shown("veth0")["counts"].values())
                assert abs(packets - since - gained[Counter.PACKETS]) <= 4  # what came between two readings
    finally:
        source.close()


@pytest.mark.parametrize("hook", HOOKS)
def test_packets_pass_untouched(wire: Site, here: Host, hook: str) -> None:
    """Frames arrive byte for byte, in and out, and so does a megabyte of TCP each way."""
    sent = [frame for scene in SCENES[:8] for frame in scene() if len(frame) <= MTU + 14]
    ends = (here.also(wire.client), here)
    data = bytes(range(251)) * 4200
    with here.counting("veth0", hook):
        for sender, receiver in (ends, ends[::-1]):
            with receiver.where.socket(socket.AF_PACKET, socket.SOCK_RAW) as sniffer:
                sniffer.bind(("veth0", ETH_P_ALL))
                sniffer.settimeout(10)
                sniffer.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
                send(sender, sent)
                got = [frame for frame in iter(lambda: sniffer.recv(1 << 16), sent[-1])
                       if frame[:12] == bytes(12)]
            assert [*got, sent[-1]] == sent
        with tcp.conversation(wire.server, wire.client, wire.server4) as (client, server):
            for one, other in ((client, server), (server, client)):
                thread = threading.Thread(target=one.sendall, args=(data,))
                thread.start()
                assert tcp.receive(other, len(data)) == data
                thread.join()


@pytest.mark.parametrize("hook", HOOKS)
def test_no_state_of_flows(wire: Site, here: Host, hook: str) -> None:
    """As documented: a retransmission counts again; a message that is split, or begins within a packet, does not."""
    one = frames.Talk()
    first = one.frame(0, GET, seq=5000)
    sent = [first, first, *one.client(GET + GET), *one.server(b"HTTP/1.", b"1 200 OK\r\n\r\n")]
    with here.counting("veth0", hook):
        send(here.also(wire.client), sent)
        here.reaches("veth0", (3, *(0,) * (MESSAGES - 1)))


def test_loopback_in_both_directions(wire: Site, here: Host) -> None:
    """As documented: what goes over lo goes out and comes in, and tcx and tc count both; generic XDP what comes in."""
    for hook, ways in (("tcx", ("ingress", "egress")), ("tc", ("ingress", "egress")), ("xdp", ("ingress",))):
        with here.counting("lo", hook) as said:
            assert hook != "xdp" or "generic XDP" in said
            talk(wire.server, wire.server, "127.0.0.1")
            for way in ways:
                here.reaches("lo", BOTH, way)


def test_interface_without_ethernet(here: Host) -> None:
    """On tun, where packets begin with IP, tcx and tc count and XDP is refused with a way out."""
    with tun(here.where) as device, here.where.entered():
        code, complaint = here.refused("start", "-i", TUN, "--hook", "xdp")
        assert (code, "--hook tcx" in complaint) == (1, True)
        for hook in ("tcx", "tc"):
            with here.counting(TUN, hook):
                for one in (frames.Talk(), frames.Talk(v6=True)):
                    device.writelines(one.packet(0, one.segment(0, payload)) for payload in (GET, OK))
                here.reaches(TUN, per_packet([*frames.Talk().client(GET, GET, OK, OK)]))
