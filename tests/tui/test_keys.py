"""Each key of the main screen, on recorded Snapshots."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.command import CommandList

from httptop.filters import parse
from httptop.rollup import UrlGroup
from httptop.settings import Settings
from httptop.snapshot import Process, Snapshot
from httptop.tui.app import HttptopApp
from httptop.tui.canvas import Canvas
from httptop.tui.dialogs import Help
from httptop.tui.keys import explained
from httptop.tui.main import Main
from httptop.tui.panes import MANY_PROCESSES, MANY_URLS, InFlight, Pane, Processes, Urls
from httptop.tui.pick import Pick
from httptop.tui.take_away import csv_text, curl
from tests.tui import snapshots
from tests.tui.player import Player
from tests.tui.shoot import Recorded

SIZE = (120, 40)


def text(app: HttptopApp) -> str:
    """What stands on the screen, line by line."""
    return "\n".join("".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips())


@asynccontextmanager
async def running(snapshot: Snapshot | None = None, size: tuple[int, int] = SIZE,
                  keep: str = "") -> AsyncIterator[tuple[HttptopApp, Player]]:
    app = HttptopApp(Recorded(()), initial_filter=parse(keep))
    async with app.run_test(size=size) as pilot:
        player = Player(pilot)
        await player.publish(*[snapshot] if snapshot is not None else [])
        await player.pause()
        yield app, player


def order(app: HttptopApp) -> list[str]:
    """The paths in the order of the table."""
    return [group.path for group in app.screen.query_one(Urls)._groups]


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
async def test_quit(key: str) -> None:
    """`q` and Ctrl-C leave with code 0 and stop the worker."""
    worker = Recorded([snapshots.calm()])
    app = HttptopApp(worker)
    async with app.run_test(size=SIZE) as pilot:
        await Player(pilot).press(key)
    assert app.return_code == 0
    assert worker.stopped


async def test_pid_is_picked_from_the_list() -> None:
    """`p`, a part of a name and Enter show only the exchanges of that process."""
    async with running(snapshots.calm()) as (app, pilot):
        await pilot.press("p")
        assert isinstance(app.screen, Pick)
        await pilot.press(*"java", "enter")
        assert order(app) == ["/oauth2/token"]
        assert " pid:2790 " in text(app)
        assert {row.process.pid for row in app.view.processes} == {2790}


async def test_pid_is_typed() -> None:
    """`p` takes a pid that is not in the list yet."""
    async with running(snapshots.calm()) as (app, pilot):
        await pilot.press("p", *"99999", "enter")
        assert app.view.keep == parse("pid:99999")
        assert "none of 20 URLs passes the filter" in text(app)


async def test_method_is_picked() -> None:
    """`m` filters by method."""
    async with running(snapshots.calm()) as (app, pilot):
        await pilot.press("m", *"DEL", "enter")
        assert order(app) == ["/v1/cart/items"]


async def test_escape_takes_the_last_condition_away() -> None:
    """Filters combine; Esc removes them from the last to the first, and then does nothing."""
    async with running(snapshots.calm()) as (app, pilot):
        await pilot.press("m", *"GET", "enter", "p", *"2311", "enter")
        assert app.view.keep == parse("method:GET pid:2311")
        await pilot.press("escape")
        assert app.view.keep == parse("method:GET")
        await pilot.press("escape", "escape")
        assert not app.view.keep.active
        assert len(order(app)) == 20


async def test_filter_while_typing() -> None:
    """`/` filters with each letter; what is half written changes nothing; Enter keeps it, Esc does not."""
    async with running(snapshots.calm()) as (app, pilot):
        await pilot.press("slash", *"cart")
        assert set(order(app)) == {"/v1/cart/items", "/v1/cart/items/quantity"}
        await pilot.press("space", *"status:")
        assert len(order(app)) == 4
        await pilot.press("escape")
        assert len(order(app)) == 20
        await pilot.press("slash", *"status:5xx", "enter")
        assert app.view.keep == parse("status:5xx")
        assert isinstance(app.screen.focused, Urls)


async def test_wrong_filter_is_explained() -> None:
    """A condition that makes no sense is not taken, and the screen says why."""
    async with running(snapshots.calm()) as (app, pilot):
        await pilot.press("slash", *"status:9", "enter")
        assert "that is no status" in text(app)
        assert app.screen.has_class("-asking")


async def test_pause_holds_the_screen_while_counting_goes_on() -> None:
    """Space freezes what is shown and says how old it is; space again shows what came meanwhile."""
    before = snapshots.calm()
    after = snapshots.later(before, seconds=75.0)._replace(requests_per_s=4321.0)
    async with running(before) as (app, pilot):
        await pilot.press("space")
        await pilot.publish(after)
        assert "paused, 1m15s old" in text(app)
        assert "4.3k req/s" not in text(app)
        await pilot.press("space")
        assert "4.3k req/s" in text(app)
        assert "paused" not in text(app)


async def test_filter_works_while_paused() -> None:
    """What is frozen can still be filtered."""
    async with running(snapshots.calm()) as (app, pilot):
        await pilot.press("space", "m", *"DEL", "enter")
        assert order(app) == ["/v1/cart/items"]


async def test_help_names_every_key() -> None:
    """`?` shows what each binding says of itself; Esc closes it."""
    async with running(snapshots.calm()) as (app, pilot):
        await pilot.press("question_mark")
        assert isinstance(app.screen, Help)
        shown = text(app)
        for keys, description in explained(Main.BINDINGS):
            assert any(keys in line and description in line for line in shown.splitlines()), description
        await pilot.press("escape")
        assert isinstance(app.screen, Main)


async def test_help_is_the_same_again() -> None:
    """It is made once; shown again, it is that of the screen as it is by then, and its keys answer."""
    async with running(snapshots.calm(), size=(60, 40)) as (app, pilot):
        await pilot.press("question_mark")
        small = text(app)
    async with running(snapshots.calm()) as (app, pilot):
        await pilot.press("question_mark")
        large = text(app)
        await pilot.press("question_mark")
        await pilot.resize_terminal(60, 40)
        await pilot.press("question_mark")
        assert text(app) == small
        await pilot.resize_terminal(120, 40)
        assert text(app) == large
        await pilot.press("q")
        assert isinstance(app.screen, Main)


async def test_sort_by_the_next_column_and_reverse() -> None:
    """`>` and `<` walk through the visible columns, `r` turns the order round."""
    async with running(snapshots.calm()) as (app, pilot):
        urls = app.screen.query_one(Urls)
        assert urls.sort.key == "rate"
        await pilot.press("greater_than_sign")
        assert urls.sort.key == "requests"
        counts = [group.requests for group in urls._groups]
        assert counts == sorted(counts, reverse=True)
        await pilot.press("r")
        assert [group.requests for group in urls._groups] == sorted(counts)
        await pilot.press("less_than_sign")
        assert urls.sort.key == "rate"


@pytest.mark.parametrize("key", ["method", "url", "rate", "requests", "2xx", "5xx", "p50", "p99"])
async def test_click_on_a_title_sorts(key: str) -> None:
    """Each column's title can be clicked, and clicked again for the other direction."""
    async with running(snapshots.calm()) as (app, pilot):
        urls = app.screen.query_one(Urls)
        x = next(x for x in range(120) if urls._column_at(x) == key)
        urls.sort.key = ""
        await pilot.click(Urls, offset=(x, 1))
        assert (urls.sort.key, urls.sort.reverse) == (key, False)
        await pilot.click(Urls, offset=(x, 1))
        assert (urls.sort.key, urls.sort.reverse) == (key, True)


