"""Which key ranges should move so that no node carries much more than its share (paper 6.2, strategy 3).

A pure planner: loads and owners in, moves out. It moves few ranges, one by one:
always one from the busiest node, to where the load of the busiest node falls most.

Rule 1: a plan never makes the busiest node busier; where nothing helps it is empty.
Rule 2: every node keeps at least one range.
Rule 3: the plan depends on its arguments alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from dynalab.core.config import Config
from dynalab.core.errors import InvalidSetting
from dynalab.core.membership import placement
from dynalab.core.messages import Member
from dynalab.core.owners import NOBODY
from dynalab.core.ring import Ring

MOVES_MAX = 16
CANDIDATES_MAX = 16
"""So many of the busiest node's ranges are considered for each move, the busiest first."""

TAKERS_MAX = 8
"""So many of the least busy nodes are considered as takers."""

COORDINATES, REPLICATES = 1.0, 0.5
"""What a request costs the first home, and every other one: only a share of the work is the coordinator's alone."""

GAIN_MIN = 0.02
"""A move that lowers the highest load by less than this share is not worth its transfer."""


def plan(
    owners: Sequence[str],
    loads: Mapping[int, float],
    n: int,
    weights: Mapping[str, float] | None = None,
    zones: Mapping[str, str] | None = None,
    moves_max: int = MOVES_MAX,
    takers: Collection[str] | None = None,
) -> dict[str, tuple[int, ...]]:
    """``{node: key ranges it should take over}``.

    Args:
        owners: the owner of every key range, in the order of the ring.
        loads: ``{number of a key range: requests}``; ranges not named have none.
        n: replicas of a key.
        weights: ``{node: weight}``, 1 when not named: a node of weight 2 may carry twice as much.
        zones: ``{node: zone}``.
        moves_max: how many ranges may move.
        takers: who may take over any; None: every owner.

    >>> plan(["A", "A", "B", "B"], {0: 10, 1: 10}, n=1)
    {'B': (0,)}
    >>> plan(["A", "A", "B", "B"], {0: 10, 2: 10}, n=1)
    {}
    """
    planned = list(owners)
    moved: dict[int, str] = {}
    loads = {number: load for number, load in loads.items() if 0 <= number < len(owners) and load > 0}
    for _ in range(moves_max):
        step = _best_step(planned, loads, n, weights or {}, zones or {}, takers or owners)
        if step is None:
            break
        number, node = step
        planned[number] = moved[number] = node
    taken: dict[str, tuple[int, ...]] = {}
    for number in sorted(moved):
        if moved[number] != owners[number]:
            taken[moved[number]] = (*taken.get(moved[number], ()), number)
    return taken


def load_of_nodes(
    owners: Sequence[str],
    loads: Mapping[int, float],
    n: int,
    weights: Mapping[str, float] | None = None,
    zones: Mapping[str, str] | None = None,
) -> dict[str, float]:
    """``{node: what it carries, divided by its weight}``.

    >>> load_of_nodes(["A", "B"], {0: 10}, n=2)
    {'A': 10.0, 'B': 5.0}
    """
    carried = {node: 0.0 for node in sorted(owners) if node != NOBODY}
    ring = Ring.even(tuple(owners), dict(zones or {}))
    for number, load in sorted(loads.items()):
        for place, home in enumerate(ring.walk(ring.ranges[number].end)[:n]):
            carried[home] += load * (REPLICATES if place else COORDINATES)
    return {node: load / (weights or {}).get(node, 1.0) for node, load in carried.items()}


def _best_step(
    owners: list[str],
    loads: Mapping[int, float],
    n: int,
    weights: Mapping[str, float],
    zones: Mapping[str, str],
    takers: Collection[str],
) -> tuple[int, str] | None:
    """The move after which the busiest node has least to carry; None: no move is worth it."""
    carried = load_of_nodes(owners, loads, n, weights, zones)
    if not carried:
        return None
    highest = max(carried.values())
    busiest = min(node for node, load in carried.items() if load == highest)
    best, best_load = None, highest * (1 - GAIN_MIN)
    quiet = sorted([node for node in carried if node in takers], key=lambda each: (carried[each], each))[:TAKERS_MAX]
    for number in _candidates(owners, loads, n, busiest, zones):
        for node in quiet:
            if node not in (busiest, owners[number]):
                changed = [*owners[:number], node, *owners[number + 1 :]]
                after = max(load_of_nodes(changed, loads, n, weights, zones).values())
                if after < best_load:
                    best, best_load = (number, node), after
    return best


def _candidates(
    owners: list[str], loads: Mapping[int, float], n: int, busiest: str, zones: Mapping[str, str]
) -> list[int]:
    """Ranges that the busiest node is a home of and that their owner can spare, the busiest first."""
    ring = Ring.even(tuple(owners), dict(zones))
    held = [number for number in loads if busiest in ring.walk(ring.ranges[number].end)[:n]]
    spare = [number for number in held if owners.count(owners[number]) > 1]
    return sorted(spare, key=lambda number: (-loads[number], number))[:CANDIDATES_MAX]


def loads_told(inspections: Mapping[str, Mapping[str, Any]]) -> dict[int, float]:
    """``{number of a key range: requests}`` of all nodes that told of theirs (`inspect`), in sum."""
    sums: dict[int, float] = {}
    for seen in inspections.values():
        for number, count in seen["load"].items():
            sums[int(number)] = sums.get(int(number), 0) + count
    return dict(sorted(sums.items()))


# For both worlds -------------------------------------------------------------------------------


def planned(
    config: Config, history: tuple[Member, ...], inspections: Mapping[str, Mapping[str, Any]], moves: int = MOVES_MAX
) -> dict[str, list[int]]:
    """The plan for a cluster as its nodes tell of it.

    Args:
        config: its settings.
        history: its membership history.
        inspections: ``{node: inspect(...)}`` of every node that runs; only they take over anything.
        moves: how many ranges may move, 0 to 1,024.

    Raises:
        InvalidSetting: only strategy 3 moves key ranges; or `moves` is out of its range.
    """
    if config.strategy != 3:
        raise InvalidSetting(f"rebalance moves key ranges, which only strategy 3 has; got strategy {config.strategy}")
    if not isinstance(moves, int) or isinstance(moves, bool) or not 0 <= moves <= 1_024:
        raise InvalidSetting(f"moves must be an integer from 0 to 1,024; got {moves!r:.80}")
    ring = placement(history, config.strategy, config.tokens, config.partitions).current
    owners = [owner for _, owner in ring.tokens]
    weights = {event.node: event.weight for event in history if event.slot < 0}
    takers = [node for node, seen in inspections.items() if seen["status"] == "up"]
    taken = plan(owners, loads_told(inspections), config.n, weights, ring.zones, moves, takers)
    return {node: list(numbers) for node, numbers in sorted(taken.items())}


def has_moved(taken: Mapping[str, Sequence[int]], inspections: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether all running nodes know that the ranges have their new owners."""
    knows_all = [
        seen["moving"] == 0 and all(seen["moved"].get(str(number)) == node for node in taken for number in taken[node])
        for seen in inspections.values()
    ]
    return all(knows_all)
