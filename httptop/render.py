"""Values -> safe, short display text: the only way from network bytes to a screen.

Text from the network may hold escape sequences, direction overrides, characters of no or of disputed width, or
markup. What `safe` returns holds none of these: each character takes exactly the cells that `width` says, whatever
the terminal. Nothing here imports Textual or Rich: the plain table uses it too.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

# Two cells in every terminal since decades: ideographs, kana, Hangul, full-width forms. Emoji are not among them.
# As a regular expression they take longer to compile than all the rest of this module to import.
_WIDE = ("\u3041\u3096", "\u30a1\u30fa", "\u3400\u4dbf", "\u4e00\u9fff", "\uac00\ud7a3", "\uff01\uff5e")
_NARROW_CATEGORIES = ("L", "N", "P", "S")
_LEFT_TO_RIGHT = ("L", "EN", "ES", "ET", "CS", "ON", "AN")


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The few characters beyond ASCII that httptop draws with."""

    ellipsis: str = "…"
    dot: str = "·"
    live: str = "●"
    good: str = "✓"
    bad: str = "▲"
    pause: str = "‖"
    down: str = "▾"
    up: str = "▴"
    rule: str = "─"
    bar: str = "█"
    thumb: str = "┃"
    remove: str = "\u00d7"
    micro: str = "µ"
    levels: str = " ▁▂▃▄▅▆▇█"
    numerals: str = "⁰¹²³⁴⁵⁶⁷⁸⁹"


UNICODE = Glyphs()
ASCII = Glyphs("~", ".", "*", "ok", "!", "||", "v", "^", "-", "#", "|", "x", "u", " .:-=+*#@", "0123456789")


@lru_cache(maxsize=4096)
def _shown(character: str) -> str:
    """The character itself if every terminal draws it in the same cells, else a visible escape."""
    if character.isascii():
        return character if character.isprintable() else f"\\x{ord(character):02x}"
    if _is_wide(character):
        return character
    if (
        character.isprintable()
        and unicodedata.category(character)[0] in _NARROW_CATEGORIES
        and unicodedata.bidirectional(character) in _LEFT_TO_RIGHT
        and unicodedata.east_asian_width(character) in ("N", "Na", "H", "A")
        and ord(character) < 0x2E80  # beyond: scripts and symbols whose width terminals disagree on
        and not _joins(ord(character))
    ):
        return character
    return _escape(ord(character))


def _joins(code: int) -> bool:
    """Scripts from Devanagari to Khmer shape letters together; arrows to dingbats may become emoji of two cells."""
    return 0x0700 <= code < 0x1E00 or 0x2190 <= code < 0x2C00


