"""What the simulation writes down: trace events, and the counts that stay when the trace is off."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from dynalab.core import messages
from dynalab.core.store import weight
from dynalab.core.trace import TraceEvent

NO_DETAIL: dict[str, Any] = {}
_REQUEST_FIELDS = ("request", "exchange", "delivery")

_event = partial(tuple.__new__, TraceEvent)
"""A `TraceEvent` of a tuple of all its fields; without the detour of names and defaults, for every step makes some."""


class Shape(NamedTuple):
    """Where a kind of message keeps what the trace tells of it.

    Attributes:
        name: of the message.
        key, request: places of these fields; -1: it has none.
    """

    name: str
    key: int
    request: int


class Record:
    """The trace so far, and counts of messages.

    Attributes:
        events: in the order they happened; stays empty when the trace is off.
        sent, dropped, bytes: messages that left, that were lost, and the bytes of the values they carried.
    """

    __slots__ = ("_weighed", "_weight", "bytes", "dropped", "events", "on", "sent")

    def __init__(self, on: bool) -> None:
        self.on = on
        self.events: list[TraceEvent] = []
        self.sent = 0
        self.dropped = 0
        self.bytes = 0
        #: the last message that carried values, and their bytes
        self._weighed: Any = None
        self._weight = 0

    def add(
        self,
        time_us: int,
        node: str,
        kind: str,
        message: str = "",
        peer: str = "",
        key: bytes = b"",
        request: str = "",
        size: int = 0,
        cause: int = 0,
        detail: dict[str, Any] = NO_DETAIL,
    ) -> int:
        """Write one event down; answers its seq, 0 when the trace is off."""
        if not self.on:
            return 0
        seq = len(self.events) + 1
        self.events.append(_event((seq, time_us, node, kind, message, peer, key, request, size, cause, detail)))
        return seq

    def send(self, time_us: int, node: str, peer: str, message: Any, cause: int) -> int:
        """Write down that `message` left `node`; answers the seq. What goes to several nodes is weighed once."""
        self.sent += 1
        kind = type(message)
        if kind not in SIZERS:
            size = 0
        elif message is self._weighed:
            size = self._weight
        else:
            self._weighed, self._weight = message, SIZERS[kind](message)
            size = self._weight
        self.bytes += size
        if not self.on:
            return 0
        shape = SHAPES[kind]
        key = message[shape.key] if shape.key >= 0 else b""
        request = message[shape.request] if shape.request >= 0 else ""
        seq = len(self.events) + 1
        self.events.append(_event((seq, time_us, node, "send", shape.name, peer, key, request, size, cause, NO_DETAIL)))
        return seq

    def receive(self, time_us: int, node: str, peer: str, sent: int) -> int:
        """Write down that the message of event `sent` came to `node`; answers the seq."""
        if not self.on:
            return 0
        events = self.events
        _, _, _, _, message, _, key, request, size, _, _ = events[sent - 1]
        seq = len(events) + 1
        events.append(_event((seq, time_us, node, "receive", message, peer, key, request, size, sent, NO_DETAIL)))
        return seq

    def drop(self, time_us: int, node: str, peer: str, sent: int, why: str) -> None:
        """Write down that the message of event `sent`, from `node` to `peer`, was lost."""
        self.dropped += 1
        if self.on:
            told = self.events[sent - 1]
            self.add(time_us, node, "drop", told.message, peer, told.key, told.request, told.size, sent, {"why": why})


def _put_size(message: messages.ClientPut) -> int:
    value = message.value
    return 0 if value is None else len(value)


def _state_size(message: Any) -> int:
    return weight(message.siblings)


def _states_size(message: Any) -> int:
    states = message.offered if isinstance(message, messages.KeysGet) else message.held
    return sum(weight(siblings) for siblings in states.values())


def _sizer(kind: type) -> Callable[[Any], int] | None:
    fields = getattr(kind, "_fields", ())
    if "value" in fields:
        return _put_size
    if "siblings" in fields:
        return _state_size
    return _states_size if "offered" in fields or "held" in fields else None


def _shape(kind: type) -> Shape:
    fields = getattr(kind, "_fields", ())
    key = fields.index("key") if "key" in fields else -1
    request = next((fields.index(name) for name in _REQUEST_FIELDS if name in fields), -1)
    return Shape(kind.__name__, key, request)


SHAPES: dict[type, Shape] = {kind: _shape(kind) for kind in messages.MESSAGES}
"""``{kind of message: its shape}``"""

SIZERS: dict[type, Callable[[Any], int]] = {kind: size for kind in messages.MESSAGES if (size := _sizer(kind))}
"""``{kind of message that carries values: answers their bytes}``"""
