"""One look at a cluster, as built-in values a browser can draw: who is there, who keeps what, what is wrong.

Rule: a look changes nothing, and tells nothing that the verbs of the cluster do not tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

from dynalab.core.config import Config
from dynalab.core.errors import DynalabError
from dynalab.core.faults import Faults
from dynalab.core.ring import RING_SIZE, Ring, position_of
from dynalab.core.session import encode_key
from dynalab.panels.subject import Subject
from dynalab.views.colours import looks

RECORDS_SHOWN = 60
"""Keys of one node that the inspector lists; the chosen key comes first."""

VALUE_CHARACTERS = 160


def node_looks(nodes: list[str]) -> dict[str, dict[str, str]]:
    """``{node: {"colour", "ink"}}``, as in every picture."""
    return {node: {"colour": look.colour, "ink": look.ink} for node, look in looks(nodes).items()}


def scene_of(subject: Subject, seen: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The state of all nodes and of the network.

    Args:
        subject: a simulation or a live cluster.
        seen: its inspections.
    """
    target = subject.target
    states: dict[str, str] = target.states()
    config: Config = target.config
    return {
        "kind": subject.kind,
        "name": subject.name,
        "text": repr(target),
        "closed": subject.closed,
        "config": {"n": config.n, "r": config.r, "w": config.w, "strict": config.strict, "clocks": config.clocks},
        "nodes": [_node(node, state, seen) for node, state in states.items()],
        "faults": network(target.faults, list(states)),
    }


def _node(node: str, state: str, seen: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    own = seen.get(node, {})
    suspecting = [
        other for other, told in seen.items() if not told["up"].get(node, {"believed_up": True})["believed_up"]
    ]
    return {
        "name": node,
        "state": state,
        "suspected_by": suspecting,
        "status": own.get("status", ""),
        "keys": own.get("keys"),
        "hints": own.get("hint_count", 0),
        "requests": len(own.get("requests", ())),
    }


def network(faults: Faults, nodes: list[str]) -> dict[str, Any]:
    """The faults of the network: sides of a partition, one-way cuts, link rules, and all of it in words."""
    cut = faults.is_cut
    one_way = [[a, b] for a in nodes for b in nodes if cut(a, b) and not cut(b, a)]
    return {
        "sides": sides_of(faults, nodes),
        "cuts": [[a, b] for a, b in combinations(nodes, 2) if cut(a, b) and cut(b, a)],
        "one_way": one_way,
        "rules": [{"from": a, "to": b, "text": str(rule)} for (a, b), rule in faults.rules.items()],
        "words": faults.words()[:12],
    }


def sides_of(faults: Faults, nodes: list[str]) -> list[list[str]]:
    """The groups of nodes that still hear each other both ways, in the cluster's order; empty: no partition."""
    group = {node: node for node in nodes}
    for a, b in combinations(nodes, 2):
        if not faults.is_cut(a, b) and not faults.is_cut(b, a) and group[a] != group[b]:
            joined, into = group[b], group[a]
            group = {node: into if leader == joined else leader for node, leader in group.items()}
    sides: dict[str, list[str]] = {}
    for node in nodes:
        sides.setdefault(group[node], []).append(node)
    return list(sides.values()) if len(sides) > 1 else []


def ring_of(subject: Subject, seen: Mapping[str, Mapping[str, Any]]) -> Ring:
    """The ring as the running node with the longest list of members sees it; empty when none runs."""
    config: Config = subject.target.config
    teller = max(seen, key=lambda node: len(seen[node]["members"]), default=None)
    if teller is None:
        return Ring({})
    try:
        tokens = subject.target.inspect(teller)["ring"]["tokens"]
    except DynalabError:
        return Ring({})
    placed = {int(position, 16): owner for position, owner in tokens}
    return Ring(placed, config.zones, None if config.strategy == 1 else config.partitions)


def arcs_of(ring: Ring, n: int) -> dict[str, Any]:
    """The ring for the stage: ``arcs`` ``[[start, end, homes]]``, start and end as fractions of the circle."""
    if not ring.nodes:
        return {"arcs": [], "share": {}}
    arcs: list[list[Any]] = []
    for key_range in ring.ranges:
        homes = list(ring.walk(key_range.end)[:n])
        start, end = key_range.start / RING_SIZE, key_range.end / RING_SIZE
        if arcs and arcs[-1][2] == homes and start:
            arcs[-1][1] = end
        else:
            arcs.append([start if start < end else 0.0, end, homes])
    return {"arcs": arcs, "share": ring.share(n), "ranges": len(ring.ranges)}


def placement_of(subject: Subject, ring: Ring, key: str, seen: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Where a key lives: its position, its walk, and what every running node holds of it; `seen` in full."""
    if not key or not ring.nodes:
        return {}
    encoded = encode_key(key)
    position = position_of(encoded)
    held, hints = {}, []
    for node, told in seen.items():
        record = told.get("records", {}).get(key)
        if record is not None:
            held[node] = [shown_sibling(sibling) for sibling in record["siblings"]]
        hints += [{"holder": node, "home": hint["home"]} for hint in told.get("hints", ()) if hint["key"] == key]
    n = subject.target.config.n
    walk = list(ring.walk(position))
    return {
        "key": key,
        "at": position / RING_SIZE,
        "homes": walk[:n],
        "fallbacks": walk[n:],
        "held": held,
        "hints": hints,
    }


def shown_sibling(sibling: Mapping[str, Any]) -> dict[str, Any]:
    """A sibling for people: its value cut short."""
    return {
        "value": shown_value(sibling["value"]),
        "clock": sibling["clock"],
        "dot": sibling["dot"],
        "deleted": sibling["deleted"],
    }


def shown_value(value: Any) -> str:
    """A value as Python would print it, cut short."""
    text = "" if value is None else repr(value)
    return text if len(text) <= VALUE_CHARACTERS else text[: VALUE_CHARACTERS - 1] + "…"


def inside_of(node: str, told: Mapping[str, Any], chosen_key: str = "") -> dict[str, Any]:
    """One node's inspection for the inspector tab: what is long is cut, and says so."""
    records = told.get("records", {})
    names = sorted(records, key=lambda key: (key != chosen_key, key))[:RECORDS_SHOWN]
    return {
        "node": node,
        "incarnation": told["incarnation"],
        "status": told["status"],
        "up": told["up"],
        "members": told["members"],
        "keys": told["keys"],
        "records": [
            {
                "key": key,
                "clock": records[key]["clock"],
                "siblings": [shown_sibling(s) for s in records[key]["siblings"]],
            }
            for key in names
        ],
        "hints": told.get("hints", [])[:RECORDS_SHOWN],
        "hint_count": told["hint_count"],
        "requests": told["requests"][:RECORDS_SHOWN],
        "roots": [[end, root] for end, root in told["roots"].items()],
        "counters": dict(sorted(told["counters"].items())),
        "misplaced": told["misplaced"],
        "transfers": told["transfers"],
    }
