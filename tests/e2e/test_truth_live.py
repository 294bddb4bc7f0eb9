"""HTTP truth on a live interface: the exchanges that `--log --json` tells are those that were on the wire.

Conversations are played by real sockets where a kernel can produce them, and injected as frames where it cannot. All of
them are played to one run of httptop, which Ctrl-C ends; then each test looks at its own connections.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support import dialogs, tcp
from tests.support.cases import BY_SOCKETS, CASES, play
from tests.support.dialogs import GET, GOT, OK, Case, Script, end_text
from tests.support.logged import Run, log
from tests.support.net import Site, ip, site
from tests.support.poll import PATIENCE_S
from tests.support.program import httptop
from tests.support.reading import Reading, read
from tests.support.said import SocketDialog, SocketScript


def check(run: Run, script: Script) -> None:
    """Each connection of the script has its exchanges, and no others."""
    for number, dialog in enumerate(script.dialogs):
        assert run.rows_of(dialog.ends) == dialog.rows, f"connection {number}: {dialog.ends}"


# -- frames -----------------------------------------------------------------------------------------------------------


def inject(wire: Site, frames: list[bytes]) -> None:
    """Put frames on the cable, in this order: on one CPU, for each has a queue of its own for what veth delivers."""
    home = os.sched_getaffinity(0)
    with wire.client.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind((wire.interface, 0))
        os.sched_setaffinity(0, {min(home)})
        try:
            for frame in frames:
                sender.send(frame)
        finally:
            os.sched_setaffinity(0, home)


@dataclass
class Injected:
    """All cases as frames, what httptop said of them, and what the reference path says of the same frames."""

    scripts: dict[str, Script]
    run: Run
    reference: Reading


@pytest.fixture(scope="module")
def injected() -> Iterator[Injected]:
    """Every case, injected."""
    scripts = {case.__name__: play(case) for case in CASES}
    frames = [frame for script in scripts.values() for frame in script.frames]
    reference = read(frames)
    expected = reference.snapshot().totals
    with site() as wire:
        for end in (wire.server, wire.client):
            ip("-n", end.name, "link", "set", wire.interface, "mtu", "9000")
        with httptop("-i", "veth0", "-b", "--json", "-d", "0.2", where=wire.server) as top:
            top.wait_attached()
            with log(wire.server, "veth0") as run:
                inject(wire, frames)
                top.wait_requests(expected.requests, expected.responses)
            run.snapshot = top.snapshots()[-1]
        yield Injected(scripts, run, reference)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_injected(injected: Injected, case: Case) -> None:
    """What nobody's kernel sends, and all else, frame by frame: exactly the exchanges of each connection."""
    check(injected.run, injected.scripts[case.__name__])


def test_injected_counts(injected: Injected) -> None:
    """Totals, skips and losses of the live run are those of the reference path on the same frames."""
    reference, snapshot = injected.reference.snapshot(), injected.run.snapshot
    assert snapshot["totals"] == {
        "requests": reference.totals.requests, "responses": reference.totals.responses,
        "by_method": dict(reference.totals.by_method), "by_status": dict(reference.totals.by_status)}
    assert {name: snapshot["skipped"][name] for name, _ in reference.skipped} == dict(reference.skipped)
    assert {row["reason"]: row["events"] for row in snapshot["losses"]} == {
        row.reason: row.events for row in reference.losses}
    assert len(injected.run.exchanges) == sum(len(dialog.rows) for script in injected.scripts.values()
                                              for dialog in script.dialogs)


# -- sockets ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def played() -> tuple[dict[str, Script], Run]:
    """Every case that a kernel can produce, by sockets."""
    scripts: dict[str, Script] = {}
    with site() as wire, log(wire.server, "veth0") as run:
        for case in BY_SOCKETS:
            with contextlib.ExitStack() as undo:
                scripts[case.__name__] = script = SocketScript(wire, undo)
                case(script)
    return scripts, run


@pytest.mark.parametrize("case", BY_SOCKETS, ids=lambda case: case.__name__)
def test_played(played: tuple[dict[str, Script], Run], case: Case) -> None:
    """The same between sockets: exactly the exchanges of each connection."""
    scripts, run = played
    check(run, scripts[case.__name__])


def test_played_counts(played: tuple[dict[str, Script], Run]) -> None:
    """Nothing but these exchanges was told."""
    scripts, run = played
    assert len(run.exchanges) == sum(len(dialog.rows) for script in scripts.values() for dialog in script.dialogs)


# -- below TCP --------------------------------------------------------------------------------------------------------

SUPER = 40_000  # a write of this size leaves as one packet or two


OPTIONS6 = b"\0\0\1\4\0\0\0\0"
# Whether IPv6, the level of the client's socket options, and these.
HEADERS: dict[str, tuple[bool, int, dict[int, bytes]]] = {
    "IPv4": (False, 0, {}),
    "IPv6": (True, 0, {}),
    "IPv4 options": (False, socket.IPPROTO_IP, {socket.IP_OPTIONS: b"\1" * 12}),
    "hop-by-hop options": (True, socket.IPPROTO_IPV6, {socket.IPV6_HOPOPTS: OPTIONS6}),
    "destination options": (True, socket.IPPROTO_IPV6, {socket.IPV6_DSTOPTS: OPTIONS6}),
    "both options": (True, socket.IPPROTO_IPV6, {socket.IPV6_HOPOPTS: OPTIONS6, socket.IPV6_DSTOPTS: OPTIONS6}),
}


