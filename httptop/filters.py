"""Which exchanges to show: a pure predicate over Cells, and the language people type it in.

    host:api status:5xx !method:GET pid:12 >100ms text

All terms must hold; of the values that commas join, one must. `!` inverts a term. `field:value` looks for a piece of
text, whatever its case; `field~regex` for a regular expression. Double quotes keep spaces together.
Filters never change what is counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import lru_cache

from httptop.errors import UsageError
from httptop.snapshot import Cell, Process

Predicate = Callable[[Cell], bool]


def _comms(cell: Cell) -> tuple[str, ...]:
    return tuple(end.comm for end in (cell.server, cell.client) if end is not None)


TEXT_OF: dict[str, Callable[[Cell], tuple[str, ...]]] = {
    "": lambda cell: (f"{cell.method} {cell.host}{cell.path}", *_comms(cell)),
    "host": lambda cell: (cell.host,),
    "path": lambda cell: (cell.path,),
    "url": lambda cell: (f"{cell.host}{cell.path}",),
    "comm": _comms,
}
FIELDS = ("host", "path", "url", "method", "status", "pid", "comm", "server", "client", "role")
ROLES = ("server", "client")
DO = "write text, host:api, path:/v1, method:GET, status:5xx, pid:12, comm:nginx, server:, client:, role: or >100ms"

_WORDS = re.compile(r'(?:[^\s"]|"[^"]*")+')
_HEAD = re.compile(r"(?:(?P<field>[a-z]+)(?=[:~])|(?=[<>]))(?P<op>[:~<>])")
_PORT_OR_SCHEME = re.compile(r"[0-9]+(?:/|$)|//")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m)?")
_UNIT_NS = {"us": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9}
_STATUS = re.compile(r"[1-9][0-9]{2}|[1-9]xx|none")


@dataclass(frozen=True, slots=True)
class Term:
    """One condition: `op` is ":" (text), "~" (regular expression), "<" or ">" (latency); `field` "" is any text."""

    field: str
    op: str
    value: str
    inverted: bool = False

    def __str__(self) -> str:
        value = f'"{self.value}"' if " " in self.value else self.value
        head = self.op if self.op in "<>" else f"{self.field}{self.op}" if self.field else ""
        return f"{'!' * self.inverted}{head}{value}"

    def matches(self, cell: Cell) -> bool:
        """Whether the exchanges of `cell` fulfil this condition."""
        return _predicate(self)(cell) != self.inverted


@dataclass(frozen=True, slots=True)
class Filter:
    """Empty fields let everything pass; all given fields must match. `statuses`: codes ("404") or classes ("5xx").

    `terms` is what was typed, in that order.
    """

    pids: frozenset[int] = frozenset()
    methods: frozenset[str] = frozenset()
    statuses: frozenset[str] = frozenset()
    host: re.Pattern[str] | None = None
    url: re.Pattern[str] | None = None
    role: str = ""  # "server", "client" or ""
    terms: tuple[Term, ...] = ()

    @property
    def active(self) -> bool:
        """Whether anything is filtered at all."""
        return self != Filter()

    def matches(self, cell: Cell) -> bool:
        """Whether the exchanges of `cell` are to be shown."""
        if self.methods and cell.method not in self.methods:
            return False
        if self.statuses and not _has_status(cell, self.statuses):
            return False
        if self.host is not None and not self.host.search(cell.host):
            return False
        if self.url is not None and not self.url.search(f"{cell.host}{cell.path}"):
            return False
        return self._process(cell) and all(term.matches(cell) for term in self.terms)

    def _process(self, cell: Cell) -> bool:
        ends = {"server": (cell.server,), "client": (cell.client,)}.get(self.role, (cell.server, cell.client))
        if self.pids:
            return any(end is not None and end.pid in self.pids for end in ends)
        return not self.role or ends[0] is not None

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles whose process rows are to be shown."""
        wanted = {term.value for term in self.terms if term.field == "role" and not term.inverted}
        return tuple(role for role in ROLES if self.role in ("", role) and wanted <= {role})

    def shows(self, process: Process | None) -> bool:
        """Whether a row of `process` is to be shown: who asks for one process does not want its peers' rows."""
        terms = [term for term in self.terms if term.field in ("pid", "comm") and not term.inverted]
        if not self.pids and not terms:
            return True
        if process is None or (self.pids and process.pid not in self.pids):
            return False
        alone = Cell("", "", "", None, process, None)
        return all(term.matches(alone) for term in terms)

    def also(self, *terms: Term) -> Filter:
        """Add `terms`; what is there already is not added again."""
        return replace(self, terms=self.terms + tuple(term for term in terms if term not in self.terms))

    def chips(self) -> tuple[str, ...]:
        """Each condition as it would be typed, in the order in which `without_last` takes them away from the end."""
        return (*(chip for _, chip in self._flags()), *map(str, self.terms))

    def without_last(self) -> Filter:
        """Take the last condition away."""
        if self.terms:
            return replace(self, terms=self.terms[:-1])
        names = [name for name, _ in self._flags()]
        empty = {field.name: field.default for field in fields(Filter)}
        return Filter(**{name: getattr(self, name) for name in empty if name not in names[-1:]})

    def _flags(self) -> Iterator[tuple[str, str]]:
        for name, label in (("pids", "pid"), ("methods", "method"), ("statuses", "status")):
            if values := getattr(self, name):
                yield name, f"{label}:{','.join(map(str, sorted(values)))}"
        for name in ("host", "url"):
            if (pattern := getattr(self, name)) is not None:
                yield name, f"{name}~{pattern.pattern}"
        if self.role:
            yield "role", f"role:{self.role}"


