"""The invariants one by one, on made-up evidence: what each must say, and what none may judge."""

from __future__ import annotations

from typing import Any

import pytest

from dynalab.check import finals, knowledge
from dynalab.check.finals import InspectionCutOff, dot_named, finals_of, homes_of
from dynalab.check.history import FAIL, OK, PENDING, History
from dynalab.check.invariants import INVARIANTS, Evidence, check_i7, check_i11, check_i12, check_i13, judge
from dynalab.check.knowledge import TraceHasGaps
from dynalab.core.clock import Dot
from dynalab.core.config import Config
from dynalab.core.ring import position_of
from dynalab.core.trace import TraceEvent


def inspection(records: dict[str, dict[str, int]], **more: Any) -> dict[str, Any]:
    """A node that holds keys with these clocks, each with one version named after its clock's last pair."""
    shown = {}
    for key, clock in records.items():
        actor, counter = list(clock.items())[-1]
        sibling = {"value": f"v{counter}", "clock": clock, "dot": f"{actor}{counter}", "deleted": False}
        shown[key] = {"clock": clock, "siblings": [sibling]}
    empty = {"hints": [], "requests": [], "transfers": 0, "misplaced": 0, "counters": {}, "roots": {}}
    return {"records": shown, "keys": len(shown), **empty, **more}


def events(*told: tuple[str, str, dict[str, Any]], key: bytes = b"k", request: str = "r") -> list[TraceEvent]:
    """A trace of `(node, kind, detail)`; `peer` in a detail is the event's peer."""
    return [
        TraceEvent(seq, seq, node, kind, "", detail.pop("peer", ""), key, request, detail=detail)
        for seq, (node, kind, detail) in enumerate(told, start=1)
    ]


def wrote(node: str, actor: str, counter: int) -> tuple[str, str, dict[str, Any]]:
    return node, "write", {"dot": [actor, counter], "clock": {actor: counter}}


def stored(node: str, clock: dict[str, int], **more: Any) -> tuple[str, str, dict[str, Any]]:
    return node, more.pop("kind", "store"), {"clock": clock, "dots": [], **more}


def answered(node: str, need: int, *nodes: str) -> tuple[str, str, dict[str, Any]]:
    return node, "reply", {"outcome": "ok", "nodes": list(nodes), "need": need}


def evidence(history: History, **more: Any) -> Evidence:
    seen = {"A": inspection({})}
    return Evidence(history, more.pop("inspections", seen), lambda key: ("A",), Config(), **more)


def test_the_registry_names_all_thirteen():
    """I1 to I13, each with a name and a sentence."""
    assert [invariant.id for invariant in INVARIANTS] == [f"I{number}" for number in range(1, 14)]
    assert all(invariant.name and invariant.sentence.endswith(".") for invariant in INVARIANTS)


# ------------------------------------------------------------------------------ traces


def test_a_trace_with_a_gap_is_refused():
    """Judging needs every event: a missing number ends it, wherever it is missing."""
    trace = events(wrote("A", "A", 1), answered("A", 1, "A"), wrote("A", "A", 2))
    assert knowledge.without_gaps(trace) == trace
    for holey in (trace[1:], [trace[0], trace[2]]):
        with pytest.raises(TraceHasGaps, match="the trace has no events between"):
            judge(evidence(History(), trace=holey))


def test_an_early_ok_is_named():
    """I7: 'ok' for W = 2 while one node had stored it, although two are named."""
    trace = events(wrote("A", "A", 1), answered("A", 2, "A", "B"))
    (early,) = knowledge.early_answers(trace)
    assert early.text.startswith("A answered 'ok' for 'k' with 1 of 2 nodes: A had stored A1 (named: A, B; event 2)")
    later = events(wrote("A", "A", 1), stored("B", {"A": 1}), answered("A", 2, "A", "B"))
    assert list(knowledge.early_answers(later)) == []


