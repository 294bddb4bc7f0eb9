"""How much of a flood is looked at, and when what the kernel was taught is thrown away."""

from __future__ import annotations

import pytest

from httptop import teaching
from httptop.cells import OTHER_PATH
from httptop.in_kernel import (
    DETAIL_PER_S,
    FOUND_PAYS,
    QUIET_RECORDS,
    REFUSED_MAX,
    RENEW_NS,
    SAMPLES_PER_S,
    SETTLE_NS,
)
from httptop.records import Batch, Counted, Counter, Held, Record
from httptop.stats import bucket
from httptop.teaching import ALIKE_MIN, HOT, LOOKED_MAX, WARM
from tests.core.test_teaching import OWNERS, Lesson
from tests.support.dialogs import GET, OK, Script, get
from tests.support.reading import MS

READ_MS = 100.0
TEN_S = 10


def flooded() -> Lesson:
    """What stands for all targets is taught: cell 0 counts them."""
    lesson = Lesson(places=4096)
    for number in range(ALIKE_MIN):
        lesson.exchange(get(f"/item/{number}"), OK, times=1)
    assert len(lesson.slate.cells) == 1
    return lesson


def counts(lesson: Lesson, others: int, cell: int = 0) -> None:
    """So many exchanges of a cell were counted since the last time, until now."""
    of = (Counted(cell, 0, ((bucket(2 * MS), others),)),) if others else ()
    lesson.engine.feed(Batch([], [], tuple(lesson.tap.counters), lesson.now_ns, counted=of))


def afforded(lesson: Lesson, others: int) -> float:
    """Requests that are looked at each second, while so many others come besides."""
    total = 0
    for second in range(TEN_S + 1):
        for _ in range(int(1000 / READ_MS)):
            lesson.slate.detail = 0  # all were
            lesson.wait(READ_MS)
            total += lesson.slate.detail if second else 0
        counts(lesson, others)
    return total / TEN_S


@pytest.mark.parametrize(("others", "looks"), [
    (0, DETAIL_PER_S), (DETAIL_PER_S, DETAIL_PER_S), (2 * DETAIL_PER_S, DETAIL_PER_S / 2),
    (25 * DETAIL_PER_S, SAMPLES_PER_S)])
def test_the_more_there_are_the_fewer_are_looked_at(others: int, looks: float) -> None:
    """As long as nearly all can be looked at they are; of a real flood there are samples."""
    assert afforded(flooded(), others) == pytest.approx(looks, rel=0.02)


@pytest.mark.parametrize(("others", "among"), [(0, 1), (2 * DETAIL_PER_S, 2), (25 * DETAIL_PER_S, 64)])
def test_looks_are_spread(others: int, among: int) -> None:
    """Not all at what comes behind a reading, which can be the same each time; and no fewer than there are."""
    lesson = flooded()
    afforded(lesson, others)
    lesson.wait(READ_MS)
    assert lesson.slate.among == among
    assert among <= max(others / afforded(lesson, others), 1.0)


def test_what_is_found_pays_for_further_looks() -> None:
    """Up to as many as there are without a flood."""
    lesson = flooded()
    afforded(lesson, 25 * DETAIL_PER_S)
    for found, looks in ((1, SAMPLES_PER_S * READ_MS / 1e3 + FOUND_PAYS), (1000, DETAIL_PER_S * READ_MS / 1e3)):
        for number in range(found):
            lesson.exchange(get(f"/found/{found}/{number}"), OK, times=2)
        lesson.slate.detail = 0
        lesson.wait(READ_MS)
        assert lesson.slate.detail == pytest.approx(looks, abs=1)


def test_a_row_is_whole_or_there_is_none() -> None:
    """While nearly all of a flood is looked at, each has a row; else samples are `other` until they come again."""
    lesson = flooded()
    afforded(lesson, DETAIL_PER_S)
    lesson.exchange(get("/whole"), OK, times=1)
    afforded(lesson, 2 * DETAIL_PER_S)
    before = rows(lesson)
    lesson.exchange(get("/sample"), OK, times=1)
    assert before["/whole"] == 1
    assert rows(lesson) == {**before, OTHER_PATH: before[OTHER_PATH] + 1}
    lesson.exchange(get("/sample"), OK, times=2)
    assert rows(lesson) == {**before, OTHER_PATH: before[OTHER_PATH] + 1, "/sample": 2}