def parse(text: str) -> Filter:
    """Read what was typed; empty text is the empty Filter. Raises UsageError that says what is wrong."""
    terms = tuple(_term(word) for word in _WORDS.findall(text))
    return Filter(terms=tuple(dict.fromkeys(terms)))


def _term(word: str) -> Term:
    bare = word.lstrip("!")
    inverted = len(word) - len(bare) == 1
    head = _HEAD.match(bare)
    field, op = (head["field"] or "", head["op"]) if head else ("", ":")
    value = bare[head.end():] if head else bare
    if field and field not in FIELDS:
        if op == ":" and not _PORT_OR_SCHEME.match(value):
            raise UsageError(f"filter {word!r}: there is no field {field!r}", DO)
        field, op, value = "", ":", bare  # localhost:8080, http://host/path
    term = Term(field, op, value.replace('"', ""), inverted)
    _predicate(term)  # says what is wrong with its value
    return replace(term, value=term.value.upper()) if (field, op) == ("method", ":") else term


@lru_cache(maxsize=256)
def _predicate(term: Term) -> Predicate:
    if not term.value:
        raise UsageError(f"filter {str(term)!r} has no value", DO)
    if term.op in "<>":
        return _latency(term)
    if term.op == "~":
        return _regex(term)
    values = frozenset(value for value in term.value.split(",") if value) or frozenset({term.value})
    if term.field in _EXACT:
        return _EXACT[term.field](term, values)
    return _text(term.field, term.value)


def _latency(term: Term) -> Predicate:
    """`>` holds where one exchange at least was slower; `<` where none was."""
    match = _DURATION.fullmatch(term.value)
    if match is None:
        raise UsageError(f"filter {str(term)!r}: {term.value!r} is no time", "write >100ms, >2s or <500us")
    limit_ns = float(match[1]) * _UNIT_NS[match[2] or "ms"]
    if term.op == ">":
        return lambda cell: cell.latency_max_ns > limit_ns
    return lambda cell: 0 < cell.latency_max_ns < limit_ns


def _regex(term: Term) -> Predicate:
    try:
        search = re.compile(term.value).search
    except re.error as error:
        raise UsageError(f"filter {str(term)!r}: {error}", "write a regular expression, or : for plain text") from None
    texts = TEXT_OF.get(term.field) or _plain(term.field)
    return lambda cell: any(search(text) for text in texts(cell))


def _plain(field: str) -> Callable[[Cell], tuple[str, ...]]:
    if field in ROLES:
        return lambda cell: tuple(end.comm for end in (_end(cell, field),) if end)
    if field in ("method", "status"):
        return lambda cell: (str(getattr(cell, field) or "none"),)
    raise UsageError(f"filter {field}~ takes no regular expression", f"write {field}:value")


def _text(field: str, value: str) -> Predicate:
    wanted = tuple(part.casefold() for part in (value.split(",") if field else [value]) if part) or (value,)
    texts = TEXT_OF[field]
    return lambda cell: any(part in text.casefold() for text in texts(cell) for part in wanted)


def _method(_term: Term, values: frozenset[str]) -> Predicate:
    upper = frozenset(value.upper() for value in values)
    return lambda cell: cell.method.upper() in upper


def _status(term: Term, values: frozenset[str]) -> Predicate:
    lower = frozenset(value.lower() for value in values)
    if not all(_STATUS.fullmatch(value) for value in lower):
        raise UsageError(f"filter {str(term)!r}: that is no status", "write status:404, status:5xx or status:none")
    return lambda cell: _has_status(cell, lower)


def _has_status(cell: Cell, wanted: frozenset[str]) -> bool:
    if cell.status is None:
        return "none" in wanted
    return not wanted.isdisjoint((str(cell.status), f"{cell.status // 100}xx"))


def _pid(term: Term, values: frozenset[str]) -> Predicate:
    if not all(value.isascii() and value.isdigit() for value in values):
        raise UsageError(f"filter {str(term)!r}: a pid is a number", "write pid:1234, or comm:name for a name")
    pids = frozenset(map(int, values))
    return lambda cell: any(end is not None and end.pid in pids for end in (cell.server, cell.client))


def _role(term: Term, values: frozenset[str]) -> Predicate:
    if len(values) != 1 or term.value not in ROLES:
        raise UsageError(f"filter {str(term)!r}: a role is server or client", "write role:server or role:client")
    return lambda cell: _end(cell, term.value) is not None


def _process_at(term: Term, values: frozenset[str]) -> Predicate:
    pids = frozenset(int(value) for value in values if value.isascii() and value.isdigit())
    names = tuple(value.casefold() for value in values)

    def holds(cell: Cell) -> bool:
        end = _end(cell, term.field)
        return end is not None and (end.pid in pids or any(name in end.comm.casefold() for name in names))

    return holds


def _end(cell: Cell, role: str) -> Process | None:
    return cell.server if role == "server" else cell.client


_EXACT: dict[str, Callable[[Term, frozenset[str]], Predicate]] = {
    "method": _method, "status": _status, "pid": _pid, "role": _role, "server": _process_at, "client": _process_at,
}
