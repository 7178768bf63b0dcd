"""What a node tells of itself, and what keeps a cluster from being settled.

Inspections are built-in values that JSON can say, so panels, command line and judges read the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from dynalab.core.errors import InvalidSetting
from dynalab.core.membership import pending_moves
from dynalab.core.session import decode_value, key_text
from dynalab.core.version import Siblings

if TYPE_CHECKING:  # Whoever reads inspections need not load what a node is made of.
    from dynalab.core.antientropy import AntiEntropy
    from dynalab.core.coordinator import Coordinator
    from dynalab.core.handoff import Handoff

RECORDS_SHOWN = 1_000


def inspect(coordinator: Coordinator, handoff: Handoff, antientropy: AntiEntropy, full: bool = True) -> dict[str, Any]:
    """The state of one node, by its components.

    Args:
        coordinator: its client requests.
        handoff: the copies it keeps for others.
        antientropy: its exchanges and transfers.
        full: also the records (the first 1,000 keys), the hints and the ring.
    """
    desk, replica, membership = handoff.desk, handoff.replica, handoff.membership
    store = replica.store
    seen: dict[str, Any] = {
        "node": desk.name,
        "incarnation": replica.incarnation,
        "status": membership.status,
        "members": {name: event.status for name, event in membership.latest.items()},
        "history_digest": membership.digest.hex(),
        "up": membership.detector.opinions(membership.peers()),
        "keys": len(store),
        "hint_count": len(store.hints()),
        "misplaced": len(handoff.misplaced),
        "transfers": len(antientropy.transfers),
        "moving": len(pending_moves(membership.history)),
        "moved": {str(event.slot): event.node for event in membership.history if event.status == "moved"},
        "requests": [request.described() for request in islice(coordinator.open.values(), 100)],
        "counters": dict(desk.counters),
        "roots": antientropy.roots(),
    }
    if full:
        seen["ring"] = {"tokens": [[f"{position:032x}", owner] for position, owner in membership.ring.tokens]}
        seen["records"] = {
            key_text(key): described_record(replica.record(key)) for key in islice(store.keys(), RECORDS_SHOWN)
        }
        seen["hints"] = [
            {"home": hint.home, "key": key_text(hint.key), "age_ms": (desk.now_us - hint.kept_us) // 1000}
            for hint in islice(store.hints(), RECORDS_SHOWN)
        ]
    return seen


def checked_lines(lines: int) -> int:
    """How many lines of a log somebody wants, if it is an integer above 0."""
    if not isinstance(lines, int) or isinstance(lines, bool) or lines < 1:
        raise InvalidSetting(f"lines must be an integer of at least 1; got {lines!r:.80}")
    return lines


def described_record(siblings: Siblings) -> dict[str, Any]:
    """One record for people: siblings with value, clock and dot, and the clock of all that was heard of."""
    return {
        "clock": dict(siblings.clock),
        "siblings": [
            {
                "value": None if version.value is None else _shown(decode_value(version.value)),
                "clock": dict(version.clock),
                "dot": str(version.dot),
                "deleted": version.deleted,
            }
            for version in siblings.versions
        ],
    }


def _shown(value: Any) -> Any:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def leftovers(inspections: Mapping[str, Mapping[str, Any]], down: Sequence[str] = ()) -> list[str]:
    """What keeps a cluster from being settled, in words; empty when it is.

    Args:
        inspections: ``{node: inspect(...)}`` of every node that runs.
        down: nodes that do not run.
    """
    left: list[str] = []
    for name, seen in sorted(inspections.items()):
        left += [f"{name} keeps {seen['hint_count']} hints"] if seen["hint_count"] else []
        left += [f"{name} keeps {seen['misplaced']} keys that belong elsewhere"] if seen["misplaced"] else []
        left += [f"{name} works on {len(seen['requests'])} requests"] if seen["requests"] else []
        left += [f"{name} is {seen['status']}"] if seen["status"] in ("joining", "leaving") else []
    digests = {seen["history_digest"] for seen in inspections.values()}
    left += ["the nodes know different membership histories"] if len(digests) > 1 else []
    left += _differing_ranges(inspections)
    left += [f"{name} is not running" for name in down if left]
    return left


def still_here(node: str, inspections: Mapping[str, Mapping[str, Any]], force: bool = False) -> list[str]:
    """What keeps a leave of `node` from being complete, in words; empty: it can be switched off (4.8.1).

    Before that every running node must know that it left, and it must have handed on every copy and hint:
    its own may be the last.

    Args:
        node: the one that leaves.
        inspections: ``{node: inspect(...)}`` of every node that runs.
        force: it is gone for good; what it keeps does not count.
    """
    others = {name: seen for name, seen in sorted(inspections.items()) if name != node}
    left = [f"{name} has not heard of it" for name, seen in others.items() if seen["members"].get(node) != "left"]
    left += [] if others else ["no other node runs that would know of it"]
    own = inspections.get(node)
    if own is not None and not force:
        left += [f"{node} keeps {own['hint_count']} hints"] if own["hint_count"] else []
        left += [f"{node} keeps {own['misplaced']} keys that belong elsewhere"] if own["misplaced"] else []
    return left


def _differing_ranges(inspections: Mapping[str, Mapping[str, Any]]) -> list[str]:
    homes: dict[str, dict[str, list[str]]] = {}
    for name, seen in sorted(inspections.items()):
        for end, root in seen["roots"].items():
            homes.setdefault(end, {}).setdefault(root, []).append(name)
    return [
        f"the key range ending {end[:8]} differs between {_said(by_root.values())}"
        for end, by_root in sorted(homes.items())
        if len(by_root) > 1
    ]


def _said(groups: Iterable[list[str]]) -> str:
    return " and ".join(",".join(group) for group in groups)
