import json
import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynalab.core.ring import (
    NOBODY,
    RING_SIZE,
    EmptyRing,
    KeyRange,
    Ring,
    give_back,
    position_of,
    share_out,
    steal,
)

NAMES = [f"n{number:02}" for number in range(20)]
KEYS = [f"key-{number}".encode() for number in range(500)]

positions = st.integers(0, RING_SIZE - 1)
edges = st.sampled_from([0, 1, RING_SIZE // 64 - 1, RING_SIZE // 64, RING_SIZE // 2, RING_SIZE - 2, RING_SIZE - 1])
members = st.lists(st.sampled_from(NAMES), min_size=1, max_size=12, unique=True)


def ring_by(strategy: int, nodes: list[str], **options: object) -> Ring:
    if strategy == 1:
        return Ring.of(nodes, **options)
    if strategy == 2:
        return Ring.of_partitions(nodes, **options)
    return Ring.even(share_out(nodes, 64), **options)


strategies = pytest.mark.parametrize("strategy", [1, 2, 3])


# ------------------------------------------------------------------------------ positions and key ranges


def test_a_position_is_the_md5_of_the_key_read_big_endian():
    """A key's position is its MD5 as a 128-bit big-endian number (paper 4.1)."""
    assert position_of(b"") == 0xD41D8CD98F00B204E9800998ECF8427E
    assert position_of(b"a") == 0x0CC175B9C0F1B6A831C399E269772661


@given(start=positions | edges, end=positions | edges, position=positions | edges)
def test_a_key_range_holds_its_end_and_not_its_start(start, end, position):
    """A key range is the arc (start, end]: clockwise from start, positions up to the end."""
    arc = KeyRange(start, end)
    steps = (position - start) % RING_SIZE or RING_SIZE
    assert arc.contains(position) == (steps <= arc.size)
    assert arc.contains(end)
    assert 1 <= arc.size <= RING_SIZE


def test_a_key_range_reads_as_hex_prefixes():
    """A key range prints as the first four hex digits of its ends."""
    assert str(KeyRange(0x12345 << 108, 0xABCDE << 108)) == "(1234, abcd]"


@strategies
@given(nodes=members, position=positions | edges)
def test_the_key_ranges_cover_the_ring_once(strategy, nodes, position):
    """Every position lies in exactly one key range, the one that range_index and range_at name."""
    ring = ring_by(strategy, nodes)
    assert [r for r in ring.ranges if r.contains(position)] == [ring.range_at(position)]
    assert ring.ranges[ring.range_index(position)] == ring.range_at(position)
    assert sum(r.size for r in ring.ranges) == RING_SIZE
    assert all(left.end == right.start for left, right in pairwise(ring.ranges))


@given(count=st.integers(1, 200), data=st.data())
def test_equal_key_ranges_split_at_their_ends_for_any_number_of_them(count, data):
    """The end of a key range belongs to it and the next position to the next one, also when Q is no power of two."""
    ring = Ring.even(["A"] * count)
    index = data.draw(st.integers(0, count - 1))
    end = ring.ranges[index].end
    assert ring.range_index(end) == index
    assert ring.range_index((end + 1) % RING_SIZE) == (index + 1) % count
    assert max(r.size for r in ring.ranges) - min(r.size for r in ring.ranges) <= 1


# ------------------------------------------------------------------------------ preference lists (4.3, 4.6)


def test_the_walk_goes_clockwise_from_the_key_and_wraps_around():
    """The first node met clockwise from the position comes first; past the last token the walk starts over (4.2)."""
    ring = Ring({100: "A", 200: "B", 300: "C"})
    assert ring.preference_list_at(100, 3) == ["A", "B", "C"]
    assert ring.preference_list_at(101, 3) == ["B", "C", "A"]
    assert ring.preference_list_at(301, 3) == ["A", "B", "C"]
    assert ring.preference_list_at(RING_SIZE - 1, 1) == ["A"]


def test_virtual_nodes_of_one_node_count_once():
    """Further tokens of a node already met are skipped, so N replicas sit on N physical nodes (4.3; S19)."""
    ring = Ring({10: "A", 20: "A", 30: "A", 40: "B", 50: "A", 60: "C"})
    assert ring.preference_list_at(5, 3) == ["A", "B", "C"]
    assert ring.preference_list_at(45, 3) == ["A", "C", "B"]


@strategies
@given(nodes=members, key=st.binary(max_size=20), n=st.integers(1, 15))
def test_replicas_are_distinct_nodes_and_all_of_them_when_there_are_too_few(strategy, nodes, key, n):
    """A preference list holds min(n, nodes) distinct physical nodes, on 8 tokens per node, 1 and 2 nodes too (S19)."""
    homes = ring_by(strategy, nodes).preference_list(key, n)
    assert len(homes) == len(set(homes)) == min(n, len(nodes))
    assert set(homes) <= set(nodes)


@strategies
@given(nodes=members, key=st.binary(max_size=20), n=st.integers(1, 5), data=st.data())
def test_fallbacks_are_the_next_nodes_of_the_same_walk(strategy, nodes, key, n, data):
    """Whoever is avoided is replaced by the next distinct node after the homes, and nobody else changes place (S20)."""
    ring = ring_by(strategy, nodes)
    down = data.draw(st.lists(st.sampled_from(nodes), unique=True))
    walk = ring.preference_list(key, len(nodes))
    assert ring.preference_list(key, n, avoid=down) == [node for node in walk if node not in down][:n]
    assert list(ring.walk(position_of(key))) == walk


def test_strategy_two_walks_from_the_end_of_the_key_range():
    """With equal key ranges over random tokens a key walks from the end of its range, not from itself (6.2)."""
    quarter = RING_SIZE // 4
    ring = Ring({10: "A", quarter + 10: "B", 2 * quarter + 10: "C"}, partitions=4)
    assert ring.preference_list_at(5, 3) == ["B", "C", "A"]
    assert ring.preference_list_at(3 * quarter + 5, 3) == ["A", "B", "C"]
    assert len(ring.ranges) == 4


def test_strategy_three_starts_at_the_owner_of_the_key_range():
    """The i-th owner coordinates the i-th equal key range, and walks skip an owner met twice (6.2)."""
    ring = Ring.even(["A", "B", "A", "C"])
    quarter = RING_SIZE // 4
    assert [ring.preference_list_at(i * quarter, 1)[0] for i in range(4)] == ["A", "B", "A", "C"]
    assert ring.preference_list_at(2 * quarter, 3) == ["A", "C", "B"]
    assert [node for _, node in ring.tokens] == ["A", "B", "A", "C"]


def test_a_text_key_stands_for_its_utf8_bytes():
    """A str key and its UTF-8 bytes have the same preference list."""
    ring = Ring.of(NAMES)
    assert ring.preference_list("käse", 5) == ring.preference_list("käse".encode(), 5)


@pytest.mark.parametrize("n", [0, -3])
def test_a_preference_list_of_no_node_is_refused_by_value(n):
    """An n below 1 is a ValueError that names the value."""
    with pytest.raises(ValueError, match=f"n is {n}"):
        Ring({1: "A"}).preference_list("k", n)


@pytest.mark.parametrize(
    "ring", [Ring({}), Ring.of([]), Ring.even([]), Ring.even([NOBODY] * 4), Ring.of_partitions([])]
)
def test_a_ring_without_tokens_fails_lookups_definitely(ring):
    """A lookup on an empty ring raises EmptyRing, a definite LookupError, and the ring can still be looked at."""
    assert ring.nodes == () == ring.tokens
    assert ring.share() == {}
    with pytest.raises(LookupError) as caught:
        ring.preference_list("cart", 3)
    assert isinstance(caught.value, EmptyRing)
    assert caught.value.definite


@pytest.mark.parametrize(
    "build",
    [
        lambda: Ring({-1: "A"}),
        lambda: Ring({RING_SIZE: "A"}),
        lambda: Ring({1: ""}),
        lambda: Ring({1: "A"}, partitions=0),
        lambda: Ring({1: "A"}).walk(RING_SIZE),
        lambda: Ring.of(["A", "A"]),
        lambda: Ring.of(["A"], tokens=0),
        lambda: Ring.of(["A"], weights={"A": 0}),
        lambda: share_out(["A", "B"], 8, weights={"B": float("nan")}),
        lambda: steal(("A",), ""),
    ],
)
def test_what_cannot_be_a_ring_is_refused(build):
    """Positions off the ring, empty or repeated names, no tokens and senseless weights are ValueErrors."""
    with pytest.raises(ValueError, match=r"ring|node|tokens|weight|partitions"):
        build()


# ------------------------------------------------------------------------------ zones and weights


@strategies
@given(nodes=members, position=positions, data=st.data())
def test_no_zone_holds_two_replicas_while_another_holds_none(strategy, nodes, position, data):
    """For every n, zones of the first n nodes are as even as the zones' sizes allow (4.6)."""
    zones = {node: data.draw(st.sampled_from(["east", "west", "north"])) for node in nodes}
    walk = ring_by(strategy, nodes, zones=zones).walk(position)
    assert sorted(walk) == sorted(nodes)
    size = Counter(zones.values())
    for n in range(1, len(walk) + 1):
        used = Counter(zones[node] for node in walk[:n])
        open_zones = [used[zone] for zone in size if used[zone] < size[zone]]
        assert max(used.values()) <= min(open_zones, default=n) + 1


def test_zones_keep_the_clockwise_order_where_they_leave_a_choice():
    """Among the least used zones the next node clockwise is taken; without zones that is the plain walk."""
    tokens = {10: "A", 20: "B", 30: "C", 40: "D"}
    assert Ring(tokens).walk(5) == ("A", "B", "C", "D")
    assert Ring(tokens, zones=dict.fromkeys("ABCD", "z")).walk(5) == ("A", "B", "C", "D")
    assert Ring(tokens, zones={"A": "x", "B": "x", "C": "y", "D": "y"}).walk(5) == ("A", "C", "B", "D")


def test_a_heavier_node_takes_more_tokens_and_more_of_the_ring():
    """A node's tokens grow with its weight, and a light node keeps at least one (4.2)."""
    ring = Ring.of(["A", "B", "C"], tokens=100, weights={"A": 3, "C": 0.001})
    held = Counter(node for _, node in ring.tokens)
    assert held == {"A": 300, "B": 100, "C": 1}
    assert ring.share()["A"] > ring.share()["B"] > ring.share()["C"] > 0


# ------------------------------------------------------------------------------ minimal movement


@pytest.mark.parametrize("strategy", [1, 2])
@given(nodes=members, key=st.binary(max_size=20))
def test_a_join_leaves_the_order_of_the_others_alone(strategy, nodes, key):
    """With random tokens a newcomer steps into walks, and all others keep their order in them (4.2)."""
    before, after = ring_by(strategy, nodes), ring_by(strategy, [*nodes, "new"])
    walk = after.preference_list(key, 99)
    assert [node for node in walk if node != "new"] == before.preference_list(key, 99)


@strategies
@given(nodes=members, key=st.binary(max_size=20))
def test_a_joining_node_takes_keys_over_and_no_other_node_does(strategy, nodes, key):
    """After a join the coordinator of a key is the one before, or the newcomer (4.2, 6.2)."""
    before, after = ring_by(strategy, nodes), ring_by(strategy, [*nodes, "new"])
    assert after.preference_list(key, 1)[0] in (before.preference_list(key, 1)[0], "new")


def test_a_join_moves_no_more_than_the_newcomers_share():
    """Joining as the eleventh of eleven moves about 1/11 of the coordinated keys, exactly its share (6.2)."""
    for strategy in (1, 2, 3):
        before, after = ring_by(strategy, NAMES[:10]), ring_by(strategy, NAMES[:11])
        moved = sum(before.preference_list(key, 1) != after.preference_list(key, 1) for key in KEYS)
        arrived = sum(after.preference_list(key, 1) == [NAMES[10]] for key in KEYS)
        assert moved == arrived
        assert 0 < arrived < len(KEYS) * 0.3


# ------------------------------------------------------------------------------ home ranges and shares


@strategies
@given(nodes=members, n=st.integers(1, 4), position=positions, zoned=st.booleans())
@settings(max_examples=30)
def test_home_ranges_agree_with_preference_lists(strategy, nodes, n, position, zoned):
    """A node is home to a position exactly when the position lies in one of its home ranges."""
    zones = {node: node[-1] for node in nodes} if zoned else None
    ring = ring_by(strategy, nodes, zones=zones)
    homes = {node for node in nodes if any(r.contains(position) for r in ring.home_ranges(node, n))}
    assert homes == set(ring.preference_list_at(position, n))
    assert ring.home_ranges("stranger", n) == ()


@strategies
@given(nodes=members, n=st.integers(1, 4))
@settings(max_examples=30)
def test_shares_sum_to_the_number_of_replicas(strategy, nodes, n):
    """The fractions stored by all nodes sum to n rings, or to one ring per node when there are fewer."""
    share = ring_by(strategy, nodes).share(n)
    assert sum(share.values()) == pytest.approx(min(n, len(nodes)))


def test_strategy_three_balances_better_than_random_tokens():
    """Equal key ranges handed out evenly load nodes within one range of each other; random tokens do not (6.2)."""

    def spread(ring: Ring) -> float:
        return max(ring.share().values()) - min(ring.share().values())

    assert spread(ring_by(3, NAMES[:10])) == pytest.approx(1 / 64)
    assert spread(ring_by(1, NAMES[:10])) > 2 / 64
    assert spread(ring_by(2, NAMES[:10])) > 2 / 64


# ------------------------------------------------------------------------------ owners of slots (strategy 3)

steps = st.lists(st.tuples(st.booleans(), st.sampled_from(NAMES)), max_size=30)


@given(steps=steps, partitions=st.integers(20, 100))
def test_counts_stay_within_one_of_each_other_through_joins_and_leaves(steps, partitions):
    """Equal nodes own equal numbers of slots, give or take one, whatever history of joins and leaves (6.2)."""
    owners: tuple[str, ...] = (NOBODY,) * partitions
    for joins, node in steps:
        owners = steal(owners, node) if joins else give_back(owners, node)
        held = Counter(owners)
        assert max(held.values()) - min(held.values()) <= 1
        assert len(owners) == partitions
        assert (NOBODY in held) == (set(held) == {NOBODY})


weights = st.dictionaries(st.sampled_from(NAMES), st.floats(0.1, 10), max_size=10)


@given(nodes=members, weights=weights, newcomer=st.sampled_from(["x", "y"]))
def test_only_the_joining_node_receives_slots(nodes, weights, newcomer):
    """A steal changes owners to the newcomer only, takes its share by weight, and robs nobody of his last slot."""
    before = share_out(nodes, 64, weights)
    after = steal(before, newcomer, weights | {"x": 2.0})
    assert {new for old, new in zip(before, after, strict=True) if new != old} == {newcomer}
    assert set(after) == {*nodes, newcomer}
    whole = sum(weights.get(node, 1.0) for node in nodes) + (2.0 if newcomer == "x" else 1.0)
    due = 64 * (2.0 if newcomer == "x" else 1.0) / whole
    assert Counter(after)[newcomer] == max(1, int(due))


@given(nodes=members, weights=weights, data=st.data())
def test_only_the_slots_of_the_leaving_node_move(nodes, weights, data):
    """Giving back changes the leaver's slots only, and the last one to leave leaves nobody."""
    leaver = data.draw(st.sampled_from(nodes))
    before = share_out(nodes, 64, weights)
    after = give_back(before, leaver, weights)
    assert all(old in (new, leaver) for old, new in zip(before, after, strict=True))
    assert set(after) == (set(nodes) - {leaver} or {NOBODY})


def test_weights_decide_how_many_slots_a_node_owns():
    """A node of weight 2 owns twice the slots of a node of weight 1."""
    held = Counter(share_out(["A", "B", "C"], 64, {"B": 2}))
    assert held == {"A": 16, "B": 32, "C": 16}


@pytest.mark.parametrize("count", [2, 3, 5, 7, 12, 30])
def test_slots_of_a_node_are_not_neighbours_after_joins(count):
    """Nodes that join one by one never own two neighbouring slots, so a walk meets new nodes at once."""
    owners = share_out([f"n{number}" for number in range(count)], 64)
    assert all(left != right for left, right in zip(owners, owners[1:] + owners[:1], strict=True))


def test_slots_of_a_newcomer_spread_around_the_ring():
    """A newcomer's slots lie about evenly: no half of the ring holds more than half of them plus two."""
    owners = share_out(NAMES[:7], 64)
    mine = [slot for slot, owner in enumerate(owners) if owner == NAMES[6]]
    for start in range(64):
        half = sum((slot - start) % 64 < 32 for slot in mine)
        assert half <= len(mine) / 2 + 2


def test_a_heavy_newcomer_leaves_everybody_a_slot():
    """However heavy it is, a newcomer takes no node's last slot."""
    owners = steal(share_out(NAMES[:5], 8), "heavy", {"heavy": 1000})
    assert Counter(owners) == {"heavy": 3, **dict.fromkeys(NAMES[:5], 1)}


def test_a_node_that_tops_up_avoids_its_own_neighbourhood():
    """A node that takes more slots prefers those that are not next to its own."""
    owners = steal(("x", "A", "A", "A", "A", "A"), "x")
    assert Counter(owners) == {"x": 3, "A": 3}
    assert all(left != right for left, right in zip(owners, owners[1:] + owners[:1], strict=True))


def test_more_nodes_than_slots_leaves_the_late_ones_without():
    """A slot is never taken from a node that has only one; a node that finds none to take owns none."""
    owners = share_out(NAMES[:5], 3)
    assert sorted(owners) == NAMES[:3]
    assert Ring.even(owners).preference_list("cart", 5) == sorted(
        Ring.even(owners).nodes, key=Ring.even(owners).walk(position_of(b"cart")).index
    )


def test_a_thousand_joins_over_4096_slots_end_balanced():
    """A thousand nodes over 4,096 slots own four or five each, none next to itself."""
    owners = share_out([f"n{number}" for number in range(1000)], 4096)
    assert Counter(Counter(owners).values()) == {4: 904, 5: 96}
    assert all(left != right for left, right in pairwise(owners))


# ------------------------------------------------------------------------------ values


def test_rings_are_values_whatever_the_order_of_names():
    """Rings of the same tokens, zones and key ranges are equal, and differ when one of these differs."""
    assert Ring.of(["A", "B"]) == Ring.of(["B", "A"])
    assert Ring({1: "A", 2: "B"}) == Ring({2: "B", 1: "A"})
    assert Ring({1: "A"}) != Ring({1: "A"}, zones={"A": "east"})
    assert Ring({1: "A"}) != Ring({1: "A"}, partitions=2)
    assert Ring.of(["A"], seed=1) != Ring.of(["A"], seed=2)
    assert repr(Ring.even(share_out(NAMES[:5], 64))) == "<Ring 5 nodes, 64 key ranges>"


PLACEMENTS = """
import json
from dynalab.core.ring import Ring, share_out
names = [f"n{number:02}" for number in range(20)]
zones = {name: "zone" + name[-1] for name in names[:12]}
weights = {name: 1 + int(name[1:]) / 3 for name in names}
owners = share_out(names, 100, weights)
rings = [Ring.of(names, zones=zones, weights=weights), Ring.of_partitions(names), Ring.even(owners, zones=zones)]
print(json.dumps([owners, [[ring.preference_list(f"key-{k}", 20) for k in range(10_000)] for ring in rings]]))
"""


def test_every_process_places_10000_keys_alike():
    """Processes with different PYTHONHASHSEED agree on owners and preference lists of 10,000 keys (S03)."""
    answers = [
        subprocess.run(
            [sys.executable, "-c", PLACEMENTS],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4711")
    ]
    assert answers[0] == answers[1] == answers[2]
    owners, lists = json.loads(answers[0])
    assert len(owners) == 100
    assert [len(each) for each in lists] == [10_000] * 3
