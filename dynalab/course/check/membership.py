"""Checks of exercise 06: histories, their union, and how fast gossip spreads (paper 4.8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dynalab.core.config import Parts
from dynalab.course.checking import Case, check, shown

__all__ = ["membership_1", "membership_2", "membership_3"]

STATUSES = ("joining", "up", "leaving", "left")


@check("membership-1", 1, 5, "among the events of one node, the one with the highest epoch decides (4.8.1)")
def membership_1(case: Case, members: Callable[..., Any]) -> None:
    """Who is in the ring, by the latest event of each node."""
    for number in range(40):
        history = _history(case, case.random.randint(0 if number else 1, 8))
        latest: dict[str, str] = {}
        for (_, node), fields in sorted((_event(name), fields) for name, fields in history.items()):
            latest[node] = fields[0]
        right = sorted(node for node, status in latest.items() if status in ("up", "leaving"))
        case.equal(case.ask(members, history), right, f"members({shown(history)})")


@check("membership-2", 3, 20, "a history only grows: the union of both, with nothing changed and nothing lost (4.8.1)")
def membership_2(case: Case, merge: Callable[..., Any]) -> None:
    """The union of two histories; then a cluster grows and shrinks by it."""
    for _ in range(40):
        whole = _history(case, 8)
        names = sorted(whole)
        mine = {name: whole[name] for name in case.random.sample(names, case.random.randint(0, len(names)))}
        theirs = {name: whole[name] for name in case.random.sample(names, case.random.randint(0, len(names)))}
        case.equal(case.ask(merge, mine, theirs), mine | theirs, f"merge({shown(mine)}, {shown(theirs)})")
    for world in (case.simulation, case.cluster):
        _grows(case, merge, world)


def _grows(case: Case, merge: Callable[..., Any], world: Callable[..., Any]) -> None:
    tried = "a cluster of 3 nodes with your merge: D joins, A leaves"
    with case.running(tried), world(3, Parts(gossip=merge), gossip_ms=50) as cluster:
        cluster.put("cart", "milk")
        cluster.join("D")
        cluster.leave("A")
        cluster.settle()
        views = {node: cluster.inspect(node)["members"] for node in cluster.nodes}
        seen = {node: sorted(name for name, status in view.items() if status == "up") for node, view in views.items()}
        case.equal(seen, {node: ["B", "C", "D"] for node in "BCD"}, f"{tried}: whom each node knows to be up")
        case.equal(cluster.get("cart").values, ["milk"], f"{tried}; then a get")


@check("membership-3", 2, 15, "in one round all talk at once: use what everybody knew BEFORE the round (4.8.1)")
def membership_3(case: Case, spread: Callable[..., Any]) -> None:
    """How many nodes know a rumour after each round, when both sides of a conversation learn."""
    tried = "spread('A', [{'A': 'B', 'B': 'C', 'C': 'D', 'D': 'C'}])"
    case.equal(case.ask(spread, "A", [{"A": "B", "B": "C", "C": "D", "D": "C"}]), [2], tried)
    for _ in range(30):
        nodes = "ABCDEFGH"[: case.random.randint(2, 8)]
        rounds = [
            {node: case.random.choice([other for other in nodes if other != node]) for node in nodes}
            for _ in range(case.random.randint(1, 5))
        ]
        first = case.random.choice(nodes)
        case.equal(case.ask(spread, first, rounds), _spread(first, rounds), f"spread({first!r}, {shown(rounds)})")


def _spread(first: str, rounds: list[dict[str, str]]) -> list[int]:
    known, counts = {first}, []
    for partners in rounds:
        known = known | {
            learner
            for node, other in partners.items()
            for learner, teacher in ((node, other), (other, node))
            if teacher in known
        }
        counts.append(len(known))
    return counts


def _history(case: Case, events: int) -> dict[str, list[Any]]:
    history = {}
    for epoch in case.random.sample(range(1, 30), events):
        history[f"{epoch}:{case.random.choice('ABCD')}"] = [case.random.choice(STATUSES), 1.0, ""]
    return history


def _event(name: str) -> tuple[int, str]:
    epoch, _, node = name.partition(":")
    return int(epoch), node
