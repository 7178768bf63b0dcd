"""A node's timers, by name.

Background rounds are kept in step: a round of so many milliseconds begins at a multiple of them on the cluster's clock,
so all rounds of a node, and those of about five nodes, share their wake-ups.
Most of what an idle cluster costs is waking up; but were all of fifty nodes to speak at once, clients would wait.
"""

from __future__ import annotations

from heapq import heappop, heappush
from zlib import crc32

from dynalab.core.desk import NEVER_US
from dynalab.core.effects import CancelTimer, SetTimer

ROUNDS = frozenset({"ping", "gossip", "handoff", "antientropy"})
"""Timers of background rounds."""

NODES_IN_STEP = 5
"""So many nodes begin their rounds together, about; others at other times."""

SPREAD_US = 500_000
"""The groups of nodes that are in step are spread over so long."""

STALE_LOOK = 64
"""After so many timers were set, those that were cancelled or moved are thrown away, if they are the most."""

_Entry = tuple[int, int, str, int]


def place_us(node: str, peers: int, name: str = "") -> int:
    """How far behind a multiple of its period a node begins its rounds; 0 for all nodes of a small cluster.

    But an exchange of anti-entropy may be work: half of the nodes begin theirs with the next ping but one.

    >>> place_us("B", 4), place_us("B", 20), place_us("B", 4, "antientropy"), place_us("D", 4, "antientropy")
    (0, 300000, 500000, 0)
    """
    groups = peers // NODES_IN_STEP + 1
    number = crc32(node.encode())
    behind_us = number % groups * SPREAD_US // groups
    return behind_us + number % 2 * SPREAD_US if name == "antientropy" else behind_us


def due_us(name: str, now_us: int, delay_us: int, behind_us: int = 0) -> int:
    """When `name` is due that was set for `delay_us` from now: a round at the nearest time that keeps it in step.

    `behind_us`: see `place_us`.

    >>> due_us("ping", 1_002_300, 500_000), due_us("request:q1", 1_002_300, 500_000), due_us("handoff", 1_002_300, 0)
    (1500000, 1502300, 1002300)
    """
    time_us = now_us + delay_us
    if name not in ROUNDS or not delay_us:
        return time_us
    return (time_us - behind_us + delay_us // 2) // delay_us * delay_us + behind_us


class Timers:
    """Names, when they are due, and what set them; setting a name again moves it.

    Args:
        node: whose they are.

    >>> timers = Timers()
    >>> timers.set("ping", 30), timers.set("gossip", 10), timers.set("ping", 20, cause=7)
    (None, None, None)
    >>> timers.due(25)
    [('gossip', 0), ('ping', 7)]
    """

    def __init__(self, node: str = "") -> None:
        self._node = node
        #: {name: (due in microseconds, order, name, cause)}
        self._armed: dict[str, _Entry] = {}
        #: heap of the same; those that are not in `_armed` any more are stale
        self._heap: list[_Entry] = []
        self._order = 0

    def follow(self, wish: SetTimer | CancelTimer, now_us: int, peers: int, cause: int) -> None:
        """Do what the node wishes, which has so many peers and does so because of `cause`."""
        name = wish.name
        if type(wish) is CancelTimer:
            self.cancel(name)
            return
        assert type(wish) is SetTimer
        behind_us = place_us(self._node, peers, name) if name in ROUNDS else 0
        self.set(name, due_us(name, now_us, wish.delay_us, behind_us), cause)

    def set(self, name: str, due_us: int, cause: int = 0) -> None:
        """`name` is due at `due_us`, and at no other time, because of `cause`."""
        self._order = order = self._order + 1
        self._armed[name] = entry = (due_us, order, name, cause)
        heappush(self._heap, entry)
        if order % STALE_LOOK == 0 and len(self._heap) > 4 * len(self._armed):
            self._heap = sorted(self._armed.values())

    def cancel(self, name: str) -> None:
        """Forget `name`; fine when it is not set."""
        self._armed.pop(name, None)

    def due(self, now_us: int) -> list[tuple[str, int]]:
        """``(name, cause)`` of those due by now, the earliest first; they are set no more."""
        fired = []
        while self._heap and self._heap[0][0] <= now_us:
            entry = heappop(self._heap)
            _, _, name, cause = entry
            if self._armed.get(name) is entry:
                del self._armed[name]
                fired.append((name, cause))
        return fired

    def next_due_us(self) -> int:
        """When the next timer is due; `NEVER_US`: none is set."""
        heap = self._heap
        while heap:
            entry = heap[0]
            if self._armed.get(entry[2]) is entry:
                return entry[0]
            heappop(heap)
        return NEVER_US

    def __len__(self) -> int:
        return len(self._armed)
