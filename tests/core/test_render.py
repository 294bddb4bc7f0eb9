"""Values become short text that no terminal can be hurt by."""

from __future__ import annotations

import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from httptop import render
from httptop.render import ASCII, UNICODE

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=80)


@pytest.mark.parametrize(("text", "shown"), [
    ("/v1/items?q=a&b=%20", "/v1/items?q=a&b=%20"),
    ("\x1b[2J", r"\x1b[2J"),
    ("\x9b31m", r"\x9b31m"),
    ("a\r\nb\tc\x00\x7f", r"a\x0d\x0ab\x09c\x00\x7f"),
    ("\u202eexe.png", r"\u202eexe.png"),
    ("\u2066\u2069\u200f", r"\u2066\u2069\u200f"),
    ("zero\u200b\u200d\ufeff", r"zero\u200b\u200d\ufeff"),
    ("e\u0301", r"e\u0301"),
    ("\u0634\u05d0", r"\u0634\u05d0"),
    ("\U0001f4a9\u2764\ufe0f", r"\U0001f4a9\u2764\ufe0f"),
    ("\udc80\udcff", r"\x80\xff"),
    ("\ud800", r"\ud800"),
    ("\xa0\xad\u2028", r"\xa0\xad\u2028"),
    ("[bold]x[/]", "[bold]x[/]"),
    ("é ß Ω ж 日本 한글 カナ", "é ß Ω ж 日本 한글 カナ"),
])
def test_safe(text: str, shown: str) -> None:
    """What every terminal draws alike stays; the rest becomes a visible escape."""
    assert render.safe(text) == shown


def test_no_character_is_dangerous_and_widths_are_those_of_the_screen() -> None:
    """Of all of Unicode nothing but plain characters passes, each as wide as Textual thinks."""
    for code in range(sys.maxunicode + 1):
        shown = render.safe(chr(code))
        assert shown.isprintable()
        assert cell_len(shown) == render.width(shown), hex(code)
        assert all(unicodedata.category(c)[0] in "LNPSZ" for c in shown), hex(code)
        assert not any(unicodedata.bidirectional(c) in ("R", "AL", "RLE", "RLO", "RLI") for c in shown), hex(code)


@given(ANY_TEXT)
def test_ascii_only(text: str) -> None:
    """--ascii shows nothing but printable ASCII."""
    shown = render.safe(text, ascii_only=True)
    assert shown.isascii()
    assert shown.isprintable()


@given(ANY_TEXT, st.integers(0, 60))
def test_nothing_is_wider_than_asked(text: str, cells: int) -> None:
    """Cut text fits, whatever it is; text that fits is not cut; the short way and the long way agree."""
    safe = render.safe(text)
    for cut in (render.fit(safe, cells), render.fit_middle(safe, cells), render.clean(text, cells),
                render.clean_middle(text, cells), render.fit(safe, cells, ASCII)):
        assert render.width(cut) <= cells
    if render.width(safe) <= cells:
        assert render.fit(safe, cells) == render.fit_middle(safe, cells) == safe
    assert render.clean_middle(text, cells) == render.fit_middle(safe, cells)
    assert render.clean(text, cells) == render.fit(safe, cells)


def test_middle_keeps_both_ends() -> None:
    """A cut path keeps its beginning and its end."""
    assert render.fit_middle("/v1/customers/12345/orders/67890/items", 21) == "/v1/custom…7890/items"
    assert render.fit("/v1/customers/12345", 10) == "/v1/custo…"


def test_pad_counts_cells() -> None:
    """Wide characters count twice."""
    assert render.pad("日本", 6) == "日本  "
    assert render.pad("7", 3, right=True) == "  7"


@pytest.mark.parametrize(("value", "text"), [
    (0, "0"), (999, "999"), (1000, "1.0k"), (1234, "1.2k"), (9949, "9.9k"), (9951, "10k"), (999_499, "999k"),
    (999_500, "1.0M"), (12_345_678, "12M"), (3_000_000_000, "3.0G"), (10**15, "1000T"),
])
def test_count(value: int, text: str) -> None:
    """Counts take four cells up to the trillions."""
    assert render.count(value) == text


@pytest.mark.parametrize(("value", "text"), [
    (0, "0"), (0.001, "<0.1"), (0.05, "0.1"), (0.4, "0.4"), (9.94, "9.9"), (9.96, "10"), (1234.5, "1.2k"),
])
def test_rate(value: float, text: str) -> None:
    """What is not zero never looks like zero."""
    assert render.rate(value) == text


@pytest.mark.parametrize(("value", "text"), [
    (0.0004, "0 µs"), (0.34, "340 µs"), (0.9994, "999 µs"), (0.9996, "1.0 ms"), (3.44, "3.4 ms"), (34.4, "34 ms"),
    (999.4, "999 ms"), (999.6, "1.0 s"), (34_400, "34 s"), (100_000, "1m40s"), (7_500_000, "2h05m"),
])
def test_millis(value: float, text: str) -> None:
    """Times have the unit that makes them short."""
    assert render.millis(value) == text
    assert render.millis(value, ASCII).isascii()


@pytest.mark.parametrize(("value", "text"), [
    (0, "0 B"), (1023, "1023 B"), (1024, "1.0 K"), (10_240, "10 K"), (1_100_000, "1.0 M"), (5 * 2**40, "5.0 T"),
])
def test_size(value: int, text: str) -> None:
    """Bytes go by 1024."""
    assert render.size(value) == text


@pytest.mark.parametrize(("value", "text"), [
    (0, "0%"), (0.0001, "<0.1%"), (0.005, "0.5%"), (0.5, "50.0%"), (0.9996, ">99.9%"), (1, "100%"),
])
def test_percent(value: float, text: str) -> None:
    """Only nothing is 0 %, only all is 100 %."""
    assert render.percent(value) == text


@pytest.mark.parametrize(("value", "text"), [
    (-1, "0s"), (59, "59s"), (340, "5m40s"), (11_100, "3h05m"), (1_047_600, "12d03h"),
])
def test_age(value: float, text: str) -> None:
    """Spans of time take six cells."""
    assert render.age(value) == text


def test_uptime() -> None:
    """A running clock, with days when there are any."""
    assert render.uptime(764.9) == "00:12:44"
    assert render.uptime(273_906) == "3d 04:05:06"


@given(st.lists(st.floats(0, 1e9), max_size=40), st.integers(0, 30), st.sampled_from([UNICODE, ASCII]))
def test_levels(values: list[float], cells: int, glyphs: render.Glyphs) -> None:
    """A sparkline has one cell per value, newest right; only zero is blank."""
    line = render.levels(values, cells, glyphs)
    assert len(line) == cells
    shown = values[-cells:] if cells else []
    assert [c == " " for c in line[cells - len(shown):]] == [value == 0 for value in shown]


def test_graph_stands_on_the_ground() -> None:
    """The rows of a graph add up to one shape: nothing floats above a gap."""
    rows = render.graph([0, 1, 5, 10], 5, 3)
    assert rows == ["    █", "   ▄█", "  ▃██"]


def test_imports_no_screen() -> None:
    """The plain table needs it too: neither Textual nor Rich is loaded."""
    code = "import sys, httptop.render; print(*{'textual', 'rich'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""


@pytest.mark.parametrize(("host", "path", "shown"), [
    ("h", "/a", "/a"), ("h", "(other)", " (other)"), ("h", "*", " *"), ("", "*", "*"), ("h", "", "")])
def test_what_is_no_path_stands_apart(host: str, path: str, shown: str) -> None:
    """Behind a host it would read as a part of its name."""
    assert render.behind_host(host, path) == shown
