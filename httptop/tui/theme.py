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
    "paused": Style(bold=True, reverse=True), "dim": Style(dim=True), "rule": Style(dim=True),
}
_CYAN, _MAGENTA, _YELLOW = Style(color="cyan"), Style(color="magenta"), Style(color="yellow")
# Eight colours, on whatever background: no bright ones, which some terminals lack.
EIGHT = PLAIN | {
    "accent": _CYAN, "key": _CYAN, "spark": _CYAN, "focus": _CYAN + Style(bold=True), "focus-rule": _CYAN,
    "2xx": Style(color="green"), "good": Style(color="green"), "3xx": Style(color="blue", bold=True),
    "4xx": _YELLOW, "warn": _YELLOW, "5xx": Style(color="red", bold=True),
    "bad": Style(color="red", bold=True, reverse=True), "paused": Style(color="yellow", reverse=True),
    "GET": _CYAN, "POST": _MAGENTA, "PUT": _YELLOW, "DELETE": Style(color="red"), "PATCH": _MAGENTA,
    **{f"graph{row}": _CYAN for row in range(4)},
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

    def __init__(self, theme: Theme, styles: dict[str, Style]) -> None:
        self.name = theme.name
        self.theme = theme
        self._styles = styles
        self._text = styles.get("text", Style())

    def __getitem__(self, name: str) -> Style:
        return self._styles.get(name, self._text)


def _terminal_theme(name: str) -> Theme:
    """The terminal's own colours."""
    own = "ansi_default"
    return Theme(name, own, own, own, own, own, own, own, own, own, own, ansi=True, variables={
        "rule": own, "ansi-background": own, "ansi-foreground": own, "input-cursor-text-style": "reverse",
        "block-cursor-text-style": "reverse"})


def _theme(name: str, colours: dict[str, str], *, dark: bool) -> Theme:
    return Theme(
        name, primary=colours["accent"], secondary=colours["3xx"], warning=colours["4xx"], error=colours["5xx"],
        success=colours["2xx"], accent=colours["accent"], foreground=colours["text"],
        background=colours["background"], surface=colours["surface"], panel=colours["surface"],
        dark=dark, variables={
            "rule": colours["rule"], "block-cursor-background": colours["cursor"],
            "block-cursor-foreground": colours["text"], "input-cursor-background": colours["accent"],
            "input-selection-background": colours["cursor"],
        })


def palettes(colors: int) -> list[Palette]:
    """The themes to choose from where there are so many colours, the default first."""
    if colors < 256:
        return [Palette(_terminal_theme("httptop-terminal"), EIGHT if colors else PLAIN)]
    return [Palette(_theme("httptop-dark", DARK, dark=True), _coloured(DARK)),
            Palette(_theme("httptop-light", LIGHT, dark=False), _coloured(LIGHT))]
