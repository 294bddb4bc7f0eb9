"""The kernel's filter and its specification agree on captures that other people made."""

from __future__ import annotations

import pytest

from tests.support import corpus
from tests.support.kernel import Kernel, check_same, python


@pytest.mark.corpus
def test_corpus(loaded: Kernel) -> None:
    """Each capture gives the same records, field by field, and the same counts."""
    paths = corpus.files()
    if not paths:
        pytest.skip(f"no corpus at {corpus.FOLDER}")
    for path in paths:
        frames = list(corpus.frames(path))
        loaded.forget()
        try:
            check_same(loaded.run(frames), python(frames))
        except AssertionError as error:
            raise AssertionError(f"{path.name}: {error}") from error
