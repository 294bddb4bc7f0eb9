"""The configuration file of whoever called, who under sudo is not root."""

from __future__ import annotations

import contextlib
import os
import pwd
import stat
from collections.abc import Iterator, Mapping

from httptop.capture import privileges
from httptop.errors import UsageError

BYTES_MAX = 1 << 16


def path(environ: Mapping[str, str]) -> str:
    """$XDG_CONFIG_HOME/httptop/config.toml, where that is not set below the home of the caller."""
    base = environ.get("XDG_CONFIG_HOME", "")
    if not base.startswith("/"):  # relative ones are to be ignored (XDG Base Directory Specification)
        base = os.path.join(_home(environ), ".config")
    return os.path.join(base, "httptop", "config.toml")


def _home(environ: Mapping[str, str]) -> str:
    caller = privileges.caller(environ)
    if caller is not None:
        with contextlib.suppress(KeyError):
            return pwd.getpwuid(caller[0]).pw_dir
    return environ.get("HOME") or "/"


def read(name: str, environ: Mapping[str, str]) -> str | None:
    """The text of that file, None if there is none. UsageError when it cannot be read or is somebody else's.

    It is read with the rights of the caller: an error that quotes a line of it must not show what only root may read.
    """
    caller = privileges.caller(environ) if os.geteuid() == 0 else None
    try:
        with _acting_as(caller), open(name, "rb", buffering=0, opener=_opener) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise UsageError(f"{name} is no file", "move it away")
            if found.st_uid not in (0, caller[0] if caller else os.geteuid()):
                raise UsageError(f"{name} belongs to somebody else", "make it yours, or move it away")
            return file.read(BYTES_MAX).decode()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}", "mend that, or move it away") from None
    except UnicodeDecodeError:
        raise UsageError(f"{name} is not UTF-8", "save it as UTF-8, or move it away") from None


def _opener(name: str, flags: int) -> int:
    return os.open(name, flags | os.O_NONBLOCK | os.O_NOCTTY)  # a pipe there must not hold the program


@contextlib.contextmanager
def _acting_as(caller: tuple[int, int] | None) -> Iterator[None]:
    if caller is None:
        yield
        return
    groups, gid = os.getgroups(), os.getegid()
    os.setgroups([caller[1]])
    os.setegid(caller[1])
    os.seteuid(caller[0])
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)
