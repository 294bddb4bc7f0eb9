"""What goes wrong outside is told in two lines at most, with the right exit code, and never with a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import load, nginx
from tests.support.net import Site, ip, join, site
from tests.support.nginx import Nginx
from tests.support.poll import PATIENCE_S
from tests.support.program import HTTPTOP, Httptop, httptop
from tests.support.terminal import terminal

BATCH = ("-b", "--json", "-d", "0.2")
NEEDS_MORE = 3
MISUSED = 2
FAILED = 1


def check_complaint(err: str, *words: str) -> None:
    """One or two lines, the first one naming httptop, with all of `words` in them."""
    lines = err.splitlines()
    assert 1 <= len(lines) <= 2, err
    assert lines[0].startswith("httptop: "), err
    assert "Traceback" not in err
    for word in words:
        assert word in err


def ended(top: Httptop) -> tuple[int, str, str]:
    """Exit code, output and error output of a run that ends by itself."""
    return top.wait(), top.out, top.err


@pytest.mark.parametrize("without", [("unshare", "--user", "--"),
                                     ("setpriv", "--inh-caps=-all", "--bounding-set=-all", "--")])
def test_no_privilege(without: tuple[str, ...]) -> None:
    """A user who is not root, and a root without capabilities, read what to do; code 3."""
    with httptop("-i", "lo", *BATCH, program=(*without, *HTTPTOP)) as top:
        code, out, err = ended(top)
    assert (code, out) == (NEEDS_MORE, "")
    check_complaint(err, "sudo" if without[0] == "unshare" else "CAP_")


def test_no_bcc(wire: Site) -> None:
    """Where no Python can import bcc, the distribution's package is named; code 3."""
    with httptop("-i", "lo", *BATCH, where=wire.server, program=no_bcc()) as top:
        code, out, err = ended(top)
    assert (code, out) == (NEEDS_MORE, "")
    check_complaint(err, "BCC")


def no_bcc() -> tuple[str, ...]:
    """The command in a mount namespace of its own where each directory of bcc is empty."""
    find = "import bcc, os; print(os.path.dirname(bcc.__file__))"
    found = subprocess.run(["/usr/bin/python3", "-c", find], capture_output=True, text=True, check=True).stdout.strip()
    hide = f'mount -t tmpfs none "{found}" && exec "$@"'
    return ("unshare", "--mount", "--", "sh", "-c", hide, "sh", *HTTPTOP)


def test_absent_interface(wire: Site) -> None:
    """An interface that is not there is named, with those that are; code 2."""
    with httptop("-i", "nope0", *BATCH, where=wire.server) as top:
        code, out, err = ended(top)
    assert (code, out) == (MISUSED, "")
    check_complaint(err, "nope0", "veth0")


@pytest.mark.parametrize("flags", [
    ("-d", "0"), ("-d", "-1"), ("-d", "nan"), ("-d", "soon"), ("-n", "0"), ("-n", "x"), ("--port", "0"),
    ("--port", "65536"), ("--port", "http"), ("--pid", "x"), ("--method", ""), ("--host", "("), ("--url", "["),
    ("--status", "0xx"), ("--status", "abc"), ("--role", "both"), ("--sort", "colour"), ("--rows", "-1"),
    ("--frobnicate",), ("stray",),
])
def test_bad_flag_values(flags: tuple[str, ...]) -> None:
    """Each wrong value is refused before anything is loaded; code 2."""
    with httptop("-i", "lo", "--once", *flags) as top:
        code, out, err = ended(top)
    assert (code, out) == (MISUSED, ""), err
    check_complaint(err, flags[-1] or flags[0])


def test_absent_file() -> None:
    """A capture file that is not there is named; code 1."""
    with httptop("-r", "/no/such/file") as top:
        code, out, err = ended(top)
    assert (code, out) == (FAILED, "")
    check_complaint(err, "/no/such/file")


def test_interface_that_vanishes() -> None:
    """When the interface goes away while running, batch ends with code 1 and says so."""
    with site() as wire, httptop("-i", "veth0", *BATCH, where=wire.server) as top:
        top.wait_attached()
        ip("-n", wire.client.name, "link", "del", "veth0")
        code, _, err = ended(top)
    assert code == FAILED
    check_complaint(err, "veth0")


def test_interface_that_vanishes_from_the_screen(tmp_path: Path) -> None:
    """The screen says when the interface goes, keeps what was counted, and counts on when one of its name is back."""
    with site() as wire, nginx.nginx(tmp_path, wire.server) as web, terminal(
            wire.server.command(*HTTPTOP, "-i", "veth0")) as window:
        window.wait_attached()
        load.curl(wire.client, "GET", web.url(wire.server4), "/ok", 3)
        window.wait_text("/ok")
        ip("-n", wire.client.name, "link", "del", "veth0")
        window.wait_text("veth0 is gone")
        assert "/ok" in window.wait_text(" gone ")
        join(wire)
        window.wait_text("veth0 is back")
        load.curl(wire.client, "GET", web.url(wire.server4), "/created", 5)
        assert "/ok" in window.wait_text("/created")
        window.keys("q")
        assert window.wait_exit() == 0
        assert "Traceback" not in window.screen


def test_closed_output(wire: Site) -> None:
    """`httptop -b | head -1` ends soon after head does, and quietly."""
    words = wire.server.command(*HTTPTOP, "-i", "veth0", *BATCH)
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline().startswith("{")
        process.stdout.close()
        assert process.wait(PATIENCE_S) in (0, 141)
        assert process.stderr.read() == ""


def test_full_disk(wire: Site) -> None:
    """Output that cannot be written is an error like any other; code 1."""
    words = wire.server.command(*HTTPTOP, "-i", "veth0", *BATCH)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == FAILED
    check_complaint(done.stderr, "No space left")


def test_small_and_changing_terminal(wire: Site, web: Nginx) -> None:
    """A terminal too small to show anything does no harm, and growing it brings the screen back."""
    with terminal(wire.server.command(*HTTPTOP, "-i", "veth0"), 20, 4) as window:
        window.wait_attached()
        load.curl(wire.client, "GET", web.url(wire.server4), "/ok", 3)
        for columns, rows in ((1, 1), (200, 60), (30, 8), (80, 24)):
            window.resize(columns, rows)
        window.wait_text("/ok")
        window.keys("q")
        assert window.wait_exit() == 0, window.screen


def test_attach_failure_is_a_readable_screen() -> None:
    """Without privileges the screen says what is missing and, when left, ends with code 3."""
    words = ["unshare", "--user", "--", sys.executable, "-m", "httptop", "-i", "lo"]
    with terminal(words) as window:
        window.wait_text("sudo")
        assert "Traceback" not in window.screen
        window.keys("q")
        assert window.wait_exit() == NEEDS_MORE
