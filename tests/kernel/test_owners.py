"""Every exchange at its process, both ends: for each way a server takes a connection, and each source of the answer."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from httptop import worker
from httptop.capture import btf
from httptop.capture.live import LiveSource
from httptop.capture.system import identify
from httptop.engine import Engine
from httptop.export import View
from httptop.records import Counter, How
from httptop.snapshot import ProcessRow
from tests.support.clients import Client, client
from tests.support.net import Namespace, Site, ip, namespace, site
from tests.support.poll import PATIENCE_S, until
from tests.support.program import httptop
from tests.support.score import PLAN, TOTAL, ask, names, rows, sources
from tests.support.servers import PORT, Kind, own, serving

WAYS = [own(how) for how in ("threads", "acceptors", "prefork", "reuseport", "activated", "passed", "forking",
                             "multipath")]
WATCH = ("-b", "--json", "-d", "0.2")
SOURCE_PORT = 40404
LAST_PID = Path("/proc/sys/kernel/ns_last_pid")
CONTAINER = "0123456789abcdef" * 4


@pytest.fixture
def place() -> Iterator[Namespace]:
    with namespace() as here:
        yield here


@pytest.fixture
def cable() -> Iterator[Site]:
    with site() as here:
        yield here


@pytest.mark.parametrize("kind", WAYS, ids=lambda kind: kind.name)
def test_both_ends(place: Namespace, tmp_path: Path, kind: Kind) -> None:
    """Each of 31 requests is at the process that served it by its own word, and at the curl that made it."""
    with serving(kind, place, tmp_path) as server, httptop("-i", "lo", *WATCH, where=place) as top:
        top.wait_attached()
        clients = ask(place)
        truth = server.wait(TOTAL)
        snapshot = top.wait_requests(TOTAL)
    assert rows(snapshot, "server") == truth
    assert rows(snapshot, "client") == clients
    assert names(snapshot, "server") == {kind.comm}
    assert names(snapshot, "client") == {"curl"}


def test_accepts_of_threads_are_the_process_s(place: Namespace, tmp_path: Path) -> None:
    """Connections that three threads accept are counted at their process, all of them."""
    with serving(own("acceptors"), place, tmp_path) as server, httptop("-i", "lo", *WATCH, where=place) as top:
        top.wait_attached()
        ask(place)
        snapshot = top.wait_requests(TOTAL)
    (row,) = [row for row in snapshot["processes"] if row["pid"] == server.process.pid]
    assert row["accepts"] == sum(len(plan) for _, plan in PLAN)
    assert row["accepts_per_s"] > 0


@pytest.mark.parametrize("inside", [True, False], ids=["lo", "veth"])
def test_connections_from_before(cable: Site, tmp_path: Path, inside: bool) -> None:
    """A keep-alive connection that was open before has both ends from its first request on, across namespaces too."""
    asking = cable.server if inside else cable.client
    with serving(own("prefork"), cable.server, tmp_path) as server, client(asking, cable.server4) as caller:
        with httptop("-i", "lo" if inside else "veth0", *WATCH, where=cable.server) as top:
            top.wait_attached()
            caller.ask()
            snapshot = top.wait_requests(1)
        assert rows(snapshot, "server") == server.by_pid()
        assert rows(snapshot, "client") == {caller.pid: 1}


def test_name_of_the_group_when_a_thread_asked_and_all_are_gone(place: Namespace, tmp_path: Path) -> None:
    """A thread's own name is not shown, also when the process ended before anybody could look it up."""
    with serving(own("threads"), place, tmp_path), httptop("-i", "lo", *WATCH, where=place) as top:
        top.wait_attached()
        os.kill(top.pid, signal.SIGSTOP)
        with client(place, "127.0.0.1", thread=True) as caller:
            caller.ask(3)
            caller.end()
        os.kill(top.pid, signal.SIGCONT)
        snapshot = top.wait_requests(3)
    assert rows(snapshot, "client") == {caller.pid: 3}
    assert names(snapshot, "client") == {own("threads").comm}


