"""S13 to S22 of the reliability scenarios: what a careful first version still breaks.

Each runs in both worlds, and each ends before the judge; S27 and S28 have files of their own (see `table.py`).
"""

from __future__ import annotations

import asyncio

import pytest

from dynalab.core.errors import WriteQuorumNotReached
from dynalab.core.membership import founding, placement
from dynalab.core.messages import Member
from tests.worlds import World, held, hints_for, told, walk_of

NO_HELP = {"hints": False, "anti_entropy_ms": 0}
SHORT_LIVES = {"hint_ttl_ms": 600}
"""Hints expire, and tombstones are reaped, within a test."""


def counted(cluster, node: str, name: str) -> int:
    """A counter of one node."""
    return cluster.inspect(node, full=False)["counters"].get(name, 0)


def test_s13_a_hundred_rounds_of_interleaved_updates(world: World):
    """S13: two clients that only know their own last read never make more than two siblings (I1, I4, I10)."""
    cluster = world.found()
    home = walk_of(cluster, "cart")[0]
    carts = {name: cluster.client(name, via=home) for name in ("alice", "bob")}
    for number in range(100):
        for name, client in carts.items():
            got = client.get("cart")
            assert len(got.values) <= 2
            merged = sorted({item for value in got.values for item in value} | {f"{name}-{number}"})
            client.put("cart", merged, context=got.context, w=3)
            carts["alice"].put("cart", merged, w=3) if name == "alice" and number % 10 == 0 else None
    everything = {item for value in carts["bob"].get("cart", r=3).values for item in value}
    assert everything == {f"{name}-{number}" for name in carts for number in range(100)}
    world.holds(cluster)


def test_s14_the_context_of_an_ack_covers_nothing_unread(world: World):
    """S14: a second put with the context of the first one's ack leaves what another wrote in between (I1)."""
    cluster = world.found()
    home = walk_of(cluster, "k")[0]
    alice, bob = cluster.client("alice", via=home), cluster.client("bob", via=home)

    async def both_at_once():
        first, _ = await asyncio.gather(alice.aio.put("k", "a1"), bob.aio.put("k", "b1"))
        return first

    ack = asyncio.run(both_at_once())
    bob.put("k", "b2", w=3)
    alice.put("k", "a2", context=ack.context, w=3)
    assert sorted(cluster.client("carol").get("k", r=3).values) == ["a2", "b2"]
    world.holds(cluster)


def test_s15_a_coordinator_that_lost_its_copy(world: World):
    """S15: with its disk lost and its peers out of reach a coordinator counts under a fresh name (I1, I8, I9)."""
    cluster = world.found(storage="log")
    home, *others = walk_of(cluster, "k")
    alice = cluster.client("alice", via=home)
    for number in range(3):
        alice.put("k", f"v{number}", w=3)
    cluster.crash(home)
    cluster.partition([home], others)
    cluster.recover(home, wipe=True)
    cluster.client("bob", via=home).put("k", "fourth", w=1)
    cluster.heal()
    cluster.settle()
    assert sorted(cluster.client("carol").get("k", r=3).values) == ["fourth", "v2"]
    actors = {dot["dot"].split(":")[0] for dot in cluster.inspect(home)["records"]["k"]["siblings"]}
    assert len(actors) == 2
    world.holds(cluster)


def stays(world: World, cluster, node: str) -> bool:
    """Whether tombstones stay through several of their lives, told by a node's exchanges."""
    rounds = lambda: counted(cluster, node, "exchanges")  # noqa: E731
    asked = rounds()
    world.until(cluster, lambda: rounds() > asked + 8, "several lives of a tombstone")
    running = [name for name, state in cluster.states().items() if state == "up"]
    return not any(counted(cluster, name, "tombstones_reaped") for name in running)