def test_a_stand_in_that_has_handed_on_has_stored():
    """I7: a hint that was delivered and forgotten before the answer still counts."""
    hint = stored("D", {"A": 1}, kind="hint", peer="C")
    expired = ("D", "forget", {"peer": "C", "why": "expired"})
    trace = events(wrote("A", "A", 1), hint, expired, answered("A", 2, "A", "D"))
    assert list(knowledge.early_answers(trace)) == []


def test_who_wrote_under_a_context_has_heard_of_it():
    """I7: a replica that made a version which replaced the write has stored it, though the write itself came later."""
    seen = ("B", "write", {"dot": ["B", 1], "clock": {"A": 1, "B": 1}, "context": {}, "context_dots": [["A", 1]]})
    trace = events(wrote("A", "A", 1), seen, answered("A", 2, "A", "B"))
    assert list(knowledge.early_answers(trace)) == []


def test_shrinking_knowledge_is_named():
    """I8: a node that knew A2 and B1 stores a state without them."""
    trace = events(stored("A", {"A": 2, "B": 1}), stored("A", {"A": 1}))
    (shrunk,) = knowledge.shrinking(trace)
    assert shrunk.text == "node A forgot A2, B1 of 'k' at event 2"


def test_dots_apart_count_as_knowledge():
    """I8: what stands apart from the clock is known too, in both states."""
    assert not list(knowledge.shrinking(events(stored("A", {"A": 2}), stored("A", {}, apart=[["A", 1], ["A", 2]]))))
    (lost,) = knowledge.shrinking(events(stored("A", {}, apart=[["A", 3]]), stored("A", {"A": 2})))
    assert "forgot A3" in lost.text


def test_a_wipe_may_shrink_and_a_crash_only_where_it_forgets():
    """I8: wiping is an explicit loss; a crash is one in the modes without a safe disk."""
    for verb, forgets, found in (
        ('recover("A", wipe=True)', False, 0),
        ('crash("A")', True, 0),
        ('crash("A")', False, 1),
        ('recover("B", wipe=True)', False, 1),
    ):
        trace = events(stored("A", {"A": 2}), ("cluster", "fault", {"verb": verb}), stored("A", {"A": 1}))
        assert len(list(knowledge.shrinking(trace, forgets))) == found


def test_a_dot_given_twice_and_a_request_made_twice_are_named():
    """I9: one dot, two requests; and one request, two dots at one coordinator."""
    twice = [*events(wrote("A", "A", 1)), *events(("", "note", {}), wrote("B", "A", 1), request="other")[1:]]
    assert "was given to ('A', 'r') and, at event 2, to ('B', 'other')" in next(knowledge.repeated_dots(twice)).text
    again = events(wrote("A", "A", 1), wrote("A", "A", 2))
    assert "('A', 'r') made A1 and, at event 2, A2" in next(knowledge.repeated_dots(again)).text
    wiped = events(wrote("A", "A", 1), ("cluster", "fault", {"verb": 'recover("A", wipe=True)'}), wrote("A", "A~1", 1))
    assert list(knowledge.repeated_dots(wiped)) == []


def test_only_what_faults_took_is_extinct():
    """A wiped last copy and an expired last hint are excused; what a node forgot by itself is not."""
    wipe = ("cluster", "fault", {"verb": 'recover("A", wipe=True)'})
    forget = ("A", "forget", {})
    assert knowledge.extinct(_without_key(events(wrote("A", "A", 1), wipe))) == {("k", Dot("A", 1))}
    assert knowledge.extinct(_without_key(events(wrote("A", "A", 1), stored("B", {"A": 1}), wipe))) == set()
    assert knowledge.extinct(_without_key(events(wrote("A", "A", 1), forget, wipe))) == set()
    hint = stored("D", {"B": 1}, kind="hint", peer="C")
    made = ("D", "write", {"dot": ["B", 1], "clock": {"B": 1}, "peer": "C"})
    expired = ("D", "forget", {"peer": "C", "why": "expired"})
    assert knowledge.extinct(events(made, hint, expired)) == {("k", Dot("B", 1))}


def _without_key(trace: list[TraceEvent]) -> list[TraceEvent]:
    """Faults are about no key."""
    return [event._replace(key=b"") if event.kind == "fault" else event for event in trace]


