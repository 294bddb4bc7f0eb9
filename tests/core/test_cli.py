"""The real main() on another world: no kernel, no terminal; what it prints, and how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from httptop import cli, options, sorting
from httptop.capture import Source
from httptop.capture.preflight import Check
from httptop.cli import World
from httptop.errors import HttptopError, MissingFeatureError, UsageError
from httptop.options import Options
from httptop.records import COUNTERS, NO_OWNER, Batch, Counter, Kind, Record, endpoint, flow_key
from httptop.snapshot import SelfCost, SourceInfo
from tests.support.poll import PATIENCE_S, until

SECOND_NS = 1_000_000_000
CLIENT, SERVER = endpoint(b"\x7f\0\0\1", 40000), endpoint(b"\x7f\0\0\1", 8080)
REQUEST = b"GET /hello?secret=1 HTTP/1.1\r\nHost: here\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def record(ts_ns: int, kind: Kind, data: bytes) -> Record:
    source, destination, counter = (
        (CLIENT, SERVER, Counter.GET) if kind == Kind.REQUEST else (SERVER, CLIENT, Counter.C2XX))
    flow, sender = flow_key(source, destination)
    return Record(ts_ns, flow, 1, 1, len(data), kind, sender, 0, 1, (NO_OWNER, NO_OWNER), data, counter)


class FakeSource:
    """One exchange in its first read, then nothing; `lost` requests are counted but not delivered."""

    epoch_offset_ns = 0
    board = None

    def __init__(self, info: SourceInfo, lost: int = 0, failure: HttptopError | None = None) -> None:
        self.info = info
        self.closed = False
        self._failure = failure
        self._reads = 0
        counters = [0] * COUNTERS
        counters[Counter.GET], counters[Counter.LOST_REQUEST], counters[Counter.C2XX] = 1 + lost, lost, 1
        self._counters = tuple(counters)

    def open(self) -> None:
        """Nothing to do."""

    def read(self, timeout_s: float) -> Batch:
        self._reads += 1
        if self._reads > 1 and self._failure:
            raise self._failure
        records = [record(SECOND_NS, Kind.REQUEST, REQUEST), record(SECOND_NS + 5_000_000, Kind.RESPONSE, RESPONSE)]
        eof = self.info.kind == "file" and not self._failure
        return Batch(records if self._reads == 1 else [], [], self._counters, 2 * SECOND_NS, eof)

    def look(self) -> Batch:
        return self.read(0.0)

    def finish(self) -> Batch:
        return Batch([], [], self._counters, 2 * SECOND_NS, eof=True)

    def owner(self, flow: bytes, end: int) -> bytes:
        return NO_OWNER

    def cost(self) -> SelfCost:
        return SelfCost()

    def close(self) -> None:
        self.closed = True


class FakeWorld(World):
    """Keeps what is printed; a source of one exchange in the place of the kernel's."""

    def __init__(self, *, lost: int = 0, failure: HttptopError | None = None, terminals: Sequence[int] = (),
                 term: str = "xterm") -> None:
        self.closed = ()
        self.environ = {"TERM": term, "COLUMNS": "100"}
        self.out, self.err = "", ""
        self.source: FakeSource | None = None
        self.shown: Options | None = None
        self.demos: list[str] = []
        self._lost, self._failure, self._terminals = lost, failure, terminals

    def is_terminal(self, fd: int) -> bool:
        return fd in self._terminals

    def write(self, text: str) -> None:
        self.out += text

    def complain(self, text: str) -> None:
        self.err += text

    def live(self, options: Options) -> Source:
        self.source = FakeSource(SourceInfo("live", options.interfaces or ("eth0",)), self._lost, self._failure)
        return self.source

    def file(self, path: str, options: Options) -> Source:
        self.source = FakeSource(SourceInfo("file", (), path), self._lost, self._failure)
        return self.source

    @contextlib.contextmanager
    def demo(self) -> Iterator[object]:
        self.demos.append("started")
        yield None
        self.demos.append("stopped")

    def screen(self, source: Source, options: Options) -> int:
        self.shown = options
        return 0

    def checks(self) -> Sequence[Check]:
        return (Check("kernel", ok=True, what="fine"), Check("bcc", ok=False, what="absent", fix="install it"))


def run(*arguments: str, world: FakeWorld | None = None) -> tuple[int, FakeWorld]:
    world = world or FakeWorld()
    code = cli.main(arguments, world)
    assert world.source is None or world.source.closed or world.shown
    return code, world


def objects(world: FakeWorld) -> list[dict[str, Any]]:
    return [json.loads(line) for line in world.out.splitlines()]


def test_once_json() -> None:
    """One object, then exit 0; the query is dropped, as it may hold secrets."""
    code, world = run("--once", "--json", "-d", "0.05")
    assert (code, world.err) == (0, "")
    [snapshot] = objects(world)
    assert snapshot["totals"]["requests"] == 1
    assert [(row["host"], row["path"]) for row in snapshot["urls"]] == [("here", "/hello")]


