"""The privileged child: it has the programs compiled, loads and attaches them, hands over fds and exits.

It is run as a script by whichever interpreter can import bcc (the distribution's, usually), so it needs nothing but
the standard library of Python 3.8 and bcc. Arguments: the number of a SOCK_SEQPACKET fd, and a JSON object:
{"bpf": directory, "cache": directory, "interfaces": [[name, is_loopback], ...], "ports": [n], "ring_bytes": n,
"flows": n, "owners": n, "accept_pages": n, "fast_path": bool, "eager": bool, "constants": {name: n}}.
Answers: {"names": [...], "missing": [...], "more": bool, "later": bool} with as many fds, or {"error": [what, do]}.
With "later" one more follows: {"missing": [...]}.

What it leaves behind is held by those fds alone: when their last holder dies, so does all of it.

BCC compiles (compiling.py). What it has made is plain data (bytecode.py) and is kept (image_cache.py), so that the next
start does without BCC.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import json
import os
import resource
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from httptop.capture import af_packet, bytecode, compiling, image_cache
else:  # not by the package, which newer Pythons alone can import
    sys.path.append(os.path.dirname(os.path.abspath(__file__)))
    import af_packet
    import bytecode
    import compiling
    import image_cache

CLONE_NEWNS = 0x20000
MS_REC, MS_PRIVATE = 0x4000, 1 << 18
ATTACHED = ("accepted", "tracepoints", "packets")
EAGER_PACKETS_PER_S = 60_000  # 15,000 exchanges of a packet each way on lo
FDS_PER_MESSAGE = 200  # the kernel takes 253 (SCM_MAX_FD)
TAIL_CALLED = ("http_deliver", "http_fast")  # by their place in the map of programs
TAUGHT = ("templates", "cells", "strangers", "tracks")  # maps of the fast path
# Those that user space reads, or that must stay open
MAPS = ("heads", "counters", "programs", "owners", "settings", *TAUGHT)
TRACEFS = "/sys/kernel/tracing"


class LoadError(Exception):
    """`args`: what went wrong, and what to do about it."""


def mount_tracefs() -> None:
    """BCC looks for tracepoints in tracefs. Mount it where nobody else sees it: bare machines have it nowhere."""
    if os.path.isdir(TRACEFS + "/events"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None):
        raise LoadError(f"no mount namespace of our own: {os.strerror(ctypes.get_errno())}",
                        f"mount tracefs yourself: mount -t tracefs none {TRACEFS}")
    libc.mount(b"none", TRACEFS.encode(), b"tracefs", 0, None)
    if not os.path.isdir("/sys/kernel/debug/tracing/events"):  # where BCC before 0.25 looks
        libc.mount(b"none", b"/sys/kernel/debug", b"debugfs", 0, None)


def present(events: Iterable[str]) -> bool:
    """Whether this kernel has all of these tracepoints."""
    return all(os.path.isdir(f"{TRACEFS}/events/{event}") for event in events)


class Loaded:
    """The maps and programs by name, {name: fd}, out of the cache or the compiler."""

    def __init__(self, config: dict[str, Any], parts: list[str]) -> None:
        flags = compiling.flags(config)
        ours = [image_cache.text(str(module.__file__)) for module in (bytecode, compiling)]
        self._key = image_cache.key(image_cache.texts_below(config["bpf"]), ours, flags, parts, *os.uname()[2:])
        self._directory = config["cache"]
        self._settings = {compiling.OWN_NETNS_MARK: os.stat("/proc/thread-self/ns/net").st_ino}
        self.maps: dict[str, int] = {}
        self.programs: dict[str, int] = {}
        self._compiler: list[Any] = []
        self._rest: Callable[[], bytecode.Image] | None = None
        if not self._from_cache():
            self._image, self._rest, self._compiler = compiling.compiled(config["bpf"], parts, flags)
            self._load(self._image)

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
        maps = {**bytecode.create_maps([m for m in image.maps if m.name not in self.maps]), **self.maps}
        programs = bytecode.load(image, maps, self._settings)
        self.maps, self.programs = maps, {**self.programs, **programs}
        for number, name in enumerate(TAIL_CALLED):
            if name in programs:
                bytecode.update(maps["programs"], number, programs[name])

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
                image = rest()
                self._image = self._image.joined(image)
                self._load(image)
        except (OSError, RuntimeError, ValueError):
            self._compiler = []
            self.maps = {name: fd for name, fd in self.maps.items() if name not in TAUGHT}
            return list(compiling.FAST_PATH)
        return []

    def keep(self) -> None:
        """Store what was compiled for the next time."""
        if self._compiler:
            image_cache.write(self._directory, self._key, {"compiler": self._compiler, "image": self._image.as_json()})


def load(config: dict[str, Any]) -> tuple[Loaded, list[str]]:
    """What can be loaded, and the parts that are missing in it: without the fast path's maps where there is no room."""
    parts, missing = compiling.parts(present, fast_path=config["fast_path"])
    try:
        return Loaded(config, parts), missing
    except (OSError, RuntimeError):
        fewer = [name for name in parts if name not in compiling.FAST_PATH]
        if fewer == parts:
            raise
    return Loaded(config, fewer), [*missing, *compiling.FAST_PATH]


