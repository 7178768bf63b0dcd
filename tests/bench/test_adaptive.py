"""The client with a deadline: whom it asks, when it settles for less, and that its budget holds."""

from __future__ import annotations

import asyncio
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from dynalab.bench.adaptive import EXPLORE, SAVED_MAX, AdaptiveReader, Policy
from dynalab.core.errors import ReadQuorumNotReached

HOMES = ["A", "B", "C"]


def taught(policy: Policy, **times: float) -> Policy:
    """A policy that has seen each node take so long, for one answer and for two."""
    for node, took_ms in times.items():
        for r in (1, 2):
            for _ in range(40):
                policy.learn(node, r, took_ms)
    return policy


def test_the_fastest_home_is_asked() -> None:
    """A slow node is avoided, but now and then asked again to learn."""
    policy = taught(Policy(2, 50, 0, Random(1)), A=100, B=3, C=20)
    asked = [policy.plan(HOMES).node for _ in range(2_000)]
    assert asked.count("B") / 2_000 > 1 - 2 * EXPLORE
    assert "A" in asked


def test_a_node_that_recovers_is_found_out() -> None:
    """Only the last answers count."""
    policy = taught(taught(Policy(2, 50, 0, Random(1)), A=100, B=20, C=20), A=1)
    assert policy.plan(HOMES).node == "A"


def test_fewer_answers_only_when_the_deadline_asks_for_it() -> None:
    """R is kept while it fits; when it cannot, one answer is asked for, and counted."""
    fits = taught(Policy(2, 50, 0, Random(1)), A=30, B=40, C=40)
    assert fits.plan(HOMES).r == 2
    assert fits.counts.weakened == 0
    late = Policy(2, 50, 0, Random(1))
    for node in HOMES:
        for _ in range(40):
            late.learn(node, 2, 90)
            late.learn(node, 1, 5)
    assert late.plan(HOMES).r == 1
    assert late.counts.weakened == 1


@pytest.mark.parametrize("budget", [0.0, 0.1, 0.5])
def test_hedges_stay_within_the_budget(budget: float) -> None:
    """However slow everybody is, hedges are at most the budget's share of reads, and a few saved ones."""
    policy = taught(Policy(2, 50, budget, Random(1)), A=90, B=90, C=90)
    for _ in range(1_000):
        policy.plan(HOMES)
        policy.may_hedge()
    assert policy.counts.hedges <= 1_000 * budget + 1
    assert policy.counts.hedges >= 1_000 * budget - SAVED_MAX


class Nodes:
    """Stands in for a cluster: each node answers when the test lets it."""

    def __init__(self, **answers: Any) -> None:
        self.asked: list[str] = []
        self._answers = answers
        self.aio = self

    async def get(self, key: str, *, r: int, via: str, timeout_ms: int) -> Any:
        self.asked.append(via)
        answer = self._answers[via]
        if isinstance(answer, asyncio.Event):
            await answer.wait()
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(latency_ms=1.0, node=via)


class Walk:
    """A ring with one preference list."""

    def preference_list(self, key: str, n: int) -> list[str]:
        return HOMES[:n]


def test_a_late_answer_is_hedged_and_the_first_one_counts() -> None:
    """When the first node stays silent, the second one answers; the late answer is learned from afterwards."""

    async def story() -> None:
        silent = asyncio.Event()
        nodes = Nodes(A=silent, B=None, C=None)
        policy = taught(Policy(2, 20, 0.5, Random(3)), A=1, B=2, C=3)
        reader = AdaptiveReader(nodes, Walk(), 3, policy)
        got, r = await reader.get("k")
        assert (got.node, r, nodes.asked) == ("B", 2, ["A", "B"])
        silent.set()
        await reader.finish()
        assert policy.counts.hedges == 1

    asyncio.run(story())


def test_without_budget_the_first_node_is_waited_for() -> None:
    """No budget, no second request."""

    async def story() -> None:
        silent = asyncio.Event()
        nodes = Nodes(A=silent, B=None, C=None)
        reader = AdaptiveReader(nodes, Walk(), 3, taught(Policy(2, 20, 0, Random(3)), A=1, B=2, C=3))
        reading = asyncio.ensure_future(reader.get("k"))
        await asyncio.wait([reading], timeout=0.05)
        assert nodes.asked == ["A"]
        silent.set()
        assert (await reading)[0].node == "A"

    asyncio.run(story())


def test_an_error_is_an_error() -> None:
    """A node that fails makes the read fail, and counts as slow from then on."""

    async def story() -> None:
        policy = taught(Policy(2, 20, 0, Random(3)), A=1, B=2, C=3)
        reader = AdaptiveReader(Nodes(A=ReadQuorumNotReached("none"), B=None, C=None), Walk(), 3, policy)
        with pytest.raises(ReadQuorumNotReached):
            await reader.get("k")
        assert policy.slow_ms("A", 2) <= 1_000

    asyncio.run(story())
