"""Kernels of the distribution, each in a machine that has nothing but it, a Python and what httptop would load."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from httptop.capture import bytecode, preflight

OLDEST = (5, 15)  # before it httptop compiles other programs (compiling.accept_registers)
SECONDS_MAX = 300  # an emulated processor takes its time
INTERPRETER = "/lib64/ld-linux-x86-64.so.2"  # of ELF files
INSIDE = Path(__file__).with_name("inside.py")
_MACHINE = ("qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", "1G", "-nographic", "-no-reboot")
_IMAGE = re.compile(r"linux-image-(\d+)\.(\d+)\.[\d.+-]*(?:deb\d+)?-(?:amd64|generic)")  # of Debian, of Ubuntu
_LIBRARY = re.compile(r"(\.so\.\d+)[.\d]+$")  # with its full version; programs ask for the first number alone


def packages() -> list[str]:
    """The newest of each version that apt can download."""
    told = subprocess.run(["apt-cache", "pkgnames", "linux-image-"], capture_output=True, text=True, check=True).stdout
    newest: dict[tuple[int, int], str] = {}
    for name in sorted(told.split(), key=lambda name: [int(part) for part in re.findall(r"\d+", name)]):
        found = _IMAGE.fullmatch(name)
        if found:
            newest[int(found[1]), int(found[2])] = name
    return [name for version, name in sorted(newest.items()) if version >= OLDEST]


def kernel(package: str, directory: Path) -> Path:
    """What is to be booted of a package."""
    subprocess.run(["apt-get", "download", "--quiet", package], cwd=directory, check=True, capture_output=True)
    for archive in directory.glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", archive, directory], check=True)
        archive.unlink()
    return next(directory.glob("boot/vmlinuz-*"))


def disk(image: dict[str, Any], directory: Path) -> Path:
    """The initial file system: inside.py, and what it needs."""
    python, modules = os.path.realpath(preflight.SYSTEM_PYTHON), Path(bytecode.__file__).parent
    told = subprocess.run([python, "-I", "-S", INSIDE, modules], capture_output=True, text=True, check=True).stdout
    root = directory / "root"
    for name in (*told.split("\n"), python, INTERPRETER):
        if name and not name.startswith((str(modules), str(INSIDE))):
            place = root / _LIBRARY.sub(r"\1", name)[1:]
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(name, place)
    shutil.copy(INSIDE, root)
    shutil.copy(modules / "bytecode.py", root)
    (root / "image.json").write_text(json.dumps(image), encoding="utf-8")
    with (directory / "initrd").open("wb") as file:
        names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
        subprocess.run(["cpio", "--create", "--format=newc", "--quiet"], input=names.encode(), stdout=file, cwd=root,
                       check=True)
    return directory / "initrd"


def said(kernel: Path, initrd: Path) -> Iterator[str]:
    """What inside.py says there."""
    python = os.path.realpath(preflight.SYSTEM_PYTHON)
    console = subprocess.run(
        [*_MACHINE, "-kernel", kernel, "-initrd", initrd, "-append",
         f"console=ttyS0 quiet panic=-1 rdinit={python} -- -I -S -B /inside.py"],
        stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=SECONDS_MAX).stdout
    for line in console.decode("utf-8", "replace").splitlines():
        _, ours, text = line.partition("httptop: ")
        if ours:
            yield text