def perf_rings(accepted_fd: int) -> list[int]:
    """One for each CPU. The fd of the map must live on too: its entries vanish with the file that set them."""
    rings = []
    for cpu in online_cpus():
        rings.append(bytecode.perf_ring(cpu))
        bytecode.update(accepted_fd, cpu, rings[-1])
    return rings


def online_cpus() -> Iterator[int]:
    """As "0-3,6" in sysfs tells them."""
    with open("/sys/devices/system/cpu/online", encoding="ascii") as file:
        for part in file.read().strip().split(","):
            first, _, last = part.partition("-")
            yield from range(int(first), int(last or first) + 1)


def tracepoints(programs: dict[str, int]) -> list[int]:
    """Attach each program that is called tracepoint__CATEGORY__EVENT.

    That of accept4() also to accept(), whose tracepoint has the same fields at the same places.
    """
    fds = []
    for name, program_fd in programs.items():
        if name.startswith(compiling.TRACEPOINT_PREFIX):
            event = name[len(compiling.TRACEPOINT_PREFIX) :].replace("__", "/")
            for one in dict.fromkeys((event, event.replace("_accept4", "_accept"))):
                with open(f"{TRACEFS}/events/{one}/id", encoding="ascii") as file:
                    fds.append(bytecode.tracepoint(int(file.read()), program_fd))
    return fds


def raw_tracepoints(programs: dict[str, int]) -> list[int]:
    """Attach each program that is called raw_tracepoint__EVENT."""
    prefix = compiling.RAW_TRACEPOINT_PREFIX
    return [bytecode.raw_tracepoint(name[len(prefix) :], program_fd) for name, program_fd in programs.items()
            if name.startswith(prefix)]


def held(events: list[int]) -> list[int]:
    """Fewer fds that keep them, so that the program that has them ends at once; see bytecode.holder()."""
    try:
        kept = bytecode.holder(events)
    except OSError:
        return events
    for fd in events:
        os.close(fd)
    return [kept]


def attach(config: dict[str, Any], loaded: Loaded) -> list[tuple[str, int]]:
    """[(name, fd), ...] of all that must stay open."""
    maps, programs = loaded.maps, loaded.programs
    filter_fd = programs["http_filter"]
    fds = [(name, maps[name]) for name in MAPS if name in maps]
    if "accepted" in maps:
        fds += [("accepted", fd) for fd in perf_rings(maps["accepted"])] + [("accepted_map", maps["accepted"])]
    fds += [("tracepoints", fd) for fd in held(tracepoints(programs)) + raw_tracepoints(programs)]
    for name, loop in config["interfaces"]:
        fds.append(("packets", af_packet.packet_socket(name, filter_fd, is_loopback=loop)))
    return [*fds, ("program", filter_fd)]


def send(sock: socket.socket, message: dict[str, Any], fds: Iterable[int] = ()) -> None:
    """One message with its fds."""
    sock.sendmsg([json.dumps(message).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])


def hand_over(sock: socket.socket, fds: list[tuple[str, int]], missing: list[str], *, later: bool) -> None:
    """All fds, in as many messages as they need. `later`: one more message tells what is missing in the end."""
    for at in range(0, len(fds), FDS_PER_MESSAGE):
        part = fds[at : at + FDS_PER_MESSAGE]
        more = at + FDS_PER_MESSAGE < len(fds)
        message = {"names": [n for n, _ in part], "missing": missing, "more": more, "later": later}
        send(sock, message, [fd for _, fd in part])


def packets(names: Iterable[str]) -> int:
    """How many went over these interfaces ("any": all), both ways, since they were made; those of `lo` count twice."""
    with open("/proc/thread-self/net/dev", encoding="ascii", errors="replace") as file:
        rows = [line.rpartition(":") for line in file]
    return sum(int(row.split()[1]) + int(row.split()[9]) for name, colon, row in rows
               if colon and (name.strip() in names or "any" in names))


def start(sock: socket.socket, config: dict[str, Any]) -> None:
    """Load, attach and hand over; at once, if that is wished, and what takes longest to compile afterwards.

    Not so where there is more than can be read one by one: it would be lost until the fast path is there.
    """
    names = [name for name, _ in config["interfaces"]]
    before, began_s = packets(names), time.monotonic()
    loaded, missing = load(config)
    if not config["eager"] or packets(names) - before > EAGER_PACKETS_PER_S * (time.monotonic() - began_s):
        missing += loaded.finish()
    fds = attach(config, loaded)
    later = loaded.unfinished
    hand_over(sock, fds, missing, later=later)
    if later:
        for name, fd in fds:
            if name in ATTACHED:  # so that all ends with whoever has them now
                os.close(fd)
        os.nice(compiling.NICE)  # nobody waits
        missing += loaded.finish()
    loaded.keep()
    if later:
        with contextlib.suppress(OSError):  # nobody is there any more
            send(sock, {"missing": missing})


def main() -> None:
    """Do it all, and answer whatever happens."""
    sock = socket.socket(fileno=int(sys.argv[1]))
    try:
        with contextlib.suppress(OSError, ValueError):  # maps count as locked memory before Linux 5.11
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        mount_tracefs()
        start(sock, json.loads(sys.argv[2]))
    except LoadError as error:
        sock.send(json.dumps({"error": error.args}).encode())
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent says it in one line
        sock.send(json.dumps({"error": [f"{type(error).__name__}: {error}", ""]}).encode())
    os._exit(0)  # no clean-up: BCC's is of no use here


if __name__ == "__main__":
    main()
