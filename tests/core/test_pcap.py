"""Capture files: every format and link type gives the same records, and damage costs only what follows it."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httptop.capture.pcap import BATCH_PACKETS, PcapSource
from httptop.capture.pcap_format import MAX_PACKET, DamagedError, read_packets
from httptop.errors import HttptopError
from httptop.records import Batch, Counter, Record
from tests.support.frames import ETH_IP4, ETH_IP6, Talk, ethernet, ipv4, ipv6, tcp

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
SEGMENT = tcp(1234, 80, 100, GET)
V4 = ipv4("10.0.0.1", "10.0.0.2", SEGMENT)
V6 = ipv6("fd00::1", "fd00::2", SEGMENT)
FRAME = ethernet(ETH_IP4, V4)
S, NS = 1_700_000_000, 123_456_789


def pcap(
    frames: Iterable[bytes], *, link: int = 1, order: str = "<", nanoseconds: bool = False, extra: int = 0,
) -> bytes:
    """A pcap file; packet n is n seconds after S; `extra` 8: the "modified" format."""
    magic = 0xA1B2CD34 if extra else 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    fraction = NS if nanoseconds else NS // 1000
    return struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, link) + b"".join(
        struct.pack(f"{order}IIII", S + n, fraction, len(frame), len(frame)) + bytes(extra) + frame
        for n, frame in enumerate(frames)
    )


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """A pcapng block."""
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + length + body + length


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link: int = 1, order: str = "<", *, options: Iterable[tuple[int, bytes]] = (), snaplen: int = 0) -> bytes:
    packed = b"".join(struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)
                      for code, value in options)
    return block(1, struct.pack(order + "HHI", link, 0, snaplen) + packed, order)


def packet(frame: bytes, number: int = 0, ticks: int = S * 10**6 + NS // 1000, order: str = "<") -> bytes:
    """An enhanced packet block."""
    header = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame))
    return block(6, header + frame, order)


def read_all(path: Path | str) -> tuple[list[Batch], HttptopError | None]:
    """All batches of a file, and how it ended."""
    source, batches = PcapSource(str(path)), []
    source.open()
    try:
        while not batches or not batches[-1].eof:
            batches.append(source.read(1))
    except HttptopError as error:
        return batches, error
    finally:
        source.close()
    return batches, None


def records_of(tmp_path: Path, data: bytes) -> list[Record]:
    """The records of an undamaged file."""
    path = tmp_path / "capture"
    path.write_bytes(data)
    batches, error = read_all(path)
    assert error is None
    return [record for batch in batches for record in batch.records]


FILES = {
    "pcap, microseconds": (pcap([FRAME]), S * 10**9 + NS // 1000 * 1000),
    "pcap, big-endian": (pcap([FRAME], order=">"), S * 10**9 + NS // 1000 * 1000),
    "pcap, nanoseconds": (pcap([FRAME], nanoseconds=True), S * 10**9 + NS),
    "pcap, big-endian nanoseconds": (pcap([FRAME], order=">", nanoseconds=True), S * 10**9 + NS),
    "pcap, modified": (pcap([FRAME], extra=8), S * 10**9 + NS // 1000 * 1000),
    "pcap, with FCS length": (pcap([FRAME], link=1 | 0x14000000), S * 10**9 + NS // 1000 * 1000),
    "pcapng": (section() + interface() + packet(FRAME), S * 10**9 + NS // 1000 * 1000),
    "pcapng, big-endian": (section(">") + interface(order=">") + packet(FRAME, order=">"),
                           S * 10**9 + NS // 1000 * 1000),
    "pcapng, nanoseconds": (
        section() + interface(options=[(2, b"eth0"), (9, b"\x09"), (0, b"")]) + packet(FRAME, 0, S * 10**9 + NS),
        S * 10**9 + NS),
    "pcapng, binary fractions": (
        section() + interface(options=[(9, b"\x8a")]) + packet(FRAME, 0, S * 1024 + 512), S * 10**9 + 500_000_000),
    "pcapng, time offset": (
        section() + interface(options=[(14, struct.pack("<q", S))]) + packet(FRAME, 0, 5), S * 10**9 + 5000),
    "pcapng, time beyond all bounds": (
        section() + interface(options=[(9, b"\x00")]) + packet(FRAME, 0, 2**64 - 1), 2**63 - 1),
    "pcapng, second interface": (
        section() + interface(127) + interface(101) + packet(V4, 1), S * 10**9 + NS // 1000 * 1000),
    "pcapng, second section": (
        section() + interface(127) + section(">") + interface(order=">") + packet(FRAME, order=">"),
        S * 10**9 + NS // 1000 * 1000),
    "pcapng, simple packet": (
        section() + interface(snaplen=len(FRAME) + 1) + block(3, struct.pack("<I", len(FRAME)) + FRAME), 0),
    "pcapng, old packet": (
        section() + interface() + block(2, struct.pack("<HHIIII", 0, 0, 0, 7, len(FRAME), len(FRAME)) + FRAME), 7000),
    "pcapng, other blocks": (
        section() + block(4, b"names") + interface() + block(0x0BAD, b"") + packet(FRAME),
        S * 10**9 + NS // 1000 * 1000),
}


@pytest.mark.parametrize("name", FILES)
def test_formats(name: str, tmp_path: Path) -> None:
    """The one request of each file is found, at its time."""
    data, ts_ns = FILES[name]
    (record,) = records_of(tmp_path, data)
    assert (record.data, record.ts_ns) == (GET, ts_ns)


LLC_SNAP = b"\xaa\xaa\x03\0\0\0"
LINKS = {
    "Ethernet": (1, FRAME),
    "IEEE 802.3 with LLC and SNAP": (1, bytes(12) + struct.pack("!H", 8 + len(V4)) + LLC_SNAP + b"\x08\x00" + V4),
    "BSD loopback, little-endian": (0, struct.pack("<I", 2) + V4),
    "BSD loopback, big-endian": (0, struct.pack(">I", 2) + V4),
    **{f"BSD loopback, IPv6 as {family}": (0, struct.pack("<I", family) + V6) for family in (10, 24, 28, 30)},
    "OpenBSD loopback": (108, struct.pack(">I", 24) + V6),
    "Linux cooked": (113, struct.pack("!HHHQH", 0, 1, 6, 0, ETH_IP4) + V4),
    "Linux cooked 2": (276, struct.pack("!HHIHBBQ", ETH_IP6, 0, 3, 1, 0, 6, 0) + V6),
    **{f"raw IPv4, {link}": (link, V4) for link in (12, 14, 101, 228)},
    **{f"raw IPv6, {link}": (link, V6) for link in (12, 101, 229)},
}


@pytest.mark.parametrize("name", LINKS)
def test_link_types(name: str, tmp_path: Path) -> None:
    """The one request is found behind every link layer, and a frame that is cut anywhere does no harm."""
    link, frame = LINKS[name]
    assert [record.data for record in records_of(tmp_path, pcap([frame], link=link))] == [GET]
    records_of(tmp_path, pcap([frame[:size] for size in range(len(frame) - len(GET))], link=link))


def test_a_simple_packet_ends_at_the_snaplen() -> None:
    """A simple packet block does not say how much was captured: that is the interface's snaplen, then comes padding."""
    data = section() + interface(snaplen=61) + block(3, struct.pack("<I", 500) + b"x" * 61)
    assert [packet[3:] for packet in read_packets(io.BytesIO(data)) or ()] == [(b"x" * 61, 500)]


