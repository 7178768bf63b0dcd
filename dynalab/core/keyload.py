"""How many client requests each key range gets, as its coordinators see it (paper 6.2, load balance).

Old requests count less and less: all counts are halved every minute.
"""

from __future__ import annotations

from typing import Any

from dynalab.core.ring import Ring

HALF_LIFE_US = 60_000_000

COUNTED_TOGETHER = 1_000
"""Requests are counted so many at a time, or when somebody looks: a request has other worries."""


class KeyLoad:
    """Counts of one node, by the number of the key range; ranges of another ring are forgotten."""

    def __init__(self) -> None:
        #: positions of the keys of requests that are not counted yet
        self._fresh: list[int] = []
        #: {number of the key range: requests}
        self._counts: dict[int, float] = {}
        self._since_us = 0
        self._ring: Ring | None = None
        self._ranges = 0

    def count(self, ring: Ring, position: int, now_us: int) -> None:
        """One more request for a key at this position."""
        if len(self._fresh) >= COUNTED_TOGETHER or now_us - self._since_us > HALF_LIFE_US:
            self._count_fresh(ring, now_us)
        self._fresh.append(position)

    def _count_fresh(self, ring: Ring, now_us: int) -> None:
        if ring is not self._ring:
            self._look_at(ring)
        fresh, self._fresh = self._fresh, []
        for position in fresh if ring.nodes else ():
            key_range = ring.range_index(position)
            self._counts[key_range] = self._counts.get(key_range, 0) + 1
        if now_us - self._since_us > HALF_LIFE_US:
            self._halve(now_us)

    def _look_at(self, ring: Ring) -> None:
        """The ring changed; the counts stay as long as it is divided into as many key ranges."""
        self._ring = ring
        if len(ring.ranges) != self._ranges:
            self._counts, self._ranges = {}, len(ring.ranges)

    def told(self, ring: Ring, now_us: int) -> dict[str, Any]:
        """For inspections: ``{"load": {number of the key range, as text: requests}}``."""
        self._count_fresh(ring, now_us)
        return {"load": {str(number): round(count, 1) for number, count in sorted(self._counts.items())}}

    def _halve(self, now_us: int) -> None:
        times = (now_us - self._since_us) // HALF_LIFE_US
        by = 2.0**times
        self._counts = {number: count / by for number, count in self._counts.items() if count / by >= 0.5}
        self._since_us += times * HALF_LIFE_US
