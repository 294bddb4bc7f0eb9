"""httptop, but with a ring buffer of 64 KB: it cannot read as fast as any server answers. Flags as those of httptop."""

from __future__ import annotations

import functools
import sys
from unittest import mock

from httptop.capture import live
from httptop.cli import main

RING_BYTES = 1 << 16  # some 130 exchanges

if __name__ == "__main__":
    with mock.patch.object(live, "LiveSource", functools.partial(live.LiveSource, ring_bytes=RING_BYTES)):
        sys.exit(main())
