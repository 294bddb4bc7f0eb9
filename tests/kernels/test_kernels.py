"""Verifiers differ: what this kernel loads, each kernel that the distribution has must load too."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from httptop.capture import image_cache
from httptop.capture.live import LiveSource
from tests.kernels import other_kernel
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
    return stored


def test_there_are_other_kernels() -> None:
    """Without any, nothing is tested: then apt-get update has to run first."""
    assert PACKAGES


@pytest.mark.parametrize("package", PACKAGES)
def test_all_is_loaded(package: str, image: dict[str, Any], tmp_path: Path) -> None:
    """All programs, the fast path among them."""
    said = other_kernel.said(other_kernel.kernel(package, tmp_path), other_kernel.disk(image, tmp_path))
    expected = [f"loaded {name}" for name, *_ in image["programs"]]
    assert "loaded http_fast" in expected
    assert list(said) == [*expected, "done"]
