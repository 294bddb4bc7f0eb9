"""Is this the beginning of an HTTP/1.x message? By content alone, as in bpf/heads.h (RFC 9112 sections 3 and 4)."""

from __future__ import annotations

import re

from httptop.records import DATA_MAX, METHODS, TOKEN_MAX, Counter, Kind

# Members of an Enum are slow to look up: once, here.
NONE, REQUEST, RESPONSE, PARTIAL, MORE, END, _ = Kind

CRLFCRLF = b"\r\n\r\n"
STATUS_LINE_MIN = len("HTTP/1.1 200")

_TCHAR = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
_FIRST = frozenset(byte for byte in range(128) if re.match(_TCHAR, bytes([byte])))
_METHOD = re.compile(rb"(" + "|".join(METHODS).encode() + rb") [ -~]")  # nginx takes several spaces
_STATUS_PREFIX = re.compile(rb"HTTP/1\.(?:[0-9](?: [0-9]{0,2})?)?")
_TARGETS = b"/hH*"  # how the target of a method that we do not know begins: a path, an http URL, "*" (section 3.2)
_TOKEN = re.compile(_TCHAR + rb"{1,%d}(?!%s)" % (TOKEN_MAX, _TCHAR))
# A superset of what `classify` and `unreadable` find, for who must say no at once: a first byte, and a start.
NOTABLE = _FIRST | {0x16}
BEGINS = re.compile(rb"HTTP/|\x16|%s{1,%d}(?: |\Z)" % (_TCHAR, TOKEN_MAX))
_VERSION = re.compile(rb"HTTP/1\.[0-9]")
_CODE = re.compile(rb" ([1-5])[0-9]{2}")
_METHOD_COUNTERS = {name.encode(): Counter[name] for name in METHODS}
_CLASSES = (Counter.C1XX, Counter.C2XX, Counter.C3XX, Counter.C4XX, Counter.C5XX)


def unreadable(payload: bytes) -> Counter | None:
    """What to count for a payload that shows that its flow can never be read: TLS, or HTTP/2 with prior knowledge."""
    if payload[0] == 0x16 and payload[1:2] == b"\x03" and payload[2:3] <= b"\x04" and payload[5:6] == b"\x01":
        return Counter.TLS_FLOWS
    return Counter.HTTP2_FLOWS if payload.startswith(b"PRI * HTTP/2.0\r\n") else None


def classify(payload: bytes) -> tuple[Kind, Counter | None]:
    """What a payload begins with, by its first DATA_MAX bytes alone, and the counter of a head."""
    if payload[0] not in _FIRST:
        return NONE, None
    if payload.startswith(b"HTTP/1.") and len(payload) >= STATUS_LINE_MIN:
        return RESPONSE, _status_class(payload)
    method = _METHOD.match(payload)
    if method:
        return REQUEST, _METHOD_COUNTERS[method[1]]
    if len(payload) < STATUS_LINE_MIN and (b"HTTP/1.".startswith(payload) or _STATUS_PREFIX.fullmatch(payload)):
        return PARTIAL, None
    token = _TOKEN.match(payload)
    return _classify_token(payload, token.end()) if token else (NONE, None)


def _status_class(payload: bytes) -> Counter:
    code = _CODE.match(payload, len("HTTP/1.1"))
    return _CLASSES[int(code[1]) - 1] if code else Counter.NO_CLASS


def _classify_token(payload: bytes, end: int) -> tuple[Kind, Counter | None]:
    """`end`: of the token that it begins with. A request if its line ends in HTTP/1.x, perhaps one if it is cut."""
    after = payload[end : end + 2]
    if after in (b"", b" "):
        return PARTIAL, None
    if after[0] != 0x20 or after[1] not in _TARGETS:
        return NONE, None
    line_end = payload.find(b"\n", 0, DATA_MAX)
    if line_end < 0:
        return PARTIAL, None
    line = payload[max(line_end - 9, 0) : line_end].removesuffix(b"\r")
    if _VERSION.fullmatch(line[-8:]):
        return REQUEST, Counter.OTHER
    return NONE, None


def head_end(payload: bytes) -> int:
    """Behind the first empty line within DATA_MAX bytes; 0: there is none."""
    found = payload.find(b"\n\r\n", 0, DATA_MAX)
    return found + 3 if found >= 0 else 0
