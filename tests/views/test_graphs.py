"""The three graphs: what they hold, and that drawings can trust it."""

from __future__ import annotations

from itertools import permutations
from random import Random

import networkx
import pytest

from dynalab.core.clock import Dot
from dynalab.core.faults import Faults
from dynalab.core.ring import RING_SIZE, KeyRange, Ring, position_of
from dynalab.core.trace import TraceEvent
from dynalab.core.version import Siblings, Version
from dynalab.views import message_graph, ring_graph, version_graph
from dynalab.views.messages import messages
from dynalab.views.scene import Scene
from tests.views.made import Story, cut_and_merged, ring

NODES = list("ABCDE")


def _edges(graph: networkx.DiGraph, kind: str) -> list[tuple[object, object]]:
    return [(left, right) for left, right, about in graph.edges(data="kind") if about == kind]


# --- the ring ---------------------------------------------------------------------------------------------------------


def test_every_key_range_has_n_distinct_homes_in_order() -> None:
    """Each key range points at its first n nodes, ranked as the preference list has them (4.3)."""
    whole = ring()
    graph = ring_graph(whole, n=3)
    ranges = [vertex for vertex, kind in graph.nodes(data="kind") if kind == "range"]
    assert len(ranges) == 64
    for key_range in ranges:
        homes = {graph.edges[key_range, node]["rank"]: node for node in graph.successors(key_range) if node in NODES}
        assert [homes[rank] for rank in (1, 2, 3)] == whole.preference_list_at(key_range.end, 3)


def test_key_ranges_close_the_circle() -> None:
    """Following `next` from any key range meets all of them once and comes back."""
    graph = ring_graph(ring(ranges=8))
    circle = networkx.DiGraph(_edges(graph, "next"))
    assert len(circle) == 8
    assert networkx.is_strongly_connected(circle)
    assert all(circle.out_degree(vertex) == 1 for vertex in circle)


def test_shares_add_up_to_n_replicas() -> None:
    """With n replicas the nodes together keep n times the ring."""
    graph = ring_graph(ring(), n=3)
    assert sum(graph.nodes[node]["share"] for node in "ABCDE") == pytest.approx(3)


def test_a_key_points_at_its_whole_walk() -> None:
    """A key falls into the range that contains it; homes are ranked before fallbacks (4.3, 4.6)."""
    graph = ring_graph(ring(), n=3, key="cart")
    (key_range,) = (right for left, right in _edges(graph, "falls_into") if left == "key:cart")
    assert isinstance(key_range, KeyRange)
    assert key_range.contains(position_of(b"cart"))
    ranks = {graph.edges["key:cart", node]["rank"]: node for node in graph.successors("key:cart") if node in NODES}
    assert [ranks[rank] for rank in range(1, 6)] == list(ring().walk(position_of(b"cart")))
    assert {node for _, node in _edges(graph, "fallback")} == {ranks[4], ranks[5]}


def test_one_token_is_a_ring_too() -> None:
    """A ring of one key range, and a ring of none, are graphs like others."""
    graph = ring_graph(Ring({RING_SIZE - 1: "A"}), n=3)
    assert [kind for _, kind in graph.nodes(data="kind")] == ["node", "range"]
    assert len(ring_graph(Ring({}))) == 0
    with pytest.raises(ValueError, match="n must be at least 1; got 0"):
        ring_graph(ring(), n=0)


# --- the network ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(40))
def test_sides_are_the_connected_parts_of_who_hears_whom(seed: int) -> None:
    """Nodes with a way between them, in one direction at least and over others if need be, are on one side."""
    random = Random(seed)
    nodes = random.sample("ABCDEFGH", k=random.randint(0, 8))
    pairs = list(permutations(nodes, 2))
    share = random.choice([0.5, 0.8, 0.95, 1])
    faults = Faults(cuts=tuple(pair for pair in pairs if random.random() < share))
    hearing = networkx.Graph(pair for pair in pairs if not faults.is_cut(*pair))
    hearing.add_nodes_from(nodes)
    sides = Scene(Ring({}), 3, tuple(nodes), faults=faults).sides()
    assert {frozenset(side) for side in sides} == {frozenset(part) for part in networkx.connected_components(hearing)}
    assert [sorted(side, key=nodes.index) for side in sides] == sides
    assert sorted(sides, key=lambda side: nodes.index(side[0])) == sides


# --- messages ---------------------------------------------------------------------------------------------------------


def test_time_never_goes_back_along_an_edge() -> None:
    """The message graph is the happened-before order: no circle, and no edge into the past."""
    graph = message_graph(cut_and_merged())
    assert networkx.is_directed_acyclic_graph(graph)
    assert all(graph.nodes[left]["time_us"] <= graph.nodes[right]["time_us"] for left, right in graph.edges)


