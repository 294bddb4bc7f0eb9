"""The live screen."""

from __future__ import annotations


def preload() -> None:
    """Import all that the screen may need later, and read what it reads from files.

    After the worker gave up root, what is installed below a home directory can no longer be read.
    """
    from httptop.tui import preloading  # noqa: PLC0415 (the other faces need none of it)

    preloading.preload()
