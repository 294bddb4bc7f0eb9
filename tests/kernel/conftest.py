"""The loaded programs, in a namespace where no packet comes by on its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.counters import Host, host
from tests.support.kernel import PLACES, Kernel, kernel
from tests.support.net import Site


@pytest.fixture(scope="module", params=PLACES)
def loaded(request: pytest.FixtureRequest) -> Iterator[Kernel]:
    """The filter, ready for frames."""
    with kernel(tcx=request.param == "tcx") as here:
        yield here


@pytest.fixture(scope="module")
def here(wire: Site) -> Iterator[Host]:
    """The server's namespace, with a place of its own to pin things."""
    with host(wire.server) as found:
        yield found
