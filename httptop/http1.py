"""HTTP/1.x message heads from bytes, without I/O (RFC 9112).

Contract of `parse_head`: give it bytes that begin at a message; it returns the head, NEED_MORE while these bytes
could still become one, or NOT_HTTP. It never raises. What it returns depends on the message only, not on how it
was cut into pieces or on what follows it. It is lenient where practice is (bare LF, spaces in targets), because
a monitor must show what servers accept, and strict where leniency would find heads that are none.
"""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Callable
from typing import Final, Literal, NamedTuple, TypeVar

from httptop.chunked import Chunked
from httptop.records import TOKEN_MAX

__all__ = [
    "MAX_HEAD",
    "NEED_MORE",
    "NOT_HTTP",
    "Chunked",
    "NeedMore",
    "NotHttp",
    "Request",
    "Response",
    "empty_lines",
    "parse_head",
]

# Servers answer 431 far below it (nginx 32 KB, Apache 8 KB a line); it bounds what a flow may hold.
MAX_HEAD = 65536
# More cannot be sent: 9 exabytes. Larger numbers are attacks on somebody's integers (RFC 9112 6.3).
MAX_BODY = 2**63 - 1


class Verdict(enum.Enum):
    """What `parse_head` says when there is no head to return."""

    NEED_MORE = 1
    NOT_HTTP = 2


NeedMore = Literal[Verdict.NEED_MORE]
NotHttp = Literal[Verdict.NOT_HTTP]
NEED_MORE: Final = Verdict.NEED_MORE
NOT_HTTP: Final = Verdict.NOT_HTTP


class Request(NamedTuple):
    """The head of a request. Text is UTF-8 with backslash escapes for bytes that are not.

    `version` is "1.1" or the like, "0.9" for a request line without one. `host` has its port as sent, "" if unknown.
    `content_length` is None when absent, overruled by Transfer-Encoding or unusable. `upgrade`: other protocols are
    offered. `length`: bytes of the head with its empty line. `complete` False: its end was not seen, `length` is
    what was seen, and only whole header lines were used.
    """

    method: str
    target: str
    version: str
    host: str
    content_length: int | None
    chunked: bool
    upgrade: bool
    length: int
    complete: bool


class Response(NamedTuple):
    """The head of a response; fields as in Request. `status` may have less than three digits as sent.

    `upgrade`: this is the answer after which the connection speaks another protocol (101).
    """

    status: int
    version: str
    content_length: int | None
    chunked: bool
    upgrade: bool
    length: int
    complete: bool


class _Fields(NamedTuple):
    host: str
    content_length: int | None
    chunked: bool
    upgrade: bool


_Parsed = TypeVar("_Parsed")

_TCHAR = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
_TOKEN = re.compile(_TCHAR + rb"{1,%d}" % TOKEN_MAX)
_VERSION = re.compile(rb"1\.[0-9][0-9.]{0,5}")
# One odd byte before the code is accepted: the version is proof enough, and the code decides where the body ends.
_STATUS_LINE = re.compile(rb"HTTP/(1\.[0-9]{1,5})[^0-9A-Za-z.\r\n][ \t]*([0-9]{1,3})(?![0-9])")
_STATUS_NAME = b"HTTP/1."
_DIGITS = re.compile(rb"[0-9]{1,19}")
# The header lines that matter, each with the lines that continue it (obs-fold, RFC 9112 5.2), and none that is cut.
_LINES = re.compile(rb"\n(?:host|content-length|transfer-encoding|upgrade|connection):[^\n]*(?:\n[ \t][^\n]*)*(?=\n)",
                    re.IGNORECASE)
# Of real heads hardly two are alike, for dates and cookies, but their start lines and these lines are.
_REMEMBERED, _REMEMBERED_BYTES = 2048, 1024


def _remembering(parse: Callable[[bytes], _Parsed]) -> Callable[[bytes], _Parsed]:
    """`parse` that remembers what it said of short texts; long ones are rare, and would take the memory of many."""
    cached = functools.lru_cache(_REMEMBERED)(parse)
    return lambda text: cached(text) if len(text) <= _REMEMBERED_BYTES else parse(text)


def empty_lines(data: bytes) -> int:
    """Bytes of empty lines before a message, which a recipient ignores (RFC 9112 2.2)."""
    return len(data) - len(data.lstrip(b"\r\n"))


def parse_head(data: bytes, *, final: bool = False, searched: int = 0) -> Request | Response | NeedMore | NotHttp:
    """Parse the head that `data` begins with; what follows it is not looked at.

    `final`: no more bytes of this head will ever come, so one that has its start line is returned as it is.
    `searched`: so many bytes were answered by NEED_MORE before; giving it makes slow senders cost linear time.
    """
    end = _head_end(data, max(searched - 2, 0))
    complete = end > 0
    if not complete:
        end = min(len(data), MAX_HEAD)
        if not final and end < MAX_HEAD:
            return _may_become_head(data, searched)
    line_end = data.find(b"\n", 0, end)
    if line_end < 0:
        return NOT_HTTP
    line = data[:line_end]
    fields = _fields(b"".join(_LINES.findall(data, line_end, end)))
    if line.startswith(_STATUS_NAME):
        start = _status_line(line)
        return Response(*start, *fields[1:3], start[0] == 101, end, complete) if start else NOT_HTTP
    asked = _request_line(line)
    if asked is None and complete and end - line_end <= 3:
        asked = _simple_request(line)
    if asked is None:
        return NOT_HTTP
    method, target, version, host = asked
    return Request(method, target, version, host or fields[0], *fields[1:], end, complete)


