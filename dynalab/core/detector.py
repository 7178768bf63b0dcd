"""Who is believed up: a local opinion, never gossiped (paper 4.8.3).

Theory of operation.
Every answered ping is a sign of life. The longer the silence, compared with the usual interval,
the more surprising it is; `phi` measures the surprise, and above a threshold the peer is suspected.
A request that timed out suspects at once: gossip or pings alone would convict far too late.

Rule: a suspicion changes whom this node asks, nothing else; membership is never changed by it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Iterable
from typing import Any

from dynalab.core.desk import Desk

INTERVALS_KEPT = 100
"""How many ping intervals the detector remembers of each peer."""


LN_10 = math.log(10)


def phi(silent_ms: float, mean_interval_ms: float) -> float:
    """How surprising a silence is: minus log10 of the chance that it lasts so long (phi accrual).

    With exponential intervals that is ``silent / (mean * ln 10)``:
    a silence of 2.3 mean intervals has phi 1, of 9.2 mean intervals phi 4.

    Args:
        silent_ms: time since the peer was last heard, >= 0.
        mean_interval_ms: mean time between two signs of life, > 0.

    >>> round(phi(4605, 500), 2)
    4.0
    """
    if not mean_interval_ms > 0:
        raise ValueError(f"mean_interval_ms must be above 0; got {mean_interval_ms!r}")
    return max(silent_ms, 0.0) / (mean_interval_ms * LN_10)


class _Peer:
    """What this node knows of one peer's signs of life."""

    __slots__ = ("_sum_us", "answered_us", "heard_us", "intervals_us", "suspected")

    def __init__(self, now_us: int) -> None:
        self.heard_us = now_us
        self.answered_us = -1
        self.intervals_us: deque[int] = deque(maxlen=INTERVALS_KEPT)
        self.suspected = False
        self._sum_us = 0

    def add_interval(self, interval_us: int) -> None:
        """One more time between two signs of life; of many the oldest is forgotten."""
        intervals_us = self.intervals_us
        if len(intervals_us) == INTERVALS_KEPT:
            self._sum_us -= intervals_us[0]
        self._sum_us += interval_us
        intervals_us.append(interval_us)

    def mean_us(self, floor_us: int) -> float:
        """The mean of the intervals, at least `floor_us`."""
        return max(self._sum_us / len(self.intervals_us), floor_us) if self.intervals_us else floor_us


class FailureDetector:
    """A local opinion of who is up (4.8.3).

    Suspicion begins when phi exceeds `Config.phi`, or at once when a request to the peer timed out.
    It ends when the peer answers anything.
    With pings every 500 ms and phi 4, silence is suspected after about 4.6 s.
    """

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        #: {peer: what is known of it}
        self._peers: dict[str, _Peer] = {}
        self._tick_us: int | None = None
        self._floor_us = max(desk.config.ping_ms, 1) * 1000
        #: peers suspected now; kept for quick look-up
        self.suspects: set[str] = set()

    def believes_up(self, peer: str) -> bool:
        """Whether this node would send the peer a request."""
        return peer not in self.suspects

    def heard(self, peer: str) -> bool:
        """A sign of life; answers whether a suspicion ended."""
        known = self._peers.get(peer) or self._peer(peer)
        known.answered_us = self.desk.now_us
        return known.suspected and self._trust(peer, known)

    def heard_ping(self, peer: str) -> bool:
        """A ping was answered: a sign of life, and one more interval; answers whether a suspicion ended."""
        known, now_us = self._peers.get(peer) or self._peer(peer), self.desk.now_us
        if not known.suspected:
            known.add_interval(now_us - known.heard_us)
        known.heard_us = known.answered_us = now_us
        return known.suspected and self._trust(peer, known)

    def suspect(self, peer: str, why: str, asked_us: int | None = None) -> None:
        """Believe from now on that `peer` is down.

        With `asked_us`, the time of the question it left unanswered, one that has answered something since is spared:
        then the question was lost, not the peer.
        Soon after a stop of this node itself everybody is: their answers came meanwhile, and wait to be heard.
        """
        known = self._peer(peer)
        spared = asked_us is not None and known.answered_us > asked_us
        spared = spared or self.desk.sent_us() < self.desk.now_us
        if not known.suspected and not spared:
            known.suspected = True
            self.suspects.add(peer)
            self.desk.count("suspicions")
            self.desk.note("suspect", peer=peer, why=why)

    def tick(self, peers: Iterable[str]) -> None:
        """Judge the silence of all peers; called at every ping round.

        After a pause of this node itself every peer looks silent, so its windows begin anew first.
        """
        self._forgive_own_pause()
        # No mean interval is below the floor, so who was heard later than this cannot exceed the threshold.
        lately_us = self.desk.now_us - self.desk.config.phi * self._floor_us
        for peer in peers:
            known = self._peers.get(peer) or self._peer(peer)
            if known.heard_us < lately_us:
                silence = self.phi_of(peer)
                if silence > self.desk.config.phi:
                    self.suspect(peer, f"phi {silence:.1f}")

    def phi_of(self, peer: str) -> float:
        """How surprising the peer's silence is now."""
        known = self._glance(peer)
        return phi((self.desk.now_us - known.heard_us) / 1000, known.mean_us(self._floor_us) / 1000)

    def forget_all_but(self, peers: Collection[str]) -> None:
        """Keep nothing of nodes that are no peers any more: names that come and go must not add up."""
        for gone in [peer for peer in self._peers if peer not in peers]:
            del self._peers[gone]
            self.suspects.discard(gone)

    def __len__(self) -> int:
        """How many peers it remembers."""
        return len(self._peers)

    def opinions(self, peers: Iterable[str]) -> dict[str, dict[str, Any]]:
        """For each peer: believed_up, phi, silent_ms."""
        return {
            peer: {
                "believed_up": self.believes_up(peer),
                "phi": round(self.phi_of(peer), 3),
                "silent_ms": (self.desk.now_us - self._glance(peer).heard_us) // 1000,
            }
            for peer in peers
        }

    def _trust(self, peer: str, known: _Peer) -> bool:
        """Suspect it no more; answers that a suspicion ended."""
        known.suspected = False
        known.heard_us = self.desk.now_us
        self.suspects.discard(peer)
        self.desk.note("trust", peer=peer)
        return True

    def _forgive_own_pause(self) -> None:
        now_us, period_us = self.desk.now_us, self.desk.config.ping_ms * 1000
        late_us = 0 if self._tick_us is None else now_us - self._tick_us - period_us
        if late_us > 2 * period_us:
            self.desk.note("note", text=f"own timers were {late_us // 1000} ms late: windows begin anew")
            for known in self._peers.values():
                known.heard_us = now_us
        self._tick_us = now_us

    def _peer(self, peer: str) -> _Peer:
        if peer not in self._peers:
            self._peers[peer] = _Peer(self.desk.now_us)
        return self._peers[peer]

    def _glance(self, peer: str) -> _Peer:
        """What is known of a peer; looking does not begin its silence, so an inspection changes nothing."""
        return self._peers.get(peer) or _Peer(self.desk.now_us)
