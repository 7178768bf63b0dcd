"""Time travel: the state at any moment, folded from the trace or done again, and what changed."""

from __future__ import annotations

import pytest

from dynalab import Simulation
from dynalab.panels.folded import Folded, changes, parsed
from dynalab.panels.subject import Subject
from dynalab.panels.tape import Tape
from dynalab.panels.travel import CHECKPOINT, Traveller
from tests.panels.acting import acted


def _busy(seed: int) -> Simulation:
    """A run with writes, siblings, a partition, a crash, a lost disk and hints."""
    sim = Simulation(5, seed=seed)
    alice, bob = sim.client("alice"), sim.client("bob")
    alice.put("cart", ["milk"], w=3)
    sim.partition("AB|CDE")
    alice.put("cart", ["milk", "tea"], via="A")
    bob.put("cart", ["rice"], via="C")
    bob.put("wish", "book", via="D")
    sim.heal()
    sim.crash("C")
    alice.put("wish", "lamp", w=2)
    sim.recover("C", wipe=True)
    sim.run(ms=3000)
    bob.delete("wish")
    sim.run(ms=500)
    return sim


@pytest.mark.parametrize("seed", range(4))
def test_what_the_trace_tells_is_what_was(seed: int) -> None:
    """At sampled moments the dots folded from the trace are those the nodes held, and so are states and suspicions."""
    sim = _busy(seed)
    for ms in (1, 3, 254, 300, 800, 1500, 3000, sim.now_ms):
        past = sim.at(min(ms, sim.now_ms))
        folded = Folded().add(past.events)
        assert folded.states == past.states()
        assert folded.faults == past.faults
        for node in [node for node, state in past.states().items() if state == "up"]:
            told = past.inspect(node)
            dots = {key: sorted(s["dot"] for s in record["siblings"]) for key, record in told["records"].items()}
            assert {key: sorted(held) for key, held in folded.held[node].items() if held} == dots, (seed, ms, node)
            assert sorted(folded.suspects[node]) == sorted(
                peer for peer, opinion in told["up"].items() if not opinion["believed_up"]
            )
            hinted = {(hint["home"], hint["key"]) for hint in told["hints"]}
            assert set(folded.hints[node]) == hinted


def test_a_moment_of_a_simulation_is_the_whole_state_then() -> None:
    """The slider shows exactly what `sim.at` knows of that moment, and the simulation itself is not moved."""
    sim = _busy(1)
    before = sim.now_ms
    tape = Tape()
    tape.add(sim.events)
    traveller = Traveller(Subject(sim, "sim"), tape)
    count = traveller.refresh()
    for step in (1, count // 3, count // 2, count):
        moment = traveller.at(step, "A", "cart")
        past = sim.at(moment["time_ms"])
        assert moment["whole"]
        assert {node["name"]: node["state"] for node in moment["scene"]["nodes"]} == past.states()
        values = {node: [each["value"] for each in held] for node, held in moment["placement"]["held"].items()}
        assert values == {node: [repr(value) for value in held] for node, held in past.values("cart").items()}
    assert sim.now_ms == before


def test_the_changes_of_all_moments_lead_from_nothing_to_now() -> None:
    """Each moment tells what changed since the one before; put together they are the state at the end."""
    sim = _busy(2)
    tape = Tape()
    tape.add(sim.events)
    traveller = Traveller(Subject(sim.trace, "trace"), tape)
    known: dict[tuple[str, str, str], str] = {}
    for step in range(1, traveller.refresh(background=True) + 1):
        for change in traveller.at(step)["changed"]:
            what = (change["what"], change["node"], change["about"])
            assert known.get(what, "") == change["was"]
            known[what] = change["is"]
    end = Folded().add(sim.events).summary()
    assert {what: said for what, said in known.items() if said} == {
        (what[0], what[1], " ".join(what[2:])): said for what, said in end.items()
    }


def test_going_back_folds_from_a_kept_state() -> None:
    """A state far on is folded once; going back a step gives what folding from the beginning gives."""
    sim = _busy(3)
    sim.run(ms=9000)
    tape = Tape()
    tape.add(sim.events)
    assert len(tape) > CHECKPOINT
    traveller = Traveller(Subject(sim.trace, "trace"), tape)
    last = traveller.refresh(background=True)
    traveller.at(last)
    place = traveller._moments[last - 2][1]
    assert changes(traveller._folded(place), Folded().add(list(tape)[:place])) == []


def test_a_moment_knows_its_flights() -> None:
    """Messages on their way at a moment are told with both their ends, so the stage can move them."""
    at = acted()
    at.verb("put", client="alice", key="cart", value="x", w=3)
    at.ask("travel", to=2)
    travel = at.panel.travel
    now_us = travel["time_ms"] * 1000
    assert travel["flights"]
    assert all(flight[3] <= now_us and flight[4] >= travel["before_ms"] * 1000 for flight in travel["flights"])


@pytest.mark.parametrize(
    ("verb", "taken_apart"),
    [
        ('partition("AB|CDE", one_way=True)', ("partition", ["AB|CDE"], {"one_way": True})),
        ("partition(['ann'], ['bob'])", ("partition", [["ann"], ["bob"]], {})),
        ("heal()", ("heal", [], {})),
        ("__import__('os').system('x')", ("", [], {})),
        ("redeploy(Parts(ring))", ("", [], {})),
        ("x" * 10_000, ("", [], {})),
        ("(" * 5_000, ("", [], {})),
    ],
)
def test_a_verb_of_a_trace_is_taken_apart_and_never_run(verb: str, taken_apart: object) -> None:
    """The words of a fault in a file from anywhere are read as literals, or not understood."""
    assert parsed(verb) == taken_apart


def test_an_empty_trace_has_no_moment() -> None:
    """Where nothing has happened there is nowhere to travel, and nothing fails."""
    traveller = Traveller(Subject(Simulation(3, trace=False), "sim"), Tape())
    assert traveller.refresh() == 0
    assert traveller.at(1)["of"] == 0
