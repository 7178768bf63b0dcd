"""Laws that hold for every input: of clocks, siblings, trees and rings (paper 4.2 to 4.4, 4.7)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from dynalab.core.clock import Context, Dot, Ordering, VectorClock, absorb, compare, covers, join
from dynalab.core.merkle import MerkleTree, diff
from dynalab.core.ring import Ring, share_out, steal
from dynalab.core.version import DottedClocks, LiteralClocks, Siblings, Version, reconcile
from tests.causal import SERVERS, Run, runs

ACTORS = ["A", "B", "A~1", "B1"]
clocks = st.dictionaries(st.sampled_from(ACTORS), st.integers(1, 4))
dots = st.builds(Dot, st.sampled_from(ACTORS), st.integers(1, 5))
contexts = st.builds(lambda entries, apart: Context(*absorb(entries, apart)), clocks, st.lists(dots, max_size=4))


def writes_of(clock: dict[str, int], apart: tuple[Dot, ...] = ()) -> set[Dot]:
    """What knowledge stands for: the set of writes."""
    return {Dot(actor, n) for actor, counter in clock.items() for n in range(1, counter + 1)} | set(apart)


# ------------------------------------------------------------------------------ clocks (4.4)


@given(clocks, clocks)
def test_the_order_of_clocks_is_inclusion_of_their_writes(left, right):
    """A clock is before another exactly when its writes are a proper subset of the other's (paper 4.4)."""
    mine, theirs = writes_of(left), writes_of(right)
    expected = {
        (True, True): Ordering.EQUAL,
        (True, False): Ordering.BEFORE,
        (False, True): Ordering.AFTER,
        (False, False): Ordering.CONCURRENT,
    }[mine <= theirs, mine >= theirs]
    assert compare(left, right) is expected
    assert VectorClock(left).compare(right) is expected
    assert VectorClock(left).descends_from(right) == (mine >= theirs)
    assert VectorClock(left).concurrent_with(right) == (expected is Ordering.CONCURRENT)


@given(clocks, clocks, clocks)
def test_the_order_of_clocks_is_a_partial_order(a, b, c):
    """Descent is reflexive, antisymmetric and transitive; AFTER is the mirror of BEFORE."""
    first, second, third = VectorClock(a), VectorClock(b), VectorClock(c)
    assert first.descends_from(first)
    if first.descends_from(second) and second.descends_from(first):
        assert first == second
        assert hash(first) == hash(second)
    if first.descends_from(second) and second.descends_from(third):
        assert first.descends_from(third)
    mirror = {Ordering.BEFORE: Ordering.AFTER, Ordering.AFTER: Ordering.BEFORE}
    order = first.compare(second)
    assert second.compare(first) is mirror.get(order, order)


@given(clocks, clocks, clocks)
def test_merging_clocks_is_the_least_upper_bound(a, b, c):
    """Merge is commutative, associative and idempotent, descends from both, and from nothing less."""
    first, second, third = VectorClock(a), VectorClock(b), VectorClock(c)
    merged = first.merge(second)
    assert merged == second.merge(first)
    assert first.merge(second.merge(third)) == merged.merge(third)
    assert first.merge(first) == first
    assert merged.descends_from(first)
    assert merged.descends_from(second)
    if third.descends_from(first) and third.descends_from(second):
        assert third.descends_from(merged)
    assert writes_of(join(a, b)) == writes_of(a) | writes_of(b)


@given(clocks, st.sampled_from(ACTORS))
def test_an_increment_comes_after(entries, actor):
    """A clock with one more write of anybody descends from the clock before, and not the other way."""
    clock = VectorClock(entries)
    assert clock.increment(actor).compare(clock) is Ordering.AFTER


@given(clocks, st.lists(dots, max_size=6), dots)
def test_absorbing_dots_forgets_and_invents_nothing(clock, apart, dot):
    """Folding dots into a clock leaves the same set of writes, and no dot apart that continues the clock."""
    entries, rest = absorb(clock, apart)
    assert writes_of(entries, rest) == writes_of(clock, tuple(apart))
    assert all(each.counter > entries.get(each.actor, 0) + 1 for each in rest)
    assert list(rest) == sorted(set(rest))
    assert covers(entries, rest, dot) == (dot in writes_of(clock, tuple(apart)))


