"""The filter in the kernel and its specification in Python yield the same records and counts."""

from __future__ import annotations

import pytest

from httptop.records import OWNER, Kind
from tests.core.test_walk import ASKED
from tests.support import bpf
from tests.support.dialogs import GET, OK, get
from tests.support.frames import ACK, FIN, Talk
from tests.support.kernel import Kernel, check_same, python
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


def test_when_owners_are_told(loaded: Kernel) -> None:
    """With all but further requests, as the answer before each of those has told them: they cost a third of it."""
    loaded.forget()
    talk = Talk()
    flow = python([talk.frame(0, GET, seq=1)]).records[0].flow
    loaded.own(flow)
    frames = [talk.frame(0, GET), talk.frame(1, OK), talk.frame(0, get("/b")), talk.frame(1, OK),
              talk.frame(0, b"", flags=FIN | ACK)]
    for frame in frames:
        bpf.run(loaded.program, frame)
    told = [(record.kind, *(OWNER.unpack(owner)[0] for owner in record.owners))
            for record in loaded.source._drain(most=1 << 30).records]
    assert told == [(Kind.REQUEST, 7, 8), (Kind.RESPONSE, 7, 8), (Kind.REQUEST, 0, 0), (Kind.RESPONSE, 7, 8),
                    (Kind.END, 7, 8)]
