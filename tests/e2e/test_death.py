"""However httptop ends, nothing of it stays: no process, no BPF object, no packet socket, no mount."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from httptop.capture.live import CACHE
from tests.support import bpf, load
from tests.support.net import Site
from tests.support.nginx import Nginx
from tests.support.poll import until
from tests.support.program import HTTPTOP, compiler_held, httptop, session_members
from tests.support.terminal import terminal

WATCH = ("-i", "veth0", "-b", "--json", "-d", "0.2")


def mounts() -> set[str]:
    """Mounts of the host's namespace, without the ids that change."""
    return {line.split(" ", 3)[3] for line in Path("/proc/1/mountinfo").read_text().splitlines()}


@contextlib.contextmanager
def nothing_left() -> Iterator[list[int]]:
    """Checks at the end what the block may have left; it appends the sessions it started to the list."""
    before, mounted = bpf.objects("prog") | bpf.objects("map"), mounts()
    sessions: list[int] = []
    yield sessions
    until(lambda: not [pid for session in sessions for pid in session_members(session)], "the processes to end")
    until(lambda: not bpf.leaked(before), f"no BPF object to be left of {sessions}", every_s=0.1)
    assert not {mount for mount in mounts() - mounted if "tracefs" in mount or "debugfs" in mount}


@pytest.mark.parametrize("after_s", [0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
def test_killed_while_it_starts(wire: Site, after_s: float) -> None:
    """SIGKILL at any moment of the start, also while the loader child compiles."""
    with nothing_left() as sessions, httptop(*WATCH, where=wire.server) as top:
        sessions.append(top.pid)
        time.sleep(after_s)  # the moment is what is being varied
        os.kill(top.pid, signal.SIGKILL)
        assert top.wait() == -signal.SIGKILL
        until(lambda: not session_members(top.pid), "the loader child to notice")


def test_killed_while_it_captures(wire: Site) -> None:
    """SIGKILL with everything attached: programs and maps were there, and go with the process."""
    with nothing_left() as sessions, httptop(*WATCH, where=wire.server) as top:
        sessions.append(top.pid)
        top.wait_attached()
        until(lambda: session_members(top.pid) == [top.pid], "the loader child to be gone")
        held = bpf.held_by(top.pid)
        assert {kind for kind, _ in held} == {"prog", "map"}
        os.kill(top.pid, signal.SIGKILL)
        until(lambda: not held & (bpf.objects("prog") | bpf.objects("map")), "its BPF objects to go")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_asked_to_end(wire: Site, how: signal.Signals) -> None:
    """SIGINT, SIGTERM and SIGHUP end a batch run, without a traceback."""
    with nothing_left() as sessions, httptop(*WATCH, where=wire.server) as top:
        sessions.append(top.pid)
        top.wait_attached()
        top.process.send_signal(how)
        code = top.wait()
        assert "Traceback" not in top.err
        assert code == 130 if how is signal.SIGINT else code in (-how, 128 + how)


def test_screen_quits(wire: Site) -> None:
    """`q` leaves the screen with code 0 and the terminal as it was."""
    with nothing_left() as sessions, terminal(wire.server.command(*HTTPTOP, "-i", "veth0")) as window:
        sessions.append(window.pid)
        window.wait_attached()
        window.keys("q")
        assert window.wait_exit() == 0
        assert "Traceback" not in window.screen


@pytest.mark.parametrize("after_s", [0.0, 0.1, 0.3])
def test_screen_quits_while_it_starts(wire: Site, after_s: float) -> None:
    """`q` also ends what the loader child has begun."""
    with nothing_left() as sessions, terminal(wire.server.command(*HTTPTOP, "-i", "veth0")) as window:
        sessions.append(window.pid)
        window.wait_text("httptop")
        time.sleep(after_s)  # the moment is what is being varied
        window.keys("q")
        assert window.wait_exit(3) == 0


@pytest.mark.parametrize("how", ["q", signal.SIGTERM, signal.SIGKILL])
def test_screen_ends_while_the_fast_path_is_compiled(wire: Site, how: str | signal.Signals) -> None:
    """It shows what there is before; and it ends at once, whatever the loader child is at."""
    shutil.rmtree(CACHE, ignore_errors=True)
    with nothing_left() as sessions, terminal(wire.server.command(*HTTPTOP, "-i", "veth0")) as window:
        sessions.append(window.pid)
        [loader] = until(psutil.Process(window.pid).children, "the loader child to begin")
        with compiler_held(loader.pid):
            window.wait_attached()
            if isinstance(how, str):
                window.keys(how)
            else:
                os.kill(window.pid, how)
            window.wait_exit(1)


def test_screen_killed(wire: Site) -> None:
    """SIGKILL to the screen leaves as little as to a batch run."""
    with nothing_left() as sessions, terminal(wire.server.command(*HTTPTOP, "-i", "veth0")) as window:
        sessions.append(window.pid)
        window.wait_attached()
        os.kill(window.pid, signal.SIGKILL)


def test_terminal_closed(wire: Site, web: Nginx) -> None:
    """When its terminal is closed (SIGHUP, and nothing can be written any more) the screen ends."""
    with nothing_left() as sessions, terminal(wire.server.command(*HTTPTOP, "-i", "veth0", "-d", "0.1")) as window:
        sessions.append(window.pid)
        window.wait_attached()
        load.curl(wire.client, "GET", web.url(wire.server4), "/ok", 20)
        window.wait_text("/ok")
        window.close()
        until(lambda: not session_members(sessions[0]), "the screen to end")


def test_its_own_end_takes_the_demo_along(wire: Site) -> None:
    """`--demo` starts servers and clients; they end with it."""
    words = wire.server.command(sys.executable, "-m", "httptop", "--demo")
    with nothing_left() as sessions, terminal(words) as window:
        sessions.append(window.pid)
        window.wait_attached()
        players = psutil.Process(window.pid).children(recursive=True)
        assert len(players) > 2
        os.kill(window.pid, signal.SIGKILL)
        until(lambda: not any(player.is_running() for player in players), "the demo to end")
