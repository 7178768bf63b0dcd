"""What a node hears (events) and what it asks for (effects).

A node never sends, sleeps or reads a clock: it answers effects, and a world carries them out.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from dynalab.core.messages import Member, Message

# Events ----------------------------------------------------------------------------------------


class Start(NamedTuple):
    """The node begins to run, for the first time or after a crash.

    Attributes:
        members: the founding history when the store remembers none.
        seeds: nodes known without gossip (4.8.2).
        joining: True: ask to be part of the ring (4.8.1).
    """

    members: tuple[Member, ...] = ()
    seeds: tuple[str, ...] = ()
    joining: bool = False


class Received(NamedTuple):
    """A message arrived; `sender` is authenticated: a node's name, or ``client:name``."""

    sender: str
    message: Message


class TimerFired(NamedTuple):
    """A timer set with `SetTimer` is due."""

    name: str


Event = Start | Received | TimerFired

# Effects ---------------------------------------------------------------------------------------


class Send(NamedTuple):
    """Send `message` to node `to`; it may be lost, delayed, doubled or overtaken."""

    to: str
    message: Message


class Reply(NamedTuple):
    """Answer the client (or forwarding node) `to`."""

    to: str
    message: Message


class SetTimer(NamedTuple):
    """Fire `name` after `delay_us`; a timer of the same name is moved."""

    name: str
    delay_us: int


class CancelTimer(NamedTuple):
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
