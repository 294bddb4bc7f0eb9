"""What is imported when it is first needed, so that the first paint comes early: ours, Textual's and Rich's."""

from __future__ import annotations

import importlib

LATER = (
    "httptop.engine",
    "httptop.export.log",
    "httptop.tui.details",
    "httptop.tui.dialogs",
    "httptop.tui.pick",
    "httptop.tui.reshape",
    "httptop.tui.take_away",
    "rich._unicode_data",  # cell widths, read by the first character beyond Latin-1
    "textual.command",  # the command palette and what it shows
    "textual.system_commands",
    "textual.widgets._input",
    "textual.widgets._option_list",
    "textual.widgets._toast",
    "textual.widgets._tooltip",
)


def preload() -> None:
    """Import it now; and have the tables of cell widths read."""
    for name in LATER:
        importlib.import_module(name)
    from rich.cells import cell_len  # noqa: PLC0415 (imported late like the rest)

    cell_len("\u65e5")
