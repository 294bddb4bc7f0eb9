"""Latency, length and fate of each exchange: against a server whose times are known.

Latency is from the last byte of the request's head to the first byte of the response, both as the interface saw them.
"""

from __future__ import annotations

import contextlib
import re
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import pytest

from tests.support import tcp
from tests.support.dialogs import chunks, end_text, get
from tests.support.logged import Told, log
from tests.support.net import Site
from tests.support.poll import until
from tests.support.program import httptop

TOLERANCE_MS = 2.0


class Sleeper:
    """An HTTP server on a thread: `/5/...` is answered after 5 ms; `answered_s`: when that was, by target."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.answered_s: dict[str, float] = {}

    def serve(self) -> None:
        """One connection after the other, until the listener closes."""
        with contextlib.suppress(OSError):
            while True:
                end, _ = self._listener.accept()
                with end:
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._converse(end.makefile("rb"), end)

    def _converse(self, reader: BinaryIO, end: socket.socket) -> None:
        for line in reader:
            target, length = line.split()[1].decode(), 0
            for field in reader:
                if field == b"\r\n":
                    break
                if field.startswith(b"Content-Length:"):
                    length = int(field.split()[1])
            reader.read(length)
            time.sleep(int(target.split("/")[1]) / 1000)
            self._answer(end, target)

    def _answer(self, end: socket.socket, target: str) -> None:
        """As the target says; the rest of the body comes later."""
        if target.endswith("/hint"):
            end.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")
            time.sleep(0.02)
        if target.endswith("/chunked"):
            parts = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(b"first"), b""
        else:
            parts = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nfirst", b"later!"
        self.answered_s[target] = time.monotonic()
        tcp.send_segments(end, parts[0])
        time.sleep(0.01)
        end.sendall(parts[1])


@contextlib.contextmanager
def sleeper(wire: Site) -> Iterator[tuple[Sleeper, Callable[[], socket.socket]]]:
    """The server, and what connects to it."""
    with wire.server.socket() as listener, contextlib.ExitStack() as undo:
        listener.bind((wire.server4, 0))
        listener.listen()
        server = Sleeper(listener)
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()

        def connect() -> socket.socket:
            end = undo.enter_context(wire.client.socket())
            end.settimeout(10)
            end.connect(listener.getsockname())
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return end

        yield server, connect
        undo.close()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


class Asker:
    """A client on one connection; `asked_s`: when the last byte of each target's head was sent."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self.asked_s: dict[str, float] = {}

    def ask(self, *targets: str, before: tuple[bytes, ...] = (), last: bytes | None = None,
            after: tuple[bytes, ...] = ()) -> None:
        """Send heads together, or one `last` part with others 20 ms `before` and `after` it; read the answers."""
        for part in before:
            tcp.send_segments(self._end, part)
            time.sleep(0.02)
        self.asked_s.update(dict.fromkeys(targets, time.monotonic()))
        tcp.send_segments(self._end, last or b"".join(map(get, targets)))
        for part in after:
            time.sleep(0.02)
            tcp.send_segments(self._end, part)
        data = b""
        while data.count(b"firstlater!") + data.count(b"0\r\n\r\n") < len(targets):
            data += self._end.recv(65536)


PLAN = {"5": 9, "20": 7, "80": 5}


@dataclass(frozen=True)
class Timed:
    """What client and server know of each target, and what httptop told, by target."""

    expected_ms: dict[str, float]
    told: dict[str, Told]

    def latencies(self, kind: str, count: int) -> list[float]:
        """Those of one kind, which are what they should be at the median."""
        found = {target: one["latency_ms"] for target, one in self.told.items() if kind in target}
        assert len(found) == count
        off = [latency - self.expected_ms[target] for target, latency in found.items()]
        assert abs(statistics.median(off)) < TOLERANCE_MS
        return list(found.values())


