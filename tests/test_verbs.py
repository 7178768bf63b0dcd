"""Verbs that both worlds have in common: many requests at once, and values and sides at the edge."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from dynalab import InvalidSetting
from dynalab.core.errors import InvalidPartition, InvalidQuorum, NotSettled
from dynalab.live.cluster import Cluster
from dynalab.sim.cluster import Simulation

pytestmark = pytest.mark.live


@pytest.mark.parametrize("start", [Simulation, Cluster])
def test_results_come_in_the_order_of_the_operations(start: Any) -> None:
    """`many` answers what each verb would have answered, in order, deletions and options included."""
    with start(3) as cluster:
        alice = cluster.client("alice")
        acks = alice.many([("put", f"k{number}", number) for number in range(40)], outstanding=8)
        assert [ack.key for ack in acks] == [f"k{number}" for number in range(40)]
        ends = alice.many([("get", "k7", {"r": 3}), ("delete", "k8"), ("get", "nothing")], outstanding=1)
        assert ends[0].value == 7
        assert len(ends[0].nodes) == 3
        assert not ends[2].found
        assert not alice.get("k8").found


@pytest.mark.parametrize("start", [Simulation, Cluster])
def test_an_error_takes_the_place_of_its_result(start: Any) -> None:
    """A wrong operation among many is answered by its error; the others go on."""
    with start(3) as cluster:
        first, second, third = cluster.client("alice").many([("put", "a", 1), ("put", "b", 2, {"w": 9}), ("look", "a")])
        assert first.key == "a"
        assert isinstance(second, InvalidQuorum)
        assert isinstance(third, InvalidSetting)


@pytest.mark.parametrize("start", [Simulation, Cluster])
def test_windows_have_a_size(start: Any) -> None:
    """The number of requests under way is checked before anything is sent."""
    with start(3) as cluster, pytest.raises(InvalidSetting, match="outstanding"):
        cluster.client("alice").many([("get", "a")], outstanding=0)


@pytest.mark.parametrize("start", [Simulation, Cluster])
def test_many_refuses_what_is_no_list_and_unknown_options(start: Any) -> None:
    """What cannot be gone through is refused; an option its verb has not is the error of that operation."""
    with start(3) as cluster:
        alice, options = cluster.client("alice"), {"via": "A", "r": 1}
        with pytest.raises(InvalidSetting, match=r"many takes a list of operations like .'get', key.; got 7"):
            alice.many(7)
        wrong, *right = alice.many([("get", "a", {"w": 1}), *[("get", "a", options)] * 2])
        assert isinstance(wrong, InvalidSetting)
        assert "get has no option 'w'; it has n, r, timeout_ms, via" in str(wrong)
        assert [got.found for got in right] == [False, False]
        assert options == {"via": "A", "r": 1}


@pytest.mark.parametrize("start", [Simulation, Cluster])
def test_a_joiner_that_crashed_before_anybody_heard_of_it_joins_after_all(start: Any) -> None:
    """The wish to join survives a crash of the joiner: recovered, it asks again (4.8.1)."""
    with start(3, gossip_ms=100) as cluster:
        with contextlib.suppress(NotSettled):
            cluster.join("F", timeout_ms=0)
        cluster.crash("F")
        cluster.recover("F")
        cluster.settle(timeout_ms=30_000)
        assert cluster.inspect("A")["members"]["F"] == "up"


@pytest.mark.parametrize("start", [Simulation, Cluster])
def test_a_log_is_asked_for_by_lines(start: Any) -> None:
    """`logs` takes a whole number of lines above 0."""
    with start(3) as cluster:
        assert len(cluster.logs("A", lines=1).splitlines()) == 1
        for lines in (0, -1, "x", True, None):
            with pytest.raises(InvalidSetting, match="lines must be an integer of at least 1; got "):
                cluster.logs("A", lines=lines)


@pytest.mark.parametrize("start", [Simulation, Cluster])
def test_many_has_an_async_twin(start: Any) -> None:
    """`await client.aio.many(...)` answers the same."""
    with start(3) as cluster:
        acks = asyncio.run(cluster.client("alice").aio.many([("put", f"k{number}", number) for number in range(10)]))
        assert [ack.key for ack in acks] == [f"k{number}" for number in range(10)]


@pytest.mark.parametrize("start", [Simulation, Cluster])
def test_null_is_a_value_and_no_deletion(start: Any) -> None:
    """JSON can say null, so it can be put; only `delete` deletes."""
    with start(3) as cluster:
        cluster.put("nothing", None)
        got = cluster.get("nothing")
        assert got.found
        assert got.values == [None]
        assert [version.deleted for version in got.versions] == [False]
        cluster.delete("nothing")
        assert not cluster.get("nothing").found


@pytest.mark.parametrize("sides", [(None,), (5,), ("AB", 7)])
def test_a_side_is_text_or_names(sides: tuple[Any, ...]) -> None:
    """What is no side of a partition is refused by a typed error, and nothing changes."""
    with Simulation(3) as cluster:
        with pytest.raises(InvalidPartition):
            cluster.partition(*sides)
        assert not cluster.faults.words()


@pytest.mark.parametrize("seed", range(7, 12))
def test_a_home_that_was_only_believed_down_is_the_last_resort(seed: int) -> None:
    """When every stand-in is silent, the home that they stood in for is asked after all (4.6)."""
    with Simulation(5, seed=seed) as cluster:
        cluster.crash("A")
        cluster.crash("B")
        cluster.put("cart", ["milk"], via="E")
        cluster.recover("A")
        cluster.recover("B")
        cluster.settle()
        cluster.partition("AE|BCD")
        assert set(cluster.put("cart", ["milk", "tea"], via="E").nodes) == {"A", "E"}
