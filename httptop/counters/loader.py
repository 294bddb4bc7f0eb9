"""Compiles and loads bpf/counter.c, in a child process: the second module that imports bcc.

It is run as a script by whichever interpreter can import bcc (the distribution's, usually), so it needs nothing but
the standard library of Python 3.8 and bcc. Argument: a JSON object {"bpf": directory, "functions": [name, ...],
"xdp": bool, "link_header": bool}. Answers one line: {"programs": {function: id}, "maps": {name: id}}, or
{"error": what}. Then it holds what it has loaded until standard input ends: the caller takes it over by id.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

MAPS = ("counts", "about")


def object_id(fd: int) -> int:
    """The number of the program or map that `fd` is."""
    lines = Path(f"/proc/self/fdinfo/{fd}").read_text(encoding="ascii").splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return int(fields.get("prog_id") or fields["map_id"])


def load(config: dict[str, Any]) -> tuple[Any, dict[str, dict[str, int]]]:
    """What keeps it all alive, and the answer."""
    os.environ["BCC_KERNEL_SOURCE"] = config["bpf"]  # headers of our own: none need be installed
    from bcc import BPF  # noqa: PLC0415 - slow, and may fail

    flags = ["-I" + config["bpf"], "-Werror=implicit-function-declaration", f"-DLINK_HEADER={config['link_header']:d}"]
    text = Path(config["bpf"], "counter.c").read_text(encoding="utf-8")
    bpf = BPF(text=text, cflags=flags + ["-DXDP"] * config["xdp"])
    kind = BPF.XDP if config["xdp"] else BPF.SCHED_CLS
    programs = {name: object_id(bpf.load_func(name, kind).fd) for name in config["functions"]}
    return bpf, {"programs": programs, "maps": {name: object_id(bpf[name].map_fd) for name in MAPS}}


def main() -> None:
    """Load, answer whatever happens, wait."""
    held: Any = None
    answer: dict[str, Any]
    try:
        held, answer = load(json.loads(sys.argv[1]))
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent says it in one line
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)  # noqa: T201
    sys.stdin.read()
    del held


if __name__ == "__main__":
    main()
