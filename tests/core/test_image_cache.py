"""The cache of compiled programs: what root loads into the kernel must come from root, whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from httptop.capture import image_cache

NAME = image_cache.key("a", 1)
DATA = {"compiler": ["/bcc", 1, 2], "image": {"maps": [], "programs": []}}
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A directory with one entry."""
    directory = tmp_path / "cache"
    image_cache.write(str(directory), NAME, DATA)
    return directory


def test_what_was_stored_comes_back(store: Path) -> None:
    """An entry is read as it was written, by its name alone; nobody else can read or write it."""
    assert image_cache.read(str(store), NAME) == DATA
    assert image_cache.read(str(store), image_cache.key("b", 1)) is None
    assert [path.name for path in store.iterdir()] == [NAME]
    assert (store.stat().st_mode & 0o777, (store / NAME).stat().st_mode & 0o777) == (0o700, 0o600)


def test_damage_is_noticed(store: Path) -> None:
    """An entry that is cut anywhere, or has one wrong byte, is no entry."""
    whole = (store / NAME).read_bytes()
    for at in range(len(whole)):
        (store / NAME).write_bytes(whole[:at])
        assert image_cache.read(str(store), NAME) is None
        (store / NAME).write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])
        assert image_cache.read(str(store), NAME) is None


def link(path: Path) -> None:
    path.rename(path.with_suffix(".elsewhere"))
    path.symlink_to(path.with_suffix(".elsewhere"))


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


@pytest.mark.parametrize("spoil", [
    lambda path: path.chmod(0o620), lambda path: path.chmod(0o602), link, pipe,
    pytest.param(lambda path: os.chown(path, 65534, -1), marks=needs_root),
], ids=["group may write", "others may write", "link", "pipe", "someone else's"])
def test_files_that_others_may_have_written(store: Path, spoil: Callable[[Path], None]) -> None:
    """An entry that somebody else may have written is no entry."""
    spoil(store / NAME)
    assert image_cache.read(str(store), NAME) is None


@pytest.mark.parametrize("spoil", [
    lambda path: path.chmod(0o770), lambda path: path.chmod(0o777), link,
    pytest.param(lambda path: os.chown(path, 65534, -1), marks=needs_root),
], ids=["group may write", "others may write", "link", "someone else's"])
def test_directories_that_others_may_write(store: Path, spoil: Callable[[Path], None]) -> None:
    """Nothing is read from or written to a directory that is not ours alone."""
    spoil(store)
    image_cache.write(str(store), "another", DATA)
    assert image_cache.read(str(store), NAME) is None
    assert not (store / "another").exists()


def test_no_room_is_no_error(tmp_path: Path) -> None:
    """Where there is no place for the directory, or a file is in its place, nothing is stored and nothing is raised."""
    (tmp_path / "file").touch()
    for directory in (tmp_path / "file", tmp_path / "absent/cache"):
        image_cache.write(str(directory), NAME, DATA)
        assert image_cache.read(str(directory), NAME) is None


def test_it_does_not_grow(store: Path) -> None:
    """Beyond a bound the entries go that were not used for longest."""
    for number in range(image_cache.ENTRIES_MAX - 1):
        image_cache.write(str(store), str(number), DATA)
        os.utime(store / str(number), (number, number))
    os.utime(store / NAME, (0, 0))
    assert image_cache.read(str(store), NAME) == DATA  # it is the newest by this
    image_cache.write(str(store), "new", DATA)
    left = {path.name for path in store.iterdir()}
    assert left == {NAME, "new", *map(str, range(1, image_cache.ENTRIES_MAX - 1))}


def test_a_key_is_all_of_its_parts() -> None:
    """A change anywhere gives another name, also one that moves text from one part to the next."""
    names = {image_cache.key(*parts) for parts in (("ab", "c"), ("a", "bc"), ("ab", "c", ""), (["ab"], "c"))}
    assert len(names) == 4
