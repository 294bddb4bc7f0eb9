"""Root is given up before the first packet is read, and httptop can live without it."""

from __future__ import annotations

import pwd
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import httptop as package
from tests.support import load
from tests.support.net import Site
from tests.support.nginx import Nginx
from tests.support.program import httptop, status
from tests.support.terminal import terminal

WATCH = ("-i", "veth0", "-b", "--json", "-d", "0.2")
# key, what takes it back, what shows that it worked
OPENS = (("?", "Escape", "this help"), ("p", "Escape", "show one process"), ("m", "Escape", "show one method"),
         ("C-p", "Escape", "Search for commands"), ("Space", "Space", "paused"))
NOT_NEEDED = shutil.ignore_patterns("*httptop*", "mypy*", "ruff*", "pip*", "hypothesis*", "__pycache__", "tests")


@pytest.mark.parametrize("sudo", [None, (12345, 12346)])
def test_no_capability_is_left(wire: Site, sudo: tuple[int, int] | None) -> None:
    """While it captures, every thread is the sudo caller (else nobody), in no group, without capabilities."""
    env = {"SUDO_UID": str(sudo[0]), "SUDO_GID": str(sudo[1])} if sudo else {"SUDO_UID": "", "SUDO_GID": ""}
    nobody = pwd.getpwnam("nobody")
    uid, gid = sudo or (nobody.pw_uid, nobody.pw_gid)
    with httptop(*WATCH, where=wire.server, env=env) as top:
        top.wait_attached()
        for task in Path(f"/proc/{top.pid}/task").iterdir():
            fields = status(int(task.name))
            assert {fields[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
            assert fields["Uid"].split() == [str(uid)] * 4
            assert fields["Gid"].split() == [str(gid)] * 4
            assert set(fields["Groups"].split()) <= {str(gid)}


@pytest.fixture(scope="session")
def private_copy(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command that runs a copy of httptop, installed below a directory that only root can enter."""
    home = tmp_path_factory.mktemp("home")
    home.chmod(0o700)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home / "venv"], check=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home / "venv")}))
    shutil.copytree(sysconfig.get_path("purelib"), site, ignore=NOT_NEEDED, dirs_exist_ok=True)
    source = Path(package.__file__).parent
    shutil.copytree(source, site / "httptop", ignore=shutil.ignore_patterns("__pycache__", "bpf"))
    inside = source / "bpf"  # where a wheel has it
    shutil.copytree(inside if inside.is_dir() else source.parent / "bpf", site / "httptop/bpf")
    return [str(home / "venv/bin/python"), "-I", "-m", "httptop"]


def test_batch_from_a_private_home(wire: Site, web: Nginx, private_copy: list[str]) -> None:
    """A batch run works to its end although its files became unreadable on the way."""
    with httptop("-i", "veth0", "-b", "-n", "3", "-d", "0.5", where=wire.server, program=tuple(private_copy)) as top:
        top.wait_attached()
        load.curl(wire.client, "GET", web.url(wire.server4), "/ok", 3)
        assert top.wait() == 0, top.err
        assert top.err == ""
        assert "/ok" in top.out


def test_screen_from_a_private_home(wire: Site, web: Nginx, private_copy: list[str]) -> None:
    """Every key of the screen works after the drop: nothing is imported or opened too late."""
    with terminal(wire.server.command(*private_copy, "-i", "veth0")) as window:
        window.wait_attached()
        load.curl(wire.client, "GET", web.url(wire.server4), "/ok", 3)
        window.wait_text("/ok")
        for key, leave, text in OPENS:
            window.keys(key)
            window.wait_text(text)
            window.keys(leave)
            window.wait_gone(text)
        load.curl(wire.client, "GET", web.url(wire.server4), "/created", 2)
        window.wait_text("/created")
        window.keys("q")
        assert window.wait_exit() == 0, window.screen
