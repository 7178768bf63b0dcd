"""The oracle against a toy cluster: silent on correct runs, and plain about each planted mistake."""

from __future__ import annotations

import pytest

from dynalab.core.clock import Context
from dynalab.core.errors import WriteQuorumNotReached
from dynalab.core.session import encode_value
from dynalab.core.version import Siblings
from tests.check.toy import NODES, toy_recorder, verdict


def _stored(toy, node, key, change):
    toy.held[node][key] = change(toy.held[node].get(key, Siblings()))


# ------------------------------------------------------------------------------ correct runs


def test_concurrent_writes_and_their_merge_are_judged_right():
    """Two writers with one context make siblings, a merge with their context leaves one: no violation."""
    recorder = toy_recorder()
    alice, bob = recorder.client("alice"), recorder.client("bob")
    alice.put("cart", ["milk"])
    bob.get("cart")
    alice.get("cart")
    alice.put("cart", ["milk", "tea"])
    bob.put("cart", ["milk", "jam"])
    assert sorted(map(len, alice.get("cart").values)) == [2, 2]
    assert verdict(recorder).ok
    merged = bob.get("cart")
    bob.put("cart", ["milk", "tea", "jam"], context=merged.context)
    assert alice.get("cart").value == ["milk", "tea", "jam"]
    report = verdict(recorder)
    assert report.ok, report
    assert {"I1", "I2", "I3", "I4", "I9"} <= set(report.held)


def test_blind_writes_local_contexts_and_deletes_are_judged_right():
    """A blind write adds a sibling, `Context.LOCAL` replaces what the coordinator holds, a delete leaves nothing."""
    recorder = toy_recorder()
    alice, bob = recorder.client("alice"), recorder.client("bob", via="B")
    alice.put("k", "one", context=None)
    bob.put("k", "two", context=Context.EMPTY)
    alice.put("k", "three", context=Context.LOCAL)
    assert alice.get("k").values == ["three"]
    bob.delete("k")
    assert bob.get("k").values == ["three"]  # bob had seen his own write only
    bob.delete("k")
    assert not alice.get("k").found
    report = verdict(recorder)
    assert report.ok, report


def test_values_come_back_as_they_were_given():
    """The recorder puts ids into values and takes them out: bytes, text and JSON alike."""
    recorder = toy_recorder()
    for key, value in (("b", b"\x00=1"), ("t", "a=b=c"), ("j", {"x": [1, None]}), ("n", 3)):
        recorder.put(key, value)
        assert recorder.get(key).value == value
    assert [op.write for op in recorder.history.writes()] == [f"cluster.{n}" for n in (1, 2, 3, 4)]


def test_an_unknown_write_may_be_there_or_not():
    """A write that timed out may be a sibling at the end, may have replaced what it had seen, or be nowhere."""
    for on in ("AB", "ABC", "A", ""):
        recorder = toy_recorder()
        alice = recorder.client("alice")
        alice.put("k", "one")
        recorder.cluster.silent = True
        with pytest.raises(WriteQuorumNotReached):
            alice.put("k", "two", on=on)
        recorder.cluster.silent = False
        recorder.settle()
        report = verdict(recorder)
        assert report.ok, (on, report)
        assert recorder.history.operations[-1].outcome == "unknown"


def test_an_unknown_delete_may_have_happened():
    """A delete that timed out leaves a tombstone that nobody acknowledged, or even none: no violation."""
    recorder = toy_recorder()
    alice = recorder.client("alice")
    alice.put("k", "one")
    recorder.cluster.silent = True
    with pytest.raises(WriteQuorumNotReached):
        alice.delete("k", on="B")
    recorder.cluster.silent = False
    assert verdict(recorder).of("I2") == []
    recorder.settle()
    assert verdict(recorder).ok
    for node in NODES:  # reaped everywhere
        recorder.cluster.held[node].clear()
    assert verdict(recorder).of("I1") == []


