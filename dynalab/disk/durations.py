"""How long something took, again and again: a histogram that costs a node next to nothing."""

from __future__ import annotations

from bisect import bisect_left

BOUNDS_US = (50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000)
"""Upper ends of the classes; a last class has no end."""


class Durations:
    """Counts of durations by class, and their sum.

    >>> taken = Durations()
    >>> taken.add(60_000); taken.add(2_000_000_000)
    >>> taken.told()["count"], taken.told()["total_us"], taken.told()["classes"][:2]
    (2, 2000060, [0, 1])
    """

    __slots__ = ("_classes", "_total_ns")

    def __init__(self) -> None:
        self._classes = [0] * (len(BOUNDS_US) + 1)
        self._total_ns = 0

    def add(self, nanoseconds: int) -> None:
        """One more duration."""
        self._classes[bisect_left(BOUNDS_US, nanoseconds / 1000)] += 1
        self._total_ns += nanoseconds

    def told(self) -> dict[str, object]:
        """``{"count", "total_us", "classes": how many in each class of BOUNDS_US, and beyond}``"""
        return {"count": sum(self._classes), "total_us": self._total_ns // 1000, "classes": list(self._classes)}
