"""The screen on live traffic, in a real terminal."""

from __future__ import annotations

import re

from tests.support import load
from tests.support.net import Site
from tests.support.nginx import Nginx
from tests.support.poll import until
from tests.support.program import HTTPTOP
from tests.support.terminal import terminal


def test_shows_urls_and_processes(wire: Site, web: Nginx) -> None:
    """Paths, the server's and the client's names, and methods appear; nothing was lost, and it says so."""
    with terminal(wire.server.command(*HTTPTOP, "-i", "veth0")) as window:
        window.wait_attached()
        load.curl(wire.client, "GET", web.url(wire.server4), "/ok", 7)
        load.curl(wire.client, "POST", web.url(wire.server6), "/created", 3)
        for word in ("veth0", "/ok", "/created", "curl", "nginx", "GET", "POST", "nothing lost"):
            window.wait_text(word)


def test_filter_and_clear(wire: Site, web: Nginx) -> None:
    """`m` filters by method, `Esc` shows everything again."""
    with terminal(wire.server.command(*HTTPTOP, "-i", "veth0")) as window:
        window.wait_attached()
        load.curl(wire.client, "GET", web.url(wire.server4), "/ok", 7)
        load.curl(wire.client, "POST", web.url(wire.server4), "/created", 3)
        window.wait_text("/created")
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
