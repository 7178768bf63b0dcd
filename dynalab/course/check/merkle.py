"""Checks of exercise 05: digests of digests, the exchange, and what it saves (paper 4.7)."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from dynalab.core.config import Parts
from dynalab.course.checking import Case, check, shown

__all__ = ["merkle_1", "merkle_2", "merkle_3"]

BYTES_PER_KEY_MAX = 400
ROOT_MAX = 64


@check("merkle-1", 1, 10, "join the children's digests in order, then hash; pair by pair, an odd one alone (4.7)")
def merkle_1(case: Case, levels: Callable[..., Any]) -> None:
    """All levels of a binary tree of digests, leaves first."""
    for count in (2, 1, 3, 4, 7, 8, 13):
        leaves = [f"{case.random.getrandbits(64):016x}" for _ in range(count)]
        case.equal(case.ask(levels, leaves), _levels(leaves), f"levels of {count} leaves, {shown(leaves)}")


def _levels(leaves: list[str]) -> list[list[str]]:
    made = [leaves]
    while len(made[-1]) > 1:
        below = made[-1]
        pairs = ["".join(below[place : place + 2]) for place in range(0, len(below), 2)]
        made.append([sha256(pair.encode()).hexdigest()[:16] for pair in pairs])
    return made


@check(
    "merkle-2",
    3,
    25,
    "descend only where digests differ; a key that one side lacks differs as well (4.7)",
    methods=("build", "root", "differ"),
)
def merkle_2(case: Case, part: Any) -> None:
    """A tree and its differences: by values, within a size, and as what repairs a lost disk in a cluster."""
    for left, right in _pairs(case):
        count = len(left)
        trees = [case.ask(part.build, leaves, named="build") for leaves in (left, right)]
        expected = sorted(key for key in left.keys() | right.keys() if left.get(key) != right.get(key))
        tried = f"differ(build({count} keys), build(the same, {len(expected)} changed, added or removed))"
        _summed_up(case, part, trees, expected)
        came = case.ask(part.differ, *trees, named="differ")
        case.holds(type(came) in (list, tuple, set), tried, came, "a list of keys")
        case.equal(sorted(came), expected, tried)
        size = len(repr(trees[0])) / max(count, 1)
        case.holds(
            count < 300 or size <= BYTES_PER_KEY_MAX,
            f"{tried}: size of the tree",
            f"{size:.0f} bytes per key",
            f"at most {BYTES_PER_KEY_MAX}",
        )
    case.equal(
        case.ask(part.build, {"a": "1", "b": "2"}),
        case.ask(part.build, {"b": "2", "a": "1"}),
        "build of the same leaves in another order",
    )
    for world in (case.simulation, case.cluster):
        _repairs(case, part, world)


def _summed_up(case: Case, part: Any, trees: list[Any], expected: list[str]) -> None:
    """Hold two roots to what a node may send first."""
    roots = [case.ask(part.root, tree, named="root") for tree in trees]
    tried = f"root(build(...)) of two trees in which {len(expected)} keys differ"
    short = all(type(root) is str and len(root) <= ROOT_MAX for root in roots)
    case.holds(short, tried, roots, f"two texts of at most {ROOT_MAX} characters")
    case.holds((roots[0] == roots[1]) == (not expected), tried, roots, "two others" if expected else "the same twice")


def _pairs(case: Case) -> list[tuple[dict[str, str], dict[str, str]]]:
    """Leaves of two trees: each side empty, alone with a key, and both with few and with many differences."""
    one = {_key(case): "00"}
    pairs: list[tuple[dict[str, str], dict[str, str]]] = [
        ({}, {}),
        ({}, one),
        (one, {}),
        (one, dict.fromkeys(one, "01")),
    ]
    for count, changes in ((20, 0), (20, 3), (300, 5), (300, 300)):
        left = {_key(case): f"{case.random.getrandbits(128):032x}" for _ in range(count)}
        pairs.append((left, _changed(case, left, changes)))
    return pairs


def _changed(case: Case, left: dict[str, str], changes: int) -> dict[str, str]:
    right = dict(left)
    for key in case.random.sample(sorted(left), min(changes, len(left))):
        if case.random.random() < 0.5:
            del right[key]
        else:
            right[key] = f"{case.random.getrandbits(128):032x}"
    return right | {_key(case): "00" for _ in range(changes // 2)}


def _key(case: Case) -> str:
    return f"{case.random.getrandbits(64):016x}"


def _repairs(case: Case, part: Any, world: Callable[..., Any]) -> None:
    tried = "a cluster of 3 nodes with your trees: B's disk is wiped, and only anti-entropy can repair it"
    settings = {"n": 3, "read_repair": False, "anti_entropy_ms": 50, "partitions": 4}
    with case.running(tried), world(3, Parts(merkle=part), **settings) as cluster:
        for number in range(12):
            cluster.put(f"key-{number}", number)
        cluster.settle()
        cluster.crash("B")
        cluster.recover("B", wipe=True)
        cluster.settle(timeout_ms=20_000)
        held = [cluster.inspect(node)["records"] for node in cluster.nodes]
        values = [sorted(record["siblings"][0]["value"] for record in records.values()) for records in held]
        case.equal(values, [list(range(12))] * 3, f"{tried}: the values on A, B and C")


@check(
    "merkle-3", 2, 15, "ask for the root; where it differs for its children; and so on: only below a difference (4.7)"
)
def merkle_3(case: Case, questions: Callable[..., Any]) -> None:
    """Which digests an exchange must ask for: a cost that grows with the differences, not with the keys."""
    for count in (1, 2, 5, 16, 37):
        for _ in range(4):
            leaves = [f"{case.random.getrandbits(64):016x}" for _ in range(count)]
            other = [leaf if case.random.random() < 0.85 else leaf[::-1] for leaf in leaves]
            mine, theirs = _levels(leaves), _levels(other)
            differing = sum(leaf != there for leaf, there in zip(leaves, other, strict=True))
            tried = f"questions for two trees of {count} leaves, {differing} differ"
            case.equal(case.ask(questions, mine, theirs), _questions(mine, theirs), tried)


def _questions(mine: list[list[str]], theirs: list[list[str]]) -> list[list[int]]:
    asked = [[len(mine) - 1, 0]]
    for level, place in asked:
        if level and mine[level][place] != theirs[level][place]:
            asked += [[level - 1, child] for child in (2 * place, 2 * place + 1) if child < len(mine[level - 1])]
    return asked