def reborn(pid: int, words: list[str]) -> None:
    """Run `words` to their end as a process with this id, which is free."""
    for _ in range(1000):
        LAST_PID.write_text(str(pid - 1))
        child = os.fork()
        if child == 0:
            if os.getpid() == pid:
                os.execvp(words[0], words)  # noqa: S606 - the point is which process it is
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if child == pid:
            assert status == 0
            return
    pytest.fail(f"pid {pid} could not be had again")


def test_reused_pid(place: Namespace, tmp_path: Path) -> None:
    """Two processes that had one pid within a moment are two rows, each with its own requests."""
    if not LAST_PID.exists():
        pytest.skip("the kernel has no checkpoint/restore")
    with serving(own("threads"), place, tmp_path), httptop("-i", "lo", *WATCH, where=place) as top:
        top.wait_attached()
        first = place.command("curl", "-sS", "-o", "/dev/null", f"http://127.0.0.1:{PORT}/?[1-5]")
        with subprocess.Popen(first) as curl:
            assert curl.wait(PATIENCE_S) == 0
        reborn(curl.pid, place.command("curl", "-sS", "-o", "/dev/null", f"http://127.0.0.1:{PORT}/?[1-7]"))
        snapshot = top.wait_requests(12)
    mine = [row for row in snapshot["processes"] if row["pid"] == curl.pid]
    assert sorted(row["requests"] for row in mine) == [5, 7]
    assert len({row["start_time"] for row in mine}) == 2


@pytest.fixture
def bridge(place: Namespace) -> Iterator[tuple[Namespace, Namespace]]:
    """A server's and a client's namespace, with a bridge between them in `place`: 10.84.84.1 and .2."""
    with namespace() as server, namespace() as asking:
        ip("-n", place.name, "link", "add", "br0", "type", "bridge")
        ip("-n", place.name, "link", "set", "br0", "up")
        for number, end in enumerate((server, asking), 1):
            ip("-n", place.name, "link", "add", f"port{number}", "type", "veth",
               "peer", "name", "eth0", "netns", end.name)
            ip("-n", place.name, "link", "set", f"port{number}", "master", "br0", "up")
            ip("-n", end.name, "addr", "add", f"10.84.84.{number}/24", "dev", "eth0")
            ip("-n", end.name, "link", "set", "eth0", "up")
        yield server, asking


@pytest.mark.parametrize("interfaces", ["br0", "port1", "port2", "br0,port1,port2", "any"])
def test_namespaces_seen_from_outside(place: Namespace, bridge: tuple[Namespace, Namespace], tmp_path: Path,
                                      interfaces: str) -> None:
    """Traffic between two namespaces, seen on the bridge or on a port of it: the processes inside, each once."""
    inside, asking = bridge
    with serving(own("prefork"), inside, tmp_path) as server, httptop("-i", interfaces, *WATCH, where=place) as top:
        top.wait_attached()
        with client(asking, "10.84.84.1") as caller:
            caller.ask(13)
        truth = server.wait(13)
        snapshot = top.wait_requests(13)
    assert rows(snapshot, "server") == truth
    assert rows(snapshot, "client") == {caller.pid: 13}


@pytest.mark.parametrize("by_pid", [False, True], ids=["name", "pid"])
def test_netns(place: Namespace, tmp_path: Path, by_pid: bool) -> None:
    """--netns captures inside another namespace, which is named or that of a process."""
    with serving(own("threads"), place, tmp_path) as server:
        with httptop("--netns", str(server.process.pid) if by_pid else place.name, "-i", "lo", *WATCH) as top:
            until(lambda: top.snapshots() or top.process.poll() is not None, "the first snapshot")
            clients = ask(place)
            snapshot = top.wait_requests(TOTAL)
        assert rows(snapshot, "server") == {server.process.pid: TOTAL}
        assert rows(snapshot, "client") == clients


def test_netns_that_is_not_there() -> None:
    """A wrong name is one line and exit code 2."""
    with httptop("--netns", "no-such", "-i", "lo", *WATCH) as top:
        assert top.wait() == 2
        assert top.err.startswith("httptop: there is no network namespace or process 'no-such'\n")