@pytest.mark.parametrize(("key", "urls", "processes"), [
    ("", "rate", "rate"), ("requests", "requests", "requests"), ("p99", "p99", "p99"), ("pid", "rate", "pid"),
    ("bytes", "bytes", "rate"), ("nonsense", "rate", "rate"),
])
async def test_first_sort(key: str, urls: str, processes: str) -> None:
    """The order asked for on the command line holds in the panes that have such a column."""
    app = HttptopApp(Recorded(()), settings=Settings(sort=key))
    async with app.run_test(size=SIZE):
        assert (app.screen.query_one(Urls).sort.key, app.screen.query_one(Processes).sort.key) == (urls, processes)


async def test_cursor_stays_on_its_row() -> None:
    """Once moved, the cursor follows its row to wherever the sorting puts it; at the top it stays at the top."""
    snapshot = snapshots.calm()
    async with running(snapshot) as (app, pilot):
        urls = app.screen.query_one(Urls)
        top = urls.selected
        await pilot.press("down", "down")
        marked = urls.selected
        assert marked is not None
        assert marked is not top
        app.publish(snapshot._replace(cells=tuple(
            cell._replace(recent=99_999) if cell.path == "/.env" else cell for cell in snapshot.cells)))
        await pilot.pause()
        assert order(app)[0] == "/.env"
        assert urls.selected is not None
        assert urls.key(urls.selected) == urls.key(marked)
        await pilot.press("home")
        await pilot.publish(snapshot)
        assert urls._index == 0