def test_keep_query() -> None:
    """--keep-query keeps it."""
    _, world = run("--once", "--json", "-d", "0.05", "--keep-query")
    assert objects(world)[0]["urls"][0]["path"] == "/hello?secret=1"


@pytest.mark.parametrize(("flags", "path"), [
    ((), "/users/17"), (("--group-paths",), "/users/:id"), (("--group-paths", "--keep-query"), "/users/:id?page=2"),
])
def test_group_paths(monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...], path: str) -> None:
    """--group-paths counts what differs by a number as one row."""
    monkeypatch.setitem(globals(), "REQUEST", b"GET /users/17?page=2 HTTP/1.1\r\nHost: here\r\n\r\n")
    _, world = run("--once", "--json", "-d", "0.05", *flags)
    assert [row["path"] for row in objects(world)[0]["urls"]] == [path]


def test_iterations() -> None:
    """-n prints that many snapshots, as tables or one JSON object per line."""
    code, world = run("-n", "3", "-d", "0.05", "--json")
    assert (code, len(objects(world))) == (0, 3)
    _, world = run("-n", "2", "-d", "0.05")
    assert world.out.count("here/hello") == 2


def test_lost_events_are_told_by_the_exit_code() -> None:
    """An incomplete snapshot is printed and the exit code is 4."""
    code, world = run("--once", "--json", "-d", "0.05", world=FakeWorld(lost=9))
    [snapshot] = objects(world)
    assert code == 4
    assert (snapshot["totals"]["requests"], snapshot["completeness"]) == (10, 0.1)


def test_file() -> None:
    """A file gives one snapshot of all of it, whatever the number asked for."""
    code, world = run("-r", "x.pcap", "-b", "--json")
    [snapshot] = objects(world)
    assert code == 0
    assert snapshot["source"] == {"kind": "file", "interfaces": [], "file": "x.pcap"}


@pytest.mark.parametrize("more", [[], ["--once"]])
def test_damaged_file(more: list[str]) -> None:
    """What was read before the damage is printed, then the error is told."""
    damaged = HttptopError("'x.pcap' is damaged", "everything before was read")
    code, world = run("-r", "x.pcap", "--json", *more, world=FakeWorld(failure=damaged))
    assert code == 1
    assert objects(world)[0]["totals"]["requests"] == 1
    assert world.err == "httptop: 'x.pcap' is damaged\n  everything before was read\n"


def test_filters_reach_the_output() -> None:
    """--filter and the filter flags hold together, and are told in the object."""
    _, world = run("--once", "--json", "-d", "0.05", "--method", "post,get", "--filter", "path:/nowhere")
    [snapshot] = objects(world)
    assert snapshot["urls"] == []
    assert snapshot["filter"] == {"method": ["GET", "POST", "get", "post"], "filter": "path:/nowhere"}


def test_screen_only_on_a_terminal() -> None:
    """The screen is shown when input and output are terminals, tables are printed into a pipe."""
    _, world = run("-i", "lo", "--no-color", "--ascii", world=FakeWorld(terminals=(0, 1)))
    assert world.shown is not None
    assert (world.shown.interfaces, world.shown.color, world.shown.ascii) == (("lo",), False, True)
    _, world = run("-r", "x", world=FakeWorld(terminals=(0,)))
    assert world.shown is None
    assert "here/hello" in world.out


def test_no_color_in_the_environment() -> None:
    """NO_COLOR is heard, unless it is empty (no-color.org)."""
    for value, color in (("1", False), ("", True)):
        world = FakeWorld(terminals=(0, 1))
        world.environ = {"TERM": "xterm", "NO_COLOR": value}
        run(world=world)
        assert world.shown is not None
        assert world.shown.color is color


@pytest.mark.parametrize(("terminals", "term", "word"), [((1,), "xterm", "terminal"), ((0, 1), "dumb", "TERM")])
def test_no_screen_possible(terminals: tuple[int, ...], term: str, word: str) -> None:
    """A terminal that cannot show the screen is told in two lines, with what to do."""
    code, world = run(world=FakeWorld(terminals=terminals, term=term))
    assert code == 2
    assert word in world.err.splitlines()[0]
    assert "--batch" in world.err.splitlines()[1]


def test_demo_lasts_as_long_as_the_run() -> None:
    """--demo starts its traffic before, and stops it after."""
    _, world = run("--demo", "--once", "-d", "0.05")
    assert world.demos == ["started", "stopped"]


@pytest.mark.parametrize(("error", "code"), [(UsageError, 2), (MissingFeatureError, 3), (HttptopError, 1)])
def test_errors_have_their_exit_code(error: type[HttptopError], code: int) -> None:
    """An error while running is two lines on standard error."""
    got, world = run("-b", "-d", "0.05", world=FakeWorld(failure=error("what", "do")))
    assert (got, world.err) == (code, "httptop: what\n  do\n")


def test_surprises_are_no_traceback() -> None:
    """Whatever else goes wrong is one line, and how to see more."""

    class Broken(FakeWorld):
        def live(self, options: Options) -> Source:
            raise ZeroDivisionError("oops")

    code, world = run("--once", world=Broken())
    assert code == 1
    assert world.err.startswith("httptop: internal error: ZeroDivisionError: oops\n")


