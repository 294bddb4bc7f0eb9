"""Pictures of the main states at three sizes, from recorded Snapshots.

After a change that is meant: `pytest tests/tui/test_pictures.py --snapshot-update`, and look at what it wrote.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from textual.pilot import Pilot

from httptop.errors import HttptopError, MissingFeatureError
from httptop.snapshot import Snapshot
from httptop.tui.app import HttptopApp
from tests.tui import snapshots
from tests.tui.player import Player
from tests.tui.shoot import SIZES, Recorded

Compare = Callable[..., bool]


@pytest.fixture(autouse=True)
def _release(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new release is no new picture."""
    monkeypatch.setattr("httptop.tui.dialogs.__version__", "0.1.0")


def pictured(compare: Compare, items: list[Snapshot | HttptopError], size: tuple[int, int], *keys: str) -> bool:
    """Whether the screen after these Snapshots and keys looks as recorded."""

    async def play(pilot: Pilot[None]) -> None:
        player = Player(pilot)
        await player.publish(*items)
        await player.press(*keys)
        await player.pause()

    return compare(HttptopApp(Recorded(())), terminal_size=size, run_before=play)


@pytest.mark.parametrize("state", ["calm", "error_burst", "losses", "empty", "gone", "hostile"])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_main_screen(snap_compare: Compare, state: str, size: tuple[int, int]) -> None:
    """The main screen in each state looks as recorded."""
    assert pictured(snap_compare, list(snapshots.over_time(getattr(snapshots, state)(), 4)), size)


@pytest.mark.parametrize(("name", "keys"), [
    ("filtered", ("m", *"GET", "enter", "slash", *"status:5xx")),
    ("paused", ("space",)),
    ("help", ("question_mark",)),
    ("pick", ("p",)),
    ("url", ("enter",)),
    ("process", ("2", "enter")),
    ("log", ("5",)),
    ("light", ("t",)),
])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_after_keys(snap_compare: Compare, name: str, keys: tuple[str, ...], size: tuple[int, int]) -> None:
    """What each key brings up looks as recorded."""
    assert pictured(snap_compare, list(snapshots.over_time(snapshots.calm(), 4)), size, *keys)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_failed(snap_compare: Compare, size: tuple[int, int]) -> None:
    """The screen of an error looks as recorded."""
    error = MissingFeatureError("this kernel has no BPF ring buffer: it is 5.4, 5.8 is needed",
                                "boot a newer kernel, or read a capture file: httptop -r FILE")
    assert pictured(snap_compare, [error], size)


def test_attaching(snap_compare: Compare) -> None:
    """The first screen looks as recorded."""
    assert pictured(snap_compare, [], SIZES[0])


def test_too_small(snap_compare: Compare) -> None:
    """A terminal that is too small looks as recorded."""
    assert pictured(snap_compare, [snapshots.calm()], (40, 8))
