"""How the rates of the busiest URLs went, refresh by refresh: what a Snapshot, which knows one moment, cannot tell."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from operator import attrgetter

from httptop.rollup import UrlGroup

POINTS = 60
URLS_MAX = 512  # rows that a screen may show, and some: 60 points each take 1 MB

UrlKey = tuple[str, str, str]


def url_key(group: UrlGroup) -> UrlKey:
    """What a URL row is known by."""
    return group.method, group.host, group.path


class Trends:
    """Recent rates per URL; of more than URLS_MAX at once the less busy ones are forgotten."""

    def __init__(self) -> None:
        self._points: dict[UrlKey, deque[float]] = {}

    def add(self, groups: Sequence[UrlGroup], window_s: float) -> None:
        """One more refresh: a URL that is not asked for any more goes on at zero until all it had is zero."""
        busy = heapq.nlargest(URLS_MAX, (group for group in groups if group.recent), attrgetter("recent"))
        now = {url_key(group): group.recent / window_s for group in busy}
        kept: dict[UrlKey, deque[float]] = {}
        for key in [*now, *(key for key in self._points if key not in now)][:URLS_MAX]:
            points = self._points.get(key) or deque(maxlen=POINTS)
            points.append(now.get(key, 0.0))
            if any(points):
                kept[key] = points
        self._points = kept

    def of(self, key: UrlKey) -> Sequence[float]:
        """Rates of the last refreshes, oldest first; empty when not followed."""
        return tuple(self._points.get(key, ()))
