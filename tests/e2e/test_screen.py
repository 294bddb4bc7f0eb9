"""The screen on live traffic, in a real terminal."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from tests.support import load
from tests.support.net import Site
from tests.support.nginx import Nginx
from tests.support.poll import until
from tests.support.program import HTTPTOP
from tests.support.terminal import Terminal, terminal


def test_shows_urls_and_processes(wire: Site, web: Nginx) -> None:
    """Paths, the server's and the client's names, and methods appear; nothing was lost, and it says so."""
    with terminal(wire.server.command(*HTTPTOP, "-i", "veth0")) as window:
        window.wait_attached()
        load.curl(wire.client, "GET", web.url(wire.server4), "/ok", 7)
        load.curl(wire.client, "POST", web.url(wire.server6), "/created", 3)
        for word in ("veth0", "/ok", "/created", "curl", "nginx", "GET", "POST", "nothing lost"):
            window.wait_text(word)


def see_two_urls(window: Terminal, wire: Site, web: Nginx) -> None:
    """Attach, ask for one 7 times by GET and for the other one 3 times by POST, and wait for the last."""
    window.wait_attached()
    load.curl(wire.client, "GET", web.url(wire.server4), "/ok", 7)
    load.curl(wire.client, "POST", web.url(wire.server4), "/created", 3)
    window.wait_text("/created")


def test_filter_and_clear(wire: Site, web: Nginx) -> None:
    """`m` filters by method, `Esc` shows everything again."""
    with terminal(wire.server.command(*HTTPTOP, "-i", "veth0")) as window:
        see_two_urls(window, wire, web)
        window.wait_text("/ok")
        window.keys("m")
        window.wait_text("show one method")
        window.keys("POST", "Enter")
        window.wait_gone("/ok")
        assert "/created" in window.screen
        window.keys("Escape")
        window.wait_text("/ok")


def test_pause_holds_the_screen_and_not_the_count(wire: Site, web: Nginx) -> None:
    """While paused nothing new is drawn; afterwards what came meanwhile is there."""
    with terminal(wire.server.command(*HTTPTOP, "-i", "veth0", "-d", "0.3")) as window:
        window.wait_attached()
        load.curl(wire.client, "GET", web.url(wire.server4), "/ok", 1)
        window.wait_text("/ok")
        window.keys("Space")
        window.wait_text("paused")
        load.curl(wire.client, "GET", web.url(wire.server4), "/created", 5)
        until(lambda: re.search(r"paused, [1-9]\d*s old", window.screen), "time to pass on the screen")
        assert "/created" not in window.screen
        window.keys("Space")
        window.wait_text("/created")


def test_help_and_back(wire: Site) -> None:
    """`?` opens the help, `Esc` leaves it."""
    with terminal(wire.server.command(*HTTPTOP, "-i", "veth0")) as window:
        window.wait_attached()
        window.wait_gone("this help")
        window.keys("?")
        window.wait_text("this help")
        window.keys("Escape")
        window.wait_gone("this help")  # a key right behind Escape would be taken for Alt and that key
        window.keys("q")
        assert window.wait_exit() == 0


def test_a_session(wire: Site, web: Nginx, tmp_path: Path) -> None:
    """Sort, details of a URL and of a process, the log, another delay, export as JSON and CSV: all on live traffic."""
    tmp_path.chmod(0o777)  # httptop is no longer root when it writes
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    inside = wire.server.command("sh", "-c", f"cd {tmp_path} && exec {shlex.join([*HTTPTOP, '-i', 'veth0'])}")
    with terminal(inside) as window:
        see_two_urls(window, wire, web)
        window.keys(">")
        window.wait_text("by reqs")
        window.keys("Enter")
        window.wait_text("7 requests")
        assert "served by" in window.wait_text("curl")
        window.keys("Escape")
        window.wait_gone("served by")
        worker = re.search(r"(\d+) nginx .*server", window.screen)  # both may have served; by name both would be shown
        assert worker, window.screen
        window.keys("p")
        window.wait_text("show one process")
        window.keys(worker[1], "Enter")
        window.wait_text(f"pid:{worker[1]}")
        window.keys("2")
        window.keys("Enter")
        shown = window.wait_text("listens on")
        for word in ("nginx", "accepts", "methods", "user"):
            assert word in shown, shown
        window.keys("Escape")
        window.wait_gone("listens on")
        window.keys("Escape")
        window.wait_gone("pid:")
        window.keys("5")
        window.wait_text("ASKED BY")
        window.keys("5")
        window.wait_gone("ASKED BY")
        window.keys("d")
        window.wait_text("seconds between refreshes")
        window.keys("0.25", "Enter")
        window.wait_text("every 0.25s")
        for key, kind in (("j", "json"), ("c", "csv")):
            window.keys("e")
            window.wait_text("save what is shown as")
            window.keys(key)
            until(lambda kind=kind: list(tmp_path.glob(f"httptop-*.{kind}")), f"the {kind} file")  # type: ignore[misc]
            window.wait_gone("save what is shown as")
        window.keys("q")
        assert window.wait_exit() == 0
    [exported] = tmp_path.glob("*.json")
    urls = json.loads(exported.read_text())["urls"]
    assert {row["path"]: row["requests"] for row in urls} == {"/ok": 7, "/created": 3}
