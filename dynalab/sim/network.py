"""The network in virtual time: when every copy of a message arrives, if any does.

Theory of operation.
A message takes a latency drawn from one distribution; `Faults` then decide what else befalls it.
Messages of one link arrive in the order they were sent, as they do over TCP,
except those that a link rule holds back (``delay_ms``, ``reorder``): others overtake them.

Rule 1: a cut loses what is sent into it, and what is still on its way when it falls.
Rule 2: clients are on no side: partitions and link rules are between nodes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from math import floor, isfinite
from random import Random

from dynalab.core.errors import InvalidSetting
from dynalab.core.faults import Faults

LATENCY_MS_MAX = 600_000

Latency = tuple[float, float] | Callable[[Random], float]
"""``(low, high)`` in milliseconds, drawn evenly; or a function that draws milliseconds."""


class Network:
    """Draws the fate of messages.

    Args:
        random: the network's own dice.
        latency: how long a message takes.

    Attributes:
        faults: all that is wrong with the network now.
        is_whole: whether nothing is; kept for quick look-up.
    """

    __slots__ = ("_draw_us", "_latest", "_low_us", "_random", "_span_us", "_toss", "faults", "is_whole")

    def __init__(self, random: Random, latency: Latency) -> None:
        self._random = random
        #: None: drawn evenly, from `_low_us` on
        self._draw_us = _checked_drawer(latency, random) if callable(latency) else None
        self._low_us, self._span_us = (0, 0) if callable(latency) else _bounds_us(latency)
        self._toss = random.random
        #: {from: {to: arrival of the last message that was not held back}}
        self._latest: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self.faults = Faults()
        self.is_whole = True

    def change(self, faults: Faults) -> None:
        """From now on, these faults."""
        self.faults = faults
        self.is_whole = not faults.cuts and not faults.rules

    def arrival_us(self, sender: str, to: str, now_us: int) -> int:
        """When a message sent now arrives on a link that nothing is wrong with."""
        if self._draw_us is None:
            arrival = now_us + self._low_us + floor(self._toss() * self._span_us)
        else:
            arrival = now_us + self._draw_us()
        latest = self._latest[sender]
        before = latest.get(to, 0)
        if before > arrival:
            return before
        latest[to] = arrival
        return arrival

    def arrivals_us(self, sender: str, to: str, now_us: int) -> list[int]:
        """When every copy of a message sent now arrives; empty when it is lost."""
        if self.faults.is_cut(sender, to):
            return []
        extra = self.faults.rule(sender, to).fate(self._random)
        return [self.arrival_us(sender, to, now_us) + held_back for held_back in extra]

    def is_cut(self, sender: str, to: str) -> bool:
        """Whether nothing gets from `sender` to `to` now."""
        return self.faults.is_cut(sender, to)


def drawer_us(latency: Latency, random: Random) -> Callable[[], int]:
    """A function that draws a latency in microseconds.

    Raises:
        InvalidSetting: neither a function nor ``0 <= low <= high <= 600,000``.
    """
    if callable(latency):
        return _checked_drawer(latency, random)
    low_us, span_us = _bounds_us(latency)
    return lambda: low_us + int(random.random() * span_us)


def _bounds_us(latency: object) -> tuple[int, int]:
    """The least latency, and how much longer the longest is."""
    if not isinstance(latency, (tuple, list)) or len(latency) != 2:
        raise InvalidSetting(f"latency_ms must be a pair (low, high) or a function of a Random; got {latency!r:.80}")
    low, high = latency
    if (
        not isinstance(low, (int, float))
        or not isinstance(high, (int, float))
        or not 0 <= low <= high <= LATENCY_MS_MAX
    ):
        raise InvalidSetting(f"latency_ms must have 0 <= low <= high <= {LATENCY_MS_MAX}; got {latency!r:.80}")
    return int(low * 1000), int((high - low) * 1000)


def _checked_drawer(draw_ms: Callable[[Random], float], random: Random) -> Callable[[], int]:
    def draw_us() -> int:
        latency = draw_ms(random)
        if not isinstance(latency, (int, float)) or not isfinite(latency) or not 0 <= latency <= LATENCY_MS_MAX:
            raise InvalidSetting(f"latency_ms must draw from 0 to {LATENCY_MS_MAX} ms; it drew {latency!r:.80}")
        return int(latency * 1000)

    return draw_us
