"""The kernel's fast path from user space: teaching it what was understood, and reading what it has counted.

All lies in arrays that both sides have mapped (bpf/events.h), so this needs no system call and no privilege. Whatever
is written becomes valid by one last aligned word.
"""

from __future__ import annotations

import mmap
import os
import re
import struct
import sys
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from httptop.capture.counts import BYTES_AT, CELL_BYTES, Counts
from httptop.records import FLOW_KEY, Counted, Held
from httptop.taught import (
    ANSWER,
    ANSWERS_MAX,
    CELL_KEY,
    CELLS_MAX,
    ONE_MORE,
    PROBES,
    SETTINGS,
    STRANGER,
    STRANGERS_MAX,
    TAKEN,
    TEMPLATE,
    TEMPLATES_MAX,
    TRACK,
    TRACK_FAST,
    TRACKS_MAX,
    TRACKS_NEAR,
    Framing,
    Kept,
    Left,
    Masked,
)

_WORD = struct.Struct("=Q")
_HALF = struct.Struct("=I")
_ANSWERS_AT = TEMPLATE.size
_TEMPLATE_BYTES = TEMPLATE.size + ANSWERS_MAX * ANSWER.size
_LATENCY_MAX_AT = CELL_KEY.size
_ASKED_AT = FLOW_KEY.size + 2
_ASKED_NS = 7  # of the fields of a track
_TAKEN_PAGES, _ASKED = re.compile(b"\1+"), re.compile(b"\1")
_LOOKS = 3  # at a track: a CPU is done with it after a microsecond
_LITTLE = sys.byteorder == "little"
_FACTOR_AT = 8  # in settings
_SAMPLES_AT, _WAKE_AT, _DETAIL_AT, _APART_AT = 16, 24, 32, 40  # in settings
_ANSWER_AT = 4  # in a cell's key: written last

