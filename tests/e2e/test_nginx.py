"""The main promise: what nginx and curl did is what httptop says, to the last request and process."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from typing import Any

import pytest

from tests.support import load
from tests.support.net import Namespace, Site
from tests.support.nginx import Access, Nginx
from tests.support.poll import PATIENCE_S
from tests.support.program import Snapshot, httptop

# (method, path, requests on one connection): 127 over two address families, the odd one added to the first.
PLAN = (("GET", "/ok", 31), ("GET", "/missing?secret=1", 2), ("HEAD", "/files/64k", 7), ("POST", "/created", 13),
        ("DELETE", "/empty", 5), ("GET", "/moved", 2), ("POST", "/broken", 3))
EXTRA = (("GET", "/files/1m", 1),)
TOTAL = 127
METHODS = {"GET": 71, "HEAD": 14, "POST": 32, "DELETE": 10}


def by_row(snapshot: Snapshot) -> dict[tuple[str, str, str], dict[str, Any]]:
    """URL rows by what names them; each name once."""
    rows = {(row["method"], row["host"], row["path"]): row for row in snapshot["urls"]}
    assert len(rows) == len(snapshot["urls"])
    return rows


def by_process(snapshot: Snapshot, role: str) -> dict[int | None, dict[str, Any]]:
    """Process rows of one role by pid."""
    rows = {row["pid"]: row for row in snapshot["processes"] if row["role"] == role}
    assert len(rows) == sum(row["role"] == role for row in snapshot["processes"])
    return rows


def check_urls(snapshot: Snapshot, log: list[Access], calls: list[load.Call]) -> None:
    """Each row has the requests, answers and server processes of nginx's log, and curl's pids."""
    expected: defaultdict[tuple[str, str, str], list[Access]] = defaultdict(list)
    clients: defaultdict[tuple[str, str, str], set[int]] = defaultdict(set)
    for line in log:
        expected[line.method, line.host, line.target.partition("?")[0]].append(line)
    for call in calls:
        clients[call.method, call.base.removeprefix("http://"), call.path.partition("?")[0]].add(call.pid)
    rows = by_row(snapshot)
    assert rows.keys() == expected.keys()
    for key, lines in expected.items():
        row = rows[key]
        assert row["requests"] == row["responses"] == len(lines), key
        assert row["statuses"] == {str(k): v for k, v in Counter(line.status for line in lines).items()}, key
        assert set(row["servers"]) == {line.pid for line in lines}, key
        assert set(row["clients"]) == clients[key], key
        assert row["latency_ms"]["max"] < 1000, key


def check_servers(snapshot: Snapshot, log: list[Access]) -> None:
    """Each nginx worker has its own requests, by method, and its accepted connections."""
    rows = by_process(snapshot, "server")
    for pid in {line.pid for line in log}:
        lines = [line for line in log if line.pid == pid]
        assert rows[pid]["comm"] == "nginx"
        assert rows[pid]["requests"] == len(lines)
        assert rows[pid]["methods"] == Counter(line.method for line in lines)
        assert rows[pid]["accepts"] == len({line.connection for line in lines})
    assert None not in rows


def check_clients(snapshot: Snapshot, calls: list[load.Call]) -> None:
    """Each curl process has its own requests, although all of them have ended."""
    rows = by_process(snapshot, "client")
    assert {pid: row["methods"] for pid, row in rows.items()} == {call.pid: {call.method: call.times} for call in calls}
    assert {row["comm"] for row in rows.values()} == {"curl"}


def requests(where: Namespace, bases: list[str]) -> list[load.Call]:
    """The 127 requests."""
    return [*load.calls(where, bases[:1], EXTRA), *load.calls(where, bases, PLAN)]


@pytest.mark.parametrize(("watched", "interface"), [("server", "lo"), ("server", "veth0"), ("client", "veth0")])
def test_every_request_is_seen_once_with_its_processes(wire: Site, web: Nginx, watched: str, interface: str) -> None:
    """127 requests of four methods over IPv4 and IPv6: exact totals, exact rows, right pids on both ends."""
    before = len(web.log())
    caller = wire.server if interface == "lo" else wire.client
    addresses = ("127.0.0.1", "::1") if interface == "lo" else (wire.server4, wire.server6)
    where = wire.server if watched == "server" else wire.client
    with httptop("-i", interface, "-b", "--json", "-d", "0.2", where=where) as top:
        top.wait_attached()
        calls = requests(caller, [web.url(address) for address in addresses])
        log = web.wait_log(TOTAL, before)
        snapshot = top.wait_requests(TOTAL)
    assert len(log) == TOTAL
    totals = snapshot["totals"]
    assert (totals["requests"], totals["responses"]) == (TOTAL, TOTAL)
    assert totals["by_method"] == METHODS
    assert totals["by_status"] == Counter(f"{line.status // 100}xx" for line in log)
    assert snapshot["completeness"] == 1.0
    assert {row["reason"]: row["events"] for row in snapshot["losses"] if row["events"]} == {}
    assert snapshot["in_flight"] == []
    check_urls(snapshot, log, calls)
    check_servers(snapshot, log)
    check_clients(snapshot, calls)


def test_two_interfaces_do_not_count_twice(wire: Site, web: Nginx) -> None:
    """`-i any` sees loopback and the cable in one namespace, each request once."""
    with httptop("-i", "any", "-b", "--json", "-d", "0.2", where=wire.server) as top:
        top.wait_attached()
        calls = [load.curl(wire.client, "GET", web.url(wire.server4), "/ok", 5),
                 load.curl(wire.server, "GET", web.url("127.0.0.1"), "/ok", 6)]
        snapshot = top.wait_requests(11)
    assert snapshot["totals"]["requests"] == 11
    check_clients(snapshot, calls)


def test_once_prints_one_snapshot_and_ends(wire: Site, web: Nginx) -> None:
    """`--once --json` ends by itself after one delay, code 0, one JSON object, nothing on standard error."""
    with httptop("-i", "veth0", "--once", "--json", "-d", "2", where=wire.server) as top:
        top.wait_attached()
        load.hammer(wire.client, wire.server6, web.port, 3, 1)  # at once: a process would have to start first
        assert top.wait() == 0
        assert top.err == ""
        (snapshot,) = top.snapshots()
    assert snapshot["schema"] == "httptop.snapshot/1"
    assert snapshot["totals"]["requests"] == 3
    assert 1.9 < snapshot["window"]["seconds"] < PATIENCE_S


def test_connections_opened_before_the_start_have_owners(wire: Site, web: Nginx) -> None:
    """A keep-alive connection that is older than httptop is attributed at both ends."""
    with wire.server.socket() as end:
        end.connect(("127.0.0.1", web.port))
        end.settimeout(5)
        end.sendall(b"GET /ok HTTP/1.1\r\nHost: old\r\n\r\n")
        end.recv(4096)
        before = len(web.log())
        with httptop("-i", "lo", "-b", "--json", "-d", "0.2", where=wire.server) as top:
            top.wait_attached()
            end.sendall(b"GET /ok HTTP/1.1\r\nHost: old\r\n\r\n")
            end.recv(4096)
            snapshot = top.wait_requests(1)
    (worker,) = {line.pid for line in web.wait_log(1, before)}
    asked = {role: {pid for pid, row in by_process(snapshot, role).items() if row["requests"]}
             for role in ("server", "client")}
    assert asked == {"server": {worker}, "client": {os.getpid()}}


def test_filters_show_less_but_count_all(wire: Site, web: Nginx) -> None:
    """`--method` and `--pid` leave rows out of the tables, never requests out of the totals."""
    with httptop("-i", "veth0", "-b", "--json", "-d", "0.2", "--method", "POST", where=wire.server) as top:
        top.wait_attached()
        load.curl(wire.client, "GET", web.url(wire.server4), "/ok", 4)
        load.curl(wire.client, "POST", web.url(wire.server4), "/created", 2)
        snapshot = top.wait_requests(6)
    assert snapshot["totals"]["requests"] == 6
    assert {(row["method"], row["requests"]) for row in snapshot["urls"]} == {("POST", 2)}


def test_port_narrows_the_capture(wire: Site, web: Nginx) -> None:
    """`--port` leaves other ports out in the kernel: they are in no total."""
    with httptop("-i", "veth0", "-b", "--json", "-d", "0.2", "--port", "1,2", where=wire.server) as top:
        top.wait_attached()
        load.curl(wire.client, "GET", web.url(wire.server4), "/ok", 4)
        seen = len(top.snapshots())
        snapshot = top.wait_snapshot(lambda _: len(top.snapshots()) > seen + 1, "two more snapshots")
    assert snapshot["totals"]["requests"] == 0
    assert snapshot["window"]["seconds"] > 0.2


def test_keep_query_keeps_it(wire: Site, web: Nginx) -> None:
    """Query strings, which may hold secrets, are shown only on request."""
    with httptop("-i", "veth0", "-b", "--json", "-d", "0.2", "--keep-query", where=wire.server) as top:
        top.wait_attached()
        load.curl(wire.client, "GET", web.url(wire.server4), "/ok?token=abc", 1)
        snapshot = top.wait_requests(1)
    assert [row["path"] for row in snapshot["urls"]] == ["/ok?token=abc"]
