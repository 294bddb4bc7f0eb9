"""What the host tells: processes, open connections, interfaces, and what is missing for a capture."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from httptop.capture import interfaces, preflight, system
from httptop.errors import UsageError
from httptop.records import endpoint
from tests.support.poll import until

EVERYTHING = (1 << 41) - 1


def own_start_s() -> float:
    """When this process began, by ps."""
    age_s = subprocess.run(["ps", "-o", "etimes=", "-p", str(os.getpid())], capture_output=True, text=True, check=True)
    return time.time() - int(age_s.stdout)


def test_own_process() -> None:
    """A process is its pid, start time, name and command line."""
    process = system.process(os.getpid())
    assert process is not None
    assert process.pid == os.getpid()
    assert process.start_time == pytest.approx(own_start_s(), abs=2.5)
    assert process.cmdline.split()[0] == sys.argv[0] or "python" in process.cmdline
    assert system.process(os.getpid()) == process


@pytest.mark.parametrize("name", ["a) R 1 (b", "two words", "tr\xe4ge"])
def test_odd_names(name: str) -> None:
    """A name may hold brackets, spaces and any byte; the fields after it are still found."""
    code = f"import ctypes; ctypes.CDLL(None).prctl(15, {name.encode('latin-1')!r}); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as child:
        wanted = name.encode("latin-1").decode("utf-8", "replace")
        process = until(lambda: (p := system.process(child.pid)) and p.comm == wanted and p, "the name")
        assert process
        assert process.start_time == pytest.approx(time.time(), abs=12)
        assert child.stdin is not None
        child.stdin.write(b"\n")


def test_no_process() -> None:
    """A pid that nobody has is None."""
    with subprocess.Popen(["true"]) as child:
        child.wait()
    assert system.process(child.pid) is None


@pytest.fixture(params=[socket.AF_INET, socket.AF_INET6], ids=["v4", "v6"])
def connection(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of an open connection."""
    address = "127.0.0.1" if request.param == socket.AF_INET else "::1"
    with socket.create_server((address, 0), family=request.param) as listener, \
            socket.create_connection(listener.getsockname()[:2]) as near, listener.accept()[0] as far:
        yield near, far


def ends(of: socket.socket) -> tuple[bytes, bytes]:
    local, remote = (endpoint(socket.inet_pton(of.family, name[0]), name[1])
                     for name in (of.getsockname(), of.getpeername()))
    return local, remote


def test_open_flows(connection: tuple[socket.socket, socket.socket]) -> None:
    """Both ends of an open connection are found, each seen from its own side, at this process."""
    flows = set(system.open_flows())
    for side in connection:
        assert (*ends(side), os.getpid()) in flows


def test_shared_socket(connection: tuple[socket.socket, socket.socket]) -> None:
    """A connection that a child has inherited is given to the child: whoever passes one on rarely goes on reading."""
    near, _ = connection
    with subprocess.Popen(["sleep", "60"], pass_fds=[near.fileno()]) as child:
        owners = {pid for local, remote, pid in system.open_flows() if (local, remote) == ends(near)}
        child.kill()
    assert owners == {child.pid}


def test_self_meter() -> None:
    """CPU time since the last reading shows, and memory is what the kernel says it is."""
    meter = system.SelfMeter()
    end_s = time.monotonic() + 0.2
    while time.monotonic() < end_s:
        pass
    cost = meter.read()
    assert cost.cpu_percent is not None
    assert cost.rss_bytes is not None
    assert 0 < cost.cpu_percent <= 110
    assert 1 << 20 < cost.rss_bytes < 1 << 32


def test_interfaces() -> None:
    """Loopback is there, up, with its address."""
    lo = next(interface for interface in interfaces.listing() if interface.name == "lo")
    assert lo.up
    assert "127.0.0.1" in lo.addresses


def test_busy_interfaces() -> None:
    """An interface over which packets go now is named."""
    chatter = ("import socket, time\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
               "while True: s.sendto(b'x', ('127.0.0.1', 9)); time.sleep(0.01)")
    with subprocess.Popen([sys.executable, "-c", chatter]) as child:
        try:
            until(lambda: "lo" in interfaces.busy(0.1), "traffic on lo")
        finally:
            child.kill()