@given(contexts, contexts, dots)
def test_joined_contexts_have_seen_what_either_has(left, right, dot):
    """The join of two contexts covers exactly the union of their writes."""
    joined = left.join(right)
    assert joined.covers(dot) == (left.covers(dot) or right.covers(dot))
    assert joined == right.join(left)


@given(st.lists(clocks, max_size=6))
def test_reconciliation_keeps_exactly_the_latest(entries):
    """Syntactic reconciliation keeps one version of every clock that no other clock descends from (paper 4.4)."""
    versions = [Version(str(index).encode(), VectorClock(clock)) for index, clock in enumerate(entries)]
    kept = reconcile(versions)
    latest = [c for c in entries if not any(writes_of(c) < writes_of(other) for other in entries)]
    assert {frozenset(v.clock.items()) for v in kept} == {frozenset(c.items()) for c in latest}
    assert len(kept) == len({frozenset(c.items()) for c in latest})
    assert reconcile(kept) == kept


# ------------------------------------------------------------------------------ siblings (4.4)


@given(runs)
def test_siblings_are_what_causal_histories_say(run: Run):
    """In every state of every run the siblings are the writes no known write had seen: nothing lost, nothing extra."""
    for state, known in run.seen:
        assert {int(value) for value in state.values} == run.live(known)
        for write, dot in run.dots.items():
            assert state.covers(dot) == (write in known)


@given(runs, st.data())
def test_merging_siblings_is_a_join(run: Run, data):
    """Merge is commutative, associative and idempotent on all states that can occur: order and repeats never matter."""
    states = st.sampled_from([Siblings(), *(state for state, _ in run.seen)])
    a, b, c = data.draw(states), data.draw(states), data.draw(states)
    merged = a.merge(b)
    assert merged == b.merge(a)
    assert merged.digest() == b.merge(a).digest()
    assert merged.merge(c) == a.merge(b.merge(c))
    assert a.merge(a) == a
    assert merged.merge(a) == merged
    assert DottedClocks().merge(a, b) == merged


@given(runs)
def test_replicas_that_have_heard_the_same_are_equal(run: Run):
    """After everybody met everybody all replicas are one value, whatever the order of the meetings."""
    for order in (SERVERS, SERVERS[::-1]):
        merged = Siblings()
        for server in order:
            merged = merged.merge(run.states[server])
        if order == SERVERS:
            first = merged
    assert merged == first
    assert merged.digest() == first.digest()
    for server in SERVERS:
        assert run.states[server].merge(merged) == merged


@given(runs)
def test_versions_are_sorted_and_dots_unique(run: Run):
    """Versions of a state are sorted by dot, and no two writes of a run share a dot (I9)."""
    for state, _ in run.seen:
        named = [version.dot for version in state.versions]
        assert named == sorted(set(named))
    assert len(set(run.dots.values())) == len(run.dots)


@given(runs, st.sampled_from(SERVERS))
def test_a_put_removes_exactly_what_its_context_covers(run: Run, server):
    """Of a state's versions a put keeps those its context has not seen, and adds its own."""
    for seen, _ in run.seen:
        before = run.states[server]
        after = before.put(server, b"new", seen.context)
        assert {v.dot for v in before.versions if not seen.covers(v.dot)} == {
            v.dot for v in after.versions if v.value != b"new"
        }


@settings(max_examples=20)
@given(st.lists(st.booleans(), min_size=100, max_size=100))
def test_two_interleaved_clients_never_make_more_than_two_siblings(turns):
    """Read-modify-write with each client's own read-back: at most 2 siblings, and no addition is lost (S13)."""
    state = Siblings()
    context = {True: None, False: None}
    had: dict[bool, set[int]] = {True: set(), False: set()}
    for addition, turn in enumerate(turns):
        value = ",".join(map(str, sorted(had[turn] | {addition}))).encode()
        state = state.put("A", value, context[turn])
        context[turn] = state.context
        had[turn] = {int(item) for each in state.values for item in each.split(b",")}
        assert len(state.versions) <= 2
    assert {int(item) for each in state.values for item in each.split(b",")} == set(range(100))


