"""Who is in the ring, how nodes learn of it, and who is believed up (paper 4.8, 4.9).

Theory of operation.
Joining and leaving are explicit acts of an administrator (4.8.1).
Each act is a `Member` event with an epoch, one above all the epochs its author knew.
A node's **history** is the set of all events it has heard of; gossip makes the union.
The ring is a function of the history alone, so nodes with equal histories agree on every preference list.

    joining -> up        the joiner says `up` when every donor has handed over its key ranges
    leaving -> left      the leaver says `left` when every gainer has got its key ranges
    moving  -> moved     the new owner of a key range says `moved` when it has got it (load balance, 6.2)

Until then the old homes answer, and writes also go to the new ones (4.9).

Who is up is another matter: a local opinion, never gossiped (see `detector.py`).

Rule 1: events are never changed or removed, so merging histories is a set union.
Rule 2: a node's status is its event with the highest epoch; no clock of any wall decides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from dynalab.core import student
from dynalab.core.config import Config
from dynalab.core.desk import Desk, nonsense
from dynalab.core.detector import FailureDetector
from dynalab.core.detector import phi as phi  # noqa: PLC0414 - the paper's readers look for it here
from dynalab.core.messages import Gossip, GossipDone, Member, Ping, PingDone
from dynalab.core.owners import give_back, steal
from dynalab.core.ring import KeyRange, Ring

STATUSES = ("up", "joining", "leaving", "left")
"""What a member can be; the other events, ``moving`` and ``moved``, are about key ranges."""

PEERS_TOLD = 16
"""The author of an event tells so many peers at once; gossip tells the rest."""

PEERS_FORGOTTEN_FROM = 16
"""So many nodes that have left are remembered by the failure detector before it forgets them all."""

PEERS_PINGED = 16
"""In a larger cluster a node pings only those it shares key ranges with, and those it suspects."""


def founding(nodes: Iterable[str], config: Config) -> tuple[Member, ...]:
    """The history of a cluster that begins with these nodes."""
    return tuple(Member(0, node, "up", *_settings_of(node, config)) for node in nodes)


def _settings_of(node: str, config: Config) -> tuple[float, str]:
    return float(config.weights.get(node, 1.0)), config.zones.get(node, "")


class Placement(NamedTuple):
    """The ring that answers now, and the ring once all joins and leaves are through."""

    current: Ring
    target: Ring


@lru_cache(maxsize=64)
def placement(history: tuple[Member, ...], strategy: int, tokens: int, partitions: int) -> Placement:
    """The rings that follow from a history (4.9, 6.2): a pure function of its arguments."""
    settled = [event for event in history if event.status in ("up", "left", "moved")]
    latest = {event.node: event for event in history if event.status in STATUSES}
    coming = [event for event in latest.values() if event.status == "joining"]
    coming += [event._replace(status="moved") for event in pending_moves(history)]
    going = [event._replace(status="left") for event in latest.values() if event.status == "leaving"]
    current = _ring(settled, strategy, tokens, partitions)
    return Placement(
        current, _ring(settled + coming + going, strategy, tokens, partitions) if coming + going else current
    )


def pending_moves(history: tuple[Member, ...]) -> list[Member]:
    """The ``moving`` events whose new owner has not yet said ``moved``."""
    done = {(event.node, event.slot): event.epoch for event in history if event.status == "moved"}
    return [e for e in history if e.status == "moving" and done.get((e.node, e.slot), -1) < e.epoch]


def _ring(events: list[Member], strategy: int, tokens: int, partitions: int) -> Ring:
    members: dict[str, Member] = {}
    owners: tuple[str, ...] = ("",) * partitions
    for event in events:
        if event.status == "moved":
            if event.node in members and 0 <= event.slot < len(owners):
                owners = (*owners[: event.slot], event.node, *owners[event.slot + 1 :])
            continue
        gone = event.status == "left"
        if gone and event.node not in members:
            continue
        weights = {node: member.weight for node, member in members.items()} | {event.node: event.weight}
        members = {node: member for node, member in members.items() if node != event.node}
        if not gone:
            members[event.node] = event
        if strategy == 3:
            owners = give_back(owners, event.node, weights) if gone else steal(owners, event.node, weights)
    zones = {node: member.zone for node, member in members.items() if member.zone}
    if not members:
        return Ring({})
    if strategy == 3:
        return Ring.even(owners, zones)
    weights = {node: member.weight for node, member in members.items()}
    if strategy == 2:
        return Ring.of_partitions(sorted(members), tokens, partitions, weights=weights, zones=zones)
    return Ring.of(sorted(members), tokens, weights=weights, zones=zones)


class Membership:
    """One node's membership history, the rings that follow from it, gossip and pings.

    Attributes:
        history: all events heard of, sorted by epoch and node.
        detector: who is believed up.
        version: counts the changes of the rings; components compare it to notice one.
        ring: the ring that answers now.
        target: the ring once all joins and leaves are through; the same object as `ring` when none is under way.
        is_changing: whether a join, a leave or a move of key ranges is under way.
        is_founding: whether nobody is known to have joined, left or moved since the cluster began.
    """

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.detector = FailureDetector(desk)
        self.seeds: tuple[str, ...] = ()
        self.history: tuple[Member, ...] = ()
        self.digest = b""
        self.version = 0
        self.is_founding = True
        #: all other nodes that have not left, sorted
        self._peers: list[str] = []
        #: {node: its latest event}
        self.latest: dict[str, Member] = {}
        self._pings = 0
        #: the latest answer to a ping
        self._ping_done = PingDone(0)
        #: {node: key ranges that it and this node keep}, as of `_shared_version`
        self._shared: dict[str, list[KeyRange]] = {}
        self._shared_version = -1
        self.adopt(())

    @property
    def status(self) -> str:
        """What the history says of this node; empty: not a member."""
        return self.status_of(self.desk.name)

    def status_of(self, node: str) -> str:
        """What the history says of `node`; empty: never heard of."""
        return self.latest[node].status if node in self.latest else ""

    def peers(self) -> list[str]:
        """All other nodes that have not left, sorted."""
        return list(self._peers)

    def walk(self, position: int) -> tuple[str, ...]:
        """Homes and fallbacks of a position, by the ring that answers now."""
        if self._has_ring and self.desk.parts.ring is None:
            return self.ring.walk(position)
        return self._walk(self.ring, position)

    def newcomers(self, position: int, n: int) -> list[str]:
        """Homes of a position in the target ring that are not homes now: writes go there too (4.9)."""
        if not self.is_changing:
            return []
        homes = self.walk(position)[:n]
        return [node for node in self.target_homes(position, n) if node not in homes]

    def keeps(self, position: int) -> bool:
        """Whether this node keeps keys of this position, now or once all changes are through."""
        n, here = self.desk.config.n, self.desk.name
        return here in self.walk(position)[:n] or (self.is_changing and here in self.newcomers(position, n))

    def target_homes(self, position: int, n: int) -> tuple[str, ...]:
        """Homes of a position once all joins and leaves are through."""
        return self._walk(self.target, position)[:n]

    def shared_ranges(self) -> dict[str, list[KeyRange]]:
        """``{peer: key ranges that both it and this node keep}``; computed once for each ring."""
        if self._shared_version != self.version:
            self._shared_version = self.version
            self._shared = {}
            n, here = self.desk.config.n, self.desk.name
            for key_range in self.ring.ranges:
                homes = self.walk(key_range.end)[:n]
                for peer in homes if here in homes else ():
                    self._shared.setdefault(peer, []).append(key_range)
        return {peer: ranges for peer, ranges in self._shared.items() if peer != self.desk.name}

    def home_ranges(self) -> list[KeyRange]:
        """The key ranges this node keeps."""
        self.shared_ranges()
        return self._shared.get(self.desk.name, [])

    def _walk(self, ring: Ring, position: int) -> tuple[str, ...]:
        if not ring.nodes:
            return ()
        part = self.desk.parts.ring
        return ring.walk(position) if part is None else student.walk(self.desk, part, ring, position)

    # History ---------------------------------------------------------------------------------

    def adopt(self, events: Iterable[Member]) -> bool:
        """Add events to the history; answers whether any was new (4.8.1, "reconcile")."""
        history = tuple(sorted({*self.history, *events}))
        if history == self.history and self.digest:
            return False
        config = self.desk.config
        self.history = history
        self.digest = hashlib.blake2b(repr(history).encode(), digest_size=16).digest()
        self.latest = {event.node: event for event in history if event.status in STATUSES}
        self.is_founding = not history or history[-1].epoch == 0
        here = self.desk.name
        self._peers = sorted(node for node, event in self.latest.items() if event.status != "left" and node != here)
        self.ring, self.target = placement(history, config.strategy, config.tokens, config.partitions)
        self.is_changing, self._has_ring = self.target is not self.ring, bool(self.ring.nodes)
        self.version += 1
        return True

    def announce(self, node: str, status: str, slots: Iterable[int] = (-1,)) -> None:
        """Add an event of our own making, after all we know (4.8.1); one for each of `slots` when key ranges move."""
        epoch = 1 + max((event.epoch for event in self.history), default=0)
        known = self.latest.get(node)
        weight, zone = (known.weight, known.zone) if known else _settings_of(node, self.desk.config)
        self.adopt([Member(epoch, node, status, weight, zone, slot) for slot in slots])
        self.desk.note("member", peer=node, status=status, epoch=epoch)
        peers = self.peers()
        for peer in peers if len(peers) <= PEERS_TOLD else self.desk.random.sample(peers, PEERS_TOLD):
            self.desk.send(peer, Gossip(self.digest, self.history))

    # Gossip ----------------------------------------------------------------------------------

    def gossip(self) -> None:
        """One round: show the digest of the history to one random peer, or seed (4.8.1, 4.8.2)."""
        candidates = sorted({*self.peers(), *self.seeds} - {self.desk.name})
        if candidates:
            self.desk.send(self.desk.random.choice(candidates), Gossip(self.digest, ()))

    def on_gossip(self, sender: str, message: Gossip) -> bool:
        """A peer shows its digest, or in a third message its history; answers whether ours changed."""
        changed = self._hear(sender, message.history)
        if message.digest != self.digest and not message.history:
            self.desk.send(sender, GossipDone(self.digest, self.history))
        return changed

    def on_gossip_done(self, sender: str, message: GossipDone) -> bool:
        """The peer's history; if it lacks events of ours, send them. Answers whether ours changed."""
        changed = self._hear(sender, message.history)
        if message.digest != self.digest:
            self.desk.send(sender, Gossip(self.digest, self.history))
        return changed

    def _hear(self, sender: str, events: tuple[Member, ...]) -> bool:
        if not events:
            return False
        part = self.desk.parts.gossip
        heard = self.adopt(events if part is None else self._merged_by_part(part, events))
        if heard:
            self.desk.note("member", peer=sender, events=len(self.history))
        return heard

    def _merged_by_part(self, part: Any, events: tuple[Member, ...]) -> list[Member]:
        """The student's union of two histories, as ``{"epoch:node": [status, weight, zone]}``."""
        merged = self.desk.call_part("gossip", part, _as_dict(self.history), _as_dict(events))
        try:
            return [_as_member(name, fields) for name, fields in merged.items()]
        except (AttributeError, TypeError, ValueError):
            raise nonsense("gossip", merged, "a dict like the two it was given") from None

    # Pings -----------------------------------------------------------------------------------

    def ping(self) -> None:
        """Judge the silence of the peers, then ping them (4.8.3)."""
        peers = self._peers
        if len(self.detector) > len(peers) + PEERS_FORGOTTEN_FROM:
            self.detector.forget_all_but(peers)
        if len(peers) > PEERS_PINGED:
            neighbours = {*self.shared_ranges(), *self.detector.suspects}
            peers = [peer for peer in peers if peer in neighbours]
        self.detector.tick(peers)
        self._pings += 1
        ping = Ping(self._pings)
        for peer in peers:
            self.desk.send(peer, ping)

    def on_ping(self, sender: str, message: Ping) -> None:
        """Answer; the answer, not the ping, is the sign that both directions work."""
        if self._ping_done.number != message.number:  # Peers that began together ping with equal numbers.
            self._ping_done = PingDone(message.number)
        self.desk.send(sender, self._ping_done)


def _as_dict(history: Iterable[Member]) -> dict[str, list[Any]]:
    return {
        f"{event.epoch}:{event.node}" + (f":{event.slot}" if event.slot >= 0 else ""): [
            event.status,
            event.weight,
            event.zone,
        ]
        for event in history
    }


def _as_member(name: str, fields: list[Any]) -> Member:
    epoch, node, *slot = name.split(":")
    status, weight, zone = fields
    if status not in (*STATUSES, "moving", "moved") or not isinstance(zone, str):
        raise ValueError(status)
    return Member(int(epoch), node, status, float(weight), zone, int(slot[0]) if slot else -1)
