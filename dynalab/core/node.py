"""One Dynamo node: request coordination, membership and failure detection, local persistence (paper 5).

`Node.handle` is the only door: an event in, effects out.
The node reads no clock, rolls no dice of its own, and touches no network;
a world (`dynalab.sim` or `dynalab.live`) hands it time, chance and messages, and carries out its effects.

A message ``ReplicaPut`` is handled by `_on_replica_put`, a timer ``ping`` by `_on_timer_ping`.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from dynalab.core import refusals
from dynalab.core.admission import Admission
from dynalab.core.antientropy import AntiEntropy
from dynalab.core.config import Config, Parts
from dynalab.core.coordinator import Coordinator
from dynalab.core.desk import Desk, Guard, run_unguarded
from dynalab.core.effects import Effect, Event, Received, Start, TimerFired
from dynalab.core.errors import DynalabError, InvalidSetting, PartFailed, UnknownNode
from dynalab.core.forwarding import Forwarding
from dynalab.core.handoff import Handoff
from dynalab.core.inspection import inspect
from dynalab.core.keyload import KeyLoad
from dynalab.core.membership import Membership
from dynalab.core.messages import (
    CLIENT_REQUESTS,
    MESSAGES,
    ClientGet,
    ClientLeave,
    ClientLeaveDone,
    ClientMove,
    ClientMoveDone,
    ClientPut,
    KeysGet,
    KeysGetDone,
    Member,
    PingDone,
    ReadRepair,
    ReplicaGet,
    ReplicaGetDone,
    ReplicaPut,
    ReplicaPutDone,
)
from dynalab.core.overload import Overload
from dynalab.core.quick import maker
from dynalab.core.reaper import Reaper
from dynalab.core.replica import Replica
from dynalab.core.ring import position_of
from dynalab.core.store import Store

TRANSFER_RETRY_MS = 200
_FROM_CLIENTS = frozenset(CLIENT_REQUESTS)
_replica_put_done, _replica_get_done = maker(ReplicaPutDone), maker(ReplicaGetDone)


class Node:
    """A storage node.

    Args:
        name: its name, unique in the cluster.
        config: the settings all nodes share.
        secret: seals contexts; the cluster's own, the same on all nodes and after restarts.
        store: its storage engine.
        random: its source of chance.
        parts: what a student replaced.
        guard: runs the parts.
    """

    def __init__(
        self,
        name: str,
        config: Config,
        secret: bytes,
        store: Store,
        random: Random,
        parts: Parts | None = None,
        guard: Guard = run_unguarded,
    ) -> None:
        self.name = name
        self.desk = Desk(name, config, random, parts or Parts(), guard)
        self.store = store
        self.replica = Replica(self.desk, store)
        self.membership = Membership(self.desk)
        self.admission = Admission(self.desk)
        self.overload = Overload(self.desk, self.admission)
        self.load = KeyLoad()
        self.refused = refusals.Refused()
        self.coordinator = Coordinator(self.desk, self.replica, self.membership, self.admission, secret)
        self.forwarding = Forwarding(self.desk, self.membership)
        self.handoff = Handoff(self.desk, self.replica, self.membership, self.admission)
        self.antientropy = AntiEntropy(self.desk, self.replica, self.membership, self.admission)
        self.reaper = Reaper(self.desk, self.replica, self.membership)
        self._joining = False
        self._ring_version = -1
        self._handlers = self._named_handlers()

    def handle(self, event: Event, now_us: int, wall_us: int) -> list[Effect]:
        """React to one event.

        Args:
            event: what happened.
            now_us: time in microseconds; never less than at the event before.
            wall_us: the wall clock in microseconds; may jump.

        Returns:
            Effects, in order. They may be carried out only after the store has committed.
        """
        self.desk.begin(now_us, wall_us)
        self.store.begin()
        try:
            if isinstance(event, Received):
                self._hear(event.sender, event.message)
            elif isinstance(event, TimerFired):
                kind, _, subject = event.name.partition(":")
                self._timer_handlers[kind](subject)
            else:
                self._on_start(event)
            if self._ring_version != self.membership.version:
                self._ring_changed()
        except DynalabError as error:
            self._refuse(event, error)
        return self.desk.take_effects()

    def abandon(self, event: Event, error: DynalabError) -> list[Effect]:
        """`handle` was broken off half way, from outside: nothing of the event happens, and whoever waits is told why.

        Returns:
            Effects, as those of `handle`.
        """
        self._refuse(event, error)
        return self.desk.take_effects()

    def inspect(self, now_us: int, full: bool = True) -> dict[str, Any]:
        """Everything about this node that people and judges ask for; see `inspection.inspect`."""
        self.desk.now_us = max(self.desk.now_us, now_us)
        seen = inspect(self.coordinator, self.handoff, self.antientropy, full)
        return seen | self.overload.told() | self.load.told(self.membership.ring, self.desk.now_us)

    def replace_parts(self, parts: Parts) -> None:
        """Use other parts from the next event on; requests under way go on with the new ones."""
        self.desk.parts = parts
        self.replica.refresh_clocks()

    # Dispatch ----------------------------------------------------------------------------------

    def _hear(self, sender: str, message: Any) -> None:
        """Hand a message to its handler; what only nodes may say is not taken from a client."""
        if type(message) not in _FROM_CLIENTS and sender[:7] == "client:":
            self.desk.count("unauthorised")
            self.desk.note("refuse", type(message).__name__, sender, text="a client may not say this")
            return
        self._handlers[type(message)](sender, message)

    def _named_handlers(self) -> dict[type, Callable[[str, Any], object]]:
        """``{message type: handler}``, by name: on this class, or on the component that owns the conversation."""
        self._timer_handlers: dict[str, Callable[[str], None]] = {
            "ping": self._on_timer_ping,
            "gossip": self._on_timer_gossip,
            "handoff": self._on_timer_handoff,
            "antientropy": self._on_timer_antientropy,
            "exchange": lambda _: self.antientropy.on_silence(),
            "transfer": self._on_timer_transfer,
            "reap": self._on_timer_reap,
            "request": self.coordinator.on_request_timer,
            "hedge": self.coordinator.on_hedge_timer,
            "forward": self._on_timer_forward,
            "breath": self._on_timer_breath,
        }
        owners = (self.coordinator, self.handoff, self.antientropy, self.membership, self.forwarding, self.reaper)
        handlers: dict[type, Callable[[str, Any], object]] = {}
        for message in MESSAGES:
            name = "on" + "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in message.__name__)
            own = getattr(self, f"_{name}", None)
            handlers[message] = own or next(getattr(owner, name) for owner in owners if hasattr(owner, name))
        return handlers

    def _refuse(self, event: Event, error: DynalabError) -> None:
        """Nothing of this event happens: staged writes and effects are dropped, whoever waits is told why."""
        self.store.rollback()
        self.desk.take_effects()
        self.replica.reload()
        self.desk.count("parts_failed" if isinstance(error, PartFailed) else "requests_refused")
        self.desk.note("refuse", type(error).__name__, text=str(error)[:500])
        if isinstance(event, TimerFired):
            subject = event.name.partition(":")[2]
            self.coordinator.fail(subject, error)
            self.forwarding.end(subject, error)
        elif isinstance(event, Received):
            self._tell(event.sender, event.message, error)

    def _tell(self, sender: str, message: Any, error: DynalabError) -> None:
        if isinstance(message, (ClientPut, ClientGet, ClientMove)):
            if not (isinstance(error, PartFailed) and self.coordinator.fail(message.request, error)):
                self.refused.remember(message, self.desk.now_us, error)
                self.desk.reply(sender, refusals.refusal(message.request, error, self._has_begun(message.request)))
        elif isinstance(message, ReplicaPut):
            self.desk.send(sender, ReplicaPutDone(message.request, False, refusals.shown(error)))
        elif isinstance(message, ReplicaGet):
            self.desk.send(sender, ReplicaGetDone(message.request, self.replica.record(b""), refusals.shown(error)))
        elif isinstance(message, (ReplicaPutDone, ReplicaGetDone)):
            self.coordinator.fail(message.request, error)
        elif self.antientropy.exchange is not None:
            self.antientropy.abandon(error)

    # Life --------------------------------------------------------------------------------------

    def _on_start(self, event: Start) -> None:
        """Begin, or begin again on what the store remembers."""
        self.replica.start()
        self.coordinator.start()
        remembered = [Member(*fields) for fields in self.store.meta("history", [])]
        self.membership.seeds = event.seeds
        self.membership.adopt(remembered or event.members)
        self._joining = event.joining and self.membership.status in ("", "left")
        for name, period_ms in self._periods():
            if period_ms:
                self.desk.set_timer(name, self.desk.random.uniform(0, period_ms))
        if self._joining:
            self._on_timer_transfer("")

    def _periods(self) -> list[tuple[str, float]]:
        config = self.desk.config
        return [
            ("ping", config.ping_ms),
            ("gossip", config.gossip_ms),
            ("handoff", config.handoff_ms),
            ("antientropy", config.anti_entropy_ms),
            ("reap", self.reaper.period_ms()),
        ]

    def _ring_changed(self) -> None:
        """The membership history grew: remember it, and place everything anew (4.8.1)."""
        self._ring_version = self.membership.version
        self.store.put_meta("history", [list(event) for event in self.membership.history])
        self.replica.place(self.membership.ring)
        if self._joining and self.membership.ring.nodes:
            self._joining = False
            self.membership.announce(self.name, "joining")
            self._ring_changed()
            return
        self.antientropy.find_transfers()
        if self.membership.is_changing:
            self.desk.set_timer("transfer", 0)
        self._hand_off_soon()

    def _hand_off_soon(self) -> None:
        """A peer came back, as its answer shows, or the ring changed: hints do not wait for the next round."""
        if self.desk.config.handoff_ms:
            self.desk.set_timer("handoff", 0)

    # Clients -----------------------------------------------------------------------------------

    def _on_client_put(self, sender: str, message: ClientPut) -> None:
        self._client_request(sender, message, message.n, self.coordinator.put)

    def _on_client_get(self, sender: str, message: ClientGet) -> None:
        self._client_request(sender, message, message.n, self.coordinator.get)

    def _client_request(self, sender: str, message: Any, n: int, coordinate: Callable[..., None]) -> None:
        """Coordinate, or forward to a node of the preference list (4.5, 5)."""
        if message.hops:
            self.refused.check(message, self.desk.now_us)
        if self._waiting() >= self.overload.watched_from and not self._has_begun(message.request):
            self.overload.check(self._waiting())  # What repeats a request is no new work.
        position = position_of(message.key)
        homes = self.membership.walk(position)[:n]
        if not homes:
            raise refusals.no_ring(self.name)
        if self.desk.tracing:
            self.desk.note("request", type(message).__name__, sender, message.key, message.request)
        if self.name not in homes:
            if self.forwarding.forward(sender, message, homes):
                return
            if self.desk.config.strict:
                raise refusals.no_home(self.name)
        self.load.count(self.membership.ring, position, self.desk.now_us)
        coordinate(sender, message, homes)

    def _has_begun(self, request: str) -> bool:
        """Whether an earlier message with this request id was taken on here, by the coordinator or to be forwarded."""
        return self.coordinator.has_begun(request) or request in self.forwarding.open

    def _waiting(self) -> int:
        """Client requests under way here, forwarded ones too."""
        return len(self.coordinator.open) + len(self.forwarding.open)

    def _on_client_leave(self, sender: str, message: ClientLeave) -> None:
        """An administrator's wish that a node leave (4.8.1)."""
        if self.membership.status_of(message.node) in ("up", "joining"):
            self.membership.announce(message.node, "left" if message.force else "leaving")
        self.desk.reply(sender, ClientLeaveDone(message.request, message.node))

    def _on_client_move(self, sender: str, message: ClientMove) -> None:
        """An administrator's wish that a node take over key ranges (6.2)."""
        slots = range(len(self.membership.ring.ranges))
        if self.desk.config.strategy != 3 or any(slot not in slots for slot in message.slots):
            raise InvalidSetting(f"strategy 3 moves key ranges 0 to {len(slots) - 1}; got {message.slots}")
        if self.membership.status_of(message.node) != "up":
            raise UnknownNode(f"node {message.node} is not up in the ring, so it cannot take over key ranges")
        self.membership.announce(message.node, "moving", message.slots)
        self.desk.reply(sender, ClientMoveDone(message.request, message.node))

    # Replicas ----------------------------------------------------------------------------------

    def _on_replica_put(self, sender: str, message: ReplicaPut) -> None:
        """Store a replica, or keep a hint (4.6)."""
        request, key, siblings, home, durable = message
        if durable:
            self.store.sync_next()
        if home in ("", self.name):
            self.replica.absorb(key, siblings, "put")
            self.handoff.look_for_strays((key,))
            stored = True
        else:
            stored = self.replica.keep_hint(home, key, siblings)
        self.desk.send(sender, _replica_put_done((request, stored, "")))

    def _on_replica_get(self, sender: str, message: ReplicaGet) -> None:
        self.desk.send(sender, _replica_get_done((message.request, self.replica.asked(message.key), "")))

    def _on_replica_put_done(self, sender: str, message: ReplicaPutDone) -> None:
        if self.membership.detector.heard(sender):
            self._hand_off_soon()
        self.coordinator.on_replica_put_done(sender, message)

    def _on_replica_get_done(self, sender: str, message: ReplicaGetDone) -> None:
        if self.membership.detector.heard(sender):
            self._hand_off_soon()
        self.coordinator.on_replica_get_done(sender, message)

    def _on_read_repair(self, _sender: str, message: ReadRepair) -> None:
        self.replica.absorb(message.key, message.siblings, "read repair")
        self.handoff.look_for_strays([message.key])

    def _on_keys_get(self, sender: str, message: KeysGet) -> None:
        self.antientropy.on_keys_get(sender, message)
        self.handoff.look_for_strays(message.offered)

    def _on_keys_get_done(self, sender: str, message: KeysGetDone) -> None:
        self.antientropy.on_keys_get_done(sender, message)
        self.handoff.look_for_strays(message.held)

    # Failure detection and gossip ----------------------------------------------------------------

    def _on_ping_done(self, sender: str, _message: PingDone) -> None:
        if self.membership.detector.heard_ping(sender):
            self._hand_off_soon()

    # Timers ------------------------------------------------------------------------------------

    def _on_timer_forward(self, request: str) -> None:
        """A home is silent; when all were, this node coordinates what it had forwarded (4.6)."""
        mine = self.forwarding.on_timer(request)
        if mine is not None:
            waiter, message = mine
            homes = self.membership.walk(position_of(message.key))[: message.n]
            coordinate = self.coordinator.put if isinstance(message, ClientPut) else self.coordinator.get
            coordinate(waiter, message, homes)
            self.forwarding.end(request)

    def _on_timer_breath(self, _: str) -> None:
        self.overload.on_breath(self._waiting(), self.coordinator.open.values())

    def _on_timer_ping(self, _: str) -> None:
        self.desk.set_timer("ping", self.desk.config.ping_ms)
        self.membership.ping()

    def _on_timer_gossip(self, _: str) -> None:
        self.desk.set_timer("gossip", self.desk.config.gossip_ms)
        self.membership.gossip()

    def _on_timer_handoff(self, _: str) -> None:
        self.desk.set_timer("handoff", self.desk.config.handoff_ms)
        self.handoff.round()

    def _on_timer_antientropy(self, _: str) -> None:
        self.desk.set_timer("antientropy", self.desk.config.anti_entropy_ms)
        if self.admission.allows_exchange():
            self.antientropy.round()

    def _on_timer_reap(self, _: str) -> None:
        self.desk.set_timer("reap", self.reaper.period_ms())
        self.reaper.round()

    def _on_timer_transfer(self, _: str) -> None:
        """Our own join or leave goes on, or is tried again."""
        if self._joining:
            self.membership.gossip()
        else:
            self.antientropy.transfer()
        if self._joining or self.membership.is_changing:
            self.desk.set_timer("transfer", TRANSFER_RETRY_MS)