async def test_wheel_and_pages_stay_within_the_rows() -> None:
    """End, PgUp, PgDn and the wheel never leave the table."""
    async with running(snapshots.many(300)) as (app, pilot):
        urls = app.screen.query_one(Urls)
        await pilot.press("end", "pagedown")
        assert urls._index == 299
        await pilot.press("pageup")
        assert urls._index < 299
        for _ in range(200):
            urls.action_move(-3)
        assert (urls._index, urls._offset) == (0, 0)


@pytest.mark.parametrize(("key", "kind"), [("1", Urls), ("2", Processes), ("3", InFlight)])
@pytest.mark.parametrize("size", [(80, 24), SIZE])
async def test_digits_bring_a_pane_up(key: str, kind: type[Canvas], size: tuple[int, int]) -> None:
    """A digit moves to its pane, which gets the screen where there is no room beside the others."""
    async with running(snapshots.calm(), size) as (app, pilot):
        await pilot.press(key)
        pane = app.screen.query_one(kind)
        assert pane.has_focus
        assert pane.size.height >= 5


async def test_maximise_and_back() -> None:
    """`+` gives the pane the screen; `+` or Esc gives it back."""
    async with running(snapshots.calm()) as (app, pilot):
        await pilot.press("2")
        for back in ("plus", "escape"):
            await pilot.press("plus")
            assert app.screen.query_one(Processes).size.height == 40 - 4 - 1
            assert not app.screen.query_one(Urls).display
            await pilot.press(back)
            assert app.screen.query_one(Urls).display


async def test_tab_moves_through_the_panes() -> None:
    """Tab goes from pane to pane, never into the hidden prompt."""
    async with running(snapshots.calm()) as (app, pilot):
        visited = []
        for _ in range(4):
            visited.append(app.screen.focused.id)
            await pilot.press("tab")
        assert visited == ["urls", "processes", "inflight", "losses"]
        assert app.screen.focused.id == "urls"


async def test_theme_changes_and_back() -> None:
    """`t` turns from dark to light and back."""
    async with running(snapshots.calm()) as (app, pilot):
        dark = app.theme
        await pilot.press("t")
        assert app.theme != dark
        await pilot.press("t")
        assert app.theme == dark


async def test_palette_knows_every_action() -> None:
    """Ctrl-P lists what the keys do, and does it."""
    async with running(snapshots.calm()) as (app, pilot):
        names = {command.title for command in app.get_system_commands(app.screen)}
        assert {binding.tooltip or binding.description for binding in Main.BINDINGS} - names == {"search all commands"}
        await pilot.press("ctrl+p", *"counting goes")
        await app.workers.wait_for_complete()
        await pilot.until(lambda: app.screen.query_one(CommandList).option_count == 1)
        await pilot.press("enter", "enter")
        assert app.view.paused


async def test_keys_line_can_be_clicked() -> None:
    """A click on a key at the bottom does what the key does."""
    async with running(snapshots.calm()) as (app, pilot):
        line = text(app).splitlines()[-1]
        await pilot.click("#keys", offset=(line.index("pause"), 0))
        assert app.view.paused


async def test_every_binding_leads_somewhere() -> None:
    """No binding names an action that does not exist."""
    async with running(snapshots.calm()) as (app, _):
        for screen in (Main, Pick, Help):
            for binding in screen.BINDINGS:
                name = binding.action.partition("(")[0]
                owner = app if name.startswith("app.") else screen
                bare = name.removeprefix("app.")
                assert any(hasattr(owner, prefix + bare) for prefix in ("action_", "_action_")) or hasattr(
                    Urls, f"action_{bare}"), binding


async def test_reset_asks_first() -> None:
    """`R` counts from zero after a yes; after a no nothing is forgotten."""
    before = snapshots.calm()
    after = snapshots.later(before, growth=1.1)
    async with running(before) as (app, pilot):
        await pilot.press("R", "n")
        assert app.view.snapshot == before
        await pilot.press("R", "y")
        assert app.view.snapshot.totals.requests == 0
        await pilot.publish(after)
        assert app.view.total.requests == after.totals.requests - before.totals.requests
        assert app.view.snapshot.totals.requests == app.view.total.requests
        assert "00:00:01" in text(app)


