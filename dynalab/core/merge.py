"""Semantic reconciliation: one value out of siblings, by what the value means (paper 4.4).

Theory of operation.
When versions descend from one another the store drops the ancestors by itself; that is syntactic reconciliation.
Concurrent versions remain as siblings, and only somebody who knows what the value means can make one of them.
That is the client, or one of the mergers here, chosen by key prefix.

    last_writer_wins  the version with the latest wall clock; the others are lost, and clocks lie
    set_union         a list as a set, all elements of all siblings; what one side deleted comes back
    cart              a shopping cart whose deletes stay deleted
    counter           likes and dislikes, none counted twice
    max_register      the highest number anybody wrote
    or_set            a set whose deletes stay deleted, unless somebody adds the element again

Rule 1: a merger is commutative, associative and idempotent:
replicas may merge in any order, in any grouping, as often as they like, and agree in the end.
Rule 2: values are what JSON can say, and a merged value has one form only (keys sorted, no duplicates):
equal meanings are equal bytes, so Merkle trees agree about them.
Rule 3: a merger never sees deleted siblings; whoever calls it leaves tombstones out.

The paper's own shopping cart is `set_union`: "an 'add to cart' operation is never lost",
"however, deleted items can resurface".  A union cannot tell 'deleted here' from 'not yet seen here':

>>> SetUnion().merge([["milk", "tea"], ["milk"]])     # the right-hand side had deleted the tea
['milk', 'tea']

`cart`, `counter` and `or_set` keep what is needed to tell, as numbers that only grow.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isfinite
from typing import Any, ClassVar, Protocol, TypeGuard, TypeVar

#: None, bool, int, float, str, list or dict with str keys, nested.
Json = Any

#: (value, wall clock in microseconds, tie break such as the dot); tie breaks of one key can be ordered.
Stamped = tuple[Json, int, Any]

#: {actor: [plus, minus]}, both only grow; an actor is one writer that does one thing after the other.
Counts = dict[str, list[int]]

_T = TypeVar("_T")
_TAG_KINDS = ("added", "removed")


class Merger(Protocol):
    """What every merger has; a class of a student's own may stand in for it."""

    name: ClassVar[str]

    def merge(self, values: Sequence[Json]) -> Json:
        """One value out of at least one; ValueError, naming the value, when one has the wrong shape."""
        ...


class LastWriterWins:
    """The version stamped last wins; every other one is lost (paper 4.4, 'timestamp based reconciliation').

    Equal stamps are decided by the tie break, then by the value itself, so all replicas choose alike.

    >>> LastWriterWins().merge_stamped([("old", 10, "A"), ("new", 20, "B")])
    'new'
    """

    name: ClassVar[str] = "last_writer_wins"

    def merge_stamped(self, stamped: Sequence[Stamped]) -> Json:
        """The value of the latest of `(value, wall_us, tiebreak)`."""
        return self.newest(stamped)[0]

    def newest(self, stamped: Sequence[Stamped]) -> Stamped:
        """The latest of `(value, wall_us, tiebreak)`, with its stamp."""
        _check_some(stamped)
        return max(stamped, key=lambda each: (each[1], each[2], _text(each[0])))

    def merge(self, values: Sequence[Json]) -> Json:
        """Refused: values alone do not say which was written last."""
        raise ValueError(f"last_writer_wins needs stamps to choose among {values!r}: call merge_stamped")


class SetUnion:
    """A list as a set: every element of every sibling, once, sorted (paper 4.4); deleted elements resurface."""

    name: ClassVar[str] = "set_union"

    def merge(self, values: Sequence[Json]) -> list[Json]:
        """The sorted union; numbers come first by size, then everything else by its JSON text.

        >>> SetUnion().merge([[10, 2], ["b", 2, "a"]])
        [2, 10, 'a', 'b']
        """
        _check_some(values)
        elements: dict[str, Json] = {}
        for value in values:
            if type(value) is not list:
                raise ValueError(f"set_union merges lists, not {value!r}")
            elements |= {_text(element): element for element in value}
        return [elements[text] for text in sorted(elements, key=lambda text: _rank(elements[text], text))]


