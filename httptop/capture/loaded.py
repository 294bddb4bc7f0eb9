"""What the loader child has in the kernel: maps and programs, out of the cache or the compiler.

Imported by the loader child, so the standard library of Python 3.8 must do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from httptop.capture import bytecode, compiling, image_cache, place
else:  # see loader.py
    import bytecode
    import compiling
    import image_cache
    import place

TAIL_CALLED = ("http_deliver", "http_fast")  # by their place in the map of programs
SEE_PACKETS = ("http_filter", *TAIL_CALLED)  # they are loaded for each place that is needed
TAUGHT = ("templates", "hashes", "cells", "strangers", "tracks", "tracked")  # maps of the fast path


class Loaded:
    """The maps, {name: fd}, and the programs, {(name, place): fd}, out of the cache or the compiler.

    Those that see no packets have place.SOCKET, too.
    """

    def __init__(self, config: dict[str, Any], parts: list[str], places: Iterable[int]) -> None:
        flags = compiling.flags(config)
        ours = [image_cache.text(str(module.__file__)) for module in (bytecode, compiling)]
        self._key = image_cache.key(image_cache.texts_below(config["bpf"]), ours, flags, parts, *os.uname()[2:])
        self._directory = config["cache"]
        self._settings = {compiling.OWN_NETNS_MARK: os.stat("/proc/thread-self/ns/net").st_ino}
        self.maps: dict[str, int] = {}
        self.programs: dict[tuple[str, int], int] = {}
        self.withheld: tuple[str, ...] = ()  # maps that the filter has, but that nobody needs to know of
        self.callees: dict[int, int] = {}  # by place: the map of programs that are tail-called there
        self._places = list(places)
        self._image = bytecode.Image([], [])
        self._compiler: list[Any] = []
        self._rest: Callable[[], bytecode.Image] | None = None
        if not self._from_cache():
            image, self._rest, self._compiler = compiling.compiled(config["bpf"], parts, flags)
            self._load(image)

    def _from_cache(self) -> bool:
        stored = image_cache.read(self._directory, self._key)
        try:
            if stored is None or stored["compiler"] != compiling.identity(stored["compiler"][0]):
                return False
            self._load(bytecode.Image.from_json(stored["image"]))
        except Exception:  # noqa: BLE001 - whatever is wrong with it, compiling it anew is right
            return False
        return True

    def _load(self, image: bytecode.Image) -> None:
        wanted = [m for m in image.maps if m.name not in (*self.maps, compiling.CALLEES)]
        maps = {**bytecode.create_maps(wanted), **self.maps}
        self._put(image, maps)
        self.maps, self._image = maps, self._image.joined(image)

    def _put(self, image: bytecode.Image, maps: dict[str, int]) -> None:
        """Load what is not loaded yet, wherever it is needed."""
        [callees] = [m for m in image.maps if m.name == compiling.CALLEES]
        for at in self._places:
            if at not in self.callees:
                self.callees[at] = bytecode.create_maps([callees])[callees.name]
        programs = bytecode.load({(which.name, at): self._job(which, maps, at) for which in image.programs
                                  for at in (self._places if which.name in SEE_PACKETS else [place.SOCKET])
                                  if (which.name, at) not in self.programs})
        self.programs.update(programs)
        for (name, at), fd in programs.items():
            if name in TAIL_CALLED:
                bytecode.update(self.callees[at], TAIL_CALLED.index(name), fd)

    def _job(self, which: bytecode.Program, maps: dict[str, int], at: int) -> bytecode.Job:
        if which.name not in SEE_PACKETS:
            return bytecode.Job(which, maps, self._settings)
        kind = bytecode.SOCKET_FILTER if at == place.SOCKET else bytecode.SCHED_CLS
        return bytecode.Job(which._replace(kind=kind), {**maps, compiling.CALLEES: self.callees[at]},
                            {**self._settings, compiling.PLACE_MARK: at})

    def filter(self, at: int) -> int:
        """The fd of the filter for a place, which is loaded if it was not."""
        if at not in self._places:
            self._places.append(at)
            self._put(self._image, self.maps)
        return self.programs["http_filter", at]

    @property
    def unfinished(self) -> bool:
        """Whether the fast path is still being compiled."""
        return self._rest is not None

    def finish(self) -> list[str]:
        """Wait for the fast path, and load it; the parts that are missing then.

        All works without it, only at a higher price: a compiler may make of it what a kernel does not take.
        """
        rest, self._rest = self._rest, None
        try:
            if rest is not None:
                self._load(rest())
        except (OSError, RuntimeError, ValueError):
            self._compiler = []
            self.withheld = TAUGHT
            return list(compiling.FAST_PATH)
        return []

    def keep(self) -> None:
        """Store what was compiled for the next time."""
        if self._compiler:
            image_cache.write(self._directory, self._key, {"compiler": self._compiler, "image": self._image.as_json()})


def load(config: dict[str, Any], parts: list[str], places: list[int]) -> tuple[Loaded, list[str]]:
    """What can be loaded, and the parts that are missing in it: without the fast path's maps where there is no room.

    For packet sockets alone, where the kernel takes no program for tcx.
    """
    fewer = [name for name in parts if name not in compiling.FAST_PATH]
    tries = [(parts, places), (parts, [place.SOCKET]), (fewer, places), (fewer, [place.SOCKET])]
    for number, (names, where) in enumerate(tries):
        if (names, where) not in tries[:number]:
            try:
                return Loaded(config, names, where), [name for name in parts if name not in names]
            except (OSError, RuntimeError) as error:
                refused = error
    raise refused
