from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynalab.core.merge import (
    Cart,
    Counter,
    LastWriterWins,
    MaxRegister,
    ORSet,
    SetUnion,
    choose,
    merge_siblings,
    merger,
    merger_names,
)

ITEMS = ["jam", "milk", "tea"]
ACTORS = ["alice", "bob", "carol"]

# ------------------------------------------------------------------------------ values to merge
#
# A counter or cart is only meaningful when each actor works on what it last wrote itself: so these replicas are
# made by a run in which every actor owns one copy and now and then takes over what another one has.

actors = st.sampled_from(ACTORS)
items = st.sampled_from(ITEMS)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=5,
)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
lists = st.lists(json_values, max_size=6)


@st.composite
def copies(draw, merger, change):
    """Three copies of one value after a random run of changes and merges, one actor to a copy."""
    held = {actor: {} for actor in ACTORS}
    for _ in range(draw(st.integers(0, 12))):
        actor, other = draw(actors), draw(actors)
        if draw(st.booleans()):
            held[actor] = change(draw, held[actor], actor)
        else:
            held[actor] = merger.merge([held[actor], held[other]])
    return list(held.values())


def change_counter(draw, counter, actor):
    return Counter.add(counter, actor, draw(st.integers(-5, 5)))


def change_cart(draw, cart, actor):
    item = draw(items)
    held = Cart.items(cart).get(item, 0)
    if held and draw(st.booleans()):
        return Cart.remove(cart, item, draw(st.integers(1, held)), actor=actor)
    return Cart.add(cart, item, draw(st.integers(1, 3)), actor=actor)


def change_or_set(draw, or_set, actor):
    item = draw(items)
    return ORSet.remove(or_set, item) if draw(st.booleans()) else ORSet.add(or_set, item, actor=actor)


LAWFUL = {
    SetUnion(): st.tuples(lists, lists, lists),
    MaxRegister(): st.tuples(numbers, numbers, numbers),
    Counter(): copies(Counter(), change_counter),
    Cart(): copies(Cart(), change_cart),
    ORSet(): copies(ORSet(), change_or_set),
}
lawful = pytest.mark.parametrize(("merger", "values"), LAWFUL.items(), ids=[each.name for each in LAWFUL])


# ------------------------------------------------------------------------------ the laws


@lawful
@given(data=st.data())
def test_replicas_may_merge_in_any_order_grouping_and_number(merger, values, data):
    """Merging is commutative, associative and idempotent, down to the text of the result (rules 1 and 2)."""
    one, two, three = data.draw(values)
    merged = merger.merge([one, two, three])
    for order in permutations([one, two, three]):
        assert repr(merger.merge(list(order))) == repr(merged)
    assert repr(merger.merge([merger.merge([one, two]), three])) == repr(merged)
    assert repr(merger.merge([one, merger.merge([two, three])])) == repr(merged)
    assert repr(merger.merge([merged, merged, one])) == repr(merged)


stamps = st.tuples(json_values, st.integers(0, 3), st.sampled_from(["A", "B"]))


@given(stamped=st.lists(stamps, min_size=3, max_size=3))
def test_the_last_writer_is_the_same_for_everybody(stamped):
    """The newest of stamped values does not depend on order or grouping, equal stamps included."""
    rule = LastWriterWins()
    newest = rule.newest(stamped)
    for order in permutations(stamped):
        assert repr(rule.newest(list(order))) == repr(newest)
    assert repr(rule.newest([rule.newest(stamped[:2]), stamped[2]])) == repr(newest)
    assert rule.newest([newest, newest]) == newest
    assert newest[1] == max(wall_us for _, wall_us, _ in stamped)


# ------------------------------------------------------------------------------ last writer wins


def test_the_latest_wall_clock_wins_and_the_tie_break_decides_equals():
    """Last writer wins compares wall clocks first and tie breaks second (4.4)."""
    rule = LastWriterWins()
    assert rule.merge_stamped([("early", 1, ("B", 9)), ("late", 2, ("A", 1))]) == "late"
    assert rule.merge_stamped([("a", 5, ("A", 1)), ("b", 5, ("B", 1))]) == "b"
    assert rule.merge_stamped([(b"\x12", 5, ""), (12, 5, "")]) == rule.merge_stamped([(12, 5, ""), (b"\x12", 5, "")])


def test_last_writer_wins_cannot_do_without_stamps():
    """Asked to merge bare values, last writer wins says what it needs."""
    with pytest.raises(ValueError, match="needs stamps"):
        LastWriterWins().merge(["a", "b"])


