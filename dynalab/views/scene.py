"""What a picture needs to know of a ring or a cluster, read once.

A cluster is known here only by its verbs, so both worlds, and whatever else has them, can be drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from dynalab.core.config import Config
from dynalab.core.errors import NodeIsDown, RequestTimedOut
from dynalab.core.faults import Faults
from dynalab.core.ring import Ring

UP, CRASHED, PAUSED = "up", "crashed", "paused"


@dataclass(frozen=True)
class Scene:
    """One moment of a ring, or of a cluster.

    Attributes:
        ring: who owns which positions.
        n: replicas of a key.
        nodes: all nodes in the cluster's order, also those without a token.
        states: ``{node: "up" | "crashed" | "paused"}``.
        suspected_by: ``{node: nodes that believe it down}``; only nodes that somebody suspects.
        faults: cuts and link rules.
    """

    ring: Ring
    n: int
    nodes: tuple[str, ...]
    states: Mapping[str, str] = field(default_factory=dict)
    suspected_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)

    @classmethod
    def of(cls, ring_or_cluster: Any, n: int | None = None) -> Scene:
        """What is to be seen of a `Ring`, or of anything with the verbs of a cluster."""
        if isinstance(ring_or_cluster, Ring):
            ring = ring_or_cluster
            return cls(ring, min(n or 3, max(1, len(ring.nodes))), ring.nodes)
        cluster = ring_or_cluster
        states = dict(cluster.states())
        seen = _inspected(cluster, [node for node, state in states.items() if state == UP])
        return cls(
            ring=_ring(cluster, seen),
            n=n or cluster.config.n,
            nodes=tuple(cluster.nodes),
            states=states,
            suspected_by=_suspicions(seen),
            faults=cluster.faults,
        )

    def state(self, node: str) -> str:
        """One of `UP`, `CRASHED` and `PAUSED`."""
        return self.states.get(node, UP)

    def cut_pairs(self) -> list[tuple[str, str]]:
        """Pairs of nodes of which at least one does not hear the other."""
        cut = self.faults.is_cut
        return [(a, b) for a, b in combinations(self.nodes, 2) if cut(a, b) or cut(b, a)]

    def sides(self) -> list[list[str]]:
        """The groups of nodes with no word at all between them, in the cluster's order; one group: no partition."""
        if not self.faults.cuts:
            return [list(self.nodes)] if self.nodes else []
        import networkx  # Late, because most rings that are drawn are whole.

        cut = self.faults.is_cut
        hearing = networkx.Graph()
        hearing.add_nodes_from(self.nodes)
        hearing.add_edges_from((a, b) for a, b in combinations(self.nodes, 2) if not (cut(a, b) and cut(b, a)))
        groups = [sorted(group, key=self.nodes.index) for group in networkx.connected_components(hearing)]
        return sorted(groups, key=lambda group: self.nodes.index(group[0]))

    def words(self) -> list[str]:
        """What is wrong, in sentences; empty when all is well."""
        said = [f"{node} has crashed." for node in self.nodes if self.state(node) == CRASHED]
        said += [f"{node} is paused." for node in self.nodes if self.state(node) == PAUSED]
        for node, by in self.suspected_by.items():
            said.append(f"{node} is suspected by {', '.join(by)}.")
        return said + self._cut_words() + [f"From {a} to {b}: {rule}." for (a, b), rule in self.faults.rules.items()]

    def _cut_words(self) -> list[str]:
        sides = self.sides()
        if len(sides) > 1:
            return ["The network is cut: " + " | ".join(" ".join(side) for side in sides) + "."]
        said = self.faults.words()
        return [f"{words[0].upper()}{words[1:]}." for words in said[: len(said) - len(self.faults.rules)]]


def _inspected(cluster: Any, running: list[str]) -> dict[str, dict[str, Any]]:
    """What the running nodes say; one that went down in between has no say."""
    seen = {}
    for node in running:
        with suppress(NodeIsDown, RequestTimedOut):
            seen[node] = cluster.inspect(node, full=False)
    return seen


def _ring(cluster: Any, seen: dict[str, dict[str, Any]]) -> Ring:
    """The ring as the running node with the longest list of members sees it; empty when none runs."""
    config: Config = cluster.config
    teller = max(seen, key=lambda node: len(seen[node]["members"]), default=None)
    said = [] if teller is None else cluster.inspect(teller)["ring"]["tokens"]
    tokens = {int(position, 16): owner for position, owner in said}
    return Ring(tokens, config.zones, None if config.strategy == 1 else config.partitions)


def _suspicions(seen: dict[str, dict[str, Any]]) -> dict[str, tuple[str, ...]]:
    suspected: dict[str, list[str]] = {}
    for node, inspection in seen.items():
        for peer, opinion in inspection["up"].items():
            if not opinion["believed_up"]:
                suspected.setdefault(peer, []).append(node)
    return {peer: tuple(by) for peer, by in sorted(suspected.items())}
