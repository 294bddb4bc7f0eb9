"""What the screen says before, without, and after traffic, and what it never does to the terminal."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable

import pytest
from rich.cells import cell_len

from httptop.errors import HttptopError, MissingFeatureError
from httptop.export.log import endpoint_text
from httptop.losses import SKIPS
from httptop.snapshot import OTHERS, LossRow, Process, Snapshot, SourceInfo
from httptop.tui.app import HttptopApp, Publication
from httptop.tui.canvas import Canvas
from httptop.tui.losses import SKIPS as EXPLAINED
from httptop.tui.main import Main
from httptop.tui.panes import Processes, Urls
from httptop.tui.pick import process_choices
from tests.tui import snapshots
from tests.tui.player import Player
from tests.tui.shoot import SIZES, Recorded
from tests.tui.test_keys import order, running, text

STATES = ("empty", "gone", "calm", "error_burst", "losses", "hostile", "unknown_owners", "long_lived")


class Never:
    """A worker that is still attaching, whatever happens."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.stopped = threading.Event()

    def start(self, publish: Callable[[Publication], None]) -> None:
        pass

    def set_delay(self, delay_s: float) -> None:
        pass

    def stop(self) -> None:
        self.stopped.set()
        self.released.wait(5)


async def test_paints_before_the_worker_starts() -> None:
    """The worker is started only after the screen has said that it attaches."""
    seen = []

    class Watching(Recorded):
        def start(self, publish: Callable[[Publication], None]) -> None:
            seen.append(text(app))

    app = HttptopApp(Watching(()))
    async with app.run_test(size=(80, 24)) as pilot:
        await Player(pilot).until(lambda: seen)
    assert "attaching" in seen[0]
    assert "loading the BPF programs" in seen[0]


async def test_quit_while_attaching_waits_for_nobody() -> None:
    """`q` gives the terminal back although the worker cannot stop yet."""
    worker = Never()
    app = HttptopApp(worker)
    async with app.run_test(size=(80, 24)) as pilot:
        await Player(pilot).press("q")
        await asyncio.to_thread(worker.stopped.wait, 5)
    assert worker.stopped.is_set()
    assert not worker.released.is_set()
    worker.released.set()


@pytest.mark.parametrize("key", ["q", "x", "escape", "enter"])
async def test_failure_is_a_readable_screen(key: str) -> None:
    """An error says what and what to do; any key leaves with its exit code; the error can be told again."""
    error = MissingFeatureError("this kernel has no ring buffer", "boot a kernel from 5.8 on")
    async with running() as (app, pilot):
        await pilot.publish(error)
        assert error.what in text(app)
        assert error.do in text(app)
        await pilot.press(key)
    assert app.return_code == 3
    assert app.failure is error


async def test_failure_is_not_overtaken() -> None:
    """Neither a Snapshot after it nor one before it, not yet shown, hides an error."""
    async with running() as (app, pilot):
        for item in (snapshots.calm(), HttptopError("the interface is gone", "look at ip link"), snapshots.calm()):
            app.publish(item)
        await pilot.pause()
        assert "the interface is gone" in text(app)


async def test_newest_snapshot_wins() -> None:
    """Of Snapshots that come faster than the screen takes them only the last is shown."""
    taken = []
    async with running() as (app, pilot):
        app.view.take = taken.append
        for number in range(100):
            app.publish(snapshots.empty()._replace(requests_per_s=float(number)))
        await pilot.pause()
    assert len(taken) < 10
    assert taken[-1].requests_per_s == 99.0


async def test_publish_comes_from_any_thread() -> None:
    """The worker publishes from its own thread."""
    async with running() as (app, pilot):
        thread = threading.Thread(target=app.publish, args=(snapshots.calm(),))
        thread.start()
        thread.join()
        await pilot.pause()
        assert "/v1/products" in text(app)


