"""Owners: processes are told apart by pid and start time, looked for again when not known, and never guessed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from httptop.owners import Owned, Owners
from httptop.records import (
    NO_OWNER,
    OWNER,
    TRANSLATED,
    Accept,
    How,
    endpoint,
    flow_key,
    nobody,
)
from httptop.snapshot import Process

CLIENT, SERVER = endpoint(bytes((10, 0, 0, 9)), 40000), endpoint(bytes((10, 0, 0, 1)), 80)
FLOW, ASKING = flow_key(CLIENT, SERVER)
SECOND = 1_000_000_000


def owner(pid: int, *, how: How = How.RECV, start_ns: int = SECOND, comm: bytes = b"web", contested: int = 0) -> bytes:
    return OWNER.pack(pid, how, 0, contested, start_ns, comm)


def host(pid: int, start_ns: int, comm: str) -> Process:
    """A host on which every process is alive."""
    return Process(pid, comm, start_ns / 1e9)


def known(server: bytes = NO_OWNER, client: bytes = NO_OWNER) -> list[bytes]:
    """As a flow has them: by endpoint."""
    return [client, server] if ASKING == 0 else [server, client]


def ends(owners: Owners, at: list[bytes], now_ns: int = 0) -> tuple[Owned, Owned]:
    server, client = owners.ends(FLOW, ASKING, at, now_ns)
    return owners.process(server, now_ns), owners.process(client, now_ns)


class Finder:
    """What the kernel says late."""

    def __init__(self, found: dict[int, bytes]) -> None:
        self.found = found
        self.asked: list[int] = []

    def __call__(self, _flow: bytes, end: int) -> bytes:
        self.asked.append(end)
        return self.found.get(end, NO_OWNER)


def test_both_ends() -> None:
    """What the records tell needs no look-up."""
    finder = Finder({})
    server, client = ends(Owners(host, finder), known(owner(1), owner(2, how=How.CONNECT, comm=b"curl")))
    assert (server.process, server.how) == (Process(1, "web", 1.0), "recv")
    assert (client.process, client.how) == (Process(2, "curl", 1.0), "connect")
    assert finder.asked == []


def test_one_pid_and_two_start_times_are_two_processes() -> None:
    """A pid that is used again within the same moment is another process."""
    owners = Owners(host)
    first, second = (owners.process(owner(7, start_ns=n * SECOND), 0).process for n in (1, 2))
    assert first != second


def test_one_process_by_two_sources_is_one() -> None:
    """The kernel's start time is finer than that of /proc, by which seeds are made: both are one process."""
    owners = Owners(lambda pid, start_ns, comm: Process(pid, comm, start_ns // 10_000_000 / 100))
    fine, coarse = (owners.process(owner(7, how=how, start_ns=n), 0) for how, n in (
        (How.RECV, 1_234_567_890), (How.SOCK_DIAG, 1_230_000_000)))
    assert fine.process is coarse.process
    assert (fine.how, coarse.how) == ("recv", "sock_diag")


def test_a_title_that_changes_is_one_process() -> None:
    """A server that writes its state into its command line stays one row."""
    titles = iter(("nginx: master process", "nginx: worker process"))
    owners = Owners(lambda pid, start_ns, comm: Process(pid, comm, start_ns / 1e9, next(titles)))
    assert owners.process(owner(7), 0).process is owners.process(owner(7, how=How.ACCEPT), 0).process


@pytest.mark.parametrize("after_ns", [0, 2 * SECOND])
def test_without_start_times_a_process_is_looked_at_again(after_ns: int) -> None:
    """Where the kernel does not tell when a process started, an answer holds for a second."""
    starts = iter((1.0, 2.0))
    owners = Owners(lambda pid, _start_ns, comm: Process(pid, comm, next(starts)))
    first = owners.process(owner(7, start_ns=0), 0).process
    assert (owners.process(owner(7, start_ns=0), after_ns).process == first) is (after_ns == 0)


def test_accept_tells_when_nothing_else_does() -> None:
    """Whoever accepted from this peer serves it, until somebody reads."""
    owners = Owners(host)
    owners.accepted(Accept(0, owner(5, how=How.ACCEPT), 4, CLIENT[16:], CLIENT[:16]))
    server, _ = ends(owners, known(client=owner(2)))
    assert (server.process, server.how) == (Process(5, "web", 1.0), "accept")
    server, _ = ends(owners, known(server=owner(6), client=owner(2)))
    assert server.process == Process(6, "web", 1.0)


def test_late() -> None:
    """An end that the records do not tell is asked for once a second, and then known."""
    finder = Finder({})
    owners = Owners(host, finder)
    for _ in range(3):
        assert ends(owners, known(client=owner(2)))[0].process is None
    assert finder.asked == [1 - ASKING]
    finder.found[1 - ASKING] = owner(1)
    assert ends(owners, known(client=owner(2)), 2 * SECOND)[0].process == Process(1, "web", 1.0)


def test_other_hosts_are_not_asked_for_again() -> None:
    """A server's clients are mostly elsewhere: each address is looked into once."""
    finder = Finder({})
    owners = Owners(host, finder)
    for second in range(5):
        _, client = ends(owners, known(server=owner(1)), second * SECOND)
        assert client == (None, "remote")
    assert finder.asked == [ASKING]


@pytest.mark.parametrize(("at", "found", "how"), [
    (known(), {}, "unknown: elsewhere"),
    (known(client=owner(2)), {}, "remote"),
    (known(), {1 - ASKING: nobody(TRANSLATED)}, "unknown: translated"),
    (known(server=owner(1, contested=1), client=owner(2)), {}, "unknown: contested"),
    (known(server=owner(1), client=owner(2, contested=1)), {}, "unknown: contested"),
])
def test_reasons(at: list[bytes], found: dict[int, bytes], how: str) -> None:
    """An end without a process says why."""
    server, _ = ends(Owners(host, Finder(found)), at)
    assert server == (None, how)


def test_capture_files_have_no_processes() -> None:
    """The processes of a capture file are another host's."""
    lookup: Callable[[int, int, str], None] = lambda *_: None  # noqa: E731
    server, client = ends(Owners(lookup), known())
    assert server.process is client.process is None