def test_a_retry_is_the_same_write():
    """One request id through two coordinators: two dots, one write, no violation."""
    recorder = toy_recorder()
    alice, also_alice = recorder.client("alice"), recorder.client("alice", via="B")
    recorder.cluster.silent = True
    with pytest.raises(WriteQuorumNotReached):
        alice.put("k", "one", request_id="r1")
    recorder.cluster.silent = False
    also_alice.put("k", "one", request_id="r1")
    assert alice.get("k").values == ["one", "one"]
    assert {op.write for op in recorder.history.writes()} == {"alice.1"}
    report = verdict(recorder)
    assert report.ok, report
    alice.put("k", "two")
    assert alice.get("k").values == ["two"]
    assert verdict(recorder).ok


# ------------------------------------------------------------------------------ planted mistakes


def _two_siblings():
    recorder = toy_recorder()
    alice, bob = recorder.client("alice"), recorder.client("bob", via="B")
    alice.put("k", "one")
    bob.put("k", "two")
    return recorder, alice, bob


def test_a_lost_write_is_named():
    """I1: an acknowledged write that no context covered and no home has."""
    recorder, *_ = _two_siblings()
    for node in NODES:
        _stored(recorder.cluster, node, b"k", lambda state: state._replace(versions=state.versions[1:]))
    report = verdict(recorder)
    (lost,) = report.of("I1")
    assert lost.writes == ("alice.1",)
    assert "alice's acknowledged write alice.1 to 'k' is lost: it was stored as A1 on A, B, C" in lost.text
    assert "A holds {bob.1(B1)}" in lost.text
    assert len(report.of("I4")) == 3
    assert "what happened:" in str(report)


def test_a_write_missing_at_one_home_is_not_lost_but_wrong():
    """I4 and I5 without I1: one home lacks a sibling that the others have."""
    recorder, *_ = _two_siblings()
    _stored(recorder.cluster, "C", b"k", lambda state: state._replace(versions=state.versions[:1]))
    report = verdict(recorder)
    assert not report.of("I1")
    (wrong,) = report.of("I4")
    assert wrong.text.startswith("node C lacks bob.1(B1) of 'k'")
    assert report.of("I5")


def test_a_value_that_nobody_wrote_is_named():
    """I2: a version without a writer, in a final state and in an answer."""
    recorder, alice, _ = _two_siblings()
    forged = Siblings().put("X", encode_value("alice.77=ghost", 100), None)
    _stored(recorder.cluster, "B", b"k", forged.merge)
    alice.get("k", on="B")
    texts = [violation.text for violation in verdict(recorder).of("I2")]
    assert any("a get of alice shows 'ghost' (X1) for 'k', which nobody wrote" in text for text in texts)
    assert any("node B at the end" in text for text in texts)


def test_a_changed_value_is_named():
    """I2: the bytes must be identical."""
    recorder, *_ = _two_siblings()

    def damaged(state):
        first, *rest = state.versions
        return state._replace(versions=(first._replace(value=encode_value("alice.1=onE", 100)), *rest))

    _stored(recorder.cluster, "A", b"k", damaged)
    (changed,) = verdict(recorder).of("I2")
    assert changed.text == "node A at the end shows 'onE' for write alice.1 of 'k'; alice wrote 'one'"


def test_a_deletion_that_nobody_asked_for_is_named():
    """I2: a tombstone without a delete."""
    recorder, *_ = _two_siblings()
    _stored(recorder.cluster, "A", b"k", lambda state: state.put("A", None, None))
    (ghost,) = verdict(recorder).of("I2")
    assert "a deletion A2 of 'k' that nobody asked for" in ghost.text


def test_a_resurrected_write_is_named():
    """I3: a deleted value that a home has again at the end."""
    recorder = toy_recorder()
    alice = recorder.client("alice")
    alice.put("k", "one")
    old = recorder.cluster.state("C", b"k")
    alice.delete("k")
    recorder.settle()
    recorder.cluster.held["C"][b"k"] = old
    report = verdict(recorder)
    (back,) = report.of("I3")
    assert back.text == "node C has write alice.1 (A1) of 'k' although alice.2 (A2) had replaced it"
    assert report.of("I4")


def test_a_get_after_convergence_must_not_see_the_past():
    """I3: once settled, a replaced value is not read again, even if the final states are right."""
    recorder = toy_recorder()
    alice = recorder.client("alice")
    alice.put("k", "one")
    old = recorder.cluster.state("C", b"k")
    alice.put("k", "two")
    recorder.settle()
    new, recorder.cluster.held["C"][b"k"] = recorder.cluster.state("C", b"k"), old
    alice.get("k", on="C")
    recorder.cluster.held["C"][b"k"] = new
    (back,) = verdict(recorder).of("I3")
    assert "a later get of alice saw write alice.1 (A1)" in back.text


