"""The one trace of a live cluster, gathered from the events that each process numbers for itself.

Theory of operation.
Nodes send batches of events; the owner keeps them as bytes until somebody looks at the trace.
Then the new ones are read, put in the order of time (all processes of one machine share a monotonic clock),
numbered 1, 2, 3 ..., and their causes translated: an event's cause is known by its node and its number there.

Rule 1: an event keeps its number for ever; what arrives late, from a paused node, comes later in the trace.
Rule 2: what was lost leaves a note that says how much.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import NamedTuple

from dynalab.core.trace import TraceEvent
from dynalab.live.control import Events, FedEvent, count_events, read_events

BYTES_KEPT = 64 * 1024 * 1024
"""Batches that nobody has looked at; older ones are lost."""

EVENTS_KEPT = 300_000
"""Events of the gathered trace; older ones are lost."""


class _Batch(NamedTuple):
    node: str
    events: Events


class Gathering:
    """Collects batches on one thread, and answers the trace on any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._batches: deque[_Batch] = deque()
        self._bytes = 0
        self._lost = 0
        self._gaps = 0
        self._seq = 0
        self._events: list[TraceEvent] = []
        #: {(node, its own number): place in the trace}
        self._places: dict[tuple[str, int], int] = {}

    def add(self, node: str, events: Events) -> None:
        """A batch has come."""
        with self._lock:
            self._batches.append(_Batch(node, events))
            self._bytes += len(events.events)
            while self._bytes > BYTES_KEPT:
                self._lose(self._batches.popleft())

    def _lose(self, batch: _Batch) -> None:
        self._bytes -= len(batch.events.events)
        self._lost += count_events(batch.events.events) + batch.events.lost

    def all(self) -> tuple[list[TraceEvent], int]:
        """All events gathered so far, numbered, in a new list; and how many are known to be missing."""
        with self._lock:
            self._merge()
            return list(self._events), self._gaps

    def _merge(self) -> None:
        fresh: list[tuple[int, str, FedEvent]] = []
        for batch in self._batches:
            fresh += [(event.time_us, batch.node, event) for event in read_events(batch.events.events)]
            self._lost += batch.events.lost
        self._batches.clear()
        self._bytes = 0
        fresh.sort(key=lambda timed: timed[0])
        for _, node, event in fresh:
            self._append(node, event)
        if self._lost and self._events:
            self._note_loss()
        if len(self._events) > EVENTS_KEPT:
            self._shed()

    def _append(self, node: str, event: FedEvent) -> None:
        self._seq += 1
        self._places[node, event.seq] = self._seq
        cause = self._cause(event.origin or node, event.cause) if event.cause else 0
        self._events.append(
            TraceEvent(
                self._seq,
                event.time_us,
                node,
                event.kind,
                event.message,
                event.peer,
                event.key,
                event.request,
                event.size,
                cause,
                event.detail,
            )
        )

    def _cause(self, node: str, number: int) -> int:
        """The place of a node's own event; 0 when it was lost, as the last events of a killed process are."""
        place = self._places.get((node, number), 0)
        self._gaps += place == 0
        return place

    def _note_loss(self) -> None:
        lost, self._lost = self._lost, 0
        self._gaps += lost
        self._seq += 1
        detail = {"lost": lost, "text": f"{lost} events found no room before this"}
        self._events.append(TraceEvent(self._seq, self._events[-1].time_us, "cluster", "note", detail=detail))

    def _shed(self) -> None:
        """Forget the oldest tenth; the note about it takes their place."""
        shed = len(self._events) - EVENTS_KEPT * 9 // 10
        self._gaps += shed
        first = self._events[shed]
        detail = {"lost": shed, "text": f"{shed} events before this were forgotten"}
        before = self._events[shed - 1]._replace(
            node="cluster", kind="note", message="", peer="", key=b"", request="", size=0, cause=0, detail=detail
        )
        self._events = [before, *self._events[shed:]]
        self._places = {own: place for own, place in self._places.items() if place >= first.seq}
