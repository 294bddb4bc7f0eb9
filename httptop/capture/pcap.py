"""Packets of pcap and pcapng files, and of pipes that carry them, through the tap: a Source without privileges."""

from __future__ import annotations

import itertools
import os
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from httptop.capture.link import LINKS
from httptop.capture.pcap_format import DamagedError, Packet, read_packets
from httptop.capture.walk import Tap
from httptop.errors import HttptopError
from httptop.records import NO_OWNER, Batch, Counter, Record
from httptop.snapshot import SelfCost, SourceInfo

BATCH_PACKETS = 5000
STANDARD_INPUT = "-"


class PcapSource:
    """Reads `path` ("-": standard input). Times are epoch nanoseconds, so there is no offset.

    A damaged file gives everything before the damage; the read() after that raises HttptopError.
    """

    epoch_offset_ns = 0
    board = None

    def __init__(self, path: str, ports: frozenset[int] = frozenset()) -> None:
        self.info = SourceInfo("file", (), path)
        self._path = path
        self._tap = Tap(ports)
        self._file: BinaryIO | None = None
        self._packets: Iterator[Packet] = iter(())
        self._error: HttptopError | None = None
        self._is_pipe = False
        self._now_ns = 0
        self._readable = 0  # packets of link types that we know
        self._unknown_links: set[int] = set()

    def open(self) -> None:
        """Raises HttptopError if the file cannot be read or is not a capture."""
        try:
            self._file = _open(self._path)
            self._is_pipe = not stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)
            packets = read_packets(self._file)
        except OSError as error:
            raise HttptopError(f"cannot read {self._path!r}: {error.strerror}") from error
        if packets is None:
            self.close()
            raise HttptopError(f"{self._path!r} is not a pcap or pcapng file", "Captures of tcpdump -w are.")
        self._packets = packets

    def read(self, timeout_s: float) -> Batch:
        """At most BATCH_PACKETS packets. A slow pipe ends a batch at the packet after `timeout_s`."""
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        records: list[Record] = []
        left = BATCH_PACKETS
        deadline = time.monotonic() + timeout_s
        try:
            for packet in itertools.islice(self._packets, BATCH_PACKETS):
                left -= 1
                records += self._tapped(packet)
                if self._is_pipe and time.monotonic() > deadline:
                    return self._batch(records, eof=False)
        except (DamagedError, OSError) as error:
            self._error = HttptopError(f"{self._path!r} is damaged: {error}", "Everything before that was read.")
            return self._batch(records, eof=False)
        if left:
            self._check_links()
        return self._batch(records, eof=left > 0 and self._error is None)

    def finish(self) -> Batch:
        """Nothing is under way in a file: no records."""
        return self._batch([], eof=True)

    def owner(self, _flow: bytes, _end: int) -> bytes:
        """The processes of a capture file are not those of this host."""
        return NO_OWNER

    def cost(self) -> SelfCost:
        """Reading a file costs the host nothing that is not seen otherwise."""
        return SelfCost()

    def abort(self) -> None:
        """Opening a file does not take long."""

    def close(self) -> None:
        if self._file is not None and self._path != STANDARD_INPUT:
            self._file.close()
        self._file = None

    def _tapped(self, packet: Packet) -> list[Record]:
        ts_ns, link, interface, frame, wire_len = packet
        try:
            ethertype, at = LINKS[link](frame)
        except KeyError:
            self._unknown_links.add(link)
        except IndexError:
            self._readable += 1
        else:
            self._readable += 1
            self._now_ns = max(self._now_ns, ts_ns)
            return self._tap.packet(ts_ns, ethertype, frame[at:], wire_len - at, interface)
        self._tap.counters[Counter.PACKETS] += 1
        self._tap.counters[Counter.MALFORMED] += 1
        return []

    def _check_links(self) -> None:
        if self._unknown_links and not self._readable:
            links = ", ".join(map(str, sorted(self._unknown_links)))
            self._error = HttptopError(
                f"{self._path!r} has only packets of link types that cannot be read: {links}",
                "Ethernet, BSD loopback, Linux cooked and raw IP can be: see tcpdump.org/linktypes.html.",
            )

    def _batch(self, records: list[Record], *, eof: bool) -> Batch:
        return Batch(records, [], tuple(self._tap.counters), self._now_ns, eof)


def _open(path: str) -> BinaryIO:
    return sys.stdin.buffer if path == STANDARD_INPUT else Path(path).open("rb")
