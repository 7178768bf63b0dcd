"""Vector clocks, dots and contexts: values, boundaries, seals (paper 4.1, 4.4)."""

from __future__ import annotations

import pytest

from dynalab.core.clock import COUNTER_MAX, SEAL_BYTES, Context, Dot, Ordering, VectorClock, absorb, covers, join

SECRET = b"the cluster's own"


def test_figure_three_of_the_paper():
    """D1 to D5 of figure 3: descent along the branches, concurrency between them, and the merge (paper 4.4)."""
    d1 = VectorClock().increment("Sx")
    d2 = d1.increment("Sx")
    d3, d4 = d2.increment("Sy"), d2.increment("Sz")
    d5 = d3.merge(d4).increment("Sx")
    assert [str(clock) for clock in (d1, d2, d3, d4, d5)] == [
        *("[Sx1]", "[Sx2]", "[Sx2, Sy1]", "[Sx2, Sz1]", "[Sx3, Sy1, Sz1]"),
    ]
    assert d3.compare(d2) is Ordering.AFTER
    assert d2.compare(d3) is Ordering.BEFORE
    assert d3.compare(d4) is Ordering.CONCURRENT
    assert d3.concurrent_with(d4)
    assert d5.descends_from(d3)
    assert d5.descends_from(d4)
    assert not d3.descends_from(d5)


def test_a_clock_is_a_mapping_and_a_value():
    """Clocks compare and hash by content, list actors sorted, and drop zeros: an absent actor counts 0."""
    clock = VectorClock({"B": 2, "A": 1, "C": 0})
    assert dict(clock) == {"A": 1, "B": 2}
    assert list(clock) == ["A", "B"]
    assert len(clock) == 2
    assert clock == VectorClock([("A", 1), ("B", 2)]) == {"A": 1, "B": 2}
    assert len({clock, VectorClock({"B": 2, "A": 1})}) == 1
    assert repr(clock) == "VectorClock({'A': 1, 'B': 2})"
    assert str(VectorClock()) == "[]"
    assert clock.get("Z", 0) == 0


def test_an_operation_leaves_its_clock_alone():
    """Increment and merge answer new clocks."""
    clock = VectorClock({"A": 1})
    clock.increment("A")
    clock.merge({"B": 1})
    assert clock == {"A": 1}


def test_clocks_have_no_smaller_and_larger():
    """`<` is refused: two concurrent clocks are neither (rule 2)."""
    with pytest.raises(TypeError):
        VectorClock({"A": 1}) < VectorClock({"B": 1})  # noqa: B015


@pytest.mark.parametrize("counter", [-1, COUNTER_MAX + 1, 1.0, "1", None, True])
def test_a_counter_out_of_range_is_refused_by_name_and_value(counter):
    """A counter is an integer from 0 to 2**53 - 1."""
    with pytest.raises(
        ValueError, match="the counter of 'A' must be an integer from 0 to 2\\*\\*53 - 1; got "
    ) as refused:
        VectorClock({"A": counter})
    assert repr(counter) in str(refused.value)


@pytest.mark.parametrize("actor", ["", 7, None, b"A"])
def test_an_actor_is_named_by_text(actor):
    """An actor is a non-empty string."""
    with pytest.raises(ValueError, match="a clock counts actors by name; got ") as refused:
        VectorClock({actor: 1})
    assert repr(actor) in str(refused.value)


def test_the_largest_counter_counts():
    """2**53 - 1 is allowed, one more is not."""
    clock = VectorClock({"A": COUNTER_MAX})
    assert clock["A"] == 2**53 - 1
    with pytest.raises(ValueError, match="got 9007199254740992"):
        clock.increment("A")


def test_dots_apart_from_the_clock():
    """A dot is covered by the clock or by standing apart; those that close a gap are folded in."""
    assert covers({"A": 2}, [Dot("A", 4)], Dot("A", 4))
    assert not covers({"A": 2}, [Dot("A", 4)], Dot("A", 3))
    assert absorb({"A": 2}, [Dot("A", 4), Dot("A", 3)]) == ({"A": 4}, ())
    assert absorb({}, [Dot("A", 2), Dot("A", 2), Dot("B", 1)]) == ({"B": 1}, (Dot("A", 2),))
    assert absorb({"A": 3}, [Dot("A", 2)]) == ({"A": 3}, ())
    assert str(Dot("A~k3f9", 2)) == "A~k3f92"


def test_join_leaves_its_arguments_alone():
    """`join` answers a new dict, whose actors keep the left one's order."""
    left, right = {"B": 1}, {"A": 1, "B": 3}
    assert list(join(left, right).items()) == [("B", 3), ("A", 1)]
    assert (left, right) == ({"B": 1}, {"A": 1, "B": 3})


# ------------------------------------------------------------------------------ contexts (4.1)


def test_a_context_shows_all_it_has_seen_as_one_clock():
    """`.clock` rounds separate dots up, for people; `.covers` is exact."""
    context = Context({"A": 1}, (Dot("A", 3), Dot("B", 2)))
    assert context.clock == {"A": 3, "B": 2}
    assert not context.covers(Dot("A", 2))
    assert context.covers(Dot("A", 3))
    assert str(context) == "Context[A3, B2]"
    assert str(Context.LOCAL) == "Context.LOCAL"
    assert str(Context.EMPTY) == "Context[]"


def test_two_dots_of_one_actor_show_the_later():
    """`.clock` shows the highest counter of an actor even when dots were given in another order."""
    assert Context({}, (Dot("A", 5), Dot("A", 3))).clock == {"A": 5}


def test_a_seal_is_for_one_key_one_secret_and_one_content():
    """A context is valid only unchanged, for its key, in its cluster (paper 4.1, "verify the validity")."""
    context = Context({"A": 1}, (Dot("B", 2),)).sealed(SECRET, b"cart")
    assert len(context.seal) == SEAL_BYTES
    assert context.is_valid(SECRET, b"cart")
    assert not context.is_valid(SECRET, b"other")
    assert not context.is_valid(b"another secret", b"cart")
    assert not context._replace(entries={"A": 10**9}).is_valid(SECRET, b"cart")
    assert not context._replace(dots=()).is_valid(SECRET, b"cart")
    assert not context._replace(seal=b"").is_valid(SECRET, b"cart")
    assert not Context({"A": 1}).is_valid(SECRET, b"cart")


def test_a_seal_does_not_depend_on_the_order_of_entries():
    """Equal contexts have equal seals, on every node."""
    one = Context({"A": 1, "B": 2}, (Dot("C", 3), Dot("C", 5)))
    other = Context({"B": 2, "A": 1}, (Dot("C", 5), Dot("C", 3)))
    assert one.sealed(SECRET, b"k").seal == other.sealed(SECRET, b"k").seal


def test_an_empty_context_needs_no_seal():
    """Who has seen nothing claims nothing."""
    assert Context.EMPTY.is_valid(SECRET, b"k")
    assert Context().is_valid(SECRET, b"k")
    assert not Context.EMPTY.entries
    assert not Context.EMPTY.dots


def test_joining_drops_the_seal():
    """What two contexts say together was sealed by nobody yet."""
    left, right = Context({"A": 1}).sealed(SECRET, b"k"), Context({"A": 1}, (Dot("A", 2),)).sealed(SECRET, b"k")
    joined = left.join(right)
    assert joined == Context({"A": 2}, ())
    assert not joined.is_valid(SECRET, b"k")
