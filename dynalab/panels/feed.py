"""From a cluster to the browser: what is new in the trace, and how the nodes look now.

Theory of operation.
`poll` takes the new trace events onto the tape and answers what the stage has to draw.
`look` asks the nodes.  Looking costs their time, so the feed looks only when something happened,
and never spends more than a share of its time on it; between two looks the picture is a moment old, and says which.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from dynalab.codec.story import sentence
from dynalab.core.ring import Ring
from dynalab.core.session import key_text
from dynalab.core.trace import TraceEvent
from dynalab.panels.snapshot import arcs_of, inside_of, node_looks, placement_of, ring_of, scene_of
from dynalab.panels.subject import FILE, LIVE, Subject
from dynalab.panels.tape import HISTORY, Flights, Tape, is_worth_seeing

LOOK_S = 0.2
"""At least so long between two looks that nobody asked for."""

IDLE_LOOK_S = 1.0
"""A live cluster changes without telling (suspicions fade, hints age): look so often in any case."""

COST_SHARE = 5
"""A look that took 10 ms is not repeated before 50 ms have passed."""

LOG_LINES = 12

RECENT = 3_000
"""Of so many newest events the inspector tells the chosen node's last ones."""

EVENTS_SHOWN = 14


class Feed:
    """Follows one cluster.

    Args:
        subject: what to follow.
        history: trace events to keep.
    """

    def __init__(self, subject: Subject, history: int = HISTORY) -> None:
        self.subject = subject
        self.tape = Tape(history)
        self.flights = Flights()
        self.ring = Ring({})
        self.seen: dict[str, dict[str, Any]] = {}
        self.nodes: list[str] = []
        self._ring_key: Any = None
        self._looked_s = 0.0
        self._cost_s = 0.0
        self._changed = True
        self._news = threading.Condition()

    def wait_until(self, is_so: Callable[[], bool], seconds: float) -> bool:
        """Wait while another thread polls, until `is_so` after some news, or until the time is over."""
        with self._news:
            return self._news.wait_for(is_so, seconds)

    def poll(self, background: bool = False) -> dict[str, Any] | None:
        """What is new for the stage; None when nothing is."""
        head_us = self.tape.last_us
        events = self.subject.events_since(self.tape.last_seq)
        with self._news:
            self.tape.add(events)
            self._news.notify_all()
        now_us = max(self.tape.last_us, self.subject.now_us if self.subject.kind != LIVE else 0)
        if not events and now_us == head_us:
            return None
        self._changed = True
        batch: dict[str, Any] = self.flights.batch(events, background)
        return {**batch, "head": now_us, "untold": self.flights.untold, "dropped": self.tape.dropped}

    def is_due(self) -> bool:
        """Whether it is time to look again."""
        if self.subject.kind == FILE:
            return False
        since = time.monotonic() - self._looked_s
        wanted = LOOK_S if self._changed else (IDLE_LOOK_S if self.subject.kind == LIVE else 3600.0)
        return since >= max(wanted, COST_SHARE * self._cost_s)

    def look(self, node: str, key: str) -> dict[str, Any]:
        """How everything is now.

        Args:
            node: the chosen node, whose inside is told; empty: none.
            key: the chosen key, whose place is told; empty: none.

        Returns:
            ``scene``, ``ring``, ``placement``, ``inside``: the traits of the panel.
        """
        begun = time.monotonic()
        self.seen = self.subject.inspections(full=bool(key))
        scene = scene_of(self.subject, self.seen)
        self.nodes = [each["name"] for each in scene["nodes"]]
        scene["looks"] = node_looks(self.nodes)
        scene["now_us"] = max(self.tape.last_us, self.subject.now_us if self.subject.kind != LIVE else 0)
        self._see_ring()
        told = {
            "scene": scene,
            "ring": arcs_of(self.ring, self.subject.target.config.n),
            "placement": placement_of(self.subject, self.ring, key, self.seen),
            "inside": self._inside(node, key),
        }
        self._looked_s = time.monotonic()
        self._cost_s = self._looked_s - begun
        self._changed = False
        return told

    def _see_ring(self) -> None:
        """The ring, asked for again only when somebody's membership history has grown."""
        seen = {told["history_digest"] for told in self.seen.values()}
        if seen and (sorted(seen) != self._ring_key or not self.ring.nodes):
            self._ring_key = sorted(seen)
            self.ring = ring_of(self.subject, self.seen)

    def _inside(self, node: str, key: str) -> dict[str, Any]:
        if node not in self.seen:
            return {"node": node, "down": True} if node in self.nodes else {}
        told = self.seen[node]
        if "records" not in told:
            told = self.subject.inspections_of([node]).get(node, told)
        return {
            **inside_of(node, {**told, "requests": self._with_keys(told["requests"])}, key),
            "events": self._last_of(node),
            "log": self.subject.log_tail(node, LOG_LINES),
        }

    def _with_keys(self, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Requests with the key each is about: a node tells them without, the trace knows."""
        keys = {event.request: key_text(event.key) for event in self._recent() if event.request and event.key}
        return [{**request, "key": keys.get(request["request"], "")} for request in requests]

    def _recent(self) -> Iterable[TraceEvent]:
        return islice(self.tape.newest_first(), RECENT)

    def _last_of(self, node: str) -> list[list[Any]]:
        """What a node did last, pings and gossip left out, the newest first: ``[[time_ms, what], ...]``."""
        own = (event for event in self._recent() if event.node == node and is_worth_seeing(event))
        return [[event.time_ms, sentence(event, with_node=False)] for event in islice(own, EVENTS_SHOWN)]
