"""What a Snapshot looks like as JSON and as a plain table."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from httptop import export, filters, stats
from httptop.export import View, json_export, table
from httptop.snapshot import (
    OTHERS,
    AcceptRow,
    AttributionRow,
    Cell,
    InFlightRow,
    LossRow,
    Process,
    SelfCost,
    Snapshot,
    SourceInfo,
    Totals,
)

SCHEMA = json.loads((Path(export.__file__).with_name("snapshot.schema.json")).read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

NGINX = Process(4121, "nginx", 1_700_000_000.25, "nginx: worker process")
CURL = Process(4388, "curl", None)
MS = 1_000_000


def latency(*values_ms: float) -> tuple[tuple[int, int], ...]:
    return tuple((stats.bucket(round(value * MS)), 1) for value in values_ms)


def full() -> Snapshot:
    """Local exchanges, a remote client, an unknown server, hostile text, an answer without its request."""
    skipped = (("fragments", 0), ("duplicates", 3), ("tls_flows", 1), ("http2_flows", 0))
    return Snapshot(
        source=SourceInfo("live", ("lo", "eth0")),
        start_ns=1_800_000_000_000_000_000,
        end_ns=1_800_000_005_123_456_789,
        rate_window_s=5.0,
        totals=Totals(127, 128, (("GET", 100), ("HEAD", 7), ("POST", 20)), (("2xx", 118), ("4xx", 7), ("5xx", 3))),
        requests_per_s=25.4,
        cells=(
            Cell("GET", "shop.example", "/items", 200, NGINX, CURL, 100, 100, 60, latency(1.0, 2.0), 2 * MS, 12345),
            Cell("POST", "shop.example", "/cart", 201, NGINX, CURL, 17, 17, 5, latency(3.0), 3 * MS, 345),
            Cell("POST", "shop.example", "/cart", 503, NGINX, None, 3, 3, 5, latency(900.0), 900 * MS, 345),
            Cell("HEAD", "evil\x1b[2J\udcff", "/\u202ex" + "y" * 300, 404, None, None, 7, 7),
            Cell("", "", "", 200, NGINX, None, 0, 1),
        ),
        accepts=(AcceptRow(NGINX, 12, 2.4),),
        attribution=(AttributionRow(NGINX, "server", "recv", 119), AttributionRow(NGINX, "server", "accept", 1),
                     AttributionRow(CURL, "client", "connect", 117)),
        in_flight=(InFlightRow("GET", "shop.example", "/slow", 1234.5, NGINX, None),
                   InFlightRow("GET", "other.example", "/", 1.0, None, CURL)),
        in_flight_total=2,
        losses=(LossRow("ring_request", 0, "narrow it with --port"), LossRow("perf_accept", 0, "nothing")),
        skipped=skipped,
        self_cost=SelfCost(1.5, 40_000_000, None, 7),
    )


def json_of(snapshot: Snapshot, view: View | None = None) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(json_export.dumps(snapshot, view or View()))
    VALIDATOR.validate(parsed)
    return parsed


def test_schema_is_sound_and_strict() -> None:
    """The schema is one, and names what is not in it as wrong at every level."""
    VALIDATOR.check_schema(SCHEMA)
    for place in ((), ("window",), ("urls", 0), ("processes", 0), ("in_flight", 0), ("self",)):
        snapshot = json_of(full())
        node: Any = snapshot
        for step in place:
            node = node[step]
        node["surplus"] = 1
        with pytest.raises(jsonschema.ValidationError):
            VALIDATOR.validate(snapshot)


def test_every_field_of_the_contract() -> None:
    """A snapshot with everything in it: the values are those of the Snapshot, by their contract names."""
    snapshot = json_of(full())
    assert snapshot["schema"] == "httptop.snapshot/1"
    assert snapshot["source"] == {"kind": "live", "interfaces": ["lo", "eth0"], "file": None}
    assert snapshot["window"] == {"start": "2027-01-15T08:00:00.000000Z", "end": "2027-01-15T08:00:05.123456Z",
                                  "seconds": 5.123457}
    assert snapshot["totals"]["by_method"] == {"GET": 100, "HEAD": 7, "POST": 20}
    assert snapshot["urls"][1] == {
        "method": "POST", "host": "shop.example", "path": "/cart", "requests": 20, "rate_per_s": 2.0, "responses": 20,
        "statuses": {"201": 17, "503": 3}, "latency_ms": snapshot["urls"][1]["latency_ms"], "response_bytes": 690,
        "servers": [4121], "clients": [4388]}
    assert snapshot["urls"][1]["latency_ms"]["max"] == 900.0
    assert snapshot["urls"][2]["latency_ms"] is None
    nginx, curl, unknown = snapshot["processes"]
    assert (nginx["pid"], nginx["start_time"], nginx["cmdline"]) == (
        4121, "2023-11-14T22:13:20.250000Z", "nginx: worker process")
    assert (nginx["accepts"], nginx["attribution"]) == (12, {"accept": 1, "recv": 119})
    assert (curl["role"], curl["start_time"], curl["cmdline"], curl["container"]) == ("client", None, None, None)
    assert (unknown["pid"], unknown["comm"], unknown["requests"]) == (None, None, 7)
    assert snapshot["in_flight"][0] == {"method": "GET", "host": "shop.example", "path": "/slow", "age_ms": 1234.5,
                                        "server_pid": 4121, "client_pid": None}
    assert snapshot["losses"][0] == {"reason": "ring_request", "events": 0, "remedy": "narrow it with --port"}
    assert snapshot["self"] == {"cpu_percent": 1.5, "rss_bytes": 40_000_000, "bpf_ns_per_run": None, "bpf_runs": 7,
                                "owners": None, "owners_max": None, "owners_written": None}


def test_processes_of_which_there_were_too_many() -> None:
    """One row without a pid; at their URL they are left out."""
    cells = (Cell("GET", "a", "/", 200, NGINX, OTHERS, 9, 9), Cell("GET", "a", "/", 200, NGINX, CURL, 1, 1))
    snapshot = json_of(Snapshot(cells=cells, skipped=full().skipped))
    assert [(row["pid"], row["comm"], row["requests"]) for row in snapshot["processes"]] == [
        (4121, "nginx", 10), (None, "(other)", 9), (4388, "curl", 1)]
    assert snapshot["urls"][0]["clients"] == [4388]
    assert any(line.split()[:3] == ["-", "client", "9"]
               for line in table.render_table(Snapshot(cells=cells), View()).splitlines())


@pytest.mark.parametrize("number", [table.MANY_PROCESSES - 2, table.MANY_PROCESSES - 1])
def test_a_command_in_a_loop_is_one_row(number: int) -> None:
    """Of a table whose rows nobody has asked for; JSON tells each."""
    cells = tuple(Cell("GET", "a", "/", 200, NGINX, Process(5000 + n, "curl", float(n)), 2, 2) for n in range(number))
    snapshot = Snapshot(cells=cells, skipped=full().skipped)
    lines = [line.split() for line in table.render_table(snapshot, View()).splitlines()]
    many = number == table.MANY_PROCESSES - 1
    assert ([f"\u00d7{number}", "client", str(2 * number)] in [line[:3] for line in lines]) is many
    assert (f"{number + 1} processes by name; --rows shows each".split() in lines) is many
    assert ("5007" in {line[0] for line in lines if line}) is not many
    assert "\n5007 " in table.render_table(snapshot, View(rows=500))
    assert len(json_of(snapshot)["processes"]) == number + 1


def test_nothing_seen_is_valid_too() -> None:
    """Before the first request all fields are there, empty."""
    nothing = Snapshot(skipped=full().skipped)
    assert json_of(nothing)["urls"] == []


def test_hostile_text_stays_escaped() -> None:
    """JSON is ASCII on one line, whatever hosts and paths hold: escape sequences reach no terminal."""
    line = json_export.dumps(full(), View())
    assert line.isascii()
    assert line.endswith("}\n")
    assert line[:-1].isprintable()


def test_filters_narrow_the_rows_and_are_told() -> None:
    """Filters show in the object by the names of their flags; totals stay those of everything."""
    keep = replace(filters.parse("!path:/cart"), methods=frozenset({"GET"}), pids=frozenset({4121}))
    snapshot = json_of(full(), View(keep, frozenset({80})))
    assert snapshot["filter"] == {"pid": [4121], "method": ["GET"], "port": [80], "filter": "!path:/cart"}
    assert [row["path"] for row in snapshot["urls"]] == ["/items"]
    assert [row["path"] for row in snapshot["in_flight"]] == ["/slow"]
    assert snapshot["totals"]["requests"] == 127
    assert json_of(full())["filter"] == {}


def test_rows_and_order() -> None:
    """`rows` bounds each list, `sort` orders it; a key that a list has no column for leaves its order."""
    snapshot = json_of(full(), View(sort="p99", rows=1))
    assert [row["path"] for row in snapshot["urls"]] == ["/cart"]
    assert len(snapshot["in_flight"]) == 1
    by_pid = json_of(full(), View(sort="pid"))
    assert [row["pid"] for row in by_pid["processes"]] == [None, 4121, 4388]
    assert [row["path"] for row in by_pid["urls"]] == [row["path"] for row in json_of(full())["urls"]]


@pytest.mark.parametrize("width", [60, 80, 132])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_table_fits(width: int, ascii_only: bool) -> None:
    """No line is wider than asked for, and none holds a control character."""
    hostile = full()._replace(source=SourceInfo("file", (), "x\x1b[2J\xe9.pcap"))
    text = table.render_table(hostile, View(), width=width, ascii_only=ascii_only)
    assert max(map(len, text.splitlines())) <= width
    assert all(line.isprintable() for line in text.splitlines())
    assert text.isascii() or not ascii_only


def test_table_tells_the_same_numbers() -> None:
    """Header, URL rows and process rows carry the exact counts."""
    lines = table.render_table(full(), View(), width=120).splitlines()
    assert "127 requests:  GET 100  HEAD 7  POST 20" in lines
    assert "nothing lost" in lines
    assert [line.split()[:2] for line in lines if "shop.example" in line] == [["GET", "100"], ["POST", "20"]]
    nginx = next(line for line in lines if line.endswith("nginx   GET 100 POST 20"))
    assert nginx.split()[:3] == ["4121", "server", "120"]
    assert any(line.split()[-3:] == ["unknown", "HEAD", "7"] for line in lines)


def test_table_is_bounded_and_says_so() -> None:
    """`rows` bounds each table; what is left out is counted."""
    text = table.render_table(full(), View(rows=1))
    assert "and 2 more URLs" in text
    assert "and 2 more processes" in text


def test_table_tells_losses() -> None:
    """A table of an incomplete snapshot says what was lost and what to do."""
    lossy = full()._replace(losses=(LossRow("ring_request", 30, "narrow it with --port"),), completeness=0.81)
    text = table.render_table(lossy, View())
    assert "INCOMPLETE: 81.0% of the requests are in the tables" in text
    assert "30 lost, ring_request: narrow it with --port" in text
    assert "nothing lost" not in text
