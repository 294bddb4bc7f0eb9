"""How fast capture files are read."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.arena import Arena
from tests.bench.rows import Row
from tests.bench.traffic import generate
from tests.support.program import HTTPTOP


def files(arena: Arena) -> Iterator[Row]:
    """A generated capture, see traffic.py, through `-r`: packets per second, start of the program included."""
    packets, rounds = (100_000, 2) if arena.quick else (400_000, 5)
    capture = generate(packets)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "generated.pcap")
        path.write_bytes(capture.data)
        rates = []
        for _ in range(rounds):
            began = time.monotonic()
            out = subprocess.run([*HTTPTOP, "-r", str(path), "--once", "--json"], check=True, capture_output=True)
            rates.append(capture.packets / (time.monotonic() - began))
            assert json.loads(out.stdout)["totals"]["requests"] == capture.exchanges
    yield Row("-r: packets/s", rates, 0,
              f"{capture.packets / capture.exchanges:.1f} packets an exchange, see tests/bench/traffic.py")
