"""The paper's claims, section by section (DeCandia et al., SOSP 2007, sections 4.1 to 4.9 and 5).

Each test holds one claim, through the verbs of a simulation or through `Node.handle`.
Where dynalab departs from the paper, the test says so, and the code has a DEPARTS at the place.
"""

from __future__ import annotations

from hashlib import md5
from random import Random
from typing import Any

import pytest

from dynalab.core.clock import Context, Dot
from dynalab.core.config import Config
from dynalab.core.effects import Received, Reply, Send, Start
from dynalab.core.errors import (
    InvalidContext,
    NodeIsDown,
    ReadQuorumNotReached,
    SeveralValues,
    WriteQuorumNotReached,
)
from dynalab.core.membership import founding
from dynalab.core.merkle import MerkleTree, diff
from dynalab.core.messages import (
    ClientGet,
    ClientGetDone,
    ClientPut,
    ClientPutDone,
    ReadRepair,
    ReplicaGet,
    ReplicaGetDone,
    ReplicaPut,
    ReplicaPutDone,
)
from dynalab.core.node import Node
from dynalab.core.ring import RING_SIZE, KeyRange, Ring, position_of
from dynalab.core.store import MemoryStore
from dynalab.core.version import Siblings
from dynalab.sim.cluster import Simulation
from tests.worlds import held, hints_for, told, walk_of

STILL = {"anti_entropy_ms": 0, "gossip_ms": 0, "ping_ms": 0, "handoff_ms": 0}
"""Nothing happens that nobody asked for."""


def lone_node(name: str = "A", nodes: str = "ABCDE", **settings: Any) -> Node:
    """A node that has started, with peers that are only names."""
    config = Config(**{**STILL, **settings})
    node = Node(name, config, b"secret", MemoryStore(), Random(0))
    node.handle(Start(founding(nodes, config)), 0, 0)
    return node


def hear(node: Node, sender: str, message: Any, now_us: int = 1_000) -> list[Any]:
    """What the node sends and replies when it hears a message."""
    return [e for e in node.handle(Received(sender, message), now_us, now_us) if isinstance(e, (Send, Reply))]


def key_at_home(node: Node, place: int = 0) -> bytes:
    """A key whose walk has the node at `place`."""
    names = (f"key-{number}".encode() for number in range(10_000))
    return next(key for key in names if node.membership.walk(position_of(key))[place] == node.name)


# --- 4.1 System interface ---------------------------------------------------------------------------------------------


def test_get_returns_one_value_or_all_conflicting_ones_with_a_context():
    """4.1: get returns a single object, or a list of objects with conflicting versions, along with a context."""
    sim = Simulation(5, seed=1)
    sim.client("alice").put("k", "one")
    assert sim.get("k").value == "one"
    sim.client("bob").put("k", "two", context=None)
    got = sim.get("k", r=3)
    assert sorted(got.values) == ["one", "two"]
    with pytest.raises(SeveralValues):
        _ = got.value
    sim.put("k", "both", context=got.context)
    assert sim.get("k", r=3).value == "both"


def test_the_context_is_checked():
    """4.1: the context is stored along with the object so that its validity can be verified."""
    sim = Simulation(5, seed=1)
    sim.put("k", "v")
    given = sim.get("k").context
    with pytest.raises(InvalidContext) as refused:
        sim.put("k", "forged", context=given._replace(entries={"A": 10**9}))
    assert refused.value.definite
    with pytest.raises(InvalidContext):
        sim.put("another key", "stolen", context=given)
    assert sim.get("k").values == ["v"]


def test_keys_and_values_are_opaque_bytes():
    """4.1: Dynamo treats both the key and the object as an opaque array of bytes."""
    sim = Simulation(3, seed=1)
    key, value = bytes(range(256)), bytes(range(255, -1, -1))
    sim.put(key, value)
    assert sim.get(key).value == value


