"""Forgetting deletions: when a tombstone may go (the paper is silent on it).

Theory of operation.
A delete writes a tombstone, which supersedes the values it has seen.
Forgotten too early, an old copy that still lies somewhere would bring the value back.
So the first home of a key asks everybody else; only when every one of the N homes
has held the very same tombstone for `hint_ttl_ms`, and nobody else holds anything of the key, do the homes forget it.
Hints older than that are refused by their receivers, so none can come back later.
A copy may be on its way for a while before it becomes a hint; for so long the tombstone is kept on top.

DEPARTS: the paper does not say how deletions end; this is what its own rules allow.

Rule 1: every member must answer, none may be in doubt: a node that is down keeps the tombstone alive.
Not the homes alone: one that lost the key range to others while it was down hands over its old copy later (4.9).
Rule 2: a tombstone that changed between question and order is kept.
Rule 3: no tombstone is forgotten while key ranges move.
Rule 4: who has counted writes of the key retires that incarnation (see `replica.py`).
"""

from __future__ import annotations

from dynalab.core.desk import SILENT_PINGS, Desk
from dynalab.core.membership import Membership
from dynalab.core.messages import Reap, ReapAsk, ReapAskDone
from dynalab.core.replica import NOTHING, Replica
from dynalab.core.ring import position_of

ASKED_AT_ONCE = 64


class Reaper:
    """The tombstones one node holds, and the questions it has asked about them."""

    def __init__(self, desk: Desk, replica: Replica, membership: Membership) -> None:
        self.desk = desk
        self.replica = replica
        self.membership = membership
        #: {key: (digest asked about, nodes that agreed)}
        self._asked: dict[bytes, tuple[bytes, set[str]]] = {}

    def period_ms(self) -> float:
        """How often the tombstones are looked at."""
        return min(max(self.desk.config.hint_ttl_ms / 4, 50), 60_000)

    def round(self) -> None:
        """Ask about tombstones that are old enough, if this node is their first home."""
        self._asked.clear()
        if not all(self.membership.detector.believes_up(peer) for peer in self.membership.peers()):
            return
        for key in list(self.replica.tombstones):
            homes = self._homes(key)
            if len(self._asked) < ASKED_AT_ONCE and self._is_ripe(key) and homes[:1] == (self.desk.name,):
                self._ask(key)

    def _ask(self, key: bytes) -> None:
        digest = self.replica.record(key).digest()
        self._asked[key] = (digest, {self.desk.name})
        for peer in self.membership.peers():
            self.desk.send(peer, ReapAsk(key, digest))
        self._reap_if_agreed(key)

    def on_reap_ask(self, sender: str, message: ReapAsk) -> None:
        """Would we forget it, too? Who is no home of the key must hold nothing of it."""
        key = message.key
        if self.desk.name in self._homes(key):
            agreed = self._is_ripe(key) and self.replica.record(key).digest() == message.digest
        else:
            agreed = self.replica.read(key) == NOTHING
        self.desk.send(sender, ReapAskDone(key, message.digest, agreed))

    def on_reap_ask_done(self, sender: str, message: ReapAskDone) -> None:
        """One more node agrees, or one does not."""
        digest, agreed = self._asked.get(message.key, (b"", set()))
        if message.agreed and digest == message.digest:
            agreed.add(sender)
            self._reap_if_agreed(message.key)

    def _reap_if_agreed(self, key: bytes) -> None:
        digest, agreed = self._asked[key]
        homes = self._homes(key)
        everybody = {*self.membership.peers(), self.desk.name}
        if everybody <= agreed and len(homes) == min(self.desk.config.n, len(self.membership.ring.nodes)):
            del self._asked[key]
            for home in homes[1:]:
                self.desk.send(home, Reap(key, digest))
            self._forget(key, digest)

    def on_reap(self, sender: str, message: Reap) -> None:
        """All agreed."""
        if self._homes(message.key)[:1] == (sender,):
            self._forget(message.key, message.digest)

    def _forget(self, key: bytes, digest: bytes) -> None:
        state = self.replica.record(key)
        if state.is_tombstone and state.digest() == digest:
            self.desk.count("tombstones_reaped")
            self.replica.forget(key)

    def _is_ripe(self, key: bytes) -> bool:
        since_us = self.replica.tombstones.get(key)
        settled = not self.membership.is_changing
        old = since_us is not None and self.desk.now_us - since_us > self._ripe_ms() * 1000
        return old and settled and not self.replica.store.hints_of(key)

    def _ripe_ms(self) -> int:
        config = self.desk.config
        return config.hint_ttl_ms + config.timeout_ms + config.ping_ms * SILENT_PINGS

    def _homes(self, key: bytes) -> tuple[str, ...]:
        return self.membership.walk(position_of(key))[: self.desk.config.n]
