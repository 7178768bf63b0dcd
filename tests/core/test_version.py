"""What one replica keeps for one key: puts, merges, tombstones, literal clocks and their truncation (4.1, 4.4)."""

from __future__ import annotations

from dynalab.core.clock import Context, Dot, Ordering, VectorClock
from dynalab.core.version import (
    CLOCK_PAIRS_KEPT,
    DottedClocks,
    LiteralClocks,
    Siblings,
    Version,
    kept_indexes,
    reconcile,
)


def test_a_put_with_the_context_of_a_read_replaces_what_was_read():
    """A put removes the versions its context covers, and leaves one (paper 4.4)."""
    state = Siblings().put("A", b"v1", None)
    state = state.put("B", b"v2", state.context)
    assert state.values == [b"v2"]
    assert state.clock == {"A": 1, "B": 1}
    assert state.versions[0].clock == {"A": 1, "B": 1}


def test_a_blind_put_replaces_nothing():
    """`None` and `Context.EMPTY` are blind: the new value is a sibling (S02)."""
    for blind in (None, Context.EMPTY, Context()):
        state = Siblings().put("A", b"v1", None).put("A", b"v2", blind)
        assert state.values == [b"v1", b"v2"]


def test_the_documented_example_of_dotted_version_vectors():
    """v1, blind v2, v3 with the context of v1: v2 and v3 are left, as dots A2 and A3 (FIELD 3)."""
    first = Siblings().put("A", b"v1", None)
    state = first.put("A", b"v2", None).put("A", b"v3", first.context)
    assert [(v.value, v.dot) for v in state.versions] == [(b"v2", Dot("A", 2)), (b"v3", Dot("A", 3))]
    assert state.clock == {"A": 3}


def test_an_ack_context_does_not_cover_what_its_client_never_read():
    """A's second put, with the context of its ack, leaves B's concurrent value alone (S14)."""
    state = Siblings().put("S", b"a1", None)
    ack = Context({}, (Dot("S", 1),))
    state = state.put("S", b"b1", None)
    state = state.put("S", b"a2", ack)
    assert state.values == [b"b1", b"a2"]


def test_an_ack_with_a_gap_stays_apart_from_the_clock():
    """A context may know A2 and not A1; the knowledge keeps the gap until it closes."""
    other = Siblings().put("B", b"x", Context({}, (Dot("A", 2),)))
    assert (other.clock, other.dots) == ({"B": 1}, (Dot("A", 2),))
    assert other.counter_of("A") == 2
    assert not other.covers(Dot("A", 1))
    first = Siblings().put("A", b"a1", None)
    both = first.put("A", b"a2", None)
    merged = other.merge(both)
    assert merged.values == [b"a1", b"x"]
    assert (merged.clock, merged.dots) == ({"A": 2, "B": 1}, ())


def test_a_tombstone_is_a_version_without_a_value():
    """A delete replaces like a put; a concurrent value stays beside it."""
    state = Siblings().put("A", b"v1", None)
    gone = state.put("A", None, state.context)
    assert gone.values == []
    assert gone.is_tombstone
    assert gone.versions[0].deleted
    beside = gone.put("B", b"v2", None)
    assert beside.values == [b"v2"]
    assert not beside.is_tombstone
    assert not Siblings().is_tombstone


def test_an_old_state_changes_nothing():
    """Merging an ancestor, a repeat or nothing answers the same state (S04)."""
    old = Siblings().put("A", b"v1", None)
    new = old.put("B", b"v2", old.context)
    for stale in (old, new, Siblings()):
        assert new.merge(stale) == new
        assert stale.merge(new) == new


def test_versions_are_sorted_whatever_the_order_of_arrival():
    """Equal states are equal values: versions are sorted by dot (rule 3)."""
    b = Siblings().put("B", b"b", None)
    a = Siblings().put("A", b"a", None)
    assert b.merge(a) == a.merge(b)
    assert b.merge(a).values == [b"a", b"b"]


def test_the_wall_clock_travels_with_its_version_and_decides_nothing():
    """An earlier wall time does not make a version lose (S31)."""
    state = Siblings().put("A", b"v1", None, wall_us=10**15)
    state = state.put("A", b"v2", state.context, wall_us=5)
    assert [(v.value, v.wall_us) for v in state.versions] == [(b"v2", 5)]


def test_digests_cover_values_clocks_and_dots():
    """Any difference in value, knowledge or dot changes the digest; equal states have equal ones."""
    base = Siblings().put("A", b"v", None)
    others = [
        Siblings(),
        Siblings().put("A", b"w", None),
        Siblings().put("B", b"v", None),
        base.merge(Siblings().put("B", b"v", None)),
        base._replace(clock={"A": 1, "B": 1}),
        base._replace(dots=(Dot("A", 3),)),
    ]
    digests = [state.digest() for state in (base, *others)]
    assert len(set(digests)) == len(digests)
    assert all(len(digest) == 16 for digest in digests)
    assert base.digest() == Siblings().put("A", b"v", None).digest()


