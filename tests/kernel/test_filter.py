"""The filter in the kernel and its specification in Python yield the same records and counts."""

from __future__ import annotations

import pytest

from tests.support.kernel import Kernel, check_same, python
from tests.support.scenes import SCENES, Scene


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_same_as_the_specification(loaded: Kernel, scene: Scene) -> None:
    """Hand-made frames give the same records, field by field, and the same counts."""
    frames = list(scene())
    loaded.forget()  # a byte set wrong on purpose may name a flow of another scene
    check_same(loaded.run(frames), python(frames))
