"""Load is counted by key range, and a plan of few moves evens it out (paper 6.2)."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynalab.core.config import Config
from dynalab.core.errors import InvalidSetting
from dynalab.core.keyload import COUNTED_TOGETHER, HALF_LIFE_US, KeyLoad
from dynalab.core.membership import founding
from dynalab.core.owners import share_out
from dynalab.core.rebalance import load_of_nodes, loads_told, plan, planned
from dynalab.core.ring import Ring, position_of


def _after(owners, taken):
    changed = list(owners)
    for node, numbers in taken.items():
        for number in numbers:
            changed[number] = node
    return changed


loads_of_ranges = st.dictionaries(st.integers(0, 31), st.floats(0.5, 1000), max_size=20)


@given(loads=loads_of_ranges, n=st.integers(1, 3), nodes=st.integers(2, 6))
def test_a_plan_never_makes_the_busiest_busier(loads, n, nodes):
    """Whatever the load, after the plan the highest load is no higher, and every node still owns a range."""
    owners = share_out([f"n{place}" for place in range(nodes)], 32)
    taken = plan(owners, loads, min(n, nodes))
    changed = _after(owners, taken)
    before, after = (max(load_of_nodes(each, loads, min(n, nodes)).values()) for each in (owners, changed))
    assert after <= before
    assert not taken or after < before
    assert set(changed) == set(owners)


def test_a_skewed_load_is_evened_out():
    """Where one node owns all the busy ranges the highest load falls by a third or more, with few moves."""
    owners = share_out("ABCDE", 64)
    loads = {number: 100.0 for number, owner in enumerate(owners) if owner == "A"}
    taken = plan(owners, loads, 3)
    before, after = load_of_nodes(owners, loads, 3), load_of_nodes(_after(owners, taken), loads, 3)
    assert max(after.values()) < max(before.values()) * 2 / 3
    assert 0 < sum(map(len, taken.values())) <= 16


def test_a_strong_node_may_carry_more():
    """Loads are compared by weight: what is fair for a node of weight 3 is not moved away from it."""
    owners = ["A", "B", "A", "B", "A", "A"]
    loads = dict.fromkeys(range(6), 10.0)
    assert plan(owners, loads, 1, weights={"A": 2.0}) == {}
    assert plan(owners, loads, 1) != {}


def test_one_hot_range_is_left_where_it_is():
    """A single busy range cannot be divided, so nothing moves; and only takers take."""
    owners = share_out("ABC", 9)
    assert plan(owners, {0: 1000.0}, 3) == {}
    busy = {number: 10.0 for number, owner in enumerate(owners) if owner == "A"}
    assert set(plan(owners, busy, 1, takers=["A", "C"])) == {"C"}


def test_old_requests_count_less():
    """After a half-life a request counts half, and what is next to nothing is forgotten; another ring begins anew."""
    load, ring = KeyLoad(), Ring.even(share_out("AB", 4))
    position = position_of(b"k")
    for _ in range(8):
        load.count(ring, position, 0)
    number = str(ring.range_index(position))
    assert load.told(ring, 0) == {"load": {number: 8}}
    load.count(ring, position, HALF_LIFE_US + 1)
    assert load.told(ring, HALF_LIFE_US + 1) == {"load": {number: 5}}
    load.count(ring, position, 20 * HALF_LIFE_US)
    assert load.told(ring, 20 * HALF_LIFE_US) == {"load": {number: 1}}
    other = Ring.even(share_out("AB", 8))
    load.count(other, position, 20 * HALF_LIFE_US)
    assert sum(load.told(other, 20 * HALF_LIFE_US)["load"].values()) == 1


def test_requests_that_nobody_looks_at_are_bounded():
    """Requests are counted together, but no more than a thousand wait for it (I10)."""
    load, ring = KeyLoad(), Ring.even(share_out("AB", 4))
    for number in range(2 * COUNTED_TOGETHER + 1):
        load.count(ring, number, 0)
    assert len(load._fresh) == 1
    assert sum(load.told(ring, 0)["load"].values()) == 2 * COUNTED_TOGETHER + 1


def test_what_nodes_tell_is_summed_and_planned():
    """The counts of all running nodes make one plan; a cluster without equal ranges, or a wild number, is refused."""
    config = Config(n=1, r=1, w=1, partitions=8)
    history = founding("AB", config)
    owners = share_out("AB", 8)
    busy = {str(number): 10.0 for number, owner in enumerate(owners) if owner == "A"}
    seen = {"A": {"status": "up", "load": busy}, "B": {"status": "up", "load": busy}}
    assert loads_told(seen) == {int(number): 20.0 for number in busy}
    assert list(planned(config, history, seen)) == ["B"]
    assert planned(config, history, seen, moves=0) == {}
    with pytest.raises(InvalidSetting, match="strategy 3"):
        planned(config.with_(strategy=1), history, seen)
    with pytest.raises(InvalidSetting, match="moves"):
        planned(config, history, seen, moves=-1)


def test_the_same_load_gives_the_same_plan():
    """A plan is a function of its arguments, in whatever order the loads were told."""
    dice, owners = Random(1), share_out("ABCDE", 64)
    loads = {number: dice.random() * 100 for number in range(64)}
    shuffled = dict(sorted(loads.items(), key=lambda _: dice.random()))
    assert plan(owners, loads, 3) == plan(owners, shuffled, 3)