# ------------------------------------------------------------------------------ final states


def test_an_inspection_that_shows_less_than_there_is_is_refused():
    """A judge does not guess what an inspection left out."""
    with pytest.raises(InspectionCutOff, match="node A holds 7 keys and shows 1 of them"):
        finals_of({"A": inspection({"k": {"A": 1}}, keys=7)})


def test_dots_are_read_from_their_clock():
    """A dot is shown as text; its version's clock says where the name ends."""
    assert dot_named("n11", {"n": 11}) == Dot("n", 11)
    assert dot_named("n11", {"n1": 1}) == Dot("n1", 1)
    with pytest.raises(ValueError, match="the dot 'A2' is not one of the clock"):
        dot_named("A2", {"A": 1})


def test_homes_are_who_keeps_the_tree():
    """The homes of a key are the nodes that keep a Merkle tree over its key range; the last range wraps."""
    half, full = f"{2**127 - 1:032x}", f"{2**128 - 1:032x}"
    homes = homes_of({"A": inspection({}, roots={half: "0"}), "B": inspection({}, roots={half: "0", full: "0"})})
    low, high = (
        next(k for k in map(str, range(99)) if (position_of(k.encode()) >= 2**127) is up) for up in (False, True)
    )
    assert (homes(low), homes(high)) == (["A", "B"], ["B"])


def test_what_has_not_converged_is_named():
    """I5: unequal states, unequal roots, hints and transfers that are left."""
    seen = {
        "A": inspection({"k": {"A": 1}}, roots={"ff": "aa"}, hints=[{"home": "B", "key": "k", "age_ms": 1}]),
        "B": inspection({"k": {"A": 2}}, roots={"ff": "bb"}, transfers=2, misplaced=1),
    }
    (unequal,) = finals.unequal_replicas(seen, lambda key: ("A", "B"))
    assert "the homes of 'k' have not converged: A: {'v1'} with clock {'A': 1}; B:" in unequal.text
    assert "the Merkle roots of ff differ: A aa, B bb" in next(finals.unequal_roots(seen)).text
    left = [violation.text for violation in finals.left_over(seen)]
    assert left == [
        "node A still keeps a hint of 'k' for B",
        "node B still has 2 transfers",
        "node B still has 1 misplaced",
    ]


def test_the_order_of_a_clock_is_no_difference():
    """I5: two dicts of equal content are one state, whatever the order of their pairs."""
    one, other = inspection({"k": {"A": 1, "B": 2}}), inspection({"k": {"B": 2, "A": 1}})
    other["records"]["k"]["siblings"] = one["records"]["k"]["siblings"]
    assert list(finals.unequal_replicas({"A": one, "B": other}, lambda key: ("A", "B"))) == []


def test_a_write_without_a_writer_is_named():
    """I5: reads and exchanges must not change a state."""
    before, after = {"A": inspection({"k": {"A": 1}})}, {"A": inspection({"k": {"A": 2}, "new": {"A": 1}})}
    texts = [violation.text for violation in finals.not_quiet(before, after)]
    assert "without any write, 'k' at node A went from {'v1'} with clock {'A': 1} to {'v2'}" in texts[0]
    assert "'new' at node A went from nothing" in texts[1]


def test_a_key_in_the_wrong_place_is_named():
    """I6: a home that lacks a key, a stranger that keeps one, a home named twice."""
    seen = {"A": inspection({"k": {"A": 1}}), "B": inspection({}), "C": inspection({"k": {"A": 1}})}
    (wrong,) = finals.wrong_places(seen, lambda key: ("A", "B"))
    assert wrong.text == "'k' is on A, C; its homes are A, B"
    assert "not distinct nodes" in next(finals.wrong_places(seen, lambda key: ("A", "A"))).text


def test_limits_are_held():
    """I10: more siblings, clock pairs or requests than configured."""
    config = Config(max_siblings=1, max_clock=1, max_requests=1)
    node = inspection({"k": {"A": 1, "B": 1}}, requests=[{"request": "r", "kind": "put"}] * 2)
    node["records"]["k"]["siblings"] *= 2
    texts = [violation.text for violation in finals.out_of_bounds({"A": node}, config)]
    assert texts == [
        "node A has 2 siblings of 'k' made by B; the limit is 1",
        "node A has 2 clock pairs of 'k'; the limit is 1",
        "node A has 2 open requests; the limit is 1",
    ]


