"""The privileged child (loader.py), as its parent sees it."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from httptop.capture import preflight
from httptop.errors import MissingFeatureError

ABSENT = ("ModuleNotFoundError: No module named 'bcc", "ImportError: ")  # what it says where there is no BCC
LOAD_TIMEOUT_S = 60.0  # on a busy machine the compiler waits for its turn
EXIT_S = 1.0  # for a child that has answered
_MESSAGE_BYTES = 1 << 16


def pythons() -> tuple[str, ...]:
    """Interpreters to run the loader with: our own if it has a bcc, then the distribution's."""
    own = (sys.executable,) if importlib.util.find_spec("bcc") else ()
    return tuple(dict.fromkeys((*own, preflight.SYSTEM_PYTHON)))


class Child:
    """It begins at once; OSError when there is no such `python`. `config`: see loader.py."""

    def __init__(self, python: str, config: Mapping[str, object]) -> None:
        loader = str(Path(__file__).with_name("loader.py"))
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `end`
        self._answers, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [python, "-I", "-S", loader, str(theirs.fileno()), json.dumps(config)], pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL, stdout=self._errors, stderr=self._errors)

    def answer(self) -> tuple[dict[str, Any], dict[str, list[int]]]:
        """What it says when all is attached, and the fds by name; {"error": [what, do]} if it failed."""
        self._answers.settimeout(LOAD_TIMEOUT_S)
        answer: dict[str, Any] = {"more": True}
        fds_of: dict[str, list[int]] = {}
        while answer.get("more"):
            try:
                data, fds, _, _ = socket.recv_fds(self._answers, _MESSAGE_BYTES, 253)
            except TimeoutError:
                return {"error": [f"the loader did not finish within {LOAD_TIMEOUT_S:g} s", ""]}, fds_of
            if not data:
                return {"error": [_last_line(self._errors), ""]}, fds_of
            answer = json.loads(data)
            for name, some in _by_name(answer, fds).items():
                fds_of.setdefault(name, []).extend(some)
        return answer, fds_of

    def later(self) -> tuple[dict[str, Any], dict[str, list[int]]] | None:
        """What it has said since, as `answer`; None: nothing yet; empty: it died."""
        self._answers.settimeout(0.0)
        try:
            data, fds, _, _ = socket.recv_fds(self._answers, _MESSAGE_BYTES, 253)
        except BlockingIOError:
            return None
        told: dict[str, Any] = json.loads(data or "{}")
        return told, _by_name(told, fds)

    def kill(self) -> bool:
        """Whether that is still allowed: else it ends when it finds that nobody listens."""
        try:
            self._process.kill()
        except PermissionError:
            return False
        return True

    def end(self, wait_s: float = EXIT_S) -> None:
        """Let it end, and after a while see to it that it does."""
        self._answers.close()
        self._errors.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(wait_s)
        if self.kill():
            self._process.wait()


def without_bcc() -> MissingFeatureError:
    """None of `pythons` can import it."""
    release = ""
    with contextlib.suppress(OSError):
        release = Path("/etc/os-release").read_text(encoding="utf-8")
    return MissingFeatureError("no Python here can import BCC", preflight.install_hint(release))


def _by_name(answer: Mapping[str, Any], fds: Sequence[int]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for name, fd in zip(answer.get("names", ()), fds, strict=True):
        found.setdefault(name, []).append(fd)
    return found


def _last_line(errors: IO[bytes]) -> str:
    errors.seek(0)
    lines = [line.strip() for line in errors.read().decode("utf-8", "replace").splitlines() if line.strip()]
    return next((line for line in lines if "error" in line), lines[-1] if lines else "the loader died silently")