def test_check() -> None:
    """--check lists what is there and how to fix what is not; code 3 when something is missing."""
    code, world = run("--check")
    assert code == 3
    assert world.out == "ok       kernel: fine\nMISSING  bcc: absent\n         install it\n"


@pytest.mark.parametrize(("arguments", "what", "do"), [
    (["--metod", "GET"], "--metod", "did you mean --method?"),
    (["-n", "0"], "--iterations: '0'", "--help"),
    (["-d", "nan"], "--delay: 'nan'", "--help"),
    (["-d"], "needs a value", "--help"),
    (["--rows", "\u0663"], "--rows", "--help"),
    (["--sort", "requets"], "'requets'", "did you mean requests?"),
    (["--host", "("], "regular expression", "--help"),
    (["--filter", "statu:5xx"], "statu", "status:"),
    (["eth0"], "'eth0'", "httptop -i eth0"),
    (["-i", "a/b"], "interface name", "--help"),
    (["-r", "x", "-i", "lo"], "--read", "one of them"),
    (["--once", "-n", "2"], "--once", "one of them"),
    (["--metrics", "x"], "--metrics", ""),
])
def test_wrong_usage(arguments: list[str], what: str, do: str) -> None:
    """A wrong command line is told in one line of what and one of what to do, with code 2."""
    code, world = run(*arguments)
    lines = world.err.splitlines()
    assert (code, world.out, len(lines)) == (2, "", 2)
    assert lines[0].startswith("httptop: ")
    assert what in lines[0]
    assert do in lines[1]


def test_lists() -> None:
    """Flags that take lists take commas, repetition, or both; a repeated interface counts once."""
    parsed = options.parse(["-i", "lo,eth0", "-i", "lo", "--port", "80,8080", "--port", "81", "-p1", "--status", "5XX"])
    assert parsed.interfaces == ("lo", "eth0")
    assert parsed.ports == {80, 81, 8080}
    assert parsed.filter.pids == {1}
    assert parsed.filter.statuses == {"5xx"}


def test_texts() -> None:
    """--version, --help and --sort help print and end with 0; --help names every flag and exit code."""
    assert run("--version")[1].out.startswith("httptop 0.")
    code, world = run("--help")
    assert code == 0
    for word in ("--interface", "--once", "--filter", "exit codes", "130"):
        assert word in world.out
    assert [line.split()[0] for line in run("--sort", "help")[1].out.splitlines()] == list(sorting.KEYS)


def httptop(*arguments: str, **streams: Any) -> subprocess.Popen[bytes]:  # noqa: ANN401 - as Popen has them
    return subprocess.Popen([sys.executable, "-m", "httptop", *arguments], stderr=subprocess.PIPE, **streams)


def test_version_is_quick() -> None:
    """--version imports neither Textual nor dpkt nor asyncio."""
    code = "import sys; from httptop import cli; cli.main(['--version']); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"textual", "dpkt", "asyncio", "psutil", "httptop.engine"}.intersection(loaded)


def test_reader_gone() -> None:
    """When the reader of the output has gone, httptop ends in silence like other tools: 128 + SIGPIPE."""
    read, write = os.pipe()
    os.close(read)
    with httptop("--help", stdout=write) as process:
        os.close(write)
        assert process.communicate()[1] == b""
    assert process.returncode == 141


def test_full_disk() -> None:
    """Output that cannot be written is an error, not a traceback."""
    with Path("/dev/full").open("wb") as full, httptop("--help", stdout=full) as process:
        assert b"No space left" in process.communicate()[1]
    assert process.returncode == 1


def test_closed_output() -> None:
    """A closed standard output is told, and its number not given to another file."""
    with httptop("--help", preexec_fn=lambda: os.close(1)) as process:
        assert process.communicate()[1].startswith(b"httptop: standard output is closed\n")
    assert process.returncode == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_end_batch(number: signal.Signals, code: int) -> None:
    """A batch run that waits for its input ends at once, in silence, with 128 + the signal's number."""
    with httptop("-r", "-", "--json", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        until(lambda: _catches_signals(process.pid), "httptop to catch signals")
        process.send_signal(number)
        assert process.communicate(timeout=PATIENCE_S) == (b"", b"")
    assert process.returncode == code


def _catches_signals(pid: int) -> bool:
    """Whether Signals has taken over: Python itself leaves SIGHUP alone."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGHUP - 1) & 1)


def test_signal_waits_for_the_object() -> None:
    """A signal that comes while an object is written is heard after it; a second one at once."""
    signals = cli.Signals()
    written = []
    with pytest.raises(cli.Stopped), signals.after_this():  # noqa: PT012
        signals._on_signal(signal.SIGINT, None)
        written.append("whole")
    assert written == ["whole"]
    signals = cli.Signals()
    with pytest.raises(cli.Stopped), signals.after_this():  # noqa: PT012
        signals._on_signal(signal.SIGINT, None)
        signals._on_signal(signal.SIGINT, None)
        written.append("never")
    assert written == ["whole"]
