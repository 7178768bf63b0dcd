"""Checks of exercise 07: carts that forget and carts that do not, and the victims of the last writer (paper 4.4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations
from typing import Any

from dynalab.core.config import Parts
from dynalab.course.checking import Case, check, shown

__all__ = ["reconciliation_1", "reconciliation_2", "reconciliation_3"]

ITEMS = ("cake", "jam", "milk", "tea")


@check("reconciliation-1", 1, 5, "an item that any version holds is in the merged cart; sorted, each once (4.4)")
def reconciliation_1(case: Case, merge_carts: Callable[..., Any]) -> None:
    """The paper's cart: nothing that was added is ever lost, and deleted items come back."""
    for _ in range(30):
        carts = [case.random.sample(ITEMS, case.random.randint(0, 4)) for _ in range(case.random.randint(1, 4))]
        right = sorted({item for cart in carts for item in cart})
        case.equal(case.ask(merge_carts, carts), right, f"merge_carts({carts})")


@check(
    "reconciliation-2",
    3,
    25,
    "each actor's numbers only grow: take the larger of each, item by item, actor by actor (4.4)",
    methods=("add", "remove", "items", "merge"),
)
def reconciliation_2(case: Case, part: Any) -> None:
    """A cart whose removals survive: the verbs, the laws of a merge, and a cluster with two sides."""
    _by_hand(case, part)
    for _ in range(25):
        carts = _carts(case, part)
        merged = [case.ask(part.merge, list(order), named="merge") for order in permutations(carts)]
        case.equal(merged[1:], merged[:1] * (len(merged) - 1), f"merge of {shown(carts)} in every order")
        again = case.ask(part.merge, [merged[0], *carts], named="merge")
        case.equal(again, merged[0], f"merge of the merged cart with {shown(carts)}")
        left = case.ask(part.merge, [case.ask(part.merge, carts[:2], named="merge"), *carts[2:]], named="merge")
        case.equal(left, merged[0], f"merge two of {shown(carts)} first, then the rest")
    for world in (case.simulation, case.cluster):
        _on_two_sides(case, part, world)


def _by_hand(case: Case, part: Any) -> None:
    cart = case.ask(part.add, {}, "tea", "alice", named="add")
    cart = case.ask(part.add, cart, "milk", "alice", named="add")
    phone = case.ask(part.remove, cart, "tea", "alice", named="remove")
    laptop = case.ask(part.add, cart, "jam", "bob", named="add")
    merged = case.ask(part.merge, [phone, laptop], named="merge")
    tried = "alice adds tea and milk; then she removes tea on one side, while bob adds jam on the other; merged"
    case.equal(case.ask(part.items, merged, named="items"), ["jam", "milk"], tried)
    again = case.ask(part.add, merged, "tea", "bob", named="add")
    case.equal(case.ask(part.items, again, named="items"), ["jam", "milk", "tea"], f"{tried}; then bob adds tea again")


def _carts(case: Case, part: Any) -> list[Any]:
    """Three carts that went their own ways from a common one, each with an actor of its own."""
    common: Any = {}
    for item in case.random.sample(ITEMS, 2):
        common = case.ask(part.add, common, item, "zoe", named="add")
    carts = []
    for actor in ("alice", "bob", "cy"):
        cart = common
        for _ in range(case.random.randint(0, 3)):
            held = case.ask(part.items, cart, named="items")
            if held and case.random.random() < 0.5:
                cart = case.ask(part.remove, cart, case.random.choice(held), actor, named="remove")
            else:
                cart = case.ask(part.add, cart, case.random.choice(ITEMS), actor, named="add")
        carts.append(cart)
    return carts


def _on_two_sides(case: Case, part: Any, world: Callable[..., Any]) -> None:
    tried = "a cluster with your merge: a removal and an addition that have not seen each other; then a get"
    with case.running(tried), world(3, Parts(merge=part.merge), n=3, r=3, w=3) as cluster:
        cart = case.ask(part.add, case.ask(part.add, {}, "tea", "alice", named="add"), "milk", "alice", named="add")
        ack = cluster.put("cart", cart)
        cluster.put("cart", case.ask(part.remove, cart, "tea", "alice", named="remove"), context=ack.context)
        cluster.put("cart", case.ask(part.add, cart, "jam", "bob", named="add"), context=ack.context)
        got = cluster.get("cart")
        case.equal(case.ask(part.items, got.value, named="items"), ["jam", "milk"], tried)


@check(
    "reconciliation-3",
    2,
    15,
    "the highest stamp wins; who was neither the winner nor read by a later writer is a victim",
)
def reconciliation_3(case: Case, victims: Callable[..., Any]) -> None:
    """Which acknowledged writes the last writer's win destroys although nobody had replaced them."""
    skewed = [
        {"value": "milk", "stamp": 50, "read": []},
        {"value": "tea", "stamp": 40, "read": []},
        {"value": "jam", "stamp": 10, "read": ["milk"]},
    ]
    case.equal(case.ask(victims, skewed), ["jam", "tea"], f"victims({skewed})")
    for _ in range(40):
        writes: list[dict[str, Any]] = []
        for stamp in case.random.sample(range(100), case.random.randint(1, 6)):
            before = [write["value"] for write in writes]
            read = sorted(case.random.sample(before, case.random.randint(0, min(2, len(before)))))
            writes.append({"value": f"v{len(writes)}", "stamp": stamp, "read": read})
        case.equal(case.ask(victims, writes), _victims(writes), f"victims({shown(writes, 600)})")


def _victims(writes: Sequence[dict[str, Any]]) -> list[str]:
    winner = max(writes, key=lambda write: write["stamp"])
    read = {value for write in writes for value in write["read"]}
    return sorted(write["value"] for write in writes if write is not winner and write["value"] not in read)
