"""What a node hears (events) and what it asks for (effects).

A node never sends, sleeps or reads a clock: it answers effects, and a world carries them out.

Rule: nobody changes an event or an effect. Python would hold us to it, but that makes them three times as slow to make.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from dynalab.core.messages import Member, Message

# Events ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Start:
    """The node begins to run, for the first time or after a crash.

    Attributes:
        members: the founding history when the store remembers none.
        seeds: nodes known without gossip (4.8.2).
        joining: True: ask to be part of the ring (4.8.1).
    """

    members: tuple[Member, ...] = ()
    seeds: tuple[str, ...] = ()
    joining: bool = False


@dataclass(slots=True)
class Received:
    """A message arrived; `sender` is authenticated: a node's name, or ``client:name``."""

    sender: str
    message: Message


@dataclass(slots=True)
class TimerFired:
    """A timer set with `SetTimer` is due."""

    name: str


Event = Start | Received | TimerFired

# Effects ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class Send:
    """Send `message` to node `to`; it may be lost, delayed, doubled or overtaken."""

    to: str
    message: Message


@dataclass(slots=True)
class Reply:
    """Answer the client (or forwarding node) `to`."""

    to: str
    message: Message


@dataclass(slots=True)
class SetTimer:
    """Fire `name` after `delay_us`; a timer of the same name is moved."""

    name: str
    delay_us: int


@dataclass(slots=True)
class CancelTimer:
    """Forget the timer `name`; fine when there is none."""

    name: str


class Note(NamedTuple):
    """Record this in the trace: the fields of a `TraceEvent` that the node knows."""

    kind: str
    message: str = ""
    peer: str = ""
    key: bytes = b""
    request: str = ""
    detail: dict[str, Any] = {}  # noqa: RUF012 - never changed in place


Effect = Send | Reply | SetTimer | CancelTimer | Note