def cgroup_mounts() -> list[Path]:
    """One cgroup v1 hierarchy, if there is one, and the v2 one."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    found = {match[2]: Path(match[1]) for line in lines
             if (match := re.match(r"\S+ \S+ \S+ \S+ (\S+) .* - (cgroup2?) ", line)) and "cpuset" not in match[1]}
    return [found[kind] for kind in sorted(found)]


@pytest.mark.parametrize("mount", cgroup_mounts(), ids=str)
def test_container(place: Namespace, tmp_path: Path, mount: Path) -> None:
    """A server in a cgroup as runtimes make them has the container's id."""
    group = mount / f"httptop-test-{os.getpid()}" / f"docker-{CONTAINER}.scope"
    try:
        group.mkdir(parents=True)
    except OSError as error:
        pytest.skip(f"no cgroup can be made in {mount}: {error}")
    try:
        with serving(own("threads"), place, tmp_path) as server, httptop("-i", "lo", *WATCH, where=place) as top:
            (group / "cgroup.procs").write_text(str(server.process.pid))
            top.wait_attached()
            ask(place)
            snapshot = top.wait_requests(TOTAL)
    finally:
        until(lambda: not (group / "cgroup.procs").read_text(), "the cgroup to be empty")
        group.rmdir()
        group.parent.rmdir()
    inside = {row["role"]: row["container"] for row in snapshot["processes"] if row["requests"]}
    assert inside == {"server": CONTAINER[:12], "client": None}



@pytest.mark.parametrize(("source", "server_known", "client_known"), [
    (How.ACCEPT, True, False), (How.RECV, True, True), (How.CONNECT, False, True), (How.SOCK_DIAG, True, True)])
def test_each_source_alone(place: Namespace, tmp_path: Path, source: How, server_known: bool,
                           client_known: bool) -> None:
    """With the other sources off, each one still finds what it can, and says that it was it.

    The list of open connections is read at the start; an accept() that is under way by then is seen like a later one.
    """
    live = LiveSource(("lo",), keep_root=True, sources=frozenset({source}))
    with place.entered(), closing(live), ExitStack() as ends:
        server = ends.enter_context(serving(own("acceptors"), place, tmp_path))
        if source is not How.SOCK_DIAG:
            live.open()
        caller = ends.enter_context(client(place, "127.0.0.1"))
        if source is How.SOCK_DIAG:
            live.open()
        engine = Engine(live.info, 0, identify, live.owner)
        caller.ask(5)
        server.wait(5)
        until(lambda: engine.feed(live.read(0)) or engine.snapshot(0).totals.responses == 5, "five responses")
        found = {row.role: row for row in View().processes(worker.finish(live, engine)) if row.requests}
    pids = {"server": server.process.pid, "client": caller.pid}
    for role, known in (("server", server_known), ("client", client_known)):
        if known:
            assert told(found[role]) == (pids[role], 5, ((source.name.lower(), 5),))
    if not server_known:
        assert "server" not in found  # its requests are at their client


