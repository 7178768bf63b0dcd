"""S01 to S12 of the reliability scenarios: what almost every naive implementation breaks.

Each runs in both worlds, and each ends before the judge.
"""

from __future__ import annotations

import pytest

from dynalab.core.clock import Context
from dynalab.core.errors import ReadQuorumNotReached, WriteQuorumNotReached
from tests.worlds import World, held, hints_for, ring_of, told, walk_of

NO_HELP = {"hints": False, "anti_entropy_ms": 0}
"""Nothing but read repair brings a stale replica up to date."""


def test_s01_same_context_same_coordinator_two_writers(world: World):
    """S01: two writers with one context through one node make two siblings; their merge leaves one (I1, I4, I9)."""
    cluster = world.found()
    home = walk_of(cluster, "cart")[0]
    alice, bob = cluster.client("alice", via=home), cluster.client("bob", via=home)
    alice.put("cart", ["milk"])
    context = alice.get("cart").context
    assert bob.get("cart").context == context
    alice.put("cart", ["milk", "tea"], context=context, w=3)
    bob.put("cart", ["milk", "jam"], context=context, w=3)
    for node in walk_of(cluster, "cart")[:3]:
        assert sorted(held(cluster, node, "cart")) == [["milk", "jam"], ["milk", "tea"]]
    both = alice.get("cart", r=3)
    assert len(both.values) == 2
    alice.put("cart", ["milk", "tea", "jam"], context=both.context, w=3)
    assert bob.get("cart").value == ["milk", "tea", "jam"]
    world.holds(cluster)


@pytest.mark.parametrize("blind", [Context.EMPTY, None], ids=["empty", "none"])
def test_s02_blind_write_over_existing_data(world: World, blind):
    """S02: a put without a context over a key that has values adds a sibling, never overwrites (I1, I4)."""
    cluster = world.found()
    cluster.client("alice").put("k", "old", w=3)
    cluster.client("bob").put("k", "new", context=blind, w=3)
    assert sorted(cluster.client("carol").get("k", r=3).values) == ["new", "old"]
    world.holds(cluster)


def test_s03_every_process_has_the_same_ring(world: World):
    """S03: all nodes and the client have one preference list for each of 10,000 keys (I6, I12)."""
    cluster = world.found()
    rings = [ring_of(cluster, node) for node in cluster.nodes]
    for number in range(10_000):
        key = f"key-{number}"
        first, *others = [ring.preference_list(key, 5) for ring in rings]
        assert all(other == first for other in others)
    for key in ("a", "b", "c", "d"):
        assert cluster.put(key, "v").coordinator == rings[0].preference_list(key, 1)[0]
    world.holds(cluster)


def test_s04_an_old_replica_write_arrives_late(world: World):
    """S04: a delayed copy of v1, and a second copy of v2, change nothing at a replica that has v2 (I3, I8)."""
    cluster = world.found(**NO_HELP, replica_timeout_ms=2_000, timeout_ms=4_000, ping_ms=0)
    first, second, late = walk_of(cluster, "k")[:3]
    alice = cluster.client("alice", via=first)
    cluster.link(first, late, delay_ms=800)
    alice.put("k", "v1", w=2)
    cluster.link(first, late, duplicate=1.0)
    alice.put("k", "v2", w=3)
    assert held(cluster, late, "k") == ["v2"]
    world.until(cluster, lambda: len(told(cluster, late, "receive", "ReplicaPut")) >= 3, "v1 and both copies of v2")
    assert held(cluster, late, "k") == ["v2"]
    assert held(cluster, second, "k") == ["v2"]
    world.holds(cluster)


def test_s05_a_write_times_out_below_w(world: World):
    """S05: a write that only its coordinator stored is unknown, never 'not written', and may appear later (I7, I2)."""
    cluster = world.found()
    home, *others = walk_of(cluster, "k")
    alice = cluster.client("alice", via=home)
    cluster.partition([home], others)
    with pytest.raises(WriteQuorumNotReached) as unknown:
        alice.put("k", "maybe", timeout_ms=400)
    assert not unknown.value.definite
    assert (unknown.value.needed, unknown.value.got, list(unknown.value.nodes)) == (2, 1, [home])
    with pytest.raises(ReadQuorumNotReached) as nothing:
        alice.get("k", timeout_ms=400)
    assert nothing.value.definite
    assert alice.get("k", r=1).values == ["maybe"]
    cluster.heal()
    cluster.settle()
    assert cluster.client("bob").get("k").values == ["maybe"]
    world.holds(cluster)


def test_s06_a_retry_of_the_same_put(world: World):
    """S06: one request id through one coordinator makes one version; through two, at most two of one value (I1, I9)."""
    cluster = world.found()
    home, other, *rest = walk_of(cluster, "k")
    alice = cluster.client("alice", via=home)
    cluster.partition([home], [other, *rest])
    with pytest.raises(WriteQuorumNotReached):
        alice.put("k", "once", request_id="order-1", timeout_ms=400)
    cluster.heal()
    assert alice.put("k", "once", request_id="order-1", via=home).coordinator == home
    assert alice.get("k", r=3).values == ["once"]
    alice.put("k", "once", request_id="order-1", via=other)
    got = alice.get("k", r=3)
    assert set(got.values) == {"once"}
    assert len(got.values) <= 2
    alice.put("k", "twice", context=got.context, w=3)
    assert alice.get("k", r=3).values == ["twice"]
    world.holds(cluster)


