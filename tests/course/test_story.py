"""The story: every step shows what it claims, in both worlds, and one that does not is caught and named."""

from __future__ import annotations

from typing import Any

import pytest

from dynalab import Cluster, NotSettled, Simulation
from dynalab.core.config import Config
from dynalab.course.story import STEPS, tell

CONFIG = Config(n=3, r=2, w=2, storage="log")


@pytest.mark.parametrize("seed", range(5))
def test_the_story_holds_in_the_simulation(seed: int) -> None:
    """Every step shows what it claims, whatever the dice say."""
    told = tell(lambda: Simulation(5, seed=seed, config=CONFIG), lambda _: None)
    assert [step.step for step in told if not step.shown] == []
    assert len(told) == len(STEPS)


@pytest.mark.live
def test_the_story_holds_on_real_processes() -> None:
    """The same steps hold on five processes, and each is said with its title, its code and what was seen."""
    said: list[str] = []
    told = tell(lambda: Cluster(5, config=CONFIG), said.append)
    assert [step.seen for step in told if not step.shown] == []
    for step in STEPS:
        assert any(step.title in line for line in said)
        assert f"    >>> {step.code}" in said


class Forgetful(Simulation):
    """A cluster that loses siblings when it heals: some claim of the story must catch it."""

    def heal(self) -> None:
        super().heal()
        self.put("cart", ["milk", "bread"], context=self.get("cart").context)


class Unbroken(Simulation):
    """A cluster that cannot be cut."""

    def partition(self, *sides: Any, one_way: bool = False) -> None:
        """Do nothing."""


class Restless(Simulation):
    """A cluster that never comes to rest: the error of a verb is a step that failed."""

    def settle(self, timeout_ms: int = 10_000) -> None:
        raise NotSettled(f"not settled after {timeout_ms} ms")


@pytest.mark.parametrize(
    ("broken", "step"), [(Forgetful, "Siblings"), (Unbroken, "Cut the network"), (Restless, "Where a key lives")]
)
def test_a_step_that_does_not_show_its_claim_ends_the_story(broken: type[Simulation], step: str) -> None:
    """When the cluster does not do what a step says, the story ends there and names it."""
    said: list[str] = []
    told = tell(lambda: broken(5, seed=7, config=CONFIG), said.append)
    assert [(last.step, last.shown) for last in told][-1] == (step, False)
    assert all(earlier.shown for earlier in told[:-1])
    assert said[-2] == f"    NOT SHOWN: {told[-1].seen}"
