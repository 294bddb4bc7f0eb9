"""What an exchange costs httptop when there are many connections, or many URLs, and the memory they take."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator

from tests.bench.arena import Arena
from tests.bench.programs import statistics_on
from tests.bench.rows import Row
from tests.support.frames import ACK, ETH_IP4, SYN, ethernet, ipv4, tcp
from tests.support.net import Namespace, ip, namespace
from tests.support.poll import until
from tests.support.program import Httptop, httptop, status

WIRE, OTHER_END = "wire0", "wire1"
RATE_PER_S = 25_000
AT_ONCE = 250
LESSONS = 100_000  # exchanges before it is measured: by then rows are found of what is asked for often enough
SERVER_NS = 3_000  # what no server answers within (1 us) is not counted in the kernel
ROWS = "50"  # of each table, as many as a screen shows: what it costs to print all is not measured here
MB = 1e6
PORTS_AT, SEQ_AT, URL_AT = 34, 38, 54 + len("GET /item/")
ID = b"X-Request-Id: 00000000000000000000000000000000\r\n"
REQUEST = b"GET /item/00000000 HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: bench\r\n%s\r\n" % ID
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Type: text/plain\r\n%s\r\nok\n" % ID
ISN = 1000
FEW_URLS, SOME_FLOWS = 10, 1000


def growth(arena: Arena) -> Iterator[Row]:
    """Exchanges as raw frames on a cable that nobody listens on, at a rate that httptop follows."""
    exchanges = 30_000 if arena.quick else 200_000
    for flows in (1, 10_000) if arena.quick else (1, SOME_FLOWS, 50_000):
        yield from _measure(f"{flows:,} flows", flows, FEW_URLS, exchanges)
    yield from _measure("an id in each", SOME_FLOWS, FEW_URLS, exchanges, ids=True)
    for urls in (FEW_URLS, 30_000) if arena.quick else (FEW_URLS, 10_000, 1_000_000):
        yield from _measure(f"{urls:,} URLs", SOME_FLOWS, urls, max(exchanges, urls))


def _measure(what: str, flows: int, urls: int, exchanges: int, *, ids: bool = False) -> Iterator[Row]:
    with namespace() as where:
        ip("-n", where.name, "link", "add", WIRE, "type", "veth", "peer", "name", OTHER_END)
        for name in (WIRE, OTHER_END):
            ip("-n", where.name, "link", "set", name, "up")
        with statistics_on(), httptop("-i", WIRE, "-b", "--json", "-d", "1", "--rows", ROWS, where=where) as top:
            top.wait_attached()
            top.wait_snapshot(lambda _: True, "the first snapshot")
            known = max(LESSONS, flows)  # what it costs to learn is one time, however much comes then
            _send(where, flows, urls, range(known), ids=ids)
            # Without a rest: of what comes behind one all is looked at, until it is known how much that is.
            before_ns = _cpu_ns(top.pid)
            _send(where, flows, urls, range(known, known + exchanges), ids=ids)
            last = _last(top, known + exchanges)
            spent_ns = _cpu_ns(top.pid) - before_ns
            kernel_ns = 2 * last["self"]["bpf_ns_per_run"]  # a request and an answer
            rss = int(status(top.pid)["VmRSS"].split()[0]) * 1024
    lost = sum(row["events"] for row in last["losses"])
    yield Row(f"growth: us per exchange, {what}", [spent_ns / exchanges / 1e3], 2,
              f"{exchanges:,} exchanges" + (f", {lost:,} events lost" if lost else ""))
    yield Row(f"growth: us per exchange in the kernel, {what}", [kernel_ns / 1e3], 2, "with what it takes to measure")
    yield Row(f"growth: RSS, MB, {what}", [rss / MB], 1)


def _last(top: Httptop, exchanges: int) -> dict[str, object]:
    """The snapshot that has all."""
    until(lambda: top.snapshots()[-1]["totals"]["responses"] >= exchanges, "all exchanges", every_s=0.2)
    return top.wait_requests(exchanges)


def _cpu_ns(pid: int) -> int:
    """Of a process so far, as clock_getcpuclockid(3) has it: /proc tells hundredths of a second."""
    return time.clock_gettime_ns(~pid << 3 | 2)


def _send(where: Namespace, flows: int, urls: int, numbers: range, *, ids: bool) -> None:
    """One flow after the other says one exchange; one URL after the other is asked for. `ids`: each has its own."""
    asking, answering = (bytearray(_frame(*way)) for way in ((REQUEST, 0), (RESPONSE, 1)))
    places = [(frame, frame.index(b": 0000") + 2) for frame in (asking, answering)]
    opening, opened = (bytearray(_frame(b"", sender, SYN | ACK * sender)) for sender in (0, 1))
    with where.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
        out.bind((OTHER_END, 0))
        began = time.monotonic()
        for sent, number in enumerate(numbers):
            turn, flow = divmod(number, flows)
            if not turn:
                for frame, ports in ((opening, (10_000 + flow, 80)), (opened, (80, 10_000 + flow))):
                    struct.pack_into("!HHI", frame, PORTS_AT, *ports, ISN - 1)
                    out.send(frame)
            asked, answered = ISN + turn * len(REQUEST), ISN + turn * len(RESPONSE)
            asking[URL_AT : URL_AT + 8] = b"%08d" % (number % urls)
            for frame, at in places * ids:
                frame[at : at + 32] = b"%032x" % (number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128))
            struct.pack_into("!HH", asking, PORTS_AT, 10_000 + flow, 80)
            struct.pack_into("!HH", answering, PORTS_AT, 80, 10_000 + flow)
            struct.pack_into("!II", asking, SEQ_AT, asked, answered)
            struct.pack_into("!II", answering, SEQ_AT, answered, asked + len(REQUEST))
            out.send(asking)
            ready_ns = time.monotonic_ns() + SERVER_NS
            while time.monotonic_ns() < ready_ns:
                pass
            out.send(answering)
            if sent % AT_ONCE == 0:
                time.sleep(max(0.0, began + sent / RATE_PER_S - time.monotonic()))


def _frame(payload: bytes, sender: int, flags: int = ACK) -> bytes:
    addresses = ("10.83.84.2", "10.83.84.1")
    return ethernet(ETH_IP4, ipv4(addresses[sender], addresses[1 - sender], tcp(0, 0, 0, payload, flags=flags)))
