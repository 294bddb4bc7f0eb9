"""Command line -> Options. Pure: it looks at nothing but the arguments."""

from __future__ import annotations

import argparse
import difflib
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn, TypeVar

from httptop import __version__, sorting
from httptop.errors import UsageError
from httptop.filters import Filter
from httptop.filters import parse as parse_filter
from httptop.rollup import EVERYTHING
from httptop.settings import DEFAULTS, DELAY_MAX_S, DELAY_MIN_S, Settings

_T = TypeVar("_T")


_EPILOG = """\
examples:
  sudo httptop -i eth0                live screen
  sudo httptop --once --json          one snapshot, then exit
  sudo httptop -b -n 5 -d 2           five plain tables, two seconds apart
  httptop -r capture.pcapng --once    the same from a file, without root
  sudo httptop --demo                 live screen on traffic it makes itself
  sudo httptop counters start -i eth0 counters in the kernel, with no program running: httptop counters --help

exit codes:
  0 done   1 failed while running   2 wrong usage   3 a privilege or kernel feature is missing
  4 the snapshot is incomplete: events were lost, it is still printed
  130 interrupted in batch   141 the reader of the output went away   143 terminated
"""


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for. `iterations` None: until interrupted; `rows` None and `sort` "": as the face likes."""

    interfaces: tuple[str, ...] = ()
    file: str | None = None
    delay_s: float = 1.0
    iterations: int | None = None
    batch: bool = False
    json: bool = False
    log: bool = False
    ports: frozenset[int] = frozenset()
    netns: str | None = None
    filter: Filter = EVERYTHING
    sort: str = ""
    rows: int | None = None
    keep_query: bool = False
    group_paths: bool = False
    check: bool = False
    demo: bool = False
    color: bool = True
    ascii: bool = False
    fast_path: bool = True
    show_config: bool = False
    settings: Settings = DEFAULTS
    settled: frozenset[str] = frozenset()  # the settings that flags have given


class HelpRequested(Exception):  # noqa: N818 - an answer, not an error
    """The command line asks for a text, then nothing more."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Parser(argparse.ArgumentParser):
    """argparse whose errors are one line of what and one of what to do, and which does not exit by itself."""

    def error(self, message: str) -> NoReturn:
        what = re.sub(r"^argument (\S+): ", r"\1: ", message).replace("expected one argument", "needs a value")
        raise UsageError(what, f"{self.prog} --help lists the flags")

    def unknown(self, argument: str) -> NoReturn:
        """Name the flag that was probably meant."""
        if not argument.startswith("-"):
            raise UsageError(f"{argument!r} is not expected here", f"to name an interface: {self.prog} -i {argument}")
        flags = [flag for action in self._actions for flag in action.option_strings]
        near = difflib.get_close_matches(argument.partition("=")[0], flags, n=1)
        do = f"did you mean {near[0]}?" if near else f"{self.prog} --help lists the flags"
        raise UsageError(f"there is no flag {argument}", do)


class _Text(argparse.Action):
    """A flag that asks for a text."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        raise HelpRequested(parser.format_help() if self.dest == "help" else f"httptop {__version__}\n")


def _between(low: int, high: int, noun: str) -> Callable[[str], int]:
    def parse(text: str) -> int:
        # isascii: int() also takes the digits of other scripts and underscores
        if not (text.isascii() and text.isdigit() and low <= int(text[:12]) <= high):
            raise argparse.ArgumentTypeError(f"{text!r} is no {noun} ({low} to {high})")
        return int(text)

    return parse


def seconds(text: str) -> float:
    """For argparse: a span of time."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not DELAY_MIN_S <= value <= DELAY_MAX_S:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds ({DELAY_MIN_S:g} to {DELAY_MAX_S:g})")
    return value