@pytest.mark.parametrize("described", [True, False], ids=["raw", "plain"])
def test_reads_alone_of_many_connections(place: Namespace, tmp_path: Path, described: bool,
                                         monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is known, also where the kernel has put its socket in an older one's place, or does not describe them."""
    if not described:
        monkeypatch.setattr(btf, "constants", dict)
    asked, pids = (1, 3, 2, 3, 1, 3, 1, 3, 1), []
    live = LiveSource(("lo",), keep_root=True, sources=frozenset({How.RECV}))
    with place.entered(), closing(live), serving(own("threads"), place, tmp_path) as server:
        live.open()
        engine = Engine(live.info, 0, identify, live.owner)
        for count in asked:
            with client(place, "127.0.0.1") as caller:
                caller.ask(count)
                pids.append(caller.pid)
        server.wait(sum(asked))
        until(lambda: engine.feed(live.read(0)) or engine.snapshot(0).totals.responses == sum(asked), "all responses")
        found = [row for row in View().processes(worker.finish(live, engine)) if row.requests]
    assert {(row.role, row.process and row.process.pid, row.requests) for row in found} == {
        ("server", server.process.pid, sum(asked)), *(("client", *one) for one in zip(pids, asked, strict=True))}


def test_open_connections_of_other_namespaces(cable: Site, tmp_path: Path) -> None:
    """The list of open connections alone tells both ends, although the client is in another namespace."""
    with serving(own("threads"), cable.server, tmp_path) as server, client(cable.client, cable.server4) as caller, \
            cable.server.entered():
        live = LiveSource(("veth0",), keep_root=True, sources=frozenset({How.SOCK_DIAG}))
        try:
            live.open()
            engine = Engine(live.info, 0, identify, live.owner)
            caller.ask(5)
            until(lambda: engine.feed(live.read(0)) or engine.snapshot(0).totals.responses == 5, "five responses")
            found = {row.role: row for row in View().processes(worker.finish(live, engine)) if row.requests}
        finally:
            live.close()
    assert told(found["server"]) == (server.process.pid, 5, (("sock_diag", 5),))
    assert told(found["client"]) == (caller.pid, 5, (("sock_diag", 5),))


def told(row: ProcessRow) -> tuple[int | None, int, tuple[tuple[str, int], ...]]:
    return row.process and row.process.pid, row.requests, row.attribution


def test_loopback_of_another_namespace(place: Namespace, tmp_path: Path) -> None:
    """The same addresses and ports at the same time on two loopbacks: each keeps its processes."""
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    with namespace() as other, serving(own("threads"), place, tmp_path / "here") as server, \
            serving(own("threads"), other, tmp_path / "there"), httptop("-i", "lo", *WATCH, where=place) as top:
        top.wait_attached()
        with client(place, "127.0.0.1", source_port=SOURCE_PORT) as mine, \
                client(other, "127.0.0.1", source_port=SOURCE_PORT) as theirs:
            for _ in range(11):
                mine.ask()
                theirs.ask()
        snapshot = top.wait_requests(11)
    assert rows(snapshot, "server") == {server.process.pid: 11}
    assert rows(snapshot, "client") == {mine.pid: 11}


def test_contested_addresses_are_unknown(cable: Site, tmp_path: Path) -> None:
    """Two pairs of namespaces with the same addresses, ports and moment: no process is named wrongly."""
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    with site() as other, serving(own("threads"), cable.server, tmp_path / "here"), \
            serving(own("threads"), other.server, tmp_path / "there"), \
            httptop("-i", "veth0", *WATCH, where=cable.server) as top:
        top.wait_attached()
        with client(cable.client, cable.server4, source_port=SOURCE_PORT) as mine, \
                client(other.client, other.server4, source_port=SOURCE_PORT) as theirs:
            mine.ask()
            for _ in range(10):
                theirs.ask()
                mine.ask()
        snapshot = top.wait_requests(11)
    assert rows(snapshot, "client").get(theirs.pid) is None
    assert sources(snapshot, "server")["unknown: contested"] >= 9
    assert rows(snapshot, "client").get(mine.pid, 0) + sources(snapshot, "server")["unknown: contested"] == 11


REQUESTS = 100


def _writes(live: LiveSource, caller: Client) -> int:
    """Writes to the map of owners while REQUESTS are made. Others on this machine connect too, now and then."""
    before = live.read(0).counters
    caller.ask(REQUESTS)
    after = live.read(0).counters
    assert after[Counter.GET] - before[Counter.GET] == REQUESTS
    return after[Counter.OWNERS] - before[Counter.OWNERS]


def test_owners_are_written_once(place: Namespace, tmp_path: Path) -> None:
    """Many requests on one connection do not write to the map of owners each."""
    with serving(own("threads"), place, tmp_path), place.entered():
        live = LiveSource(("lo",), keep_root=True)
        try:
            live.open()
            with client(place, "127.0.0.1") as caller:
                caller.ask(1)
                until(lambda: _writes(live, caller) < REQUESTS // 2, "requests without a write for each")
        finally:
            live.close()
