"""What httptop needs from the host, what is there, and how to get what is missing."""

from __future__ import annotations

import gzip
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from httptop.errors import MissingFeatureError

KERNEL_MIN = (5, 8)  # the BPF ring buffer, and CAP_BPF
FAST_PATH_MIN = (5, 12)  # BPF_XCHG, by which bpf/tracks.c locks
BCC_MIN = (0, 16)  # it has ring buffers since then
PROBE_TIMEOUT_S = 10.0
SYSTEM_PYTHON = "/usr/bin/python3"

_CAPABILITIES = {"CAP_NET_RAW": 13, "CAP_SYS_ADMIN": 21, "CAP_PERFMON": 38, "CAP_BPF": 39}  # linux/capability.h
_CONFIG = ("CONFIG_BPF_SYSCALL", "CONFIG_BPF_EVENTS", "CONFIG_FTRACE_SYSCALLS", "CONFIG_PACKET")
_TRACEFS = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")

# The PyPI project named bcc is something else: only BCC proper has a BPF class, and importing it loads libbcc.
_PROBE = "import bcc; bcc.BPF; print(getattr(bcc, '__version__', 'unknown'))"

_INSTALL = {  # os-release ID -> how BCC's Python binding is installed
    "debian": "apt-get install python3-bpfcc",
    "fedora": "dnf install python3-bcc",
    "arch": "pacman -S python-bcc",
    "opensuse": "zypper install python3-bcc",
}
_FAMILIES = {"ubuntu": "debian", "rhel": "fedora", "centos": "fedora", "suse": "opensuse"}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is needed: `what` was found, and how to `fix` it when not `ok`."""

    name: str
    ok: bool
    what: str
    fix: str = ""


def preflight() -> tuple[Check, ...]:
    """Every check, in the order in which a missing one would stop httptop."""
    return (
        privileges(os.geteuid(), _effective()),
        kernel(platform.release()),
        kernel_config(_config_text()),
        lockdown(_read("/sys/kernel/security/lockdown")),
        bcc(bcc_python(), install_hint(_read("/etc/os-release"))),
        tracefs([path for path in _TRACEFS if os.path.isdir(f"{path}/events")], _read("/proc/filesystems")),
    )


def require_privileges() -> None:
    """MissingFeatureError unless this process may capture; cheap enough for every start."""
    check = privileges(os.geteuid(), _effective())
    if not check.ok:
        raise MissingFeatureError(check.what, check.fix)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _effective() -> int:
    match = re.search(r"^CapEff:\s*([0-9a-f]+)", _read("/proc/self/status"), re.MULTILINE)
    return int(match[1], 16) if match else 0


def privileges(euid: int, held: int) -> Check:
    """`held`: the effective capabilities, as the bits of CapEff."""
    missing = [name for name, bit in _CAPABILITIES.items() if not held >> bit & 1]
    if held >> _CAPABILITIES["CAP_SYS_ADMIN"] & 1:  # stands for BPF and PERFMON, as before 5.8
        missing = [name for name in missing if name == "CAP_NET_RAW"]
    if not missing and euid == 0:
        return Check("privileges", ok=True, what="root with " + ", ".join(_CAPABILITIES))
    if euid != 0:
        return Check("privileges", ok=False, what="live capture needs root",
                     fix=f"run: sudo {_command()}   (a capture file needs none: httptop -r FILE)")
    return Check("privileges", ok=False, what=f"root without {', '.join(missing)}: probably a container",
                 fix="start the container with --privileged, or run httptop on the host")


def _command() -> str:
    """How this program was started, so that sudo finds it: its PATH lacks the places of user installs."""
    program = os.path.abspath(sys.argv[0])
    return f"{sys.executable} -m httptop" if program.endswith(".py") else program


def version_of(release: str) -> tuple[int, ...]:
    """(major, minor) of what uname -r prints, or BCC's __version__."""
    return tuple(int(part) for part in re.findall(r"\d+", release)[:2])


def has_fast_path(release: str) -> bool:
    """Whether this kernel has what that needs."""
    return version_of(release) >= FAST_PATH_MIN


