"""S29 to S35 of the reliability scenarios: links that flap, processes that stop, clocks that jump, too much load."""

from __future__ import annotations

import asyncio

import pytest

from dynalab.check.history import unstamp
from dynalab.core.admission import SLICE_MIN
from dynalab.core.errors import DynalabError
from dynalab.live.cluster import Cluster
from tests.conftest import THOROUGH
from tests.scenarios.test_careful import counted
from tests.worlds import QUICK, World, held, told, walk_of

NOBODY_SUSPECTS = {"phi": 100.0, "anti_entropy_ms": 0}


async def passing(world: World, cluster, ms: int) -> None:
    """Let `ms` pass while others go on: virtual in a simulation."""
    await (cluster.cluster.aio.run(ms=ms) if world.name == "sim" else asyncio.sleep(ms / 1000))


def passes(world: World, cluster, ms: int) -> None:
    """Let `ms` pass."""
    asyncio.run(passing(world, cluster, ms))


def put_anyway(client, key: str, value, **options) -> bool:
    """A put that may fail; answers whether it was acknowledged. A definite failure here would be a wrong one."""
    try:
        client.put(key, value, **options)
    except DynalabError as error:
        was_certain = error.definite
    else:
        return True
    assert not was_certain
    return False


def read_anyway(client, key: str, **options) -> bool:
    """A get that may fail; answers whether it found the key. A get is a question: its failure is always definite."""
    try:
        return client.get(key, **options).found
    except DynalabError as error:
        was_certain = error.definite
    assert was_certain
    return False


def test_s29_one_way_cuts_and_a_flapping_link(world: World):
    """S29: a cut that only one side feels, a link that comes and goes: no false ack, nothing piles up (I5, I7, I10)."""
    cluster = world.found(storage="log")
    walk = walk_of(cluster, "k")
    alice = cluster.client("alice", via=walk[0])
    cluster.partition([walk[0]], walk[1:], one_way=True)  # It is not heard, and hears all.
    assert not put_anyway(alice, "k", "unheard", timeout_ms=300)
    cluster.heal()
    turns = 30 if world.name == "live" else 150 if THOROUGH else 50
    for turn in range(turns):
        cluster.link(walk[0], walk[1], drop=float(turn % 2 == 0))
        put_anyway(alice, "k", turn)
        passes(world, cluster, 20 if world.name == "live" else 2_000)
    cluster.heal()
    cluster.settle()
    for node in cluster.nodes:
        seen = cluster.inspect(node, full=False)
        assert (seen["hint_count"], seen["requests"]) == (0, [])
    values = alice.get("k", r=3).values
    assert turns - 1 in values
    assert set(values) <= {turns - 1, "unheard"}  # Nobody was told that the unheard one failed, and nobody replaced it.
    world.holds(cluster)


@pytest.mark.parametrize("shape", ["ring", "bridge"])
def test_s29_every_node_sees_another_majority(world: World, shape: str):
    """S29: with majorities in a ring, or two halves that share one node, writes go on and all agree in the end (I5)."""
    cluster = world.found()
    names = cluster.nodes
    for place, node in enumerate(names):
        for other in names[place + 1 :]:
            apart = (names.index(other) - place) % len(names)
            near = apart in (1, len(names) - 1) if shape == "ring" else names[2] in (node, other)
            same_half = shape == "bridge" and (place < 2) == (names.index(other) < 2)
            if not near and not same_half:
                cluster.link(node, other, drop=1.0, both_ways=True)
    acked = 0
    for turn in range(20):
        client = cluster.client(f"c{turn}", via=names[turn % 5])
        acked += put_anyway(client, f"k{turn % 4}", turn, timeout_ms=700)
    assert acked > 5
    cluster.heal()
    world.holds(cluster)


def test_s30_a_coordinator_paused_in_the_middle_of_a_put(world: World):
    """S30: a put whose coordinator stops is unknown, not done; it goes on later, and nothing contradicts (I7, I11)."""
    cluster = world.found()
    first = walk_of(cluster, "k")[0]
    alice = cluster.client("alice", via=first)
    alice.put("k", "before", w=3, timeout_ms=20_000)
    cluster.pause(first)
    assert not put_anyway(alice, "k", "paused", timeout_ms=300)
    bob = cluster.client("bob")
    bob.put("k", "meanwhile", context=None, w=3, via=walk_of_others(cluster, first), timeout_ms=20_000)
    cluster.resume(first)
    cluster.settle()
    values = cluster.client("carol").get("k", r=3, timeout_ms=20_000).values
    assert "meanwhile" in values
    assert set(values) <= {"before", "paused", "meanwhile"}
    world.holds(cluster)


