"""Other programs that show HTTP, each told to show one line for each request of the arena's server."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.arena import Arena, family, missing
from tests.bench.watchers import Watched, Watcher
from tests.support.nginx import PORT
from tests.support.poll import until
from tests.support.program import packet_sockets

CATCH_UP_S = 2.0  # what they get after the load to print what they have
FROM_CLIENTS = f"tcp dst port {PORT}"
# the payload begins with "GET ": tcpdump(1), examples
GET = f"{FROM_CLIENTS} and tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420"


@dataclass(frozen=True)
class Peer:
    """Its command, and what a line of its output that tells of a request looks like."""

    words: tuple[str, ...]
    line: str


COMMANDS = {
    "tcpdump": Peer(("tcpdump", "-i", "lo", "-n", "-l", GET), r"\d\d:\d\d"),
    "tshark": Peer(("tshark", "-i", "lo", "-n", "-l", "-f", FROM_CLIENTS, "-Y", "http.request", "-T", "fields",
                    "-e", "http.request.method", "-e", "http.request.uri"), r"GET"),
    "ngrep": Peer(("ngrep", "-d", "lo", "-q", "-l", "-W", "single", "^GET ", FROM_CLIENTS), r"T .*GET /"),
    "httpry": Peer(("httpry", "-i", "lo", f"tcp port {PORT}"), r".*\t>\tGET\t"),
}


def absent() -> list[str]:
    """Those that are not installed."""
    return missing(*COMMANDS)


@contextlib.contextmanager
def watching(peer: Peer, arena: Arena) -> Iterator[Watched]:
    """The program on the arena's loopback; what it costs until it has printed what it had."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        with out.open("wb") as file:
            process = subprocess.Popen(arena.where.command(*peer.words), stdout=file, stderr=subprocess.DEVNULL)
        try:
            until(lambda: process.poll() is not None or any(map(packet_sockets, family(process.pid))), peer.words[0])
            assert process.poll() is None, f"{peer.words} ended"
            watched = Watched(process.pid)
            watched.begin()
            yield watched
            _quiet(out)
            watched.load_ended()
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(CATCH_UP_S)
        finally:
            for pid in family(process.pid) if process.poll() is None else ():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()
        shown = re.compile(peer.line.encode())
        with out.open("rb") as lines:
            watched.seen = sum(shown.match(line) is not None for line in lines)


def _quiet(out: Path) -> None:
    """Wait until nothing more is printed, or CATCH_UP_S."""
    deadline, size = time.monotonic() + CATCH_UP_S, -1
    while size != out.stat().st_size and time.monotonic() < deadline:
        size = out.stat().st_size
        time.sleep(0.3)


PEERS: dict[str, Watcher] = {
    name: functools.partial(watching, peer) for name, peer in COMMANDS.items() if name not in absent()}