def test_every_message_joins_a_send_to_its_fate() -> None:
    """A `message` edge leads from a send to the receive or drop at the other end, of the same message."""
    pairs = messages(message_graph(cut_and_merged()))
    sends = [event for event in cut_and_merged() if event.kind == "send"]
    assert len(pairs) == len(sends)
    assert all((left.kind, left.message) == ("send", right.message) for left, right in pairs)
    assert [right.node for _, right in pairs if right.kind == "drop"] == ["B"]


def test_concurrent_writes_have_no_path() -> None:
    """Two writes on two sides of a cut are not joined; a later read joins them."""
    story = cut_and_merged()
    graph = message_graph(story)
    written = {tuple(event.detail["dot"]): event.seq for event in story if event.kind == "write"}
    left, right, merge = written["B", 1], written["E", 2], written["E", 3]
    assert not networkx.has_path(graph, left, right)
    assert not networkx.has_path(graph, right, left)
    assert networkx.has_path(graph, right, merge)


def test_a_gap_in_the_trace_is_no_error() -> None:
    """An event whose cause the trace does not hold simply has no such edge."""
    graph = message_graph([TraceEvent(9, 5, "A", "receive", "Ping", "B", cause=3)])
    assert list(graph.edges) == []


# --- versions ---------------------------------------------------------------------------------------------------------


def test_figure_3_of_the_paper() -> None:
    """D1 to D5 of figure 3: two versions branch off D2 and are reconciled by Sx (4.4)."""
    versions = {
        "D1": Version("D1", {"Sx": 1}, Dot("Sx", 1)),
        "D2": Version("D2", {"Sx": 2}, Dot("Sx", 2)),
        "D3": Version("D3", {"Sx": 2, "Sy": 1}, Dot("Sy", 1)),
        "D4": Version("D4", {"Sx": 2, "Sz": 1}, Dot("Sz", 1)),
        "D5": Version("D5", {"Sx": 3, "Sy": 1, "Sz": 1}, Dot("Sx", 3)),
    }
    graph = version_graph(versions.values())
    named = networkx.relabel_nodes(graph, {str(version.dot): name for name, version in versions.items()})
    assert sorted(named.edges) == [("D1", "D2"), ("D2", "D3"), ("D2", "D4"), ("D3", "D5"), ("D4", "D5")]
    assert [name for name, current in named.nodes(data="current") if current] == ["D5"]


def test_a_trace_tells_what_each_writer_had_seen() -> None:
    """Both writes of the cut descend from the first, the last one from both; the edges are the reduction."""
    graph = version_graph(cut_and_merged())
    assert sorted(graph.edges) == [("B1", "E3"), ("E1", "B1"), ("E1", "E2"), ("E2", "E3")]
    assert graph.nodes["E2"]["clock"] == {"E": 2}
    assert graph.nodes["E2"]["node"] == "E"


def test_blind_writes_through_one_node_are_siblings() -> None:
    """Two blind writes at one coordinator are concurrent, although the second clock counts the first."""
    story = Story()
    for counter in (1, 2):
        story.add("A", "write", dot=["A", counter], clock={"A": counter}, context={}, value="'v'")
    graph = version_graph(story.events)
    assert list(graph.edges) == []
    assert all(current for _, current in graph.nodes(data="current"))


def test_a_dot_known_apart_is_no_knowledge_of_those_before() -> None:
    """A writer that knows A2 but not A1 replaces A2 only."""
    story = Story()
    for counter in (1, 2):
        story.add("A", "write", dot=["A", counter], clock={"A": counter}, context={}, value="'v'")
    story.add("A", "write", dot=["A", 3], clock={"A": 3}, context={}, context_dots=[["A", 2]], value="None")
    graph = version_graph(story.events)
    assert list(graph.edges) == [("A2", "A3")]
    assert graph.nodes["A3"]["deleted"]


def test_versions_of_siblings_are_drawn_without_a_trace() -> None:
    """Live siblings of one state have no edge between them."""
    state = Siblings().put("A", b"milk", None).put("B", b"tea", None)
    graph = version_graph(state.versions)
    assert sorted(graph) == ["A1", "B1"]
    assert list(graph.edges) == []


def test_several_keys_must_be_told_apart() -> None:
    """A trace that writes two keys asks which one; a named key has only its own versions."""
    story = Story()
    story.write("A", 1, {}, "milk")
    other = story.events[0]._replace(seq=2, key=b"wishes")
    with pytest.raises(ValueError, match=r"2 keys .*name one, as in key='cart'"):
        version_graph([*story.events, other])
    assert list(version_graph([*story.events, other], key="wishes")) == ["A1"]
    assert len(version_graph([])) == 0
