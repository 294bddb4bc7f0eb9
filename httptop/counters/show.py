"""Readings as text: a table, JSON, OpenMetrics. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple

from httptop.counters.pins import MESSAGES, Hook
from httptop.counters.readings import Reading, per_second
from httptop.records import METHODS, STATUS_CLASSES, Counter

SCHEMA = "httptop.counters/1"
REQUESTS = (*METHODS, "other")  # the names of the first counts, then those of the responses, then packets
NONE_RUN = "no counters are running; start some with: httptop counters start -i IFACE\n"
DETACHED = "not attached any more: the interface or the program was removed, and these counts are final"
PARTLY = "somebody removed one of the two programs: only {} still counts; start begins anew, from zero"
PREFIX = "httptop_counters_"
FAMILIES = {
    "requests": ("counter", "HTTP requests by method."),
    "responses": ("counter", "HTTP responses by status class."),
    "packets": ("counter", "Packets looked at."),
    "attached": ("gauge", "Whether the counting program is still there."),
    "start_time_seconds": ("gauge", "When the counters were started, since the epoch."),
}
HOOKS = {Hook.TC: ("tc", ""), Hook.TCX: ("tcx", ""), Hook.XDP_NATIVE: ("xdp", "native"),
         Hook.XDP_GENERIC: ("xdp", "generic")}


class Moment(NamedTuple):
    """What was read at once. `before`, with --watch: what was read `seconds` earlier, by interface."""

    time_ns: int  # since the epoch
    readings: Sequence[Reading]
    before: Mapping[str, Reading]
    seconds: float = 0.0

    def rates(self, reading: Reading) -> dict[str, tuple[float, ...]]:
        """Per second, by direction; empty without an earlier reading."""
        before = self.before.get(reading.interface)
        return per_second(reading, before, self.seconds) if before and self.seconds > 0 else {}


def _time(ns: int, timespec: str) -> str:
    text = datetime.fromtimestamp(ns / 1e9, timezone.utc).isoformat(timespec=timespec)
    return text.replace("+00:00", "Z")


def table(moment: Moment) -> str:
    """One block for each interface, after an empty line when others went before."""
    blocks = "\n".join("\n".join(_block(moment, reading)) + "\n" for reading in moment.readings)
    return "\n" * bool(moment.before) + (blocks or NONE_RUN)


def _block(moment: Moment, reading: Reading) -> Iterator[str]:
    hook = " ".join(filter(None, reversed(HOOKS[reading.hook])))
    yield f"{reading.title}: {hook}, since {_time(reading.started_ns, 'seconds')}"
    if not reading.attached:
        yield f"  {PARTLY.format(*reading.counting) if reading.counting else DETACHED}"
    columns: list[tuple[str, Sequence[str]]] = [
        (way, [f"{count:,}" for count in counts]) for way, counts in reading.counts.items()]
    columns += [(f"{way}/s", [f"{rate:,.1f}" for rate in rates]) for way, rates in moment.rates(reading).items()]
    names = [*(f"requests {name}" for name in REQUESTS), *(f"responses {name}" for name in STATUS_CLASSES), "packets"]
    widths = [max(len(title), *map(len, cells)) for title, cells in columns]
    rows = zip(names, zip(*(cells for _, cells in columns), strict=True), strict=True)
    for name, cells in [("", tuple(title for title, _ in columns)), *rows]:
        yield f"  {name:<17}" + "".join(f"  {cell:>{width}}" for cell, width in zip(cells, widths, strict=True))


def dumps(moment: Moment) -> str:
    """One JSON object on one line."""
    return json.dumps({"schema": SCHEMA, "time": _time(moment.time_ns, "milliseconds"),
                       "interfaces": [_object(moment, reading) for reading in moment.readings]}) + "\n"


def _object(moment: Moment, reading: Reading) -> dict[str, Any]:
    hook, mode = HOOKS[reading.hook]
    rates = moment.rates(reading)
    return {"interface": reading.interface, "now": reading.now or None, "hook": hook, "mode": mode or None,
            "since": _time(reading.started_ns, "milliseconds"), "attached": reading.attached,
            "counting": list(reading.counting),
            "counts": {way: _named(counts) for way, counts in reading.counts.items()},
            "per_second": {way: _named([round(rate, 3) for rate in row]) for way, row in rates.items()} or None}


def _named(values: Sequence[float]) -> dict[str, Any]:
    return {"requests": dict(zip(REQUESTS, values, strict=False)),
            "responses": dict(zip(STATUS_CLASSES, values[Counter.C1XX:MESSAGES], strict=True)),
            "packets": values[MESSAGES]}


def openmetrics(moment: Moment) -> str:
    """For a scrape, or the textfile collector of the node_exporter.

    That one reads the older text format: there the type "info" of OpenMetrics is an error, so it is not used.
    """
    samples = [(reading.interface, *sample) for reading in moment.readings for sample in _samples(reading)]
    lines = []
    for family, (kind, text) in FAMILIES.items():
        lines += [f"# TYPE {PREFIX}{family} {kind}", f"# HELP {PREFIX}{family} {text}"]
        name = f"{PREFIX}{family}_total" if kind == "counter" else f"{PREFIX}{family}"
        lines += [f"{name}{{{_labels({'interface': interface, **labels})}}} {value}"
                  for interface, member, labels, value in samples if member == family]
    return "\n".join([*lines, "# EOF\n"])


def _labels(labels: Mapping[str, str]) -> str:
    escaped = {name: text.replace("\\", r"\\").replace('"', r"\"") for name, text in labels.items()}
    return ",".join(f'{name}="{text}"' for name, text in escaped.items())


def _samples(reading: Reading) -> Iterator[tuple[str, dict[str, str], float]]:
    """(family, labels, value)."""
    for way, counts in reading.counts.items():
        for name, count in zip(REQUESTS, counts, strict=False):
            yield "requests", {"direction": way, "method": name}, count
        for name, count in zip(STATUS_CLASSES, counts[Counter.C1XX:MESSAGES], strict=True):
            yield "responses", {"direction": way, "status": name}, count
        yield "packets", {"direction": way}, counts[MESSAGES]
    hook, mode = HOOKS[reading.hook]
    yield "attached", {"hook": hook, "mode": mode}, int(reading.attached)
    yield "start_time_seconds", {}, reading.started_ns / 1e9
