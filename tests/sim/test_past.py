"""Time travel: any earlier state, found by doing everything again."""

from __future__ import annotations

import pytest

from dynalab.core.errors import InvalidSetting
from dynalab.sim.cluster import Simulation
from tests.sim.scripts import rich


def story() -> tuple[Simulation, dict[float, list[object]]]:
    """A cluster that was partitioned and healed, and who held which values when."""
    sim = Simulation(5, seed=4)
    seen = {}
    for value, verb in enumerate((lambda: sim.partition("AB|CDE"), sim.heal, sim.settle)):
        sim.put("k", value, via="A")
        sim.client("other").put("k", -value, via="C")
        verb()
        seen[sim.now_ms] = [sim.values("k"), sim.states(), sim.faults, sim.inspect("A")]
    return sim, seen


def test_the_past_is_as_it_was() -> None:
    """At every earlier moment values, states, faults and the inside of nodes are those of then."""
    sim, seen = story()
    for moment, (values, states, faults, inside) in seen.items():
        past = sim.at(ms=moment)
        assert past.now_ms == moment
        assert [past.values("k"), past.states(), past.faults, past.inspect("A")] == [values, states, faults, inside]


def test_the_trace_of_the_past_is_a_beginning_of_the_trace() -> None:
    """The trace at a moment is the trace up to it, whole."""
    sim = rich(2)
    for moment in (0, 1, 37.5, 300, 900.25, sim.now_ms):
        past = sim.at(ms=moment)
        length = len(past.events)
        assert past.events == sim.events[:length]
        assert all(event.time_us <= moment * 1000 for event in past.events)
        assert length == len(sim.events) or sim.events[length].time_us > moment * 1000


def test_looking_back_changes_nothing() -> None:
    """A simulation that was looked at goes on as if it had not been."""
    looked, left_alone = (Simulation(5, seed=9) for _ in range(2))
    for sim in (looked, left_alone):
        sim.put("k", 1)
        if sim is looked:
            sim.at(ms=1).inspect("A")
        sim.partition("AB|CDE")
        sim.put("k", 2)
    assert looked.events == left_alone.events


def test_functions_called_in_virtual_time_are_not_called_again() -> None:
    """A replay repeats what a function did to the cluster, and not the function."""
    sim = Simulation(5, seed=1)
    calls: list[float] = []

    def break_it() -> None:
        calls.append(sim.now_ms)
        sim.crash("B")
        sim.put("k", 1)

    sim.call_at(20, break_it)
    sim.run(ms=100)
    assert sim.at(ms=60).states()["B"] == "crashed"
    assert sim.at(ms=sim.now_ms).events == sim.events
    assert calls == [20.0]


def test_a_node_that_had_not_joined_is_not_there() -> None:
    """Nodes come and go in the past as they did."""
    sim = Simulation(4, seed=1)
    sim.run(ms=10)
    sim.join("F")
    before = sim.now_ms
    sim.leave("B")
    assert sim.at(ms=5).nodes == ["A", "B", "C", "D"]
    assert sim.at(ms=before).nodes == ["A", "B", "C", "D", "F"]


@pytest.mark.parametrize("verb", ["put", "crash", "settle", "aio", "client"])
def test_the_past_cannot_be_changed(verb: str) -> None:
    """A verb on a past state is refused, with what can be done instead."""
    past = Simulation(3, seed=1).at(ms=0)
    with pytest.raises(InvalidSetting, match="to look at"):
        getattr(past, verb)
    assert not hasattr(past, "no_such_thing")


def test_the_past_is_behind() -> None:
    """A moment that has not come is refused."""
    with pytest.raises(InvalidSetting, match="lies ahead: it is 0 ms now"):
        Simulation(3, seed=1).at(ms=0.001)


def test_inspecting_changes_nothing() -> None:
    """A simulation whose nodes are inspected all the time runs like one that nobody looks at."""
    watched, left_alone = (Simulation(5, seed=6, ping_ms=400, phi=1.0) for _ in range(2))
    for sim in (watched, left_alone):
        sim.partition("ABC|DE")
        for _ in range(40):
            if sim is watched:
                sim.metrics(), [sim.inspect(node) for node in sim.nodes]
            sim.run(ms=50)
    assert watched.trace.filter(kind="suspect")
    assert watched.events == left_alone.events