def _head_end(data: bytes, start: int) -> int:
    """The position after the first empty line within MAX_HEAD, -1 if there is none."""
    crlf = data.find(b"\n\r\n", start, MAX_HEAD)
    stop = MAX_HEAD if crlf < 0 else crlf + 2
    bare = data.find(b"\n\n", start, stop)
    if bare >= 0:
        return bare + 2
    return crlf + 3 if crlf >= 0 else -1


def _may_become_head(data: bytes, searched: int) -> NeedMore | NotHttp:
    """Judge by the start line, once: when it ends, and by two bytes more for a simple request."""
    line_end = data.find(b"\n", max(searched - 2, 0))
    if line_end < 0:
        return NEED_MORE if searched > TOKEN_MAX or _may_become_start_line(data[: TOKEN_MAX + 1]) else NOT_HTTP
    if data.find(b"\n", 0, line_end) >= 0:
        return NEED_MORE  # a header line ended
    line = data[:line_end]
    if line.startswith(_STATUS_NAME):
        return NEED_MORE if _STATUS_LINE.match(line) else NOT_HTTP
    if _request_line(line):
        return NEED_MORE
    return NEED_MORE if _simple_request(line) and data[line_end + 1 :] in (b"", b"\r") else NOT_HTTP


def _may_become_start_line(data: bytes) -> bool:
    if _STATUS_NAME.startswith(data[:7]):
        return len(data) <= 7 or data[7:8].isdigit()
    token = _TOKEN.match(data)
    return token is not None and data[token.end() : token.end() + 1] in (b"", b" ")


@_remembering
def _request_line(line: bytes) -> tuple[str, str, str, str] | None:
    """(method, target, version, host in the target). Spaces in a target are kept, as servers do (RFC 9112 3)."""
    line = line.rstrip(b" \t\r")
    before, name, version = line.rpartition(b"HTTP/")
    method, space, target = before.partition(b" ")
    if not name or not space or before[-1] not in b" \t":
        return None
    if not _VERSION.fullmatch(version) or not _TOKEN.fullmatch(method):
        return None
    target = target.strip(b" \t")
    return _text(method), _text(target), _text(version), _target_host(method, target)


def _simple_request(line: bytes) -> tuple[str, str, str, str] | None:
    """GET and a path without a version (HTTP/0.9), which is accepted only where an empty line follows.

    Without that a line of many other protocols would do: `GET key` of redis, for one.
    """
    line = line.removesuffix(b"\r")
    if not line.startswith((b"GET /", b"GET http://")) or b" " in line[4:]:
        return None
    return "GET", _text(line[4:]), "0.9", _target_host(b"GET", line[4:])


@_remembering
def _status_line(line: bytes) -> tuple[int, str] | None:
    match = _STATUS_LINE.match(line)
    return (int(match[2]), _text(match[1])) if match else None


def _target_host(method: bytes, target: bytes) -> str:
    """The host in an absolute-form or authority-form target: it overrules Host (RFC 9112 3.2.2)."""
    if method == b"CONNECT":
        return "" if b"/" in target else _text(target)
    if target.startswith(b"/"):
        return ""
    scheme, found, rest = target.partition(b"://")
    if not found or not scheme.isalpha():
        return ""
    authority = re.split(rb"[/?#]", rest, maxsplit=1)[0]
    return _text(authority.rpartition(b"@")[2])


@_remembering
def _fields(lines: bytes) -> _Fields:
    """What the header lines that matter say; each begins with LF."""
    rest = lines + b"\n"
    lower = rest.lower()  # names, codings and connection options have no case (RFC 9110 5.1, 10.1.4, 7.6.1)
    hosts = _values(rest, lower, b"\nhost:")
    length, chunked = None, False
    if b"\ntransfer-encoding:" in lower:  # overrules Content-Length (RFC 9112 6.3)
        codings = _values(lower, lower, b"\ntransfer-encoding:")
        names = [name.strip() for name in b",".join(codings).split(b",")]
        # "identity" codes nothing; servers that know it ignore it (RFC 2616 3.6, removed since)
        chunked = [name for name in names if name != b"identity"][-1:] == [b"chunked"]
    elif b"\ncontent-length:" in lower:
        length = _content_length(b",".join(_values(lower, lower, b"\ncontent-length:")))
    upgrade = b"\nupgrade:" in lower and b"upgrade" in b",".join(_values(lower, lower, b"\nconnection:"))
    return _Fields(_text(hosts[0]) if hosts else "", length, chunked, upgrade)


def _values(rest: bytes, lower: bytes, name: bytes) -> list[bytes]:
    """The values of all fields of this name, which is given as LF, lower-case name, colon."""
    values = []
    start = lower.find(name)
    while start >= 0:
        start += len(name)
        end = rest.find(b"\n", start)
        while rest[end + 1 : end + 2] in (b" ", b"\t"):  # obs-fold: it goes on in the next line (RFC 9112 5.2)
            end = rest.find(b"\n", end + 1)
        values.append(rest[start:end].strip())
        start = lower.find(name, end)
    return values


def _content_length(value: bytes) -> int | None:
    """One number, perhaps repeated; None if recipients would disagree about it (RFC 9112 6.3)."""
    numbers = {number.strip() for number in value.split(b",")}
    number = numbers.pop()
    if numbers or not _DIGITS.fullmatch(number):
        return None
    length = int(number)
    return length if length <= MAX_BODY else None


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
