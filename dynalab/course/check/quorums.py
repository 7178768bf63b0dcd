"""Checks of exercise 03: overlap, the decision, and the chance of a stale read (paper 4.5)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

from dynalab.core.config import Parts
from dynalab.core.errors import ReadQuorumNotReached, RequestTimedOut, WriteQuorumNotReached
from dynalab.course.checking import Case, check, shown

__all__ = ["quorums_1", "quorums_2", "quorums_3"]


@check("quorums-1", 1, 5, "r + w answers out of n nodes: how many must have been counted twice? Never below 0 (4.5)")
def quorums_1(case: Case, overlap: Callable[..., Any]) -> None:
    """How many nodes a read and a write quorum share at the least."""
    for n in range(1, 7):
        for r in range(1, n + 1):
            for w in range(1, n + 1):
                fewest = min(
                    len(set(left) & set(right))
                    for left in combinations(range(n), r)
                    for right in combinations(range(n), w)
                )
                case.equal(case.ask(overlap, n, r, w), fewest, f"overlap({n}, {r}, {w})")


@check("quorums-2", 3, 15, "count distinct nodes; done at need; failed once the asked can no longer reach it (4.5)")
def quorums_2(case: Case, decide: Callable[..., Any]) -> None:
    """When a request waits, is done or has failed; then the answer decides in a real cluster."""
    twice = [{"node": "A", "hinted_for": None}] * 2
    case.equal(case.ask(decide, twice, 2, 3), "wait", f"decide({shown(twice)}, 2, 3)")
    for _ in range(60):
        asked, need = case.random.randint(1, 6), case.random.randint(1, 5)
        names = case.random.sample("ABCDEF", case.random.randint(0, asked))
        replies = [{"node": node, "hinted_for": None} for node in names]
        replies += [dict(case.random.choice(replies))] if replies and case.random.random() < 0.3 else []
        right = "done" if len(names) >= need else "failed" if asked < need else "wait"
        case.equal(case.ask(decide, replies, need, asked), right, f"decide({shown(replies)}, {need}, {asked})")
    _decided(case, decide)


def _decided(case: Case, decide: Callable[..., Any]) -> None:
    tried = "a cluster of 3 nodes with your decide"
    with case.running(tried), case.cluster(3, Parts(quorum=decide), n=3, timeout_ms=800, strict=True) as cluster:
        for w in (1, 2, 3):
            ack = cluster.put(f"key-{w}", w, w=w)
            case.holds(len(ack.nodes) >= w, f"{tried}, a put with w={w}", f"stored on {list(ack.nodes)}", f"{w} nodes")
        got = cluster.get("key-3", r=3)
        case.equal(got.values, [3], f"{tried}, a get with r=3")
        case.holds(len(got.nodes) >= 3, f"{tried}, a get with r=3", f"answered by {list(got.nodes)}", "3 nodes")
        cluster.partition("A|BC")
        lonely = cluster.client("lonely", via="A")
        for verb, asking in (("put", lambda: lonely.put("cut", 1, w=2)), ("get", lambda: lonely.get("cut", r=2))):
            case.holds(
                _refused(asking), f"{tried}, a {verb} of 2 nodes on a side of one", "it was answered", "no quorum"
            )


def _refused(asking: Callable[[], Any]) -> bool:
    try:
        asking()
    except (ReadQuorumNotReached, WriteQuorumNotReached, RequestTimedOut):
        return True
    return False


@check(
    "quorums-3", 2, 15, "stale means: all r nodes are among the n - w that have not got the write; count the choices"
)
def quorums_3(case: Case, stale_chance: Callable[..., Any]) -> None:
    """The chance that r nodes picked at random miss a write that w of n nodes have stored."""
    for n in range(1, 8):
        for r in range(1, n + 1):
            for w in range(1, n + 1):
                quorums = list(combinations(range(n), r))
                stale = sum(min(quorum) >= w for quorum in quorums) / len(quorums)
                case.equal(_number(case, case.ask(stale_chance, n, r, w)), stale, f"stale_chance({n}, {r}, {w})")


def _number(case: Case, came: Any) -> float:
    if not isinstance(came, (int, float)) or isinstance(came, bool):
        raise case.failure("stale_chance(n, r, w)", shown(came), "a number from 0 to 1")
    return float(came)