async def test_bug_is_one_line_and_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception of ours ends the screen with an error that can be told, without a traceback."""
    monkeypatch.delenv("HTTPTOP_DEBUG", raising=False)
    app = HttptopApp(Recorded(()))
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 (it comes out at the end)
        async with app.run_test(size=(80, 24)) as pilot:
            app.call_later(lambda: 1 / 0)
            await Player(pilot).pause()
    assert app.return_code == 1
    assert app.failure is not None
    assert "ZeroDivisionError" in app.failure.what
    assert app._exit_renderables == []


@pytest.mark.parametrize("seconds", [1.0, 12.0])
async def test_waiting_for_traffic(seconds: float) -> None:
    """Without traffic the screen says where it listens, and after a while what to try."""
    async with running(snapshots.empty(seconds)) as (app, _):
        assert "waiting for HTTP on eth0" in text(app)
        assert ("httptop --check" in text(app)) == (seconds > 5)
        assert ("318 TLS connections" in text(app)) == (seconds > 5)


async def test_everything_filtered_away() -> None:
    """When no row passes, the screen says how many there are and how to get them back."""
    async with running(snapshots.calm(), keep="host:nowhere") as (app, _):
        assert "none of 20 URLs passes the filter" in text(app)
        assert "Esc takes the last condition away" in text(app)


@pytest.mark.parametrize("size", SIZES)
async def test_nothing_lost_is_said(size: tuple[int, int]) -> None:
    """The plain good state stands there in words, at every size."""
    async with running(snapshots.calm(), size) as (app, _):
        assert "complete" in text(app)
        assert "nothing lost" in text(app)


@pytest.mark.parametrize("size", SIZES)
async def test_losses_catch_the_eye(size: tuple[int, int]) -> None:
    """Lost requests are a badge in the header, with the share that was seen."""
    async with running(snapshots.losses(), size) as (app, _):
        assert "97.8% seen, 12k lost" in text(app)


async def test_losses_pane_tells_cause_rate_and_remedy() -> None:
    """Each cause that struck is listed, whether it goes on, and what helps; skips follow."""
    before = snapshots.losses()
    after = snapshots.later(before)._replace(losses=tuple(
        LossRow(row.reason, row.events + 50 * (row.reason == "ring_request"), row.remedy) for row in before.losses))
    async with running(before) as (app, pilot):
        app.publish(after)
        await pilot.press("4", "plus")
        shown = text(app)
        for words in ("ring request", "50/s now", "ring response  not now", "narrow it with --port", "318 TLS flows"):
            assert words in shown


async def test_what_costs_more_is_told() -> None:
    """A kernel or a compiler without the fast path is named where losses are."""
    for slow in (True, False):
        source = snapshots.calm().source._replace(slow=slow)
        async with running(snapshots.calm()._replace(source=source)) as (app, pilot):
            await pilot.press("4")
            assert ("no fast path" in text(app)) is slow


def test_every_skip_is_explained() -> None:
    """There is no reason for leaving something alone that the screen cannot explain."""
    assert set(SKIPS) == set(EXPLAINED)


async def test_incomplete_detail_is_no_alarm() -> None:
    """Events lost that cost no request are said calmly."""
    snapshot = snapshots.calm()._replace(losses=(LossRow("response_alone", 3, "from before the start"),))
    async with running(snapshot) as (app, _):
        assert "3 lost" in text(app)
        assert "seen, 3 lost" not in text(app)


async def test_error_burst_catches_the_eye() -> None:
    """The share of 5xx now is a badge, and each failing URL has a mark."""
    async with running(snapshots.error_burst()) as (app, _):
        lines = text(app).splitlines()
        assert any("5xx 29" in line for line in lines)
        marked = [line for line in lines if line.startswith("▲")]
        assert len(marked) == 8
        assert all("api.shop" in line for line in marked)


@pytest.mark.parametrize("size", [(40, 30), (120, 8), (20, 5)])
async def test_too_small(size: tuple[int, int]) -> None:
    """A terminal that is too small is told the size it needs, and q still quits."""
    async with running(snapshots.calm(), size) as (app, pilot):
        assert "too small" in text(app)
        await pilot.press("q")
    assert app.return_code == 0


async def test_resize() -> None:
    """The screen follows the terminal's size, down to too small and back."""
    async with running(snapshots.calm()) as (app, pilot):
        for size in ((200, 60), (30, 6), (80, 24), (120, 40)):
            await pilot.resize_terminal(*size)
            assert len(text(app).splitlines()) == size[1]
        assert "/v1/products" in text(app)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("size", [*SIZES, (50, 10), (300, 90)])
async def test_every_line_fits(state: str, size: tuple[int, int]) -> None:
    """Whatever the network said, each line of the screen takes the terminal's width and no control character."""
    async with running(getattr(snapshots, state)(), size) as (app, _):
        for line in text(app).splitlines():
            assert cell_len(line) == size[0], line
            assert line.isprintable(), line
        for canvas in app.screen.query(Canvas):
            assert len(canvas._drawn) <= max(canvas.size.height, 0)


async def test_hostile_text_is_shown_as_text() -> None:
    """Escape sequences, markup and direction overrides are visible, not obeyed."""
    async with running(snapshots.hostile(), (200, 60)) as (app, _):
        shown = text(app)
        for words in (r"\x1b[2J", "[bold red]markup[/]", r"\u202egnp.exe", r"zero\u200bwidth", r"\xff"):
            assert words in shown, words