def test_a_superseded_sibling_that_stays_is_named():
    """I3 and I4: a version that an acknowledged context covered is still there."""
    recorder, alice, _ = _two_siblings()
    both = recorder.cluster.state("A", b"k").versions
    alice.get("k")
    alice.put("k", "merged")
    for node in NODES:
        _stored(recorder.cluster, node, b"k", lambda state: state._replace(versions=(both[1], *state.versions)))
    report = verdict(recorder)
    assert {v.writes for v in report.of("I4")} == {("bob.1",)}
    assert "still has bob.1(B1), which was superseded" in report.of("I4")[0].text


def test_a_dot_used_twice_is_named():
    """I9: a coordinator that lost its counter gives two writes one name."""
    recorder = toy_recorder()
    alice, bob = recorder.client("alice"), recorder.client("bob")
    alice.put("k", "one", on="A")
    recorder.cluster.held["A"].clear()
    bob.put("k", "two", on="AB")
    (twice,) = verdict(recorder).of("I9")
    assert twice.text == "the dot A1 of 'k' names 2 writes: alice.1, bob.1"


# ------------------------------------------------------------------------------ excuses


def test_a_write_whose_every_holder_was_wiped_is_excused():
    """What only wiped nodes had stored may be gone."""
    recorder = toy_recorder()
    alice = recorder.client("alice")
    alice.put("k", "one", on="AB")
    recorder.recover("A", wipe=True)
    assert verdict(recorder).of("I1") == []
    recorder.recover("B", wipe=True)
    assert verdict(recorder).of("I1") == []


def test_one_holder_that_was_not_wiped_ends_the_excuse():
    """While one node that stored a write keeps its memory, the write must survive."""
    recorder = toy_recorder()
    alice = recorder.client("alice")
    alice.put("k", "one", on="AB")
    recorder.recover("A", wipe=True)
    recorder.cluster.held["B"].clear()
    assert len(verdict(recorder).of("I1")) == 1


def test_a_settled_write_is_excused_only_if_all_homes_were_wiped():
    """After `settle` all homes hold a write, so wiping those that acknowledged it is no excuse."""
    recorder = toy_recorder()
    alice = recorder.client("alice")
    alice.put("k", "one", on="AB")
    recorder.settle()
    recorder.recover("A", wipe=True)
    recorder.recover("B", wipe=True)
    recorder.cluster.held["C"].clear()
    assert len(verdict(recorder).of("I1")) == 1
    recorder.recover("C", wipe=True)
    assert verdict(recorder).of("I1") == []


def test_what_a_lost_write_replaced_may_come_back():
    """A replaced value is not resurrected when the write that replaced it is lost with an excuse."""
    recorder = toy_recorder()
    alice = recorder.client("alice")
    alice.put("k", "one", on="ABC")
    alice.put("k", "two", on="A", w=1)
    recorder.recover("A", wipe=True)
    recorder.settle()
    report = verdict(recorder)
    assert report.ok, report


@pytest.mark.parametrize(
    ("storage", "durability", "lost"),
    [("log", "durable", 1), ("log", "buffered", 0), ("log", "memory", 0), ("memory", "durable", 0)],
)
def test_a_crash_is_an_excuse_only_where_it_may_forget(storage, durability, lost):
    """A crash excuses a loss in the modes that say so, and never in the durable mode on a disk."""
    recorder = toy_recorder(storage=storage, durability=durability)
    recorder.cluster.crash = lambda node: recorder.cluster.held[node].clear()
    recorder.client("alice").put("k", "one", on="AB")
    recorder.crash("A")
    recorder.crash("B")
    assert len(verdict(recorder).of("I1")) == lost


def test_literal_clocks_are_exempt_and_said_to_be():
    """The mode that gives up I1 and I4 is not judged by them, and the report says why."""
    recorder = toy_recorder(clocks="vector")
    report = verdict(recorder)
    assert "I1" not in report.held
    assert "literal vector clock" in report.not_checked["I1"]
