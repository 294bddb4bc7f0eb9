"""The loaded programs, in a namespace where no packet comes by on its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.kernel import Kernel, kernel


@pytest.fixture(scope="module")
def loaded() -> Iterator[Kernel]:
    """The socket filter, ready for frames."""
    with kernel() as here:
        yield here
