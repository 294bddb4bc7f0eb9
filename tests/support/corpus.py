"""Captures that other people made, as Ethernet frames that TEST_RUN takes."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

from httptop.capture.link import LINKS
from httptop.capture.pcap_format import DamagedError, read_packets
from tests.support.bpf import MAX_FRAME
from tests.support.frames import ETH_IP4, ETH_IP6

FOLDER = Path(os.environ.get("HTTPTOP_CORPUS", Path(__file__).parents[3] / "shared/http-corpus"))
SHORTEST = {ETH_IP4: 20, ETH_IP6: 40}  # TEST_RUN refuses less, whatever the program would say


def files() -> list[Path]:
    """Every capture, also those without HTTP; empty when the corpus is not here."""
    return sorted(path for name in ("captures", "no-http") for path in (FOLDER / name).glob("*"))


def frames(path: Path) -> Iterator[bytes]:
    """The packets of a capture behind an Ethernet header, cut to what TEST_RUN takes; up to where it is damaged."""
    with path.open("rb") as file:
        packets = read_packets(file)
        while True:
            try:
                packet = next(packets) if packets else None
            except (DamagedError, StopIteration):
                packet = None
            if packet is None:
                return
            _, link, _, data, _ = packet
            try:
                ethertype, at = LINKS[link](data)
            except (KeyError, IndexError):
                continue
            data = data[at:]
            if len(data) >= SHORTEST.get(ethertype, 1):
                yield (bytes(12) + struct.pack("!H", ethertype) + data)[:MAX_FRAME]
