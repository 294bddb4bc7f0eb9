"""Packets of pcap and pcapng files, and of pipes that carry them, through the tap: a Source without privileges."""

from __future__ import annotations

import collections
import itertools
import os
import stat
import sys
import time
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import cast

from httptop.capture.glance import UNCLEAR, glance
from httptop.capture.link import LINKS
from httptop.capture.pcap_format import DamagedError, Packet, read_packets
from httptop.capture.walk import Tap
from httptop.errors import HttptopError
from httptop.records import NO_OWNER, Batch, Counter, Record
from httptop.snapshot import SelfCost, SourceInfo

PACKETS, MALFORMED = Counter.PACKETS, Counter.MALFORMED  # members of an Enum are slow to look up

BATCH_PACKETS = 5000
BUFFER_BYTES = 1 << 18  # fewer system calls than with the usual 8 KB
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
        self._file: BufferedIOBase | None = None
        self._packets: Iterator[Packet] = iter(())
        self._error: HttptopError | None = None
        self._is_pipe = False
        self._now_ns = 0
        self._foreign: collections.Counter[int] = collections.Counter()  # packets by link types that we do not know

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
        packets = itertools.islice(self._packets, BATCH_PACKETS)
        deadline_s = time.monotonic() + timeout_s if self._is_pipe else None
        ended = False
        try:
            ended = self._tap_into(records, packets, deadline_s) < BATCH_PACKETS
        except (DamagedError, OSError) as error:
            self._error = HttptopError(f"{self._path!r} is damaged: {error}", "Everything before that was read.")
        if ended:
            self._check_links()
        return Batch(records, [], tuple(self._tap.counters), self._now_ns, eof=ended and self._error is None)

    def look(self) -> Batch:
        """As `read`: nothing is held."""
        return self.read(0.0)

    def finish(self) -> Batch:
        """Nothing is under way in a file: no records."""
        return Batch([], [], tuple(self._tap.counters), self._now_ns, eof=True)

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

    def _tap_into(self, records: list[Record], packets: Iterator[Packet], deadline_s: float | None) -> int:
        """How many packets there were; BATCH_PACKETS if the deadline ended it."""
        counters, follows, tap, now_ns = self._tap.counters, self._tap.follows, self._tap.segment, self._now_ns
        before = counters[PACKETS]
        for ts_ns, link, interface, frame, wire_len in packets:
            if ts_ns > now_ns and link in LINKS:
                self._now_ns = now_ns = ts_ns
            try:
                segment = glance(link, frame, follows)
            except UNCLEAR:
                records += self._tapped(ts_ns, link, interface, frame, wire_len)
            else:
                counters[PACKETS] += 1
                if segment is not None:
                    records += tap(ts_ns, segment, frame, interface)
            if deadline_s is not None and time.monotonic() > deadline_s:
                return BATCH_PACKETS
        return counters[PACKETS] - before

    def _tapped(self, ts_ns: int, link: int, interface: int, frame: bytes, wire_len: int) -> list[Record]:
        try:
            ethertype, at = LINKS[link](frame)
        except (KeyError, IndexError):
            self._tap.counters[PACKETS] += 1
            self._tap.counters[MALFORMED] += 1
            if link not in LINKS:
                self._foreign[link] += 1
            return []
        return self._tap.packet(ts_ns, ethertype, frame[at:], wire_len - at, interface)

    def _check_links(self) -> None:
        if self._foreign and self._foreign.total() == self._tap.counters[PACKETS]:
            links = ", ".join(map(str, sorted(self._foreign)))
            self._error = HttptopError(
                f"{self._path!r} has only packets of link types that cannot be read: {links}",
                "Ethernet, BSD loopback, Linux cooked and raw IP can be: see tcpdump.org/linktypes.html.",
            )


def _open(path: str) -> BufferedIOBase:
    return cast("BufferedIOBase", sys.stdin.buffer if path == STANDARD_INPUT else Path(path).open("rb", BUFFER_BYTES))
