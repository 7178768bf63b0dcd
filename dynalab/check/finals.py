"""The state of every node when all is quiet: equal replicas, in the right places, within bounds (I5, I6, I10).

An inspection is what `cluster.inspect(node)` answers; see `Node.inspect`.

Rule 1: an inspection that shows only some of the node's keys proves nothing, so it is refused.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dynalab.check.history import Seen, seen_version
from dynalab.check.losses import Homes
from dynalab.check.report import Violation
from dynalab.core.clock import Dot
from dynalab.core.ring import position_of

Inspections = Mapping[str, Mapping[str, Any]]
"""``{node: inspect(node)}`` of every running node."""


class InspectionCutOff(ValueError):
    """A node holds more keys than its inspection shows: use fewer keys in a judged run."""


def finals_of(inspections: Inspections) -> dict[str, dict[str, list[Seen]]]:
    """``{node: {key: versions}}``, tombstones included.

    Raises:
        InspectionCutOff: a node shows fewer records than it holds.
    """
    finals = {}
    for node, inspection in inspections.items():
        records = inspection["records"]
        if len(records) != inspection["keys"]:
            raise InspectionCutOff(f"node {node} holds {inspection['keys']} keys and shows {len(records)} of them")
        finals[node] = {key: [_seen(sibling) for sibling in record["siblings"]] for key, record in records.items()}
    return finals


def _seen(sibling: Mapping[str, Any]) -> Seen:
    dot = dot_named(sibling["dot"], sibling["clock"])
    return seen_version(sibling["value"], dot, sibling["clock"], bool(sibling["deleted"]))


def dot_named(text: str, clock: Mapping[str, int]) -> Dot:
    """The dot that an inspection shows as text; a version's clock always ends in its own dot.

    >>> dot_named("A~9f31c22", {"A": 4, "A~9f31c2": 2})
    Dot(actor='A~9f31c2', counter=2)

    Raises:
        ValueError: no pair of the clock reads like this.
    """
    dots = [Dot(actor, counter) for actor, counter in clock.items() if f"{actor}{counter}" == text]
    if not dots:
        raise ValueError(f"the dot {text!r} is not one of the clock {dict(clock)}")
    return dots[0]


def homes_of(inspections: Inspections) -> Homes:
    """The homes of a key, by what the running nodes say: who keeps a Merkle tree over its key range.

    Only for clusters at rest: while the ring changes, nodes disagree.
    """
    ends = sorted({int(end, 16) for inspection in inspections.values() for end in inspection["roots"]})
    keepers = {end: [n for n in inspections if f"{end:032x}" in inspections[n]["roots"]] for end in ends}

    def homes(key: str) -> Sequence[str]:
        encoded = bytes.fromhex(key[2:]) if key.startswith("0x") else key.encode()
        return keepers[ends[bisect_left(ends, position_of(encoded)) % len(ends)]] if ends else ()

    return homes


def held_keys(inspections: Inspections) -> list[str]:
    """Every key that some node holds, sorted."""
    return sorted({key for inspection in inspections.values() for key in inspection["records"]})


def unequal_replicas(inspections: Inspections, homes: Homes) -> Iterator[Violation]:
    """I5: homes of one key that hold different states, clock and siblings."""
    for key in held_keys(inspections):
        states = {node: inspections[node]["records"].get(key) for node in homes(key) if node in inspections}
        distinct = {_canonical(state) for state in states.values()}
        if len(distinct) > 1:
            held = "; ".join(f"{node}: {_shown(state)}" for node, state in states.items())
            yield Violation("I5", f"the homes of {key!r} have not converged: {held}", key)


def unequal_roots(inspections: Inspections) -> Iterator[Violation]:
    """I5: Merkle roots of one key range that differ between nodes that keep it."""
    #: {key range: {node: root}}
    roots: dict[str, dict[str, str]] = {}
    for node, inspection in inspections.items():
        for key_range, root in inspection["roots"].items():
            roots.setdefault(key_range, {})[node] = root
    for key_range, by_node in sorted(roots.items()):
        if len(set(by_node.values())) > 1:
            held = ", ".join(f"{node} {root[:8]}" for node, root in by_node.items())
            yield Violation("I5", f"the Merkle roots of {key_range} differ: {held}")


def left_over(inspections: Inspections) -> Iterator[Violation]:
    """I5: hints and transfers that are still under way although all should be quiet."""
    for node, inspection in inspections.items():
        for hint in inspection["hints"]:
            yield Violation("I5", f"node {node} still keeps a hint of {hint['key']!r} for {hint['home']}", hint["key"])
        for what in ("transfers", "misplaced"):
            if inspection[what]:
                yield Violation("I5", f"node {node} still has {inspection[what]} {what}")


def not_quiet(before: Inspections, after: Inspections) -> Iterator[Violation]:
    """I5: state that reads and exchanges between two inspections have changed, although nobody wrote.

    A deletion that all homes have kept long enough may be forgotten meanwhile (core/reaper.py).
    """
    for node in before:
        old, new = before[node]["records"], after.get(node, {"records": {}})["records"]
        for key in sorted({*old, *new}):
            reaped = key not in new and all(sibling["deleted"] for sibling in old[key]["siblings"])
            if not reaped and _canonical(old.get(key)) != _canonical(new.get(key)):
                changed = f"from {_shown(old.get(key))} to {_shown(new.get(key))}"
                yield Violation("I5", f"without any write, {key!r} at node {node} went {changed}", key)


def wrong_places(inspections: Inspections, homes: Homes) -> Iterator[Violation]:
    """I6: keys that a home lacks, or that somebody else keeps."""
    for key in held_keys(inspections):
        should = [node for node in homes(key) if node in inspections]
        if len(set(homes(key))) != len(homes(key)):
            yield Violation("I6", f"the homes of {key!r} are not distinct nodes: {', '.join(homes(key))}", key)
        holders = [node for node, inspection in inspections.items() if key in inspection["records"]]
        if sorted(should) != sorted(holders):
            text = f"{key!r} is on {', '.join(sorted(holders))}; its homes are {', '.join(sorted(should))}"
            yield Violation("I6", text, key)


def shrunk(before: Inspections, after: Inspections, wiped: frozenset[str] = frozenset()) -> Iterator[Violation]:
    """I8: writes of a key that a node had heard of earlier, and holds the key but has not heard of them later."""
    for node in before:
        if node in wiped or node not in after:
            continue
        later = after[node]["records"]
        for key, record in before[node]["records"].items():
            new = later[key]["clock"] if key in later else record["clock"]
            gone = [f"{actor}{n}" for actor, n in sorted(record["clock"].items()) if n > new.get(actor, 0)]
            if gone:
                yield Violation("I8", f"node {node} forgot {', '.join(gone)} of {key!r}", key)


def out_of_bounds(inspections: Inspections, config: Any) -> Iterator[Violation]:
    """I10: more siblings, clock pairs, hints or open requests than the configured limits.

    A coordinator refuses what would exceed a limit, a merge never sheds:
    so it is the siblings made under one name that are bounded, for each was made in full view of those before it.
    """
    for node, inspection in inspections.items():
        for key, record in inspection["records"].items():
            made = Counter(dot_named(each["dot"], each["clock"]).actor for each in record["siblings"])
            for actor, count in sorted(made.items()):
                yield from _above(node, f"siblings of {key!r} made by {actor}", count, config.max_siblings)
            yield from _above(node, f"clock pairs of {key!r}", len(record["clock"]), config.max_clock)
        yield from _above(node, "open requests", len(inspection["requests"]), config.max_requests)


def _above(node: str, what: str, count: int, limit: int) -> Iterator[Violation]:
    if count > limit:
        yield Violation("I10", f"node {node} has {count} {what}; the limit is {limit}")


def hung_requests(inspections: Inspections) -> Iterator[Violation]:
    """I11: requests that a node still works on although every client has its answer."""
    for node, inspection in inspections.items():
        for request in inspection["requests"]:
            yield Violation("I11", f"node {node} still works on request {request['request']} ({request['kind']})")


def _canonical(state: Any) -> str:
    """A text that is equal exactly when two records are: the order of a dict says nothing."""
    if isinstance(state, Mapping):
        return "{" + ",".join(f"{key!r}:{_canonical(state[key])}" for key in sorted(state, key=repr)) + "}"
    if isinstance(state, (list, tuple)):
        return "[" + ",".join(_canonical(item) for item in state) + "]"
    return repr(state)


def _shown(state: Any) -> str:
    """A record in a few words: its values and its clock."""
    if state is None:
        return "nothing"
    values = [("deleted" if s["deleted"] else f"{s['value']!r:.40}") for s in state["siblings"]]
    return f"{{{', '.join(values)}}} with clock {dict(state['clock'])}"
