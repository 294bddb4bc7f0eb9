"""The one list of what can be lost or skipped, with what to do about it; and totals that stay right under loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from httptop.records import METHODS, STATUS_CLASSES, Counter
from httptop.snapshot import Counts, LossRow, Totals

OTHER_METHOD = "other"  # of a request that was lost before its method was read, or that has one of too many

_TOO_FAST = "httptop could not read as fast: narrow it with --port, or give it more CPU"

# reason -> (kernel counter, or None: found in user space; what to do about it)
REASONS: dict[str, tuple[Counter | None, str]] = {
    "ring_request": (Counter.LOST_REQUEST, _TOO_FAST),
    "ring_response": (Counter.LOST_RESPONSE, _TOO_FAST),
    "ring_segment": (Counter.LOST_SEGMENT, "httptop could not read as fast: parts of long heads are missing"),
    "perf_accept": (Counter.LOST_ACCEPT, "accept() events came too fast: accepts/s is too low, the rest is right"),
    "head_incomplete": (None, "the network or the capture lost a part of a head: look for drops on the interface"),
    "flow_evicted": (None, "more connections at once than are remembered: narrow it with --port"),
}

SKIPS: dict[str, Counter | None] = {
    "duplicates": Counter.DUPLICATES,
    "fragments": Counter.FRAGMENTS,
    "malformed": Counter.MALFORMED,
    "tls_flows": Counter.TLS_FLOWS,
    "http2_flows": Counter.HTTP2_FLOWS,
    "responses_alone": None,  # to requests that were not seen, or nobody can tell to which
    "unanswered": None,
    "folded_urls": None,
}


def totals(counters: tuple[int, ...], delivered: Sequence[int], methods: Mapping[str, int],
           statuses: Mapping[int, int], held: Mapping[int, int]) -> tuple[Totals, float]:
    """Totals and completeness: messages in the tables, and candidates that the kernel counted but did not deliver.

    A candidate that was delivered counts as what it turned out to be: a message, several, or none. `held`: requests
    that wait in the kernel, by counter: not delivered, and not lost.
    """
    by_method = dict(methods)
    by_status: dict[str, int] = {}
    for status, count in statuses.items():
        name = f"{status // 100}xx" if 100 <= status < 600 else STATUS_CLASSES[-1]
        by_status[name] = by_status.get(name, 0) + count
    missing = 0
    for counter in range(Counter.GET, Counter.LOST_REQUEST):
        lost = max(counters[counter] - delivered[counter], 0)
        if not lost:
            continue
        if counter <= Counter.OTHER:
            name = METHODS[counter] if counter < Counter.OTHER else OTHER_METHOD
            by_method[name] = by_method.get(name, 0) + lost
            missing += max(lost - held.get(counter, 0), 0)
        else:
            name = STATUS_CLASSES[counter - Counter.C1XX]
            by_status[name] = by_status.get(name, 0) + lost
    requests = sum(by_method.values())
    result = Totals(requests, sum(by_status.values()), _counts(by_method), _counts(by_status))
    return result, (requests - missing) / requests if requests else 1.0


def _counts(counts: Mapping[str, int]) -> Counts:
    return tuple(sorted((name, n) for name, n in counts.items() if n))


def rows(counters: tuple[int, ...], events: Mapping[str, int]) -> tuple[LossRow, ...]:
    """Every reason, also at 0."""
    return tuple(LossRow(reason, events.get(reason, 0) if counter is None else counters[counter], remedy)
                 for reason, (counter, remedy) in REASONS.items())


def skipped(counters: tuple[int, ...], events: Mapping[str, int], folded: int) -> Counts:
    """What was seen and left alone."""
    found = {**events, "folded_urls": folded}
    return tuple((name, found.get(name, 0) + (0 if counter is None else counters[counter]))
                 for name, counter in SKIPS.items())
