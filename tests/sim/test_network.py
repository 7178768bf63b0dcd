"""The simulated network: latencies, order, cuts and link rules."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import pytest

from dynalab.core.errors import InvalidSetting
from dynalab.core.faults import Faults, link_rule
from dynalab.sim.network import Network, drawer_us


def network(latency: Any = (0.2, 1.0), faults: Faults | None = None) -> Network:
    made = Network(Random(1), latency)
    made.change(faults or Faults())
    return made


def test_latency_lies_between_its_bounds() -> None:
    """Every latency is drawn from `latency_ms`, and chance uses all of the range."""
    draw = drawer_us((0.2, 1.0), Random(1))
    drawn = [draw() for _ in range(300)]
    assert min(drawn) >= 200
    assert max(drawn) <= 1000
    assert max(drawn) - min(drawn) > 600


def test_latency_can_be_a_function() -> None:
    """A lesson may bring its own distribution: a function of a Random, in milliseconds."""
    assert network(lambda random: 7.5).arrival_us("A", "B", 100) == 7600


@pytest.mark.parametrize("latency", [(1.0, 0.2), (-1, 1), (0, math.inf), (math.nan, 1), 5, (1, 2, 3), ("a", "b")])
def test_nonsense_latency_is_refused(latency: Any) -> None:
    """A range out of order, negative, infinite, or no range at all is a definite error that shows it."""
    with pytest.raises(InvalidSetting, match="latency_ms"):
        drawer_us(latency, Random(1))


@pytest.mark.parametrize("drawn", [-1, math.nan, math.inf, "soon", None])
def test_a_function_that_draws_nonsense_is_told(drawn: Any) -> None:
    """A latency function answers milliseconds, finite and not negative."""
    with pytest.raises(InvalidSetting, match="it drew"):
        drawer_us(lambda random: drawn, Random(1))()


def test_one_link_keeps_its_order() -> None:
    """Messages of one link arrive in the order they were sent, as over TCP."""
    net = network((0, 50))
    arrivals = [net.arrival_us("A", "B", sent) for sent in range(0, 100_000, 1000)]
    assert arrivals == sorted(arrivals)


def test_reordered_messages_are_overtaken() -> None:
    """A message held back by a rule does not hold back those behind it."""
    net = network((1, 1), Faults().linked("A", "B", link_rule(reorder=0.5)))
    arrivals = [net.arrivals_us("A", "B", sent)[0] for sent in range(0, 100_000, 1000)]
    assert arrivals != sorted(arrivals)


def test_a_cut_loses_everything_one_way() -> None:
    """Into a cut nothing passes; the other direction is not touched."""
    net = network(faults=Faults().partitioned([["A"], ["B"]], one_way=True))
    assert net.arrivals_us("A", "B", 0) == []
    assert len(net.arrivals_us("B", "A", 0)) == 1


def test_rules_drop_double_and_delay() -> None:
    """Certain loss, certain doubling and a fixed delay do what they say."""
    lossy = network(faults=Faults().linked("A", "B", link_rule(drop=1.0)))
    doubling = network(faults=Faults().linked("A", "B", link_rule(duplicate=1.0)))
    slow = network((1, 1), faults=Faults().linked("A", "B", link_rule(delay_ms=(5, 5))))
    assert lossy.arrivals_us("A", "B", 0) == []
    assert len(doubling.arrivals_us("A", "B", 0)) == 2
    assert slow.arrivals_us("A", "B", 0) == [6000]


def test_healing_makes_it_whole() -> None:
    """`is_whole` says whether anything is wrong, and healing ends it."""
    net = network(faults=Faults().linked("A", "B", link_rule(drop=0.5)))
    assert not net.is_whole
    net.change(net.faults.healed())
    assert net.is_whole
