"""Under more than it can read, the screen says so, stays responsive, and recovers by itself; totals stay exact.

Speed is not tested here, but that it is not lost: how fast keys are answered is what `make bench` tells (overload).
"""

from __future__ import annotations

import json
import re
import shlex
import statistics
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support import load
from tests.support.flood import SMALL_RING, flood
from tests.support.net import namespace
from tests.support.nginx import nginx
from tests.support.poll import until
from tests.support.terminal import Terminal, terminal

ADDRESS = "127.0.0.1"
URLS = 5000  # answered or not: with both there is place in the tables for one more
PRESSES = 5
ANSWERED_S = 1.0  # by the median key; on a machine that is busy with other things
WATCHED_S = 4.0
REPAINTS = 4  # in that time, of 16 that are due
LOOK_S = 0.05  # looking more often takes the time that it is to measure
FRESH, TIMES = "/ok/fresh", 7
SAID = ("events lost", "of the requests in the tables; totals are exact", "ring request", "ring response",
        "httptop could not read as fast")


def answered_s(window: Terminal) -> float:
    """How long it takes to pause and to go on, as the median of some."""
    took = []
    for wait in (window.wait_text, window.wait_gone) * PRESSES:
        pressed = time.monotonic()
        window.keys("Space")
        wait("paused")
        took.append(time.monotonic() - pressed)
    return statistics.median(took)


def repaints(window: Terminal) -> int:
    """How many different screens there are to see in a while."""
    screens, end = [window.screen], time.monotonic() + WATCHED_S
    while time.monotonic() < end:
        time.sleep(LOOK_S)
        screens += [now] if (now := window.screen) != screens[-1] else []
    return len(screens) - 1


def exported(window: Terminal, folder: Path) -> dict[str, Any]:
    """What is on the screen, as JSON."""
    before = set(folder.glob("*.json"))
    window.keys("e")
    window.wait_text("save what is shown as")
    window.keys("j")
    until(lambda: set(folder.glob("*.json")) - before, "the file")
    window.wait_gone("save what is shown as")
    [file] = set(folder.glob("*.json")) - before
    until(lambda: file.read_text().endswith("\n"), "all of the file")
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def settled(window: Terminal, folder: Path, served: int) -> dict[str, Any]:
    """The same, when all that was served is counted there: a screen is as old as its delay."""
    found: dict[str, Any] = {}

    def is_all() -> bool:
        found.update(exported(window, folder))
        return min(found["totals"]["requests"], found["totals"]["responses"]) >= served

    until(is_all, "all that was served")
    return found


def lost(snapshot: dict[str, Any]) -> dict[str, int]:
    """Events by reason, of those that struck."""
    return {row["reason"]: row["events"] for row in snapshot["losses"] if row["events"]}


@pytest.fixture
def writable(tmp_path: Path) -> Path:
    """A folder that httptop can write into when it is no longer root."""
    tmp_path.chmod(0o777)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    (tmp_path / "exports").mkdir(mode=0o777)
    (tmp_path / "exports").chmod(0o777)
    return tmp_path / "exports"


def test_overload(tmp_path: Path, writable: Path) -> None:
    """A flood that leaves no time to read: what is lost is named, nothing is miscounted, and afterwards all is seen."""
    with namespace() as here, nginx(tmp_path, here, workers=1, log=False) as web:
        program = shlex.join([*SMALL_RING, "-i", "lo", "-d", "0.25"])
        with terminal(here.command("sh", "-c", f"cd {writable} && exec {program}"), 200, 60) as window:
            window.wait_attached()
            window.wait_text("nothing lost")
            with flood(here, ADDRESS, web.port, URLS) as asked:
                until(lambda: re.search(r"\d% seen, \S+ lost ", window.screen), "what was lost, in the header")
                window.wait_text("events lost")
                assert answered_s(window) < ANSWERED_S
                assert repaints(window) >= REPAINTS
                window.keys("?")
                window.wait_text("this help")
                window.keys("Escape")
                window.wait_gone("this help")
            served = web.requests()
            assert asked == [served]

            for text in SAID:
                window.wait_text(text)
            window.wait_gone("/s now")
            check_flooded(after := settled(window, writable, served), served)

            load.curl(here, "GET", web.url(ADDRESS), FRESH, TIMES)
            window.keys("/")
            window.wait_text("filter / ")
            window.keys(f"path:{FRESH}", "Enter")
            window.wait_gone("filter / ")  # a key right behind Enter would still be for the prompt
            until(lambda: re.search(rf"{FRESH} .* {TIMES} +{TIMES} ", window.screen), "all of it, and its answers")
            check_fresh(exported(window, writable), after)
            window.keys("q")
            assert window.wait_exit() == 0


def check_flooded(snapshot: dict[str, Any], served: int) -> None:
    """All is counted, and what is not in the tables is lost by name."""
    totals = snapshot["totals"]
    assert (totals["requests"], totals["responses"]) == (served, served)
    assert totals["by_method"] == {"GET": served}
    assert totals["by_status"] == {"2xx": served}
    told = sum(row["requests"] for row in snapshot["urls"])
    assert told + lost(snapshot)["ring_request"] == served
    answered = sum(row["responses"] for row in snapshot["urls"]) + snapshot["skipped"]["responses_alone"]
    assert answered + lost(snapshot)["ring_response"] == served
    assert {"ring_request", "ring_response"} <= set(lost(snapshot)) <= {"ring_request", "ring_response", "ring_segment"}
    assert 0 < told < served
    assert snapshot["completeness"] == pytest.approx(told / served)


def check_fresh(snapshot: dict[str, Any], before: dict[str, Any]) -> None:
    """All is seen that was asked since, and nothing more was lost."""
    [row] = snapshot["urls"]
    assert (row["path"], row["requests"], row["statuses"]) == (FRESH, TIMES, {"200": TIMES})
    assert snapshot["totals"]["requests"] == before["totals"]["requests"] + TIMES
    assert snapshot["totals"]["responses"] == before["totals"]["responses"] + TIMES
    assert lost(snapshot) == lost(before)