def rows(lesson: Lesson) -> dict[str, int]:
    """Requests by path."""
    return {cell.path: cell.requests for cell in lesson.snapshot().cells}


def test_what_comes_again_late_is_not_hot() -> None:
    """After so many others that it is one of thousands; it has its row all the same."""
    lesson = flooded()
    for number in (1, *range(LOOKED_MAX), 1):
        lesson.exchange(get(f"/{number}"), OK, times=1)
    assert len(lesson.slate.requests) == 2  # "/1" came twice at once
    lesson.exchange(get("/1"), OK, times=1)
    assert {cell.path: cell.requests for cell in lesson.snapshot().cells}["/1"] == 4


@pytest.mark.parametrize(("limits", "times"), [(["ROWS_SOME"], WARM), (["ROWS_SOME", "ROWS_MAX"], HOT)])
def test_of_many_only_what_is_hot_is_counted_by_itself(limits: list[str], times: int,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row costs whenever it is read. What is asked for much more than others has one however many there are."""
    lesson = flooded()
    taught = len(lesson.slate.requests)
    for limit in limits:
        monkeypatch.setattr(teaching, limit, 3)
    for number in range(2):
        lesson.exchange(get(f"/row/{number}"), OK, times=2)
    assert len(lesson.slate.requests) == taught + 2
    for _ in range(times - 1):
        for name in ("warm", "hot"):
            lesson.exchange(get(f"/{name}"), OK, times=1)
    assert len(lesson.slate.requests) == taught + 2
    lesson.exchange(get("/hot"), OK, times=1)
    assert lesson.slate.requests[taught + 2 :] == [(get("/hot"), Counter.GET)]
    cells = {cell.path: cell.requests for cell in lesson.snapshot().cells}
    assert (cells["/warm"], cells["/hot"]) == (times - 1, times)


def full(*, asked: bool) -> Lesson:
    """Tables of two, both taken, and too many that find no place; `asked`: the two are asked for all the time."""
    lesson = Lesson(places=2)
    lesson.now_ns = RENEW_NS
    lesson.exchange(GET, OK)
    lesson.exchange(get("/b"), OK)
    for cell in (0, 1) * asked:
        counts(lesson, 10, cell)
    for number in range(REFUSED_MAX):
        lesson.exchange(get(f"/{number}"), OK)
    return lesson


def test_what_is_asked_for_stays() -> None:
    """Tables that would soon be full of the same again are not emptied, until they are full of the past."""
    lesson = full(asked=True)
    assert not lesson.slate.untaught
    for number in range(REFUSED_MAX):
        lesson.exchange(get(f"/late/{number}"), OK)
    lesson.wait(RENEW_NS / MS + 1)
    assert lesson.slate.untaught


def test_rows_of_the_past_make_place_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """There are as many as there may be, and nobody asks for them: what comes again now is turned away no longer."""
    lesson = flooded()
    monkeypatch.setattr(teaching, "ROWS_SOME", 1)
    lesson.wait(RENEW_NS / MS + 1)
    for number in range(REFUSED_MAX):
        assert not lesson.slate.untaught
        for _ in range(2):
            lesson.exchange(get(f"/late/{number}"), OK, times=1)
    assert lesson.slate.untaught


def busy(lesson: Lesson, held: tuple[Held, ...]) -> list[Record]:
    """Read much at once, at the moment of the last one."""
    talk = Script().dialog()
    records: list[Record] = []
    for number in range(QUIET_RECORDS):
        for sender, data in enumerate((get(f"/busy/{number}"), OK)):
            lesson.now_ns += MS // 10
            records += lesson.tap.packet(lesson.now_ns, 0x0800, talk.frame(sender, data)[14:], 0)
    records = [record._replace(owners=OWNERS) for record in records]
    lesson.engine.feed(Batch(records, [], tuple(lesson.tap.counters), lesson.now_ns, held=held))
    return records


def test_tables_are_emptied_although_there_is_much_to_read() -> None:
    """When all is read that was there when it was known which requests were held; those keep their templates."""
    lesson = full(asked=False)
    assert lesson.slate.untaught
    lesson.now_ns += 2 * SETTLE_NS
    assert len(busy(lesson, (Held(1, bytes(36), 0, 0),))) > QUIET_RECORDS
    assert lesson.slate.kept is None
    busy(lesson, ())
    assert lesson.slate.kept == {1}