def test_an_operation_leaves_its_state_alone():
    """Siblings are values: neither a put nor a merge changes them."""
    state = Siblings().put("A", b"v1", None)
    before = (dict(state.clock), state.versions, state.dots)
    state.put("A", b"v2", state.context)
    state.merge(Siblings().put("B", b"v3", None))
    assert (state.clock, state.versions, state.dots) == before
    assert Siblings() == Siblings({}, (), ())


# ------------------------------------------------------------------------------ syntactic reconciliation


def test_reconciling_drops_ancestors_and_repeats():
    """Ancestors go, concurrent versions stay in order, of equal clocks the first stays (paper 4.4)."""
    v1, v2 = Version(b"1", VectorClock({"A": 1})), Version(b"2", VectorClock({"A": 2}))
    v3, again = Version(b"3", VectorClock({"B": 1})), Version(b"again", VectorClock({"B": 1}))
    assert reconcile([v1, v3, v2, again]) == [v3, v2]
    assert reconcile([]) == []


def test_another_order_reconciles_otherwise():
    """The comparison can be replaced: with everything concurrent nothing is dropped."""
    versions = [Version(b"1", {"A": 1}), Version(b"2", {"A": 2})]
    assert kept_indexes(versions, lambda left, right: Ordering.CONCURRENT) == [0, 1]


# ------------------------------------------------------------------------------ literal clocks


def test_literal_clocks_do_figure_three():
    """The paper's example, to the letter: two branches, both kept, one merge that replaces both (figure 3)."""
    clocks = LiteralClocks()
    d1 = clocks.put(Siblings(), "Sx", b"D1", Context.EMPTY, 1)
    d2 = clocks.put(d1, "Sx", b"D2", clocks.context(d1), 2)
    d3 = clocks.put(d2, "Sy", b"D3", clocks.context(d2), 3)
    d4 = clocks.put(d2, "Sz", b"D4", clocks.context(d2), 4)
    both = clocks.merge(d3, d4)
    assert both == clocks.merge(d4, d3)
    assert both.values == [b"D3", b"D4"]
    d5 = clocks.put(both, "Sx", b"D5", clocks.context(both), 5)
    assert [dict(v.clock) for v in d5.versions] == [{"Sx": 3, "Sy": 1, "Sz": 1}]
    assert clocks.merge(d5, d3).values == [b"D5"]


def test_literal_clocks_never_use_a_counter_twice():
    """Even a blind put, and a put of a replica that lost its version to another, counts on (I9)."""
    clocks = LiteralClocks()
    state = clocks.put(Siblings(), "A", b"1", Context.EMPTY, 1)
    state = clocks.put(state, "A", b"2", Context.EMPTY, 2)
    other = clocks.put(Siblings(), "B", b"3", clocks.context(state), 3)
    state = clocks.merge(state, other)
    state = clocks.put(state, "A", b"4", Context.EMPTY, 4)
    assert state.counter_of("A") == 3


def test_a_long_literal_clock_drops_its_oldest_pair():
    """Beyond ten pairs the one written longest ago goes; an extra sibling is the price, never a loss (4.4, S32)."""
    clocks, state = LiteralClocks(), Siblings()
    for number in range(CLOCK_PAIRS_KEPT + 1):
        state = clocks.put(state, f"N{number:02}", str(number).encode(), clocks.context(state), 100 + number)
    assert sorted(state.values) == [b"10", b"9"]
    version = next(version for version in state.versions if version.value == b"10")
    assert len(version.clock) == CLOCK_PAIRS_KEPT
    assert "N00" not in version.clock
    assert "N10" in version.clock


def test_truncation_never_drops_the_writer_itself():
    """A coordinator whose wall clock is behind still finds its own pair in its new clock."""
    clocks, state = LiteralClocks(), Siblings()
    for number in range(CLOCK_PAIRS_KEPT):
        state = clocks.put(state, f"N{number:02}", b"x", clocks.context(state), 1000 + number)
    state = clocks.put(state, "late", b"y", clocks.context(state), 5)
    assert b"y" in state.values
    assert any(version.clock.get("late") == 1 for version in state.versions)


def test_the_mode_dotted_is_siblings_themselves():
    """`DottedClocks` adds nothing to `Siblings`."""
    clocks = DottedClocks()
    state = clocks.put(Siblings(), "A", b"v", Context.EMPTY, 7)
    assert state == Siblings().put("A", b"v", None, 7)
    assert clocks.context(state) == state.context