def test_md5_of_the_key_names_its_nodes():
    """4.1: MD5 of the key gives a 128-bit identifier, which determines the nodes that serve the key."""
    assert position_of(b"cart") == int.from_bytes(md5(b"cart").digest())
    assert RING_SIZE == 2**128
    sim = Simulation(5, seed=1)
    sim.put("cart", "v", w=3)
    assert sorted(sim.values("cart")) == sorted(walk_of(sim, "cart")[:3])


# --- 4.2 Partitioning -------------------------------------------------------------------------------------------------


def test_a_key_goes_to_the_first_node_clockwise():
    """4.2: a key is assigned to the first node with a position larger than (or at) the key's, around the ring."""
    ring = Ring({100: "A", 200: "B", 300: "C"})
    assert [ring.preference_list_at(p, 1) for p in (0, 100, 101, 300, 301)] == [["A"], ["A"], ["B"], ["C"], ["A"]]


def test_an_arrival_affects_only_its_neighbours():
    """4.2: departure or arrival of a node only affects its immediate neighbours."""
    before = Ring({100: "A", 200: "B", 300: "C", 400: "D"})
    after = Ring({100: "A", 200: "B", 250: "X", 300: "C", 400: "D"})
    moved = [p for p in range(500) if before.preference_list_at(p, 1) != after.preference_list_at(p, 1)]
    assert moved == list(range(201, 251))
    assert {before.preference_list_at(p, 1)[0] for p in moved} == {"C"}


def test_virtual_nodes_spread_the_load_of_one_that_left():
    """4.2: if a node becomes unavailable, its load is dispersed over the remaining nodes."""
    nodes = [f"n{number}" for number in range(8)]
    ring = Ring.of(nodes, tokens=64)
    inherits = {ring.preference_list_at(p, 1, avoid=["n3"])[0] for p, owner in ring.tokens if owner == "n3"}
    assert inherits == set(nodes) - {"n3"}


def test_a_bigger_node_takes_more_virtual_nodes():
    """4.2: the number of virtual nodes of a node accounts for its capacity (heterogeneity)."""
    sim = Simulation(5, seed=1, weights={"A": 2.0})
    owners = [owner for _, owner in sim.inspect("A")["ring"]["tokens"]]
    assert owners.count("A") == pytest.approx(2 * owners.count("B"), abs=3)


# --- 4.3 Replication --------------------------------------------------------------------------------------------------


def test_every_key_is_on_n_nodes():
    """4.3: each data item is replicated at N hosts."""
    for n in (1, 2, 3, 5):
        sim = Simulation(5, seed=1, n=n, r=1, w=1)
        sim.put("k", "v", w=n)
        assert sorted(sim.values("k")) == sorted(walk_of(sim, "k")[:n])


def test_the_coordinator_replicates_to_its_successors():
    """4.3: the coordinator stores locally and replicates at the N-1 clockwise successor nodes."""
    node = lone_node()
    key = key_at_home(node)
    sent = hear(node, "client:alice", ClientPut("r", key, b"v", (), False, 3, 2, 10**6))
    successors = node.membership.walk(position_of(key))[1:3]
    assert [(e.to, type(e.message)) for e in sent] == [(peer, ReplicaPut) for peer in successors]
    assert node.store.get(key).siblings.values == [b"v"]


def test_a_node_keeps_the_ranges_between_it_and_its_nth_predecessor():
    """4.3: with N = 3, node D stores the keys of the ranges (A, B], (B, C] and (C, D] (figure 2)."""
    ring = Ring({100: "A", 200: "B", 300: "C", 400: "D", 500: "E"})
    assert set(ring.home_ranges("D", 3)) == {KeyRange(100, 200), KeyRange(200, 300), KeyRange(300, 400)}


def test_a_preference_list_holds_more_than_n_distinct_nodes():
    """4.3: the preference list contains more than N nodes, to allow for failures, and only distinct physical ones."""
    sim = Simulation(5, seed=1, tokens=8, strategy=1)
    for key in ("a", "b", "c", "d", "e"):
        assert sorted(walk_of(sim, key)) == ["A", "B", "C", "D", "E"]


