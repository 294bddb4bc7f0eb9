"""Counters from start to stop: what is said, who can read them, what is in the way, and that no trace is left."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import tcp
from tests.support.counters import (
    PROG_TYPE_SCHED_CLS,
    TC_ACT_OK,
    Host,
    empty_tc,
    host,
    on_tcx,
    ours,
    set_xdp,
    someone_elses_xdp,
    take_off,
)
from tests.support.net import Namespace, Site, ip
from tests.support.poll import PATIENCE_S, until
from tests.support.program import HTTPTOP
from tests.support.scenes import GET, OK
from tests.support.terminal import terminal

HOOKS = ("tcx", "tc", "xdp")
ONE_GET = (1, *(0,) * 15)
NAME = "veth0"
NAMES = ("get", "head", "post", "put", "delete", "connect", "options", "trace", "patch", "other", "status_1xx",
         "status_2xx", "status_3xx", "status_4xx", "status_5xx", "status_other", "packets")

# Kills itself when a function of ours is called for the N-th time.
SUICIDE = """
import os, signal, sys
calls = 0
def count(frame, event, argument):
    global calls
    code = frame.f_code
    if event == "call" and code.co_name == sys.argv[1] and "/counters/" in code.co_filename:
        calls += 1
        if calls == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
sys.setprofile(count)
from httptop.cli import main
main(sys.argv[3:])
"""
# Removes an interface when the counters are about to be attached to it.
VANISHING = """
import subprocess, sys
def remove(frame, event, argument):
    if event == "call" and frame.f_code.co_name == "_attach":
        sys.setprofile(None)
        subprocess.run(["ip", "link", "del", sys.argv[1]], check=True)