def test_literal_clocks_lose_one_of_two_writes_with_one_context():
    """S01: two clients read one version and write through A; dots keep both writes, literal clocks keep one.

    This is why dots are the default: both writes were acknowledged, and neither writer had seen the other.
    """
    outcome = {}
    for name, mode in (("dotted", DottedClocks()), ("literal", LiteralClocks())):
        state = mode.put(Siblings(), "A", b"v0", Context.EMPTY, 1)
        read = mode.context(state)
        state = mode.put(state, "A", b"alice", read, 2)
        state = mode.put(state, "A", b"bob", read, 3)
        outcome[name] = state.values
    assert outcome == {"dotted": [b"alice", b"bob"], "literal": [b"bob"]}


# ------------------------------------------------------------------------------ Merkle trees (4.7)

held = st.dictionaries(
    st.binary(min_size=1, max_size=3), runs.map(lambda run: run.seen[-1][0] if run.seen else Siblings())
)


@settings(max_examples=25)
@given(held, held)
def test_merkle_trees_differ_in_exactly_the_keys_whose_states_differ(left, right):
    """`diff` of two trees over replicas is the set difference of the replicas (paper 4.7)."""
    mine = MerkleTree({key: state.digest() for key, state in left.items()})
    theirs = MerkleTree({key: state.digest() for key, state in right.items()})
    assert diff(mine, theirs) == {key for key in {*left, *right} if left.get(key) != right.get(key)}
    assert (mine.root == theirs.root) == (left == right)


@given(runs, st.data())
def test_equal_values_with_unequal_histories_have_unequal_digests(run: Run, data):
    """A digest covers the clock too: two states have one digest exactly when they are equal (S26)."""
    states = st.sampled_from([Siblings(), *(state for state, _ in run.seen)])
    one, other = data.draw(states), data.draw(states)
    assert (one.digest() == other.digest()) == (one == other)


# ------------------------------------------------------------------------------ rings (4.2, 4.3)

nodes = st.lists(st.sampled_from([f"n{number}" for number in range(12)]), min_size=2, max_size=10, unique=True)
keys = st.binary(min_size=1, max_size=8)


def _ring(strategy: int, names: list[str]) -> Ring:
    if strategy == 1:
        return Ring.of(names)
    return Ring.of_partitions(names) if strategy == 2 else Ring.even(share_out(names, 64))


@given(st.sampled_from([1, 2, 3]), nodes, st.lists(keys, max_size=20), st.integers(1, 5))
def test_preference_lists_are_distinct_and_stable(strategy, names, some, n):
    """A preference list names distinct nodes, a function of names and key alone (paper 4.3)."""
    ring, again = _ring(strategy, names), _ring(strategy, list(names))
    for key in some:
        homes = ring.preference_list(key, n)
        assert len(homes) == len(set(homes)) == min(n, len(names))
        assert again.preference_list(key, n) == homes


@given(st.sampled_from([1, 2, 3]), nodes, st.lists(keys, max_size=20), st.integers(1, 4))
def test_a_join_moves_keys_only_to_the_newcomer(strategy, names, some, n):
    """When a node joins, a key's homes change by at most one, and what is new is the newcomer (paper 4.2, 4.9)."""
    owners = share_out(names, 64)
    before = Ring.even(owners) if strategy == 3 else _ring(strategy, names)
    after = Ring.even(steal(owners, "new")) if strategy == 3 else _ring(strategy, [*names, "new"])
    for key in some:
        old, new = before.preference_list(key, n), after.preference_list(key, n)
        assert set(new) - set(old) <= {"new"}
        assert len(set(old) - set(new)) <= 1
        if strategy != 3:  # there no token changes hands, so nobody else's order does
            assert [node for node in new if node != "new"] == old[: len(new) - ("new" in new)]