def test_batches_are_bounded_and_the_last_says_so(tmp_path: Path) -> None:
    """A large file comes in batches of at most BATCH_PACKETS packets with absolute counters; then comes eof."""
    path = tmp_path / "capture.pcap"
    path.write_bytes(pcap(Talk().frame(0, GET) for _ in range(2 * BATCH_PACKETS + 1)))
    batches, error = read_all(path)
    assert error is None
    assert [len(batch.records) for batch in batches] == [BATCH_PACKETS, BATCH_PACKETS, 1]
    assert [batch.counters[Counter.PACKETS] for batch in batches] == [BATCH_PACKETS, 2 * BATCH_PACKETS,
                                                                   2 * BATCH_PACKETS + 1]
    assert [batch.eof for batch in batches] == [False, False, True]
    assert batches[-1].now_ns == batches[-1].records[-1].ts_ns


def test_now_does_not_run_backwards(tmp_path: Path) -> None:
    """Packets out of the order of their times leave the clock of the batch at the latest."""
    path = tmp_path / "capture.pcapng"
    path.write_bytes(section() + interface() + packet(FRAME, 0, 9000) + packet(FRAME, 0, 5))
    (batch,), _ = read_all(path)
    assert batch.now_ns == 9_000_000


def test_ports_are_handed_on(tmp_path: Path) -> None:
    """Only flows with a wanted port are read."""
    path = tmp_path / "capture.pcap"
    path.write_bytes(pcap([FRAME]))
    for port, expected in ((80, 1), (443, 0)):
        source = PcapSource(str(path), frozenset((port,)))
        source.open()
        assert len(source.read(1).records) == expected
        source.close()


@pytest.mark.parametrize("data", [b"", b"GIF", b"\xd4\xc3", b"GET / HTTP/1.1\r\n\r\n", b"\x1f\x8b\x08\x00" * 9])
def test_what_is_no_capture_is_refused_at_open(data: bytes, tmp_path: Path) -> None:
    """An empty file, or any other: one clear line, exit code 1."""
    path = tmp_path / "capture"
    path.write_bytes(data)
    with pytest.raises(HttptopError, match="is not a pcap or pcapng file") as caught:
        PcapSource(str(path)).open()
    assert caught.value.exit_code == 1


def test_what_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    """No such file, or a directory: the reason in one line."""
    with pytest.raises(HttptopError, match="No such file"):
        PcapSource(str(tmp_path / "none")).open()
    with pytest.raises(HttptopError, match="Is a directory"):
        PcapSource(str(tmp_path)).open()


