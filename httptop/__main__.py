"""`httptop` and `python -m httptop`."""

from __future__ import annotations

import sys

from httptop.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