# --- 4.4 Data versioning ----------------------------------------------------------------------------------------------


def test_a_put_returns_before_all_replicas_have_it():
    """4.4: a put may return before the update is at all replicas, so a later get may miss it."""
    sim = Simulation(5, seed=1, w=1, r=1, **STILL)
    home, other, slow = walk_of(sim, "k")[:3]
    sim.link(home, slow, delay_ms=100)
    ack = sim.client(via=home).put("k", "v")
    assert slow not in ack.nodes
    assert not sim.client(via=slow).get("k").found
    sim.run(ms=200)
    assert held(sim, slow, "k") == held(sim, other, "k") == ["v"]


def test_an_addition_is_never_lost_or_rejected():
    """4.4: when the latest state is out of reach, a change is made to an older version, and both are merged later."""
    sim = Simulation(5, seed=1)
    a, b, c, d, e = walk_of(sim, "cart")
    alice, bob = sim.client("alice", via=a), sim.client("bob", via=d)
    alice.put("cart", ["milk"], w=3)
    sim.partition([a, b], [c, d, e])
    alice.put("cart", [*alice.get("cart").value, "tea"])
    bob.put("cart", [*bob.get("cart").value, "jam"])
    sim.heal()
    sim.settle()
    got = alice.get("cart", r=3)
    assert sorted(got.values) == [["milk", "jam"], ["milk", "tea"]]
    alice.put("cart", sorted({item for cart in got.values for item in cart}), context=got.context)
    assert bob.get("cart", r=3).value == ["jam", "milk", "tea"]


def test_new_versions_subsume_old_ones():
    """4.4: most of the time new versions subsume the previous ones: syntactic reconciliation by the system."""
    sim = Simulation(5, seed=1)
    for number in range(5):
        sim.put("k", number)
    sim.settle()
    assert set(map(tuple, sim.values("k").values())) == {(4,)}


def test_figure_three():
    """4.4, figure 3: D1, D2 by Sx; D3 by Sy and D4 by Sz from D2; both are kept; D5 by Sx reconciles them."""
    sim = Simulation(["Sx", "Sy", "Sz"], seed=1)
    one, two = sim.client("one"), sim.client("two")
    one.put("k", "D1", via="Sx", w=3)
    one.put("k", "D2", via="Sx", w=3)
    two.get("k", r=3)
    sim.partition(["Sy"], ["Sz"])
    one.put("k", "D3", via="Sy", w=1)
    two.put("k", "D4", via="Sz", w=1)
    sim.heal()
    sim.settle()
    both = one.get("k", r=3)
    clocks = {version.value: dict(version.clock) for version in both.versions}
    assert clocks == {"D3": {"Sx": 2, "Sy": 1}, "D4": {"Sx": 2, "Sz": 1}}
    assert both.context.clock == {"Sx": 2, "Sy": 1, "Sz": 1}
    one.put("k", "D5", context=both.context, via="Sx", w=3)
    (last,) = one.get("k", r=3).versions
    assert (last.value, dict(last.clock)) == ("D5", {"Sx": 3, "Sy": 1, "Sz": 1})


def test_two_writes_with_one_context_are_both_kept():
    """4.4, DEPARTS: dots keep both of two writes with one context; the literal clock keeps the second."""
    kept = {}
    for clocks in ("dotted", "vector"):
        sim = Simulation(5, seed=1, clocks=clocks)
        home = walk_of(sim, "k")[0]
        sim.client("zoe", via=home).put("k", "old")
        seen = sim.client("eve", via=home).get("k").context
        sim.client("alice", via=home).put("k", "alice's", context=seen)
        sim.client("bob", via=home).put("k", "bob's", context=seen)
        kept[clocks] = sorted(sim.get("k", r=3).values)
    assert kept == {"dotted": ["alice's", "bob's"], "vector": ["bob's"]}


