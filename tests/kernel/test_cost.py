"""What httptop says of its own price in the kernel."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support import bpf
from tests.support.frames import Talk
from tests.support.kernel import Kernel
from tests.support.scenes import GET

ENABLE_STATS = 32  # bpf(2) command: measured for as long as the fd is open


def test_what_the_programs_cost(loaded: Kernel) -> None:
    """Runs are always told; their time as long as somebody has the kernel measure it, and is not known otherwise."""
    frames = [frame for _ in range(50) for frame in Talk().client(GET)]
    before = loaded.source.cost()
    enabled = Path("/proc/sys/kernel/bpf_stats_enabled").read_text(encoding="ascii").strip() == "1"
    assert enabled or before.bpf_ns_per_run is None
    fd, _ = bpf.call(ENABLE_STATS, bytes(4))
    try:
        loaded.run(frames)
    finally:
        os.close(fd)
    after = loaded.source.cost()
    assert (after.bpf_runs or 0) - (before.bpf_runs or 0) == len(frames)
    assert after.bpf_ns_per_run is not None
    assert 10 < after.bpf_ns_per_run < 1_000_000
