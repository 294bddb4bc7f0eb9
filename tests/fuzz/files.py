"""Whatever a capture file holds, reading it ends with batches or one HttptopError, and every head is accounted for."""

from __future__ import annotations

from tests.core.test_pcap import DAMAGED, FILES, LINKS, pcap
from tests.core.test_walk import WALKED
from tests.fuzz.harness import read_file

SEEDS = [
    *(data for data, _ in FILES.values()), *DAMAGED.values(),
    *(pcap([frame], link=link) for link, frame in LINKS.values()), pcap(WALKED.values()),
]
check = read_file
