"""httptop's messages against the reference decoder's, over captures that other people made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import pytest

from tests.truth import score
from tests.truth.score import CORPUS, Score

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no corpus at {CORPUS} (HTTPTOP_CORPUS names another)")

KNOWN = Path(__file__).with_name("known.jsonl")


def key(file: str, difference: str, message: Sequence[object]) -> tuple[object, ...]:
    return (file, difference, *message)


@lru_cache(maxsize=1)
def results() -> tuple[Score, set[tuple[object, ...]], list[str]]:
    """(score of what is in scope, all differences, unexpected errors)."""
    total, differences, errors = Score(), set(), []
    for row in score.rows():
        inside, found, error = score.compare(row)
        if "http-evader" not in row["file"]:
            total.add(inside, [d.message for d in found if d.kind == "missing"],
                      [d.message for d in found if d.kind == "false"])
        differences |= {key(d.file, d.kind, d.message) for d in found}
        if error and "link types" not in error and "not a pcap" not in error:
            errors.append(f"{row['file']}: {error}")
    return total, differences, errors


@pytest.mark.parametrize(("kind", "recall", "false"), [("request", 0.995, 0.005), ("response", 0.99, 0.01)])
def test_score(kind: str, recall: float, false: float) -> None:
    """Nearly all messages of the reference are found, and next to nothing else."""
    total, _, _ = results()
    assert total.expected[kind] > 2000
    assert total.recall(kind) >= recall
    assert total.false_share(kind) <= false


def test_every_difference_is_explained() -> None:
    """Each message where we and the reference differ is listed in known.jsonl with its reason, and no other is."""
    listed = [json.loads(line) for line in KNOWN.read_text(encoding="utf-8").splitlines()]
    assert {key(row["file"], row["difference"], row["message"]) for row in listed} == results()[1]
    assert all(len(row["reason"]) > 10 for row in listed)


def test_no_errors() -> None:
    """Every file of the corpus whose format is pcap or pcapng, on a link that a live interface has, is read whole."""
    assert results()[2] == []


def test_nothing_in_files_without_http() -> None:
    """Not one message is found in captures of other protocols."""
    found = {path.name: score.read(path)[0] for path in sorted((CORPUS / "no-http").iterdir())}
    assert len(found) > 100
    assert {name: messages for name, messages in found.items() if messages} == {}