async def test_ascii_and_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    """--ascii leaves nothing else on the screen, --no-color no colour, and neither changes the environment."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    app = HttptopApp(Recorded(()), ascii_only=True, color=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await Player(pilot).publish(snapshots.hostile())
        await Player(pilot).press("down")
        assert text(app).replace("\n", "").isascii()
        for strip in app.screen._compositor.render_strips():
            for segment in strip:
                if segment.style is not None:
                    assert segment.style.color is None or segment.style.color.is_default
                    assert segment.style.bgcolor is None or segment.style.bgcolor.is_default


@pytest.mark.parametrize("term", ["linux", "screen", "vt220", "xterm-16color"])
async def test_eight_colours(monkeypatch: pytest.MonkeyPatch, term: str) -> None:
    """A terminal of few colours gets only the basic ones on its own background; the classes still differ."""
    monkeypatch.setenv("TERM", term)
    monkeypatch.delenv("COLORTERM")
    async with running(snapshots.error_burst()) as (app, pilot):
        await pilot.press("down")
        for strip in app.screen._compositor.render_strips():
            for _, style, _ in strip:
                for color in (style.color, style.bgcolor) if style else ():
                    assert color is None or color.is_default or color.number in range(8), color
        styles = [app.look.palette[name] for name in ("2xx", "3xx", "4xx", "5xx", "text")]
        assert len(set(styles)) == 5


async def test_interface_gone_and_back() -> None:
    """The screen says that it is gone, since when, and keeps what was counted; and that it is back."""
    first = snapshots.calm()
    source = first.source._replace(gone=first.source.interfaces)
    async with running(first) as (app, pilot):
        for seconds in (1.0, 13.0):
            await pilot.publish(snapshots.later(first, seconds)._replace(source=source))
        assert "gone 12s" in text(app).splitlines()[0]
        assert "/v1/products" in text(app)
        await pilot.publish(snapshots.later(first, 20.0))
        assert "live" in text(app).splitlines()[0]
        assert [note.title for note in app._notifications] == ["eth0 is gone", "eth0 is back"]


async def test_one_of_the_interfaces_is_gone() -> None:
    """Which of several is named."""
    both = snapshots.calm().source._replace(interfaces=("eth0", "wg0"), gone=("wg0",))
    async with running(snapshots.calm()._replace(source=both)) as (app, _):
        assert "wg0 gone 0s" in text(app).splitlines()[0]


async def test_gone_before_any_traffic() -> None:
    """With nothing to show the screen says what it waits for."""
    empty = snapshots.empty()
    source = empty.source._replace(gone=("eth0",))
    async with running(empty._replace(source=source)) as (app, _):
        assert "eth0 is gone" in text(app)
        assert "goes on when an interface of this name is back" in text(app)


async def test_hints_name_interfaces_with_traffic() -> None:
    """Who watches the wrong interface is told which ones have traffic now."""
    async with running(snapshots.empty()) as (app, pilot):
        shown = text(app)
        for words in ("traffic now on lo ", "httptop -i docker0", "httptop --netns PID", "318 TLS connections"):
            assert words in shown
        assert "another interface?" not in shown
        await pilot.publish(snapshots.empty()._replace(source=SourceInfo("live", ("eth0",))))
        assert "httptop -i any" in text(app)


async def test_unknown_processes_are_a_row() -> None:
    """Requests of no known process are a visible row."""
    async with running(snapshots.unknown_owners()) as (app, _):
        assert "unknown" in text(app)
        assert app.screen.query_one(Processes)._groups[0].process is None


async def test_processes_of_which_there_were_too_many() -> None:
    """They are one row without a pid, which can be looked into, but not be filtered by."""
    cells = tuple(cell._replace(client=OTHERS) for cell in snapshots.calm().cells)
    async with running(snapshots.calm()._replace(cells=cells)) as (app, pilot):
        assert re.search(r" · \(other\) +client ", text(app))
        assert process_choices(app.view, app.look)
        assert all("(other)" not in str(choice.line) for choice in process_choices(app.view, app.look))
        await pilot.press("2", "enter")
        assert "(other) client" in " ".join(text(app).split())


async def test_servers_of_which_there_were_too_many() -> None:
    """Two names are two, though neither has a pid."""
    calm = snapshots.calm()
    cells = tuple(calm.cells[0]._replace(server=Process(0, comm)) for comm in ("php", "cgi"))
    async with running(calm._replace(cells=cells), (200, 60)) as (app, _):
        assert " php +1 " in text(app)


async def test_ten_thousand_rows() -> None:
    """Any number of rows can be shown, sorted and walked through."""
    async with running(snapshots.many()) as (app, pilot):
        assert " 10000 " in text(app).splitlines()[4]
        await pilot.press("end")
        assert app.screen.query_one(Urls)._index == 9_999


async def test_only_changed_lines_are_drawn_again() -> None:
    """A refresh with the same numbers draws nothing; with one changed row that row's line."""
    snapshot = snapshots.calm()
    async with running(snapshot, (80, 24)) as (app, pilot):  # without trends, which change each time
        urls = app.screen.query_one(Urls)
        drawn: list[int] = []
        refresh = urls.refresh
        urls.refresh = lambda *regions, **options: (drawn.extend(region.y for region in regions), refresh(
            *regions, **options))[1]
        await pilot.publish(snapshot)
        assert drawn == []
        app.publish(snapshot._replace(cells=tuple(
            cell._replace(requests=cell.requests + 1000) if cell.path == "/v1/search" else cell
            for cell in snapshot.cells)))
        await pilot.pause()
        assert drawn == [2 + order(app).index("/v1/search")]


