"""Giving up root, before the first byte of anybody else's is read."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd

_PR_SET_NO_NEW_PRIVS = 38  # linux/prctl.h
_NOBODY = 65534


def successor() -> tuple[int, int]:
    """(uid, gid) to become: whoever called sudo, else nobody."""
    uid, gid = (os.environ.get(name, "") for name in ("SUDO_UID", "SUDO_GID"))
    if uid.isdigit() and gid.isdigit() and int(uid):
        return int(uid), int(gid)
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
