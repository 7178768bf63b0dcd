"""A node's timers, by name.

Background rounds are kept in step: a round of so many milliseconds begins at a multiple of them on the cluster's clock,
so all rounds of a node, and those of about five nodes, share their wake-ups.
Most of what an idle cluster costs is waking up; but were all of fifty nodes to speak at once, clients would wait.
"""

from __future__ import annotations

import heapq
from zlib import crc32

ROUNDS = frozenset({"ping", "gossip", "handoff", "antientropy"})
"""Timers of background rounds."""

NODES_IN_STEP = 5
"""So many nodes begin their rounds together, about; others at other times."""

SPREAD_US = 500_000
"""The groups of nodes that are in step are spread over so long."""


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

    >>> timers = Timers()
    >>> timers.set("ping", 30), timers.set("gossip", 10), timers.set("ping", 20, cause=7)
    (None, None, None)
    >>> timers.due(25)
    [('gossip', 0), ('ping', 7)]
    """

    def __init__(self) -> None:
        #: {name: (due in microseconds, order, cause)}
        self._armed: dict[str, tuple[int, int, int]] = {}
        #: heap of (due, order, name); entries that are not in `_armed` are stale
        self._heap: list[tuple[int, int, str]] = []
        self._order = 0

    def set(self, name: str, due_us: int, cause: int = 0) -> None:
        """`name` is due at `due_us`, and at no other time, because of `cause`."""
        self._order += 1
        self._armed[name] = (due_us, self._order, cause)
        heapq.heappush(self._heap, (due_us, self._order, name))
        if len(self._heap) > 64 and len(self._heap) > 4 * len(self._armed):
            self._heap = sorted((due, order, name) for name, (due, order, _) in self._armed.items())

    def cancel(self, name: str) -> None:
        """Forget `name`; fine when it is not set."""
        self._armed.pop(name, None)

    def due(self, now_us: int) -> list[tuple[str, int]]:
        """``(name, cause)`` of those due by now, the earliest first; they are set no more."""
        fired = []
        while self._heap and self._heap[0][0] <= now_us:
            entry = heapq.heappop(self._heap)
            if self._is_armed(entry):
                name = entry[2]
                fired.append((name, self._armed.pop(name)[2]))
        return fired

    @property
    def next_due_us(self) -> int | None:
        """When the next timer is due."""
        while self._heap and not self._is_armed(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def _is_armed(self, entry: tuple[int, int, str]) -> bool:
        armed = self._armed.get(entry[2])
        return armed is not None and armed[1] == entry[1]

    def __len__(self) -> int:
        return len(self._armed)
