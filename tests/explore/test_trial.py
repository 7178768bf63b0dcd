"""Trials: a script played and judged, in every respect the same way again."""

import json
from pathlib import Path

import pytest

from dynalab.check.report import Violation
from dynalab.explore.compose import composed
from dynalab.explore.play import Play
from dynalab.explore.report import told
from dynalab.explore.script import Script, Step, loaded
from dynalab.explore.trial import tried

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.json"))


def script(*steps: Step, nodes: int = 3, **settings) -> Script:
    """A short script on a small cluster."""
    ends_ms = 1 + max((step.at_ms for step in steps), default=0)
    return Script(1, nodes, {"n": 3, "r": 2, "w": 2, **settings}, (0.2, 1.0), steps, ends_ms)


def put(at_ms: int, value: str, **given) -> Step:
    return Step(at_ms, "put", {"client": "alice", "key": "k", "value": value, **given})


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_what_once_broke_holds(path):
    """Every script that found a bug in the core stays here, and breaks nothing any more."""
    assert json.loads(path.read_text())["broke"]
    assert tried(loaded(path.read_text())).violations == []


@pytest.mark.parametrize("seed", range(24))
def test_random_scripts_break_nothing(seed):
    """A first share of the search: all kinds of faults, all invariants."""
    assert [str(violation) for violation in tried(composed(seed)).violations] == []


@pytest.mark.slow
@pytest.mark.parametrize("block", range(20))
def test_many_random_scripts_break_nothing(block):
    """Hundreds of scripts: all kinds of faults, all invariants."""
    broken = {seed: tried(composed(seed)).broken for seed in range(1_000 + 25 * block, 1_025 + 25 * block)}
    assert {seed: what for seed, what in broken.items() if what} == {}


def test_one_script_gives_one_trace():
    """Playing a script twice gives the same trace, byte for byte (I12); another seed gives another one."""
    first, second = tried(composed(3), with_digest=True), tried(composed(3), with_digest=True)
    other = tried(composed(3).with_seed(4), with_digest=True)
    assert first.digest == second.digest != other.digest


def test_what_has_become_impossible_is_passed_over():
    """A recovery of a node that runs, a cut without two sides and a retry of nothing do no harm, and are counted."""
    trial = tried(
        script(
            Step(1, "recover", {"node": "A"}),
            Step(2, "partition", {"sides": [["A"], ["gone"]]}),
            Step(3, "retry", {"request": "never"}),
            Step(4, "crash", {"node": "nobody"}),
            put(5, "v"),
        )
    )
    assert trial.violations == []
    assert trial.passed_over == 4
    assert trial.operations == {"put ok": 1} | {"get ok": trial.operations["get ok"], "put ok": 4}


def test_contexts_that_were_not_given_are_refused():
    """A made-up context, and one of another key, are definite failures without any effect."""
    steps = [
        put(1, "mine"),
        put(100, "forged", context="forged"),
        Step(200, "put", {"client": "alice", "key": "other", "value": "x", "context": "other key"}),
    ]
    trial = tried(script(*steps))
    assert trial.violations == []
    assert trial.operations["put fail"] == 2


def test_a_retry_is_the_same_request_word_for_word():
    """A put that is repeated through the same node is answered again, and makes no second version."""
    play = Play(script(put(1, "once", via="B", request="q"), Step(50, "retry", {"request": "q", "via": "B"})))
    play.faulty_phase()
    play.mend()
    first, again = [operation for operation in play.recorder.history.operations if operation.kind == "put"]
    assert (first.write, first.outcome, again.write, again.outcome) == ("alice.1", "ok", "alice.1", "ok")
    assert set(map(tuple, play.sim.values("k").values())) == {("alice.1=once",)}


def test_forgeries_change_nothing():
    """Messages that a client may not send, or that answer nothing, leave every node as it was (I13)."""
    kinds = ("client as node", "foreign reply", "bad seal", "unknown exchange")
    forged = [Step(50 + place, "forge", {"what": what, "node": "A"}) for place, what in enumerate(kinds)]
    play = Play(script(put(1, "v"), *forged))
    play.faulty_phase()
    assert play.violations == []
    assert play.faults["forge"] == 4
    assert play.sim.inspect("A")["counters"]["unauthorised"] == 6


def test_what_never_settles_is_a_violation(monkeypatch):
    """A cluster that does not come to rest in time breaks I5, and the text says what is left."""
    monkeypatch.setattr("dynalab.explore.trial.SETTLE_MS", 0)
    trial = tried(script(Step(0, "partition", {"sides": [["A"], ["B", "C"]]}), put(1, "v", w=1, via="A")))
    assert trial.broken in ((), ("I5",))


def test_a_node_that_raises_is_a_violation(monkeypatch):
    """An exception inside a node's loop is found like any broken rule, with its traceback."""

    def broken(self, sender, message):
        raise ZeroDivisionError("planted")

    monkeypatch.setattr("dynalab.core.node.Node._on_replica_get", broken)
    trial = tried(script(Step(1, "get", {"client": "alice", "key": "k"})))
    assert trial.broken == ("I11",)
    assert "ZeroDivisionError: planted" in trial.violations[0].text


def test_the_story_tells_steps_violations_and_what_nodes_did(monkeypatch):
    """A broken run is told as its script, what broke, what clients did, and the nodes' own steps."""
    lost = Violation("I1", "alice.1 is lost", "k")
    monkeypatch.setattr("dynalab.explore.trial._unserved", lambda play: [lost])
    trial, story = told(script(put(1, "v"), Step(5, "crash", {"node": "C"})))
    assert trial.violations == [lost]
    for words in ('alice.put("k", "v")', "I1: alice.1 is lost", "alice put alice.1 'k': ok", "A write 'k'", "C stop"):
        assert words in story.replace("B write", "A write").replace("C write", "A write")
