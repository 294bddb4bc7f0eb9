"""Run the measurements and print one Markdown table."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time

from tests.bench.arena import arena, missing
from tests.bench.kernel_counters import counters
from tests.bench.measurements import MEASUREMENTS

MEASUREMENTS["counters"] = counters
NEEDED = ("nginx", "wrk")


def main() -> int:
    """All measurements, or those that are named; exit code 1 when a tool without which nothing works is missing."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MEASUREMENTS)}; default: all")
    options = parser.parse_args()
    unknown = set(options.names) - set(MEASUREMENTS)
    if unknown:
        parser.error(f"no measurement is called {', '.join(sorted(unknown))}")
    absent = missing(*NEEDED)
    if absent or os.geteuid() != 0:
        print(f"needs root and {', '.join(NEEDED)}; missing: {', '.join(absent) or 'root'}", file=sys.stderr)
        return 1
    began = time.monotonic()
    print(f"Linux {platform.release()}, {os.cpu_count()} CPUs, Python {platform.python_version()}\n")
    print("| what | median | range | note |\n|---|---:|---:|---|")
    with arena(quick=options.quick) as here:
        for name in options.names or MEASUREMENTS:
            for row in MEASUREMENTS[name](here):
                print("| " + " | ".join(row.cells()) + " |", flush=True)
    print(f"\n{time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
