"""Metrics, load and Merkle trees: the figures of the panel are those of the cluster."""

from __future__ import annotations

import threading

import pytest

from dynalab import Cluster, Simulation
from dynalab.panels.load import RATE_MAX, Keys, Load
from dynalab.panels.meter import SAMPLES_KEPT, Meter
from dynalab.panels.subject import Subject
from dynalab.panels.trees import compared
from dynalab.sim.chance import stream
from tests.panels.acting import Acted, acted


def test_the_metrics_are_those_of_the_cluster() -> None:
    """Counts and latencies are what `metrics()` says; shares of the ring sum to one, and to N with replicas."""
    at = acted()
    at.verb("put", client="alice", key="cart", value="x")
    at.panel.measure()
    shown, real = at.panel.metrics, at.panel.show.subject.target.metrics()
    assert shown["operations"] == real["operations"]
    assert shown["totals"]["messages"] == real["messages"]
    assert {name: node["keys"] for name, node in shown["nodes"].items()} == {
        name: node["keys"] for name, node in real["nodes"].items()
    }
    assert sum(node["owned"] for node in shown["nodes"].values()) == pytest.approx(1)
    assert sum(node["kept"] for node in shown["nodes"].values()) == pytest.approx(3)


def test_rates_are_counted_between_two_looks() -> None:
    """Ten puts in a second of virtual time are ten a second, and the samples stay bounded."""
    sim = Simulation(5, seed=7)
    meter = Meter(Subject(sim, "sim"))
    at = Acted(sim)
    ring = at.panel.show.feed.ring
    meter.read(ring)
    start = sim.now_ms
    for number in range(10):
        sim.put("cart", number)
    sim.run(ms=1000 - (sim.now_ms - start))
    assert meter.read(ring)["rates"]["put"] == pytest.approx(10)
    for _ in range(2 * SAMPLES_KEPT):
        sim.run(ms=1)
        meter.read(ring)
    assert len(meter.read(ring)["samples"]) == SAMPLES_KEPT


def test_the_load_switch_moves_a_simulation() -> None:
    """With a load on, every tick lets virtual time pass with requests in it; off, it stands."""
    at = acted()
    sim = at.panel.show.subject.target
    at.ask("load", rate=200)
    while at.panel.show.load.sent < 20:
        at.panel._tick(at.panel.show)
    at.ask("load", rate=0)
    assert sim.metrics()["operations"]["put"]["count"] + sim.metrics()["operations"]["get"]["count"] > 10
    stands = sim.now_ms
    at.panel._tick(at.panel.show)
    assert sim.now_ms == stands


@pytest.mark.live
def test_the_load_switch_drives_a_live_cluster() -> None:
    """A live load is sent from a thread of its own, until it is switched off."""
    with Cluster(3) as cluster:
        load = Load(Subject(cluster, "cluster"))
        load.set_rate(200)
        pause = threading.Event()
        for _ in range(400):
            if cluster.metrics()["operations"]["put"]["count"] > 10:
                break
            pause.wait(0.05)
        load.set_rate(0)
        assert cluster.metrics()["operations"]["put"]["count"] > 10
        load._thread.join(10)
        assert not load._thread.is_alive()


def test_a_load_is_bounded() -> None:
    """No rate above the highest, and none below nothing."""
    load = Load(Subject(Simulation(3), "sim"))
    load.set_rate(10**9)
    assert load.rate == RATE_MAX
    load.set_rate(-5)
    assert load.rate == 0


def test_keys_are_skewed() -> None:
    """As in YCSB the most popular key is asked for far more often than the hundredth."""
    keys = Keys(stream(1, "keys"))
    drawn = [keys.draw() for _ in range(20_000)]
    assert drawn.count("user0") > 20 * drawn.count("user100") > 0


def _left_behind() -> tuple[Simulation, str, str]:
    """Two homes of a key of which one has missed writes, with nothing to repair it."""
    sim = Simulation(5, seed=7, hints=False, read_repair=False, anti_entropy_ms=0)
    homes = sim.put("cart", "old", w=3).nodes
    for number in range(60):
        sim.put(f"key{number}", number, w=3)
    sim.partition([homes[2]], [node for node in sim.nodes if node != homes[2]])
    sim.put("cart", "new", via=homes[0])
    return sim, homes[0], homes[2]


def test_two_trees_differ_where_the_nodes_do() -> None:
    """The differing range, branches of every level and keys are found, and equal branches are not marked."""
    sim, left, right = _left_behind()
    at = Acted(sim)
    at.ask("merkle", left=left, right=right)
    told = at.panel.merkle
    assert [keys for _, differs, keys in told["ranges"] if differs] != []
    assert [each["key"] for each in told["keys"]] == ["cart"]
    assert told["keys"][0]["left"] == ["'new'"]
    assert all(any(differs for *_, differs in level) for level in told["levels"])
    assert len(told["levels"]) == 5
    equal = next(end for end, differs, keys in told["ranges"] if keys and not differs)
    at.ask("merkle", left=left, right=right, end=equal)
    assert at.panel.merkle["keys"] == []
    assert not any(differs for level in at.panel.merkle["levels"] for *_, differs in level)
    assert at.panel.merkle["sent"] < at.panel.merkle["all"]


def test_a_node_that_does_not_run_has_no_tree() -> None:
    """Comparing with a crashed node says which one cannot be asked."""
    at = acted()
    at.verb("crash", node="B")
    at.ask("merkle", left="A", right="B")
    assert at.panel.merkle["down"] == ["B"]


def test_comparing_nodes_without_a_common_key_says_so() -> None:
    """Two nodes that keep nothing have equal roots, and no range to look into."""
    sim = Simulation(5, seed=7)
    ring = Acted(sim).panel.show.feed.ring
    told = compared(sim.inspect("A"), sim.inspect("B"), ring)
    assert (told["end"], told["keys"]) == ("", [])
