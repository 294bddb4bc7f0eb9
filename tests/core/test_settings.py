"""config.toml: what it may say, and how what is wrong with it is told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from httptop import cli, settings, sorting
from httptop.capture import config
from httptop.errors import UsageError
from httptop.settings import COLUMNS, Settings, parse
from tests.core.test_cli import FakeWorld

FULL = """\
# mine
delay = 2
sort = "p95"
theme = "light"
panes = ["urls", "log"]

[columns]
urls = ["method", "url", "rate"]
log = ["status", "url"]
"""


def test_all_keys() -> None:
    """Every key is read, and where it stands is known."""
    found = parse(FULL, "x")
    assert (found.delay, found.sort, found.theme, found.panes) == (2.0, "p95", "light", ("urls", "log"))
    assert found.columns_of("urls") == ("method", "url", "rate")
    assert found.columns_of("processes") == ()
    assert dict(found.lines) == {"delay": 2, "sort": 3, "theme": 4, "panes": 5, "columns.urls": 8, "columns.log": 9}


def test_nothing_is_the_default() -> None:
    """An empty file settles nothing."""
    assert parse("", "x") == Settings()
    assert parse("[columns]\n", "x") == Settings()


@pytest.mark.parametrize(("text", "line", "words"), [
    ("\n\ndely = 2", 3, "no setting 'dely'"),
    ("delay = 0", 1, "0 is no number of seconds"),
    ("delay = true", 1, "True is no number of seconds"),
    ("delay = nan", 1, "nan is no number of seconds"),
    ("theme = 'pink'", 1, "no theme 'pink'"),
    ("sort = 3", 1, "sort is no text"),
    ("sort = 'requsts'", 1, "no sort key 'requsts'"),
    ("# c\npanes = []", 2, "[] is no list of panes"),
    ("panes = 'urls'", 1, "'urls' is no list of panes"),
    ("delay = 1\n[columns]\nurls = ['url']\nprocess = ['pid']", 4, "no pane 'process'"),
    ("[columns]\nurls = ['url', 'pid']", 2, "no column 'pid'"),
    ("columns = { urls = ['nil'] }", 1, "no column 'nil'"),
    ("columns.log = ['nil']", 1, "no column 'nil'"),
    ("columns = 1", 1, "columns is no table"),
    ("[colums]\nurls = ['url']", 1, "no setting 'colums'"),
    ("delay = 1\ndelay = 2", 2, ""),
    ("delay = 1\n\n= 3", 3, ""),
    ("theme = '", 1, ""),
])
def test_what_is_wrong_is_named_with_its_line(text: str, line: int, words: str) -> None:
    """An unknown or broken key, or no TOML at all: the file, the line, what, and what to do."""
    with pytest.raises(UsageError) as raised:
        parse(text, "/etc/x.toml")
    assert raised.value.what.startswith(f"/etc/x.toml, line {line}: ")
    assert words in raised.value.what
    assert raised.value.do
    assert raised.value.exit_code == 2
    assert all(line.isprintable() for line in raised.value.lines())


@pytest.mark.parametrize("text", ["delay = '\x1b[2J'", "'\u202e' = 1", "theme = '\x1b]0;x'"])
def test_hostile_file(text: str) -> None:
    """What is quoted from it moves no cursor."""
    with pytest.raises(UsageError) as raised:
        parse(text, "x")
    assert all(line.isprintable() for line in raised.value.lines())


class ConfiguredWorld(FakeWorld):
    def __init__(self, text: str | None) -> None:
        super().__init__(terminals=(0, 1))
        self._text = text

    def settings(self) -> tuple[str, str | None]:
        return "/home/me/.config/httptop/config.toml", self._text


def test_flags_win() -> None:
    """What the command line says holds, else what the file says, else the default."""
    world = ConfiguredWorld("delay = 3\nsort = 'p99'")
    assert cli.main(["-i", "lo", "--sort", "p50"], world) == 0
    assert world.shown is not None
    assert (world.shown.delay_s, world.shown.sort, world.shown.settings.theme) == (3.0, "p50", "dark")
    assert cli.main(["-i", "lo", "--delay", "1"], world) == 0
    assert (world.shown.delay_s, world.shown.settings.delay, world.shown.sort) == (1.0, 1.0, "p99")


def test_broken_file_is_wrong_usage() -> None:
    """Exit code 2, one line of what and one of what to do; tables and JSON do not care."""
    world = ConfiguredWorld("delai = 3")
    assert cli.main(["-i", "lo"], world) == 2
    assert world.err == ("httptop: /home/me/.config/httptop/config.toml, line 1: there is no setting 'delai'\n"
                         "  did you mean delay?\n")
    assert cli.main(["--once", "--json", "-d", "0.05"], world) == 0


def test_show_config_prints_what_holds() -> None:
    """--show-config says what holds and whence; what it prints can be saved as the file."""
    world = ConfiguredWorld(FULL)
    assert cli.main(["--show-config", "-s", "rate"], world) == 0
    lines = world.out.splitlines()
    assert lines[0] == "# /home/me/.config/httptop/config.toml"
    assert next(line for line in lines if line.startswith("delay = 2.0 ")).endswith("# line 2")
    assert next(line for line in lines if line.startswith("sort = ")).endswith("# --sort")
    assert any(line.startswith("# processes = [") for line in lines)
    again = parse(world.out, "x")
    assert (again.delay, again.sort, again.theme, again.panes) == (2.0, "rate", "light", ("urls", "log"))
    assert again.columns == parse(FULL, "x").columns


def test_show_config_without_a_file() -> None:
    """All that is printed then is a comment, or the head of an empty table."""
    world = ConfiguredWorld(None)
    assert cli.main(["--show-config"], world) == 0
    assert parse(world.out, "x") == Settings()


def test_columns_are_those_of_the_panes() -> None:
    """There is no column that cannot be settled, and none can be settled that is not there."""
    from httptop.render import UNICODE  # noqa: PLC0415 - the rest needs no screen
    from httptop.tui.columns import METHODS  # noqa: PLC0415
    from httptop.tui.log import log_columns  # noqa: PLC0415
    from httptop.tui.panes import in_flight_columns  # noqa: PLC0415
    from httptop.tui.process_columns import process_columns  # noqa: PLC0415
    from httptop.tui.url_columns import url_columns  # noqa: PLC0415

    made = {"urls": url_columns(UNICODE), "processes": process_columns(UNICODE, ("GET",)),
            "inflight": in_flight_columns(UNICODE), "log": log_columns(UNICODE)}
    for pane, columns in made.items():
        assert COLUMNS[pane] == tuple("methods" if c.key.startswith(METHODS) else c.key for c in columns)
    assert "rate" in sorting.KEYS  # what --show-config names as the default


def test_place_of_the_file() -> None:
    """XDG_CONFIG_HOME, else the home of the caller; under sudo that is not root's."""
    assert config.path({"XDG_CONFIG_HOME": "/x", "HOME": "/h"}) == "/x/httptop/config.toml"
    assert config.path({"XDG_CONFIG_HOME": "relative", "HOME": "/h"}) == "/h/.config/httptop/config.toml"
    under_sudo = {"HOME": "/root", "SUDO_UID": "65534", "SUDO_GID": "65534"}
    assert config.path(under_sudo) == "/nonexistent/.config/httptop/config.toml"


