"""Traces and clusters made by hand: what the views are tested on, without a world."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from dynalab.core.config import Config
from dynalab.core.faults import Faults
from dynalab.core.ring import Ring, share_out
from dynalab.core.trace import TraceEvent

if TYPE_CHECKING:
    from collections.abc import Mapping


class Story:
    """A trace told event by event; times in microseconds."""

    def __init__(self) -> None:
        self.events: list[TraceEvent] = []
        self.now_us = 0

    def add(self, node: str, kind: str, message: str = "", peer: str = "", cause: int = 0, **detail: Any) -> int:
        key = b"" if kind in {"fault", "start", "stop", "suspect"} or message == "Ping" else b"cart"
        seq = len(self.events) + 1
        event = TraceEvent(seq, self.now_us, node, kind, message, peer, key, cause=cause, detail=detail)
        self.events.append(event)
        return seq

    def fault(self, verb: str) -> None:
        self.add("cluster", "fault", verb=verb)

    def message(self, sender: str, to: str, name: str, *, takes_us: int = 400, lost: bool = False) -> int:
        sent = self.add(sender, "send", name, to)
        self.now_us += takes_us
        if lost:
            return self.add(sender, "drop", name, to, cause=sent, why="cut")
        return self.add(to, "receive", name, sender, cause=sent)

    def write(self, node: str, counter: int, context: dict[str, int], value: str) -> None:
        clock = {**context, node: counter}
        self.add(node, "write", clock=clock, dot=[node, counter], context=context, value=repr(value))

    def put(self, client: str, node: str, peers: str, *, lost: str = "") -> None:
        """One put through `node`, replicated to `peers`; messages to nodes in `lost` are lost."""
        self.message(f"client:{client}", node, "ClientPut")
        for peer in peers:
            self.message(node, peer, "ReplicaPut", takes_us=150, lost=peer in lost)
        for peer in peers:
            if peer not in lost:
                self.message(peer, node, "ReplicaPutDone", takes_us=120)
        self.message(node, f"client:{client}", "ClientPutDone")


def cut_and_merged() -> list[TraceEvent]:
    """A write, a cut, one write on each side, hints, healing, a read and a merge."""
    story = Story()
    story.write("E", 1, {}, "milk")
    story.put("alice", "E", "BA")
    story.now_us += 800_000
    story.fault('partition("AB|CDE")')
    story.now_us += 2_000
    story.write("B", 1, {"E": 1}, "milk, tea")
    story.put("alice", "B", "EA", lost="E")
    story.add("A", "hint", peer="E")
    story.write("E", 2, {"E": 1}, "milk, eggs")
    story.put("bob", "E", "CD")
    story.add("C", "suspect", peer="B")
    story.now_us += 1_500_000
    story.message("A", "C", "Ping")
    story.fault("heal()")
    story.now_us += 5_000
    story.message("A", "E", "HintDeliver")
    story.add("A", "handoff", peer="E")
    story.message("client:bob", "E", "ClientGet")
    story.message("E", "B", "ReplicaGet")
    story.message("B", "E", "ReplicaGetDone")
    story.message("E", "client:bob", "ClientGetDone")
    story.write("E", 3, {"E": 2, "B": 1}, "milk, tea, eggs")
    story.put("bob", "E", "BA")
    return story.events


def ring(nodes: str = "ABCDE", ranges: int = 64) -> Ring:
    return Ring.even(share_out(list(nodes), ranges))


def cluster(
    nodes: str = "ABCDE",
    states: Mapping[str, str] | None = None,
    faults: Faults | None = None,
    suspects: Mapping[str, str] | None = None,
) -> SimpleNamespace:
    """Something with a cluster's attributes; `suspects` is ``{node: peers it believes down}``."""
    said, doubts = states or {}, suspects or {}

    def inspect(node: str, full: bool = True) -> dict[str, Any]:
        tokens = [[f"{position:032x}", owner] for position, owner in ring(nodes).tokens]
        opinions = {peer: {"believed_up": peer not in doubts.get(node, "")} for peer in nodes if peer != node}
        return {"up": opinions, "members": dict.fromkeys(nodes, "up"), "ring": {"tokens": tokens}}

    return SimpleNamespace(
        nodes=list(nodes),
        config=Config(),
        states=lambda: {node: said.get(node, "up") for node in nodes},
        faults=faults or Faults(),
        inspect=inspect,
    )