def kernel(release: str) -> Check:
    """`release` as uname -r prints it."""
    version = version_of(release)
    slow = "" if has_fast_path(release) else "; to watch costs more before 5.12, which the fast path needs"
    return Check("kernel", version >= KERNEL_MIN, f"Linux {release}{slow}",
                 "" if version >= KERNEL_MIN else "Linux 5.8 or later is needed: the BPF ring buffer came with it")


def _config_text() -> str:
    try:
        with gzip.open("/proc/config.gz", "rt", encoding="utf-8") as file:
            return file.read()
    except OSError:
        return _read(f"/boot/config-{platform.release()}")


def kernel_config(text: str) -> Check:
    """`text`: the kernel's .config, empty when it is not readable."""
    if not text:
        return Check("kernel config", ok=True, what="not readable here; the attach will tell")
    missing = [option for option in _CONFIG if not re.search(rf"^{option}=[ym]$", text, re.MULTILINE)]
    if missing:
        return Check("kernel config", ok=False, what=f"without {', '.join(missing)}",
                     fix="use a kernel with these options; those of the distributions have them")
    return Check("kernel config", ok=True, what=", ".join(_CONFIG))


def lockdown(text: str) -> Check:
    """`text`: "none [integrity] confidentiality", empty where the kernel has no lockdown."""
    match = re.search(r"\[(\w+)\]", text)
    mode = match[1] if match else "none"
    if mode == "confidentiality":
        return Check("lockdown", ok=False, what="kernel lockdown is in confidentiality mode, which forbids tracing",
                     fix="boot with lockdown=integrity, or with Secure Boot off")
    return Check("lockdown", ok=True, what=mode)


@lru_cache(maxsize=1)
def bcc_python() -> tuple[str, str] | None:
    """(interpreter, BCC version) of the first Python here that can import BCC: our own, else the distribution's."""
    for python in dict.fromkeys((sys.executable, SYSTEM_PYTHON)):
        try:
            probe = subprocess.run([python, "-I", "-c", _PROBE], capture_output=True, text=True, check=False,
                                   timeout=PROBE_TIMEOUT_S)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if probe.returncode == 0:
            return python, probe.stdout.strip()
    return None


def bcc(found: tuple[str, str] | None, hint: str) -> Check:
    """`found` as from `bcc_python`, `hint` for when it is None."""
    if found is None:
        return Check("bcc", ok=False, what="no Python here can import BCC", fix=hint)
    version = version_of(found[1])
    old = bool(version) and version < BCC_MIN
    fix = f"BCC {BCC_MIN[0]}.{BCC_MIN[1]} or later is needed: ring buffers came with it" if old else ""
    return Check("bcc", not old, f"BCC {found[1]} of {found[0]}", fix)


def _os_ids(text: str) -> Iterator[str]:
    for key in ("ID", "ID_LIKE"):
        match = re.search(rf"^{key}=\"?([^\"\n]*)", text, re.MULTILINE)
        yield from match[1].split() if match else ()


def install_hint(os_release: str) -> str:
    """How the distribution of this os-release(5) installs BCC; all that we know when it is none of ours."""
    for identifier in _os_ids(os_release):
        name = identifier.split("-")[0]  # opensuse-leap, opensuse-tumbleweed
        command = _INSTALL.get(_FAMILIES.get(name, name))
        if command:
            return f"run: sudo {command}"
    return "install BCC's Python binding: " + "; ".join(f"{name}: {how}" for name, how in _INSTALL.items())


def tracefs(mounted: Sequence[str], filesystems: str) -> Check:
    """`mounted`: where it is; `filesystems`: what the kernel knows, as /proc/filesystems."""
    if mounted:
        return Check("tracefs", ok=True, what=f"mounted at {mounted[0]}")
    if re.search(r"\btracefs$", filesystems, re.MULTILINE):
        return Check("tracefs", ok=True, what="not mounted; httptop mounts it for itself")
    return Check("tracefs", ok=False, what="the kernel has no tracefs (CONFIG_TRACING)",
                 fix="use a kernel with tracing; those of the distributions have it")
