"""Colours with meaning, dark and light: one palette, from which Textual's theme and the styles of spans are made."""

from __future__ import annotations

from rich.style import Style
from textual.color import Color
from textual.theme import Theme

DARK = {
    "background": "#12151b", "surface": "#1a1f28", "cursor": "#263244", "rule": "#333c4a", "text": "#d3d9e3",
    "dim": "#7d8899", "accent": "#7cc7ff", "spark": "#4580b0",
    "2xx": "#7fd08a", "3xx": "#6aa8ff", "4xx": "#e8c15a", "5xx": "#ff6b6b",
    "GET": "#6cc5c0", "POST": "#b99cf5", "PUT": "#e5a66b", "DELETE": "#f082ac", "PATCH": "#d7a0e8", "HEAD": "#93a9c4",
}
LIGHT = {
    "background": "#fbfbf9", "surface": "#f0f1f3", "cursor": "#d9e6f7", "rule": "#c9ced6", "text": "#23282f",
    "dim": "#6b7480", "accent": "#0b62b8", "spark": "#5b93cf",
    "2xx": "#1d7a35", "3xx": "#1f5fd0", "4xx": "#8a6100", "5xx": "#c3222b",
    "GET": "#0e7470", "POST": "#6d3fc0", "PUT": "#a3560f", "DELETE": "#b3245f", "PATCH": "#8b3aa3", "HEAD": "#48607e",
}
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD")

# Without colour, what matters most still stands out.
PLAIN = {
    "title": Style(bold=True), "accent": Style(bold=True), "key": Style(bold=True), "chip": Style(reverse=True),
    "cursor": Style(reverse=True), "5xx": Style(bold=True), "bad": Style(bold=True, reverse=True),
    "warn": Style(bold=True), "strong": Style(bold=True), "focus": Style(bold=True, reverse=True),
}


def _fading(colours: dict[str, str], steps: int) -> list[str]:
    """From the accent down into the background: the top of a graph is what catches the eye."""
    top, ground = Color.parse(colours["accent"]), Color.parse(colours["background"])
    return [top.blend(ground, 0.2 + 0.5 * step / (steps - 1)).hex for step in range(steps)]


def _coloured(colours: dict[str, str]) -> dict[str, Style]:
    """Name of a span -> its style; `method` and `status` names are those of the data."""
    styles = {name: Style(color=colour) for name, colour in colours.items() if name not in ("background", "surface")}
    for name in METHODS[3:]:
        styles[name] = Style(color=colours[name])
    background = colours["background"]
    return styles | {
        "text": Style(color=colours["text"]),
        "strong": Style(color=colours["text"], bold=True),
        "title": Style(color=colours["text"], bold=True),
        "focus": Style(color=colours["accent"], bold=True),
        "focus-rule": Style(color=colours["spark"]),
        **{f"graph{row}": Style(color=colour) for row, colour in enumerate(_fading(colours, 4))},
        "key": Style(color=colours["accent"]),
        "good": Style(color=colours["2xx"]),
        "warn": Style(color=colours["4xx"]),
        "5xx": Style(color=colours["5xx"], bold=True),
        "bad": Style(color=background, bgcolor=colours["5xx"], bold=True),
        "paused": Style(color=background, bgcolor=colours["4xx"], bold=True),
        "chip": Style(color=colours["accent"], bgcolor=colours["cursor"]),
        "cursor": Style(bgcolor=colours["cursor"]),
    }


class Palette:
    """The styles of one theme by name; an unknown name is plain text."""

    def __init__(self, name: str, colours: dict[str, str] | None, *, dark: bool) -> None:
        self.name = name
        self.theme = _theme(name, colours, dark=dark)
        self._styles = PLAIN if colours is None else _coloured(colours)
        self._text = Style() if colours is None else self._styles["text"]

    def __getitem__(self, name: str) -> Style:
        return self._styles.get(name, self._text)


def _theme(name: str, colours: dict[str, str] | None, *, dark: bool) -> Theme:
    if colours is None:
        plain = "ansi_default"
        return Theme(name, plain, plain, plain, plain, plain, plain, plain, plain, plain, plain, ansi=True, dark=dark,
                     variables={"rule": plain, "ansi-background": plain, "ansi-foreground": plain,
                                "input-cursor-text-style": "reverse", "block-cursor-text-style": "reverse"})
    return Theme(
        name, primary=colours["accent"], secondary=colours["3xx"], warning=colours["4xx"], error=colours["5xx"],
        success=colours["2xx"], accent=colours["accent"], foreground=colours["text"],
        background=colours["background"], surface=colours["surface"], panel=colours["surface"],
        dark=dark, variables={
            "rule": colours["rule"], "block-cursor-background": colours["cursor"],
            "block-cursor-foreground": colours["text"], "input-cursor-background": colours["accent"],
            "input-selection-background": colours["cursor"],
        })


def palettes(*, color: bool) -> list[Palette]:
    """The themes to choose from, the default first; without colour there is one."""
    if not color:
        return [Palette("httptop-plain", None, dark=True)]
    return [Palette("httptop-dark", DARK, dark=True), Palette("httptop-light", LIGHT, dark=False)]
