"""When what the kernel was taught is thrown away."""

from __future__ import annotations

from httptop.in_kernel import QUIET_RECORDS, REFUSED_MAX, RENEW_NS, SETTLE_NS
from httptop.records import Batch, Counted, Held, Record
from httptop.stats import bucket
from tests.core.test_teaching import OWNERS, Lesson
from tests.support.dialogs import GET, OK, Script, get
from tests.support.reading import MS


def counts(lesson: Lesson, others: int, cell: int = 0) -> None:
    """So many exchanges of a cell were counted since the last time, until now."""
    of = (Counted(cell, 0, ((bucket(2 * MS), others),)),) if others else ()
    lesson.engine.feed(Batch([], [], tuple(lesson.tap.counters), lesson.now_ns, counted=of))


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
