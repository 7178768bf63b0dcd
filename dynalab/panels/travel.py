"""Time travel: any earlier moment of a trace, and what changed since the moment before it.

Theory of operation.
A **moment** is what happened at one time: mostly one message handled, and all it led to.
For a saved trace and a live cluster the state then is folded from the trace, as far as it tells.
For a simulation it is the whole state: the simulation is carried out again up to there (`sim.at`).

Rule: travelling looks; nothing that is, or was, is changed by it.
"""

from __future__ import annotations

from typing import Any

from dynalab.codec.story import sentence
from dynalab.core.trace import TraceEvent
from dynalab.panels.folded import Folded, changes
from dynalab.panels.snapshot import (
    arcs_of,
    inside_of,
    network,
    node_looks,
    placement_of,
    ring_of,
    scene_of,
)
from dynalab.panels.subject import SIM, Subject
from dynalab.panels.tape import Flights, Tape, is_worth_seeing

CHECKPOINT = 2_000
"""A folded state is kept after every so many events, so that going back is quick."""

EVENTS_SHOWN = 40
CHANGES_SHOWN = 60
FLIGHT_WINDOW = 400
"""Events before a moment among which its flights are looked for."""


class Traveller:
    """Moments of one tape.

    Args:
        subject: what the tape is of.
        tape: its events; it may grow.
    """

    def __init__(self, subject: Subject, tape: Tape) -> None:
        self.subject = subject
        self.tape = tape
        self.background = False
        self._events: list[TraceEvent] = []
        #: (index of the first event, index after the last one) of every moment
        self._moments: list[tuple[int, int]] = []
        #: {events folded: the state then}
        self._kept: dict[int, Folded] = {0: Folded()}

    def refresh(self, background: bool = False) -> int:
        """Take in what has happened since; answers how many moments there are."""
        events = list(self.tape)
        if not self._events or not events or events[0].seq != self._events[0].seq or background != self.background:
            self._kept = {0: Folded()}
        self._events, self.background = events, background
        self._moments = _moments(events, background)
        return len(self._moments)

    def at(self, step: int, node: str = "", key: str = "") -> dict[str, Any]:
        """The moment number `step`, 1 to the number of moments; beyond that, the last.

        Returns:
            ``step``, ``of``, ``time_ms``, ``before_ms``; ``events`` in words; ``changed`` since the moment before;
            ``flights`` on their way then; ``whole``: whether the state is complete;
            ``scene``, ``ring``, ``placement``, ``inside`` as of now, then.
        """
        if not self._moments:
            return {"step": 0, "of": 0, "events": [], "changed": []}
        step = max(1, min(step, len(self._moments)))
        first, last = self._moments[step - 1]
        before, after = self._folded(first), self._folded(last)
        now_us = self._events[first].time_us
        before_us = self._events[self._moments[step - 2][0]].time_us if step > 1 else now_us
        shown = [event for event in self._events[first:last] if self.background or is_worth_seeing(event)]
        return {
            "step": step,
            "of": len(self._moments),
            "seq": self._events[last - 1].seq,
            "time_ms": now_us / 1000,
            "before_ms": before_us / 1000,
            "events": [sentence(event) for event in shown[:EVENTS_SHOWN]],
            "changed": changes(before, after)[:CHANGES_SHOWN],
            "flights": self._flights(last, before_us),
            **self._state(after, now_us, node, key),
        }

    def _state(self, after: Folded, now_us: int, node: str, key: str) -> dict[str, Any]:
        if self.subject.kind == SIM and not self.tape.dropped:
            return whole_state(self.subject, now_us, node, key)
        return told_state(self.subject, after, node, key)

    def _folded(self, count: int) -> Folded:
        """The state after the first `count` events."""
        start = max(kept for kept in self._kept if kept <= count)
        while start + CHECKPOINT <= count:
            self._kept[start + CHECKPOINT] = self._kept[start].copy().add(self._events[start : start + CHECKPOINT])
            start += CHECKPOINT
        return self._kept[start].copy().add(self._events[start:count])

    def _flights(self, last: int, since_us: int) -> list[list[Any]]:
        """What is on its way, or has just arrived, at a moment; ends that lie ahead are known, so they are told."""
        window = self._events[max(0, last - FLIGHT_WINDOW) : last + FLIGHT_WINDOW]
        now_us = self._events[last - 1].time_us
        flights: list[list[Any]] = Flights().batch(window, self.background)["flights"]
        return [each for each in flights if each[3] <= now_us and (each[4] is None or each[4] >= since_us)]


def _moments(events: list[TraceEvent], background: bool) -> list[tuple[int, int]]:
    moments: list[tuple[int, int]] = []
    first = 0
    for index in range(1, len(events) + 1):
        if index == len(events) or events[index].time_us != events[first].time_us:
            if background or any(is_worth_seeing(event) for event in events[first:index]):
                moments.append((first, index))
            first = index
    return moments


def told_state(subject: Subject, folded: Folded, node: str, key: str) -> dict[str, Any]:
    """The state as far as the trace tells."""
    nodes = list(folded.states)
    scene = {
        "kind": subject.kind,
        "name": subject.name,
        "text": repr(subject.target),
        "closed": False,
        "config": None,
        "nodes": [_told_node(folded, each) for each in nodes],
        "faults": network(folded.faults, nodes),
        "looks": node_looks(nodes),
    }
    held = {each: folded.siblings(each, key) for each in nodes if key in folded.held.get(each, {})}
    hints = [
        {"holder": each, "home": home} for each in nodes for home, about in folded.hints.get(each, {}) if about == key
    ]
    placement = {"key": key, "at": None, "homes": [], "fallbacks": [], "held": held, "hints": hints}
    records = [
        {"key": name, "clock": {}, "siblings": folded.siblings(node, name)} for name in folded.held.get(node, {})
    ]
    return {
        "whole": False,
        "scene": scene,
        "ring": {"arcs": [], "share": {}},
        "placement": placement if key else {},
        "inside": {"node": node, "told": True, "records": records[:60]} if node else {},
    }


def _told_node(folded: Folded, node: str) -> dict[str, Any]:
    return {
        "name": node,
        "state": folded.states[node],
        "suspected_by": [other for other, peers in folded.suspects.items() if node in peers],
        "status": "",
        "keys": len(folded.held.get(node, {})),
        "hints": len(folded.hints.get(node, {})),
        "requests": 0,
    }


class _Then:
    """A past state of a simulation, with the verbs that looking needs."""

    def __init__(self, past: Any, config: Any) -> None:
        self.config = config
        self.faults = past.faults
        self.states = past.states
        self._past = past

    def inspect(self, node: str, full: bool = True) -> dict[str, Any]:
        """The inside of a node then."""
        told: dict[str, Any] = self._past.inspect(node)
        return told

    def __repr__(self) -> str:
        return repr(self._past)


def whole_state(subject: Subject, now_us: int, node: str, key: str) -> dict[str, Any]:
    """The complete state of a simulation then."""
    target = subject.target
    then = Subject(_Then(target.at(now_us / 1000), target.config), subject.name, SIM)
    seen = then.inspections(full=True)
    scene = scene_of(then, seen)
    scene["looks"] = node_looks(list(then.target.states()))
    ring = ring_of(then, seen)
    return {
        "whole": True,
        "scene": scene,
        "ring": arcs_of(ring, target.config.n),
        "placement": placement_of(then, ring, key, seen),
        "inside": inside_of(node, seen[node], key) if node in seen else {"node": node, "down": True} if node else {},
    }
