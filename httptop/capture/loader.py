"""The privileged child, the only module that imports bcc: it loads, attaches, hands over fds and exits.

It is run as a script by whichever interpreter can import bcc (the distribution's, usually), so it needs nothing but
the standard library of Python 3.8 and bcc. Arguments: the number of a SOCK_SEQPACKET fd, and a JSON object:
{"bpf": directory, "interfaces": [[name, is_loopback], ...], "ports": [n], "ring_bytes": n, "flows": n, "owners": n,
"accept_pages": n, "fast_path": bool, "constants": {name: n}}.
Answers: {"names": [...], "missing": [...], "more": bool} with as many fds, or {"error": [what, do]}.

What it leaves behind is held by those fds alone: when their last holder dies, so does all of it.
"""

from __future__ import annotations

import array
import ctypes
import fcntl
import json
import os
import socket
import struct
import sys
from collections.abc import Iterable
from typing import Any

CLONE_NEWNS = 0x20000
MS_REC, MS_PRIVATE = 0x4000, 1 << 18
SO_ATTACH_BPF = 50
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC = 1, 1
SIOCETHTOOL, ETHTOOL_GDRVINFO = 0x8946, 3
ETH_P_ALL = 3
FDS_PER_MESSAGE = 200  # the kernel takes 253 (SCM_MAX_FD)
ALWAYS = ("http_filter.c", "http_deliver.c", "taught.c", "http_fast.c", "process.c")
MAPS = ("heads", "counters", "programs", "owners")
FAST_MAPS = ("templates", "cells", "strangers", "tracks", "settings")
OWNER_EVENTS = ("tcp/tcp_rcv_space_adjust", "sock/inet_sock_set_state")
ACCEPT_EVENTS = tuple(f"syscalls/sys_{when}_{call}" for when in ("enter", "exit") for call in ("accept", "accept4"))
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


def source(directory: str) -> tuple[str, list[str]]:
    """The programs as one text, so that they share their maps; and the names of the parts that this kernel lacks."""
    parts = [*ALWAYS]
    missing = []
    for name, events in (("flow_owner.c", OWNER_EVENTS), ("accept.c", ACCEPT_EVENTS)):
        if present(events):
            parts.append(name)
        else:
            missing.append(name)
    texts = []
    for name in parts:
        with open(os.path.join(directory, name), encoding="utf-8") as file:
            texts.append(f'#line 1 "{name}"\n{file.read()}')
    return "".join(texts), missing


def compile_flags(config: dict[str, Any]) -> list[str]:
    """Settings are constants of the programs."""
    page = os.sysconf("SC_PAGE_SIZE")
    constants = {
        "CPUS": os.sysconf("SC_NPROCESSORS_CONF"),
        "PAGE_SIZE": page,
        "RING_PAGES": config["ring_bytes"] // page,
        "FLOWS_MAX": config["flows"],
        "OWNERS_MAX": config["owners"],
        "OWN_NETNS": os.stat("/proc/thread-self/ns/net").st_ino,
        **config["constants"],
        "PORT_WANTED(p)": "||".join(f"(p)=={port}" for port in config["ports"]) or "1",
    }
    defined = [f"-D{name}=({value})" for name, value in constants.items()]
    return ["-I" + config["bpf"], "-Werror=implicit-function-declaration", *defined]


def load(config: dict[str, Any]) -> tuple[Any, list[str]]:
    """Compile, load, attach the tracepoints. Returns (BPF object, missing parts)."""
    os.environ["BCC_KERNEL_SOURCE"] = config["bpf"]  # headers of our own: none need be installed
    from bcc import BPF  # noqa: PLC0415 - slow, and only the child may

    text, missing = source(config["bpf"])
    bpf = BPF(text=text, cflags=compile_flags(config))
    if "accept.c" not in missing:
        for when in ("enter", "exit"):  # accept() has its fields where accept4() has them
            bpf.attach_tracepoint(tp=f"syscalls:sys_{when}_accept", fn_name=f"tracepoint__syscalls__sys_{when}_accept4")
    for number, name in enumerate(("http_deliver", "http_fast") if config["fast_path"] else ("http_deliver",)):
        bpf["programs"][ctypes.c_int(number)] = ctypes.c_int(bpf.load_func(name, BPF.SOCKET_FILTER).fd)
    return bpf, missing


