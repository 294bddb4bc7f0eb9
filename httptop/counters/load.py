"""Starts loader.py in a child and takes over what it has loaded, by id."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from httptop.capture.child import ABSENT, pythons, without_bcc
from httptop.capture.live import bpf_directory
from httptop.counters import bpf
from httptop.errors import MissingFeatureError

TIMEOUT_S = 60.0  # on a busy machine the compiler waits for its turn


class Loaded(NamedTuple):
    """Ids and fds of programs by direction (ingress first), fds of maps by name."""

    ids: tuple[int, ...]
    programs: tuple[int, ...]
    maps: dict[str, int]


@contextlib.contextmanager
def loaded(*, xdp: bool, link_header: bool) -> Iterator[Loaded]:
    """Compile and load the counter; what is not attached or pinned by the end of the context is gone then."""
    config = {"bpf": str(bpf_directory()), "xdp": xdp, "link_header": link_header,
              "functions": ["httptop_in"] if xdp else ["httptop_in", "httptop_out"]}
    for python in pythons():
        with _child(python, config) as answer:
            if "error" not in answer:
                with contextlib.ExitStack() as fds:
                    yield _take_over(answer, fds)
                return
            if not answer["error"].startswith(ABSENT):
                raise MissingFeatureError(f"cannot load the counter: {answer['error']}", _hint(xdp=xdp))
    raise without_bcc()


def _hint(*, xdp: bool) -> str:
    return "XDP counters need Linux 5.18; try: --hook tc" if xdp else "run: httptop --check"


def _take_over(answer: dict[str, dict[str, int]], fds: contextlib.ExitStack) -> Loaded:
    def keep(fd: int) -> int:
        fds.callback(os.close, fd)
        return fd

    ids = tuple(answer["programs"].values())
    return Loaded(ids, tuple(keep(bpf.program_fd(number)) for number in ids),
                  {name: keep(bpf.map_fd(number)) for name, number in answer["maps"].items()})


@contextlib.contextmanager
def _child(python: str, config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What the loader answers; it lives as long as the context, or until this process dies."""
    words = [python, "-I", str(Path(__file__).with_name("loader.py")), json.dumps(config)]
    ours, theirs = socket.socketpair()
    with ours, theirs, tempfile.TemporaryFile() as errors:
        try:
            child = subprocess.Popen(words, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=errors)
        except OSError as error:
            yield {"error": f"ImportError: {error}"}
            return
        theirs.close()
        try:
            line = _line(ours)
            yield json.loads(line) if line else {"error": _last_line(errors)}
        finally:
            child.kill()
            child.wait()


def _line(sock: socket.socket) -> str:
    """One line, empty when none comes."""
    sock.settimeout(TIMEOUT_S)
    with contextlib.suppress(TimeoutError), sock.makefile() as file:
        return file.readline()
    return ""


def _last_line(errors: IO[bytes]) -> str:
    errors.seek(0)
    lines = [line.strip() for line in errors.read().decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1] if lines else "the loader gave no answer"