def walk_of_others(cluster, paused: str) -> str:
    """A running node."""
    return next(node for node in cluster.nodes if node != paused)


@pytest.mark.parametrize("length_ms", [6_000, pytest.param(30_000, marks=pytest.mark.slow)])
def test_s30_after_an_own_pause_not_all_peers_are_convicted(world: World, length_ms: int):
    """S30: a node that was stopped forgives the silence that was its own; nobody else is suspected by it (I11)."""
    # Only pings may convict, and only after 4.6 s: longer than a busy machine is silent, shorter than the pause.
    cluster = world.found(ping_ms=100, phi=20.0, replica_timeout_ms=20_000, timeout_ms=60_000)
    observer, *others = cluster.nodes

    def opinions() -> list[dict]:
        up = cluster.inspect(observer)["up"]
        return [up[other] for other in others]

    def all_are_heard() -> bool:
        return all(opinion["silent_ms"] < 1_000 for opinion in opinions())

    cluster.put("k", 1, w=3)
    world.until(cluster, all_are_heard, "signs of life")
    before = counted(cluster, observer, "suspicions")
    cluster.pause(observer)
    passes(world, cluster, length_ms)
    cluster.resume(observer)
    world.until(cluster, all_are_heard, "signs of life after the pause")
    assert counted(cluster, observer, "suspicions") == before
    assert all(opinion["believed_up"] for opinion in opinions())
    world.holds(cluster)


@pytest.mark.parametrize("jump_ms", [300_000, -300_000])
def test_s31_wall_clocks_that_jump_change_nothing_causal(world: World, jump_ms: int):
    """S31: five minutes off, forwards or backwards, on one node: no write is lost and no request is late (I1, I11)."""
    cluster = world.found()
    home = walk_of(cluster, "k")[0]
    alice, bob = cluster.client("alice", via=home), cluster.client("bob", via=walk_of(cluster, "k")[1])
    for turn in range(6):
        cluster.skew(home, jump_ms * (turn % 2))
        alice.put("k", f"a{turn}", w=3)
        bob.get("k")
        bob.put("k", f"b{turn}", w=3)
        assert alice.get("k", r=3).values == [f"b{turn}"]
    cluster.skew(home, 0)
    world.holds(cluster)


def test_s31_by_wall_clock_the_later_write_may_lose(world: World):
    """S31: where last-writer-wins is chosen a lagging clock buries an acknowledged write, on every replica alike."""
    cluster = world.found(mergers={"lww.": "last_writer_wins"})
    first, second = walk_of(cluster, "lww.k")[:2]
    cluster.skew(second, -300_000)
    cluster.client("alice", via=first).put("lww.k", "earlier", w=3)
    cluster.client("bob", via=second).put("lww.k", "later", context=None, w=3)
    for node in walk_of(cluster, "lww.k")[:3]:
        got = cluster.cluster.client(f"at{node}", via=node).get("lww.k", r=3)
        assert len(got.values) == 1
        assert got.resolved_by == "last_writer_wins"
        assert unstamp(got.value)[1] == "earlier"
        assert sorted(held(cluster, node, "lww.k")) == ["earlier", "later"]  # The store still has both.


def test_s32_truncated_clocks_lose_no_value():
    """S32: twelve coordinators take turns on one key; the literal clock is cut at ten pairs: no value lost (I1)."""
    world = World("sim", lambda _: None)
    cluster = world.found(12, clocks="vector", n=12, r=12, w=12)
    reader = cluster.client("reader")
    added: set[str] = set()
    for turn, node in enumerate([*cluster.nodes, *cluster.nodes]):
        client = cluster.client(f"c{turn}", via=node)
        known = {item for value in client.get("k").values for item in value}
        assert known == added
        added.add(f"{node}{turn}")
        client.put("k", sorted(added))
    got = reader.get("k")
    assert {item for value in got.values for item in value} == added
    clocks = [sibling["clock"] for sibling in cluster.inspect("A")["records"]["k"]["siblings"]]
    assert max(len(clock) for clock in clocks) <= 10
    world.holds(cluster)