def test_s16_a_tombstone_that_a_fallback_keeps(world: World):
    """S16: a deletion that a fallback still keeps is not reaped, and does not bury the key made anew (I1, I3, I9)."""
    cluster = world.found(storage="log", **SHORT_LIVES)
    first, second, home, *rest = walk_of(cluster, "k")
    alice = cluster.client("alice", via=first)
    alice.put("k", "old", w=3)
    cluster.partition([first, second, *rest], [home])
    alice.delete("k", w=3)
    (keeper,) = hints_for(cluster, home)
    cluster.crash(keeper)
    cluster.heal()
    cluster.client("bob", via=home).get("k", r=3)  # The home hears of the deletion by anti-entropy or by this.
    assert stays(world, cluster, first)
    alice.put("k", "new", context=None, w=3)
    cluster.recover(keeper)
    cluster.settle()
    assert cluster.client("carol").get("k", r=3).values == ["new"]
    for node in (first, second, home):
        assert held(cluster, node, "k") == ["new"]
    world.holds(cluster)


def test_s16_a_reaped_key_is_made_anew(world: World):
    """S16: writes after the reaping are counted under fresh names: no old tombstone could bury them (I1, I9)."""
    cluster = world.found(storage="log", **SHORT_LIVES)
    first, second, third = walk_of(cluster, "k")[:3]
    alice = cluster.client("alice", via=first)
    alice.put("k", "old", w=3)
    alice.delete("k", w=3)
    before = set(cluster.inspect(first)["records"]["k"]["clock"])
    world.until(cluster, lambda: counted(cluster, third, "tombstones_reaped") == 1, "the reaping")
    alice.put("k", "new", context=None, w=3)
    assert not before & set(cluster.inspect(second)["records"]["k"]["clock"])
    assert cluster.client("carol").get("k", r=3).values == ["new"]
    world.holds(cluster)


def test_s17_no_tombstone_is_reaped_before_the_last_home_heard(world: World):
    """S17: however old, a tombstone stays while a home is down; the home's old value does not return (I3)."""
    cluster = world.found(storage="log", **SHORT_LIVES)
    first, _, sleeper = walk_of(cluster, "k")[:3]
    alice = cluster.client("alice", via=first)
    alice.put("k", "old", w=3)
    cluster.crash(sleeper)
    alice.delete("k")
    assert stays(world, cluster, first)
    cluster.recover(sleeper)
    cluster.settle()
    assert not cluster.client("bob", via=sleeper).get("k", r=3).found
    world.until(cluster, lambda: counted(cluster, first, "tombstones_reaped") == 1, "the reaping, once all homes know")
    assert not cluster.client("carol", via=sleeper).get("k", r=3).found
    world.holds(cluster)


def test_s17_nor_before_a_former_home_heard(world: World):
    """S17: a node that lost a key range while it was down still hands over its old value when it returns (I3, S36)."""
    cluster = world.found(storage="log", **SHORT_LIVES)
    key, sleeper = displaced_by("F", cluster)
    cluster.put(key, "old", w=3)
    cluster.crash(sleeper)
    cluster.join("F")
    home = walk_of(cluster, key)[0]
    cluster.delete(key, w=3)
    assert stays(world, cluster, home)
    cluster.recover(sleeper)
    cluster.settle()
    assert not cluster.client("bob", via=sleeper).get(key, r=3).found
    world.until(cluster, lambda: counted(cluster, home, "tombstones_reaped") == 1, "the reaping, once all have heard")
    assert not cluster.client("carol", via=sleeper).get(key, r=3).found
    world.holds(cluster)


def displaced_by(joiner: str, cluster) -> tuple[str, str]:
    """A key, and the home it loses when `joiner` joins."""
    config = cluster.config
    history = founding(cluster.nodes, config)
    after = placement((*history, Member(1, joiner, "up")), config.strategy, config.tokens, config.partitions).current
    for key in map(str, range(1_000)):
        homes = walk_of(cluster, key)[: config.n]
        gone = set(homes[1:]) - set(after.preference_list(key, config.n))
        if gone:
            return key, gone.pop()
    raise AssertionError(f"{joiner} would displace nobody")


