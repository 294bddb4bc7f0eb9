"""The compiler: BCC, asked for bytecode alone. It is imported nowhere else, but for httptop/counters/loader.py.

Imported by the loader child, so the standard library of Python 3.8 and bcc must do.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from httptop.capture import bytecode
else:
    import bytecode  # see loader.py

ALWAYS = ("http_filter.c", "process.c", "http_deliver.c")
FAST_PATH = ("parts.c", "templates.c", "tracks.c", "answers.c", "cells.c", "http_fast.c")
HIDDEN = ("-Dhttp_filter=static http_filter", "-Dhttp_deliver=static http_deliver")  # so BCC makes no programs of them
OWNER_EVENTS = ("tcp/tcp_rcv_space_adjust", "sock/inet_sock_set_state")
ACCEPT_EVENTS = ("syscalls/sys_exit_accept", "syscalls/sys_exit_accept4")
REGISTERS_ADDRESS = {"x86_64": 104, "aarch64": 8}  # of a system call's second argument in struct pt_regs (asm/ptrace.h)
TRACEPOINT_PREFIX = "tracepoint__"  # and CATEGORY__EVENT, as BCC's TRACEPOINT_PROBE names them
RAW_TRACEPOINT_PREFIX = "raw_tracepoint__"  # and EVENT
OWN_NETNS_MARK = 0x485454501D0E7151  # in process.c: the inode of our network namespace, known when it is loaded
PLACE_MARK = 0x485454502D1C9A37  # in access.h: where it is loaded for
CALLEES = "programs"  # the map of those that are tail-called

# No debug information, and LLVM's passes once: clang would run them, and then BCC does so again. A third of the work.
LESS_WORK = ("-g0", "-Xclang", "-disable-llvm-passes")

PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP = 28, 4
NOBODY = 65534
NICE = 10

_kept: list[Any] = []  # what BCC has made closes its maps when it goes


def parts(present: Callable[[Iterable[str]], bool], *, fast_path: bool) -> tuple[list[str], list[str]]:
    """Names of the programs' files, and of those that this kernel lacks the events for."""
    optional = {"flow_owner.c": OWNER_EVENTS, "accept.c": ACCEPT_EVENTS}
    missing = [name for name, events in optional.items() if not present(events)]
    return [*ALWAYS, *(FAST_PATH if fast_path else ()), *(name for name in optional if name not in missing)], missing


def source(directory: str, parts: Iterable[str]) -> str:
    """The programs as one text, so that they share their maps."""
    texts = []
    for name in parts:
        with open(os.path.join(directory, name), encoding="utf-8") as file:
            texts.append(f'#line 1 "{name}"\n{file.read()}')
    return "".join(texts)


def flags(config: dict[str, Any]) -> list[str]:
    """Settings are constants of the programs."""
    page = os.sysconf("SC_PAGE_SIZE")
    constants = {
        "CPUS": os.sysconf("SC_NPROCESSORS_CONF"),
        "PAGE_SIZE": page,
        "RING_PAGES": config["ring_bytes"] // page,
        "FLOWS_MAX": config["flows"],
        "OWNERS_MAX": config["owners"],
        "OWN_NETNS_MARK": OWN_NETNS_MARK,
        "PLACE_MARK": PLACE_MARK,
        **accept_registers(),
        **config["constants"],
        "PORT_WANTED(p)": "||".join(f"(p)=={port}" for port in config["ports"]) or "1",
    }
    defined = [f"-D{name}=({value})" for name, value in constants.items()]
    return ["-I" + config["bpf"], "-Werror=implicit-function-declaration", *LESS_WORK, *defined]


def accept_registers() -> dict[str, int]:
    """Where accept.c finds what accept() was called with; empty where it cannot, and then knows no peer."""
    release = tuple(map(int, re.findall("[0-9]+", os.uname().release)[:2]))
    known = REGISTERS_ADDRESS.get(os.uname().machine)
    return {"REGISTERS_ADDRESS": known} if known is not None and release >= (5, 15) else {}


@contextlib.contextmanager
def not_as_root() -> Iterator[None]:
    """Keep the capabilities, but look like somebody else.

    For root, BCC puts all of /proc/kallsyms into a table only to learn whether this kernel has bpf_probe_read_kernel():
    a quarter of the work. It does not ask for our programs' sake, which call that by a name of their own.
    """
    keeps_capabilities = not ctypes.CDLL(None).prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    if keeps_capabilities:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if keeps_capabilities:
            os.seteuid(0)


