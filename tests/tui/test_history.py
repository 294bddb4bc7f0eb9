"""How things went, refresh by refresh."""

from __future__ import annotations

from httptop import render, stats
from httptop.records import V4_MAPPED, endpoint
from httptop.rollup import Group
from httptop.snapshot import AcceptRow, Cell, Exchange, Process, Snapshot, namesakes
from httptop.tui import sections
from httptop.tui.canvas import Line
from httptop.tui.history import FOLLOWED_MAX, HOSTS_MAX, HOSTS_OF, SLOW_KEPT, SLOW_S, URLS_MAX, History
from httptop.tui.trends import url_key
from tests.support.rolled import rolled_up
from tests.tui import snapshots

SERVER = Process(7, "web", 1.0)
MS = 1_000_000


def snapshot(second: float, **cells: tuple[int, ...]) -> Snapshot:
    """`cells`: path -> latencies so far, milliseconds."""
    made = tuple(Cell("GET", "h", path, 200, SERVER, None, len(took), len(took), len(took),
                      tuple(sorted({stats.bucket(ms * MS): took.count(ms) for ms in took}.items())))
                 for path, took in cells.items())
    return Snapshot(cells=made, end_ns=int(second * 1e9), accepts=(AcceptRow(SERVER, int(second) * 3, 3.0),))


def add(history: History, now: Snapshot) -> None:
    rows = rolled_up(now)
    history.add(now, rows.urls(), rows.processes(now))


def test_latency_is_that_of_the_time_between_refreshes() -> None:
    """Each point is of what was answered since the point before; nothing is 0."""
    history = History()
    for second, took in enumerate(((10,), (10, 100), (10, 100), (10, 100, 20, 20))):
        add(history, snapshot(1 + second, a=took))
    points = history.latency_ms(("GET", "h", "a"))
    assert [round(point) for point in points] == [0, 100, 0, 20]


def test_a_url_that_is_asked_for_is_followed_however_quiet() -> None:
    """The busiest are followed, and what somebody looks at."""
    busy = {f"u{number}": (1, 1, 1) for number in range(URLS_MAX)}
    history = History()
    history.follow(("GET", "h", "quiet"))
    add(history, snapshot(1, **busy, quiet=(5,), other=(5,)))
    add(history, snapshot(2, **busy, quiet=(5, 40), other=(5, 40)))
    assert [round(point) for point in history.latency_ms(("GET", "h", "quiet"))] == [0, 40]
    assert history.latency_ms(("GET", "h", "other")) == ()


def test_methods_and_accepts_of_a_process() -> None:
    """Rates between refreshes; a method that comes later has zeros before."""
    history = History()
    add(history, snapshot(1, a=(1,)))
    add(history, snapshot(3, a=(1, 1, 1)))
    posted = snapshot(5, a=(1, 1, 1))
    add(history, posted._replace(cells=(
        *posted.cells, Cell("POST", "h", "b", 200, SERVER, None, 8, 8, 8))))
    course = history.course((SERVER, "server"))
    assert {name: list(points) for name, points in course.methods.items()} == {"GET": [1.0, 0.0], "POST": [0.0, 4.0]}
    assert list(course.accepts) == [3.0, 3.0]


def test_slowest_are_kept_for_a_while() -> None:
    """The slowest exchanges of each URL, each once, also when newer ones push them out of the Snapshot."""
    calm = snapshots.calm()
    history = History()
    for _ in range(3):
        add(history, calm)
    seen = max(calm.exchanges, key=lambda x: x.latency_ns or 0)
    key = (seen.method or "", seen.host, seen.path)
    assert history.slowest(key)[0] == seen
    assert len(history.slowest(key)) == min(len({x.ts_ns for x in calm.exchanges if x.path == seen.path
                                                 and x.method == seen.method}), SLOW_KEPT)
    add(history, snapshots.later(calm, SLOW_S / 2)._replace(exchanges=()))
    assert history.slowest(key)[0] == seen
    add(history, snapshots.later(calm, SLOW_S + 1)._replace(exchanges=()))
    assert history.slowest(key) == ()


def test_where_a_process_listens() -> None:
    """The listener of the port it was seen at; without one, where it was seen."""
    seen = [endpoint(bytes([10, 0, 0, 5]), 8080), endpoint(bytes([10, 0, 0, 5]), 9090)]
    anywhere, other = endpoint(bytes(4), 8080), endpoint(bytes([127, 0, 0, 1]), 9090)
    assert sections.listening(seen, [anywhere, other]) == ["*:8080", "10.0.0.5:9090"]
    assert sections.listening(seen, [seen[0]]) == ["10.0.0.5:8080", "10.0.0.5:9090"]
    assert sections.listening(seen, [endpoint(bytes(16), 8080)])[0] == "*:8080"
    history = History()
    add(history, snapshots.calm())
    assert sections.listening(history.ends(snapshots.API), ()) == ["10.0.0.5:8080"]