def test_s18_a_read_repair_races_a_newer_write(world: World):
    """S18: a repair that was decided before a newer write, and arrives after it, changes nothing (I3, I8)."""
    cluster = world.found(**NO_HELP, ping_ms=0, replica_timeout_ms=5_000, timeout_ms=10_000)
    first, second, stale = walk_of(cluster, "k")[:3]
    alice = cluster.client("alice", via=first)
    cluster.partition([first, second], [stale])
    alice.put("k", "v1", w=2)
    cluster.heal()
    cluster.link(stale, first, delay_ms=600)  # What the stale home says now reaches the reader much later.
    assert alice.get("k", r=2).values == ["v1"]
    bob = cluster.client("bob", via=second)
    bob.get("k", r=2)
    bob.put("k", "v2", w=3)
    assert held(cluster, stale, "k") == ["v2"]
    world.until(cluster, lambda: told(cluster, stale, "receive", "ReadRepair", peer=first), "the late repair")
    assert held(cluster, stale, "k") == ["v2"]
    cluster.heal()
    world.holds(cluster)


@pytest.mark.parametrize("strategy", [1, 2, 3])
def test_s19_replicas_are_distinct_nodes(world: World, strategy: int):
    """S19: eight tokens a node make no node count twice: W acks are W nodes, the first N of the walk (I6, I7)."""
    cluster = world.found(4, strategy=strategy, tokens=8)
    for number in range(30):
        ack = cluster.put(f"k{number}", number, w=3)
        assert len(set(ack.nodes)) == 3
        assert set(ack.nodes) == set(walk_of(cluster, f"k{number}")[:3])
    world.holds(cluster)


@pytest.mark.parametrize("dead", [1, 2, 3])
def test_s20_fallbacks_are_the_next_of_the_walk(world: World, dead: int):
    """S20: for dead homes every coordinator turns to the next distinct nodes clockwise after the homes (I6)."""
    cluster = world.found(7, storage="log")
    walk = walk_of(cluster, "k")
    for node in walk[:dead]:
        cluster.crash(node)
    expected = set(walk[dead : 3 + dead])
    for coordinator in walk[dead : 3 + dead]:
        client = cluster.client(f"at{coordinator}", via=coordinator)
        client.put("k", "warm", w=3, context=None, timeout_ms=5_000)  # By its end the dead ones are suspected here.
        ack = client.put("k", "v", w=3)
        assert set(ack.nodes) == expected
        assert set(ack.hinted) == set(walk[3 : 3 + dead])
        assert set(ack.hinted.values()) == set(walk[:dead])
    for node in walk[:dead]:
        cluster.recover(node)
    world.holds(cluster)


def test_s21_duplicate_replies_are_one_replica(world: World):
    """S21: an acknowledgement that comes twice counts once: W = 3 is not reached by two nodes (I7)."""
    cluster = world.found(strict=True)
    first, second, third, *rest = walk_of(cluster, "k")
    cluster.partition([first, second, *rest], [third])
    cluster.link(second, first, duplicate=1.0)
    with pytest.raises(WriteQuorumNotReached) as unknown:
        cluster.client("alice", via=first).put("k", "v", w=3, timeout_ms=500)
    assert (unknown.value.got, sorted(unknown.value.nodes)) == (2, sorted([first, second]))
    twice = lambda: len(told(cluster, first, "receive", "ReplicaPutDone", peer=second)) >= 2  # noqa: E731
    world.until(cluster, twice, "both copies of the acknowledgement")
    cluster.heal()
    world.holds(cluster)


def test_s22_late_replies_and_replies_to_a_former_run(world: World):
    """S22: a reply to a request that has ended, or that an earlier run made, is ignored and counted (I7, I11)."""
    cluster = world.found(**NO_HELP, storage="log", ping_ms=0, replica_timeout_ms=100)
    first, second, third = walk_of(cluster, "k")[:3]
    alice = cluster.client("alice", via=first)
    cluster.link(third, first, delay_ms=700)
    assert set(alice.put("k", "v1", w=2).nodes) == {first, second}
    assert third not in alice.get("k", r=2).nodes
    cluster.crash(first)
    cluster.recover(first)
    again = alice.put("k", "v2", w=2)
    assert third not in again.nodes
    world.until(cluster, lambda: counted(cluster, first, "late_replies") >= 2, "the late replies, counted")
    assert alice.get("k", r=2).values == ["v2"]
    cluster.heal()
    cluster.client("bob", via=second).get("k", r=3)
    assert alice.get("k", r=3).values == ["v2"]
    world.holds(cluster)
