"""The server that end-to-end tests talk to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import nginx
from tests.support.net import Site


@pytest.fixture(scope="session")
def web(wire: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[nginx.Nginx]:
    """A web server with two workers, in the server's namespace."""
    if nginx.binary() is None:
        pytest.skip("nginx is not installed")
    with nginx.nginx(tmp_path_factory.mktemp("nginx"), wire.server) as server:
        yield server
