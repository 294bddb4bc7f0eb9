"""How fast capture files are read."""

from __future__ import annotations

import itertools
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.arena import Arena
from tests.bench.rows import Row
from tests.support import frames
from tests.support.program import HTTPTOP


def files(arena: Arena) -> Iterator[Row]:
    """A generated capture of kept-alive exchanges through `-r`: packets per second, start of the program included."""
    packets, rounds = (100_000, 2) if arena.quick else (400_000, 5)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "generated.pcap")
        path.write_bytes(b"".join(_capture(packets)))
        rates = []
        for _ in range(rounds):
            began = time.monotonic()
            subprocess.run([*HTTPTOP, "-r", str(path), "--once", "--json"], check=True, stdout=subprocess.DEVNULL)
            rates.append(packets / (time.monotonic() - began))
    yield Row("-r: packets/s", rates, 0)


def _capture(packets: int) -> Iterator[bytes]:
    """A pcap file: 500 connections, each time a request, an answer of four segments, and two bare ACKs."""
    talks = [frames.Talk(v6=n % 5 == 0) for n in range(500)]
    yield struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    steps = ((talk, step) for talk in itertools.cycle(talks) for step in _STEPS)
    for number, (talk, (sender, payload)) in enumerate(itertools.islice(steps, packets)):
        frame = talk.frame(sender, payload)
        yield struct.pack("=IIII", 1 + number // 100_000, number % 100_000 * 10, len(frame), len(frame)) + frame


_BODY = b"x" * 1400
_STEPS = ((0, b"GET /item/1 HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: bench\r\n\r\n"),
          (1, b"HTTP/1.1 200 OK\r\nContent-Length: 4200\r\n\r\n"), (1, _BODY), (0, b""), (1, _BODY), (1, _BODY),
          (0, b""))
