"""The fault verbs on real processes: each takes effect before it returns, and none breaks more than it says."""

from __future__ import annotations

import pytest

from dynalab.core.errors import (
    BadRequest,
    InvalidPartition,
    InvalidSetting,
    NodeIsDown,
    RequestTimedOut,
    UnknownNode,
    WriteQuorumNotReached,
)

pytestmark = pytest.mark.live

MEMORY = {"storage": "memory", "anti_entropy_ms": 0}


def drops(cluster, node):
    return cluster.metrics()["nodes"][node]["transport"]["drops"]


def test_a_partition_makes_siblings_and_heals(start):
    """Both sides of a partition accept writes; after heal and settle every home holds both values (4.4, 4.6)."""
    cluster = start(5)
    alice, bob = cluster.client("alice", via="A"), cluster.client("bob", via="D")
    cluster.partition("AB|CDE")
    alice.put("cart", ["milk"])
    bob.put("cart", ["tea"])
    assert alice.get("cart").value == ["milk"]
    assert bob.get("cart").value == ["tea"]
    cluster.heal()
    cluster.settle()
    got = cluster.get("cart", r=3)
    assert sorted(got.values) == [["milk"], ["tea"]]
    assert sorted(map(len, cluster.values("cart").values())) == [2, 2, 2]
    cluster.put("cart", ["milk", "tea"])
    assert cluster.get("cart", r=3).value == ["milk", "tea"]


def test_a_one_way_cut_loses_only_that_way(start):
    """partition(..., one_way=True) cuts from the earlier to the later side; the other way stays open."""
    cluster = start(2, n=2, r=1, w=2, hints=False, **MEMORY)
    cluster.partition(["A"], ["B"], one_way=True)
    with pytest.raises(WriteQuorumNotReached) as failed:
        cluster.put("k", 1, via="A", timeout_ms=300)
    assert not failed.value.definite
    with pytest.raises(WriteQuorumNotReached):
        cluster.put("k", 1, via="B", timeout_ms=300)
    assert drops(cluster, "A")["cut"] >= 2
    assert "cut" not in drops(cluster, "B")
    assert cluster.faults.words() == ["B does not hear A"]
    cluster.heal()
    assert sorted(cluster.put("k", 2, via="A").nodes) == ["A", "B"]


def test_link_rules_act_in_the_sender(start):
    """drop=1 on a link loses everything on it and is counted at its sender; a perfect rule ends it."""
    cluster = start(2, n=2, r=1, w=2, hints=False, **MEMORY)
    cluster.link("A", "B", drop=1.0)
    with pytest.raises(WriteQuorumNotReached):
        cluster.put("k", 1, via="A", timeout_ms=300)
    assert drops(cluster, "A")["lost"] >= 1
    cluster.link("A", "B", delay_ms=(1, 20), duplicate=0.5, reorder=0.5, both_ways=True)
    for number in range(30):
        cluster.put(f"k{number}", number, via="AB"[number % 2])
    assert [cluster.get(f"k{number}", r=2).value for number in range(30)] == list(range(30))
    cluster.link("A", "B", both_ways=True)
    assert cluster.faults.words() == []


def test_a_crashed_node_comes_back_on_its_own_disk(start):
    """crash kills, recover starts the node again on what it had stored; wipe starts it on nothing."""
    cluster = start(3)
    cluster.put("cart", ["milk"], w=3)
    before = cluster.inspect("B")["incarnation"]
    cluster.crash("B")
    assert cluster.states() == {"A": "up", "B": "crashed", "C": "up"}
    with pytest.raises(NodeIsDown, match="recover") as refused:
        cluster.get("cart", via="B")
    assert refused.value.definite
    assert cluster.put("other", 1).nodes
    cluster.recover("B")
    assert cluster.values("cart")["B"] == [["milk"]]
    assert cluster.inspect("B")["incarnation"] == before
    cluster.crash("B")
    cluster.recover("B", wipe=True)
    cluster.put("cart", ["tea"], via="B")
    assert cluster.inspect("B")["incarnation"] != before
    cluster.settle()
    assert cluster.get("cart", r=3).value == ["tea"]


def test_a_node_in_memory_forgets_and_takes_a_new_name(start):
    """With storage="memory" a recovered node is empty, knows that, and counts its writes under a fresh incarnation."""
    cluster = start(3, storage="memory")
    cluster.put("cart", ["milk"], via="A", w=3)
    cluster.crash("A")
    cluster.recover("A")
    cluster.put("cart", ["tea"], via="A")
    dots = {version.dot.actor for version in cluster.get("cart", r=3).versions}
    assert dots == {cluster.inspect("A")["incarnation"]} != {"A"}