# ------------------------------------------------------------------------------ set union


@given(left=lists, right=lists)
def test_a_union_holds_exactly_the_elements_of_both(left, right):
    """Every element of either side is in the union, no other one, and none twice; true, 1 and 1.0 are three."""
    merged = [repr_of(each) for each in SetUnion().merge([left, right])]
    assert set(merged) == {repr_of(each) for each in left + right}
    assert len(merged) == len(set(merged))


def repr_of(value):
    """A text that ignores the order of object keys."""
    if isinstance(value, dict):
        return "{" + ",".join(sorted(f"{key!r}:{repr_of(inner)}" for key, inner in value.items())) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(repr_of, value)) + "]"
    return repr(value)


def test_numbers_of_a_union_sort_by_size():
    """The union of numbers reads as people sort them, and stands before text."""
    assert SetUnion().merge([[10, 9], ["x", 9.5]]) == [9, 9.5, 10, "x"]


def test_the_papers_cart_brings_deleted_items_back():
    """In a union an addition is never lost, and a deleted item resurfaces (4.4)."""
    before = ["milk", "tea"]
    deleted, added = ["milk"], [*before, "jam"]
    assert SetUnion().merge([deleted, added]) == ["jam", "milk", "tea"]


# ------------------------------------------------------------------------------ counter


@given(changes=st.lists(st.tuples(actors, st.integers(-5, 5)), max_size=15))
def test_a_counter_counts_every_change_once(changes):
    """However often copies are merged, the value is the sum of all changes."""
    held = {actor: {} for actor in ACTORS}
    for actor, amount in changes:
        held[actor] = Counter.add(held[actor], actor, amount)
    merged = Counter().merge([*held.values(), *held.values()])
    assert Counter.value(merged) == sum(amount for _, amount in changes)


def test_changing_a_counter_leaves_the_old_one_alone():
    """Counters, carts and sets are values: a change answers a new one."""
    counter, cart, or_set = {"a": [1, 0]}, {"tea": {"a": [1, 0]}}, ORSet.add({}, "tea", actor="a")
    before = repr((counter, cart, or_set))
    Counter.add(counter, "a", 1)
    Cart.add(cart, "tea", actor="a")
    Cart.remove(cart, "tea", actor="b")
    ORSet.remove(or_set, "tea")
    ORSet.add(or_set, "tea", actor="a")
    assert repr((counter, cart, or_set)) == before


# ------------------------------------------------------------------------------ cart


def test_a_removed_item_stays_removed_when_an_older_cart_returns():
    """A merge with a cart from before the removal, or one changed elsewhere, does not bring the item back."""
    old = Cart.add(Cart.add({}, "milk", actor="alice"), "tea", actor="alice")
    removed = Cart.remove(old, "tea", actor="bob")
    elsewhere = Cart.add(old, "jam", actor="carol")
    assert Cart.items(Cart().merge([removed, old])) == {"milk": 1}
    assert Cart.items(Cart().merge([elsewhere, removed])) == {"jam": 1, "milk": 1}


def test_an_item_added_elsewhere_while_removed_here_stays():
    """An addition that the remover had not seen is not lost: 'add to cart' is never forgotten (4.4)."""
    old = Cart.add({}, "tea", actor="alice")
    merged = Cart().merge([Cart.remove(old, "tea", actor="alice"), Cart.add(old, "tea", 2, actor="bob")])
    assert Cart.items(merged) == {"tea": 2}


def test_an_addition_after_two_concurrent_removals_is_in_the_cart():
    """Two sessions remove the last one at once; the next addition still puts one into the cart."""
    old = Cart.add({}, "tea", actor="alice")
    merged = Cart().merge([Cart.remove(old, "tea", actor="alice"), Cart.remove(old, "tea", actor="bob")])
    assert Cart.items(merged) == {}
    assert Cart.items(Cart.add(merged, "tea", actor="carol")) == {"tea": 1}


def test_no_more_can_be_removed_than_the_cart_holds():
    """Removing what is not there is a ValueError that says how many there are."""
    cart = Cart.add({}, "tea", 2, actor="alice")
    with pytest.raises(ValueError, match="holds 2 of 'tea', so 3"):
        Cart.remove(cart, "tea", 3, actor="alice")
    with pytest.raises(ValueError, match="holds 0 of 'jam'"):
        Cart.remove(cart, "jam", actor="alice")


# ------------------------------------------------------------------------------ max register and or-set