def _matching(pattern: str, noun: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise argparse.ArgumentTypeError(f"{text!r} is no {noun}")
        return text

    return parse


def _regex(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {error}") from None


def comma(parse: Callable[[str], _T]) -> Callable[[str], list[_T]]:
    """For argparse: a list with commas."""
    return lambda text: [parse(item.strip()) for item in text.split(",")]


def _sort_key(text: str) -> str:
    if text == "help":
        raise HelpRequested(sorting.help_text())
    if text not in sorting.KEYS:
        near = difflib.get_close_matches(text, sorting.KEYS, n=1)
        raise UsageError(f"--sort: {text!r} is no sort key", f"did you mean {near[0]}?" if near else
                         f"the keys are {', '.join(sorting.KEYS)}")
    return text


_PID = _between(1, 1 << 22, "process id")
_PORT = _between(1, 65535, "port")
_METHOD = _matching(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,24}", "method")  # token, RFC 9110 section 5.6.2
_STATUS = _matching(r"[1-9]([0-9][0-9]|[xX][xX])", "status: 404 or 5xx")
INTERFACE = _matching(r"[^\s/]{1,15}", "interface name")  # dev_valid_name() of the kernel


def _parser() -> Parser:
    parser = Parser(prog="httptop", usage="httptop [flags]", allow_abbrev=False, add_help=False, epilog=_EPILOG,
                     description="top for HTTP: hot URLs, the processes behind them, latency, and what was missed.",
                     formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=32))
    _add_source_flags(parser.add_argument_group("where from").add_argument)
    _add_output_flags(parser.add_argument_group("what to print").add_argument)
    _add_filter_flags(parser.add_argument_group("filters: what to show, never what to count").add_argument)
    about = parser.add_argument_group("about").add_argument
    about("--check", action="store_true", help="what is needed, what is there, how to fix what is missing")
    about("--show-config", action="store_true", help="the settings of the screen, and where each comes from")
    about("-h", "--help", action=_Text, nargs=0, help="this text")
    about("--version", action=_Text, nargs=0, help="the version")
    return parser


def _add_source_flags(add: Callable[..., argparse.Action]) -> None:
    add("-i", "--interface", metavar="IFACE", action="extend", type=comma(INTERFACE), default=[],
        help="interfaces, a comma list or repeated; 'any' for all (default: that of the default route)")
    add("-r", "--read", metavar="FILE", help="a pcap or pcapng file instead, - for standard input; needs no root")
    add("--demo", action="store_true", help="watch traffic that httptop makes itself on loopback")
    add("--netns", metavar="NAME|PID", help="capture inside another network namespace, or that of a process")
    add("--port", metavar="PORT", action="extend", type=comma(_PORT), default=[],
        help="only these TCP ports (default: all; HTTP is known by its content)")
    add("--group-paths", action="store_true", help="/users/123 and /users/456 count as /users/:id")
    add("--keep-query", action="store_true", help="keep query strings, which may hold secrets")


def _add_output_flags(add: Callable[..., argparse.Action]) -> None:
    add("-d", "--delay", metavar="SEC", type=seconds, help="seconds between refreshes (default: 1)")
    add("-b", "--batch", action="store_true", help="plain tables; automatic when standard output is no terminal")
    add("-n", "--iterations", metavar="N", type=_between(1, 10**9, "number of tables"), help="that many, then exit")
    add("--once", action="store_true", help="one snapshot after one delay, then exit; of a file: the whole file")
    add("--json", action="store_true", help="JSON instead of tables, one object per line")
    add("--log", action="store_true", help="one line per exchange as it completes, in place of tables")
    add("-s", "--sort", metavar="KEY", type=_sort_key, help="'--sort help' lists the keys")
    add("--rows", metavar="N", type=_between(1, 10**6, "number of rows"), help="at most N rows per table")
    add("--no-color", action="store_true", help="no colours; so does NO_COLOR in the environment")
    add("--ascii", action="store_true", help="ASCII characters only")
    add("--no-fast-path", action="store_true",
        help="count nothing in the kernel but totals: every message is read, which means the same and costs more")


def _add_filter_flags(add: Callable[..., argparse.Action]) -> None:
    add("-p", "--pid", action="extend", type=comma(_PID), default=[], help="exchanges served or made by these")
    add("--method", action="extend", type=comma(_METHOD), default=[], help="GET,POST,...")
    add("--status", action="extend", type=comma(_STATUS), default=[], help="404,5xx,...")
    add("--host", metavar="REGEX", type=_regex, help="in the Host header")
    add("--url", metavar="REGEX", type=_regex, help="in host and path")
    add("--filter", metavar="TERMS", action="extend", type=lambda text: parse_filter(text).terms, default=[],
        help="terms as typed on the screen: 'status:5xx !path:/health >100ms'")
    add("--role", metavar="ROLE", type=_matching("server|client", "role: server or client"),
        help="server or client: the processes of one end only")


def settled(options: Options, settings: Settings) -> Options:
    """`options` with what the user has settled; flags win."""
    settings = replace(settings, delay=options.delay_s if "delay" in options.settled else settings.delay,
                       sort=options.sort if "sort" in options.settled else settings.sort)
    return replace(options, settings=settings, delay_s=settings.delay, sort=settings.sort)


def parse(arguments: Sequence[str]) -> Options:
    """`arguments` without the program's name. UsageError when they are wrong, HelpRequested when they ask for text."""
    parser = _parser()
    given, rest = parser.parse_known_args(arguments)
    if rest:
        parser.unknown(rest[0])
    if given.read is not None and (given.interface or given.demo or given.netns):
        raise UsageError("--read takes the place of --interface, --netns and --demo", "give one of them")
    if given.netns is not None and given.demo:
        raise UsageError("--demo makes its traffic in this network namespace", "leave out --netns")
    if given.once and given.iterations is not None:
        raise UsageError("--once is one iteration, -n another number", "give one of them")
    if given.log and (given.once or given.iterations is not None):
        raise UsageError("--log prints exchanges, --once and -n print tables", "give one of them")
    return Options(
        interfaces=tuple(dict.fromkeys(given.interface)),
        file=given.read,
        delay_s=1.0 if given.delay is None else given.delay,
        iterations=1 if given.once else given.iterations,
        batch=given.batch or given.once or given.json or given.log or given.iterations is not None,
        json=given.json,
        log=given.log,
        ports=frozenset(given.port),
        netns=given.netns,
        filter=_filter(given),
        sort=given.sort or "",
        rows=given.rows,
        keep_query=given.keep_query,
        group_paths=given.group_paths,
        check=given.check,
        demo=given.demo,
        color=not given.no_color,
        ascii=given.ascii,
        fast_path=not given.no_fast_path,
        show_config=given.show_config,
        settled=frozenset(name for name in ("delay", "sort") if getattr(given, name) is not None),
    )


def _filter(given: argparse.Namespace) -> Filter:
    return Filter(
        pids=frozenset(given.pid),
        # Methods are case-sensitive (RFC 9110 section 9.1), yet who types "get" means GET: both match.
        methods=frozenset(name for method in given.method for name in (method, method.upper())),
        statuses=frozenset(status.lower() for status in given.status),
        host=given.host,
        url=given.url,
        role=given.role or "",
        terms=tuple(dict.fromkeys(given.filter)),
    )