def test_a_long_vector_clock_is_truncated():
    """4.4: when the number of (node, counter) pairs reaches a threshold, say 10, the oldest pair is removed."""
    names = [f"n{number:02}" for number in range(12)]
    sim = Simulation(names, seed=1, n=12, r=1, w=12, clocks="vector")
    client = sim.client()
    for name in names:
        client.put("k", name, via=name)
        sim.run(ms=5)
        client.get("k", r=12)
    clock = next(v.clock for v in client.get("k", r=12).versions if v.value == "n11")
    assert len(clock) == 10
    assert set(names[:2]).isdisjoint(clock)


# --- 4.5 Execution of get and put -------------------------------------------------------------------------------------


def test_any_node_takes_any_request():
    """4.5: any storage node is eligible to receive get and put operations for any key."""
    sim = Simulation(5, seed=1)
    for node in sim.nodes:
        client = sim.client(via=node)
        client.put(f"by {node}", node)
        assert client.get(f"by {node}").value == node


def test_a_node_outside_the_preference_list_forwards():
    """4.5: a node that is not among the top N of the key's preference list forwards to the first that is."""
    sim = Simulation(5, seed=1)
    first, _, _, _, outside = walk_of(sim, "k")
    ack = sim.client(via=outside).put("k", "v")
    assert ack.coordinator == first
    assert held(sim, outside, "k") == []


def test_r_and_w_are_how_many_take_part():
    """4.5: R and W are the minimum numbers of nodes that take part in a successful read or write."""
    sim = Simulation(5, seed=1, n=3)
    for count in (1, 2, 3):
        assert len(sim.put("k", "v", w=count).nodes) >= count
        assert len(sim.get("k", r=count).nodes) >= count


def test_overlapping_quorums_see_the_last_put():
    """4.5: with R + W > N, and no failures, a get sees the last put."""
    for r, w in ((1, 3), (2, 2), (3, 1)):
        sim = Simulation(5, seed=3, n=3, r=r, w=w)
        for number in range(10):
            sim.client(via=sim.nodes[number % 5]).put("k", number, context=sim.get("k").context)
            assert sim.client(via=sim.nodes[(number + 2) % 5]).get("k").value == number


def test_the_slowest_of_the_quorum_sets_the_latency():
    """4.5: the latency of a get (or put) is dictated by the slowest of the R (or W) replicas."""
    sim = Simulation(3, seed=1, latency_ms=(1, 1), **STILL)
    home, near, far = walk_of(sim, "k")
    sim.link(home, far, delay_ms=100)
    client = sim.client(via=home)
    assert client.put("k", "v", w=2).latency_ms < 10
    assert client.put("k", "v", w=3).latency_ms >= 100
    assert set(client.get("k", r=2).nodes) == {home, near}
    assert client.get("k", r=3).latency_ms >= 100


def test_a_put_is_written_locally_first_and_waits_for_w_minus_one():
    """4.5: the coordinator makes the new clock, writes locally, sends to the others, and waits for W-1 of them."""
    node = lone_node()
    key = key_at_home(node)
    first, second = hear(node, "client:alice", ClientPut("r", key, b"v", (), False, 3, 3, 10**6))
    assert first.message.siblings.clock == {"A": 1}
    op = first.message.request
    assert hear(node, first.to, ReplicaPutDone(op)) == []
    (reply,) = hear(node, second.to, ReplicaPutDone(op))
    assert (reply.to, type(reply.message)) == ("client:alice", ClientPutDone)
    assert set(reply.message.nodes) == {"A", first.to, second.to}


