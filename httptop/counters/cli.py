"""`httptop counters start|show|stop`. What only start and stop need is imported late: reading is quick."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from typing import Protocol

from httptop.counters import show
from httptop.counters.readings import Reading, read_all
from httptop.counters.show import Moment
from httptop.errors import HttptopError, MissingFeatureError, UsageError
from httptop.options import INTERFACE, Parser, comma, seconds
from httptop.stopping import Signals

_HELP = """\
usage: httptop counters start -i IFACE [--hook tcx|tc|xdp|auto]
       httptop counters show [-i IFACE] [--json | --openmetrics] [--watch SEC]
       httptop counters stop [-i IFACE]

Numbers that are always on: a small BPF program on the interface counts HTTP requests by method and responses by
status class, and packets, per direction. No process runs; it ends with `stop`, with the interface, or with a reboot.

  start  load the program, pin its maps under /sys/fs/bpf/httptop/IFACE/, and leave it
         where; auto takes the first of them that this kernel and this interface have room for
           tcx   both directions, the cheapest; Linux 6.6
           tc    both directions, as filters of clsact
           xdp   only packets that come in, before the kernel's stack sees them; native, else generic: it says which
  show   read the maps; --watch SEC prints them again and again, with rates
           --openmetrics is also for the textfile collector of the node_exporter
  stop   detach and unpin; without -i all of them

The program keeps no state of flows: a message counts once for each packet that begins with it. So a retransmission
counts again, and a message that begins in the middle of a packet, or whose first word is cut, is not counted as such.
On lo each packet goes out and comes in: with tcx and tc it counts in both directions.
"""


class World(Protocol):
    """Where the text goes."""

    def write(self, text: str) -> None:
        """All of `text`, to standard output."""


def main(arguments: Sequence[str], world: World) -> int:
    """Run `httptop counters` with what follows that; the exit code. HttptopError as everywhere."""
    verbs = {"start": _start, "show": _show, "stop": _stop}
    verb = arguments[0] if arguments else ""
    if "-h" in arguments or "--help" in arguments:
        world.write(_HELP)
        return 0
    if verb not in verbs:
        raise UsageError(f"httptop counters does not know {verb!r}" if verb else "httptop counters: to do what?",
                         "start, show or stop; httptop counters --help says more")
    try:
        verbs[verb](arguments[1:], world)
    except PermissionError:
        raise MissingFeatureError("only root may read what is pinned under /sys/fs/bpf", "run it with sudo") from None
    return 0


def _parser(verb: str) -> Parser:
    parser = Parser(prog=f"httptop counters {verb}", allow_abbrev=False, add_help=False)
    parser.add_argument("-i", "--interface", action="extend", type=comma(INTERFACE), default=[])
    return parser


def _parse(parser: Parser, arguments: Sequence[str]) -> argparse.Namespace:
    given, rest = parser.parse_known_args(arguments)
    if rest:
        parser.unknown(rest[0])
    return given


def _start(arguments: Sequence[str], world: World) -> None:
    from httptop.counters import control  # noqa: PLC0415

    parser = _parser("start")
    parser.add_argument("--hook", choices=(control.AUTO, *control.HOOKS), default=control.AUTO)
    given = _parse(parser, arguments)
    if not given.interface:
        raise UsageError("counters on which interface?", "name it: httptop counters start -i eth0")
    control.require(given.interface)
    for name in given.interface:
        world.write(control.start(name, given.hook) + "\n")


def _stop(arguments: Sequence[str], world: World) -> None:
    from httptop.counters import control  # noqa: PLC0415

    given = _parse(_parser("stop"), arguments)
    done = list(control.stop(given.interface))
    world.write("\n".join(done or ["no counters are running"]) + "\n")


def _show(arguments: Sequence[str], world: World) -> None:
    parser = _parser("show")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_const", dest="form", const=show.dumps, default=show.table)
    form.add_argument("--openmetrics", action="store_const", dest="form", const=show.openmetrics)
    parser.add_argument("--watch", metavar="SEC", type=seconds)
    given = _parse(parser, arguments)
    if given.watch is not None and given.form is show.openmetrics:
        raise UsageError("--openmetrics has no rates: whoever scrapes it makes them", "leave out --watch")
    signals = Signals()
    signals.catch()
    for moment in _moments(given.interface, given.watch):
        with signals.after_this():
            world.write(given.form(moment))


def _moments(names: Sequence[str], watch_s: float | None) -> Iterator[Moment]:
    """One, or with `watch_s` one after the other."""
    before: dict[str, Reading] = {}
    at_s = 0.0
    while True:
        readings, since_s, at_s = read_all(names), at_s, time.monotonic()
        missing = set(names) - {name for reading in readings for name in (reading.interface, reading.now)}
        if missing:
            raise HttptopError(f"no counters run on {', '.join(sorted(missing))}",
                               "httptop counters show lists those that do")
        yield Moment(time.time_ns(), readings, before, at_s - since_s)
        if watch_s is None:
            return
        before = {reading.interface: reading for reading in readings}
        time.sleep(watch_s)