sys.setprofile(remove)
from httptop.cli import main
sys.exit(main(sys.argv[2:]))
"""
AS_NOBODY = """
import os, sys
from httptop.cli import main
from httptop.counters import cli, control
os.setgroups([])
os.setresuid(65534, 65534, 65534)
sys.exit(main(sys.argv[1:]))
"""
LEAN = """
import sys
from httptop.cli import main
assert main(["counters", "show"]) == 0
assert not {"bcc", "pyroute2", "httptop.counters.load"} & set(sys.modules)
"""


@pytest.fixture(autouse=True)
def nothing_left(here: Host) -> Iterator[None]:
    """Whatever a test starts, it stops; afterwards neither tc nor ip nor the list of BPF objects knows of us."""
    before = ours()
    yield
    assert here.pinned() == []
    assert "httptop" not in here.attached(NAME)
    assert "clsact" not in here.attached(NAME)
    until(lambda: ours() <= before, "the kernel to free programs and maps")


def one_get(wire: Site) -> None:
    """One exchange, the server answering."""
    with tcp.conversation(wire.server, wire.client, wire.server4) as (client, server):
        tcp.send_segments(client, GET)
        tcp.receive(server, len(GET))
        tcp.send_segments(server, OK)
        tcp.receive(client, len(OK))


@pytest.mark.parametrize("hook", HOOKS)
def test_start_twice(here: Host, hook: str) -> None:
    """The second start says that it runs already, auto too; another hook is an error; the counts go on."""
    other = HOOKS[HOOKS.index(hook) - 1]
    with here.counting(NAME, hook):
        since = here.shown(NAME)["since"]
        assert f"run on {NAME} already" in here.counters("start", "-i", NAME, "--hook", hook)
        assert f"run on {NAME} already" in here.counters("start", "-i", NAME)
        code, complaint = here.refused("start", "-i", NAME, "--hook", other)
        assert code == 1
        assert f"with {hook} and not {other}" in complaint
        assert here.shown(NAME)["since"] == since


def test_bpffs_is_mounted(wire: Site) -> None:
    """Where there is no BPF file system, start mounts it; a second start finds it."""
    with host(wire.server) as bare:
        assert " /sys/fs/bpf bpf " not in bare.run("cat", "/proc/mounts")
        for _ in range(2):
            with bare.counting(NAME, "tc"):
                assert bare.run("cat", "/proc/mounts").count(" /sys/fs/bpf bpf ") == 1
                assert bare.pinned() == [NAME, f"{NAME}/about", f"{NAME}/counts"]


@pytest.mark.parametrize("mounted", [True, False])
def test_started_in_a_mount_namespace_that_ends(wire: Site, mounted: bool) -> None:
    """`ip netns exec` gives /sys anew, without BPF: all that is pinned is where the whole machine sees it."""
    inside = ("ip", "netns", "exec", wire.server.name, *HTTPTOP, "counters")
    with host(wire.server) as machine:
        if mounted:
            machine.run("mount", "-t", "bpf", "bpf", "/sys/fs/bpf")
        machine.run(*inside, "start", "-i", NAME, "--hook", "tc")
        assert machine.pinned() == [NAME, f"{NAME}/about", f"{NAME}/counts"]
        one_get(wire)
        machine.reaches(NAME, ONE_GET)
        assert f"run on {NAME} already" in machine.run(*inside, "start", "-i", NAME)
        assert NAME in machine.run(*inside, "show")
        assert machine.run(*inside, "stop") == f"no more counters on {NAME}\n"
        assert machine.pinned() == []


@pytest.mark.parametrize("hook", HOOKS)
def test_anybody_can_read(wire: Site, here: Host, hook: str) -> None:
    """With no process of ours alive, bpftool shows named counts, and they are those that `show` adds up."""
    with here.counting(NAME, hook):
        one_get(wire)
        here.reaches(NAME, ONE_GET)
        dump = json.loads(here.run("bpftool", "-j", "map", "dump", "pinned", f"/sys/fs/bpf/httptop/{NAME}/counts"))
        assert [entry["formatted"]["key"] for entry in dump] == [0, 1]
        rows = [[cpu["value"] for cpu in entry["formatted"]["values"]] for entry in dump]
        assert tuple(rows[0][0]) == NAMES
        assert sum(row["get"] for row in rows[0]) == 1
        assert sum(row["status_2xx"] for row in rows[1]) == (hook != "xdp")
        assert 0 < sum(row["packets"] for row in rows[0]) <= here.shown(NAME)["counts"]["ingress"]["packets"]
        about = here.run("bpftool", "map", "dump", "pinned", f"/sys/fs/bpf/httptop/{NAME}/about")
        assert '"version": 1' in about
        assert f'"ifindex": {wire.ifindex(wire.server)}' in about
        assert "name httptop_in" in here.run("bpftool", "prog", "show")
    for kind in ("prog", "map", "net"):  # by the programs' names: bpftool also tells of processes called httptop
        until(lambda kind=kind: "httptop_" not in here.run("bpftool", kind, "show"), f"bpftool {kind} to show nothing")


def test_show_needs_nothing(here: Host) -> None:
    """It reads without importing bcc or pyroute2, and loads no program."""
    with here.counting(NAME, "tc"):
        before = ours()
        here.run(sys.executable, "-c", LEAN)
        assert ours() == before


def test_show_without_counters(here: Host) -> None:
    """That none run is no error, unless one was asked for; stop finds nothing to do."""
    assert here.counters("show").startswith("no counters are running")
    assert json.loads(here.counters("show", "--json"))["interfaces"] == []
    assert here.counters("show", "--openmetrics").endswith("# EOF\n")
    assert here.refused("show", "-i", NAME)[0] == 1
    assert here.counters("stop") == "no counters are running\n"
    assert here.counters("stop", "-i", NAME) == f"no counters run on {NAME}\n"


def test_only_root(here: Host) -> None:
    """Another user is told so, by every verb, with exit code 3."""
    with here.counting(NAME, "tc"):
        for verb in ("start", "show", "stop"):
            done = subprocess.run(here.command(sys.executable, "-c", AS_NOBODY, "counters", verb, "-i", NAME),
                                  capture_output=True, text=True, check=False)
            assert (done.returncode, "root" in done.stderr, len(done.stderr.splitlines())) == (3, True, 2), done.stderr


def test_watch(wire: Site, here: Host) -> None:
    """--watch prints again and again, from the second time on with rates, until it is interrupted."""
    with here.counting(NAME, "tc"):
        words = here.command(*HTTPTOP, "counters", "show", "--watch", "0.2", "--json", "-i", NAME)
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            lines = (json.loads(line)["interfaces"][0] for line in process.stdout)
            assert next(lines)["per_second"] is None
            assert next(lines)["per_second"]["ingress"]["requests"]["GET"] == 0
            one_get(wire)
            rates = next(line["per_second"] for line in lines if line["per_second"]["ingress"]["requests"]["GET"])
            assert 1 < rates["ingress"]["requests"]["GET"] < 7
            assert 1 < rates["egress"]["responses"]["2xx"] < 7
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE_S) == 130
            process.communicate()


def test_others_mention_it(here: Host) -> None:
    """--check and the live screen say that counters run, and where; nothing is said when none do."""
    with here.counting(NAME, "tc"):
        assert f"counters: on {NAME}: httptop counters show" in here.run(*HTTPTOP, "--check")
        with terminal(here.command(*HTTPTOP, "-i", NAME)) as window:
            window.wait_text(f"counters run on {NAME}")
    assert "counters:" not in here.run(*HTTPTOP, "--check")


@pytest.fixture
def foreign_xdp(wire: Site) -> Iterator[int]:
    """Somebody else's XDP program on the interface; its id."""
    index = wire.ifindex(wire.server)
    with someone_elses_xdp() as (program, number):
        set_xdp(wire.server, index, program)
        yield number
        set_xdp(wire.server, index, -1)


