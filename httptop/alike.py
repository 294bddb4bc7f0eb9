"""Which messages are alike to the kernel: what it compares of them (bpf/templates.c, bpf/answers.c)."""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

from httptop.http1 import Request, Response
from httptop.records import METHODS
from httptop.taught import (
    ALL_KEPT,
    ASKS_MAX,
    HEAD_MAX,
    LENGTH_DIGITS,
    NO_BODY,
    Framing,
    Kept,
    Masked,
    masked,
    restored,
    without_values,
)

Span = tuple[int, int] | None

RECENT_MAX = 64  # parts of heads that are looked at once
_BODILESS = frozenset((204, 304))

_LENGTH = re.compile(rb"\ncontent-length:[ \t]*([0-9]{1,%d})[ \t]*\r\n(?![ \t])" % LENGTH_DIGITS, re.IGNORECASE)
_CHUNKED = re.compile(rb"\ntransfer-encoding:[ \t]*(chunked)[ \t]*\r\n(?![ \t])", re.IGNORECASE)
_FRAMES = re.compile(rb"\n(?:content-length|transfer-encoding):", re.IGNORECASE)

# A target that is a path, with its query. What is one word for the kernel (word_end() of bpf/templates.c) is one here.
TARGET = re.compile(rb"[A-Z]+ (/[^\0- ?]*(\?[^\0- ]*)?)(?= HTTP/1\.)")
_VERSION = re.compile(rb" HTTP/1\.[0-9]\r\n")
_H = re.compile(rb"(?<=\n)[hH]")  # find_h() looks no further
_HOST = re.compile(rb"(?i:host): ([^\0- ]*)(?=\r\n[^ \t])")
_WITH_BODY = ("POST", "PUT", "PATCH")  # may have one: has_body_method() of bpf/heads.h
_MATTERS = re.compile(rb"\n(?:host|transfer-encoding|upgrade):", re.IGNORECASE)  # by its value: http1.py
_EXPECTS = re.compile(rb"\nexpect:", re.IGNORECASE)


def compared(request: Request, data: bytes, length: int) -> bytes | None:
    """What the kernel compares of it: its head, and of methods that should have no body all; None: it is not plain.

    `data`: of a segment of `length` bytes that begins with it. How a plain one is answered depends on nothing that came
    before.
    """
    plain = (request.complete and not request.chunked and not request.upgrade and request.version != "0.9"
             and request.method in METHODS and request.method != "CONNECT")
    all_of_it = request.length + (request.content_length or 0)
    head = data[: request.length] if request.method in _WITH_BODY else data
    if not plain or len(head) > HEAD_MAX or not request.length <= length <= all_of_it <= ASKS_MAX:
        return None
    if request.method not in _WITH_BODY:
        return data if len(data) == length == all_of_it else None
    ends = head.find(b"\r\n\r\n") + 4 == len(head)  # where it does for the kernel
    framed = len(_FRAMES.findall(head)) == (request_framing(request.method, head) is not NO_BODY)
    return head if ends and framed and not _EXPECTS.search(head) else None


def request_framing(method: str, head: bytes) -> Framing:
    """What tells the kernel how long the body of a request is."""
    found = _LENGTH.search(head) if method in _WITH_BODY else None
    if found is None or not is_plain_length(head, *found.span(1)):
        return NO_BODY
    return Framing(found.start(1), found.end(1) - found.start(1))


@functools.lru_cache(maxsize=RECENT_MAX)
def masked_answer(head: bytes, what: Masked, kept: Kept = NO_BODY.kept) -> bytes:
    """Masked behind its status, but for what is kept; many of those that come in one second are the same."""
    return masked(head, kept, what)


def host_of(request: Request, behind: bytes) -> Span:
    """Where the value of Host is in what is behind the target; None: its values must be what they are."""
    known = _behind_target(behind)
    return None if known.framed and request.method not in _WITH_BODY else known.host


class _Behind(NamedTuple):
    """Of a request, what is behind its target: where the value of Host is, if values may be masked; it without them.

    `framed`: it announces a body; then they may be only for methods that may have one.
    """

    host: Span
    framed: bool
    masked: bytes


@functools.lru_cache(maxsize=RECENT_MAX)
def _behind_target(rest: bytes) -> _Behind:
    """The same client asks for many targets."""
    first = _H.search(rest)
    host = _HOST.match(rest, first.start()) if first is not None else None
    plain = host is not None and _VERSION.match(rest) and len(_MATTERS.findall(rest)) == 1
    return _Behind(host.span(1) if host is not None and plain else None, _FRAMES.search(rest) is not None,
                   without_values(rest))


@functools.lru_cache(maxsize=RECENT_MAX)
def kept_of(behind: bytes, host: Span) -> tuple[bytes, Kept]:
    """What is behind the target of a request, its values masked, and what of it is not."""
    if host is None:
        return behind, ALL_KEPT
    kept = Kept(_up(len(" HTTP/1.1")), host[0] & ~7, _up(host[1]))
    return restored(_behind_target(behind).masked, behind, kept), kept


def _up(at: int) -> int:
    return at + 7 & ~7


@functools.lru_cache(maxsize=RECENT_MAX)
def framing(method: str, answer: Response, head: bytes) -> Framing | None:
    """What tells the kernel how long the answer to such a request is; None: it cannot know. `head`: of the answer."""
    if (not answer.complete or not 200 <= answer.status < 600 or answer.length > HEAD_MAX
            or head[9:12] != b"%d" % answer.status):  # where it is compared by all of its digits
        return None
    if method == "HEAD" or answer.status in _BODILESS:  # RFC 9112 6.3
        return NO_BODY if head.lower().count(b"\ncontent-length:") <= 1 else None
    found = (_CHUNKED if answer.chunked else _LENGTH).search(head)
    if found is None or len(_FRAMES.findall(head)) != 1:
        return None
    return Framing(found.start(1), 0 if answer.chunked else found.end(1) - found.start(1), answer.chunked)


def is_plain_length(head: bytes, begin: int, end: int) -> bool:
    """Whether the kernel can tell where the number ends whatever it is: has_length() of bpf/templates.c."""
    return head[begin - 2 : begin] == b": " and head[end : end + 1] == b"\r"