def _file(directory: Path, owner: int = -1, mode: int = 0o644) -> str:
    path = directory / "config.toml"
    path.write_text("delay = 2")
    path.chmod(mode)
    if owner >= 0:
        os.chown(path, owner, owner)
    return str(path)


def test_read(tmp_path: Path) -> None:
    """The text, or None where there is no file; what is no text file is said."""
    assert config.read(_file(tmp_path), {}) == "delay = 2"
    assert config.read(str(tmp_path / "none"), {}) is None
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "latin").write_bytes(b"# \xe9")
    for name in (tmp_path, tmp_path / "pipe", tmp_path / "latin"):
        with pytest.raises(UsageError):
            config.read(str(name), {})


@pytest.mark.skipif(os.geteuid() != 0, reason="makes files of others")
def test_files_of_others_are_not_trusted() -> None:
    """Under sudo the caller's file and root's are read, a third one's is not; nor what the caller may not read."""
    sudo = {"SUDO_UID": "65534", "SUDO_GID": "65534"}
    place = Path(f"/tmp/httptop-settings-{os.getpid()}")  # noqa: S108 - pytest's own is closed to others
    place.mkdir()
    place.chmod(0o755)
    try:
        assert config.read(_file(place, 65534), sudo) == "delay = 2"
        assert config.read(_file(place, 0), sudo) == "delay = 2"
        with pytest.raises(UsageError, match="belongs to somebody else"):
            config.read(_file(place, 1234), sudo)
        with pytest.raises(UsageError, match="cannot be read"):
            config.read(_file(place, 0, 0o600), sudo)
        with pytest.raises(UsageError, match="belongs to somebody else"):
            config.read(_file(place, 1234), {})
        assert os.geteuid() == os.getegid() == 0
    finally:
        (place / "config.toml").unlink()
        place.rmdir()


def test_no_file_costs_no_toml() -> None:
    """Who has no such file waits for no parser."""
    code = "import sys, httptop.cli, httptop.settings; print('tomllib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          check=True).stdout.strip() == "False"


def test_text_of_what_holds_is_stable() -> None:
    """Every key stands in what --show-config prints."""
    text = settings.shown(Settings(), "x", ())
    assert all(f"{key} =" in text or f"[{key}]" in text for key in settings.KEYS)
