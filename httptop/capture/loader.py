"""The privileged child: it has the programs compiled, loads and attaches them, hands over fds and exits.

It is run as a script by whichever interpreter can import bcc (the distribution's, usually), so it needs nothing but
the standard library of Python 3.8 and bcc. Arguments: the number of a SOCK_SEQPACKET fd, and a JSON object:
{"bpf": directory, "cache": directory, "interfaces": [[name, is_loopback], ...], "ports": [n], "ring_bytes": n,
"flows": n, "owners": n, "accept_pages": n, "fast_path": bool, "eager": bool, "tcx": bool, "constants": {name: n}}.
Answers: {"names": [...], "missing": [...], "more": bool, "later": [...]} with as many fds, or {"error": [what, do]}.
Of "later" each part follows: FAST_PATH with {"missing": [...]}, STANDBY with {"names": [...]} and as many fds.

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
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from httptop.capture import af_packet, bytecode, compiling, place
    from httptop.capture.loaded import SEE_PACKETS, TAUGHT, Loaded, load
else:  # not by the package, which newer Pythons alone can import
    sys.path.append(os.path.dirname(os.path.abspath(__file__)))
    import af_packet
    import bytecode
    import compiling
    import place
    from loaded import SEE_PACKETS, TAUGHT, Loaded, load

CLONE_NEWNS = 0x20000
MS_REC, MS_PRIVATE = 0x4000, 1 << 18
PACKETS, TCX = "packets ", "tcx "  # how fds are called that show packets, and the interface: sockets, and links
ATTACHED = ("accepted", "tracepoints", PACKETS, TCX)
FAST_PATH, STANDBY = "fast path", "standby"  # what may come later: the latter for interfaces that will have come back
EAGER_PACKETS_PER_S = 60_000  # 15,000 exchanges of a packet each way on lo
FDS_PER_MESSAGE = 200  # the kernel takes 253 (SCM_MAX_FD)
# Those that user space reads, or that must stay open
MAPS = ("heads", "counters", "owners", "settings", *TAUGHT)
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


def tracepoints(programs: Mapping[str, int]) -> list[int]:
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


def raw_tracepoints(programs: Mapping[str, int]) -> list[int]:
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


def attach(config: dict[str, Any], loaded: Loaded, places: Mapping[str, int]) -> list[tuple[str, int]]:
    """[(name, fd), ...] of all that must stay open."""
    maps = {name: fd for name, fd in loaded.maps.items() if name not in loaded.withheld}
    programs = {name: fd for (name, at), fd in loaded.programs.items() if name not in SEE_PACKETS}
    fds = [(name, maps[name]) for name in MAPS if name in maps]
    if "accepted" in maps:
        fds += [("accepted", fd) for fd in perf_rings(maps["accepted"])] + [("accepted_map", maps["accepted"])]
    fds += [("tracepoints", fd) for fd in held(tracepoints(programs)) + raw_tracepoints(programs)]
    for name, loop in config["interfaces"]:
        fds += tap(name, loaded, places[name], is_loopback=loop)
    filters = [("program", fd) for (name, _), fd in loaded.programs.items() if name == "http_filter"]
    return [*fds, *callees(loaded), *filters]


def callees(loaded: Loaded) -> list[tuple[str, int]]:
    """What programs tail-call is forgotten with the last fd of the map."""
    return [(compiling.CALLEES, fd) for fd in loaded.callees.values()]


def tap(name: str, loaded: Loaded, at: int, *, is_loopback: bool) -> list[tuple[str, int]]:
    """Have the filter see an interface's packets."""
    if at != place.SOCKET:
        with contextlib.suppress(OSError):  # a kernel without CONFIG_NET_XGRESS
            fds = place.links(name, loaded.filter(at), is_loopback=is_loopback)
            return [(TCX + name, fd) for fd in fds]
    fd = af_packet.packet_socket(name, loaded.filter(place.SOCKET), is_loopback=is_loopback)
    return [(PACKETS + name, fd)]


def send(sock: socket.socket, message: dict[str, Any], fds: Iterable[int] = ()) -> None:
    """One message with its fds."""
    sock.sendmsg([json.dumps(message).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])


def hand_over(sock: socket.socket, fds: list[tuple[str, int]], missing: list[str], later: list[str]) -> None:
    """All fds, in as many messages as they need. `later`: for each of these one more message will come."""
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
    places = {name: place.best(name, os.uname().release) if config["tcx"] else place.SOCKET for name in names}
    before, began_s = packets(names), time.monotonic()
    parts, missing = compiling.parts(present, fast_path=config["fast_path"])
    loaded, absent = load(config, parts, sorted(set(places.values())))
    missing += absent
    if not config["eager"] or packets(names) - before > EAGER_PACKETS_PER_S * (time.monotonic() - began_s):
        missing += loaded.finish()
    fds = attach(config, loaded, places)
    vanishing = [name[len(TCX) :] for name in dict(fds) if name.startswith(TCX) and name != TCX + "lo"]
    later = [FAST_PATH] * loaded.unfinished + [STANDBY] * bool(vanishing)
    hand_over(sock, fds, missing, later)
    if later:
        for name, fd in fds:
            if name.startswith(ATTACHED):  # so that all ends with whoever has them now
                os.close(fd)
        os.nice(compiling.NICE)  # nobody waits
    with contextlib.suppress(OSError):  # of send(): nobody is there any more
        come_later(sock, loaded, missing, later, vanishing)


def come_later(sock: socket.socket, loaded: Loaded, missing: list[str], later: list[str], vanishing: list[str]) -> None:
    """What was announced. `vanishing`: the interfaces that may go and come back."""
    if FAST_PATH in later:
        missing += loaded.finish()
    loaded.keep()
    if FAST_PATH in later:
        send(sock, {"missing": missing})
    if STANDBY in later:
        program = loaded.filter(place.SOCKET)
        fds = [(PACKETS + name, af_packet.unbound(program).detach()) for name in vanishing] + callees(loaded)
        send(sock, {"names": [name for name, _ in fds]}, [fd for _, fd in fds])


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
