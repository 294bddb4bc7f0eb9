"""Chunked bodies: where they end (RFC 9112 7.1)."""

from __future__ import annotations

import enum
import re

# A chunk-size line with its extensions, or a line of trailers.
MAX_CHUNK_LINE = 4096


class _Part(enum.Enum):
    SIZE = 1
    DATA = 2
    AFTER_DATA = 3
    TRAILER = 4
    END = 5


_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?\r?\n", re.DOTALL)


class Chunked:
    """Reads a chunked body piece by piece. It holds at most one unfinished line.

    `broken`: this is no chunked body; nothing that follows can be trusted.
    """

    __slots__ = ("_left", "_line", "_part", "broken")

    def __init__(self) -> None:
        self.broken = False
        self._part = _Part.SIZE
        self._left = 0
        self._line = b""

    def feed(self, data: bytes) -> int | None:
        """Read on. n: the body ended after n bytes of `data`; None: not yet, or never if `broken`."""
        position = 0
        while position < len(data) and not self.broken:
            if self._part is _Part.DATA:
                taken = min(self._left, len(data) - position)
                self.skip(taken)
                position += taken
                continue
            position = self._read_line(data, position)
            if self._part is _Part.END:
                return position
        return None

    def skip(self, count: int) -> bool:
        """Go on as if `count` bytes had been fed, if all of them are data of the current chunk."""
        if self._part is not _Part.DATA or count > self._left:
            return False
        self._left -= count
        if not self._left:
            self._part = _Part.AFTER_DATA
        return True

    def _read_line(self, data: bytes, position: int) -> int:
        stop = data.find(b"\n", position) + 1 or len(data)
        if len(self._line) + stop - position > MAX_CHUNK_LINE:
            self.broken = True
            return stop
        self._line += data[position:stop]
        if self._line.endswith(b"\n"):
            self._take(self._line)
            self._line = b""
        return stop

    def _take(self, line: bytes) -> None:
        empty = line in (b"\r\n", b"\n")
        if self._part is _Part.TRAILER:
            self._part = _Part.END if empty else _Part.TRAILER
        elif self._part is _Part.AFTER_DATA:
            self._part = _Part.SIZE
            self.broken = not empty
        else:
            size = _CHUNK_SIZE.fullmatch(line)
            self.broken = size is None
            self._left = int(size[1], 16) if size else 0
            self._part = _Part.DATA if self._left else _Part.TRAILER