def test_s33_a_hint_storm_is_bounded(world: World):
    """S33: hints for a node that is down end at `hint_bytes`, refused ones are counted, and it gets all in the end."""
    cluster = world.found(hint_bytes=6_000, storage="log")
    home = cluster.nodes[0]
    cluster.crash(home)
    for number in range(60):
        cluster.put(f"k{number}", "x" * 1_000, timeout_ms=5_000)
    passes(world, cluster, 500)
    running = [node for node in cluster.nodes if node != home]
    assert sum(counted(cluster, node, "hints_refused") for node in running) > 0
    for node in running:
        assert len(cluster.inspect(node)["hints"]) <= 6  # 6,000 bytes of values of a little over 1,000.
    cluster.recover(home)
    cluster.settle(timeout_ms=30_000)
    mine = [number for number in range(60) if home in walk_of(cluster, f"k{number}")[:3]]
    assert mine
    assert all(held(cluster, home, f"k{number}") == ["x" * 1_000] for number in mine)
    world.holds(cluster)


@pytest.mark.live
def test_s35_a_peer_that_does_not_read():
    """S35: with one node stopped its queues fill; the others never wait for it, and what is lost is counted (I10)."""
    patient = QUICK | {"trace": False, "replica_timeout_ms": 60_000, "timeout_ms": 60_000, "slo_ms": 600_000}
    with Cluster(3, name="full", storage="memory", max_requests=100_000, **patient | NOBODY_SUSPECTS) as cluster:
        client = cluster.client("alice", via="B")
        client.put("k", "v", w=3)
        cluster.pause("A")
        for turn in range(4):  # Nobody suspects it, so every write is also sent to it.
            puts = [("put", f"k{turn}-{number}", "x" * 70_000) for number in range(600)]  # Each is a frame of its own.
            assert {tuple(sorted(ack.nodes)) for ack in client.many(puts)} == {("B", "C")}
        assert sum(cluster.metrics()["nodes"]["B"]["transport"]["drops"].values()) > 100
        assert client.get("k3-599").found
        cluster.resume("A")
        # It works off what waited for it. An answer to it may still be dropped while a queue is full: ask again.
        assert any(read_anyway(cluster, "k0-0", via="A", r=3, timeout_ms=2_000) for _ in range(30))


def test_s34_background_work_yields_to_clients():
    """S34: near the limit of latency the slice for background work shrinks, and grows back afterwards (6.5)."""
    world = World("sim", lambda _: None)
    cluster = world.found(3, slo_ms=20, seed=3)
    sim = cluster.cluster
    first = walk_of(cluster, "k")[0]
    admission = sim._world.hosts[first].node.admission
    for other in sim.nodes:
        if other != first:
            sim.link(first, other, delay_ms=10, both_ways=True)
    for number in range(100):
        cluster.put(f"k{number}", number, via=first)
    sim.run(ms=2_000)
    assert admission.slice == SLICE_MIN
    assert counted(cluster, first, "background_throttled") > 0
    cluster.heal()
    sim.run(ms=61_000)
    for number in range(20):
        cluster.put(f"k{number}", -number, via=first)
    sim.run(ms=5_000)
    assert admission.slice > 16
    assert not told(cluster, first, "fail")
    world.holds(cluster)


def test_s34_hints_drain_soon_after_a_heal():
    """S34: waiting for silent peers is no load here, so once links are whole again the hints go home at once (I5)."""
    world = World("sim", lambda _: None)
    cluster = world.found(handoff_ms=500, seed=3)
    sim, names = cluster.cluster, cluster.nodes
    for name in names:
        for other in names:
            if name != other:
                sim.link(name, other, drop=0.4)
    for number in range(100):
        put_anyway(cluster.client(f"c{number % 5}", via=names[number % 5]), f"k{number}", number)
    assert sum(len(cluster.inspect(name)["hints"]) for name in names) > 0
    cluster.heal()
    healed_ms = sim.now_ms
    world.until(cluster, lambda: not any(cluster.inspect(name)["hint_count"] for name in names), "hints are gone")
    assert sim.now_ms - healed_ms < 2_000
    assert all(sim._world.hosts[name].node.admission.slice > SLICE_MIN for name in names)
    world.holds(cluster)
