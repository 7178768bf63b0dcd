"""Checks of exercise 01: tokens, preference lists, and who inherits (paper 4.2, 4.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dynalab.core.config import Parts
from dynalab.core.ring import RING_SIZE, Ring, position_of
from dynalab.course.checking import Case, check, shown

__all__ = ["ring_1", "ring_2", "ring_3"]

SIZE = 1_000


@check(
    "ring-1", 1, 5, "walk clockwise to the first token at or after the position; after the last comes the first (4.2)"
)
def ring_1(case: Case, owner: Callable[..., Any]) -> None:
    """The owner of a position is the node of the first token at or after it."""
    tokens = [(100, "A"), (400, "B"), (700, "C")]
    for position, node in ((50, "A"), (100, "A"), (101, "B"), (699, "C"), (701, "A")):
        case.equal(case.ask(owner, tokens, position), node, f"owner({tokens}, {position})")
    for _ in range(20):
        tokens = _tokens(case, 4, 3)
        position = case.random.choice([case.random.randrange(SIZE), case.random.choice(tokens)[0]])
        right = Ring(dict(tokens)).preference_list_at(position, 1)[0]
        case.equal(case.ask(owner, tokens, position), right, f"owner({shown(tokens)}, {position})")


@check("ring-2", 3, 15, "walk clockwise; skip a node you already have, and those to avoid (4.3, 4.6)")
def ring_2(case: Case, preference_list: Callable[..., Any]) -> None:
    """The first n distinct nodes clockwise; then the list places the keys of a real cluster."""
    for _ in range(40):
        tokens, n = _tokens(case, 5, 3), case.random.randint(1, 6)
        position = case.random.choice([case.random.randrange(SIZE), case.random.choice(tokens)[0]])
        avoid = case.random.sample("ABCDE", case.random.choice([0, 0, 1, 2]))
        right = Ring(dict(tokens)).preference_list_at(position, n, avoid)
        came = case.ask(preference_list, tokens, position, n, avoid)
        case.equal(came, right, f"preference_list({shown(tokens)}, {position}, {n}, {avoid})")
    _placed_by(case, preference_list)


def _placed_by(case: Case, preference_list: Callable[..., Any]) -> None:
    """Run a cluster whose keys lie where the answer says, and look where they came to lie."""
    keys = [f"key-{case.random.randrange(10**6)}" for _ in range(4)]
    tried = "a cluster of 4 nodes with N = 2 and your preference list, and one put"
    with case.running(tried), case.cluster(4, Parts(ring=preference_list), n=2, r=2, w=2, strategy=1) as cluster:
        ring = Ring.of(cluster.nodes, tokens=cluster.config.tokens)
        for key in keys:
            cluster.put(key, 1)
        held = {node: cluster.inspect(node)["records"] for node in cluster.nodes}
        for key in keys:
            holders = [node for node in cluster.nodes if key in held[node]]
            right = sorted(ring.preference_list(key, 2))
            case.equal(
                holders, right, f"{tried} of {key!r} at {position_of(key.encode()) >> 112:04x}...: who holds it?"
            )


@check("ring-3", 2, 15, "each token of the leaver gives its range to the next token that is not the leaver's (4.2)")
def ring_3(case: Case, heirs: Callable[..., Any]) -> None:
    """Who takes over how many positions when a node leaves."""
    tokens = [(100, "A"), (200, "A"), (400, "B"), (700, "C")]
    case.equal(case.ask(heirs, tokens, "A", SIZE), {"B": 500}, f"heirs({tokens}, 'A', {SIZE})")
    for _ in range(25):
        tokens, size = _tokens(case, case.random.randint(2, 5), 3), SIZE
        leaving = case.random.choice(sorted({node for _, node in tokens}))
        right = _heirs(tokens, leaving, size)
        case.equal(case.ask(heirs, tokens, leaving, size), right, f"heirs({shown(tokens)}, {leaving!r}, {size})")


def _heirs(tokens: list[tuple[int, str]], leaving: str, size: int) -> dict[str, int]:
    """Counted position by position: slow, and beyond doubt."""
    before, after = Ring(dict(tokens)), Ring({at: node for at, node in tokens if node != leaving})
    inherited: dict[str, int] = {}
    for position in range(size):
        if before.preference_list_at(position, 1) == [leaving]:
            heir = after.preference_list_at(position, 1)[0]
            inherited[heir] = inherited.get(heir, 0) + 1
    return inherited


def _tokens(case: Case, nodes: int, each: int) -> list[tuple[int, str]]:
    """A small ring: sorted ``(position, node)``, positions below `SIZE`."""
    assert SIZE < RING_SIZE
    positions = case.random.sample(range(SIZE), nodes * each)
    return sorted((position, "ABCDE"[place % nodes]) for place, position in enumerate(positions))
