"""What comes out of the rings is what went in, and what did not fit is counted."""

from __future__ import annotations

import contextlib
import mmap
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from httptop.capture import btf, pace, rings
from httptop.capture.live import ACCEPT_PAGES
from httptop.records import ACCEPT, OWNER, V4_MAPPED, Accept, Counter, How, Kind
from tests.support import bpf
from tests.support.frames import Talk
from tests.support.kernel import Kernel, check_same, kernel, python
from tests.support.poll import until
from tests.support.scenes import GET, OK

SMALL_RING = 1 << 16
NEVER = 1 << 30


def exchanges(count: int) -> Iterator[bytes]:
    """So many requests and responses with bodies of many lengths."""
    dice = random.Random(3)
    for _ in range(count):
        talk = Talk()
        yield from talk.client(GET)
        yield from talk.server(OK + b"b" * dice.randrange(1200))


def test_full_ring_loses_records_and_no_count() -> None:
    """With a ring that is too small, every head is counted, and is either delivered or counted as lost."""
    with kernel(SMALL_RING) as small:
        seen = small.run(exchanges(600), drain_every=NEVER)
    counts = seen.counters
    delivered = [record.kind for record in seen.records]
    assert counts[Counter.GET] == counts[Counter.C2XX] == 600
    assert counts[Counter.LOST_REQUEST] > 0
    assert delivered.count(Kind.REQUEST) + counts[Counter.LOST_REQUEST] == 600
    assert delivered.count(Kind.RESPONSE) + counts[Counter.LOST_RESPONSE] == 600


def test_ring_that_wraps_around_tears_nothing() -> None:
    """Records of many sizes through many turns of a small ring come out whole."""
    frames = list(exchanges(1000))
    with kernel(SMALL_RING) as small:
        check_same(small.run(frames, drain_every=20), python(frames))


LOOKER = """
import mmap, sys
with open(sys.argv[1], "r+b") as file, mmap.mmap(file.fileno(), 8) as page, memoryview(page).cast("Q") as word:
    print("ready", flush=True)
    seen = set()
    while 2**64 - 1 not in seen:  # the end
        seen.add(word[0])
    print(len(seen))
"""


def test_reader_never_shows_a_position_that_it_has_not(tmp_path: Path) -> None:
    """Who looks at a position while it is written, as the kernel does, finds the old one or the new one."""
    odd, even, end = 0x0101010101010101, 0x0202020202020202, 2**64 - 1
    (tmp_path / "page").write_bytes(struct.pack("=Q", odd))
    with (tmp_path / "page").open("r+b") as file, mmap.mmap(file.fileno(), 8) as page, rings.position(page) as word, \
            subprocess.Popen([sys.executable, "-c", LOOKER, str(tmp_path / "page")], stdout=subprocess.PIPE,
                             text=True) as looker:
        assert looker.stdout
        assert looker.stdout.readline() == "ready\n"
        for _ in range(1_000_000):
            word[0] = even
            word[0] = odd
        word[0] = end
        assert int(looker.stdout.readline()) <= len({odd, even, end})


@contextlib.contextmanager
def listener() -> Iterator[socket.socket]:
    """A listening socket on loopback, in the namespace of the caller."""
    with socket.create_server(("127.0.0.1", 0)) as here:
        yield here


def accepts_of_this_process(here: Kernel) -> list[Accept]:
    """What was accepted here since the last look; the whole machine is seen, so others are left out."""
    return [accept for accept in here.source._drain().accepts if owner(accept)[0] == os.getpid()]


def owner(accept: Accept) -> tuple[int, int, bool, str]:
    """(pid, how, whether a thread accepted, name) of who accepted."""
    pid, how, thread, _, _, comm = OWNER.unpack(accept.owner)
    return pid, how, bool(thread), comm.split(b"\0")[0].decode()