def test_a_get_returns_all_versions_that_are_causally_unrelated():
    """4.5: of the R answers a get returns all versions that are causally unrelated; those outdated are left out."""
    node = lone_node(r=3)
    key = key_at_home(node)
    old = Siblings().put("B", b"old", None)
    new, other = old.put("B", b"new", old.context), Siblings().put("C", b"other", None)
    first, second = hear(node, "client:alice", ClientGet("r", key, 3, 3, 10**6))
    assert isinstance(first.message, ReplicaGet)
    hear(node, first.to, ReplicaGetDone(first.message.request, old))
    reply, *_ = hear(node, second.to, ReplicaGetDone(second.message.request, new.merge(other)))
    assert isinstance(reply.message, ClientGetDone)
    assert reply.message.siblings.values == [b"new", b"other"]
    assert reply.message.context.covers(Dot("C", 1))


# --- 4.6 Hinted handoff -----------------------------------------------------------------------------------------------


def test_operations_go_to_the_first_n_healthy_nodes():
    """4.6: operations are performed on the first N healthy nodes of the preference list, not on the first N."""
    sim = Simulation(5, seed=1)
    first, second, third, fourth, _ = walk_of(sim, "k")
    sim.crash(second)
    ack = sim.client(via=first).put("k", "v", w=3)
    assert set(ack.nodes) == {first, third, fourth}
    assert ack.hinted == {fourth: second}
    assert set(sim.client(via=first).get("k", r=3).nodes) == {first, third, fourth}


def test_a_hint_names_its_home_and_is_kept_apart():
    """4.6: the replica sent to a stand-in carries a hint of its intended recipient, kept in a separate database."""
    sim = Simulation(5, seed=1)
    first, second, _, fourth, _ = walk_of(sim, "k")
    sim.crash(second)
    sim.client(via=first).put("k", "v", w=3)
    assert [(hint["home"], hint["key"]) for hint in sim.inspect(fourth)["hints"]] == [(second, "k")]
    assert "k" not in sim.inspect(fourth)["records"]


def test_a_hint_is_delivered_when_its_home_recovers_and_then_dropped():
    """4.6: when the home has recovered the hint is delivered, and deleted once the transfer succeeds."""
    sim = Simulation(5, seed=1, anti_entropy_ms=0, read_repair=False)
    first, second, _, fourth, _ = walk_of(sim, "k")
    sim.crash(second)
    sim.client(via=first).put("k", "v", w=3)
    sim.recover(second)
    assert held(sim, second, "k") == []
    sim.settle()
    assert held(sim, second, "k") == ["v"]
    assert hints_for(sim, second) == []
    handed, kept = told(sim, second, "store", key=b"k")[-1], told(sim, fourth, "forget", key=b"k")[-1]
    assert handed.seq < kept.seq


def test_with_w_of_one_a_write_fails_only_when_all_nodes_are_down():
    """4.6: with W = 1 a write is accepted as long as a single node is available."""
    sim = Simulation(5, seed=1, w=1, r=1)
    for node in walk_of(sim, "k")[:4]:
        sim.crash(node)
    (survivor,) = [node for node, state in sim.states().items() if state == "up"]
    assert sim.client(via=survivor).put("k", "v", timeout_ms=3_000).nodes == [survivor]
    sim.crash(survivor)
    with pytest.raises(NodeIsDown):
        sim.put("k", "v2")


def test_a_forwarder_whose_homes_are_all_silent_coordinates_itself():
    """4.5, 4.6: a forwarded request gives every home its turn, then the forwarder stands in; errors stay unknown."""
    sim = Simulation(5, seed=1, w=1)
    first, second, third, outside, _ = walk_of(sim, "k")
    for home in (first, second, third):
        sim.crash(home)
    ack = sim.client(via=outside).put("k", "v")
    assert ack.coordinator == outside
    sim.recover(first)
    sim.run(ms=2_000)
    sim.crash(first)
    with pytest.raises(InvalidContext) as refused:
        sim.client(via=outside).put("k", "w", context=ack.context._replace(seal=b"forged"))
    assert not refused.value.definite