@pytest.fixture(scope="module")
def timed(wire: Site) -> Timed:
    """One connection, kept alive, with requests of every kind."""
    with sleeper(wire) as (server, connect), log(wire.server, "veth0") as run:
        client = Asker(connect())
        for sleep, times in PLAN.items():
            for n in range(times):
                client.ask(f"/{sleep}/plain/{n}")
        for n in range(5):
            upload = get(f"/20/body/{n}", "POST", b"Content-Length: 30")
            client.ask(f"/20/body/{n}", last=upload, after=(b"b" * 10,) * 3)
            head = get(f"/20/head/{n}")
            client.ask(f"/20/head/{n}", before=(head[:5], head[5:30]), last=head[30:])
            client.ask(*(f"/10/pipelined/{n}/{place}" for place in range(3)))
        client.ask("/5/chunked")
        client.ask("/5/hint")
    expected = {target: (answered - client.asked_s[target]) * 1000 for target, answered in server.answered_s.items()}
    return Timed(expected, {told["target"]: told for told in run.exchanges})


@pytest.mark.parametrize("sleep", PLAN)
def test_known_times(timed: Timed, sleep: str) -> None:
    """A server that sleeps a known time: within 2 ms at the median, and never less."""
    assert min(timed.latencies(f"/{sleep}/plain/", PLAN[sleep])) >= int(sleep)


def test_slow_upload(timed: Timed) -> None:
    """While a body is uploaded time runs: the head was complete before."""
    assert min(timed.latencies("/20/body/", 5)) >= 3 * 20 + 20


def test_slow_head(timed: Timed) -> None:
    """While a head is sent time does not run: these began 40 ms before what they are held against."""
    timed.latencies("/20/head/", 5)


@pytest.mark.parametrize("place", range(3))
def test_pipelined(timed: Timed, place: int) -> None:
    """Requests in one segment wait for the answers to those before them, bodies included."""
    found = [one for target, one in timed.told.items() if re.fullmatch(f"/10/pipelined/./{place}", target)]
    assert len(found) == 5
    assert all(one["latency_ms"] >= 10 + 20 * place for one in found)
    assert abs(statistics.median(one["latency_ms"] - timed.expected_ms[one["target"]] for one in found)) < TOLERANCE_MS


def test_lengths_and_interim_answers(timed: Timed) -> None:
    """Response bytes are those of the final response, also when they came late; an early hint is no response."""
    told = timed.told
    assert {one["response_bytes"] for target, one in told.items() if "chunked" not in target} == {
        len(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nfirstlater!")}
    assert told["/5/chunked"]["response_bytes"] == len(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(b"first"))
    assert told["/5/hint"]["latency_ms"] >= 25


def test_unanswered(wire: Site) -> None:
    """Without an answer it is in flight, with its age; when its flow ends it is told with null status, and counted."""
    with httptop("-i", "veth0", "-b", "--json", "-d", "0.2", where=wire.server) as top:
        top.wait_attached()
        with log(wire.server, "veth0") as run:
            with tcp.conversation(wire.server, wire.client, wire.server4) as (client, server):
                ends = end_text(*client.getsockname()[:2]), end_text(*server.getsockname()[:2])
                tcp.send_segments(client, get("/waits"))
                waiting = top.wait_snapshot(lambda s: any(row["age_ms"] > 300 for row in s["in_flight"]), "its age")
                assert [(row["method"], row["host"], row["path"]) for row in waiting["in_flight"]] == [
                    ("GET", "a.example", "/waits")]
                assert waiting["totals"]["requests"] == 1
                assert waiting["skipped"]["unanswered"] == 0
                tcp.receive(server, len(get("/waits")))
            ended = top.wait_snapshot(lambda s: s["skipped"]["unanswered"], "the end of its flow")
            assert ended["in_flight"] == []
            assert ended["totals"]["requests"] == sum(row["requests"] for row in ended["urls"]) == 1
            with tcp.conversation(wire.server, wire.client, wire.server4) as (client, _):
                tcp.send_segments(client, get("/open"))
                until(lambda: top.snapshots()[-1]["totals"]["requests"] == 2, "the second request")
                open_end = end_text(*client.getsockname()[:2])
                run_before_close = list(run.exchanges)
    assert run_before_close == []
    assert run.rows_of(ends) == [("GET", "/waits", None, None)]
    assert [told["latency_ms"] for told in run.exchanges] == [None, None]
    assert run.exchanges[1]["client"] == open_end