def test_absent_interface() -> None:
    """A wrong name is told with the right one beside it."""
    interfaces.require(["lo", "any"])
    with pytest.raises(UsageError, match="no interface 'l0'") as caught:
        interfaces.require(["l0"])
    assert "did you mean lo?" in caught.value.do


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: makes a network namespace")
@pytest.mark.parametrize(("routes", "wanted"), [
    ([], None),
    (["-4 route add default dev wan1"], "wan1"),
    (["-4 route add default dev wan1 metric 20", "-4 route add default dev wan0 metric 5"], "wan0"),
    (["-4 route add unreachable default"], None),
    (["-6 route add default dev wan1"], "wan1"),
    (["-6 route add default dev wan1", "-4 route add default dev wan0"], "wan0"),
])
def test_default_interface(routes: list[str], wanted: str | None) -> None:
    """The interface of the default route with the best metric, IPv4 first; without one, all are named."""
    setup = ["ip link add wan0 type veth peer name wan1", "ip link set wan0 up", "ip link set wan1 up"]
    code = ("from httptop.capture import interfaces\nfrom httptop.errors import UsageError\n"
            "try: print(interfaces.default())\nexcept UsageError as error: print(*error.lines())")
    script = " && ".join([*setup, *(f"ip {route}" for route in routes), f'"{sys.executable}" -c "{code}"'])
    done = subprocess.run(["unshare", "--net", "sh", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    if wanted is None:
        assert "no default route" in done.stdout
        assert "wan0, wan1" in done.stdout
    else:
        assert done.stdout.strip() == wanted


@pytest.mark.parametrize(("release", "ok"), [("5.8.0-1", True), ("6.18.44-fc", True), ("5.7.19", False),
                                             ("4.18.0-553.el8", False), ("10.0", True)])
def test_kernel(release: str, ok: bool) -> None:
    """5.8 brought the ring buffer."""
    assert preflight.kernel(release).ok is ok


@pytest.mark.parametrize(("release", "has"), [("5.11.22", False), ("5.12.0", True), ("6.1.0-18-amd64", True)])
def test_kernels_without_a_fast_path(release: str, *, has: bool) -> None:
    """5.12 brought the exchange that it locks with; who checks is told."""
    assert preflight.has_fast_path(release) is has
    assert ("costs more" in preflight.kernel(release).what) is not has


@pytest.mark.parametrize(("euid", "held", "ok", "words"), [
    (0, EVERYTHING, True, "root"),
    (1000, 0, False, "sudo"),
    (0, 0, False, "--privileged"),
    (0, 1 << 13 | 1 << 21, True, "root"),
    (0, 1 << 13 | 1 << 38 | 1 << 39, False, "--privileged"),
])
def test_privileges(euid: int, held: int, ok: bool, words: str) -> None:
    """Root with the capabilities may capture; others are told what to do, in a container too."""
    check = preflight.privileges(euid, held)
    assert check.ok is ok
    assert words in check.what + check.fix


def test_lockdown() -> None:
    """Only the mode in which the kernel forbids tracing is in the way."""
    assert preflight.lockdown("").ok
    assert preflight.lockdown("none [integrity] confidentiality\n").ok
    assert not preflight.lockdown("none integrity [confidentiality]\n").ok


def test_kernel_config() -> None:
    """A missing option is named; a kernel that does not show its configuration is given a chance."""
    text = "CONFIG_BPF_SYSCALL=y\nCONFIG_BPF_EVENTS=y\n# CONFIG_FTRACE_SYSCALLS is not set\nCONFIG_PACKET=m\n"
    check = preflight.kernel_config(text)
    assert (check.ok, check.what) == (False, "without CONFIG_FTRACE_SYSCALLS")
    assert preflight.kernel_config("").ok


@pytest.mark.parametrize(("release", "command"), [
    ("ID=debian\n", "apt-get install python3-bpfcc"),
    ('NAME="Linux Mint"\nID=linuxmint\nID_LIKE="ubuntu debian"\n', "apt-get install python3-bpfcc"),
    ("ID=fedora\n", "dnf install python3-bcc"),
    ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "dnf install python3-bcc"),
    ("ID=arch\n", "pacman -S python-bcc"),
    ('ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"\n', "zypper install python3-bcc"),
])
def test_install_hint(release: str, command: str) -> None:
    """BCC is installed as each distribution calls it."""
    assert preflight.install_hint(release) == f"run: sudo {command}"


def test_install_hint_elsewhere() -> None:
    """Where we know no command, all that we know are given."""
    hint = preflight.install_hint("ID=nixos\n")
    assert "python3-bpfcc" in hint
    assert "zypper" in hint


def test_tracefs() -> None:
    """Mounted or not, what counts is that the kernel has it."""
    assert preflight.tracefs(["/sys/kernel/tracing"], "").ok
    assert preflight.tracefs([], "nodev\ttracefs\n").ok
    assert not preflight.tracefs([], "nodev\tproc\n").ok


def test_bcc_is_found_or_named() -> None:
    """The distribution's Python is tried when ours has no BCC; without any, the hint is given."""
    found = preflight.bcc_python()
    assert found is None or found[0] in (sys.executable, preflight.SYSTEM_PYTHON)
    assert preflight.bcc(None, "install it").fix == "install it"


@pytest.mark.parametrize(("version", "ok"), [("0.12.0", False), ("0.16.0", True), ("0.31.0", True), ("1.0", True),
                                             ("unknown", True)])
def test_bcc_is_new_enough(version: str, ok: bool) -> None:
    """A BCC that knows no ring buffers is told by its version; one that tells none may be any."""
    check = preflight.bcc(("/usr/bin/python3", version), "install it")
    assert check.ok is ok
    assert ("0.16 or later" in check.fix) is not ok
