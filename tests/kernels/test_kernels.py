"""Verifiers differ: what this kernel loads, each kernel that the distribution has must load too."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from httptop.capture import bytecode, image_cache
from httptop.capture.live import LiveSource
from tests.kernels import other_kernel
from tests.support.loader import compiling, loaded, place
from tests.support.net import namespace

PACKAGES = other_kernel.packages() if shutil.which("apt-get") else []
pytestmark = pytest.mark.skipif(not shutil.which("apt-get"), reason="needs apt-get, to download kernels")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What httptop loads, as a start has stored it."""
    cache = tmp_path_factory.mktemp("cache")
    cache.chmod(0o700)
    with namespace() as where, where.entered():
        source = LiveSource(("lo",), keep_root=True)
        source.cache = str(cache)
        source.open()
        source.close()
    stored: dict[str, Any] = image_cache.read(str(cache), next(cache.iterdir()).name)["image"]
    return wherever(bytecode.Image.from_json(stored)).as_json()


def wherever(image: bytecode.Image) -> bytecode.Image:
    """With the programs that see packets as they are loaded for each place, and a map for those they call there."""
    [callees] = [m for m in image.maps if m.name == compiling.CALLEES]
    maps, programs = [m for m in image.maps if m != callees], []
    for at in (place.SOCKET, place.TCX):
        there = callees._replace(name=f"{callees.name}_{at}")
        maps.append(there)
        programs += [program(which, at, there.name) for which in image.programs if which.name in loaded.SEE_PACKETS]
    return bytecode.Image(maps, programs + [which for which in image.programs if which.name not in loaded.SEE_PACKETS])


def program(which: bytecode.Program, at: int, callees: str) -> bytecode.Program:
    """One of them."""
    code = bytearray(which.code)
    bytecode.put_setting(code, compiling.PLACE_MARK, at)
    kind = bytecode.SOCKET_FILTER if at == place.SOCKET else bytecode.SCHED_CLS
    maps = [(number, callees if name == compiling.CALLEES else name) for number, name in which.maps]
    return bytecode.Program(f"{which.name}_{at}", kind, bytes(code), maps)


def test_there_are_other_kernels() -> None:
    """Without any, nothing is tested: then apt-get update has to run first."""
    assert PACKAGES


@pytest.mark.parametrize("package", PACKAGES)
def test_all_is_loaded(package: str, image: dict[str, Any], tmp_path: Path) -> None:
    """All programs, the fast path among them."""
    said = other_kernel.said(other_kernel.kernel(package, tmp_path), other_kernel.disk(image, tmp_path))
    expected = [f"loaded {name}" for name, *_ in image["programs"]]
    assert f"loaded http_fast_{place.TCX}" in expected
    assert list(said) == [*expected, "done"]