class Counter:
    """A counter that many may change at once: `{actor: [plus, minus]}` (a PN-counter).

    Each actor counts its own ups and downs; the larger number of two is the later one.

    >>> likes = Counter.add({}, "alice", 1)
    >>> both = Counter().merge([Counter.add(likes, "bob", 5), Counter.add(likes, "carol", -2)])
    >>> both, Counter.value(both)
    ({'alice': [1, 0], 'bob': [5, 0], 'carol': [0, 2]}, 4)
    """

    name: ClassVar[str] = "counter"

    def merge(self, values: Sequence[Json]) -> Counts:
        """The larger plus and the larger minus of every actor."""
        _check_some(values)
        return _later_counts(_checked_counts(value, value) for value in values)

    @staticmethod
    def add(counter: Json, actor: str, amount: int = 1) -> Counts:
        """The counter after `actor` added `amount`, which may be negative."""
        counts = _checked_counts(counter, counter)
        _check_int(amount)
        plus, minus = counts.get(actor, (0, 0))
        changed = [plus + amount, minus] if amount >= 0 else [plus, minus - amount]
        return _sorted({**counts, actor: changed})

    @staticmethod
    def value(counter: Json) -> int:
        """All ups minus all downs."""
        return sum(plus - minus for plus, minus in _checked_counts(counter, counter).values())


class Cart:
    """A shopping cart whose removed items stay removed: `{item: {actor: [added, removed]}}`, a counter per item.

    DEPARTS: the paper's cart keeps the items only, so a merge brings deleted ones back; ours keeps who added and
    removed how many.  An actor is one session; two that write at once under one name lose an addition.

    >>> cart = Cart.add(Cart.add({}, "milk", actor="alice"), "tea", actor="alice")
    >>> phone, laptop = Cart.remove(cart, "tea", actor="alice"), Cart.add(cart, "jam", 2, actor="bob")
    >>> Cart.items(Cart().merge([phone, laptop]))
    {'jam': 2, 'milk': 1}
    """

    name: ClassVar[str] = "cart"

    def merge(self, values: Sequence[Json]) -> dict[str, Counts]:
        """Item by item, the larger numbers of every actor."""
        _check_some(values)
        carts = [_checked_cart(value) for value in values]
        items = sorted({item for cart in carts for item in cart})
        return {item: _later_counts(cart[item] for cart in carts if item in cart) for item in items}

    @staticmethod
    def add(cart: Json, item: str, quantity: int = 1, *, actor: str) -> dict[str, Counts]:
        """The cart with `quantity` more of `item`, 1 <= quantity.

        Two sessions that both removed the last one leave the item below zero.
        The next addition makes up for that: what a customer adds is in the cart.
        """
        _check_quantity(quantity)
        counts = _checked_cart(cart)
        missing = max(0, -Counter.value(counts.get(item, {})))
        return _sorted({**counts, item: Counter.add(counts.get(item, {}), actor, quantity + missing)})

    @staticmethod
    def remove(cart: Json, item: str, quantity: int = 1, *, actor: str) -> dict[str, Counts]:
        """The cart with `quantity` less of `item`, 1 <= quantity <= what the cart holds."""
        _check_quantity(quantity)
        held = Cart.items(cart).get(item, 0)
        if quantity > held:
            raise ValueError(f"the cart holds {held} of {item!r}, so {quantity} cannot be removed")
        return _sorted({**cart, item: Counter.add(cart[item], actor, -quantity)})

    @staticmethod
    def items(cart: Json) -> dict[str, int]:
        """`{item: quantity}` of what is in the cart, 1 <= quantity, sorted by item."""
        held = {item: Counter.value(counts) for item, counts in _checked_cart(cart).items()}
        return {item: held[item] for item in sorted(held) if held[item] > 0}