def test_bounded() -> None:
    """Ten thousand URLs are not all followed."""
    history = History()
    for second in range(1, 40):
        add(history, snapshot(second, **{f"u{number + second * 16}": (1,) * second for number in range(URLS_MAX)}))
    assert len(history._latencies) == len(history._buckets) == FOLLOWED_MAX
    for step in range(3):
        add(history, snapshots.later(snapshots.many(2000), float(step)))
    assert len(history._slow) <= 512


def test_graph_of_slowness_fits() -> None:
    """It is as wide as it may be, and says when there is nothing."""
    lines = sections.slowness([0.0, 10.0, 3000.0] * 30, 50, render.UNICODE)
    assert all(sum(len(text) for text, _ in line) <= 50 for line in lines)
    assert lines[0][0][0].strip() == "3.0 s"
    assert "nothing" in sections.slowness([0.0], 50, render.UNICODE)[0][0][0]
    assert url_key(rolled_up(snapshots.calm()).urls()[0])[0] == "GET"


def plain(lines: list[Line]) -> list[str]:
    """The text of each line, spaces as one."""
    return [" ".join("".join(text for text, _ in line).replace(render.UNICODE.bar, "").split()) for line in lines]


def test_who_asked_when_they_are_many() -> None:
    """Those of one name are one, what is not listed is a line of its own, and shares are of all."""
    curls = [Process(10 + number, "curl", 1.0) for number in range(50)]
    rest = [Process(100 + number, f"x{number}", 1.0) for number in range(15)]
    group = Group()
    for client in (*curls, *rest, namesakes(rest[0]), namesakes(curls[0]), None):
        group.add(Cell("GET", "h", "/", 200, None, client, 2 if client is None else 1))
    assert plain(sections.ends(group, "client", 80, render.UNICODE)) == [
        "curl \u00d750+ 51 73.9%", "x0 \u00d71+ 2 2.9%", "another host, or unknown 2 2.9%", "x1 101 1 1.4%",
        "x2 102 1 1.4%", "x3 103 1 1.4%", "x4 104 1 1.4%", "10 more processes 10 14.5%"]


def asked(number: int, client: bytes, server: Process | None = SERVER) -> Exchange:
    """The exchange of that number, of another host."""
    return Exchange(number * MS, client, endpoint(bytes(15) + b"\1", 80), "GET", "h", "/a", "/a", "1.1", 200, MS, 1,
                    server, None, "recv", "remote")


def test_which_hosts_ask() -> None:
    """By address, of the latest exchanges that were seen, at the URL, at the process, and at those of its name."""
    history, v4, v6 = History(), V4_MAPPED + bytes([10, 9, 0, 2]), bytes(15) + b"\7"
    old = [asked(1 + n, endpoint(v6, 40_000 + n)) for n in range(40)]
    new = [asked(1000 + n, endpoint(v4, 50_000 + n)) for n in range(HOSTS_OF - 25)]
    for number, exchanges in enumerate(((), old, (*old, *new)), 1):
        history.add(Snapshot(exchanges=tuple(exchanges), end_ns=number * 10**9), [], [])
    seen = history.hosts(SERVER, "client")
    assert seen == {v4: HOSTS_OF - 25, v6: 25}
    assert seen == history.hosts(("GET", "h", "/a"), "client") == history.hosts(namesakes(SERVER), "client")
    assert not history.hosts(("GET", "h", "/b"), "client")
    assert not history.hosts(SERVER, "server")
    (lines,) = sections.hosts("asked from", seen, 80, render.UNICODE)
    assert plain(lines) == ["asked from, the latest 100", "10.9.0.2 75 75.0%", "::7 25 25.0%", ""]
    assert sections.hosts("asked from", {}, 80, render.UNICODE) == []


def test_which_hosts_serve() -> None:
    """With their ports; and there is an end to how many URLs that is known of."""
    history = History()
    exchanges = [asked(1 + n, endpoint(bytes(16), 1), None)._replace(path=f"/{n}") for n in range(2 * HOSTS_MAX)]
    history.add(Snapshot(exchanges=tuple(exchanges), end_ns=10**9), [], [])
    assert history.hosts(("GET", "h", f"/{2 * HOSTS_MAX - 1}"), "server") == {endpoint(bytes(15) + b"\1", 80): 1}
    assert not history.hosts(("GET", "h", "/0"), "server")
    assert len(history._hosts) == HOSTS_MAX


def test_few_who_asked_are_told_apart() -> None:
    """Each with its pid."""
    group = Group()
    for number in range(sections.LISTED):
        group.add(Cell("GET", "h", f"/{number}", 200, None, Process(10 + number, "curl", 1.0), 1))
    assert plain(sections.ends(group, "client", 80, render.UNICODE)) == [f"curl {10 + n} 1 12.5%" for n in range(8)]
    assert plain(sections.urls(group, 80, render.UNICODE)) == [f"GET /{n} 1 12.5%" for n in range(8)]
