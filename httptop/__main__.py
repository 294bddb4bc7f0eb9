"""`httptop` and `python -m httptop`."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import NoReturn

from httptop import cli


def main() -> NoReturn:
    """Run, and end at once.

    Nothing is left to do by then, and taking Python down takes longer than all else between `q` and the prompt.
    """
    code = cli.main()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, full, or never there
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