def test_a_strict_quorum_has_no_stand_ins():
    """4.5, 4.6: the traditional quorum would be unavailable during failures; `strict=True` shows it."""
    sim = Simulation(5, seed=1, strict=True)
    first, second, third = walk_of(sim, "k")[:3]
    sim.crash(second)
    sim.crash(third)
    with pytest.raises(WriteQuorumNotReached):
        sim.client(via=first).put("k", "v")
    with pytest.raises(ReadQuorumNotReached):
        sim.client(via=first).get("k")


def test_replicas_spread_over_data_centres():
    """4.6: the preference list is built so that the storage nodes are spread across multiple data centres."""
    zones = {"A": "east", "B": "east", "C": "east", "D": "west", "E": "west"}
    sim = Simulation(5, seed=1, zones=zones)
    for number in range(50):
        homes = sim.put(f"key-{number}", "v", w=3).nodes
        assert {zones[node] for node in homes} == {"east", "west"}


# --- 4.7 Replica synchronisation --------------------------------------------------------------------------------------


def test_equal_roots_mean_that_nothing_is_exchanged():
    """4.7: if the hash values of the roots are equal, the nodes need no synchronisation."""
    sim = Simulation(5, seed=1, anti_entropy_ms=100)
    for number in range(20):
        sim.put(f"key-{number}", number, w=3)
    sim.settle()
    before = len(sim.events)
    sim.run(ms=2_000)
    names = {event.message for event in sim.events[before:] if event.kind == "send"}
    assert "RootsGet" in names
    assert names.isdisjoint({"TreeGet", "KeysGet", "KeysGetDone"})


def test_only_keys_that_differ_are_transferred():
    """4.7: nodes exchange children down the tree until the leaves, and move only the keys out of sync."""
    sim = Simulation(3, seed=1, anti_entropy_ms=200, hints=False, read_repair=False)
    first, second, third = walk_of(sim, "key-7")
    for number in range(30):
        sim.put(f"key-{number}", "old", w=3)
    sim.settle()
    sim.partition([first, second], [third])
    sim.client(via=first).put("key-7", "new", context=Context.LOCAL)
    sim.heal()
    before = len(sim.events)
    sim.settle()
    sim.run(ms=1_000)
    assert held(sim, third, "key-7") == ["new"]
    moved = {event.key for event in sim.events[before:] if event.kind == "store"}
    assert moved == {b"key-7"}
    swapped = [event.detail["keys"] for event in sim.events[before:] if event.kind == "exchange"]
    assert 1 <= sum(swapped) <= 2


def test_each_node_has_a_tree_for_each_of_its_key_ranges():
    """4.7: each node maintains a separate Merkle tree for each key range it hosts."""
    sim = Simulation(5, seed=1, partitions=16)
    for node in sim.nodes:
        ring = Ring({int(p, 16): owner for p, owner in sim.inspect(node)["ring"]["tokens"]}, partitions=16)
        ends = {f"{each.end:032x}" for each in ring.home_ranges(node, 3)}
        assert set(sim.inspect(node)["roots"]) == ends


def test_trees_find_the_difference_from_the_root_down():
    """4.7: two trees differ in exactly the keys that differ, whatever the order they were built in."""
    left = MerkleTree({b"a": b"1", b"b": b"2", b"c": b"3"})
    right = MerkleTree({b"c": b"3", b"b": b"x", b"d": b"4", b"a": b"1"})
    assert diff(left, right) == {b"b", b"d"}


# --- 4.8 Membership and failure detection -----------------------------------------------------------------------------


def test_membership_changes_only_by_hand():
    """4.8.1: an outage rarely signifies a permanent departure, so it does not change the membership."""
    sim = Simulation(5, seed=1)
    sim.crash("C")
    sim.run(ms=20_000)
    seen = sim.inspect("A")
    assert not seen["up"]["C"]["believed_up"]
    assert seen["members"]["C"] == "up"
    assert "C" in {owner for _, owner in seen["ring"]["tokens"]}