class MaxRegister:
    """The highest number anybody wrote, such as the highest bid."""

    name: ClassVar[str] = "max_register"

    def merge(self, values: Sequence[Json]) -> int | float:
        """The largest of the numbers; of equal ones an int rather than a float.

        >>> MaxRegister().merge([3, 7.5, 5])
        7.5
        """
        _check_some(values)
        numbers: list[int | float] = [_checked_number(value) for value in values]
        return max(numbers, key=lambda number: (number, isinstance(number, int), _text(number)))


class ORSet:
    """A set whose deletes stay deleted, and where an addition wins over a concurrent delete (observed-remove set).

    `{element: {"added": [tag, ...], "removed": [tag, ...]}}`, sorted; a tag `actor:number` names one addition.
    Removing an element removes the additions seen so far; an addition not seen yet survives.
    An actor is one session, as in `Cart`.

    >>> seen = ORSet.add({}, "tea", actor="alice")
    >>> gone, again = ORSet.remove(seen, "tea"), ORSet.add(seen, "tea", actor="bob")
    >>> ORSet.elements(ORSet().merge([gone, seen])), ORSet.elements(ORSet().merge([gone, again]))
    ([], ['tea'])
    """

    name: ClassVar[str] = "or_set"

    def merge(self, values: Sequence[Json]) -> dict[str, dict[str, list[str]]]:
        """The union of all tags added and of all tags removed."""
        _check_some(values)
        sets = [_checked_or_set(value) for value in values]
        merged: dict[str, dict[str, list[str]]] = {}
        for element in sorted({element for each in sets for element in each}):
            tags = [each[element] for each in sets if element in each]
            merged[element] = {kind: sorted({tag for one in tags for tag in one[kind]}) for kind in _TAG_KINDS}
        return merged

    @staticmethod
    def add(or_set: Json, element: str, *, actor: str) -> dict[str, dict[str, list[str]]]:
        """The set with `element`, under a new tag of `actor`."""
        tags = _checked_or_set(or_set).get(element, {"added": [], "removed": []})
        number = 1 + sum(tag.rpartition(":")[0] == actor for tag in tags["added"])
        return _sorted({**or_set, element: {**tags, "added": sorted([*tags["added"], f"{actor}:{number}"])}})

    @staticmethod
    def remove(or_set: Json, element: str) -> dict[str, dict[str, list[str]]]:
        """The set without `element`; an element that is not there is no error."""
        tags = _checked_or_set(or_set).get(element)
        if tags is None:
            return _sorted(or_set)
        return _sorted({**or_set, element: {**tags, "removed": sorted({*tags["added"], *tags["removed"]})}})

    @staticmethod
    def elements(or_set: Json) -> list[str]:
        """What is in the set, sorted."""
        sets = _checked_or_set(or_set)
        return sorted(element for element, tags in sets.items() if set(tags["added"]) - set(tags["removed"]))


# -------------------------------------------------------------------- choosing a merger

_MERGERS: tuple[Callable[[], Merger], ...] = (LastWriterWins, SetUnion, Cart, Counter, MaxRegister, ORSet)


def merger_names() -> list[str]:
    """The names `merger` knows."""
    return [make().name for make in _MERGERS]


def merger(name: str) -> Merger:
    """The merger of that name.

    >>> merger("cart").name
    'cart'

    Raises:
        ValueError: no merger has that name; the error lists them.
    """
    for make in _MERGERS:
        found = make()
        if found.name == name:
            return found
    raise ValueError(f"no merger is called {name!r}; there are {', '.join(merger_names())}")


