"""What became of the requests of all clients, and how long they took."""

from __future__ import annotations

from collections import deque
from typing import Any

LATENCIES_KEPT = 10_000
"""Percentiles are exact, over so many of the latest requests of a kind."""

KINDS = ("put", "get", "delete")


class Tally:
    """Counts and latencies by kind; written by any thread, one short step at a time."""

    def __init__(self) -> None:
        #: {kind: latest latencies in microseconds}
        self._latencies: dict[str, deque[int]] = {kind: deque(maxlen=LATENCIES_KEPT) for kind in KINDS}
        self._answered = dict.fromkeys(KINDS, 0)
        #: {kind: {error: count}}
        self._failed: dict[str, dict[str, int]] = {kind: {} for kind in KINDS}

    def answered(self, kind: str, latency_us: int) -> None:
        """One more request of this kind was answered."""
        self._answered[kind] += 1
        self._latencies[kind].append(latency_us)

    def failed(self, kind: str, error: BaseException) -> None:
        """One more request of this kind ended so."""
        name = type(error).__name__
        self._failed[kind][name] = self._failed[kind].get(name, 0) + 1

    def operations(self) -> dict[str, dict[str, Any]]:
        """``{kind: {count, p50_ms, p99_ms, p99_9_ms, max_ms, failed: {error: count}}}``"""
        return {kind: {**self._summary(kind), "failed": dict(self._failed[kind])} for kind in KINDS}

    def _summary(self, kind: str) -> dict[str, Any]:
        latest = sorted(self._latencies[kind])
        return {
            "count": self._answered[kind],
            "p50_ms": percentile(latest, 50) / 1000,
            "p99_ms": percentile(latest, 99) / 1000,
            "p99_9_ms": percentile(latest, 99.9) / 1000,
            "max_ms": (latest[-1] if latest else 0) / 1000,
        }


def percentile(ascending: list[int], percent: float) -> int:
    """The least of the values that `percent` of them do not exceed; 0 when there are none.

    >>> percentile(list(range(1, 101)), 99)
    99
    """
    if not ascending:
        return 0
    place = -(-len(ascending) * percent // 100) - 1
    return ascending[max(0, int(place))]