def test_gossip_spreads_the_membership():
    """4.8.1: a gossip-based protocol propagates membership changes: an eventually consistent view everywhere."""
    sim = Simulation(8, seed=1)
    sim.join("X")
    sim.settle()
    views = [sim.inspect(node) for node in sim.nodes]
    assert {seen["history_digest"] for seen in views} == {views[0]["history_digest"]}
    assert all(seen["members"]["X"] == "up" for seen in views)
    assert len({str(seen["ring"]) for seen in views}) == 1


def test_the_mapping_survives_a_restart():
    """4.8.1: the mapping of nodes to their tokens is persisted on disk."""
    sim = Simulation(5, seed=1, storage="log")
    sim.join("X")
    sim.settle()
    ring = sim.inspect("X")["ring"]
    for node in ("X", "A"):
        sim.crash(node)
        sim.recover(node)
        assert sim.inspect(node)["ring"] == ring
        assert sim.inspect(node)["members"]["X"] == "up"


def test_seeds_end_a_logical_partition():
    """4.8.2: nodes that know only themselves are logically partitioned; a seed known to all brings them together."""
    config = Config(**{**STILL, "gossip_ms": 1_000})
    alone = {name: Node(name, config, b"s", MemoryStore(), Random(1)) for name in "AB"}
    for name, node in alone.items():
        node.handle(Start(founding(name, config)), 0, 0)
    assert {name: node.membership.peers() for name, node in alone.items()} == {"A": [], "B": []}
    seeded = Node("B", config, b"s", MemoryStore(), Random(1))
    seeded.handle(Start(founding("B", config), seeds=("A",)), 0, 0)
    meet(alone["A"], seeded)
    assert alone["A"].membership.peers() == ["B"]
    assert seeded.membership.peers() == ["A"]
    assert alone["A"].membership.ring == seeded.membership.ring


def meet(left: Node, right: Node) -> None:
    """The right node gossips once; messages go to and fro until nobody has anything to say."""
    nodes = {left.name: left, right.name: right}
    right.membership.gossip()
    waiting = [(right.name, effect) for effect in right.desk.take_effects()]
    for _ in range(20):
        if not waiting:
            return
        sender, effect = waiting.pop(0)
        if isinstance(effect, Send):
            answers = nodes[effect.to].handle(Received(sender, effect.message), 2_000, 2_000)
            waiting += [(effect.to, answer) for answer in answers]
    raise AssertionError("they never stop talking")


def test_failure_detection_is_local():
    """4.8.3: A may consider B failed while B answers C: each acts on its own opinion."""
    sim = Simulation(3, seed=1)
    sim.partition("A", "B")
    sim.run(ms=20_000)
    opinion = {node: sim.inspect(node)["up"] for node in sim.nodes}
    assert not opinion["A"]["B"]["believed_up"]
    assert not opinion["B"]["A"]["believed_up"]
    assert opinion["C"]["A"]["believed_up"]
    assert opinion["C"]["B"]["believed_up"]
    sim.heal()
    sim.run(ms=20_000)
    assert sim.inspect("A")["up"]["B"]["believed_up"]


def test_a_silent_replica_is_suspected_at_once():
    """4.8.3: a node quickly discovers that another is unresponsive when it fails to answer a request."""
    sim = Simulation(5, seed=1, ping_ms=0)
    first, second, _ = walk_of(sim, "k")[:3]
    sim.crash(second)
    sim.client(via=first).put("k", "v", w=3)
    assert not sim.inspect(first)["up"][second]["believed_up"]


# --- 4.9 Adding and removing nodes ------------------------------------------------------------------------------------


def test_a_joining_node_is_handed_the_keys_of_its_ranges():
    """4.9: nodes that no longer have to store some keys transfer them to the new node; all stay readable."""
    sim = Simulation(5, seed=1)
    for number in range(60):
        sim.put(f"key-{number}", number, w=3)
    sim.join("X")
    sim.settle()
    for number in range(60):
        key = f"key-{number}"
        assert sorted(sim.values(key)) == sorted(walk_of(sim, key)[:3])
        assert sim.get(key, r=3).value == number
    assert any("X" in sim.values(f"key-{number}") for number in range(60))


