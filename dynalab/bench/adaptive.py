"""A client that meets a deadline: it learns who is slow, and chooses whom to ask, for how many answers, and when again.

Theory of operation (2.2: what counts is the 99.9th percentile, not the mean).
The **policy** is a value without clock or network: it is told how long each node took, and answers three questions.
Whom to ask: the home that has answered fastest of late, mostly; now and then another, to learn.
For how many answers: R, as long as the chosen node's slow answers (its 95th percentile) still fit the deadline; else 1.
When to ask somebody else too (a **hedge**): once an answer is later than that percentile, if the budget allows.
The **budget** is a share of all requests, saved up to a few: hedges cannot double the load on a cluster that is slow.

Rule 1: what a deadline costs in freshness is said: an answer from fewer than R replicas is marked.
Rule 2: a node that was slow is tried again, so one that recovers is found out.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

from dynalab.core.errors import DynalabError

WINDOW = 40
"""Latencies remembered of each node: few, so that news counts."""
SLOW_SHARE = 0.95
EXPLORE = 0.04
"""How often another node is asked, only to learn."""
SAVED_MAX = 10.0
"""Hedges that can be saved up."""


class Plan(NamedTuple):
    """What to do with one read: whom to ask, for how many answers, after how long to ask whom else."""

    node: str
    r: int
    hedge_ms: float
    other: str | None


@dataclass
class Counts:
    """What the policy has decided so far."""

    reads: int = 0
    weakened: int = 0
    hedges: int = 0


class Policy:
    """Decides for one client.

    Args:
        r: how many answers a read should have.
        deadline_ms: what a read may take.
        budget: hedges allowed for each read, like 0.1.
        random: for exploring.
    """

    def __init__(self, r: int, deadline_ms: float, budget: float, random: Random) -> None:
        self.counts = Counts()
        self._r = r
        self._deadline_ms = deadline_ms
        self._budget = budget
        self._saved = 1.0 if budget else 0.0
        self._random = random
        #: {(node, r): its last latencies in ms}
        self._seen: dict[tuple[str, int], deque[float]] = {}
        #: unknown ones that somebody is trying: one read at a time finds out, the others do not follow blindly
        self._trying: set[tuple[str, int]] = set()

    def plan(self, homes: Sequence[str]) -> Plan:
        """How to read a key that these nodes keep."""
        self.counts.reads += 1
        self._saved = min(SAVED_MAX, self._saved + self._budget)
        by_speed = sorted(homes, key=lambda node: self.slow_ms(node, self._r))
        exploring = self._random.random() < EXPLORE
        if exploring:
            self._random.shuffle(by_speed)
        node, r = by_speed[0], self._r
        if self.slow_ms(node, r) > self._deadline_ms and r > 1 and not exploring:
            r = 1
            node = min(homes, key=lambda node: self.slow_ms(node, 1))
            self.counts.weakened += 1
        if (node, r) not in self._seen:
            self._trying.add((node, r))
        others = [home for home in by_speed if home != node]
        wait_ms = min(self.slow_ms(node, r) or self._deadline_ms / 2, self._deadline_ms / 2)
        return Plan(node, r, wait_ms, others[0] if others else None)

    def may_hedge(self) -> bool:
        """Whether the budget allows one more request; if so, it is spent."""
        if self._saved < 1:
            return False
        self._saved -= 1
        self.counts.hedges += 1
        return True

    def learn(self, node: str, r: int, took_ms: float) -> None:
        """A read through this node, for so many answers, has taken so long; or longer, if it was given up."""
        self._seen.setdefault((node, r), deque(maxlen=WINDOW)).append(took_ms)

    def slow_ms(self, node: str, r: int) -> float:
        """What this node exceeds in one of twenty reads; 0 while nobody has tried it: unknown nodes are tried."""
        seen = sorted(self._seen.get((node, r), ()))
        if not seen:
            return self._deadline_ms if (node, r) in self._trying else 0.0
        return seen[min(len(seen) - 1, int(SLOW_SHARE * len(seen)))]


class AdaptiveReader:
    """Reads through a client of either world's `aio`, by a policy.

    Args:
        client: a client with `aio`.
        ring: knows the homes of a key.
        n: how many homes a key has.
        policy: decides.
        timeout_ms: what is asked of the cluster; the deadline is the policy's.
    """

    def __init__(self, client: Any, ring: Any, n: int, policy: Policy, timeout_ms: int = 1_000) -> None:
        self.policy = policy
        self._client = client
        self._ring = ring
        self._n = n
        self._timeout_ms = timeout_ms
        self._late: set[asyncio.Task[Any]] = set()

    async def get(self, key: str) -> tuple[Any, int]:
        """The first answer, and how many replicas it is from.

        Raises:
            DynalabError: whoever was asked has failed.
        """
        plan = self.policy.plan(self._ring.preference_list(key, self._n))
        first = self._ask(plan.node, key, plan.r)
        await asyncio.wait([first], timeout=plan.hedge_ms / 1000)
        if first.done() or plan.other is None or not self.policy.may_hedge():
            return await first, plan.r
        second = self._ask(plan.other, key, plan.r)
        done, _ = await asyncio.wait([first, second], return_when=asyncio.FIRST_COMPLETED)
        good = [task for task in done if task.exception() is None]
        return await (good[0] if good else second if first in done else first), plan.r

    async def finish(self) -> None:
        """Wait for answers that nobody waits for any more: the policy learns from them too."""
        await asyncio.gather(*self._late, return_exceptions=True)

    def _ask(self, node: str, key: str, r: int) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(self._timed(node, key, r))
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        return task

    async def _timed(self, node: str, key: str, r: int) -> Any:
        try:
            got = await self._client.aio.get(key, r=r, via=node, timeout_ms=self._timeout_ms)
        except DynalabError:
            self.policy.learn(node, r, float(self._timeout_ms))
            raise
        self.policy.learn(node, r, got.latency_ms)
        return got
