"""Which of many differing keys an exchange repairs first (paper 4.7, 6.5).

Theory of operation.
After a long outage an exchange has thousands of keys to swap, and admission control lets a few go at a time.
**plain** swaps them as they are found, key range by key range.
**hot** finds them all first, then begins with those read most: most reads are fresh long before most keys are.
**cold** begins with those read least, the longest untouched first: read repair heals the hot ones anyway (5).
Ties: the leaf with more differing keys first, then the older write.

Rule 1: the order decides when a key is repaired, never whether.
Rule 2: what is known of reads is local, bounded, and halves as it grows, so that old fame fades.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from dynalab.core.merkle import leaf_of
from dynalab.core.version import Siblings

READS_REMEMBERED = 100_000


class Heat:
    """How often each key was read of late, on one node.

    >>> heat = Heat()
    >>> heat.add(b"cart"); heat.add(b"cart"); heat.of(b"cart"), heat.of(b"wish")
    (2, 0)
    """

    def __init__(self) -> None:
        self._reads: dict[bytes, int] = {}
        self._total = 0

    def add(self, key: bytes) -> None:
        """It was read once more."""
        self._reads[key] = self._reads.get(key, 0) + 1
        self._total += 1
        if self._total >= READS_REMEMBERED:
            self._reads = {key: reads // 2 for key, reads in self._reads.items() if reads > 1}
            self._total = sum(self._reads.values())

    def of(self, key: bytes) -> int:
        """Its reads; 0 for a key nobody asked for."""
        return self._reads.get(key, 0)


def in_order(order: str, keys: Sequence[bytes], heat: Heat, record: Callable[[bytes], Siblings]) -> list[bytes]:
    """The keys in the order of repair.

    Args:
        order: ``hot`` or ``cold``; anything else leaves them as they are.
        keys: those that differ.
        heat: what this node knows of reads.
        record: answers what this node holds of a key.
    """
    if order not in ("hot", "cold"):
        return list(keys)
    sign = -1 if order == "hot" else 1
    crowd = Counter(leaf_of(key) for key in keys)
    return sorted(keys, key=lambda key: (sign * heat.of(key), -crowd[leaf_of(key)], _written_us(record(key)), key))


def _written_us(state: Siblings) -> int:
    """When the newest version held here was written; 0 when nothing is held: nobody lags more."""
    return max((version.wall_us for version in state.versions), default=0)