def test_only_the_new_nodes_ranges_move():
    """4.9: X takes the ranges of which it becomes a home; nobody else receives a key."""
    sim = Simulation(5, seed=1)
    for number in range(60):
        sim.put(f"key-{number}", number, w=3)
    sim.settle()
    before = len(sim.events)
    sim.join("X")
    sim.settle()
    assert {event.node for event in sim.events[before:] if event.kind == "store"} == {"X"}


def test_donors_keep_a_range_until_the_newcomer_has_it():
    """4.9: a confirmation round between source and destination ensures that no transfer is lost."""
    sim = Simulation(5, seed=1)
    for number in range(60):
        sim.put(f"key-{number}", number, w=3)
    sim.join("X")
    sim.settle()
    got = {event.key: event.seq for event in reversed(sim.events) if event.kind == "store" and event.node == "X"}
    forgotten = [e for e in sim.events if e.kind == "forget" and not e.peer and e.key in got]
    assert forgotten
    assert all(got[event.key] < event.seq for event in forgotten)


def test_a_leaving_node_hands_its_keys_on():
    """4.9: when a node is removed, the reallocation of keys occurs in a reverse process."""
    sim = Simulation(5, seed=1)
    for number in range(40):
        sim.put(f"key-{number}", number, w=3)
    sim.leave("B")
    sim.settle()
    assert "B" not in sim.nodes
    for number in range(40):
        key = f"key-{number}"
        assert sorted(sim.values(key)) == sorted(walk_of(sim, key)[:3])
        assert sim.get(key, r=3).value == number


# --- 5 Implementation -------------------------------------------------------------------------------------------------


def test_a_read_is_a_state_machine_that_fails_when_too_few_answer():
    """5: the read sends requests, waits for R answers, and fails when too few come within the time bound."""
    sim = Simulation(3, seed=1)
    home, *others = walk_of(sim, "k")
    sim.put("k", "v", w=3)
    sim.partition([home], others)
    with pytest.raises(ReadQuorumNotReached) as failed:
        sim.client(via=home).get("k", r=2, timeout_ms=300)
    assert (failed.value.needed, failed.value.got) == (2, 1)
    assert failed.value.definite


def test_read_repair_follows_the_answer():
    """5: after the answer the coordinator waits for outstanding replies, and updates those with stale versions."""
    node = lone_node(r=2)
    key = key_at_home(node)
    old = Siblings().put("B", b"old", None)
    new = old.put("B", b"new", old.context)
    first, second = hear(node, "client:alice", ClientGet("r", key, 3, 2, 10**6))
    (reply,) = hear(node, first.to, ReplicaGetDone(first.message.request, new))
    assert reply.message.siblings.values == [b"new"]
    (repair,) = hear(node, second.to, ReplicaGetDone(second.message.request, old))
    assert (repair.to, repair.message) == (second.to, ReadRepair(key, new))
    assert node.store.get(key).siblings == new


def test_any_of_the_top_n_coordinates_a_write():
    """5: any of the top N nodes of the preference list may coordinate a write."""
    sim = Simulation(5, seed=1)
    for home in walk_of(sim, "k")[:3]:
        assert sim.client(via=home).put("k", home).coordinator == home


def test_a_partition_aware_client_saves_a_hop():
    """6.4 (from 5): a client that knows the membership asks a node of the preference list directly."""
    sim = Simulation(5, seed=1)
    outside = walk_of(sim, "k")[4]
    sim.put("k", "v", w=3)
    direct, hop = sim.client(), sim.client(via=outside)
    before = len(sim.events)
    direct.get("k")
    assert all(event.node != outside for event in sim.events[before:] if event.kind == "receive" and event.request)
    fast = sum(direct.get("k").latency_ms for _ in range(20))
    assert fast < sum(hop.get("k").latency_ms for _ in range(20))
