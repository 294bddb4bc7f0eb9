"""The second start takes what the first has compiled, and is the same; whatever is wrong with that, it compiles."""

from __future__ import annotations

import contextlib
import copy
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from httptop.capture import image_cache, live, preflight
from httptop.capture.live import LiveSource
from tests.support import bpf
from tests.support.net import Namespace, namespace

FEWER_FLOWS = 4096


class First(NamedTuple):
    """A start that had to compile: where it stored that, under which name, and what it had in the kernel."""

    where: Namespace
    cache: Path
    name: str
    kernel: set[bytes]

    def stored(self) -> Any:  # noqa: ANN401 - JSON
        return image_cache.read(str(self.cache), self.name)


@contextlib.contextmanager
def started(where: Namespace, cache: Path) -> Iterator[set[bytes]]:
    """A source with this cache is open; what the kernel says of its programs (instructions) and maps."""
    with where.entered():
        source = LiveSource(("lo",), keep_root=True)
        source.cache = str(cache)
        try:
            source.open()
            yield loaded(source)
        finally:
            source.close()


def loaded(source: LiveSource) -> set[bytes]:
    maps = set().union(*(bpf.maps_of(program) for program in bpf.fd_objects(fds=source._fds["program"])))
    found = {about(thing)[:4] + about(thing)[8:40] for thing in maps}  # all that they were created from
    for program in bpf.objects("prog"):
        if bpf.maps_of(program) & maps:
            found.add(about(program)[8:16])  # the digest of its instructions
    return found


def about(thing: bpf.Object) -> bytes:
    with bpf.opened(thing) as fd:
        return bpf.info(fd)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[First]:
    """The first start with an empty cache."""
    cache = tmp_path_factory.mktemp("first") / "cache"
    with namespace() as where:
        with started(where, cache) as kernel:
            [name] = [path.name for path in cache.iterdir()]
        yield First(where, cache, name, kernel)


@pytest.fixture
def spoilt(first: First, tmp_path: Path) -> Iterator[Callable[[Callable[[Any], object]], Path]]:
    """Makes a cache whose entry, valid by its checksum, was changed."""
    def spoil(change: Callable[[Any], object]) -> Path:
        data = copy.deepcopy(first.stored())
        change(data)
        image_cache.write(str(tmp_path / "cache"), first.name, data)
        return tmp_path / "cache"

    return spoil


def test_compiled_or_stored_is_the_same(first: First) -> None:
    """A start from the cache has the same maps and instructions in the kernel, and leaves the entry as it is."""
    before = (first.cache / first.name).read_bytes()
    with started(first.where, first.cache) as kernel:
        assert kernel == first.kernel
    assert [path.read_bytes() for path in first.cache.iterdir()] == [before]


def test_another_namespace_needs_no_other_entry(first: First) -> None:
    """What was compiled in one network namespace serves in all."""
    with namespace() as elsewhere, started(elsewhere, first.cache):
        assert [path.name for path in first.cache.iterdir()] == [first.name]


def test_what_is_stored_is_used(first: First, spoilt: Callable[[Callable[[Any], object]], Path]) -> None:
    """The second start does not compile: what was changed in the entry is what the kernel gets."""
    def change(data: Any) -> None:  # noqa: ANN401 - JSON
        flows = next(fields for fields in data["image"]["maps"] if fields[0] == "flows")
        flows[4] = FEWER_FLOWS

    with started(first.where, spoilt(change)) as kernel:
        [flows] = [about for about in kernel if about[20:].startswith(b"flows\0")]
        assert int.from_bytes(flows[12:16], sys.byteorder) == FEWER_FLOWS


@pytest.mark.parametrize("change", [
    lambda data: data["image"]["programs"][0].__setitem__(2, "00" * 64),
    lambda data: data.pop("image"),
    lambda data: data["compiler"].__setitem__(1, 1),
    lambda data: data["image"]["maps"][0].__setitem__(1, "hash"),
], ids=["refused by the verifier", "empty", "another compiler", "not a map"])
def test_what_cannot_be_used_is_compiled_again(
        first: First, spoilt: Callable[[Callable[[Any], object]], Path], change: Callable[[Any], object]) -> None:
    """An entry that does not load, or is of another BCC, is replaced; the start is as good as any."""
    cache = spoilt(change)
    with started(first.where, cache) as kernel:
        assert kernel == first.kernel
    assert image_cache.read(str(cache), first.name) == first.stored()


def test_no_cache_at_all(first: First, tmp_path: Path) -> None:
    """Where nothing can be stored, it starts all the same."""
    shutil.copy(first.cache / first.name, tmp_path / "file")
    with started(first.where, tmp_path / "file") as kernel:
        assert kernel == first.kernel


def test_a_kernel_without_a_fast_path(first: First, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not tried there."""
    monkeypatch.setattr(preflight, "FAST_PATH_MIN", (99, 0))
    with started(first.where, tmp_path / "cache"):
        pass
    [entry] = (tmp_path / "cache").iterdir()
    assert "http_fast" in str(first.stored())
    assert "http_fast" not in str(image_cache.read(str(tmp_path / "cache"), entry.name))


@pytest.mark.parametrize(("part", "line", "change"), [
    ("tracks.c", "#define SPINS", "#error not this compiler"),
    ("tracks.c", "	scratch->asked_ns = 0;", "	scratch->data[scratch->segment.payload_len] = 0;"),
    ("http_filter.c", "	scratch->flow_hash =", "	scratch->data[g->payload_len] = 0;"),
], ids=["the compiler", "the verifier", "the verifier, in what hands over to it"])
def test_without_a_fast_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, line: str,
                             change: str) -> None:
    """Where that cannot be made it starts without, and sees all the same; and says so."""
    programs = tmp_path / "bpf"
    shutil.copytree(live.bpf_directory(), programs)
    file = programs / part
    assert line in file.read_text()
    file.write_text(file.read_text().replace(line, f"{change}\n{line}", 1))
    monkeypatch.setattr(live, "bpf_directory", lambda: programs)
    with namespace() as where, where.entered():
        source = LiveSource(("lo",), keep_root=True)
        source.cache = str(tmp_path / "cache")
        try:
            source.open()
            assert "http_fast.c" in source.missing
            assert source.board is None
            assert source.info.slow
            assert loaded(source)
        finally:
            source.close()
