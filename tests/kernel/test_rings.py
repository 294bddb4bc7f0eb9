"""What comes out of the rings is what went in, and what did not fit is counted."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

from httptop.records import V4_MAPPED, Accept, Counter, Kind
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


@contextlib.contextmanager
def listener() -> Iterator[socket.socket]:
    """A listening socket on loopback, in the namespace of the caller."""
    with socket.create_server(("127.0.0.1", 0)) as here:
        yield here


def accepts_of_this_process(here: Kernel) -> list[Accept]:
    """What was accepted here since the last look; the whole machine is seen, so others are left out."""
    return [accept for accept in here.source._drain().accepts if accept.pid == os.getpid()]


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
    name = event.comm.rstrip(b"\0").decode()
    assert name == Path("/proc/self/comm").read_text().strip()
    assert not event.thread


def test_accept_in_a_thread_is_marked(loaded: Kernel) -> None:
    """A thread's accept has the process's pid, and says that the name is a thread's."""
    with loaded.inside(), listener() as here, socket.create_connection(here.getsockname()):
        accepts_of_this_process(loaded)
        thread = threading.Thread(target=lambda: here.accept()[0].close())  # noqa: PLW0108 - it is no inlining
        thread.start()
        thread.join()
        (event,) = until(lambda: accepts_of_this_process(loaded), "the accept event")
    assert event.pid == os.getpid()
    assert event.thread


def test_full_perf_buffer_loses_accepts_and_no_count() -> None:
    """Accepts that nobody reads in time are counted, and those that did not fit as lost."""
    home = os.sched_getaffinity(0)
    with kernel() as here, listener() as door:
        before = here.source._drain().counters
        os.sched_setaffinity(0, {min(home)})  # each CPU has a buffer of its own
        try:
            for _ in range(4000):
                with socket.create_connection(door.getsockname()) as caller:
                    # Reset at once: no port is left waiting.
                    caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    door.accept()[0].close()
        finally:
            os.sched_setaffinity(0, home)
        batch = here.source._drain()
    gained = [now - then for now, then in zip(batch.counters, before, strict=True)]
    assert gained[Counter.LOST_ACCEPT] > 0
    assert gained[Counter.ACCEPTS] == len(batch.accepts) + gained[Counter.LOST_ACCEPT] >= 4000
