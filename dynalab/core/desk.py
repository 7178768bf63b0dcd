"""The desk of one node: what its components share while one event is handled.

Every component (coordinator, handoff, anti-entropy, membership) reads the time here
and puts here what it wants done; `Node.handle` hands the pile of effects out.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from dynalab.core.config import Config, Parts
from dynalab.core.effects import CancelTimer, Effect, Note, Reply, Send, SetTimer
from dynalab.core.errors import PartFailed
from dynalab.core.messages import Message

Guard = Callable[[str, Callable[..., Any], tuple[Any, ...]], Any]
"""``guard(part, function, arguments)``: runs a student's function; raises `PartFailed` when it goes wrong."""


def run_unguarded(part: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """A guard for tests of the core: no time limit, no captured output."""
    try:
        return function(*arguments)
    except Exception as error:
        raise PartFailed(f"the part {part!r} raised {type(error).__name__}: {error}") from error


SILENT_PINGS = 2
"""A node that handles nothing for so many ping periods, though its own timer is due, was stopped meanwhile."""

NEVER_US = 1 << 62

AWAKE_US = 2_000_000
"""So long after a stop, what is heard may have waited for its end."""


class Desk:
    """Time, settings, chance and the outgoing pile of one node.

    Attributes:
        now_us: time of the event in hand; never goes back.
        wall_us: wall clock at the event in hand; may lie.
        events: how many events were handled since the start.
        counters: ``{name: count}`` since the start, for metrics.
    """

    def __init__(self, name: str, config: Config, random: Random, parts: Parts, guard: Guard) -> None:
        self.name = name
        self.config = config
        self.random = random
        self.parts = parts
        self.guard = guard
        self.tracing = config.trace
        self.now_us = 0
        self.wall_us = 0
        self.events = 0
        self.counters: dict[str, int] = {}
        self._effects: list[Effect] = []
        self._silence_us = config.ping_ms * SILENT_PINGS * 1000 or NEVER_US
        #: the last event; an inspection moves `now_us` too, and must not hide a stop
        self._handled_us = NEVER_US
        self._stopped_us = 0
        self._awake_us = -AWAKE_US

    def begin(self, now_us: int, wall_us: int) -> None:
        """The next event is handled."""
        if now_us - self._handled_us > self._silence_us:
            self._stopped_us, self._awake_us = self._handled_us, now_us
        self.now_us = self._handled_us = now_us
        self.wall_us = wall_us
        self.events += 1

    def sent_us(self) -> int:
        """The earliest time at which what is heard now may have been sent: after a stop it may have waited long."""
        return self._stopped_us if self.now_us - self._awake_us < AWAKE_US else self.now_us

    def send(self, to: str, message: Message) -> None:
        """Ask that `message` go to node `to`."""
        self._effects.append(Send(to, message))

    def reply(self, to: str, message: Message) -> None:
        """Ask that the client, or forwarding node, `to` be answered."""
        self._effects.append(Reply(to, message))

    def set_timer(self, name: str, delay_ms: float) -> None:
        """Ask for `TimerFired(name)` after `delay_ms`."""
        self._effects.append(SetTimer(name, int(delay_ms * 1000)))

    def cancel_timer(self, name: str) -> None:
        """Ask that the timer be forgotten."""
        self._effects.append(CancelTimer(name))

    def note(
        self, kind: str, message: str = "", peer: str = "", key: bytes = b"", request: str = "", **detail: Any
    ) -> None:
        """Record a step in the trace, if it is on. Where `detail` is costly, ask `tracing` first."""
        if self.tracing:
            self._effects.append(Note(kind, message, peer, key, request, detail))

    def count(self, name: str, by: int = 1) -> None:
        """Add to a counter."""
        self.counters[name] = self.counters.get(name, 0) + by

    def call_part(self, part: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a student's function under the guard; raises `PartFailed`."""
        self.count(f"part_{part}")
        return self.guard(part, function, arguments)

    def take_effects(self) -> list[Effect]:
        """The pile, in the order it was asked for; the desk is empty afterwards."""
        effects, self._effects = self._effects, []
        return effects


def nonsense(part: str, answer: Any, expected: str) -> PartFailed:
    """The error for a part that answered something it must not."""
    return PartFailed(f"the part {part!r} answered {answer!r:.200}; expected {expected}")