def test_foreign_xdp_program(wire: Site, here: Host, foreign_xdp: int) -> None:
    """XDP is refused with a way out, tcx counts beside it, and the program stays."""
    code, complaint = here.refused("start", "-i", NAME, "--hook", "xdp")
    assert code == 1
    assert f"has an XDP program already (id {foreign_xdp})" in complaint
    assert "use --hook tcx, or" in complaint
    with here.counting(NAME, "auto") as said:
        assert "(tcx," in said
        one_get(wire)
        here.reaches(NAME, ONE_GET)
    assert f"prog/xdp id {foreign_xdp} " in here.attached(NAME)


@pytest.fixture
def foreign_tcx(wire: Site) -> Iterator[str]:
    """Somebody else's tcx program for what comes in, which ends the walk; how `attached` shows it."""
    with someone_elses_xdp(PROG_TYPE_SCHED_CLS, TC_ACT_OK) as (program, number), \
            on_tcx(wire.server, NAME, "ingress", program):
        yield f"tcx ingress {number} "


def test_foreign_tcx_program(wire: Site, here: Host, foreign_tcx: str) -> None:
    """We count before it, whatever it decides; it is asked as before, and stays when we go."""
    with here.counting(NAME, "tcx"):
        names = [line for line in here.attached(NAME).splitlines() if line.startswith("tcx ingress")]
        assert [line.startswith(foreign_tcx) for line in names] == [False, True]
        one_get(wire)
        here.reaches(NAME, ONE_GET)
    assert foreign_tcx in here.attached(NAME)


def test_no_room_among_tcx_programs(wire: Site, here: Host) -> None:
    """Where others fill it, start says what the kernel says, and leaves nothing."""
    with contextlib.ExitStack() as stack:
        for _ in range(63):  # BPF_MPROG_MAX, less the end
            stack.enter_context(on_tcx(wire.server, NAME, "egress", stack.enter_context(empty_tc())[0]))
        assert here.refused("start", "-i", NAME, "--hook", "tcx")[0] == 1
        assert "httptop" not in here.attached(NAME)


def test_xdp_program_of_another_in_our_place(wire: Site, here: Host) -> None:
    """Who takes our program off and puts another one there keeps it: stop only removes the pins."""
    index = wire.ifindex(wire.server)
    with someone_elses_xdp() as (program, number):
        with here.counting(NAME, "xdp"):
            set_xdp(wire.server, index, program)
            until(lambda: not here.shown(NAME)["attached"], "show to notice")
            assert "not attached any more" in here.counters("show")
        assert f"prog/xdp id {number} " in here.attached(NAME)
        set_xdp(wire.server, index, -1)


