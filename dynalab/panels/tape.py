"""The panel's own memory of the trace: bounded, quick to ask, and honest about what it has let go.

Theory of operation.
Events come in order of their seq.  The tape keeps the last so many.
A `send` and the `receive` or `drop` that names it as its cause make one **flight**: what the stage draws.
A flight is told when it begins, and once more when its end is known.

Rule: everything here is bounded; what was let go is counted, and shown.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import Any

from dynalab.core.session import key_text
from dynalab.core.trace import TraceEvent

HISTORY = 100_000
"""Events kept; a setting of the panel."""

OPEN_MAX = 5_000
LOST_US = 1_000
"""A message to a node that does not run is seen on its way for so long."""

BATCH_MAX = 600
"""Flights told at once; more are counted only."""

BACKGROUND = ("Ping", "PingDone", "Gossip", "GossipDone", "RootsGet", "RootsGetDone")
"""Messages that are always about, and hidden unless somebody wants to see them."""

SEEN_ANYWAY = frozenset(("suspect", "trust", "member", "incarnation", "refuse", "fault", "start", "stop"))

MARKED = frozenset(("write", "store", "hint", "handoff", "repair", "suspect", "trust", "refuse", "reply", "fail"))
"""Events that flash at their node."""


class Tape:
    """The last events of a trace.

    Args:
        history: how many are kept, 100 and up.

    Attributes:
        dropped: how many older ones were let go.
    """

    def __init__(self, history: int = HISTORY) -> None:
        self._history = max(100, history)
        self._events: list[TraceEvent] = []
        self.dropped = 0

    @property
    def last_seq(self) -> int:
        """The seq of the newest event; 0 when there was none."""
        return self._events[-1].seq if self._events else 0

    @property
    def last_us(self) -> int:
        """The time of the newest event."""
        return self._events[-1].time_us if self._events else 0

    def add(self, events: Iterable[TraceEvent]) -> None:
        """Newer events."""
        self._events += events
        too_many = len(self._events) - self._history
        if too_many > self._history // 10:
            del self._events[:too_many]
            self.dropped += too_many

    def find(self, seq: int) -> TraceEvent | None:
        """The event with this seq, if it is still here."""
        place = bisect_left(self._events, seq, key=lambda event: event.seq)
        if place < len(self._events) and self._events[place].seq == seq:
            return self._events[place]
        return None

    def newer_than(self, seq: int) -> list[TraceEvent]:
        """The events with a greater seq."""
        return self._events[bisect_right(self._events, seq, key=lambda event: event.seq) :]

    def newest_first(self) -> Iterator[TraceEvent]:
        """All events, from the newest back."""
        yield from reversed(self._events)

    def __iter__(self) -> Iterator[TraceEvent]:
        return iter(self._events)

    def __len__(self) -> int:
        return len(self._events)


def is_worth_seeing(event: TraceEvent) -> bool:
    """Whether an event is more than pings, gossip and their timers."""
    return event.kind in SEEN_ANYWAY or (bool(event.message or event.key) and event.message not in BACKGROUND)


class Flights:
    """Pairs sends with what became of them.

    A process that was killed tells nothing: what was sent to it would be on its way for ever.
    So a message to a node that does not run is presumed lost there, until the trace says otherwise.
    """

    def __init__(self) -> None:
        #: {seq of the send: the send} whose end is not known
        self._open: dict[int, TraceEvent] = {}
        #: the same, of messages presumed lost
        self._presumed: dict[int, TraceEvent] = {}
        self._down: set[str] = set()
        self.untold = 0

    def open(self) -> list[list[Any]]:
        """The flights whose end is not known, for a view that has just opened."""
        return [_flight(send.seq, send, None) for send in self._open.values()]

    def batch(self, events: Iterable[TraceEvent], background: bool = False) -> dict[str, list[list[Any]]]:
        """What the stage needs to know of these events.

        Returns:
            ``flights``: ``[id, from, to, begin_us, end_us or None, message, key, request, why lost or ""]``;
            ``marks``: ``[seq, time_us, node, kind, peer, key]``.
        """
        flights: dict[int, list[Any]] = {}
        marks = []
        for event in events:
            if event.message in BACKGROUND and not background:
                continue
            if event.kind == "send" and event.peer in self._down:
                flights[event.seq] = self._lost(event, event.time_us + LOST_US)
            elif event.kind == "send":
                self._open[event.seq] = event
                flights[event.seq] = _flight(event.seq, event, None)
            elif event.kind == "stop":
                self._down.add(event.node)
                for send in [send for send in self._open.values() if send.peer == event.node]:
                    flights[send.seq] = self._lost(send, max(send.time_us, event.time_us))
            elif event.kind == "start":
                self._down.discard(event.node)
            elif event.kind in ("receive", "drop"):
                name, flight = self._ended(event)
                flights[name] = flight
            elif event.kind in MARKED:
                marks.append([event.seq, event.time_us, event.node, event.kind, event.peer, key_text(event.key)])
        self._forget_oldest()
        return {"flights": self._told(list(flights.values())), "marks": marks[-BATCH_MAX:]}

    def _lost(self, send: TraceEvent, end_us: int) -> list[Any]:
        """The flight of a message to a node that does not run."""
        self._open.pop(send.seq, None)
        self._presumed[send.seq] = send
        end = send._replace(kind="drop", time_us=end_us, detail={"why": "down"})
        return _flight(send.seq, send, end)

    def _ended(self, event: TraceEvent) -> tuple[int, list[Any]]:
        send = self._open.pop(event.cause, None) or self._presumed.pop(event.cause, None)
        if send is not None:
            return send.seq, _flight(send.seq, send, event)
        sender, to = (event.node, event.peer) if event.kind == "drop" else (event.peer, event.node)
        again = event._replace(node=sender, peer=to)  # A second copy, or a send that is not in the trace.
        return event.seq, _flight(event.seq, again, event)

    def _told(self, flights: list[list[Any]]) -> list[list[Any]]:
        self.untold += max(0, len(flights) - BATCH_MAX)
        return flights[-BATCH_MAX:]

    def _forget_oldest(self) -> None:
        for kept in (self._open, self._presumed):
            for seq in list(kept)[: max(0, len(kept) - OPEN_MAX)]:
                del kept[seq]


def _flight(name: int, send: TraceEvent, end: TraceEvent | None) -> list[Any]:
    end_us = None if end is None else end.time_us
    why = str(end.detail.get("why", "lost")) if end is not None and end.kind == "drop" else ""
    key = key_text(send.key) if send.key else ""
    return [name, send.node, send.peer, send.time_us, end_us, send.message, key, send.request, why]