def compiled(directory: str, names: Sequence[str],
             options: list[str]) -> tuple[bytecode.Image, Callable[[], bytecode.Image] | None, list[Any]]:
    """What BCC makes of these parts; what gives the rest, the fast path, if it is among them; and which BCC it is.

    That takes as long as all others together, so it is compiled beside them, by a process of its own.
    """
    os.environ["BCC_KERNEL_SOURCE"] = directory  # headers of our own: none need be installed
    import site  # noqa: PLC0415 - the loader does without (-S) when all is compiled already

    site.main()
    import bcc  # noqa: PLC0415 - slow

    others, rest = [name for name in names if name not in FAST_PATH], None
    if len(others) < len(names):
        options = [*options, "-DFAST_PATH"]
        rest = beside(lambda: _image(source(directory, [*ALWAYS, *FAST_PATH]), [*options, *HIDDEN]))
    return _image(source(directory, others), options), rest, identity(str(bcc.__file__))


def beside(make: Callable[[], bytecode.Image]) -> Callable[[], bytecode.Image]:
    """Another process makes an image meanwhile. What is returned waits for it; RuntimeError says what went wrong."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _answer(writing, make)
    os.close(writing)

    def made() -> bytecode.Image:
        with contextlib.suppress(OSError):  # for root alone, and as long as it lives
            os.setpriority(os.PRIO_PROCESS, child, os.getpriority(os.PRIO_PROCESS, 0))
        with open(reading, encoding="utf-8") as answer:
            told = json.loads(answer.read() or '{"error": "the compiler died"}')
        os.waitpid(child, 0)
        if "error" in told:
            raise RuntimeError(told["error"])
        return bytecode.Image.from_json(told)

    return made


def _answer(writing: int, make: Callable[[], bytecode.Image]) -> NoReturn:
    try:
        os.closerange(3, writing)  # else who waits for the end of this process's parent would wait for this one too
        os.nice(NICE)  # the screen comes first, as long as nobody waits
        with open(writing, "w", encoding="utf-8") as file:
            try:
                told = make().as_json()
            except Exception as error:  # noqa: BLE001 - it is raised by who waits
                told = {"error": str(error)}
            json.dump(told, file)
    finally:
        os._exit(0)


def _image(text: str, options: list[str]) -> bytecode.Image:
    from bcc import BPF  # noqa: PLC0415

    class Module(BPF):  # type: ignore[misc] # bcc has no types
        def _trace_autoload(self) -> None:
            """BCC would load and attach the tracepoints."""

    with not_as_root():
        made = Module(text=text, cflags=options)
    _kept.append(made)
    return image_of(made)


def image_of(made: Any) -> bytecode.Image:  # noqa: ANN401 - bcc has no types
    """All that a BCC module holds."""
    from bcc import lib  # noqa: PLC0415

    module = ctypes.c_void_p(made.module)
    lib.bpf_table_name.restype = ctypes.c_char_p
    maps, fds = [], {}
    for number in range(lib.bpf_num_tables(module)):
        at = ctypes.c_size_t(number)
        name = lib.bpf_table_name(module, at).decode()
        sizes = (lib.bpf_table_key_size_id(module, at), lib.bpf_table_leaf_size_id(module, at))
        maps.append(bytecode.Map(name, lib.bpf_table_type_id(module, number), *sizes,
                                 lib.bpf_table_max_entries_id(module, number),
                                 lib.bpf_table_flags_id(module, number)))
        fds[name] = lib.bpf_table_fd_id(module, at)
    names = {fd: name for name, fd in fds.items()}
    functions = [lib.bpf_function_name(module, number).decode() for number in range(lib.bpf_num_functions(module))]
    programs = [bytecode.program(name, kind(name), made.dump_func(name.encode()), names) for name in functions]
    return bytecode.Image(maps, programs)


def kind(function: str) -> int:
    """Its type as a program, by its name."""
    prefixes = {TRACEPOINT_PREFIX: bytecode.TRACEPOINT, RAW_TRACEPOINT_PREFIX: bytecode.RAW_TRACEPOINT}
    return next((found for prefix, found in prefixes.items() if function.startswith(prefix)), bytecode.SOCKET_FILTER)


def identity(path: str) -> list[Any]:
    """Tells one BCC from another, at little cost; empty when there is none any more."""
    with contextlib.suppress(OSError):
        status = os.stat(path)
        return [path, status.st_mtime_ns, status.st_size]
    return []