def test_a_paused_node_goes_on_where_it_was(start):
    """A paused node answers nothing; what was sent to it waits; resume lets it obey what it was told meanwhile."""
    cluster = start(3, **MEMORY)
    cluster.put("k", 1, w=3)
    cluster.pause("C")
    assert cluster.states()["C"] == "paused"
    with pytest.raises(RequestTimedOut) as late:
        cluster.get("k", via="C", timeout_ms=100)
    assert late.value.definite
    with pytest.raises(RequestTimedOut) as late:
        cluster.put("k", 2, via="C", timeout_ms=100)
    assert not late.value.definite
    assert "C" not in cluster.put("k", 3).nodes
    cluster.partition("AB|C")
    cluster.resume("C")
    assert cluster.states()["C"] == "up"
    with pytest.raises(NodeIsDown, match="paused"):
        cluster.pause("A"), cluster.inspect("A")
    cluster.resume("A")
    assert cluster.inspect("C")["node"] == "C"


def test_skew_reaches_the_stamp_and_no_timer(start):
    """A skewed wall clock stamps writes wrong; requests are answered as before."""
    cluster = start(3, **MEMORY)
    honest = cluster.put("k", 1, via="A").wall_us
    cluster.skew("A", ms=3_600_000)
    ahead = cluster.put("k", 2, via="A").wall_us
    assert 3_600 <= (ahead - honest) / 1e6 < 3_700
    cluster.crash("A")
    cluster.recover("A")
    assert cluster.put("k", 3, via="A").wall_us > ahead


def test_a_node_joins_and_another_leaves(start):
    """join and leave move key ranges and nothing is lost; a node that has left has no process."""
    cluster = start(3, n=2, r=1, w=2)
    for number in range(40):
        cluster.put(f"k{number}", number)
    cluster.join("D", weight=2.0)
    assert cluster.nodes == ["A", "B", "C", "D"]
    assert cluster.inspect("D")["keys"] > 0
    process = cluster._owner.roll.entries["A"].process
    cluster.leave("A")
    assert cluster.nodes == ["B", "C", "D"]
    assert not process.is_running()
    cluster.settle()
    assert [cluster.get(f"k{number}", r=2).value for number in range(40)] == list(range(40))
    cluster.crash("B")
    with pytest.raises(NodeIsDown, match="force"):
        cluster.leave("B")
    cluster.leave("B", force=True)
    assert cluster.nodes == ["C", "D"]


def test_the_whole_cluster_may_restart(start):
    """All nodes killed at once and started in another order have every acknowledged write (S41)."""
    cluster = start(3)
    for number in range(20):
        cluster.put(f"k{number}", number)
    for node in "ABC":
        cluster.crash(node)
    with pytest.raises(NodeIsDown, match="no node is running"):
        cluster.get("k1")
    for node in "CAB":
        cluster.recover(node)
    assert [cluster.get(f"k{number}", r=2).value for number in range(20)] == list(range(20))


@pytest.mark.parametrize(
    ("verb", "error", "words"),
    [
        (lambda c: c.crash("Z"), UnknownNode, "'Z'"),
        (lambda c: c.recover("A"), BadRequest, "is running"),
        (lambda c: c.resume("A"), BadRequest, "not paused"),
        (lambda c: c.partition("AB|CX"), InvalidPartition, "'X'"),
        (lambda c: c.partition("ABC"), InvalidPartition, "two sides"),
        (lambda c: c.link("A", "A", drop=0.1), InvalidSetting, "twice"),
        (lambda c: c.link("A", "B", drop=1.1), InvalidSetting, "1.1"),
        (lambda c: c.skew("A", "much"), InvalidSetting, "much"),
        (lambda c: c.join("A"), InvalidSetting, "already"),
        (lambda c: c.join("a/b"), InvalidSetting, "a/b"),
        (lambda c: c.join("D", weight=0), InvalidSetting, "weight"),
        (lambda c: c.redeploy("parts"), InvalidSetting, "Parts"),
        (lambda c: c.client("alice", via="Q"), UnknownNode, "'Q'"),
        (lambda c: c.client(""), InvalidSetting, "1 to 64"),
        (lambda c: c.get("k", via="Q"), UnknownNode, "'Q'"),
        (lambda c: c.settle(timeout_ms=-1), InvalidSetting, "-1"),
        (lambda c: c.logs("Q"), UnknownNode, "'Q'"),
    ],
)
def test_a_verb_that_is_refused_changes_nothing(shared, verb, error, words):
    """Wrong arguments are a definite error that names them; nothing has changed."""
    before = (shared.states(), shared.faults, len([e for e in shared.trace if e.kind == "fault"]))
    with pytest.raises(error, match=words) as refused:
        verb(shared)
    assert refused.value.definite
    assert (shared.states(), shared.faults, len([e for e in shared.trace if e.kind == "fault"])) == before


def test_verbs_have_twins_for_asyncio(start):
    """Every verb can be awaited; requests of one session overlap."""
    import asyncio

    cluster = start(3, **MEMORY)

    async def story():
        aio = cluster.aio
        await asyncio.gather(*(aio.put(f"k{number}", number) for number in range(50)))
        await aio.crash("C")
        got = await asyncio.gather(*(cluster.client("bob").aio.get(f"k{number}") for number in range(3)))
        await aio.recover("C")
        await aio.delete("k0")
        return [one.value for one in got], (await aio.get("k0")).found, await aio.states()

    assert asyncio.run(story()) == ([0, 1, 2], False, dict.fromkeys("ABC", "up"))
