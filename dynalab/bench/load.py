"""Loads in the style of YCSB: which key is asked for next, and what is done with it.

Theory of operation.
Zipfian keys: the key of rank i (from 1) is drawn with weight ``1 / i ** 0.99``; ranks are scattered over the key space
by their names alone, since keys are hashed onto the ring. Uniform keys: all alike.
Workload D reads what was written last: ranks count back from the newest key.

    A   half reads, half updates            a session store
    B   95 % reads, 5 % updates             photo tags
    C   reads only                          a profile cache
    D   95 % reads of the latest, 5 % new   status updates
    F   half reads, half read, modify, write  a counter in a record
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from random import Random
from typing import NamedTuple

from dynalab.core.clock import Context
from dynalab.core.operations import Operation

SKEW = 0.99
"""YCSB's constant."""
VALUE = "v" * 100


class Mix(NamedTuple):
    """The shares of a workload; they add up to 1."""

    read: float
    update: float = 0.0
    insert: float = 0.0
    modify: float = 0.0


WORKLOADS = {
    "A": Mix(0.5, update=0.5),
    "B": Mix(0.95, update=0.05),
    "C": Mix(1.0),
    "D": Mix(0.95, insert=0.05),
    "F": Mix(0.5, modify=0.5),
}


class Ranks:
    """Draws ranks 0 .. count - 1, the first ones most often when `zipfian`.

    >>> ranks = Ranks(100, Random(1), zipfian=True)
    >>> drawn = [ranks.next() for _ in range(1000)]
    >>> drawn.count(0) > 5 * drawn.count(50)
    True
    """

    def __init__(self, count: int, random: Random, zipfian: bool) -> None:
        self._random = random
        self._sums = list(accumulate(1 / rank**SKEW if zipfian else 1.0 for rank in range(1, count + 1)))

    def next(self) -> int:
        """One rank."""
        return bisect_left(self._sums, self._random.random() * self._sums[-1])

    def share(self, rank: int) -> float:
        """How often this rank is drawn."""
        below = self._sums[rank - 1] if rank else 0.0
        return (self._sums[rank] - below) / self._sums[-1]


def key_of(rank: int) -> str:
    """The key of a rank."""
    return f"user{rank}"


class Load:
    """An endless load of one workload over `keys` keys.

    Args:
        workload: ``A``, ``B``, ``C``, ``D`` or ``F``.
        keys: how many there are at first.
        random: the dice.
        zipfian: whether some keys are much more popular; D's latest keys always are.
    """

    def __init__(self, workload: str, keys: int, random: Random, zipfian: bool = True) -> None:
        self.mix = WORKLOADS[workload]
        self.latest = workload == "D"
        self.keys = keys
        self._random = random
        self._ranks = Ranks(keys, random, zipfian)

    def next(self) -> tuple[str, str]:
        """``(kind, key)``: a read, update, insert or modify of a key."""
        (kind,) = self._random.choices(Mix._fields, weights=self.mix)
        if kind == "insert":
            self.keys += 1
            return kind, key_of(self.keys - 1)
        rank = self._ranks.next()
        return kind, key_of(self.keys - 1 - rank if self.latest else rank)

    def operations(self, count: int) -> Iterator[Operation]:
        """`count` operations for `client.many`; not for F, whose writes need the answers of its reads."""
        for _ in range(count):
            kind, key = self.next()
            yield ("get", key) if kind == "read" else written(key)


def written(key: str) -> Operation:
    """A write that replaces what its coordinator holds: clients of YCSB do not know of versions."""
    return ("put", key, VALUE, {"context": Context.LOCAL})


def filling(keys: int) -> Iterator[Operation]:
    """The operations that write every key once."""
    return (written(key_of(rank)) for rank in range(keys))
