"""A background load that a switch of the panel turns on: puts and gets of skewed keys at a chosen rate.

Theory of operation.
Keys are drawn as YCSB draws them: a few are asked for often, most of them rarely (Zipf, exponent 0.99).
On a live cluster requests are submitted by a thread and answered whenever they are; so many may be open, no more.
In a simulation the panel's ticks let virtual time pass as fast as real time does, with the requests spread over it.

Rule: a load never blocks anybody: what finds no room is counted as not sent.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from itertools import accumulate
from random import Random
from typing import Any

from dynalab.core.errors import DynalabError
from dynalab.panels.subject import SIM, Subject

KEYS = 500
SKEW = 0.99
RATE_MAX = 1_000
OPEN_MAX = 64
READS = 0.5
"""YCSB's workload A: half reads, half updates."""

BUDGET_S = 0.03
"""Real time one tick of a simulated load may take."""

PERIOD_S = 0.02


class Keys:
    """Keys with Zipf's popularity.

    >>> Keys(Random(1)).draw().startswith("user")
    True
    """

    def __init__(self, random: Random, count: int = KEYS) -> None:
        self._random = random
        self._edges = list(accumulate(1 / rank**SKEW for rank in range(1, count + 1)))

    def draw(self) -> str:
        """One key."""
        return f"user{bisect_left(self._edges, self._random.random() * self._edges[-1])}"


class Load:
    """The load on one cluster.

    Args:
        subject: the cluster.

    Attributes:
        rate: requests a second wanted; 0: off.
        sent, unsent: how many were submitted, and how many found no room.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.rate = 0
        self.sent = 0
        self.unsent = 0
        self._random = Random(1)
        self._keys = Keys(self._random)
        self._client: Any = None
        self._open = threading.Semaphore(OPEN_MAX)
        self._owed = 0.0
        self._thread: threading.Thread | None = None
        self._last_s = time.monotonic()

    def set_rate(self, rate: int) -> None:
        """So many requests a second from now on, 0 to `RATE_MAX`."""
        self.rate = max(0, min(RATE_MAX, rate))
        self._last_s = time.monotonic()
        if self.rate and self._client is None:
            self._client = self.subject.target.client("load")
        if self.rate and self.subject.kind != SIM and (self._thread is None or not self._thread.is_alive()):
            self._thread = threading.Thread(target=self._run, name="dynalab-panel-load", daemon=True)
            self._thread.start()

    # A live cluster ----------------------------------------------------------------------------

    def _run(self) -> None:
        pause = threading.Event()
        while self.rate and not self.subject.closed:
            pause.wait(PERIOD_S)
            for _ in range(self._due()):
                self._submit_live()

    def _due(self) -> int:
        """How many requests are due since the last time; a long pause is not made up for."""
        now_s = time.monotonic()
        self._owed = min(self._owed + (now_s - self._last_s) * self.rate, self.rate * 0.25 + 1)
        self._last_s = now_s
        due = int(self._owed)
        self._owed -= due
        return due

    def _submit_live(self) -> None:
        if not self._open.acquire(blocking=False):
            self.unsent += 1
            return
        try:
            future = self._submit()
        except DynalabError:
            self._open.release()
            self.unsent += 1
            return
        future.add_done_callback(lambda _: self._open.release())

    def _submit(self) -> Any:
        self.sent += 1
        key = self._keys.draw()
        if self._random.random() < READS:
            return self._client.submit_get(key)
        return self._client.submit_put(key, f"v{self.sent}")

    # A simulation ------------------------------------------------------------------------------

    def tick(self) -> bool:
        """Let a simulation's time pass with the load in it; answers whether anything was done."""
        if not self.rate or self.subject.kind != SIM:
            return False
        begun = time.monotonic()
        for _ in range(self._due()):
            if time.monotonic() - begun > BUDGET_S:
                self.unsent += 1
                continue
            try:
                self._submit()
            except DynalabError:
                self.unsent += 1
            self.subject.target.run(ms=1000 / self.rate)
        return True
