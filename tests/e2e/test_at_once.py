"""Both ends of a connection may speak at once, on two CPUs: nothing is counted twice, and no answer is another's."""

from __future__ import annotations

import random
import socket
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support import load
from tests.support.dialogs import get
from tests.support.flood import SMALL_RING
from tests.support.net import Namespace, namespace
from tests.support.nginx import nginx
from tests.support.poll import PATIENCE_S, until
from tests.support.program import HTTPTOP, Snapshot, httptop

ADDRESS = "127.0.0.1"
STATUS = {"/ok": 200, "/missing": 404, "/broken": 500, "/created": 201}
LAST = "/last"


class Share(NamedTuple):
    """What one process does. Each connection asks in turn, then once more, and every second one then asks ahead."""

    seed: int
    connections: int
    pause_s: float
    turns: int = 3  # after as many the kernel counts alone
    ahead: bool = True


def _receive(end: socket.socket, answers: int) -> None:
    """Whole answers."""
    data = b""
    while answers:
        head, found, rest = data.partition(b"\r\n\r\n")
        length = int(head.partition(b"Content-Length: ")[2].split()[0]) if found else 0
        if found and len(rest) >= length:
            data = rest[length:]
            answers -= 1
        else:
            more = end.recv(65536)
            assert more, data
            data += more


def _converse(where: Namespace, port: int, share: Share) -> Counter[str]:
    """The last request is followed by another one, or by the end, while its answer is on its way. What was asked."""
    dice, asked = random.Random(share.seed), Counter[str]()
    for number in range(share.connections):
        with where.socket(socket.AF_INET) as end:
            end.settimeout(PATIENCE_S)
            end.connect((ADDRESS, port))
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ahead = share.ahead and number % 2
            paths = dice.choices(list(STATUS), k=share.turns + (2 if ahead else 1))
            for path in paths[: share.turns]:
                end.sendall(get(path))
                _receive(end, 1)
            end.sendall(get(paths[share.turns]))
            then = time.perf_counter() + dice.uniform(0, 200e-6)
            while time.perf_counter() < then:
                pass
            if ahead:
                end.sendall(get(paths[-1]))
                _receive(end, 2)
            else:
                end.shutdown(socket.SHUT_WR)
                _receive(end, 1)
            asked.update(paths)
        time.sleep(share.pause_s)
    return asked


def _is_at_rest(snapshots: list[Snapshot]) -> bool:
    """Whether the last of them has nothing that the one before had not."""
    counts = [[row["requests"] for row in snapshot["urls"]] for snapshot in snapshots[-2:]]
    return len(counts) == 2 and counts[0] == counts[1] != []


def _watched(folder: Path, flags: tuple[str, ...], shares: list[Share],
             program: tuple[str, ...] = HTTPTOP) -> tuple[Counter[str], Snapshot]:
    """What was asked for, and what httptop says of it."""
    with namespace() as here, nginx(folder, here) as web, \
            httptop("-i", "lo", "-b", "--json", "-d", "0.2", *flags, where=here, program=program) as top:
        top.wait_attached()
        with ProcessPoolExecutor(len(shares), get_context("fork")) as pool:
            running = [pool.submit(_converse, here, web.port, share) for share in shares]
            asked = sum((one.result() for one in running), Counter[str]())
        until(lambda: _is_at_rest(top.snapshots()), "all to be read")  # LAST must not be lost
        load.curl(here, "GET", web.url(ADDRESS), LAST)
        return asked, top.wait_path(LAST)


@pytest.mark.parametrize(("flags", "shares"), [
    ((), [Share(seed, 3000, 0) for seed in range(3)]),
    (("--no-fast-path",), [Share(7, 3000, 0.0005)]),  # slower: all that it counts goes through the ring
], ids=["fast path", "reference path"])
def test_each_request_has_its_own_answer(tmp_path: Path, flags: tuple[str, ...], shares: list[Share]) -> None:
    """The tables have each request once, with the status that its path is answered with, and nothing is left over."""
    asked, seen = _watched(tmp_path, flags, shares)
    rows = {row["path"]: (row["requests"], row["statuses"]) for row in seen["urls"] if row["path"] != LAST}
    assert {loss["reason"]: loss["events"] for loss in seen["losses"] if loss["events"]} == {}
    assert rows == {path: (asked[path], {str(status): asked[path]}) for path, status in STATUS.items()}
    assert seen["skipped"]["unanswered"] == seen["skipped"]["responses_alone"] == 0


def test_no_request_has_the_answer_of_another(tmp_path: Path) -> None:
    """Nor where much of what comes is lost: a ring for some hundred messages, and more than can be read."""
    shares = [Share(seed, 200, 0, turns=50, ahead=False) for seed in range(3)]
    asked, seen = _watched(tmp_path, ("--no-fast-path",), shares, SMALL_RING)
    assert sum(loss["events"] for loss in seen["losses"]) > 1000
    assert seen["totals"]["requests"] == sum(asked.values()) + 1
    statuses = {row["path"]: set(row["statuses"]) for row in seen["urls"] if row["path"] != LAST}
    assert statuses == {path: {str(status)} for path, status in STATUS.items()}
