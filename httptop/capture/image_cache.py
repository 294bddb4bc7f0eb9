"""Compiled programs on disk, so that the next start needs no compiler.

What is found is loaded into the kernel by root, so only root may have written it: a directory or a file that belongs
to somebody else, or that others may write, is left alone. And nothing that goes wrong here is an error: whoever finds
nothing compiles, and whoever cannot store does without. The verifier looks at all programs, wherever they come from.

Imported by the loader child, so the standard library of Python 3.8 must do.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from typing import Any

ENTRIES_MAX = 16  # programs with other settings, of 0.1 MB each
BYTES_MAX = 16 << 20
_DIGEST_BYTES = 32


def key(*parts: object) -> str:
    """A name for what depends on all of `parts`."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def text(path: str) -> str:
    """All of a text file."""
    with open(path, encoding="utf-8") as file:
        return file.read()


def texts_below(directory: str) -> list[tuple[str, str]]:
    """(path, text) of all files below `directory`."""
    paths = [os.path.join(base, name) for base, _, names in os.walk(directory) for name in names]
    return [(path, text(path)) for path in sorted(paths)]


def read(directory: str, name: str) -> Any | None:  # noqa: ANN401 - whatever was stored
    """What was stored under `name`, or None."""
    with contextlib.suppress(OSError, ValueError), _opened(directory) as inside:
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=inside)
        with open(fd, "rb") as file:
            status = os.fstat(fd)
            if stat.S_ISREG(status.st_mode) and _is_ours(status):
                content = file.read(BYTES_MAX)
                if content[:_DIGEST_BYTES] == _digest(content[_DIGEST_BYTES:]):
                    with contextlib.suppress(OSError):
                        os.utime(fd)  # it is in use: see _forget_oldest
                    return json.loads(content[_DIGEST_BYTES:])
    return None


def write(directory: str, name: str, data: Mapping[str, Any]) -> None:
    """Store `data`, all of it or nothing."""
    content = json.dumps(data).encode()
    with contextlib.suppress(OSError):
        with contextlib.suppress(FileExistsError):
            os.mkdir(directory, 0o700)
        with _opened(directory) as inside:
            unfinished = f"{name}.{os.getpid()}"
            fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=inside)
            try:
                with open(fd, "wb") as file:
                    file.write(_digest(content) + content)
                os.rename(unfinished, name, src_dir_fd=inside, dst_dir_fd=inside)
            except BaseException:
                os.unlink(unfinished, dir_fd=inside)
                raise
            _forget_oldest(inside)


@contextlib.contextmanager
def _opened(directory: str) -> Iterator[int]:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        if not _is_ours(os.fstat(fd)):
            raise PermissionError(directory)
        yield fd
    finally:
        os.close(fd)


def _is_ours(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _forget_oldest(inside: int) -> None:
    """Also what a start that was killed has left unfinished grows old."""
    def age(name: str) -> int:
        return os.stat(name, dir_fd=inside, follow_symlinks=False).st_mtime_ns

    for name in sorted(os.listdir(inside), key=age)[:-ENTRIES_MAX]:
        os.unlink(name, dir_fd=inside)