def is_bridge(sock: socket.socket, name: str) -> bool:
    """By the name of the driver (ethtool(8) -i): sysfs shows the namespace of whoever has mounted it."""
    answer = ctypes.create_string_buffer(struct.pack("=I", ETHTOOL_GDRVINFO), 256)
    try:
        fcntl.ioctl(sock, SIOCETHTOOL, struct.pack("16sP16x", name.encode(), ctypes.addressof(answer)))
    except OSError:  # no such interface ("any"), or no driver that has a name
        return False
    return answer.raw[4:36].split(b"\0")[0] == b"bridge"


def packet_socket(name: str, program_fd: int, *, is_loopback: bool) -> int:
    """A packet socket that shows `program_fd` every packet of the interface ("any": of all) and queues none.

    SOCK_DGRAM: the program sees each packet from its network header on, whatever the link type. Protocol 0 until the
    filter is on: nothing is queued before.
    """
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_BPF, program_fd)
    if is_bridge(sock, name):  # it shows what it forwards only so
        sock.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP,
                        struct.pack("=iHH8x", socket.if_nametoindex(name), PACKET_MR_PROMISC, 0))
    if is_loopback:  # each packet is seen going out and coming in
        sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    if name == "any":  # socket.bind() takes no packet address without an interface
        every = struct.pack("=HHi12x", socket.AF_PACKET, socket.htons(ETH_P_ALL), 0)
        if ctypes.CDLL(None, use_errno=True).bind(sock.fileno(), every, len(every)):
            raise OSError(ctypes.get_errno(), "cannot listen on all interfaces")
    else:
        sock.bind((name, ETH_P_ALL))
    return sock.detach()


def perf_fds(bpf: Any, pages: int) -> list[int]:  # noqa: ANN401 - bcc has no types
    """One perf ring per CPU. The fd of the map must live on too: its entries vanish with the file that set them."""
    from bcc import lib  # noqa: PLC0415

    bpf["accepted"].open_perf_buffer(lambda *_: None, page_cnt=pages)
    return [lib.perf_reader_fd(reader) for reader in bpf.perf_buffers.values()] + [bpf["accepted"].map_fd]


def attach(config: dict[str, Any]) -> tuple[list[tuple[str, int]], list[str]]:
    """[(name, fd), ...] of all that must stay open, and what is missing."""
    from bcc import BPF  # noqa: PLC0415

    bpf, missing = load(config)
    program = bpf.load_func("http_filter", BPF.SOCKET_FILTER)
    fds = [("packets", packet_socket(name, program.fd, is_loopback=loop)) for name, loop in config["interfaces"]]
    fds += [(name, bpf[name].map_fd) for name in (*MAPS, *(FAST_MAPS if config["fast_path"] else ()))]
    fds += [("program", program.fd)]
    if "accept.c" not in missing:
        rings = perf_fds(bpf, config["accept_pages"])
        fds += [("accepted", fd) for fd in rings[:-1]] + [("accepted_map", rings[-1])]
    fds += [("tracepoint", fd) for fd in bpf.tracepoint_fds.values()]
    return fds, missing


def send(sock: socket.socket, message: dict[str, Any], fds: Iterable[int] = ()) -> None:
    """One message with its fds."""
    sock.sendmsg([json.dumps(message).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])


def hand_over(sock: socket.socket, fds: list[tuple[str, int]], missing: list[str]) -> None:
    """All fds, in as many messages as they need."""
    for at in range(0, len(fds), FDS_PER_MESSAGE):
        part = fds[at : at + FDS_PER_MESSAGE]
        more = at + FDS_PER_MESSAGE < len(fds)
        send(sock, {"names": [n for n, _ in part], "missing": missing, "more": more}, [fd for _, fd in part])


def main() -> None:
    """Do it all, and answer whatever happens."""
    sock = socket.socket(fileno=int(sys.argv[1]))
    try:
        mount_tracefs()
        fds, missing = attach(json.loads(sys.argv[2]))
        hand_over(sock, fds, missing)
    except LoadError as error:
        sock.send(json.dumps({"error": error.args}).encode())
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent says it in one line
        sock.send(json.dumps({"error": [f"{type(error).__name__}: {error}", ""]}).encode())
    os._exit(0)  # no clean-up: libbcc's would switch off the perf events that were handed over


if __name__ == "__main__":
    main()