def test_s07_a_delete_while_a_replica_is_down(world: World):
    """S07: a replica that slept through a delete does not bring the value back (I3, I5)."""
    cluster = world.found(storage="log")
    first, second, sleeper = walk_of(cluster, "k")[:3]
    alice = cluster.client("alice", via=first)
    alice.put("k", "old", w=3)
    cluster.crash(sleeper)
    alice.delete("k", w=2)
    assert not alice.get("k").found
    cluster.recover(sleeper)
    cluster.client("bob", via=sleeper).get("k", r=1)  # may still see it
    cluster.settle()
    assert not cluster.client("carol", via=sleeper).get("k", r=3).found
    for node in (first, second, sleeper):
        assert held(cluster, node, "k") == []
    world.holds(cluster)


def test_s08_a_sloppy_quorum_breaks_r_plus_w_above_n(world: World):
    """S08: with fallbacks R + W > N guarantees nothing: a stale read is shown as it is, and heals (I1, I5, I7)."""
    cluster = world.found()
    a, b, c, d, e = walk_of(cluster, "k")
    here, there = cluster.client("here", via=a), cluster.client("there", via=c)
    here.put("k", "v1", w=3)
    there.get("k")
    cluster.partition([a, b], [c, d, e])
    ack = there.put("k", "v2")
    assert set(ack.nodes) <= {c, d, e}
    assert set(ack.hinted) <= {d, e}
    assert set(ack.hinted.values()) <= {a, b}
    assert ack.hinted
    assert here.get("k").values == ["v1"]
    cluster.heal()
    cluster.settle()
    for node in (a, b, c):
        assert held(cluster, node, "k") == ["v2"]
    assert here.get("k").values == ["v2"]
    world.holds(cluster)


def test_s09_read_repair_makes_no_events(world: World):
    """S09: a hundred reads repair a stale replica once, with the version that exists, and then write nothing (I5)."""
    cluster = world.found(**NO_HELP)
    first, second, stale = walk_of(cluster, "k")[:3]
    alice = cluster.client("alice", via=first)
    alice.put("k", "v1", w=3)
    cluster.partition([first, second], [stale])
    alice.put("k", "v2", w=2)
    cluster.heal()
    world.until(cluster, lambda: alice.get("k").values and held(cluster, stale, "k") == ["v2"], "the read repair")
    before = cluster.inspections()
    for _ in range(100):
        got = alice.get("k", r=3)
        assert (got.values, got.stale_nodes) == (["v2"], [])
    after = cluster.inspections()
    assert {node: seen["records"] for node, seen in before.items()} == {n: s["records"] for n, s in after.items()}
    assert _repairs(before) == _repairs(after) >= 1
    assert after[stale]["records"]["k"]["clock"] == {first: 2}
    world.holds(cluster)


def _repairs(inspections) -> int:
    return sum(seen["counters"].get("read_repairs", 0) for seen in inspections.values())


def test_s10_read_repair_covers_missing_keys_and_all_siblings(world: World):
    """S10: an empty replica gets both siblings by a read of R = 3 (I4, I5)."""
    cluster = world.found(**NO_HELP)
    first, second, empty = walk_of(cluster, "k")[:3]
    cluster.partition([first, second], [empty])
    cluster.client("alice", via=first).put("k", "one")
    cluster.client("bob", via=second).put("k", "two")
    cluster.heal()
    reader = cluster.client("carol", via=first)

    def repaired() -> bool:
        reader.get("k", r=3)
        return sorted(held(cluster, empty, "k")) == ["one", "two"]

    assert held(cluster, empty, "k") == []
    world.until(cluster, repaired, "the repair of the empty replica")
    world.holds(cluster)


@pytest.mark.parametrize("trouble", ["down", "paused", "slow"])
def test_s11_one_slow_or_dead_replica_in_the_read_set(world: World, trouble: str):
    """S11: a get asks N and waits for R, so one dead or slow home does not fail it (I11)."""
    cluster = world.found(timeout_ms=3_000)
    first, second = walk_of(cluster, "k")[:2]
    cluster.client("alice", via=second).put("k", "v", w=3)
    if trouble == "down":
        cluster.crash(first)
    elif trouble == "paused":
        cluster.pause(first)
    else:
        cluster.link(second, first, delay_ms=10_000, both_ways=True)
    got = cluster.client("bob", via=second).get("k", r=2)
    assert got.value == "v"
    assert first not in got.nodes
    if trouble == "down":
        cluster.recover(first)
    elif trouble == "paused":
        cluster.resume(first)
    cluster.heal()
    world.holds(cluster)


def test_s12_a_hint_lost_between_send_and_ack(world: World):
    """S12: a hint is forgotten only after its home has confirmed; delivering it again changes nothing (I1, I5)."""
    cluster = world.found(anti_entropy_ms=0, ping_ms=0, read_repair=False, storage="log")
    first, second, home, holder, _ = walk_of(cluster, "k")
    cluster.partition([first, second], [home])
    alice = cluster.client("alice", via=first)
    cluster.link(home, holder, drop=1.0)  # whatever the home confirms is lost
    alice.put("k", "v", w=3)
    assert hints_for(cluster, home) == [holder]
    deliveries = lambda: told(cluster, home, "receive", "HintDeliver", peer=holder)  # noqa: E731
    world.until(cluster, lambda: len(deliveries()) >= 2, "two deliveries of one hint")
    assert held(cluster, home, "k") == ["v"]
    assert hints_for(cluster, home) == [holder]
    cluster.crash(holder)
    cluster.recover(holder)
    assert hints_for(cluster, home) == [holder]
    cluster.crash(home)
    cluster.recover(home)
    cluster.heal()
    world.until(cluster, lambda: hints_for(cluster, home) == [], "the confirmed delivery")
    assert held(cluster, home, "k") == ["v"]
    world.holds(cluster)