DAMAGED = {
    "pcap, absurd length": pcap([FRAME]) + struct.pack("<IIII", 0, 0, MAX_PACKET + 1, 60) + FRAME,
    "pcapng, absurd length": section() + interface() + packet(FRAME) + struct.pack("<II", 6, 0x7FFFFFFC),
    "pcapng, zero length": section() + interface() + packet(FRAME) + struct.pack("<II", 6, 0),
    "pcapng, odd length": section() + interface() + packet(FRAME) + struct.pack("<II", 6, 33) + bytes(40),
    "pcapng, unknown interface": section() + interface() + packet(FRAME) + packet(FRAME, 1),
    "pcapng, packet longer than its block": (
        section() + interface() + packet(FRAME) + block(6, struct.pack("<IIIII", 0, 0, 0, 99, 99) + b"x" * 60)),
    "pcapng, packet block without a packet": section() + interface() + packet(FRAME) + block(6, b"xxxx"),
    "pcapng, simple packet without length": section() + interface() + packet(FRAME) + block(3, b""),
    "pcapng, interface block too short": section() + interface() + packet(FRAME) + block(1, b"xxxx"),
    "pcapng, section without byte order": section() + interface() + packet(FRAME) + block(0x0A0D0D0A, bytes(16)),
    "pcapng, one byte behind the end": section() + interface() + packet(FRAME) + b"x",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_everything_before_damage_is_read(name: str, tmp_path: Path) -> None:
    """Packets before the damage are delivered, then comes one error that says that it is damaged."""
    path = tmp_path / "capture"
    path.write_bytes(DAMAGED[name])
    batches, error = read_all(path)
    assert [record.data for batch in batches for record in batch.records] == [GET]
    assert batches[-1].counters[Counter.PACKETS] == 1
    assert error is not None
    assert "is damaged" in error.what
    assert ("claims" in error.what) == ("length" in name and "without" not in name)
    assert len(error.lines()) == 2
    assert not any("\n" in line for line in error.lines())


@pytest.mark.parametrize("name", ["pcap, microseconds", "pcapng"])
def test_a_file_may_be_cut_anywhere(name: str, tmp_path: Path) -> None:
    """At whatever byte a file of two packets ends, the whole packets before that are delivered."""
    one = FILES[name][0]
    both = one + (packet(FRAME[:-1] + b"x") if name == "pcapng" else pcap([FRAME])[24:])
    boundaries = (24, len(one), len(both)) if name != "pcapng" else (28, 48, len(one), len(both))
    path = tmp_path / "capture"
    for size in range(4, len(both) + 1):
        path.write_bytes(both[:size])
        batches, error = read_all(path)
        packets = batches[-1].counters[Counter.PACKETS] if batches else 0
        assert packets == (size >= len(one)) + (size >= len(both))
        assert (error is None) == (size in boundaries)


def test_link_types_that_cannot_be_read_are_skipped_and_counted(tmp_path: Path) -> None:
    """Packets of one interface with a foreign link type are counted; if there are no others, it is an error."""
    path = tmp_path / "capture"
    path.write_bytes(section() + interface(127) + interface() + packet(b"radio") + packet(FRAME, 1))
    batches, error = read_all(path)
    assert error is None
    assert len(batches[-1].records) == 1
    assert batches[-1].counters[Counter.MALFORMED] == 1
    assert batches[-1].counters[Counter.PACKETS] == 2
    path.write_bytes(pcap([FRAME], link=127))
    _, error = read_all(path)
    assert error is not None
    assert "127" in error.what


def test_standard_input_is_read_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` reads a pipe: what a slow writer has sent is delivered before the writer is done."""
    reading, writing = os.pipe()
    first_was_read = threading.Event()

    def write() -> None:
        with open(writing, "wb", buffering=0) as writer:  # noqa: PTH123 - a pipe has no path
            writer.write(pcap([FRAME]))
            first_was_read.wait(5)
            writer.write(pcap([FRAME])[24:])

    slow = threading.Thread(target=write)
    slow.start()
    with open(reading, "rb") as pipe:  # noqa: PTH123
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(pipe))
        source = PcapSource("-")
        source.open()
        first = source.read(0)
        first_was_read.set()
        assert ([record.data for record in first.records], first.counters[Counter.PACKETS]) == ([GET], 1)
        assert source.read(0).counters[Counter.PACKETS] == 2
        assert source.read(0).eof
        source.close()
        assert source.finish().eof
    slow.join()


@given(st.binary(max_size=300), st.sampled_from([pcap([]), section() + interface(), section(">"), b""]))
def test_no_bytes_raise_anything_but_damage(data: bytes, start: bytes) -> None:
    """Whatever the file holds, reading ends, at worst with DamagedError."""
    packets = read_packets(io.BytesIO(start + data))
    with contextlib.suppress(DamagedError):
        for ts_ns, _, _, frame, _ in packets or ():
            assert 0 <= ts_ns < 2**63
            assert len(frame) <= len(data)
