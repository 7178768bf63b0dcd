"""What a node records: trace events, numbered here and sent to the owner in batches.

Theory of operation.
A node numbers its own events and remembers them until the next batch leaves.
A message carries the number of its `send` event, so the receiver can say which send its `receive` comes from.
The owner joins all nodes' events into one trace (`gather`).

Rule 1: recording never waits and is bounded; what finds no room is counted.
Rule 2: numbers are not used twice, neither by a later run of the process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from dynalab.core.effects import Note
from dynalab.core.messages import MESSAGES
from dynalab.live.control import SEQ_BITS, Events

EVENTS_KEPT = 20_000
"""Events a node keeps between two batches."""

RECORDS_KEPT = 500
"""Events of one client that wait before they join the trace."""

_encode = msgspec.msgpack.Encoder().encode

_REQUEST_FIELDS = ("request", "exchange", "delivery")

_NO_DETAIL: dict[str, Any] = {}


def _place(kind: Any, names: tuple[str, ...]) -> int:
    return next((place for place, field in enumerate(kind._fields) if field in names), -1)


#: {message type: (name, place of its key or -1, place of its request id or -1)}
ABOUT: dict[type, tuple[str, int, int]] = {
    kind: (kind.__name__, _place(kind, ("key",)), _place(kind, _REQUEST_FIELDS)) for kind in MESSAGES
}


def about(message: Any) -> tuple[str, bytes, str]:
    """Name, key and request id of a message; empty where it has none.

    >>> from dynalab.core.messages import ReplicaGet
    >>> about(ReplicaGet("q1", b"cart"))
    ('ReplicaGet', b'cart', 'q1')
    """
    name, key, request = ABOUT[type(message)]
    return name, message[key] if key >= 0 else b"", message[request] if request >= 0 else ""


class Recorder:
    """One process's events.

    Args:
        run: which process of its node this is, 1 and up.
        enabled: False: nothing is made, every number is 0.
        now_us: the time of an event.
    """

    def __init__(self, run: int, enabled: bool, now_us: Callable[[], int]) -> None:
        self.enabled = enabled
        self.lost = 0
        self._now_us = now_us
        self._seq = run << SEQ_BITS
        self._batch = 0
        self._lost_before = 0
        #: the fields of `FedEvent`; it is bytes before anybody reads them, so they need no names here
        self._events: list[tuple[Any, ...]] = []

    def __len__(self) -> int:
        return len(self._events)

    def add(
        self,
        kind: str,
        message: str = "",
        peer: str = "",
        key: bytes = b"",
        request: str = "",
        size: int = 0,
        cause: int = 0,
        origin: str = "",
        detail: dict[str, Any] = _NO_DETAIL,
    ) -> int:
        """Record one event; its number, or 0 when recording is off."""
        if not self.enabled:
            return 0
        self._seq += 1
        if len(self._events) < EVENTS_KEPT:
            event = (self._seq, self._now_us(), kind, message, peer, key, request, size, cause, origin, detail)
            self._events.append(event)
        else:
            self.lost += 1
        return self._seq

    def noted(self, note: Note, cause: int, now_us: int) -> None:
        """Record what a node wants to be recorded."""
        if not self.enabled:
            return
        self._seq += 1
        if len(self._events) < EVENTS_KEPT:
            kind, message, peer, key, request, detail = note
            self._events.append((self._seq, now_us, kind, message, peer, key, request, 0, cause, "", detail))
        else:
            self.lost += 1

    def sent(self, message: Any, to: str, size: int, cause: int, now_us: int) -> int:
        """Record that a message is sent, because of `cause`; its number."""
        if not self.enabled:
            return 0
        name, key, request = ABOUT[type(message)]
        self._seq = seq = self._seq + 1
        if len(self._events) < EVENTS_KEPT:
            key_of = message[key] if key >= 0 else b""
            request_of = message[request] if request >= 0 else ""
            self._events.append((seq, now_us, "send", name, to, key_of, request_of, size, cause, "", _NO_DETAIL))
        else:
            self.lost += 1
        return seq

    def received(
        self, messages: Sequence[Any], sender: str, numbers: Sequence[int], sizes: Sequence[int], now_us: int
    ) -> range:
        """Record that messages of one kind came; their numbers here. `numbers`: those of their `send` events there."""
        first = self._seq + 1
        self._seq = last = self._seq + len(messages)
        own = range(first, last + 1)
        if len(self._events) + len(messages) > EVENTS_KEPT:
            self.lost += len(messages)
            return own
        name, key, request = ABOUT[type(messages[0])]
        self._events += [
            (
                *(seq, now_us, "receive", name, sender),
                message[key] if key >= 0 else b"",
                message[request] if request >= 0 else "",
                *(size, cause, sender, _NO_DETAIL),
            )
            for seq, message, size, cause in zip(own, messages, sizes, numbers or [0] * len(messages), strict=True)
        ]
        return own

    def batch(self) -> Events | None:
        """What was recorded since the last batch; None when that is nothing."""
        if not self._events:
            return None
        self._batch += 1
        events, self._events = self._events, []
        lost, self._lost_before = self.lost - self._lost_before, self.lost
        return Events(self._batch, lost, msgspec.Raw(_encode(events)))


class Recorders:
    """One recorder for each client of one process.

    Args:
        now_us: the time of an event.
        on_full: ``on_full(user, batch)`` takes what has become too much to keep.
    """

    def __init__(self, now_us: Callable[[], int], on_full: Callable[[str, Events], None]) -> None:
        self._now_us = now_us
        self._on_full = on_full
        self._recorders: dict[str, Recorder] = {}

    def of(self, user: str) -> Recorder:
        """The recorder of a user, with room for more."""
        recorder = self._recorders.get(user)
        if recorder is None:
            recorder = self._recorders[user] = Recorder(1, True, self._now_us)
        if len(recorder) >= RECORDS_KEPT:
            batch = recorder.batch()
            assert batch is not None
            self._on_full(user, batch)
        return recorder

    def take(self) -> list[tuple[str, Events]]:
        """What was recorded since the last time, as batches."""
        batches = [(user, recorder.batch()) for user, recorder in self._recorders.items()]
        return [(user, batch) for user, batch in batches if batch is not None]