def test_the_highest_number_stays():
    """A max register keeps the largest number, in one form for equal ones."""
    assert MaxRegister().merge([3, 10, 7.5]) == 10
    assert repr(MaxRegister().merge([2.0, 2])) == repr(MaxRegister().merge([2, 2.0])) == "2"
    assert repr(MaxRegister().merge([-0.0, 0.0])) == repr(MaxRegister().merge([0.0, -0.0])) == "0.0"


def test_an_addition_wins_over_a_concurrent_removal_only():
    """An observed-remove set forgets the additions the remover saw, and keeps the one it did not see."""
    seen = ORSet.add({}, "tea", actor="alice")
    gone = ORSet.remove(seen, "tea")
    assert ORSet.elements(ORSet().merge([seen, gone])) == []
    assert ORSet.elements(ORSet().merge([ORSet.add(seen, "tea", actor="alice"), gone])) == ["tea"]
    assert ORSet.elements(ORSet.add(gone, "tea", actor="alice")) == ["tea"]
    assert ORSet.remove({}, "tea") == {}


# ------------------------------------------------------------------------------ choosing


def test_the_longest_prefix_chooses():
    """A key is merged by the rule of its longest prefix; a key without a rule is left to the client."""
    own = SetUnion()
    rules = {"cart/": "cart", "cart/naive/": own, "größe/": "max_register"}
    assert isinstance(choose(rules, b"cart/alice"), Cart)
    assert choose(rules, b"cart/naive/alice") is own
    assert isinstance(choose(rules, "größe/1".encode()), MaxRegister)
    assert choose(rules, b"other") is None
    assert choose({}, b"cart/") is None
    assert isinstance(choose({"": "counter", **rules}, b"other"), Counter)


def test_every_merger_is_found_by_its_name():
    """Names and mergers belong together one to one, and an unknown name is answered with the known ones."""
    assert merger_names() == ["last_writer_wins", "set_union", "cart", "counter", "max_register", "or_set"]
    assert [merger(name).name for name in merger_names()] == merger_names()
    with pytest.raises(ValueError, match=r"'kart'.*set_union, cart"):
        merger("kart")


def test_siblings_are_merged_with_or_without_their_stamps():
    """One call serves mergers that look at stamps and those that look at values."""
    stamped = [(["a"], 2, "A"), (["b"], 1, "B")]
    assert merge_siblings(merger("last_writer_wins"), stamped) == ["a"]
    assert merge_siblings(merger("set_union"), stamped) == ["a", "b"]


# ------------------------------------------------------------------------------ bad shapes


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("set_union", "milk"),
        ("set_union", {"milk": 1}),
        ("set_union", [float("nan")]),
        ("cart", ["milk"]),
        ("cart", {"milk": 2}),
        ("cart", {"milk": {"alice": [1]}}),
        ("cart", {7: {}}),
        ("counter", 3),
        ("counter", {"alice": [1, -1]}),
        ("counter", {"alice": [True, 0]}),
        ("counter", {"alice": 5}),
        ("max_register", "9"),
        ("max_register", True),
        ("max_register", float("nan")),
        ("or_set", ["tea"]),
        ("or_set", {"tea": {"added": []}}),
        ("or_set", {"tea": {"added": [1], "removed": []}}),
    ],
)
def test_a_value_of_the_wrong_shape_is_named(name, value):
    """A value a merger cannot read is a ValueError that shows it, wherever it stands among the siblings."""
    good = {"set_union": [], "cart": {}, "counter": {}, "max_register": 1, "or_set": {}}[name]
    for siblings in ([value], [good, value], [value, good]):
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is checked below
            merger(name).merge(siblings)
        assert repr(value).strip("[]") in str(caught.value)


@pytest.mark.parametrize("name", ["set_union", "cart", "counter", "max_register", "or_set"])
def test_there_is_no_merge_of_nothing(name):
    """Merging no value at all is refused: there is no value to answer."""
    with pytest.raises(ValueError, match="nothing to merge"):
        merger(name).merge([])


@pytest.mark.parametrize("quantity", [0, -1, 1.5, True, "2"])
def test_quantities_are_whole_numbers_from_one_on(quantity):
    """A cart takes quantities of at least 1, and says what it was given instead."""
    cart = Cart.add({}, "tea", 3, actor="alice")
    for change in (Cart.add, Cart.remove):
        with pytest.raises(ValueError, match=repr(quantity)):
            change(cart, "tea", quantity, actor="alice")
