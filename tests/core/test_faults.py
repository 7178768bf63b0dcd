"""Faults of the network as values: parsing, fates, words, and every refusal."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynalab.core.errors import InvalidPartition, InvalidSetting, UnknownNode
from dynalab.core.faults import (
    DELAY_MS_MAX,
    PERFECT,
    REORDER_MS,
    Faults,
    LinkRule,
    known_node,
    link_rule,
    parse_partition,
    said,
)

NODES = ["A", "B", "C", "ann", "bob"]


# ------------------------------------------------------------------------------ partitions


@pytest.mark.parametrize(
    ("sides", "parsed"),
    [
        (["AB|C"], (("A", "B"), ("C",))),
        (["A", "B", "C"], (("A",), ("B",), ("C",))),
        (["A|B|C"], (("A",), ("B",), ("C",))),
        (["ann,bob|AC"], (("ann", "bob"), ("A", "C"))),
        (["ann bob | A, B"], (("ann", "bob"), ("A", "B"))),
        ([["ann"], ["A", "bob"]], (("ann",), ("A", "bob"))),
        (["ann|AB", ["C"]], (("ann",), ("A", "B"), ("C",))),
    ],
)
def test_sides_are_letters_names_or_lists(sides, parsed):
    """A side is one-letter names run together, names with commas or spaces, or a list of names."""
    assert parse_partition(sides, NODES) == parsed


@pytest.mark.parametrize(
    ("sides", "says"),
    [
        (["AB"], "a partition has at least two sides, none empty, like 'AB|CDE'; got ['AB']"),
        (["AB|"], "at least two sides, none empty"),
        ([], "at least two sides, none empty"),
        ([["A"], []], "at least two sides, none empty"),
        (["AX|B"], "no node is called 'X'; the nodes are A, B, C, ann, bob"),
        (["anne|B"], "no node is called 'a'"),
        ([["anne"], ["B"]], "no node is called 'anne'"),
        (["AB|BC"], "node 'B' is named twice in ['AB|BC']; a node is on one side"),
        (["AA|B"], "node 'A' is named twice"),
        ([[7], ["A"]], "no node is called 7"),
    ],
)
def test_other_sides_are_refused_by_what_is_wrong(sides, says):
    """The refusal names the letter, the name or the side; it is definite."""
    with pytest.raises(InvalidPartition) as refused:
        parse_partition(sides, NODES)
    assert says in str(refused.value)
    assert refused.value.definite


def test_a_partition_cuts_only_between_its_sides():
    """Rule 1: both directions between sides; a node on no side is cut from nobody."""
    faults = Faults().partitioned([["A"], ["B", "C"]])
    cut = {(a, b) for a in NODES for b in NODES if faults.is_cut(a, b)}
    assert cut == {("A", "B"), ("A", "C"), ("B", "A"), ("C", "A")}


def test_a_one_way_partition_cuts_from_earlier_to_later_sides():
    """`one_way`: A's messages do not reach B, B's reach A."""
    faults = Faults().partitioned([["A"], ["B"], ["C"]], one_way=True)
    assert set(faults.cuts) == {("A", "B"), ("A", "C"), ("B", "C")}


def test_partitions_add_up_until_they_are_healed():
    """A second partition leaves the first; each cut is listed once; healing ends cuts and rules alike."""
    faults = Faults().partitioned([["A"], ["B"]]).partitioned([["A"], ["B", "C"]])
    assert len(faults.cuts) == 4
    faults = faults.linked("A", "C", LinkRule(drop=1.0))
    assert faults.healed() == Faults()


def test_faults_are_values():
    """No operation changes the value it is asked of."""
    before = Faults()
    before.partitioned([["A"], ["B"]])
    before.linked("A", "B", LinkRule(drop=1.0))
    assert before == Faults()
    assert not before.is_cut("A", "B")


# ------------------------------------------------------------------------------ link rules


def test_a_rule_belongs_to_one_direction():
    """Rule 2: the other direction stays perfect unless both were asked for; a perfect rule removes itself."""
    rule = link_rule(drop=0.5)
    one = Faults().linked("A", "B", rule)
    assert (one.rule("A", "B"), one.rule("B", "A")) == (rule, PERFECT)
    both = Faults().linked("A", "B", rule, both_ways=True)
    assert both.rule("B", "A") == rule
    assert both.linked("A", "B", PERFECT, both_ways=True) == Faults()


def test_a_base_rule_holds_for_all_other_links():
    """`base` is what a link without a rule of its own does."""
    slow = LinkRule(delay_ms=(5.0, 5.0))
    faults = Faults(base=slow).linked("A", "B", PERFECT)
    assert faults.rule("B", "A") == slow
    assert faults.rule("A", "B") == PERFECT


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"drop": 1.1}, "drop must be a probability from 0 to 1; got 1.1"),
        ({"drop": -0.1}, "drop must be a probability from 0 to 1; got -0.1"),
        ({"drop": float("nan")}, "drop must be a probability from 0 to 1; got nan"),
        ({"drop": True}, "drop must be a probability from 0 to 1; got True"),
        ({"delay_ms": True}, "delay_ms must be a number or a pair (low, high); got True"),
        ({"duplicate": "1"}, "duplicate must be a probability from 0 to 1; got '1'"),
        ({"reorder": 2}, "reorder must be a probability from 0 to 1; got 2"),
        ({"delay_ms": -1}, f"delay_ms must have 0 <= low <= high <= {DELAY_MS_MAX}; got -1"),
        ({"delay_ms": (5, 1)}, "delay_ms must have 0 <= low <= high"),
        ({"delay_ms": DELAY_MS_MAX + 1}, "delay_ms must have 0 <= low <= high"),
        ({"delay_ms": (float("nan"), 1)}, "delay_ms must have 0 <= low <= high"),
        ({"delay_ms": (1, 2, 3)}, "delay_ms must be a number or a pair (low, high); got (1, 2, 3)"),
        ({"delay_ms": ("1", 2)}, "delay_ms must be a number or a pair (low, high)"),
        ({"delay_ms": "slow"}, "delay_ms must be a number or a pair (low, high)"),
        ({"delay_ms": None}, "delay_ms must be a number or a pair (low, high)"),
    ],
)
def test_rules_out_of_range_are_refused(options, says):
    """Probabilities are 0 to 1, delays 0 to ten minutes and in order."""
    with pytest.raises(InvalidSetting) as refused:
        link_rule(**options)
    assert says in str(refused.value)


def test_the_boundaries_of_rules_are_allowed():
    """0 and 1, and a delay of exactly the limit."""
    assert link_rule(drop=0, duplicate=1, reorder=1.0) == LinkRule(0.0, (0.0, 0.0), 1.0, 1.0)
    assert link_rule(delay_ms=DELAY_MS_MAX).delay_ms == (DELAY_MS_MAX, DELAY_MS_MAX)
    assert link_rule(delay_ms=[1, 2]).delay_ms == (1.0, 2.0)
    assert link_rule() == PERFECT


@given(st.integers(0, 2**32), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 50), st.floats(0, 50))
def test_a_fate_is_a_list_of_delays(seed, drop, duplicate, reorder, low, more):
    """A message arrives not at all, once or twice, within the bounds of its rule; the same chance, the same fate."""
    rule = link_rule(drop, (low, low + more), duplicate, reorder)
    fate = rule.fate(Random(seed))
    assert fate == rule.fate(Random(seed))
    assert len(fate) <= 2
    longest_us = (low + more + (REORDER_MS if reorder else 0)) * 1000
    assert all(int(low * 1000) - 1 <= delay <= longest_us + 1 for delay in fate)


def test_certain_chances_are_certain():
    """Drop 1 always loses, duplicate 1 always doubles, and a perfect link delivers at once."""
    random = Random(1)
    for _ in range(100):
        assert LinkRule(drop=1.0).fate(random) == []
        assert len(LinkRule(duplicate=1.0).fate(random)) == 2
        assert PERFECT.fate(random) == [0]


# ------------------------------------------------------------------------------ words


def test_faults_in_words():
    """Every fault is said once, in words a learner reads."""
    faults = Faults().partitioned([["A"], ["B"]]).partitioned([["C"], ["A"]], one_way=True)
    faults = faults.linked("B", "C", link_rule(drop=0.3, delay_ms=(5, 50), duplicate=0.1, reorder=0.2))
    assert faults.words() == [
        "A and B do not hear each other",
        "A does not hear C",
        "from B to C: drop 30%, duplicate 10%, reorder 20%, delay 5 to 50 ms",
    ]
    assert Faults().words() == []
    assert str(PERFECT) == "no fault"


def test_a_verb_is_said_as_it_is_typed():
    """Strings in double quotes, what was left out left out."""
    assert said("recover", "C", wipe=True) == 'recover("C", wipe=True)'
    assert said("recover", "C", wipe=False) == 'recover("C")'
    assert said("link", "é", "B", delay_ms=(1, 2), drop=None) == 'link("é", "B", delay_ms=(1, 2))'


def test_an_unknown_node_is_refused_with_the_known_ones():
    """The refusal lists the nodes there are."""
    assert known_node("A", NODES) == "A"
    with pytest.raises(UnknownNode, match="no node is called 'Z'; the nodes are A, B, C, ann, bob"):
        known_node("Z", NODES)