async def test_paths_can_be_grouped() -> None:
    """`g` shows /item/00001/view and its like as one row, and again each alone."""
    async with running(snapshots.many(200)) as (app, pilot):
        requests = app.view.total.requests
        await pilot.press("g")
        assert set(order(app)) == {"/item/:id/view"}
        assert app.view.total.requests == requests
        await pilot.press("g")
        assert len(order(app)) == 200


async def test_who_has_many_urls_is_told_of_the_key() -> None:
    """Until it is pressed; who has few is not."""
    async with running(snapshots.many(MANY_URLS), (80, 24)) as (app, pilot):
        assert "g groups ids" in text(app)
        await pilot.press("g")
        assert "g groups ids" not in text(app)
    async with running(snapshots.many(MANY_URLS - 1)) as (app, _):
        assert "g groups ids" not in text(app)


async def test_processes_can_be_grouped_by_name() -> None:
    """`g` in their pane: a curl in a loop is one row, with the number of them; URLs stay as they are."""
    calm = snapshots.calm()
    curls = tuple(calm.cells[0]._replace(client=Process(9000 + number, "curl", float(number)), requests=1, recent=1)
                  for number in range(MANY_PROCESSES))
    async with running(calm._replace(cells=curls)) as (app, pilot):
        urls = order(app)
        await pilot.press("2")
        assert "g here groups names" in text(app)
        await pilot.press("g")
        assert "g here groups names" not in text(app)
        assert f" \u00d7{MANY_PROCESSES} curl " in text(app)
        assert order(app) == urls
        await pilot.press("home", "enter")
        assert f"processes {MANY_PROCESSES}" in " ".join(text(app).split())
        await pilot.press("escape", "p", *"curl", "enter")
        assert app.view.keep.chips() == ("comm:curl",)
        assert f" \u00d7{MANY_PROCESSES} curl " in text(app)
        await pilot.press("escape", "p", *"9007", "enter")
        assert re.search(r"\b9007 curl ", text(app))
        await pilot.press("escape", "g")
        assert "\u00d7" not in text(app)


async def test_queries_can_be_hidden() -> None:
    """`k` takes queries, where they were kept, off the screen."""
    snapshot = snapshots.calm()
    snapshot = snapshot._replace(cells=tuple(
        cell._replace(path=f"{cell.path}?secret={place}") for place, cell in enumerate(snapshot.cells)))
    async with running(snapshot) as (app, pilot):
        assert "secret" in text(app)
        await pilot.press("k")
        assert "secret" not in text(app)
        assert len(order(app)) == 20


@pytest.mark.parametrize(("key", "kind"), [("j", "json"), ("c", "csv")])
async def test_export_never_overwrites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, kind: str) -> None:
    """`e` saves what passes the filter as JSON or CSV under a new name each time."""
    monkeypatch.chdir(tmp_path)
    async with running(snapshots.calm(), keep="method:DELETE") as (_, pilot):
        await pilot.press("e", key, "e", key)
    files = sorted(tmp_path.iterdir())  # noqa: ASYNC240 (the app has ended)
    assert [file.name for file in files] == [f"httptop-20250615T151924Z-2.{kind}", f"httptop-20250615T151924Z.{kind}"]
    for file in files:
        text = file.read_text()
        rows = json.loads(text)["urls"] if kind == "json" else list(csv.DictReader(io.StringIO(text)))
        assert [(row["path"], int(row["requests"])) for row in rows] == [("/v1/cart/items", 2043)]


