"""Run the measurements and print one Markdown table."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tests.bench.arena import Arena, arena, missing
from tests.bench.bulk import bulk
from tests.bench.files import files
from tests.bench.growth import growth
from tests.bench.kernel_counters import counters
from tests.bench.overload import overload
from tests.bench.programs import programs
from tests.bench.rows import Row
from tests.bench.saturation import saturation
from tests.bench.start import start
from tests.bench.steady import steady

MEASUREMENTS: dict[str, Callable[[Arena], Iterator[Row]]] = {
    "saturation": saturation, "steady": steady, "bulk": bulk, "growth": growth, "start": start, "files": files,
    "programs": programs, "counters": counters, "overload": overload,
}
NEEDED = ("nginx", "wrk")


def main() -> int:
    """All measurements, or those that are named; exit code 1 when a tool without which nothing works is missing."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all values there")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MEASUREMENTS)}; default: all")
    options = parser.parse_args()
    unknown = set(options.names) - set(MEASUREMENTS)
    if unknown:
        parser.error(f"no measurement is called {', '.join(sorted(unknown))}")
    absent = missing(*NEEDED)
    if absent or os.geteuid() != 0:
        print(f"needs root and {', '.join(NEEDED)}; missing: {', '.join(absent) or 'root'}", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what was started is ended all the same
    machine = f"Linux {platform.release()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"
    print(f"{machine}\n\n| what | median | range | note |\n|---|---:|---:|---|")
    rows = [row.as_json() for row in _run(options.names or MEASUREMENTS, quick=options.quick)]
    if options.json:
        options.json.write_text(json.dumps({"machine": machine, "quick": options.quick, "rows": rows}, indent=1) + "\n")
    return 0


def _run(names: Iterable[str], *, quick: bool) -> Iterator[Row]:
    """Each row is printed as soon as it is there; then the time that it all took."""
    took = []
    with arena(quick=quick) as here:
        for name in names:
            began = time.monotonic()
            for row in MEASUREMENTS[name](here):
                print("| " + " | ".join(row.cells()) + " |", flush=True)
                yield row
            took.append(f"{name} {time.monotonic() - began:.0f} s")
    print(f"\n{', '.join(took)}")


if __name__ == "__main__":
    sys.exit(main())
