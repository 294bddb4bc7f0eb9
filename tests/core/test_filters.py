"""The filter language and what it lets pass."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httptop.errors import UsageError
from httptop.filters import Filter, Term, parse
from httptop.snapshot import Cell, Process

NGINX = Process(12, "nginx", 1.0)
API = Process(34, "tmux: server", 1.0)
SLOW = Cell("GET", "api.example", "/v1/Items", 503, NGINX, API, 3, 3, latency_max_ns=150_000_000)
POST = Cell("POST", "www.example:8080", "/login", 200, None, API, 1, 1, latency_max_ns=2_000_000)
WAITING = Cell("DELETE", "api.example", "/v1/items/7", None, NGINX, None, 1)
CELLS = {"slow": SLOW, "post": POST, "waiting": WAITING}


def passing(text: str) -> set[str]:
    keep = parse(text)
    return {name for name, cell in CELLS.items() if keep.matches(cell)}


@pytest.mark.parametrize(("text", "names"), [
    ("", {"slow", "post", "waiting"}),
    ("items", {"slow", "waiting"}),
    ("ITEMS", {"slow", "waiting"}),
    ("nginx", {"slow", "waiting"}),
    ("host:api", {"slow", "waiting"}),
    ("host:api,www", {"slow", "post", "waiting"}),
    ("host~^www", {"post"}),
    ("path:/login", {"post"}),
    ("url:example/v1", {"slow", "waiting"}),
    ("url~items/[0-9]+$", {"waiting"}),
    ("method:get", {"slow"}),
    ("method:GET,POST", {"slow", "post"}),
    ("method~^(GET|DELETE)$", {"slow", "waiting"}),
    ("status:5xx", {"slow"}),
    ("status:503,200", {"slow", "post"}),
    ("status:none", {"waiting"}),
    ("status~^2", {"post"}),
    ("pid:12", {"slow", "waiting"}),
    ("pid:12,34", {"slow", "post", "waiting"}),
    ("pid:12 pid:34", {"slow"}),
    ("comm:nginx", {"slow", "waiting"}),
    ('comm:"tmux: s"', {"slow", "post"}),
    ("server:nginx", {"slow", "waiting"}),
    ("server:12", {"slow", "waiting"}),
    ("client:34", {"slow", "post"}),
    ("client~^tmux", {"slow", "post"}),
    ("role:client", {"slow", "post"}),
    ("role:server", {"slow", "waiting"}),
    (">100ms", {"slow"}),
    (">0.1s", {"slow"}),
    ("<100ms", {"post"}),
    (">2500us", {"slow"}),
    ("!host:api", {"post"}),
    ("!status:2xx", {"slow", "waiting"}),
    ("!pid:12", {"post"}),
    ("!>100ms", {"post", "waiting"}),
    ("!!login", {"post"}),
    ("host:api status:5xx !method:POST pid:12 >100ms items", {"slow"}),
    ("localhost:8080", set()),
    ("www.example:8080", {"post"}),
])
def test_language(text: str, names: set[str]) -> None:
    """Terms side by side must all hold, commas join alternatives, `!` inverts."""
    assert passing(text) == names


@pytest.mark.parametrize("text", [
    "status:abc", "status:9", "pid:nginx", "pid:-1", ">fast", ">", "host:", "path~(", "hots:api", "role:peer", "!",
    "pid~1", "status:1000", "role~x",
])
def test_mistakes_are_explained(text: str) -> None:
    """What makes no sense is one line of what and one of what to do."""
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert caught.value.what
    assert caught.value.do


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text does anything else, and what is read says itself again."""
    try:
        keep = parse(text)
    except UsageError:
        return
    assert parse(" ".join(keep.chips())) == keep
    for cell in CELLS.values():
        keep.matches(cell)


def test_flags_and_terms_combine() -> None:
    """What the command line's flags say and what is typed must both hold."""
    keep = Filter(methods=frozenset({"GET"})).also(*parse("status:5xx").terms)
    assert keep.matches(SLOW)
    assert not keep.matches(POST)
    assert keep.chips() == ("method:GET", "status:5xx")


def test_last_condition_first() -> None:
    """Conditions are taken away from the last to the first, flags after what was typed."""
    keep = Filter(pids=frozenset({12}), host=re.compile("api"), role="server", terms=parse("a b").terms)
    chips = list(keep.chips())
    assert chips == ["pid:12", "host~api", "role:server", "a", "b"]
    while chips:
        chips.pop()
        keep = keep.without_last()
        assert list(keep.chips()) == chips
    assert not keep.active
    assert keep.without_last() == Filter()


def test_nothing_is_added_twice() -> None:
    """Picking the same pid again changes nothing."""
    keep = parse("pid:12")
    assert keep.also(Term("pid", ":", "12")) == keep


@pytest.mark.parametrize(("text", "shown"), [
    ("", [NGINX, API, None]), ("pid:12", [NGINX]), ("comm:tmux", [API]), ("host:api", [NGINX, API, None]),
    ("!pid:12", [NGINX, API, None]), ("pid:12,34", [NGINX, API]),
])
def test_rows_of_processes(text: str, shown: list[Process | None]) -> None:
    """Who asks for a process sees its rows, not those of its peers."""
    assert [process for process in (NGINX, API, None) if parse(text).shows(process)] == shown


def test_roles() -> None:
    """A role is asked for by flag or by term."""
    assert parse("").roles == ("server", "client")
    assert parse("role:client").roles == ("client",)
    assert Filter(role="server").roles == ("server",)
    assert Filter(role="server").also(*parse("role:client").terms).roles == ()
