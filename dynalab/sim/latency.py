"""How long requests took: counts in buckets, so that a million of them take no more room than ten.

A bucket spans 1/32 of its own latency, so a percentile is exact to about 3 %.
"""

from __future__ import annotations

from typing import Any

_FINE_BITS = 5
_FINE = 1 << _FINE_BITS


class Latencies:
    """The latencies of one kind of request, in microseconds.

    >>> seen = Latencies()
    >>> for microseconds in range(1, 1001):
    ...     seen.add(microseconds)
    >>> 480 <= seen.percentile_us(50) <= 515
    True
    """

    __slots__ = ("_buckets", "count", "max_us")

    def __init__(self) -> None:
        #: {bucket: how many}
        self._buckets: dict[int, int] = {}
        self.count = 0
        self.max_us = 0

    def add(self, latency_us: int) -> None:
        """One more request took so long.

        Below 64 each microsecond has its own bucket; above, each power of two has 32.
        """
        shift = latency_us.bit_length() - _FINE_BITS - 1
        bucket = (shift << _FINE_BITS) + (latency_us >> shift) if shift > 0 else latency_us
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1
        self.count += 1
        if latency_us > self.max_us:  # noqa: PLR1730 - the faster form
            self.max_us = latency_us

    def percentile_us(self, percent: float) -> int:
        """The latency that `percent` of the requests did not exceed; 0 when there were none."""
        wanted = self.count * percent / 100
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return min(_upper_us(bucket), self.max_us)
        return 0

    def summary(self) -> dict[str, Any]:
        """Count, p50, p99, p99.9 and maximum, in milliseconds."""
        percentiles = {"p50_ms": 50, "p99_ms": 99, "p99_9_ms": 99.9}
        return {
            "count": self.count,
            **{name: self.percentile_us(percent) / 1000 for name, percent in percentiles.items()},
            "max_ms": self.max_us / 1000,
        }


def _upper_us(bucket: int) -> int:
    """The largest latency of a bucket."""
    shift = max(0, (bucket >> _FINE_BITS) - 1)
    return (((bucket - (shift << _FINE_BITS)) + 1) << shift) - 1
