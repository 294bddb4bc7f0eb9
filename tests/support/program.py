"""httptop as a user runs it: a process of its own, watched from outside."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from tests.support.net import Namespace
from tests.support.poll import PATIENCE_S, until

Snapshot = dict[str, Any]
HTTPTOP = (sys.executable, "-m", "httptop")


def packet_sockets(pid: int) -> int:
    """How many bound packet sockets process `pid` holds."""
    held = set()
    with contextlib.suppress(FileNotFoundError):
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                held.add(str(fd.readlink()))
        rows = [line.split() for line in Path(f"/proc/{pid}/net/packet").read_text().splitlines()[1:]]
        return sum(row[5] == "1" and f"socket:[{row[8]}]" in held for row in rows)
    return 0


def tcx_interfaces(pid: int) -> int:
    """On how many interfaces process `pid` holds programs."""
    found = set()
    with contextlib.suppress(FileNotFoundError):
        for info in Path(f"/proc/{pid}/fdinfo").iterdir():
            with contextlib.suppress(FileNotFoundError):
                fields = dict(line.split(":\t", 1) for line in info.read_text().splitlines() if ":\t" in line)
                if fields.get("link_type") == "tcx":
                    found.add(fields["ifindex"])
    return len(found)


def taps(pid: int) -> int:
    """How many interfaces ("any" is one) process `pid` sees the packets of."""
    return packet_sockets(pid) + tcx_interfaces(pid)


def status(pid: int) -> dict[str, str]:
    """/proc/PID/status as a dict; empty when the process is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def effective_capabilities(pid: int) -> int:
    """CapEff of a process as a bit mask."""
    return int(status(pid).get("CapEff", "-1"), 16)


def attached(pid: int, interfaces: int = 1) -> bool:
    """Whether httptop `pid` captures: it sees its interfaces and has given up its privileges."""
    return taps(pid) >= interfaces and effective_capabilities(pid) == 0


@contextlib.contextmanager
def compiler_held(loader: int) -> Iterator[psutil.Process]:
    """What compiles the fast path for a loader child, which stands still until it is resumed or the context ends."""
    compiler = until(lambda: next(iter(psutil.Process(loader).children()), None), "the loader to compile")
    compiler.suspend()
    try:
        yield compiler
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            compiler.resume()


def session_members(session: int) -> list[int]:
    """Pids of the processes that live (zombies do not) in a session: httptop's, its children's, and their orphans."""
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
                if int(fields[3]) == session and fields[0] not in "ZX":
                    members.append(int(entry.name))
    return members


def kill_session(session: int) -> None:
    """SIGKILL to every process of a session."""
    for pid in session_members(session):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


class Httptop:
    """A running httptop. Its output goes to files, so that a test never blocks it by not reading."""

    def __init__(self, args: tuple[str, ...], where: Namespace | None, folder: Path,
                 program: tuple[str, ...] = HTTPTOP, env: Mapping[str, str] | None = None) -> None:
        words = [*program, *args]
        self._out, self._err = folder / "out", folder / "err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                where.command(*words) if where else words, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                start_new_session=True, env={**os.environ, **(env or {})})
        self.pid = self.process.pid

    @property
    def out(self) -> str:
        """Standard output so far."""
        return self._out.read_text()

    @property
    def err(self) -> str:
        """Standard error so far."""
        return self._err.read_text()

    def wait_attached(self, interfaces: int = 1) -> Httptop:
        """Return when traffic is being captured."""
        until(lambda: attached(self.pid, interfaces) or self.process.poll() is not None, "httptop to attach")
        assert self.process.poll() is None, f"httptop ended with {self.process.returncode}: {self.err}"
        return self

    def snapshots(self) -> list[Snapshot]:
        """The JSON snapshots printed so far; a line still being written is left out."""
        return [json.loads(line) for line in self.out.splitlines(keepends=True) if line.endswith("\n")]

    def wait_snapshot(self, good: Callable[[Snapshot], bool], what: str, timeout_s: float = PATIENCE_S) -> Snapshot:
        """The first snapshot that satisfies `good`; all of the last one is shown when none does in time."""
        found: list[Snapshot] = []

        def look() -> bool:
            found[:] = self.snapshots()[-1:]
            return any(good(snapshot) for snapshot in found) or self.process.poll() is not None

        try:
            until(look, what, timeout_s, every_s=0.1)
        except AssertionError as error:
            raise AssertionError(f"{error}\nlast snapshot: {found}\nstderr: {self.err}") from None
        assert found, f"httptop ended with {self.process.returncode} and no snapshot: {self.err}"
        assert good(found[0]), f"{what}: httptop ended first: {found[0]}\nstderr: {self.err}"
        return found[0]

    def wait_path(self, path: str) -> Snapshot:
        """The second snapshot behind the first that has an answer for `path`: nothing from before is missing in it."""
        self.wait_snapshot(lambda s: any(row["path"] == path and row["responses"] for row in s["urls"]), path)
        seen = len(self.snapshots())
        return self.wait_snapshot(lambda _: len(self.snapshots()) > seen + 1, "one more snapshot")

    def wait_requests(self, count: int, responses: int | None = None) -> Snapshot:
        """The snapshot behind one with `count` requests and `responses` (as many): what came too much is in it."""
        answered = count if responses is None else responses
        self.wait_snapshot(lambda s: s["totals"]["requests"] >= count and s["totals"]["responses"] >= answered,
                           f"{count} requests")
        seen = len(self.snapshots())
        return self.wait_snapshot(lambda _: len(self.snapshots()) > seen, "one more snapshot")

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        """Exit code."""
        return self.process.wait(timeout_s)

    def interrupt(self) -> int:
        """Ctrl-C; exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL to the whole session, for the end of a test."""
        kill_session(self.pid)
        self.process.wait(PATIENCE_S)


@contextlib.contextmanager
def httptop(*args: str, where: Namespace | None = None, program: tuple[str, ...] = HTTPTOP,
            env: Mapping[str, str] | None = None) -> Iterator[Httptop]:
    """Run httptop with `args`, in namespace `where`; killed at the end if it still runs."""
    with tempfile.TemporaryDirectory() as folder:
        running = Httptop(args, where, Path(folder), program, env)
        try:
            yield running
        finally:
            running.kill()