def kept_alive(script: Script, *, v6: bool) -> None:
    """An exchange in two segments, one that is cut at every third byte, and an upload in super-packets."""
    talk = script.dialog(v6=v6)
    talk.exchange()
    talk.ask(*dialogs.cut(GET, 3))
    talk.answer(*dialogs.cut(OK, 3))
    talk.expect(GOT)
    upload, download = dialogs.post("/big", GET * 7000), dialogs.ok(OK * 7000)
    talk.ask(*dialogs.cut(upload, SUPER))
    talk.answer(*dialogs.cut(download, SUPER))
    talk.expect(("POST", "/big", 200, len(download)))
    talk.exchange()


def fast_open(wire: Site, undo: contextlib.ExitStack) -> Script:
    """The request is on the SYN."""
    for end in (wire.server, wire.client):
        end.run("sysctl", "-qw", "net.ipv4.tcp_fastopen=519")  # server and client, no cookie asked for
    script = Script()
    listener, client = undo.enter_context(wire.server.socket()), undo.enter_context(wire.client.socket())
    listener.bind((wire.server4, 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 5)
    listener.listen()
    client.sendto(GET, socket.MSG_FASTOPEN, listener.getsockname())
    server = undo.enter_context(listener.accept()[0])
    tcp.receive(server, len(GET))
    script.dialogs.append(talk := SocketDialog(script, client, server))
    talk.answer(OK)
    talk.expect(GOT)
    talk.exchange()
    return script


@pytest.fixture(scope="module")
def carried() -> tuple[dict[str, Script], Run]:
    """Kernel-made packets with unusual headers."""
    scripts: dict[str, Script] = {}
    with site() as wire, contextlib.ExitStack() as undo:
        old = SocketScript(wire, undo)
        talk = old.dialog()
        talk.ask(GET, GET[:20])
        talk.answer(OK[:30])
        with httptop("-i", "veth0", "-b", "--json", "-d", "0.2", where=wire.server) as top:
            top.wait_attached()
            with log(wire.server, "veth0") as run:
                talk.answer(OK[30:])
                talk.ask(GET[20:])
                talk.answer(OK)
                talk.expect((None, "", 200, len(OK)))
                talk.exchange()
                scripts["in the middle of a connection"] = old
                for name, (v6, level, options) in HEADERS.items():
                    scripts[name] = SocketScript(wire, undo, level, options)
                    kept_alive(scripts[name], v6=v6)
                scripts["data on the SYN"] = fast_open(wire, undo)
                with wire.client.socket(kind=socket.SOCK_DGRAM) as sender:
                    sender.sendto(GET.ljust(4000), (wire.server4, 9))
                requests = sum(row[0] is not None for script in scripts.values() for dialog in script.dialogs
                               for row in dialog.rows)
                run.snapshot = top.wait_requests(requests)
    return scripts, run


@pytest.mark.parametrize("name", [*HEADERS, "data on the SYN", "in the middle of a connection"])
def test_carried(carried: tuple[dict[str, Script], Run], name: str) -> None:
    """Whatever the headers, and with super-packets of tens of kilobytes: exactly the exchanges."""
    scripts, run = carried
    check(run, scripts[name])


def test_carried_counts(carried: tuple[dict[str, Script], Run]) -> None:
    """Three fragments of a datagram are counted as skipped; one answer had no request; nothing was lost."""
    scripts, run = carried
    assert len(run.exchanges) == sum(len(dialog.rows) for script in scripts.values() for dialog in script.dialogs)
    assert {name: count for name, count in run.snapshot["skipped"].items() if count and name != "duplicates"} == {
        "fragments": 3, "responses_alone": 1}  # a kernel may send again
    assert all(row["events"] == 0 for row in run.snapshot["losses"])
    assert run.snapshot["completeness"] == 1.0


# -- what cannot be read ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def deaf_server(wire: Site) -> Iterator[str]:
    """Accepts, listens for a moment, and answers every client with the same HTTP/1.1, twice; its ADDRESS:PORT."""
    with wire.server.socket() as listener:
        listener.bind((wire.server4, 0))
        listener.listen()

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    end, _ = listener.accept()
                    with end, contextlib.suppress(OSError):
                        end.recv(65536)
                        tcp.send_segments(end, OK, OK)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield end_text(*listener.getsockname())
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def test_tls_and_http2_are_counted(wire: Site) -> None:
    """Flows that begin with a ClientHello or the HTTP/2 preface are counted once each, and nothing of them is read."""
    clients = {"tls_flows": ["--insecure", "https://"], "http2_flows": ["--http2-prior-knowledge", "http://"]}
    with deaf_server(wire) as address, httptop("-i", "veth0", "-b", "--json", "-d", "0.2", where=wire.server) as top:
        top.wait_attached()
        with log(wire.server, "veth0") as run:
            for times, words in enumerate(clients.values(), 2):
                for _ in range(times):
                    command = wire.client.command("curl", "-s", *words[:-1], words[-1] + address)
                    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False, timeout=PATIENCE_S)
                    assert done.returncode
            with wire.client.socket() as client:  # readable ones beside them are read
                host, _, port = address.partition(":")
                client.connect((host, int(port)))
                tcp.send_segments(client, GET)
                tcp.receive(client, len(OK))
            snapshot = top.wait_requests(1)
    assert snapshot["skipped"]["tls_flows"] == 2
    assert snapshot["skipped"]["http2_flows"] == 3
    assert snapshot["totals"]["requests"] == 1
    assert [(told["method"], told["target"]) for told in run.exchanges if told["method"]] == [("GET", "/a")]
