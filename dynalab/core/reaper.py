"""Forgetting deletions: when a tombstone may go (the paper is silent on it).

Theory of operation.
A delete writes a tombstone, which supersedes the values it has seen.
Forgotten too early, an old copy that still lies somewhere would bring the value back.
So the first home of a key asks all the others, and only when every one of the N homes
has held the very same tombstone for `hint_ttl_ms` do all forget it.
Hints older than that are refused by their receivers, so none can come back later.

DEPARTS: the paper does not say how deletions end; this is what its own rules allow.

Rule 1: all N homes must answer, none may be in doubt: a home that is down keeps the tombstone alive.
Rule 2: a tombstone that changed between question and order is kept.
Rule 3: no tombstone is forgotten while key ranges move.
Rule 4: who has counted writes of the key retires that incarnation (see `replica.py`).
"""

from __future__ import annotations

from dynalab.core.desk import Desk
from dynalab.core.membership import Membership
from dynalab.core.messages import Reap, ReapAsk, ReapAskDone
from dynalab.core.replica import Replica
from dynalab.core.ring import position_of

ASKED_AT_ONCE = 64


class Reaper:
    """The tombstones one node holds, and the questions it has asked about them."""

    def __init__(self, desk: Desk, replica: Replica, membership: Membership) -> None:
        self.desk = desk
        self.replica = replica
        self.membership = membership
        #: {key: (digest asked about, homes that agreed)}
        self._asked: dict[bytes, tuple[bytes, set[str]]] = {}

    def period_ms(self) -> float:
        """How often the tombstones are looked at."""
        return min(max(self.desk.config.hint_ttl_ms / 4, 50), 60_000)

    def round(self) -> None:
        """Ask about tombstones that are old enough, if this node is their first home."""
        self._asked.clear()
        for key in list(self.replica.tombstones):
            homes = self._homes(key)
            if len(self._asked) == ASKED_AT_ONCE or not self._is_ripe(key) or homes[:1] != (self.desk.name,):
                continue
            if all(self.membership.detector.believes_up(home) for home in homes):
                self._ask(key, homes)

    def _ask(self, key: bytes, homes: tuple[str, ...]) -> None:
        digest = self.replica.record(key).digest()
        self._asked[key] = (digest, {self.desk.name})
        for home in homes[1:]:
            self.desk.send(home, ReapAsk(key, digest))
        self._reap_if_agreed(key)

    def on_reap_ask(self, sender: str, message: ReapAsk) -> None:
        """Would we forget it, too?"""
        agreed = self._is_ripe(message.key) and self.replica.record(message.key).digest() == message.digest
        self.desk.send(sender, ReapAskDone(message.key, message.digest, agreed))

    def on_reap_ask_done(self, sender: str, message: ReapAskDone) -> None:
        """One more home agrees, or one does not."""
        digest, agreed = self._asked.get(message.key, (b"", set()))
        if message.agreed and digest == message.digest:
            agreed.add(sender)
            self._reap_if_agreed(message.key)

    def _reap_if_agreed(self, key: bytes) -> None:
        digest, agreed = self._asked[key]
        homes = self._homes(key)
        if set(homes) <= agreed and len(homes) == min(self.desk.config.n, len(self.membership.ring.nodes)):
            del self._asked[key]
            for home in homes[1:]:
                self.desk.send(home, Reap(key, digest))
            self._forget(key, digest)

    def on_reap(self, sender: str, message: Reap) -> None:
        """All homes agreed."""
        if self._homes(message.key)[:1] == (sender,):
            self._forget(message.key, message.digest)

    def _forget(self, key: bytes, digest: bytes) -> None:
        state = self.replica.record(key)
        if state.is_tombstone and state.digest() == digest:
            self.desk.count("tombstones_reaped")
            self.replica.forget(key)

    def _is_ripe(self, key: bytes) -> bool:
        since_us = self.replica.tombstones.get(key)
        settled = self.membership.target is self.membership.ring
        old = since_us is not None and self.desk.now_us - since_us > self.desk.config.hint_ttl_ms * 1000
        return old and settled and not self.replica.store.hints_of(key)

    def _homes(self, key: bytes) -> tuple[str, ...]:
        return self.membership.walk(position_of(key))[: self.desk.config.n]
