"""Bring every copy home: hinted handoff, and keys the ring has given to others (paper 4.6, 4.9).

Theory of operation.
Two kinds of copies lie in the wrong place.
A **hint** was taken for a home that could not be reached; when the home is believed up again, it is delivered.
A **misplaced** record became so when the ring changed; it goes to all its homes.
Both are sent, confirmed, and only then forgotten.

Rule 1: a copy is forgotten only after its new home has confirmed that it is stored.
Rule 2: what changed since it was sent is not forgotten; it is sent again.
Rule 3: delivering twice changes nothing (the receiver merges).
Rule 4: a hint for a node that has left the ring goes to the key's homes of today.
"""

from __future__ import annotations

from collections.abc import Iterable

from dynalab.core import student
from dynalab.core.admission import Admission
from dynalab.core.desk import Desk
from dynalab.core.membership import Membership
from dynalab.core.messages import HintDeliver, HintDeliverDone
from dynalab.core.replica import Replica
from dynalab.core.ring import position_of
from dynalab.core.store import Hint, Record

DELIVERIES_AT_ONCE = 256


class Handoff:
    """The copies one node keeps for others, on their way home."""

    def __init__(self, desk: Desk, replica: Replica, membership: Membership, admission: Admission) -> None:
        self.desk = desk
        self.replica = replica
        self.membership = membership
        self.admission = admission
        #: {delivery: (to, key, what was sent, the hint it came from or None)}
        self._on_the_way: dict[str, tuple[str, bytes, Record, Hint | None]] = {}
        #: {key: {home: record it has confirmed}}, for keys whose homes are elsewhere
        self.misplaced: dict[bytes, dict[str, Record]] = {}
        self._deliveries = 0
        self._ring_version = -1

    def round(self) -> None:
        """Look at the hints, and at misplaced keys, and send a slice of them (4.6: "scans periodically")."""
        self._on_the_way.clear()
        self._find_misplaced()
        slice_ = min(self.admission.background_slice(), DELIVERIES_AT_ONCE)
        self._expire()
        for hint in self._due_hints(slice_):
            self._send_hint(hint)
        for key in list(self.misplaced)[:slice_]:
            self._send_misplaced(key)

    def _expire(self) -> None:
        oldest_us = self.desk.now_us - self.desk.config.hint_ttl_ms * 1000
        for hint in self.replica.store.hints():
            if hint.kept_us < oldest_us:
                self.replica.drop_hint(hint, "expired")
                self.desk.count("hints_expired")

    # Hints -------------------------------------------------------------------------------------

    def _due_hints(self, limit: int) -> list[Hint]:
        believes_up = self.membership.detector.believes_up
        due = [hint for hint in self.replica.store.hints() if believes_up(hint.home) or self._has_left(hint.home)]
        if self.desk.parts.handoff is None:
            return due[:limit]
        chosen: list[Hint] = []
        up = [peer for peer in self.membership.peers() if believes_up(peer)]
        while len(chosen) < limit:
            hint = student.next_hint(self.desk, [hint for hint in due if hint not in chosen], up)
            if hint is None:
                break
            chosen.append(hint)
        return chosen

    def _has_left(self, home: str) -> bool:
        return self.membership.status_of(home) in ("left", "")

    def _send_hint(self, hint: Hint) -> None:
        if hint.home == self.desk.name or self._has_left(hint.home):
            self._take_over(hint)
        else:
            self._deliver(hint.home, hint.key, hint.record, hint)

    def _take_over(self, hint: Hint) -> None:
        """The hint is for us, or its home has left: the key's homes of today get it (rule 4)."""
        self.replica.absorb(hint.key, hint.record.siblings, "hint")
        self.replica.drop_hint(hint)
        self.look_for_strays((hint.key,))

    # Misplaced keys ------------------------------------------------------------------------------

    def look_for_strays(self, keys: Iterable[bytes]) -> None:
        """What was stored may belong elsewhere: its sender knew an older ring than we do.

        Nobody can know a ring older than the first; for one newer than ours, we look through all keys when we learn it.
        """
        if self.membership.is_founding and self.desk.parts.ring is None:
            return
        for key in keys:
            if not self.membership.keeps(position_of(key)):
                self.misplaced.setdefault(key, {})

    def _find_misplaced(self) -> None:
        """After a change of the ring: which keys are no longer ours? (4.9)"""
        if self._ring_version == self.membership.version or self.replica.forest is None:
            return
        self._ring_version = self.membership.version
        self.misplaced.clear()
        for key_range, keys in self.replica.forest.keys_by_range():
            if not self.membership.keeps(key_range.end):
                self.misplaced |= {key: {} for key in keys}

    def _send_misplaced(self, key: bytes) -> None:
        record = self.replica.store.get(key)
        if record is None or self.membership.keeps(position_of(key)):
            self.misplaced.pop(key, None)
            return
        confirmed = self.misplaced[key]
        homes = self.membership.walk(position_of(key))[: self.desk.config.n]
        missing = [home for home in homes if confirmed.get(home) != record]
        if homes and not missing:
            del self.misplaced[key]
            self.replica.forget(key)
        for home in missing:
            if self.membership.detector.believes_up(home):
                self._deliver(home, key, record, None)

    # Delivery ------------------------------------------------------------------------------------

    def _deliver(self, to: str, key: bytes, record: Record, hint: Hint | None) -> None:
        self._deliveries += 1
        delivery = f"{self.desk.name}.{self.desk.now_us:x}.{self._deliveries:x}"
        self._on_the_way[delivery] = (to, key, record, hint)
        age_us = 0 if hint is None else max(0, self.desk.now_us - hint.kept_us)
        self.desk.send(to, HintDeliver(delivery, key, record.siblings, age_us))

    def on_hint_deliver(self, sender: str, message: HintDeliver) -> None:
        """Something of ours was kept elsewhere: take it, then confirm (4.6)."""
        if message.age_us <= self.desk.config.hint_ttl_ms * 1000:
            self.replica.absorb(message.key, message.siblings, "handoff")
            self.look_for_strays((message.key,))
        else:
            self.desk.count("hints_too_old")
            self.desk.note("refuse", peer=sender, key=message.key, text="the hint is older than hint_ttl_ms")
        self.desk.send(sender, HintDeliverDone(message.delivery, True))

    def on_hint_deliver_done(self, sender: str, message: HintDeliverDone) -> None:
        """The home has it: forget our copy, if it is still the one that was sent (rules 1, 2)."""
        to, key, record, hint = self._on_the_way.pop(message.delivery, ("", b"", None, None))
        if to != sender or record is None or not message.stored:
            self.desk.count("late_replies")
            return
        self.desk.count("handoffs")
        self.desk.note("handoff", peer=sender, key=key)
        if hint is None:
            self.misplaced.setdefault(key, {})[sender] = record
            self._send_misplaced_if_done(key)
        elif self.replica.store.hint(hint.home, key) == hint:
            self.replica.drop_hint(hint)

    def _send_misplaced_if_done(self, key: bytes) -> None:
        homes = self.membership.walk(position_of(key))[: self.desk.config.n]
        if all(home in self.misplaced[key] for home in homes):
            self._send_misplaced(key)
