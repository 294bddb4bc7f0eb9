"""The short cut for frames of capture files: it says no to most, and never anything but what the long way says."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httptop.capture.glance import UNCLEAR, glance
from httptop.capture.link import LINKS
from httptop.capture.walk import Tap
from httptop.records import Record
from tests.core.test_walk import GET, HELLO, OK, POST, WALKED
from tests.support.frames import ETH_IP4, ETH_IP6, FIN, RST, SYN, UDP, Talk, ethernet, ipv4, ipv6
from tests.support.scenes import SCENES, Scene

ETHERNET, COOKED, COOKED2 = 1, 113, 276


def cooked(link: int, frame: bytes) -> bytes:
    """An Ethernet frame as one of another link type."""
    if link == COOKED:
        return bytes(14) + frame[12:]
    return frame[12:14] + bytes(18) + frame[14:] if link == COOKED2 else frame


def long_way(link: int, frames: Iterable[bytes]) -> tuple[list[Record], list[int]]:
    """Records and counters without a short cut."""
    tap, records = Tap(), []
    for frame in frames:
        ethertype, at = LINKS[link](frame)
        records += tap.packet(0, ethertype, frame[at:], len(frame) - at)
    return records, tap.counters


def short_cut(link: int, frames: Iterable[bytes]) -> tuple[list[Record], list[int]]:
    """The same with it. That a packet was seen is counted by who takes the short cut."""
    tap, records = Tap(), []
    for frame in frames:
        try:
            segment = glance(link, frame, tap.follows)
        except UNCLEAR:
            ethertype, at = LINKS[link](frame)
            records += tap.packet(0, ethertype, frame[at:], len(frame) - at)
            continue
        tap.packet(0, 0, b"", 0)
        if segment is not None:
            records += tap.segment(0, segment, frame)
    return records, tap.counters


@pytest.mark.parametrize("link", [ETHERNET, COOKED, COOKED2])
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_scenes_give_the_same(link: int, scene: Scene) -> None:
    """What the filter in the kernel is held to gives the same records and counts on the short way."""
    frames = [cooked(link, frame) for frame in scene() if len(frame) >= 60]
    assert short_cut(link, frames) == long_way(link, frames)


TALK = Talk()
TALKS = [*WALKED.values(), *TALK.client(POST, GET, b"x" * 99), *TALK.server(OK, HELLO, b"PRI * HTTP/2.0\r\n\r\n", b"H"),
         TALK.frame(0, b""), TALK.frame(0, GET, flags=SYN), TALK.frame(1, b"", flags=FIN), TALK.frame(1, OK, flags=RST)]


@pytest.mark.parametrize("link", [ETHERNET, COOKED, COOKED2])
def test_cut_frames_give_the_same(link: int) -> None:
    """A frame that is cut anywhere behind its link layer gives the same."""
    for frame in (cooked(link, frame) for frame in TALKS):
        for size in range(20, len(frame)):
            assert short_cut(link, [frame[:size]]) == long_way(link, [frame[:size]]), size


@given(st.lists(st.tuples(st.sampled_from(TALKS), st.integers(12, 80), st.integers(0, 255), st.integers(14, 200)),
                max_size=12))
def test_any_bytes_give_the_same(steps: list[tuple[bytes, int, int, int]]) -> None:
    """Frames with one wrong byte, cut anywhere, one after the other: the same records and the same counts."""
    frames = []
    for number, (frame, at, byte, size) in enumerate(steps):
        damaged = frame[:at] + bytes((byte,)) + frame[at + 1 :] if number % 2 else frame
        frames.append(damaged[:size] if number % 3 else damaged)
    assert short_cut(ETHERNET, frames) == long_way(ETHERNET, frames)


@pytest.mark.parametrize("link", [ETHERNET, COOKED, COOKED2])
@pytest.mark.parametrize("v6", [False, True])
def test_most_frames_are_passed_over(link: int, v6: bool) -> None:
    """Acknowledgements, bodies and UDP take the short way and come to nothing; heads and ends take it, too."""
    talk, tap = Talk(v6=v6), Tap()
    make, ends = (ipv6, ("::1", "::2")) if v6 else (ipv4, ("10.0.0.1", "10.0.0.2"))
    packet = make(*ends, bytes(60), protocol=UDP)
    assert glance(link, cooked(link, ethernet(ETH_IP6 if v6 else ETH_IP4, packet)), tap.follows) is None
    for payload in (b"", b"\xffbody", b"word-in-a-body, more", b"{}"):
        assert glance(link, cooked(link, talk.frame(0, payload)), tap.follows) is None
    for payload, flags in ((GET, 0), (HELLO, 0), (b"", FIN), (b"", SYN)):
        assert glance(link, cooked(link, talk.frame(0, payload, flags=flags)), tap.follows) is not None
    tap.packet(0, ETH_IP6 if v6 else ETH_IP4, talk.frame(0, POST)[14:], 200)
    assert glance(link, cooked(link, talk.frame(0, b"\xffbody")), tap.follows) is not None


def test_what_is_odd_goes_the_long_way() -> None:
    """Options, labels, other link types and cut headers are not judged here."""
    for link, frame in ((ETHERNET, WALKED["IPv4 options"]), (ETHERNET, WALKED["MPLS"]),
                        (ETHERNET, WALKED["IPv4"][:40]), (101, WALKED["IPv4"][14:])):
        with pytest.raises(UNCLEAR):
            glance(link, frame, Tap().follows)
