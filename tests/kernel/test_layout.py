"""bpf/events.h and httptop/records.py say the same, by the word of the compiler that builds the programs."""

from __future__ import annotations

import os
import re
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from httptop import records, stats, taught
from httptop.capture.preflight import bcc_python
from httptop.records import Counter, How, Kind

BPF = Path(__file__).parents[2] / "bpf"
COMPILE = "import bcc, sys; bcc.BPF(text=sys.stdin.read())"

FIELDS = {
    "flow_key": (records.FLOW_KEY, ("addr[0]", "addr[1]", "port[0]", "port[1]")),
    "flow_end": (records.FLOW_END, ("flow", "end")),
    "owner": (records.OWNER, ("pid", "how", "thread", "contested", "start_ns", "comm")),
    "owned": (records.OWNED, ("owner", "socket")),
    "record": (records.RECORD, ("ts_ns", "flow", "seq", "ack", "payload_len", "data_len", "kind", "from", "flags",
                                "counter", "gap", "ifindex", "extra", "owner[0]", "owner[1]")),
    "answer": (taught.ANSWER, ("hash", "length", "length_at", "digits", "masked", "chunked")),
    "identity": (taught.IDENTITY, ("pid", "how", "start_ns")),
    "cell_key": (taught.CELL_KEY, ("template", "answer", "server", "client")),
    "stranger": (taught.STRANGER, ("addr", "valid")),
    "track": (taught.TRACK, ("flow", "touched", None, "asked", "ready", "next[0]", "next[1]", "asked_ns",
                             "template", "length", "response", "first[0]", "first[1]", "changes", "cell",
                             "body", "answer")),
    "settings": (taught.SETTINGS, ("seed", "factor", "samples", "wake", "detail", "apart")),
    "accept_event": (records.ACCEPT, ("ts_ns", "owner", "fd", "peer_port", "peer_addr")),
}
PREFIXES = {"COUNT_": range(Counter.NO_CLASS + 1), "LOST_": range(Counter.LOST_REQUEST, Counter.LOST_ACCEPT + 1),
            "SKIP_": range(Counter.DUPLICATES, Counter.MALFORMED + 1), "WORK_": range(Counter.PACKETS, 32)}
TAUGHT = ("TEMPLATES_MAX", "ANSWERS_MAX", "CELLS_MAX", "PROBES", "STRANGERS_MAX", "TRACKS_MAX", "TRACKS_NEAR",
          "HEAD_MAX", "STATUS_BYTES", "LENGTH_DIGITS", "ASKS_MAX", "LATENCY_LOW", "LATENCY_BUCKETS", "TRACK_FAST",
          "ONE_MORE", "TAKEN")
TEMPLATE = ("length", "longest", "length_at", "digits", "counter")
DEFINES = ("DATA_MAX", "SEGMENT_MAX", "RECENT_HEADS", "FOLLOW_BYTES", "TOKEN_MAX")


def compiled(claims: Iterator[str]) -> str:
    """What the compiler complains about when `claims` are asserted next to events.h; empty: all hold."""
    found = bcc_python()
    if found is None:
        pytest.skip("no Python here can import bcc")
    text = f'#include "{BPF}/events.h"\n' + "\n".join(f'_Static_assert({claim}, "wrong");' for claim in claims)
    done = subprocess.run([found[0], "-c", COMPILE], input=text, capture_output=True, text=True, check=False,
                          env={**os.environ, "BCC_KERNEL_SOURCE": str(BPF)})
    assert done.returncode == 0 or "_Static_assert" in done.stderr, done.stderr
    return "\n".join(line for line in done.stderr.splitlines() if "_Static_assert" in line)


def offsets(layout: struct.Struct) -> Iterator[tuple[int, int]]:
    """(offset, size) of each field of a Struct with standard sizes, padding left out."""
    at = 0
    for count, code in re.findall(r"(\d*)([A-Za-z])", layout.format):
        repeat = int(count or 1)
        items, size = (1, repeat) if code == "s" else (repeat, struct.calcsize(f"={code}"))
        for _ in range(items):
            if code != "x":
                yield at, size
            at += size


def test_structs() -> None:
    """Every field has the same place and size on both sides, and nothing is left over."""
    def claims() -> Iterator[str]:
        for name, (layout, fields) in FIELDS.items():
            places = list(offsets(layout))
            assert len(places) == len(fields), name
            yield f"sizeof(struct {name}) == {layout.size}"
            for field, (at, size) in zip(fields, places, strict=True):
                if field is None:  # bit fields: they have no offset
                    continue
                yield f"__builtin_offsetof(struct {name}, {field}) == {at}"
                yield f"sizeof(((struct {name} *)0)->{field}) == {size}"

    assert compiled(claims()) == ""


def test_enumerations_and_constants() -> None:
    """Counters, kinds, sources of owners, flags and bounds have the same numbers on both sides."""
    def claims() -> Iterator[str]:
        for prefix, numbers in PREFIXES.items():
            for counter in (Counter(n) for n in numbers if n in Counter._value2member_map_):
                bare = counter.name.removeprefix(prefix)
                yield f"{prefix}{re.sub(r'^C(?=.XX)', '', bare)} == {counter.value}"
        yield from (f"KIND_{kind.name} == {kind.value}" for kind in Kind)
        yield from (f"HOW_{how.name} == {how.value}" for how in How)
        yield from (f"{name} == {value}" for name, value in vars(records).items() if name.startswith("FLAG_"))
        yield from (f"{name} == {getattr(records, name)}" for name in DEFINES)
        yield f"COUNTERS == {records.COUNTERS}"
        yield from (f"{name} == {getattr(taught, name):#x}" for name in TAUGHT)
        yield f"__builtin_offsetof(struct template, answers) == {taught.TEMPLATE.size}"
        yield from (f"__builtin_offsetof(struct template, {field}) == {at}"
                    for field, (at, _) in zip(TEMPLATE, offsets(taught.TEMPLATE), strict=True))
        yield f"__builtin_offsetof(struct cell, latency) == {taught.CELL.size}"
        yield f"1 << LATENCY_SUB_BITS == {1 << stats.SUB_BITS}"

    assert compiled(claims()) == ""
    assert len(Counter) == sum(n in Counter._value2member_map_ for numbers in PREFIXES.values() for n in numbers)


def test_a_false_claim_is_noticed() -> None:
    """The check itself can fail."""
    assert "sizeof" in compiled(iter(["sizeof(struct record) == 1"]))