def choose(rules: Mapping[str, Merger | str], key: bytes) -> Merger | None:
    """The merger for `key`: that of the longest prefix it starts with; None leaves its siblings to the client.

    >>> choose({"": "last_writer_wins", "cart/": "cart"}, b"cart/alice").name
    'cart'

    Args:
        rules: `{key prefix: merger or its name}`; the empty prefix is for all keys.
        key: the key's bytes; prefixes stand for their UTF-8 bytes.
    """
    matching = [prefix for prefix in rules if key.startswith(prefix.encode())]
    if not matching:
        return None
    rule = rules[max(matching, key=len)]
    return merger(rule) if isinstance(rule, str) else rule


def merge_siblings(rule: Merger, stamped: Sequence[Stamped]) -> Json:
    """One value out of `(value, wall_us, tiebreak)` by `rule`, whether it looks at stamps or not."""
    if isinstance(rule, LastWriterWins):
        return rule.merge_stamped(stamped)
    return rule.merge([value for value, _, _ in stamped])


# -------------------------------------------------------------------- shapes


def _later_counts(all_counts: Iterable[Counts]) -> Counts:
    later: Counts = {}
    for counts in all_counts:
        for actor, (plus, minus) in counts.items():
            before = later.get(actor, [0, 0])
            later[actor] = [max(before[0], plus), max(before[1], minus)]
    return _sorted(later)


def _checked_cart(value: Json) -> dict[str, Counts]:
    if not _is_table(value):
        raise ValueError(f"a cart is {{item: {{actor: [added, removed]}}}}, not {value!r}")
    return {item: _checked_counts(counts, value) for item, counts in value.items()}


def _checked_counts(counts: Json, value: Json) -> Counts:
    if not _is_table(counts) or not all(_is_pair(pair) for pair in counts.values()):
        raise ValueError(f"a count is {{actor: [plus, minus]}} with numbers from 0 on; found {counts!r} in {value!r}")
    return counts


def _is_table(value: Json) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict) and all(isinstance(name, str) for name in value)


def _is_pair(pair: Json) -> bool:
    return isinstance(pair, list | tuple) and len(pair) == 2 and all(type(n) is int and n >= 0 for n in pair)


def _checked_or_set(value: Json) -> dict[str, dict[str, list[str]]]:
    if not _is_table(value) or not all(_is_tags(tags) for tags in value.values()):
        raise ValueError(f"an or_set is {{element: {{'added': [tag], 'removed': [tag]}}}}, not {value!r}")
    return value


def _is_tags(tags: Json) -> bool:
    return (
        isinstance(tags, dict)
        and sorted(tags) == list(_TAG_KINDS)
        and all(isinstance(each, list) and all(isinstance(tag, str) for tag in each) for each in tags.values())
    )


def _checked_number(value: Json) -> int | float:
    if type(value) is int:
        return value
    if type(value) is float and isfinite(value):
        return value
    raise ValueError(f"max_register merges numbers, not {value!r}")


def _check_some(values: Sequence[object]) -> None:
    if not values:
        raise ValueError("nothing to merge: a merger takes at least one value")


def _check_int(amount: int) -> None:
    if type(amount) is not int:
        raise ValueError(f"the amount is {amount!r}; it must be an int")


def _check_quantity(quantity: int) -> None:
    if type(quantity) is not int or quantity < 1:
        raise ValueError(f"the quantity is {quantity!r}; it must be an int of at least 1")


def _sorted(table: Mapping[str, _T]) -> dict[str, _T]:
    return dict(sorted(table.items()))


def _text(value: Json) -> str:
    """One text for one JSON value; ValueError for what JSON cannot say.  Bytes, a value too, stand as hexadecimal."""
    if isinstance(value, bytes):
        return f"bytes {value.hex()}"
    try:
        return json.dumps(value, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"JSON cannot say {value!r}: {error}") from error


def _rank(element: Json, text: str) -> tuple[bool, float, str]:
    is_number = isinstance(element, int | float) and not isinstance(element, bool)
    return (not is_number, element if is_number else 0, text)