async def test_export_can_be_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Esc saves nothing."""
    monkeypatch.chdir(tmp_path)
    async with running(snapshots.calm()) as (app, pilot):
        await pilot.press("e", "escape")
        assert isinstance(app.screen, Main)
    assert not list(tmp_path.iterdir())  # noqa: ASYNC240 (the app has ended)


@pytest.mark.parametrize(("pane", "column", "value"), [
    ("1", "path", "/v1/products"), ("2", "comm", "gunicorn"), ("3", "path", "/export/full/2025/catalogue.xml"),
    ("5", "server", "10.0.0.5:8080"),
])
async def test_csv_is_of_the_pane(pane: str, column: str, value: str) -> None:
    """CSV has the rows of the pane that one is in, in their order."""
    async with running(snapshots.calm()) as (app, pilot):
        await pilot.press(*pane if pane != "1" else ())
        rows = list(csv.DictReader(io.StringIO(csv_text(app.screen._pane().rows_shown(), app.view.snapshot))))
        assert rows[0][column] == value
        assert len(rows) == len(app.screen._pane().rows_shown())


def test_csv_is_harmless() -> None:
    """What the network sent begins no formula and moves no cursor."""
    group = UrlGroup("GET", "=cmd|' /C calc'!A0", "/\x1b[2J")
    text = csv_text([group], Snapshot())
    assert "'=cmd" in text
    assert r"/\x1b[2J" in text


async def test_export_that_fails_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be written the screen says so and goes on."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    monkeypatch.setattr(Path, "cwd", lambda: gone)
    gone.rmdir()
    async with running(snapshots.calm()) as (app, pilot):
        await pilot.press("e", "j")
        assert [note.title for note in app._notifications] == ["not saved"]


async def test_copy_as_curl() -> None:
    """`c` copies a command that makes the row's request again."""
    async with running(snapshots.calm()) as (app, pilot):
        await pilot.press("down", "up", "c")
        assert app.clipboard == "curl http://api.shop.example/v1/products"


async def test_what_is_no_url_is_not_copied() -> None:
    """`(other)` stands for many requests: a command that asks for it would ask for nothing that was seen."""
    busiest = max(snapshots.calm().cells, key=lambda cell: cell.requests)
    others = snapshots.calm()._replace(cells=(busiest._replace(path="(other)"),))
    async with running(others) as (app, pilot):
        await pilot.press("down", "up", "c")
        assert [note.title for note in app._notifications] == ["not copied"]
        assert not app.clipboard


@pytest.mark.parametrize(("method", "host", "path", "command"), [
    ("GET", "a", "/?x=1&y=2", "curl 'http://a/?x=1&y=2'"),
    ("POST", "a", "/", "curl --request POST http://a/"),
    ("HEAD", "a", "/", "curl --head http://a/"),
    ("GET", "a'; rm -rf ~; '", "/\r\nreboot", """curl 'http://a'"'"';%20rm%20-rf%20~;%20'"'"'/%0D%0Areboot'"""),
    ("GET", "a", "/\x1b[2J\udcff", "curl 'http://a/%1B[2J%FF'"),
    ("X\nreboot", "a", "/", "curl --request X%0Areboot http://a/"),
])
def test_curl_cannot_be_broken_out_of(method: str, host: str, path: str, command: str) -> None:
    """Whatever the network said is one quoted, printable argument."""
    assert curl(method, host, path) == command
    assert command.isprintable()


@pytest.mark.parametrize(("keys", "delay_s", "shown"), [
    ((*"0.2", "enter"), 0.2, "every 0.2s"), (("down", "enter"), 0.25, "every 0.25s"),
    ((*"3", "enter"), 3.0, "every 3s"),
    (("escape",), 1.0, ""), ((*"0.001", "enter", "escape"), 1.0, ""), ((*"1", "enter"), 1.0, ""),
])
async def test_delay(keys: tuple[str, ...], delay_s: float, shown: str) -> None:
    """`d` takes faster and slower refreshes, from the list or typed; the header says so."""
    worker = Recorded([snapshots.calm()])
    app = HttptopApp(worker)
    async with app.run_test(size=SIZE) as pilot:
        await Player(pilot).press("d", *keys)
        assert worker.delay_s == delay_s
        assert isinstance(app.screen, Main)
        assert shown in text(app).splitlines()[0]
        assert bool(shown) == ("every" in text(app).splitlines()[0])


@pytest.mark.parametrize("digit", ["1", "2", "3", "4"])
async def test_digit_again_gives_the_screen(digit: str) -> None:
    """The digit of the pane that one is in gives it the screen, and back."""
    async with running(snapshots.calm()) as (app, pilot):
        await pilot.press(*["2"] if digit == "1" else [], digit, digit)
        assert app.screen.focused.size.height == 40 - 4 - 1
        await pilot.press(digit)
        assert app.screen.focused.size.height < 40 - 4 - 1


async def run_with(settings: Settings, *keys: str, size: tuple[int, int] = SIZE) -> HttptopApp:
    app = HttptopApp(Recorded(()), settings=settings)
    async with app.run_test(size=size) as pilot:
        await Player(pilot).publish(snapshots.calm())
        await Player(pilot).press(*keys)
        app.seen = text(app)  # type: ignore[attr-defined]
        app.shown = {pane.id: pane.region.height > 1 for pane in app.screen.query(".pane")}  # type: ignore[attr-defined]
        app.columns = {pane.id: pane.shown_columns() for pane in app.screen.query(".pane").results(Pane)}  # type: ignore[attr-defined]
    return app