def _escape(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8 (surrogateescape)
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def safe(text: str, *, ascii_only: bool = False) -> str:
    r"""Make text from the network harmless: what is no plain character becomes a visible escape such as \x1b."""
    if text.isascii():
        return text if text.isprintable() else "".join(map(_shown, text))
    if ascii_only:
        return "".join(c if c.isascii() and c.isprintable() else _escape(ord(c)) for c in text)
    return "".join(map(_shown, text))


def width(text: str) -> int:
    """Cells that safe text takes."""
    return len(text) + (sum(map(_is_wide, text)) if _may_be_wide(text) else 0)


def _may_be_wide(text: str) -> bool:
    return not text.isascii() and max(text) >= _WIDE[0][0]


def _is_wide(character: str) -> bool:
    return any(ends[0] <= character <= ends[1] for ends in _WIDE)


def head(text: str, cells: int) -> str:
    """As much of the beginning of safe text as fits into `cells` cells."""
    if not _may_be_wide(text):
        return text[:cells]
    used = 0
    for index, character in enumerate(text):
        used += 2 if _is_wide(character) else 1
        if used > cells:
            return text[:index]
    return text


def fit(text: str, cells: int, glyphs: Glyphs = UNICODE) -> str:
    """Safe text in at most `cells` cells, an ellipsis at the end of what was cut."""
    if width(text) <= cells:
        return text
    return head(text, cells - 1) + glyphs.ellipsis if cells > 0 else ""


def fit_middle(text: str, cells: int, glyphs: Glyphs = UNICODE) -> str:
    """Safe text in at most `cells` cells, cut in the middle: a host and the end of a path tell most."""
    if width(text) <= cells:
        return text
    if cells < 5:
        return fit(text, cells, glyphs)
    tail = (cells - 1) // 2
    start = head(text, cells - 1 - tail)
    return start + glyphs.ellipsis + head(text[::-1], cells - 1 - width(start))[::-1]


def behind_host(host: str, path: str) -> str:
    """The path as it stands behind its host: what is none ("*", "(other)") stands apart."""
    return f" {path}" if host and path and not path.startswith("/") else path


def clean_middle(text: str, cells: int, glyphs: Glyphs = UNICODE) -> str:
    """Text from the network, of any length, in at most `cells` cells: made safe and cut in the middle."""
    if len(text) > 2 * cells + 2:  # no escape is shorter than its character: what is cut here would be cut anyway
        text = text[:cells + 1] + text[-cells - 1:]
    return fit_middle(safe(text, ascii_only=glyphs is ASCII), cells, glyphs)


def clean(text: str, cells: int, glyphs: Glyphs = UNICODE) -> str:
    """Text from the network, of any length, in at most `cells` cells: made safe and cut at its end."""
    return fit(safe(text[:cells + 1], ascii_only=glyphs is ASCII), cells, glyphs)


def pad(text: str, cells: int, *, right: bool = False) -> str:
    """Safe text filled up with spaces, to the right of a column if `right`."""
    gap = " " * max(cells - width(text), 0)
    return gap + text if right else text + gap


def _scaled(value: float, units: Sequence[str], base: float) -> str:
    """Three digits at most: 999, 1.2k, 12k, 123k, 1.2M."""
    index = 0
    while value >= (999.5 if base == 1000 else 1023.5) and index < len(units) - 1:
        value /= base
        index += 1
    digits = f"{value:.0f}" if index == 0 or value >= 9.95 else f"{value:.1f}"
    return digits + units[index]


def count(number: int) -> str:
    """Give a number of things in five cells: 999, 1.2k, 12k, 1.2M."""
    return _scaled(number, ("", "k", "M", "G", "T"), 1000)


def rate(per_second: float) -> str:
    """Give a rate in five cells: 0, 0.4, 12, 1.2k; what is not zero never looks like zero."""
    if per_second <= 0:
        return "0"
    if per_second < 0.05:
        return "<0.1"
    return f"{per_second:.1f}" if per_second < 9.95 else count(round(per_second))


def size(number: float) -> str:
    """Bytes in six cells: 999 B, 1.2 K, 12 M (powers of 1024)."""
    return _scaled(number, (" B", " K", " M", " G", " T"), 1024)


def millis(value_ms: float, glyphs: Glyphs = UNICODE) -> str:
    """Milliseconds as a short time: 340us, 3.4 ms, 34 ms, 3.4 s, 34 s, 5m40s."""
    if value_ms < 0.9995:
        return f"{value_ms * 1000:.0f} {glyphs.micro}s"
    if value_ms < 999.5:
        return f"{value_ms:.0f} ms" if value_ms >= 9.95 else f"{value_ms:.1f} ms"
    seconds = value_ms / 1000
    if seconds < 99.5:
        return f"{seconds:.0f} s" if seconds >= 9.95 else f"{seconds:.1f} s"
    return age(seconds)


def age(seconds: float) -> str:
    """A span of time in at most six cells: 0s, 59s, 5m40s, 3h05m, 12d03h."""
    whole = max(int(seconds), 0)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"


def uptime(seconds: float) -> str:
    """A running clock: 00:12:44, 3d 04:05:06."""
    days, rest = divmod(max(int(seconds), 0), 86400)
    clock = f"{rest // 3600:02d}:{rest % 3600 // 60:02d}:{rest % 60:02d}"
    return f"{days}d {clock}" if days else clock


def percent(share: float) -> str:
    """A share of one; only all is 100 %, and only none is 0 %."""
    if share <= 0 or share >= 1:
        return "0%" if share <= 0 else "100%"
    if share > 0.9995:
        return ">99.9%"
    return f"{share * 100:.1f}%" if share >= 0.0005 else "<0.1%"


def levels(values: Sequence[float], cells: int, glyphs: Glyphs = UNICODE, *, top: float = 0) -> str:
    """Draw the last `cells` values as a sparkline, newest right, the highest (at least `top`) nearly a full line.

    What is not zero is never drawn as nothing; what is drawn never touches the line above.
    """
    shown = list(values[-cells:]) if cells > 0 else []
    highest = max([*shown, top, 1e-9])
    steps = len(glyphs.levels) - 2
    return "".join(glyphs.levels[_level(value, highest, steps)] for value in shown).rjust(cells)


def _level(value: float, highest: float, steps: int) -> int:
    return min(steps, max(1, math.ceil(value / highest * steps))) if value > 0 else 0


def graph(values: Sequence[float], cells: int, rows: int, glyphs: Glyphs = UNICODE) -> list[str]:
    """Draw a sparkline of several rows, the topmost first."""
    shown = list(values[-cells:]) if cells > 0 else []
    highest = max([*shown, 1e-9])
    steps = len(glyphs.levels) - 1
    heights = [_level(value, highest, steps * rows) for value in shown]
    return ["".join(glyphs.levels[min(max(height - steps * row, 0), steps)] for height in heights).rjust(cells)
            for row in reversed(range(rows))]
