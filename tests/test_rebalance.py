"""`rebalance()` in both worlds: the highest load falls, and every key stays readable all the while (6.2)."""

from __future__ import annotations

import pytest

from dynalab.core.errors import InvalidSetting
from dynalab.core.rebalance import load_of_nodes, loads_told
from tests.worlds import World, ring_of, walk_of


def _owners(cluster) -> list[str]:
    return [owner for _, owner in ring_of(cluster, cluster.nodes[0]).tokens]


def test_a_skewed_load_is_moved_and_nothing_is_unreadable(world: World):
    """With all requests for keys of one node, ranges move to others; reads succeed before, during and after."""
    cluster = world.found()
    victim = cluster.nodes[1]
    keys = [f"k{number}" for number in range(200) if walk_of(cluster, f"k{number}")[0] == victim]
    for turn in range(4):
        for key in keys:
            cluster.put(key, turn)
    loads, before = loads_told(cluster.inspections()), _owners(cluster)
    assert sum(loads.values()) >= 4 * len(keys)
    with pytest.raises(Exception, match="not all moved"):
        cluster.rebalance(timeout_ms=0)
    for key in keys:
        assert cluster.get(key).value == 3  # The moves are under way.
    world.until(cluster, lambda: all(seen["moving"] == 0 for seen in cluster.inspections().values()), "the moves")
    cluster.settle()
    after = _owners(cluster)
    assert after != before
    highest = [max(load_of_nodes(owners, loads, 3).values()) for owners in (before, after)]
    assert highest[1] < highest[0] * 0.8
    for key in keys:
        assert cluster.get(key, r=3).value == 3
    assert cluster.rebalance(moves=0) == {}
    world.holds(cluster)


def test_only_strategy_three_moves_ranges(world: World):
    """Where ranges follow from random tokens none can be moved: refused, and nothing has changed."""
    cluster = world.found(3, strategy=1)
    with pytest.raises(InvalidSetting, match="strategy 3"):
        cluster.rebalance()
    assert cluster.put("k", 1).nodes