FILTER = ("filter", "add", "dev", NAME, "ingress", "prio", "7", "protocol", "all", "u32", "match", "u32", "0", "0",
          "classid", "1:1")


@pytest.mark.parametrize("when", ["before", "after"])
def test_foreign_filter(wire: Site, here: Host, when: str) -> None:
    """A clsact with a filter of somebody else, made before or after our start, is there after our stop."""
    if when == "before":
        here.run("tc", "qdisc", "add", "dev", NAME, "clsact")
        here.run("tc", *FILTER)
    with here.counting(NAME, "tc"):
        if when == "after":
            here.run("tc", *FILTER)
        one_get(wire)
        here.reaches(NAME, ONE_GET)
    left = here.attached(NAME)
    assert "clsact" in left
    assert "pref 7 u32" in left
    assert "httptop" not in left
    here.run("tc", "qdisc", "del", "dev", NAME, "clsact")


def test_foreign_empty_clsact(here: Host) -> None:
    """A clsact that we found stays, even if nobody uses it."""
    here.run("tc", "qdisc", "add", "dev", NAME, "clsact")
    with here.counting(NAME, "tc"):
        pass
    assert "clsact" in here.attached(NAME)
    here.run("tc", "qdisc", "del", "dev", NAME, "clsact")


def test_ingress_qdisc(wire: Site, here: Host) -> None:
    """An ingress qdisc leaves no room for clsact: tc is refused with a way out, auto takes tcx, and the qdisc stays."""
    here.run("tc", "qdisc", "add", "dev", NAME, "ingress")
    code, complaint = here.refused("start", "-i", NAME, "--hook", "tc")
    assert (code, "use --hook tcx" in complaint) == (1, True)
    with here.counting(NAME, "auto") as said:
        assert "(tcx," in said
        one_get(wire)
        here.reaches(NAME, ONE_GET)
    assert "ingress ffff:" in here.attached(NAME)
    here.run("tc", "qdisc", "del", "dev", NAME, "ingress")


@pytest.mark.parametrize("blocks", [("ingress_block", "22"), ("egress_block", "23")])
def test_shared_block(here: Host, blocks: tuple[str, ...]) -> None:
    """Filters that several interfaces share are not ours to add to: auto takes tcx, and tc says why not."""
    here.run("tc", "qdisc", "add", "dev", NAME, *blocks, "clsact")
    code, complaint = here.refused("start", "-i", NAME, "--hook", "tc")
    assert (code, "(a block)" in complaint, "--hook tcx" in complaint) == (1, True, True)
    with here.counting(NAME, "auto") as said:
        assert "(tcx," in said
    assert "_block 2" in here.attached(NAME)
    here.run("tc", "qdisc", "del", "dev", NAME, "clsact")


@pytest.mark.parametrize("place", ["", f"/{NAME}", f"/{NAME}/something", f"/{NAME}/about", f"/{NAME}/counts"])
def test_pins_of_others(wire: Site, place: str) -> None:
    """What others pin where ours would be is neither shown nor stopped nor replaced; start says what is in the way."""
    with host(wire.server) as machine, someone_elses_xdp() as (_, number):
        machine.run("mount", "-t", "bpf", "bpf", "/sys/fs/bpf")
        where = f"/sys/fs/bpf/httptop{place}"
        machine.run("mkdir", "-p", where.rpartition("/")[0])
        machine.run("bpftool", "prog", "pin", "id", str(number), where)
        assert machine.counters("show").startswith("no counters are running")
        assert machine.refused("show", "-i", NAME)[0] == 1
        assert machine.counters("stop") == "no counters are running\n"
        assert machine.counters("stop", "-i", NAME) == f"no counters run on {NAME}\n"
        code, complaint = machine.refused("start", "-i", NAME, "--hook", "tc")
        assert (code, f"{NAME} holds what" in complaint) == (1, True)
        machine.run("bpftool", "prog", "show", "pinned", where)


