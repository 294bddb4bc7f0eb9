"""What a user has settled for the screen once and for all: the text of config.toml -> Settings. Pure.

Keys: `delay`, `sort`, `theme`, `panes`, and a table `columns` with a list to each pane.
"""

from __future__ import annotations

import difflib
import json
import re
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from httptop import sorting
from httptop.errors import UsageError

DELAY_MIN_S, DELAY_MAX_S = 0.05, 86400.0
THEMES = ("dark", "light", "terminal")
PANES = ("urls", "processes", "inflight", "losses", "log")
# The columns of each pane; "methods" stands for one column to each method that was seen.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "urls": ("method", "url", "server", "trend", "rate", "requests", "2xx", "3xx", "4xx", "5xx", "p50", "p95", "p99",
             "max", "bytes", "errors"),
    "processes": ("pid", "comm", "role", "command", "container", "how", "rate", "requests", "accepts", "methods",
                  "2xx", "3xx", "4xx", "5xx", "p50", "p95", "p99"),
    "inflight": ("age", "method", "url", "server", "client"),
    "log": ("time", "status", "latency", "bytes", "method", "url", "client", "server"),
}
KEYS = ("delay", "sort", "theme", "panes", "columns")

_TOML_LINE = re.compile(r" ?\(at (?:line (\d+), column \d+|end of document)\)$")


@dataclass(frozen=True, slots=True)
class Settings:
    """Empty `panes`: those for which there is room. `columns`: of the panes that were settled; `lines`: key -> line."""

    delay: float = 1.0
    sort: str = ""
    theme: str = "dark"
    panes: tuple[str, ...] = ()
    columns: tuple[tuple[str, tuple[str, ...]], ...] = ()
    lines: tuple[tuple[str, int], ...] = ()

    def columns_of(self, pane: str) -> tuple[str, ...]:
        """The columns wanted in this pane; empty: those for which there is room."""
        return dict(self.columns).get(pane, ())


DEFAULTS = Settings()


class _WrongValue(Exception):  # noqa: N818 - a reason, which becomes a UsageError
    """What is wrong with a value, and what to write."""


def parse(text: str, path: str) -> Settings:
    """Read config.toml. UsageError that names `path` and the line of what is unknown or broken."""
    settings = DEFAULTS
    columns: dict[str, tuple[str, ...]] = {}
    lines: dict[str, int] = {}
    for key, value in _flat(_toml(text, path)):
        lines[key] = line = _line_of(text, key)
        try:
            if key.startswith("columns."):
                pane = key.removeprefix("columns.")
                columns[pane] = _names(value, COLUMNS[_known(pane, COLUMNS, "pane")], "column")
            else:
                settings = _with(settings, _known(key, KEYS, "setting"), value)
        except _WrongValue as wrong:
            what, do = wrong.args
            raise UsageError(f"{path}, line {line}: {what}", do) from None
    return replace(settings, columns=tuple(columns.items()), lines=tuple(lines.items()))


def _toml(text: str, path: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib  # noqa: PLC0415 - only for those who have such a file
    else:
        import tomli as tomllib  # noqa: PLC0415
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = _TOML_LINE.search(str(error))
        line = at[1] if at and at[1] else text.count("\n") + 1
        raise UsageError(f"{path}, line {line}: {_TOML_LINE.sub('', str(error))}",
                         "mend that line, or take it away: it is no TOML") from None


def _flat(table: Mapping[str, Any]) -> list[tuple[str, Any]]:
    columns = table.get("columns")
    inner = [(f"columns.{pane}", value) for pane, value in columns.items()] if isinstance(columns, dict) else []
    return [(key, value) for key, value in table.items() if key != "columns" or not isinstance(value, dict)] + inner


def _line_of(text: str, key: str) -> int:
    """Where a key stands; TOML parsers do not tell."""
    section, _, name = key.rpartition(".")
    here, found = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[+\s*([^\]]*?)\s*\]", line):
            here = header[1].strip("\"'")
            if here in (key, section):
                found = found or number
        elif here in ("", section) and re.search(rf"(?:^|[\s.{{,\"'])({re.escape(name)})[\"']?\s*[.=]", line):
            return number
    return found or 1


def _known(name: str, names: Collection[str], noun: str) -> str:
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=1)
    raise _WrongValue(f"there is no {noun} {name!r}",
                 f"did you mean {near[0]}?" if near else f"the {noun}s are {', '.join(names)}")


def _names(value: object, names: Collection[str], noun: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
        raise _WrongValue(f"{value!r} is no list of {noun}s", f'write a list: ["{next(iter(names))}", ...]')
    return tuple(dict.fromkeys(_known(name, names, noun) for name in value))


def _with(settings: Settings, key: str, value: object) -> Settings:
    if key == "delay":
        if isinstance(value, bool) or not isinstance(value, int | float) or not DELAY_MIN_S <= value <= DELAY_MAX_S:
            raise _WrongValue(f"delay {value!r} is no number of seconds ({DELAY_MIN_S:g} to {DELAY_MAX_S:g})",
                         "write delay = 2.0")
        return replace(settings, delay=float(value))
    if key == "panes":
        return replace(settings, panes=_names(value, PANES, "pane"))
    if key == "columns" or not isinstance(value, str):
        raise _WrongValue(f"{key} is no {'table' if key == 'columns' else 'text'}", _EXAMPLES[key])
    names = sorting.KEYS if key == "sort" else THEMES
    _known(value, names, "theme" if key == "theme" else "sort key")
    return replace(settings, sort=value) if key == "sort" else replace(settings, theme=value)


_EXAMPLES = {"sort": 'write sort = "p95"', "theme": 'write theme = "light"',
             "columns": 'write [columns], and below it urls = ["method", "url", "rate"]'}


def shown(settings: Settings, path: str, flags: Collection[str]) -> str:
    """What holds, as TOML, and where it comes from; `flags`: the keys that the command line has settled."""
    known = dict(settings.lines)

    def line(key: str, name: str, value: object) -> str:
        text = f"{name} = {json.dumps(value)}"
        if key not in flags and key not in known:
            return f"# {text}"
        return f"{text:<40} # {f'--{key}' if key in flags else f'line {known[key]}'}"

    shown = [f"# {path}" if known else f"# {path} settles nothing", "# what has a # before it is the default",
             line("delay", "delay", settings.delay), line("sort", "sort", settings.sort or "rate"),
             line("theme", "theme", settings.theme), line("panes", "panes", settings.panes or PANES), "", "[columns]",
             *(line(f"columns.{pane}", pane, settings.columns_of(pane) or COLUMNS[pane]) for pane in COLUMNS)]
    return "\n".join(shown) + "\n"