SIZES = {"templates": TEMPLATES_MAX * _TEMPLATE_BYTES, "hashes": TEMPLATES_MAX * 8, "cells": CELLS_MAX * CELL_BYTES,
         "strangers": STRANGERS_MAX * STRANGER.size, "tracks": TRACKS_MAX * TRACK.size,
         "tracked": TRACKS_MAX // TRACKS_NEAR * 8, "settings": SETTINGS.size}

_64 = (1 << 64) - 1
_32 = (1 << 32) - 1


def _halves(byte: int) -> tuple[int, int]:
    """Two fields of four bits, in the order in which C has them."""
    low, high = byte & 15, byte >> 4
    return (low, high) if _LITTLE else (high, low)


class Board:
    """What is written for the kernel to read, and what it writes. `fds`: the maps by name."""

    def __init__(self, fds: Mapping[str, int]) -> None:
        self._maps = {name: mmap.mmap(fds[name], -(-size // mmap.PAGESIZE) * mmap.PAGESIZE)
                      for name, size in SIZES.items()}
        # One word at a time, in one piece: struct goes byte by byte.
        self._words = {name: memoryview(view).cast("Q") for name, view in self._maps.items()}
        self._seed, factor = (int.from_bytes(os.urandom(8), "little") for _ in range(2))
        self._factor = factor | 1
        self._publish("settings", _FACTOR_AT, self._factor)
        self._publish("settings", 0, self._seed)  # last: what is hashed from now on is hashed with both
        self._templates: set[int] = set()
        self._strangers: set[bytes] = set()  # those that were not overwritten
        self._stranger_at: dict[int, bytes] = {}
        self._cells: dict[int, Counts] = {}

    def unteach(self) -> None:
        """Nothing that is taught is known any more; what is held by it stays held."""
        self._seed = int.from_bytes(os.urandom(8), "little")
        self._strangers.clear()
        self._stranger_at.clear()
        self._publish("settings", 0, self._seed)

    def clear(self, keep: AbstractSet[int]) -> None:
        """Make place, some time after `unteach`. `keep`: templates by which requests are held."""
        for number in self._templates - keep:
            at = number * _TEMPLATE_BYTES
            self._publish("hashes", 8 * number, 0)
            self._maps["templates"][at : at + _TEMPLATE_BYTES] = bytes(_TEMPLATE_BYTES)
        for number in self._cells:
            at = number * CELL_BYTES
            self._maps["cells"][at : at + CELL_BYTES] = bytes(CELL_BYTES)
        self._templates &= keep
        self._cells.clear()

    def close(self) -> None:
        """Unmap."""
        for words in self._words.values():
            words.release()
        for view in self._maps.values():
            view.close()

    # -- teaching -----------------------------------------------------------------------------------------------

    def request(self, left: Left, counter: int, framing: Framing) -> int | None:
        """Teach a request, see taught.Board."""
        value = self._hash(left.front, left.cut << 32)
        if left.cut:
            value = self._mixed(value, self._hash(left.behind, self._kind(Masked.VALUES, left.kept)))
        at = self._place(value, TEMPLATES_MAX, self._templates)
        if at is not None:
            self._templates.add(at)
            TEMPLATE.pack_into(self._maps["templates"], at * _TEMPLATE_BYTES, len(left.data), 0, framing.at,
                               framing.digits, counter)
            self._publish("hashes", 8 * at, value)
        return at

    def answer(self, template: int, number: int, head: bytes, framing: Framing, how: Masked) -> None:
        """Teach how it is answered, see taught.Board."""
        start = template * _TEMPLATE_BYTES
        at = start + _ANSWERS_AT + number * ANSWER.size
        self._publish("templates", at, 0)
        view = self._maps["templates"]
        length, longest, *request = TEMPLATE.unpack_from(view, start)
        if len(head) > longest:
            TEMPLATE.pack_into(view, start, length, len(head), *request)
        ANSWER.pack_into(view, at, 0, len(head), framing.at, framing.digits, how, framing.chunked)
        kept = framing.kept if how is Masked.VALUES else Kept(0)  # of others the kernel says no more
        self._publish("templates", at, self._hash(head, self._kind(how, kept)))

    def cell(self, template: int, answer: int, server: bytes, client: bytes, latency_max_ns: int) -> int | None:
        """Teach that these exchanges are counted, between these identities; the cell's number."""
        key = CELL_KEY.pack(template, answer + 1, server, client)
        value = self._seed
        for word in struct.unpack("=5Q", key):
            value = self._mixed(value, word)
        at = self._place(value, CELLS_MAX, self._cells)
        if at is not None:
            self._cells[at] = Counts()
            view, start = self._maps["cells"], at * CELL_BYTES
            view[start : start + len(key)] = key[:_ANSWER_AT] + bytes(4) + key[_ANSWER_AT + 4 :]
            self._publish("cells", start + _LATENCY_MAX_AT, latency_max_ns)
            _HALF.pack_into(view, start + _ANSWER_AT, answer + 1)
        return at

    def stranger(self, address: bytes) -> None:
        """Teach that an address (16 bytes) is another host's."""
        if address in self._strangers:
            return
        value = self._seed
        for high, low in struct.iter_unpack("=II", address):
            value = self._mixed(value, high << 32 | low)
        place = self._place(value, STRANGERS_MAX, self._stranger_at)
        if place is None:  # in place of another one, which will be told again when it comes
            place = value & (STRANGERS_MAX - 1)
        at = place * STRANGER.size
        self._publish("strangers", at + 16, 0)
        self._maps["strangers"][at : at + 16] = address
        self._publish("strangers", at + 16, 1)
        self._strangers.discard(self._stranger_at.get(place, b""))
        self._strangers.add(address)
        self._stranger_at[place] = address

    def want(self, samples: int) -> None:
        """So many of the next exchanges are to come one by one although they are known."""
        self._publish("settings", _SAMPLES_AT, samples)

    def afford(self, more: int, most: int, among: int) -> None:
        """So many `more` requests are to come one by one although a Cut.TARGET fits them, see taught.Board."""
        left = self._words["settings"][_DETAIL_AT // 8]
        self._publish("settings", _APART_AT, among - 1)
        self._publish("settings", _DETAIL_AT, min(left + more, most))

    def wake(self, records: int) -> None:
        """The reader of the ring is to be woken after so many; 0: it is not."""
        self._publish("settings", _WAKE_AT, records)

    def _publish(self, name: str, at: int, value: int) -> None:
        self._words[name][at // 8] = value

    def _mixed(self, value: int, word: int) -> int:
        value = ((value ^ word) * self._factor) & _64
        return value ^ value >> 32

    @staticmethod
    def _kind(how: Masked, kept: Kept) -> int:
        return how << 56 ^ kept.plain << 40 ^ kept.host << 11 ^ kept.behind << 21

    def _hash(self, data: bytes, kind: int) -> int:
        """As digest() in bpf/digest.h."""
        value, key = 0, self._seed
        for (word,) in _WORD.iter_unpack(data + bytes(-len(data) % 8)):
            keyed = (word + key) & _64
            value += (keyed & _32) * (keyed >> 32)
            key += self._factor
        return self._mixed(self._seed ^ len(data) ^ kind, value & _64)

    @staticmethod
    def _place(value: int, size: int, taken: Iterable[int]) -> int | None:
        return next((at for i in range(PROBES) if (at := (value ^ i) & (size - 1)) not in taken), None)

    # -- reading ------------------------------------------------------------------------------------------------

    def counted(self) -> list[Counted]:
        """What was added to cells since the last time."""
        view, words, found = self._maps["cells"], self._words["cells"], []
        for number, counts in self._cells.items():
            at = number * CELL_BYTES
            now, before = words[(at + BYTES_AT) // 8], counts.bytes
            if now != before:
                found.append(Counted(number, (now - before) % ONE_MORE, counts.read(view, at, now)))
        return found

    def held(self) -> list[Held]:
        """Requests that wait in the kernel."""
        return [held for at in self._asked() if (held := self._held(at)) is not None]

    def _asked(self) -> Iterator[int]:
        """Tracks that may hold one. All of them are 16 MB, so only pages are looked at of which one was taken ever."""
        first = 0 if _LITTLE else 7
        for pages in _TAKEN_PAGES.finditer(self._maps["tracked"][first::8]):
            begin, end = pages.start() * TRACKS_NEAR, pages.end() * TRACKS_NEAR
            asked = self._maps["tracks"][begin * TRACK.size + _ASKED_AT : end * TRACK.size : TRACK.size]
            yield from (begin + one.start() for one in _ASKED.finditer(asked))

    def _held(self, at: int) -> Held | None:
        track = self._track(at)
        if track is None:
            return None
        flow, _, role, waits, _, _, _, asked_ns, template, *_ = track
        state, client = _halves(role)
        return Held(template - 1, flow, client, asked_ns) if state == TRACK_FAST and waits else None

    def _track(self, at: int) -> tuple[Any, ...] | None:
        """What one holds, when no CPU is at it."""
        view, start = self._maps["tracks"], at * TRACK.size
        for _ in range(_LOOKS):
            row = view[start : start + TRACK.size]
            track = TRACK.unpack(row)
            if track[_ASKED_NS] != TAKEN and row == view[start : start + TRACK.size]:
                return track
        return None