def pair(where: Namespace, name: str) -> None:
    """One more veth pair within a namespace, up."""
    ip("-n", where.name, "link", "add", name, "type", "veth", "peer", "name", "other0")
    for end in (name, "other0"):
        ip("-n", where.name, "link", "set", end, "up")


@pytest.mark.parametrize("hook", HOOKS)
def test_interface_removed(wire: Site, here: Host, hook: str) -> None:
    """Its counts stay readable and are said to be final; a new interface of the same name starts from zero."""
    name = "veth.9"  # a BPF file system takes no dots
    pair(wire.server, name)
    here.counters("start", "-i", name, "--hook", hook)
    assert here.pinned() == ["veth:9", "veth:9/about", "veth:9/counts"]
    ip("-n", wire.server.name, "link", "del", name)
    until(lambda: not here.shown(name)["attached"], "show to notice")
    assert "these counts are final" in here.counters("show", "-i", name)
    pair(wire.server, name)
    assert f"counting on {name} (" in here.counters("start", "-i", name, "--hook", hook)
    assert here.shown(name)["attached"]
    ip("-n", wire.server.name, "link", "del", name)
    until(lambda: not here.shown(name)["attached"], "show to notice")
    assert here.counters("stop", "-i", name) == f"no more counters on {name}\n"


def rename(where: Namespace, name: str, new: str) -> None:
    """Give an interface another name."""
    ip("-n", where.name, "link", "set", name, "down")
    ip("-n", where.name, "link", "set", name, "name", new, "up")


@pytest.mark.parametrize("hook", HOOKS)
def test_interface_renamed(wire: Site, here: Host, hook: str) -> None:
    """It is known by both names; no second set is started on it, and a new one of its old name is another one."""
    pair(wire.server, "veth8")
    here.counters("start", "-i", "veth8", "--hook", hook)
    rename(wire.server, "veth8", "veth9")
    assert "veth8 (now veth9): " in here.counters("show", "-i", "veth9")
    ip("-n", wire.server.name, "link", "add", "veth8", "type", "veth", "peer", "name", "other8")
    for name in ("veth8", "veth9"):
        code, complaint = here.refused("start", "-i", name, "--hook", hook)
        assert (code, "started on veth8 run on veth9 now" in complaint) == (1, True)
        assert "stop -i veth8" in complaint
    assert here.shown("veth8")["now"] == "veth9"
    assert here.counters("stop", "-i", "veth9") == "no more counters on veth9\n"
    assert "httptop" not in here.attached("veth9")
    for name in ("veth8", "veth9"):
        assert "clsact" not in here.attached(name)
        ip("-n", wire.server.name, "link", "del", name)


@pytest.mark.parametrize("hook", ["tcx", "xdp"])
def test_interface_moved(wire: Site, here: Host, hook: str) -> None:
    """Its programs go along: stop says so where the interface was, and stops them where it is."""
    pair(wire.server, "veth9")
    here.counters("start", "-i", "veth9", "--hook", hook)
    ip("-n", wire.server.name, "link", "set", "veth9", "netns", wire.client.name)
    for verb in ("start", "stop"):
        if verb == "start":
            ip("-n", wire.server.name, "link", "add", "veth9", "type", "veth", "peer", "name", "other9")
        code, complaint = here.refused(verb, "-i", "veth9")
        assert (code, "another network namespace" in complaint) == (1, True)
    assert here.shown("veth9")["attached"]
    elsewhere = here.also(wire.client)
    assert "run on veth9 already" in elsewhere.counters("start", "-i", "veth9")
    assert elsewhere.counters("stop", "-i", "veth9") == "no more counters on veth9\n"
    assert not [word for word in ("xdp", "httptop") if word in elsewhere.attached("veth9")]
    for end in (wire.client, wire.server):
        ip("-n", end.name, "link", "del", "veth9")


@pytest.mark.parametrize("hook", ["tc", "xdp"])  # CAP_SYS_ADMIN is enough for tcx
def test_stop_that_may_not(here: Host, hook: str) -> None:
    """Without CAP_NET_ADMIN nothing is stopped, and what counts is still shown."""
    with here.counting(NAME, hook):
        words = ("setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin", *HTTPTOP, "counters", "stop")
        done = subprocess.run(here.command(*words), capture_output=True, text=True, check=False)
        assert (done.returncode, "CAP_NET_ADMIN" in done.stderr, "attach" in done.stderr) == (3, True, False)
        assert here.shown(NAME)["attached"]


