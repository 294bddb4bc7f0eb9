"""What leaves the screen: a file of what is shown, a row as a curl command."""

from __future__ import annotations

import itertools
import shlex
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import quote

from httptop.export import View as Selection
from httptop.export import json_export
from httptop.filters import Filter
from httptop.snapshot import Snapshot

URL_CHARACTERS = "/:?#[]@!$&'()*+,;=%-._~"  # RFC 3986 sections 2.2 and 2.3; all else is percent-encoded


def export(snapshot: Snapshot, keep: Filter, directory: Path) -> Path:
    """Write what is shown as JSON into a new file below `directory`; its path. Raises OSError."""
    text = json_export.dumps(snapshot, Selection(keep))
    at = datetime.fromtimestamp(snapshot.end_ns // 1_000_000_000, tz=timezone.utc)
    for number in itertools.count(1):
        path = directory / f"httptop-{at:%Y%m%dT%H%M%SZ}{f'-{number}' if number > 1 else ''}.json"
        try:
            with path.open("x", encoding="ascii") as file:
                file.write(text)
        except FileExistsError:
            continue
        return path
    raise AssertionError  # counting does not end


def curl(method: str, host: str, path: str) -> str:
    """A command that makes this request again. Nothing that the network sent can break out of it."""
    url = quote(f"http://{host}{path}", safe=URL_CHARACTERS, errors="surrogateescape")
    verb = {"GET": [], "HEAD": ["--head"]}.get(method, ["--request", quote(method, safe="")])
    return shlex.join(["curl", *verb, url])