@pytest.mark.parametrize("columns", [80, 120, 200])
async def test_columns_by_importance(columns: int) -> None:
    """What matters most is there at every width, all of it where there is room."""
    async with running(snapshots.calm(), (columns, 40)) as (app, _):
        shown = app.screen.query_one(Urls).shown_columns()
        assert {"method", "url", "rate", "requests", "4xx", "5xx", "p50", "p95"} <= set(shown)
        if columns >= 120:
            assert {"2xx", "3xx", "p99", "trend"} <= set(shown)


async def test_clients_on_other_hosts_are_told_by_address() -> None:
    """Of the URL, and of the process that serves it."""
    calm = snapshots.calm()
    end = calm.exchanges[0].client_end
    exchanges = tuple(x._replace(client=None, client_end=end) for x in calm.exchanges)
    async with running(calm._replace(exchanges=exchanges), (200, 60)) as (app, pilot):
        for keys in (("enter",), ("escape", "2", "enter")):
            await pilot.press(*keys)
            assert "asked from, the latest" in text(app)
            assert f" {endpoint_text(end[:16])} " in text(app)


async def test_each_method_has_its_column() -> None:
    """The process pane has one column for each method seen."""
    async with running(snapshots.calm(), (200, 60)) as (app, _):
        shown = app.screen.query_one(Processes).shown_columns()
        methods = {key.removeprefix("method:") for key in shown if key.startswith("method:")}
        assert methods == {"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"}


@pytest.mark.parametrize(("keys", "words"), [
    (("enter",), ("/v1/products", "184301 requests", "latency", "served by", "gunicorn", "slowest lately", "p95",
                  "812 M, 4.5 K each", "4.6 K to 4.6 K")),
    (("2", "enter"), ("gunicorn", "uvicorn.workers", "docker:3f1c9a77b2d4", "known by", "methods", "/v1/cart/items",
                      "www-data", "10.0.0.5:8080", "URLs of api.shop.example", "connections", "974")),
    (("3", "enter"), ("/export/full/2025/catalogue.xml", "in flight", "3.2 s")),
    (("5", "enter"), ("served by", "latency")),
])
async def test_details(keys: tuple[str, ...], words: tuple[str, ...]) -> None:
    """Enter tells all about the row, goes on counting, and Esc returns."""
    async with running(snapshots.calm()) as (app, pilot):
        await pilot.press(*keys)
        shown = text(app)
        for word in words:
            assert word in shown, word
        await pilot.publish(snapshots.later(snapshots.calm(), growth=2.0))
        assert text(app) != shown
        await pilot.press("escape")
        assert isinstance(app.screen, Main)


@pytest.mark.parametrize("state", STATES)
async def test_details_of_anything(state: str) -> None:
    """The detail screens take every kind of row."""
    async with running(getattr(snapshots, state)(), (80, 24)) as (app, pilot):
        for pane in "123":
            await pilot.press(pane, "end", "enter")
            for line in text(app).splitlines():
                assert cell_len(line) == 80, line
            await pilot.press("pagedown", "escape")


def test_snapshots_agree_with_themselves() -> None:
    """The recorded Snapshots keep the rule that totals are tables plus losses."""
    for state in STATES:
        snapshot: Snapshot = getattr(snapshots, state)()
        delivered = sum(cell.requests for cell in snapshot.cells)
        assert snapshot.totals.requests == delivered + snapshot.lost * (state == "losses")
