"""One state machine per client request: what was asked, who answered, what is missing (paper 5).

These are values that only count; `coordinator.py` sends, waits and replies.

Rule 1: a quorum counts distinct nodes, never messages.
Rule 2: `asked` says for whom each node answers: empty when it is a home, else the home it stands in for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from dynalab.core.clock import Context, Dot
from dynalab.core.messages import ReplicaGet, ReplicaPut
from dynalab.core.quick import maker
from dynalab.core.version import Siblings

_replica_put, _replica_get = maker(ReplicaPut), maker(ReplicaGet)

LATE_US = 50_000
"""A timer that fires so late was kept waiting by the node itself."""


class Request(ABC):
    """What puts and gets have in common.

    Attributes:
        op: the coordinator's own name for it, unique among its incarnations and restarts.
        alarm: the name of its timer.
        request: the client's name for it.
        waiters: who is answered; more than one when a client retried meanwhile.
        homes: the first n nodes of the preference list.
        need: R or W.
        asked: ``{node: home it stands in for, or ""}``, in the order they were asked.
        silent: ``{node: None}``: those of them that have neither answered nor been given up, in the same order.
        given_up: nodes that were silent too long, or refused; somebody else was asked in their place.
        look_us: when the node meant to look at it again.
        waited_longer: whether it was given more time because the node was late itself.
        counted: the counter of those that were answered.
    """

    kind = ""
    counted = ""
    given_up: frozenset[str] = frozenset()
    started_us = deadline_us = look_us = 0
    waited_longer = False

    def __init__(self, op: str, request: str, waiter: str, key: bytes, homes: tuple[str, ...], need: int) -> None:
        self.op = op
        self.alarm = f"request:{op}"
        self.request = request
        self.waiters = [waiter]
        self.key = key
        self.homes = homes
        self.need = need
        self.replied = False
        self.asked: dict[str, str] = {}
        self.silent: dict[str, None] = {}

    def gives_up(self, node: str) -> None:
        """Nobody waits for `node` any more."""
        self.given_up |= {node}
        self.silent.pop(node, None)

    def was_kept_waiting(self, now_us: int) -> bool:
        """Whether its timer came late: this node, not its peers, is slow, and their answers may wait behind us.

        True at most once for a request, and never beyond its deadline.
        """
        late = now_us - self.look_us >= LATE_US and not self.waited_longer and now_us < self.deadline_us
        self.waited_longer = self.waited_longer or late
        return late

    @abstractmethod
    def answered_by(self) -> Iterable[str]:
        """The distinct nodes that answered, in order."""

    @abstractmethod
    def question(self, home: str) -> ReplicaPut | ReplicaGet:
        """What a node is asked that stands in for `home`; empty: a home is asked. All homes get the same message."""

    @abstractmethod
    def replies(self) -> list[dict[str, Any]]:
        """The answers as a student's quorum part sees them."""

    def untried(self, walk: Iterable[str]) -> list[str]:
        """Nodes beyond the homes that could still stand in for somebody."""
        return [node for node in walk if node not in self.homes and node not in self.asked]

    def described(self) -> dict[str, Any]:
        """The request for people: need, got and the nodes that answered."""
        nodes = list(self.answered_by())
        return {"request": self.request, "kind": self.kind, "need": self.need, "got": len(nodes), "nodes": nodes}


class PutRequest(Request):
    """A put under way (4.5).

    Attributes:
        state: what the replicas are to store.
        dot: the name of the new write.
        context: what the client will have seen once it is answered; sealed.
        used: the context the write replaced.
        acked: ``{node: True}``: who has stored it, in order.
        uncovered: homes that have no copy yet, neither their own nor a hint somewhere.
        durable_at: who syncs it at once in the buffered mode (6.1); empty: nobody yet.
    """

    kind = "put"
    counted = "puts_ok"
    durable_at = ""

    def begin(self, state: Siblings, dot: Dot, wall_us: int, deleted: bool, context: Context, used: Context) -> None:
        """What is known once the new version is made."""
        self.state = state
        self.dot = dot
        self.wall_us = wall_us
        self.deleted = deleted
        self.context = context
        self.used = used
        self.acked: dict[str, bool] = {}
        self.uncovered = set(self.homes)
        self._to_homes = _replica_put((self.op, self.key, state, "", False))

    def question(self, home: str) -> ReplicaPut:
        """Keep the state: as a replica, or as a hint."""
        return self._to_homes._replace(home=home) if home else self._to_homes

    def answered_by(self) -> Iterable[str]:
        return self.acked

    def hinted(self) -> tuple[tuple[str, str], ...]:
        """``(holder, home)`` for every copy that waits for its home."""
        if not any(self.asked.values()):
            return ()
        return tuple((node, self.asked[node]) for node in self.acked if self.asked.get(node))

    def stored_by(self, node: str) -> None:
        """`node` has stored it: as a replica, or as a hint for the home it stands in for."""
        self.acked[node] = True
        self.silent.pop(node, None)
        self.uncovered.discard(self.asked.get(node) or node)

    def replies(self) -> list[dict[str, Any]]:
        """The answers as a student's quorum part sees them."""
        return [{"node": node, "hinted_for": self.asked.get(node) or None} for node in self.acked]


class GetRequest(Request):
    """A get under way (5, the five steps).

    Attributes:
        answers: ``{node: what it holds}``, in order.
    """

    kind = "get"
    counted = "gets_ok"

    def __init__(self, op: str, request: str, waiter: str, key: bytes, homes: tuple[str, ...], need: int) -> None:
        super().__init__(op, request, waiter, key, homes, need)
        self.answers: dict[str, Siblings] = {}
        self._question = _replica_get((op, key))

    def question(self, home: str) -> ReplicaGet:
        """What do you hold?"""
        return self._question

    def answers_with(self, node: str, state: Siblings) -> None:
        """`node` holds this."""
        self.answers[node] = state
        self.silent.pop(node, None)

    def answered_by(self) -> Iterable[str]:
        return self.answers

    def replies(self) -> list[dict[str, Any]]:
        """The answers as a student's quorum part sees them."""
        return [
            {"node": node, "clock": dict(state.clock), "hinted_for": self.asked.get(node) or None}
            for node, state in self.answers.items()
        ]
