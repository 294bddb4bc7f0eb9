"""The filter in the kernel and its specification in Python yield the same records and counts."""

from __future__ import annotations

import socket

import pytest

from httptop.records import OWNER, Kind
from tests.core.test_walk import ASKED
from tests.support import bpf
from tests.support.dialogs import GET, OK, get
from tests.support.frames import Talk
from tests.support.kernel import Kernel, check_same, kernel, python
from tests.support.scenes import SCENES, Scene


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_same_as_the_specification(loaded: Kernel, scene: Scene) -> None:
    """Hand-made frames give the same records, field by field, and the same counts."""
    frames = list(scene())
    loaded.forget()  # a byte set wrong on purpose may name a flow of another scene
    check_same(loaded.run(frames), python(frames))


@pytest.mark.parametrize("asked", [asked for asked, _ in ASKED], ids=str)
def test_as_much_of_the_answer_as_is_needed(loaded: Kernel, asked: tuple[bytes, ...]) -> None:
    """After requests that were sent ahead, or may have been."""
    talk = Talk()
    frames = [*talk.client(*asked), talk.frame(1, OK + b"x" * 2000), talk.frame(1, b"\xff" * 99)]
    loaded.forget()
    check_same(loaded.run(frames), python(frames))


def told(loaded: Kernel, *frames: bytes) -> list[tuple[int, int, int]]:
    """(kind, pid of the lower endpoint, of the other one) of the records of these frames."""
    for frame in frames:
        bpf.run(loaded.program, frame)
    records = loaded.source._drain(most=1 << 30).records
    return [(record.kind, *(OWNER.unpack(owner)[0] for owner in record.owners)) for record in records]


KNOWN, NOT_TOLD = (7, 8), (0, 0)


def test_when_owners_are_told(loaded: Kernel) -> None:
    """Once for a flow, as to look both up is a third of what a record costs; and again when any owner has changed.

    Who is not known is looked for each time. Further requests tell none: the answers to them will.
    """
    loaded.forget()
    talk = Talk()
    flow = python([talk.frame(0, GET, seq=1)]).records[0].flow
    asked, answered = (Kind.REQUEST, *NOT_TOLD), (Kind.RESPONSE, *KNOWN)
    assert told(loaded, talk.frame(0, GET), talk.frame(1, OK)) == [asked, (Kind.RESPONSE, *NOT_TOLD)]
    loaded.own(flow)
    assert told(loaded, talk.frame(0, get("/b")), talk.frame(1, OK)) == [asked, answered]
    again = [told(loaded, talk.frame(0, GET), talk.frame(1, OK)) for _ in range(5)]  # another one may connect
    assert [asked, (Kind.RESPONSE, *NOT_TOLD)] in again
    with loaded.inside(), socket.socket() as other:
        assert other.connect_ex(("127.0.0.1", 9))  # nobody listens: it was somebody's for a moment
    assert told(loaded, talk.frame(0, GET), talk.frame(1, OK)) == [asked, answered]


def test_owners_that_were_lost_are_told_again() -> None:
    """With a record that found no place in the ring."""
    with kernel(ring_bytes=1 << 16) as here:
        talk = Talk()
        here.own(python([talk.frame(0, GET, seq=1)]).records[0].flow)
        others = [Talk().frame(0, get(f"/{n}")) for n in range(600)]
        assert (Kind.REQUEST, *KNOWN) not in told(here, *others, talk.frame(0, GET))
        assert told(here, talk.frame(1, OK)) == [(Kind.RESPONSE, *KNOWN)]