@pytest.mark.parametrize(("hook", "healer"), [(hook, healer) for hook in HOOKS for healer in ("start", "stop")])
def test_pins_vanish(wire: Site, hook: str, healer: str) -> None:
    """Who unmounts the BPF file system takes the pins; the next start or stop takes off what no pin tells of."""
    with host(wire.server) as machine:
        machine.counters("start", "-i", NAME, "--hook", hook)
        machine.run("umount", "/sys/fs/bpf")
        assert "httptop" in machine.attached(NAME)
        if healer == "start":
            with machine.counting(NAME, hook):
                assert machine.attached(NAME).count("httptop_in") == 1
        else:
            assert machine.counters("stop", "-i", NAME) == f"no more counters on {NAME}\n"
        assert "httptop" not in machine.attached(NAME)
        subprocess.run(machine.command("tc", "qdisc", "del", "dev", NAME, "clsact"), capture_output=True, check=False)


def test_strays_of_others(here: Host, foreign_xdp: int, foreign_tcx: str) -> None:
    """A filter, an XDP program and a tcx program that are not ours are no strays."""
    here.run("tc", "qdisc", "add", "dev", NAME, "clsact")
    here.run("tc", *FILTER)
    assert here.counters("stop", "-i", NAME) == f"no counters run on {NAME}\n"
    assert "pref 7 u32" in here.attached(NAME)
    assert f"prog/xdp id {foreign_xdp} " in here.attached(NAME)
    assert foreign_tcx in here.attached(NAME)
    here.run("tc", "qdisc", "del", "dev", NAME, "clsact")


@pytest.mark.parametrize("way", ["ingress", "egress"])
@pytest.mark.parametrize("hook", ["tcx", "tc"])
def test_one_program_removed(here: Host, hook: str, way: str) -> None:
    """What the other one counts is not called final."""
    with here.counting(NAME, hook):
        if hook == "tc":
            here.run("tc", "filter", "del", "dev", NAME, way)
        else:
            take_off(here.where, NAME, way)
        [other] = {"ingress", "egress"} - {way}
        until(lambda: here.shown(NAME)["counting"] == [other], "show to notice")
        assert f"only {other} still counts" in here.counters("show")


def test_two_interfaces(wire: Site, here: Host) -> None:
    """Each counts its own traffic; stop with a name stops that one, stop without one stops the rest."""
    pair(wire.server, "veth9")
    here.counters("start", "-i", f"{NAME},veth9", "--hook", "tc")
    here.counters("start", "-i", "lo", "--hook", "xdp")
    one_get(wire)
    here.reaches(NAME, ONE_GET)
    here.reaches("veth9", (0,) * 16)
    assert [row["interface"] for row in json.loads(here.counters("show", "--json"))["interfaces"]] == [
        "lo", NAME, "veth9"]
    here.counters("stop", "-i", "veth9")
    assert {row["interface"] for row in json.loads(here.counters("show", "--json"))["interfaces"]} == {"lo", NAME}
    assert here.counters("stop") == f"no more counters on lo\nno more counters on {NAME}\n"
    ip("-n", wire.server.name, "link", "del", "veth9")


@pytest.mark.parametrize("wrong", ["nope0", "any"])
def test_one_wrong_name_of_several(here: Host, wrong: str) -> None:
    """Nothing is started when one of the names is wrong."""
    assert here.refused("start", "-i", f"{NAME},{wrong}")[0] == 2
    assert here.counters("show").startswith("no counters are running")


def test_other_network_namespace(wire: Site, here: Host) -> None:
    """An interface of the same name elsewhere is another one: it is neither started nor stopped from here."""
    elsewhere = here.also(wire.client)
    with here.counting(NAME, "tc"):
        for verb in ("start", "stop"):
            code, complaint = elsewhere.refused(verb, "-i", NAME)
            assert (code, "another network namespace" in complaint) == (1, True)
        assert here.shown(NAME)["attached"]
        assert elsewhere.shown(NAME)["attached"]


