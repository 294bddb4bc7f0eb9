"""Histograms and windows against plain arithmetic."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httptop import stats

NS = st.integers(0, 2**63 - 1)


@given(NS)
def test_bucket_is_right_within_its_step(value: int) -> None:
    """The middle of a value's bucket is within 1.6 % of the value, below 32 ns exactly it."""
    middle = stats.bucket_ns(stats.bucket(value))
    assert abs(middle - value) <= value / 2**stats.SUB_BITS / 2 + 0.5
    assert stats.bucket(value) < stats.BUCKETS


@given(NS, NS)
def test_buckets_keep_order(one: int, other: int) -> None:
    """A longer time is never in an earlier bucket."""
    low, high = sorted((one, other))
    assert stats.bucket(low) <= stats.bucket(high)


@given(st.lists(st.integers(1, 10**11), min_size=1, max_size=300))
def test_quantiles_are_nearest_rank(values: list[int]) -> None:
    """p50, p95 and p99 are the value of rank ceil(q n), within a bucket's step; the maximum is exact."""
    latency = stats.latency_ms(Counter(map(stats.bucket, values)).items(), max(values))
    assert latency is not None
    ranked = sorted(values)
    for percent, found in ((50, latency.p50), (95, latency.p95), (99, latency.p99)):
        expected = ranked[math.ceil(len(values) * percent / 100) - 1] / 1e6
        assert abs(found - expected) <= expected / 60 + 1e-6
    assert latency.p50 <= latency.p95 <= latency.p99 <= latency.max == max(values) / 1e6


def test_no_answers_no_quantiles() -> None:
    """An empty histogram has none."""
    assert stats.latency_ms((), 0) is None


@given(st.lists(st.lists(st.integers(0, 1900), max_size=5), max_size=60))
def test_merged_adds_up(draws: list[list[int]]) -> None:
    """Merging few or many histograms gives the count of all their values."""
    histograms = [tuple(sorted(Counter(draw).items())) for draw in draws]
    assert stats.merged(histograms) == tuple(sorted(Counter(value for draw in draws for value in draw).items()))


@given(st.lists(st.integers(0, 60_000_000_000), max_size=100), st.integers(1, 10), st.integers(0, 30_000_000_000))
def test_rolling_window(times: list[int], seconds: int, wait: int) -> None:
    """Each of the last full seconds has the events of that second, in whatever order they came."""
    rolling = stats.Rolling(seconds)
    for ts_ns in sorted(times):
        rolling.add(ts_ns)
    now = max(times, default=0) + wait
    second = now // 10**9
    expected = tuple(sum(ts // 10**9 == s for ts in times) for s in range(second - seconds, second))
    assert rolling.per_second(now) == expected
    assert rolling.recent(now) == sum(second - seconds <= ts // 10**9 <= second for ts in times)


@pytest.mark.parametrize(("since_s", "now_s", "expected"), [
    (10.0, 10.5, (0, 100)), (9.75, 10.25, (50, 50)), (9.9, 10.3, (25, 75)), (9.0, 10.0, (100, 0)),
    (10.2, 10.2, (0, 100)), (8.5, 10.5, (50, 25)), (6.0, 11.0, (20, 20))])
def test_what_is_counted_at_once_came_bit_by_bit(since_s: float, now_s: float, expected: tuple[int, int]) -> None:
    """A history that shows each second does not show when the counts were read."""
    rolling = stats.Rolling(5)
    rolling.spread(round(since_s * 1e9), round(now_s * 1e9), 100)
    assert rolling.per_second(11_000_000_000)[-2:] == pytest.approx(expected, abs=1)