# ------------------------------------------------------------------------------ histories


def _operation(history: History, kind: str = "put", **fields: Any) -> Any:
    operation = history.begin("alice", kind, "k", 0)
    history.end(operation, fields.pop("outcome", OK), 5, fields.pop("error", ""))
    for name, value in fields.items():
        setattr(operation, name, value)
    return operation


def test_an_ok_with_too_few_nodes_is_named():
    """I7: W distinct nodes must be named; the same node twice is one."""
    history = History()
    _operation(history, nodes=("A", "A"))
    assert "names 1 nodes (A, A); 2 were needed" in next(iter(check_i7(evidence(history)))).text


def test_a_timeout_is_unknown_and_never_a_failure():
    """I7: a write that timed out may not be told as surely without effect; a read may."""
    history = History()
    _operation(history, outcome=FAIL, error="WriteQuorumNotReached")
    _operation(history, "get", outcome=FAIL, error="ReadQuorumNotReached")
    (lie,) = check_i7(evidence(history))
    assert "it is unknown, never 'not written'" in lie.text


def test_a_refused_write_that_shows_up_is_named():
    """I7: a definite failure had no effect at all."""
    history = History()
    refused = _operation(history, outcome=FAIL, error="NodeIsDown")
    node = inspection({"k": {"A": 1}})
    node["records"]["k"]["siblings"][0]["value"] = f"{refused.write}=v"
    (shown,) = check_i7(evidence(history, inspections={"A": node}))
    assert "shows alice.1 of 'k', whose client was told that it surely has no effect" in shown.text


def test_what_never_ends_and_what_crashes_is_named():
    """I11: no operation hangs, none ends by an error that no client should see, no request stays open."""
    history = History()
    history.begin("alice", "get", "k", 0)
    assert history.operations[0].outcome == PENDING
    _operation(history, outcome="unknown", error="ZeroDivisionError")
    node = inspection({}, requests=[{"request": "r-1", "kind": "put"}])
    texts = [violation.text for violation in check_i11(evidence(history, inspections={"A": node}))]
    assert texts[0].startswith("never ended: ")
    assert texts[1].startswith("ended by a crash: ")
    assert texts[2] == "node A still works on request r-1 (put)"


# ------------------------------------------------------------------------------ hooks


def test_two_logs_of_one_seed_are_compared_byte_by_byte():
    """I12: the first difference is shown with what is around it."""
    assert list(check_i12(b"same", b"same")) == []
    assert "differ at 2" in next(check_i12("abX", "abY")).text
    assert "differ at 3" in next(check_i12("abc", "abcd")).text


def test_bad_input_must_change_nothing_and_be_counted():
    """I13: a changed record, a missing node, an uncounted message are named."""
    before = {"A": inspection({"k": {"A": 1}}), "B": inspection({})}
    after = {"A": inspection({"k": {"A": 2}})}
    found = list(check_i13(before, after, "refused", 3))
    assert {violation.invariant for violation in found} == {"I13"}
    texts = " / ".join(violation.text for violation in found)
    assert "node B is gone" in texts
    assert "'k' at node A went from" in texts
    assert "3 bad inputs were sent, the counter 'refused' grew by 0" in texts
    counted = {"A": inspection({"k": {"A": 1}}, counters={"refused": 3}), "B": inspection({})}
    assert list(check_i13(before, counted, "refused", 3)) == []


def test_a_report_says_what_it_did_not_judge():
    """A check without evidence is never counted as held."""
    report = judge(evidence(History(), exempt={"I6": "the ring is being changed"}))
    assert report.ok
    assert report.not_checked["I6"] == "the ring is being changed"
    assert "second look" in report.not_checked["I8"]
    assert {"I8", "I12", "I13"}.isdisjoint(report.held)
    assert "held: I1 I2" in str(report)
