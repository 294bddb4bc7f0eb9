"""The matrix needs servers, browsers and compilers that a newcomer should not have to wait for: `make matrix`."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Only when it is asked for by name."""
    return None if any("matrix" in str(word) for word in config.args) else True
