"""Latencies in buckets: percentiles that are right, in bounded room."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dynalab.sim.latency import Latencies


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=200), st.sampled_from([50, 90, 99, 99.9, 100]))
def test_percentiles_are_exact_to_three_percent(latencies: list[int], percent: float) -> None:
    """A percentile is the latency that so many did not exceed, rounded up by at most 1/32."""
    seen = Latencies()
    for latency in latencies:
        seen.add(latency)
    rank = -(-len(latencies) * percent // 100)
    exact = sorted(latencies)[max(int(rank), 1) - 1]
    assert exact <= seen.percentile_us(percent) <= exact * (1 + 1 / 32) + 1


def test_room_does_not_grow_with_requests() -> None:
    """A hundred thousand latencies take no more buckets than their range asks for."""
    seen = Latencies()
    for latency in range(100_000):
        seen.add(latency)
    assert len(seen._buckets) < 500
    assert seen.count == 100_000


def test_nothing_seen_is_zero() -> None:
    """Without requests there is no latency."""
    assert Latencies().summary() == {"count": 0, "p50_ms": 0, "p99_ms": 0, "p99_9_ms": 0, "max_ms": 0}
