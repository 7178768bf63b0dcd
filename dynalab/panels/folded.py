"""The state of a cluster as far as its trace tells: for saved traces, and for what changed from step to step.

Theory of operation.
The trace says who started and stopped, which verb cut what, and after every write and store
the dots that a node then held of a key.  Values are known from the `write` events that made them.
Folding the events in order gives the state after any of them.

Rule: what the trace does not tell (Merkle roots, opinions before the first suspicion) is not guessed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

from dynalab.core.errors import DynalabError
from dynalab.core.faults import Faults, link_rule, parse_partition
from dynalab.core.session import key_text
from dynalab.core.trace import TraceEvent
from dynalab.panels.snapshot import sides_of

HELD_KINDS = ("store", "write", "hint")


class Folded:
    """What is known after some events.

    Attributes:
        states: ``{node: "up" | "crashed" | "paused"}``.
        faults: of the network.
        held: ``{node: {key: [dot]}}``.
        hints: ``{node: {(home, key): [dot]}}``.
        suspects: ``{node: {peer: True}}``: whom it believes down.
        versions: ``{(key, dot): {"value", "clock"}}`` of every write seen.
    """

    def __init__(self) -> None:
        self.states: dict[str, str] = {}
        self.faults = Faults()
        self.held: dict[str, dict[str, list[str]]] = {}
        self.hints: dict[str, dict[tuple[str, str], list[str]]] = {}
        self.suspects: dict[str, dict[str, bool]] = {}
        self.versions: dict[tuple[str, str], dict[str, Any]] = {}

    def copy(self) -> Folded:
        """The same state, to go on from."""
        other = Folded()
        other.states = dict(self.states)
        other.faults = self.faults
        other.held = {node: dict(keys) for node, keys in self.held.items()}
        other.hints = {node: dict(hints) for node, hints in self.hints.items()}
        other.suspects = {node: dict(peers) for node, peers in self.suspects.items()}
        other.versions = self.versions  # Only grows, and a dot never means another version.
        return other

    def add(self, events: Iterable[TraceEvent]) -> Folded:
        """Let these happen."""
        for event in events:
            handler = _HANDLERS.get(event.kind)
            if handler is not None:
                handler(self, event)
        return self

    # Events ------------------------------------------------------------------------------------

    def _start(self, event: TraceEvent) -> None:
        self.states[event.node] = "up"
        self.suspects[event.node] = {}
        self.held.setdefault(event.node, {})
        self.hints.setdefault(event.node, {})

    def _stop(self, event: TraceEvent) -> None:
        self.states[event.node] = "crashed"

    def _write(self, event: TraceEvent) -> None:
        """A coordinator made a version: it replaces the dots its context covers."""
        key = key_text(event.key)
        dot = "".join(map(str, event.detail.get("dot", ())))
        self.versions[key, dot] = {
            "value": str(event.detail.get("value", "")),
            "clock": dict(event.detail.get("clock", {})),
        }
        covered = event.detail.get("context", {})
        if event.peer:
            kept = self.hints.setdefault(event.node, {}).get((event.peer, key), [])
            self.hints[event.node][event.peer, key] = _without(kept, covered, dot)
        else:
            kept = self.held.setdefault(event.node, {}).get(key, [])
            self.held[event.node][key] = _without(kept, covered, dot)

    def _store(self, event: TraceEvent) -> None:
        self.held.setdefault(event.node, {})[key_text(event.key)] = list(event.detail.get("dots", ()))

    def _hint(self, event: TraceEvent) -> None:
        self.hints.setdefault(event.node, {})[event.peer, key_text(event.key)] = list(event.detail.get("dots", ()))

    def _forget(self, event: TraceEvent) -> None:
        if event.peer:
            self.hints.setdefault(event.node, {}).pop((event.peer, key_text(event.key)), None)
        else:
            self.held.setdefault(event.node, {}).pop(key_text(event.key), None)

    def _suspect(self, event: TraceEvent) -> None:
        self.suspects.setdefault(event.node, {})[event.peer] = True

    def _trust(self, event: TraceEvent) -> None:
        self.suspects.setdefault(event.node, {}).pop(event.peer, None)

    def _fault(self, event: TraceEvent) -> None:
        verb, arguments, named = parsed(str(event.detail.get("verb", "")))
        if verb == "pause" and arguments:
            self.states[str(arguments[0])] = "paused"
        elif verb == "resume" and arguments:
            self.states[str(arguments[0])] = "up"
        elif verb == "recover" and arguments and named.get("wipe"):
            self.held[str(arguments[0])], self.hints[str(arguments[0])] = {}, {}
        else:
            self.faults = faults_after(self.faults, list(self.states), verb, arguments, named)

    # Telling -----------------------------------------------------------------------------------

    def siblings(self, node: str, key: str) -> list[dict[str, Any]]:
        """What a node holds of a key, as an inspection would tell it."""
        return [self._sibling(key, dot) for dot in self.held.get(node, {}).get(key, ())]

    def _sibling(self, key: str, dot: str) -> dict[str, Any]:
        known = self.versions.get((key, dot), {"value": "?", "clock": {}})
        return {"value": known["value"], "clock": known["clock"], "dot": dot, "deleted": known["value"] == "None"}

    def summary(self) -> dict[tuple[str, ...], str]:
        """Everything known, as ``{what: how it is}``, for comparing two moments."""
        said: dict[tuple[str, ...], str] = {("state", node): state for node, state in self.states.items()}
        for node, keys in self.held.items():
            for key, dots in keys.items():
                values = ", ".join(f"{self._sibling(key, dot)['value']} {dot}" for dot in dots)
                said["held", node, key] = values or "deleted"
        for node, hints in self.hints.items():
            said |= {("hint", node, home, key): ", ".join(dots) for (home, key), dots in hints.items()}
        for node, peers in self.suspects.items():
            said |= {("suspect", node, peer): "suspected" for peer in peers}
        sides = " | ".join(" ".join(side) for side in sides_of(self.faults, list(self.states)))
        faults = [sides] if sides else self.faults.words()
        return said | {("network", words): "cut" for words in faults}


_HANDLERS = {
    "start": Folded._start,
    "stop": Folded._stop,
    "write": Folded._write,
    "store": Folded._store,
    "hint": Folded._hint,
    "forget": Folded._forget,
    "suspect": Folded._suspect,
    "trust": Folded._trust,
    "fault": Folded._fault,
}


def _without(dots: list[str], covered: dict[str, int], dot: str) -> list[str]:
    """The dots a context does not cover, and the new one."""
    return [kept for kept in dots if not any(kept == f"{node}{n}" for node, n in _below(covered))] + [dot]


def _below(clock: dict[str, int]) -> Iterable[tuple[str, int]]:
    return ((node, counter) for node, high in clock.items() for counter in range(1, min(int(high), 10_000) + 1))


def parsed(verb: str) -> tuple[str, list[Any], dict[str, Any]]:
    """A verb as the trace tells it, taken apart; nothing is run.

    >>> parsed('link("A", "B", drop=0.3)')
    ('link', ['A', 'B'], {'drop': 0.3})
    """
    try:
        call = ast.parse(verb[:4000], mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            return "", [], {}
        arguments = [ast.literal_eval(argument) for argument in call.args]
        named = {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg}
    except (ValueError, SyntaxError, RecursionError):
        return "", [], {}
    return call.func.id, arguments, named


def faults_after(faults: Faults, nodes: list[str], verb: str, arguments: list[Any], named: dict[str, Any]) -> Faults:
    """The faults of the network after a verb; the same faults when it is another verb, or cannot be understood."""
    try:
        if verb == "heal":
            return faults.healed()
        if verb == "partition":
            return faults.partitioned(parse_partition(arguments, nodes), bool(named.get("one_way")))
        if verb == "link" and len(arguments) == 2:
            both_ways = bool(named.pop("both_ways", False))
            return faults.linked(str(arguments[0]), str(arguments[1]), link_rule(**named), both_ways)
    except (DynalabError, TypeError):
        return faults
    return faults


def changes(before: Folded, after: Folded) -> list[dict[str, str]]:
    """What is different: ``{"what", "node", "about", "was", "is"}``, in the order of the summaries."""
    was, now = before.summary(), after.summary()
    if was == now:
        return []
    changed = [what for what in {**now, **was} if was.get(what) != now.get(what)]
    return [
        {
            "what": what[0],
            "node": what[1],
            "about": " ".join(what[2:]),
            "was": was.get(what, ""),
            "is": now.get(what, ""),
        }
        for what in changed
    ]
