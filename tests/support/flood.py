"""More than httptop can read: a flood of requests of which none is like another."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.net import Namespace
from tests.support.poll import PATIENCE_S

SERVED = Path(__file__).parent / "served"
SMALL_RING = (sys.executable, str(SERVED / "small_ring.py"))


@contextlib.contextmanager
def flood(where: Namespace, address: str, port: int, urls: int) -> Iterator[list[int]]:
    """To so many URLs, for as long as the context lasts; then the list has how many requests there were."""
    words = where.command(sys.executable, str(SERVED / "flood.py"), address, str(port), str(urls))
    asked: list[int] = []
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield asked
            out, _ = process.communicate(timeout=PATIENCE_S)
            assert process.returncode == 0
            asked.append(int(out))
        finally:
            process.kill()
