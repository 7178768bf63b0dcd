"""Which nodes a client may ask for a key, as the ring says (paper 6.4), remembered for the keys it asks for."""

from __future__ import annotations

from dynalab.core.ring import Ring, position_of

WALKS_KEPT = 4_096
"""Of so many keys the walk is remembered; then all are forgotten, which costs less than to know the oldest."""


class Walks:
    """The walks of one ring; any thread may look.

    Args:
        ring: where the walks are; another ring needs another object, so none of them is ever of a former ring.

    Attributes:
        known: {key: all nodes, in the order of preference}, of keys that were asked for.
    """

    __slots__ = ("known", "ring")

    def __init__(self, ring: Ring) -> None:
        self.ring = ring
        self.known: dict[bytes, tuple[str, ...]] = {}

    def of(self, key: bytes) -> tuple[str, ...]:
        """All nodes in the order of preference for a key; none in a ring without nodes."""
        if not self.ring.nodes:
            return ()
        if len(self.known) >= WALKS_KEPT:
            self.known = {}
        walk = self.known[key] = self.ring.walk(position_of(key))
        return walk