@pytest.mark.parametrize(("hook", "function", "nth", "healer"), [
    ("tc", "begin", 1, "stop"),  # loaded
    ("tc", "pin", 1, "start"),  # an empty directory
    ("tc", "add_clsact", 1, "stop"),  # it says what will be there
    ("tc", "add_filters", 1, "stop"),  # a qdisc
    ("tc", "_name", 2, "start"),  # one filter of two
    ("tc", "pin", 2, "stop"),  # all but the counts
    ("tc", "sentence", 1, "stop"),  # all
    ("tcx", "add_tcx", 1, "stop"),  # it says what will be there
    ("tcx", "_change", 2, "start"),  # one program of two
    ("tcx", "_change", 2, "stop"),
    ("xdp", "_set_xdp", 1, "start"),
    ("xdp", "pin", 2, "stop"),
])
def test_killed_while_it_starts(here: Host, hook: str, function: str, nth: int, healer: str) -> None:
    """Killed anywhere, a start leaves nothing to be seen or a whole thing; the next start or stop clears the rest."""
    words = [sys.executable, "-c", SUICIDE, function, str(nth), "counters", "start", "-i", NAME, "--hook", hook]
    assert subprocess.run(here.command(*words), check=False).returncode == -signal.SIGKILL
    shown = json.loads(here.counters("show", "--json"))["interfaces"]
    assert [row["attached"] for row in shown] == [True] * (function == "sentence")
    if healer == "start":
        assert "counting on" in here.counters("start", "-i", NAME, "--hook", hook)
        assert here.shown(NAME)["attached"]
    here.counters("stop")


@pytest.mark.parametrize(("hook", "function", "nth", "healer"), [
    ("tc", "detach", 1, "stop"),  # nothing done
    ("tc", "_remove_filter", 2, "start"),  # one filter of two is left
    ("tc", "_kind", 1, "stop"),  # the qdisc is
    ("tcx", "_change", 2, "start"),  # one program of two is
    ("tcx", "remove", 1, "stop"),  # the pins are
    ("tc", "remove", 1, "start"),  # the pins are
    ("xdp", "_remove_xdp", 1, "start"),
    ("xdp", "remove", 1, "stop"),
])
def test_killed_while_it_stops(here: Host, hook: str, function: str, nth: int, healer: str) -> None:
    """Killed anywhere, a stop leaves what can be seen, as it is; the next start or stop clears it."""
    here.counters("start", "-i", NAME, "--hook", hook)
    words = [sys.executable, "-c", SUICIDE, function, str(nth), "counters", "stop"]
    assert subprocess.run(here.command(*words), check=False).returncode == -signal.SIGKILL
    whole = function in ("detach", "_remove_xdp")
    until(lambda: here.shown(NAME)["attached"] == whole, "show to notice")
    if healer == "start":
        here.counters("start", "-i", NAME, "--hook", hook)
        assert here.shown(NAME)["attached"]
    assert here.counters("stop") == f"no more counters on {NAME}\n"


@pytest.mark.parametrize("hook", HOOKS)
def test_interface_vanishes_while_it_starts(wire: Site, here: Host, hook: str) -> None:
    """Start says what the kernel says, and leaves nothing."""
    pair(wire.server, "veth9")
    words = [sys.executable, "-c", VANISHING, "veth9", "counters", "start", "-i", "veth9", "--hook", hook]
    done = subprocess.run(here.command(*words), capture_output=True, text=True, check=False)
    assert (done.returncode, "No such device" in done.stderr) == (1, True), done.stderr


def test_loader_killed(here: Host) -> None:
    """When the child that compiles is killed, start says that it gave no answer, and leaves nothing."""
    words = here.command(*HTTPTOP, "counters", "start", "-i", NAME, "--hook", "tc")
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        os.kill(int(until(lambda: children.read_text().split(), "the loader")[0]), signal.SIGKILL)
        _, complaint = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, "gave no answer" in complaint) == (3, True)
