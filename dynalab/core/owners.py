"""Who owns which slot: strategy 3 of paper 6.2, as functions over a tuple of names.

Theory of operation.
The ring is cut once into Q equal key ranges, slots 0 .. Q - 1, and never cut again; only their owners change.
A joining node steals slots from those who have most above their share, a leaving node gives its slots back.
A share is Q times the node's weight over the weight of all.

    owners        A A A A A A
    B joins       B A B A B A       `steal`
    C joins       C A B C B A       `steal`
    B leaves      C A A C C A       `give_back`

Rule 1: nothing moves but to a node that joins, or from a node that leaves.
Rule 2: the result depends on the arguments alone, so nodes that know the same history of joins agree.
Rule 3: neighbouring slots go to different nodes where that is possible: a walk then meets new nodes soon.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from math import isfinite

NodeId = str

#: The owner of a slot that nobody owns: before the first node joins and after the last one left.
NOBODY: NodeId = ""


def share_out(
    nodes: Sequence[NodeId], partitions: int, weights: Mapping[NodeId, float] | None = None
) -> tuple[NodeId, ...]:
    """The owners of `partitions` slots after `nodes` joined one by one, in this order (paper 6.2, strategy 3).

    >>> share_out(["A", "B", "C"], 6)
    ('C', 'A', 'B', 'C', 'B', 'A')
    """
    owners: tuple[NodeId, ...] = (NOBODY,) * partitions
    for node in checked_nodes(nodes):
        owners = steal(owners, node, weights)
    return owners


def steal(
    owners: tuple[NodeId, ...], node: NodeId, weights: Mapping[NodeId, float] | None = None
) -> tuple[NodeId, ...]:
    """The owners after `node` joined: it takes its share by weight, and nothing else moves (paper 6.2).

    It takes from whoever has most above his share, at evenly spaced places, not next to its own slots if possible.
    It takes at least one slot, but never another node's last one: with more nodes than slots the late ones own none.
    The first node takes every slot.

    Args:
        owners: the node that owns each slot, in ring order.
        node: the one that joins; one that is there already only tops up to its share.
        weights: `{node: weight}`, weight > 0; a node not named weighs 1.
    """
    check_node(node)
    if all(owner == NOBODY for owner in owners):
        return (node,) * len(owners)
    slots = list(owners)
    held = _held(owners)
    held.setdefault(node, 0)
    share = _shares(held, len(owners), weights)
    #: {owner: slots above its share}, of those who can spare one
    spare = {owner: held[owner] - share[owner] for owner in held if owner != node and held[owner] > 1}
    wanted = max(1, int(share[node])) - held[node]
    for turn in range(wanted):
        if not spare:
            break
        givers_above = max(spare.values())
        slot = _slot_to_take(slots, turn * len(slots) // wanted, node, spare, givers_above)
        giver, slots[slot] = slots[slot], node
        held[giver] -= 1
        spare[giver] -= 1
        if held[giver] == 1:
            del spare[giver]
    return tuple(slots)


def give_back(
    owners: tuple[NodeId, ...], node: NodeId, weights: Mapping[NodeId, float] | None = None
) -> tuple[NodeId, ...]:
    """The owners after `node` left: its slots go to whoever has most below his share; nothing else moves (6.2).

    Among equals a slot goes to a node that does not own a neighbouring one.
    After the last node left every slot belongs to `NOBODY`.
    """
    slots = [NOBODY if owner == node else owner for owner in owners]
    vacated = [slot for slot, owner in enumerate(owners) if owner == node]
    held = _held(tuple(slots))
    if not held:
        return tuple(slots)
    share = _shares(held, len(owners), weights)
    lack = {owner: share[owner] - held[owner] for owner in held}
    while vacated:
        most = max(lack.values())
        takers = [owner for owner in lack if lack[owner] == most]
        slot, taker = _slot_to_give(slots, vacated, takers)
        vacated.remove(slot)
        slots[slot] = taker
        lack[taker] -= 1
    return tuple(slots)


def _slot_to_take(slots: list[NodeId], near: int, node: NodeId, spare: Mapping[NodeId, float], above: float) -> int:
    """The slot nearest to `near` whose owner has `above` to spare, rather not next to a slot of `node`."""
    second_best = -1
    for slot in _outward(near, len(slots)):
        if spare.get(slots[slot]) == above:
            if not _is_next_to(slots, slot, node):
                return slot
            if second_best < 0:
                second_best = slot
    return second_best


def _slot_to_give(slots: list[NodeId], vacated: list[int], takers: list[NodeId]) -> tuple[int, NodeId]:
    """The first pair of a vacated slot and a taker who would not become his own neighbour, or simply the first."""
    for slot in vacated:
        for taker in takers:
            if not _is_next_to(slots, slot, taker):
                return slot, taker
    return vacated[0], takers[0]


def _outward(near: int, count: int) -> Iterator[int]:
    """All of 0 .. count - 1, nearest to `near` first, around the ring."""
    yield near
    for step in range(1, count // 2 + 1):
        yield (near + step) % count
        yield (near - step) % count


def _is_next_to(slots: list[NodeId], slot: int, node: NodeId) -> bool:
    return slots[slot - 1] == node or slots[(slot + 1) % len(slots)] == node


def _held(owners: tuple[NodeId, ...]) -> dict[NodeId, int]:
    """`{owner: slots it owns}`, by name."""
    held: dict[NodeId, int] = {}
    for owner in owners:
        held[owner] = held.get(owner, 0) + 1
    return {owner: held[owner] for owner in sorted(held) if owner != NOBODY}


def _shares(nodes: Collection[NodeId], partitions: int, weights: Mapping[NodeId, float] | None) -> dict[NodeId, float]:
    """`{node: slots due to it by its weight}`; summed in name order, so that every process rounds alike."""
    weight = {node: weight_of(weights, node) for node in sorted(nodes)}
    whole = sum(weight.values())
    return {node: partitions * weight[node] / whole for node in nodes}


def weight_of(weights: Mapping[NodeId, float] | None, node: NodeId) -> float:
    """The weight of `node`, 1 when it is not named; ValueError unless it is finite and above 0."""
    weight = 1.0 if weights is None else weights.get(node, 1.0)
    if not (isfinite(weight) and weight > 0):
        raise ValueError(f"the weight of node {node!r} is {weight!r}; a weight is finite and above 0")
    return weight


def checked_nodes(nodes: Sequence[NodeId]) -> Sequence[NodeId]:
    """`nodes` as they are; ValueError for a bad name or one that occurs twice."""
    met: set[NodeId] = set()
    for node in nodes:
        check_node(node)
        if node in met:
            raise ValueError(f"node {node!r} is named twice")
        met.add(node)
    return nodes


def check_node(node: NodeId) -> None:
    """ValueError unless `node` is a non-empty str."""
    if not isinstance(node, str) or not node:
        raise ValueError(f"a node is named by a non-empty str, not {node!r}")
