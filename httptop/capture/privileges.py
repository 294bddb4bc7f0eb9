"""Giving up root, before the first byte of anybody else's is read."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
from collections.abc import Mapping

_PR_SET_NO_NEW_PRIVS = 38  # linux/prctl.h
_NOBODY = 65534


def caller(environ: Mapping[str, str]) -> tuple[int, int] | None:
    """(uid, gid) of whoever called sudo; None when nobody did, or root."""
    uid, gid = (environ.get(name, "") for name in ("SUDO_UID", "SUDO_GID"))
    return (int(uid), int(gid)) if uid.isdigit() and gid.isdigit() and int(uid) else None


def successor() -> tuple[int, int]:
    """(uid, gid) to become: whoever called sudo, else nobody."""
    known = caller(os.environ)
    if known is not None:
        return known
    with contextlib.suppress(KeyError):
        nobody = pwd.getpwnam("nobody")
        return nobody.pw_uid, nobody.pw_gid
    return _NOBODY, _NOBODY


def drop() -> None:
    """Become `successor()` in every thread, for good; the kernel takes all capabilities along (capabilities(7)).

    glibc carries set*id() to all threads (nptl(7)), so it does not matter which one calls.
    """
    uid, gid = successor()
    os.setgroups([gid])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