async def test_columns_are_settled() -> None:
    """The columns of config.toml are those of the pane, in its order; "methods" is one to each method."""
    settings = Settings(columns=(("urls", ("p95", "url", "5xx")), ("processes", ("comm", "methods"))))
    app = await run_with(settings, size=(200, 60))
    assert app.columns["urls"] == ["p95", "url", "5xx"]
    assert app.columns["processes"][:3] == ["comm", "method:GET", "method:POST"]
    assert "status" in app.columns["log"]


async def test_settled_columns_go_from_the_end_when_room_is_short() -> None:
    """What was named first stays."""
    settings = Settings(columns=(("urls", ("rate", "url", *("p50", "p95", "p99", "max", "bytes", "errors"))),))
    app = await run_with(settings, size=(60, 24))
    assert app.columns["urls"] == ["rate", "url", "p50", "p95", "p99"][:len(app.columns["urls"])]
    assert len(app.columns["urls"]) >= 3


async def test_panes_are_settled() -> None:
    """Only the panes of config.toml are on the screen; a digit brings up another one."""
    app = await run_with(Settings(panes=("urls", "log")))
    assert app.shown == {"urls": True, "processes": False, "inflight": False, "losses": False, "log": True}
    app = await run_with(Settings(panes=("processes",)))
    assert [name for name, shown in app.shown.items() if shown] == ["processes"]
    app = await run_with(Settings(panes=("processes",)), "1")
    assert [name for name, shown in app.shown.items() if shown] == ["urls"]


@pytest.mark.parametrize(("theme", "name"), [
    ("dark", "httptop-dark"), ("light", "httptop-light"), ("terminal", "httptop-terminal"),
])
async def test_theme_is_settled(theme: str, name: str) -> None:
    """The theme of config.toml is the first one."""
    assert (await run_with(Settings(theme=theme))).theme == name


@pytest.mark.parametrize(("keys", "chip"), [
    (("slash", *"path:/oauth2", "enter"), " path:/oauth2 "),
    (("p", *"java", "enter"), " pid:2790 "),
    (("question_mark", "escape", "p", *"2790", "enter"), " pid:2790 "),
    (("enter", "escape", "slash", *"java", "enter"), " java "),
    (("m", "escape", "slash", *"!status:2xx", "enter", "4", "4"), " !status:2xx "),
], ids=["a filter", "a process", "after the help", "after a detail", "and two keys more"])
async def test_what_is_typed_ahead(keys: tuple[str, ...], chip: str) -> None:
    """Keys that come all at once do what they do one by one."""
    async with running(snapshots.calm()) as (app, pilot):
        await pilot.press(*keys)
        slowly = text(app)
        assert chip in slowly
    async with running(snapshots.calm()) as (app, pilot):
        await pilot.burst(*keys)
        assert text(app) == slowly


@pytest.mark.parametrize(("keys", "rows"), [((), 1), (("enter",), 1), (("escape",), 20)])
async def test_a_filter_that_is_typed_ahead_is_looked_at_once(keys: tuple[str, ...], rows: int,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many rows each look takes a moment, and there is one for each letter only where there is time between them."""
    async with running(snapshots.calm()) as (app, pilot):
        looks: list[int] = []
        roll_up = app.view.roll_up
        monkeypatch.setattr(app.view, "roll_up", lambda: (looks.append(1), roll_up())[1])
        await pilot.press("slash")
        await pilot.burst(*"path:/oauth2", *keys)
        assert (len(looks), len(order(app))) == (1, rows)
        await pilot.press("slash", "x", "y")
        assert len(looks) == 3


async def test_a_key_that_goes_astray_does_not_hold_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A widget that goes away with a key in its queue: the next key that is typed later is heard."""
    monkeypatch.setattr("httptop.tui.typing.LOST_S", 0.01)
    async with running(snapshots.calm()) as (app, pilot):
        monkeypatch.setattr(app._typing, "_follow", lambda _: None)
        await pilot.press("question_mark")
        await asyncio.sleep(0.02)
        await pilot.press("escape", "slash")
        assert not isinstance(app.screen, Help)
