"""Recall and precision against the reference decoder's list of every message (`make truth`).

python -m tests.truth.score [--verbose] [FILE ...]
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from httptop.capture.pcap import PcapSource
from httptop.decoder import Decoder
from httptop.errors import HttptopError
from httptop.flows import Flow, Pending
from httptop.http1 import Response
from httptop.records import Record, endpoints

CORPUS = Path(os.environ.get("HTTPTOP_CORPUS", Path(__file__).resolve().parents[3] / "shared" / "http-corpus"))
TUNNELS = ("gre", "erspan", "vxlan", "geneve", "gtp", "l2tp", "teredo", "ayiya", "pppoes")
LINKS_OF_NO_LIVE_INTERFACE = ("radiotap", "arcnet", "nflog")

Message = tuple[str, str, str, int, str]
"""kind, src, dst, seq, method or status"""


class Recorder:
    """A flows.Sink that only writes down what it is told."""

    def __init__(self) -> None:
        self.messages: Counter[Message] = Counter()

    def on_request(self, flow: Flow, pending: Pending) -> None:
        self.messages[("request", *_ends(flow, flow.client or 0), pending.seq, pending.head.method)] += 1

    def on_response(self, flow: Flow, pending: Pending | None, head: Response, seq: int, ts_ns: int) -> None:
        self.messages[("response", *_ends(flow, 1 - (flow.client or 0)), seq, str(head.status))] += 1

    def on_response_end(self, flow: Flow, length: int) -> None: ...
    def on_unanswered(self, flow: Flow, pending: Pending) -> None: ...
    def on_resync(self) -> None: ...
    def on_duplicate(self) -> None: ...


def _ends(flow: Flow, sender: int) -> tuple[str, str]:
    ends = [_text(end) for end in endpoints(flow.key)]
    return ends[sender], ends[1 - sender]


def _text(end: bytes) -> str:
    address = ipaddress.IPv6Address(end[:16])
    port = int.from_bytes(end[16:], "big")
    return f"{address.ipv4_mapped}:{port}" if address.ipv4_mapped else f"[{address}]:{port}"


def decode(records: Iterable[Record]) -> Counter[Message]:
    """Records of the tap -> messages, each with how often it was told."""
    recorder = Recorder()
    decoder = Decoder(recorder)
    flows: dict[bytes, Flow] = {}
    for record in records:
        decoder.feed(flows.setdefault(record.flow, Flow(record.flow)), record)
    for flow in flows.values():
        decoder.flush(flow)
    return recorder.messages


def read(path: Path) -> tuple[Counter[Message], str]:
    """The messages of a capture file, and what was wrong with the file ("" if nothing)."""
    records: list[Record] = []
    source = PcapSource(str(path))
    try:
        source.open()
        batch = source.read(0)
        records += batch.records
        while not batch.eof:
            batch = source.read(0)
            records += batch.records
    except HttptopError as error:
        return decode(records), error.what
    finally:
        source.close()
    return decode(records), ""


def expected(row: dict[str, Any]) -> tuple[set[Message], set[Message]]:
    """The reference's messages of one file: (in scope, out of scope)."""
    inside: set[Message] = set()
    outside: set[Message] = set()
    for m in row["messages"]:
        what = m["method"] if m["kind"] == "request" else str(m["status"])
        message = (m["kind"], _end(m["src"]), _end(m["dst"]), m["seq"], what)
        (outside if _out_of_scope(m.get("layers") or "") else inside).add(message)
    return inside, outside


def _of_payload(message: Message, found: Counter[Message]) -> Message:
    """A SYN takes a sequence number (RFC 9293 3.4); for data on a SYN the list gives that of the SYN."""
    kind, src, dst, seq, what = message
    behind = (kind, src, dst, (seq + 1) & 0xFFFFFFFF, what)
    return behind if message not in found and behind in found else message


def _out_of_scope(layers: str) -> bool:
    names = layers.split(":")
    return (any(name in names for name in (*TUNNELS, *LINKS_OF_NO_LIVE_INTERFACE))
            or sum(name in ("ip", "ipv6") for name in names) > 1)


def _end(text: str) -> str:
    address, _, port = text.rpartition(":")
    return f"[{ipaddress.ip_address(address.strip('[]'))}]:{port}" if "[" in address else text


@dataclass
class Score:
    """Counts by kind of message."""

    expected: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    false: Counter[str] = field(default_factory=Counter)

    def add(self, want: set[Message], missing: Iterable[Message], false: Iterable[Message]) -> None:
        self.expected.update(m[0] for m in want)
        self.found.update(m[0] for m in want)
        self.found.subtract(m[0] for m in missing)
        self.false.update(m[0] for m in false)

    def recall(self, kind: str) -> float:
        return self.found[kind] / self.expected[kind] if self.expected[kind] else 1.0

    def false_share(self, kind: str) -> float:
        return self.false[kind] / max(self.expected[kind], 1)

    def line(self, name: str) -> str:
        cells = (f"{kind}s {self.found[kind]}/{self.expected[kind]} ({self.recall(kind):.2%}), "
                 f"{self.false[kind]} false" for kind in ("request", "response"))
        return f"{name:34} {'; '.join(cells)}"


@dataclass
class Difference:
    """A message of the reference that was not found ("missing"), or one that it does not list ("false")."""

    file: str
    kind: str
    message: Message


def compare(row: dict[str, Any]) -> tuple[set[Message], list[Difference], str]:
    """(messages in scope, differences, error) of one row of expected.jsonl."""
    inside, outside = expected(row)
    found, error = read(CORPUS / "captures" / row["file"])
    inside = {_of_payload(m, found) for m in inside}
    if "has_fragments" in row["flags"]:  # IP fragments are counted as skipped
        inside &= set(found)
    missing = [Difference(row["file"], "missing", m) for m in sorted(inside - set(found))]
    twice = [m for m, times in found.items() if times > 1]
    false = [Difference(row["file"], "false", m) for m in sorted({*(set(found) - inside - outside), *twice})]
    return inside, missing + false, error


def rows() -> list[dict[str, Any]]:
    with (CORPUS / "expected.jsonl").open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="*")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    scores: defaultdict[str, Score] = defaultdict(Score)
    errors = []
    for row in rows():
        if options.files and row["file"] not in options.files:
            continue
        inside, differences, error = compare(row)
        missing = [d.message for d in differences if d.kind == "missing"]
        false = [d.message for d in differences if d.kind == "false"]
        for name in ("malformed on purpose",) if "http-evader" in row["file"] else ("in scope", *row["flags"]):
            scores[name].add(inside, missing, false)
        errors += [f"{row['file']}: {error}"] * bool(error)
        if options.verbose:
            for difference in differences:
                print(f"{difference.kind:8} {difference.file} {row['flags']} {difference.message}")
    nothing = {} if options.files else {path.name: read(path) for path in sorted((CORPUS / "no-http").iterdir())}
    for name in sorted(scores, key=lambda name: (name != "in scope", name)):
        print(scores[name].line(name))
    print(f"{sum(sum(m.values()) for m, _ in nothing.values())} messages in {len(nothing)} files without HTTP")
    for name, (messages, error) in nothing.items():
        if messages or error:
            print(f"  {name}: {list(messages)[:3]} {error}")
    print("\n".join(errors))
    return 0


if __name__ == "__main__":
    sys.exit(main())
