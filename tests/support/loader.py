"""Modules of the loader child, which find each other beside them and not in the package."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from httptop.capture import bytecode

if TYPE_CHECKING:
    from httptop.capture import compiling, loaded, place
else:
    sys.path.append(str(Path(bytecode.__file__).parent))
    import compiling
    import loaded
    import place

__all__ = ["compiling", "loaded", "place"]
