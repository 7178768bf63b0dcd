"""A node's disk in the simulation: what a crash leaves of it (paper 5, 6.1).

Theory of operation.
The disk is a memory engine that outlives its node.
What the node committed is what it finds again; what it only staged is gone.

    storage memory, or durability memory    everything is lost
    durability durable                      nothing is lost
    durability buffered                     the last commits, a random number of them, are lost;
                                            never membership or incarnation, which are rare and synced at once,
                                            nor a write that this node was asked to sync (6.1)

Rule 1: after a crash that may have cost a commit the disk says so: `complete` is False.
"""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Any

from dynalab.core.config import Config
from dynalab.core.store import MemoryStore

UNSYNCED_COMMITS_MAX = 64
"""A buffered disk syncs behind the node; so many commits at the most are not yet safe."""


class SimDisk(MemoryStore):
    """The storage engine of a simulated node.

    Args:
        config: `storage` and `durability` say what survives.
        random: dice for the length of a lost tail.
        complete: False for a disk whose content was lost.
    """

    def __init__(self, config: Config, random: Random, complete: bool = True) -> None:
        super().__init__(complete)
        self._config = config
        self._random = random
        self.survives = config.storage != "memory" and config.durability != "memory"
        self._buffered = self.survives and config.durability == "buffered"
        self._sync_next = False
        #: the undo list of every commit not yet synced, oldest first
        self._unsynced: deque[list[tuple[dict[Any, Any], Any, Any]]] = deque(maxlen=UNSYNCED_COMMITS_MAX)

    def sync_next(self) -> None:
        self._sync_next = True

    def put_meta(self, name: str, value: Any) -> None:
        super().put_meta(name, value)
        self._sync_next = True  # Membership and incarnation are synced at once, and with them all before (4.8.1).

    def commit(self) -> None:
        if self._sync_next:
            self._sync_next = False
            self._unsynced.clear()
            self._undo.clear()
        elif not self._undo:
            return
        elif self._buffered:
            self._unsynced.append(self._undo)
            self._undo = []
        else:
            self._undo.clear()

    def rollback(self) -> None:
        super().rollback()
        self._sync_next = False

    def after_crash(self, wipe: bool = False) -> SimDisk:
        """What the node finds when it starts again; `wipe`: an empty disk."""
        if wipe or not self.survives:
            return SimDisk(self._config, self._random, complete=False)
        self.rollback()
        self.complete = not self._buffered
        for _ in range(self._random.randint(0, len(self._unsynced)) if self._unsynced else 0):
            self._undo = self._unsynced.pop()
            self.rollback()
        self._unsynced.clear()
        return self

    def close(self) -> None:
        super().close()
        self._unsynced.clear()