def test_accept_tells_process_and_peer(loaded: Kernel) -> None:
    """An accepted connection comes with pid, name, fd and the peer's address and port."""
    with loaded.inside(), listener() as here, socket.create_connection(here.getsockname()) as caller:
        accepts_of_this_process(loaded)
        accepted, peer = here.accept()
        with accepted:
            (event,) = until(lambda: accepts_of_this_process(loaded), "the accept event")
            assert event.fd == accepted.fileno()
            assert event.peer_addr == V4_MAPPED + socket.inet_aton(peer[0])
            assert int.from_bytes(event.peer_port, "big") == peer[1] == caller.getsockname()[1]
    name = Path("/proc/self/comm").read_text().strip()
    assert owner(event) == (os.getpid(), How.ACCEPT, False, name)


def test_accept_in_a_thread_is_the_process(loaded: Kernel) -> None:
    """A thread's accept has the process's pid and name; where the kernel hides that name it says so."""
    with loaded.inside(), listener() as here, socket.create_connection(here.getsockname()):
        accepts_of_this_process(loaded)
        thread = threading.Thread(target=lambda: here.accept()[0].close())  # noqa: PLW0108 - it is no inlining
        thread.start()
        thread.join()
        (event,) = until(lambda: accepts_of_this_process(loaded), "the accept event")
    known = bool(btf.constants())
    assert owner(event)[:3] == (os.getpid(), How.ACCEPT, not known)
    if known:
        assert owner(event)[3] == Path("/proc/self/comm").read_text().strip()


def test_full_perf_buffer_loses_accepts_and_no_count() -> None:
    """Accepts that nobody reads in time are counted, and those that did not fit as lost."""
    home = os.sched_getaffinity(0)
    made = ACCEPT_PAGES * mmap.PAGESIZE // ACCEPT.size + 500  # each takes more room than its size
    with kernel() as here, listener() as door:
        before = here.source._drain().counters
        os.sched_setaffinity(0, {min(home)})  # each CPU has a buffer of its own
        try:
            for _ in range(made):
                with socket.create_connection(door.getsockname()) as caller:
                    # Reset at once: no port is left waiting.
                    caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    door.accept()[0].close()
        finally:
            os.sched_setaffinity(0, home)
        came = 0

        def settled() -> bool:
            # The whole machine's accepts are counted, and more may come between the two readings of a drain.
            nonlocal came
            batch = here.source._drain()
            came += len(batch.accepts)
            counted, lost = (batch.counters[n] - before[n] for n in (Counter.ACCEPTS, Counter.LOST_ACCEPT))
            return lost > 0 and counted == came + lost >= made

        until(settled, "each accept to be delivered or lost")


@pytest.mark.parametrize(("fast_path", "heads", "woken"), [
    (True, pace.WAKE_RECORDS, True), (True, pace.WAKE_RECORDS - 1, False), (False, pace.WAKE_RECORDS, False)])
def test_a_burst_wakes_the_reader(monkeypatch: pytest.MonkeyPatch, fast_path: bool, heads: int, woken: bool) -> None:
    """What is new is understood before there is much of it; a little can wait, and so can what is not to be taught."""
    nap_s = 30.0 if woken else 0.5
    monkeypatch.setattr(pace, "IDLE_NAP_S", nap_s)
    frames = [Talk().frame(0, GET) for _ in range(heads)]
    took_s: list[float] = []
    with kernel(fast_path=fast_path) as here:
        def reader() -> None:
            began_s = time.monotonic()
            assert len(here.source.read(nap_s).records) == heads
            took_s.append(time.monotonic() - began_s)

        thread = threading.Thread(target=reader)
        thread.start()
        if here.source.board is not None:
            settings = here.source.board._words["settings"]
            until(lambda: pace.WAKE_RECORDS in settings, "the reader to sleep")
        for frame in frames:
            bpf.run(here.program, frame)
        thread.join()
    assert (took_s[0] < nap_s) == woken
