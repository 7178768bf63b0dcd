"""Whom a request asks, and who stands in for a home that cannot be reached: the sloppy quorum (paper 4.6).

Rule 1: homes first; for one that is believed down, or stays silent, the next healthy node of the walk.
Rule 2: nobody is asked twice for one request, so a quorum counts distinct nodes.
Rule 3: a stand-in for a write keeps it as a hint for that home.
Rule 4: in the buffered mode one of those who keep a write is asked to sync it at once, another one if it is silent;
the quorum waits for W of them, whichever they are: "durable writes" of section 6.1.
"""

from __future__ import annotations

from dynalab.core import student
from dynalab.core.desk import Desk
from dynalab.core.membership import Membership
from dynalab.core.replica import Replica
from dynalab.core.requests import PutRequest, Request
from dynalab.core.ring import position_of


class Asking:
    """Sends the questions of one coordinator."""

    def __init__(self, desk: Desk, replica: Replica, membership: Membership) -> None:
        self.desk = desk
        self.replica = replica
        self.membership = membership
        self._syncs_one = desk.config.durability == "buffered"

    def ask_homes(self, request: PutRequest) -> None:
        """Send a write to all homes but those that this node is, or stands in for (4.5)."""
        here = self.desk.name
        for home in request.homes:
            if home != here and home != request.asked.get(here):
                self.ask_home(request, home)
        if self._syncs_one:
            self._sync_here(request)

    def ask_home(self, request: Request, home: str) -> None:
        """Ask a home, or whoever stands in for it when it is believed down (4.6)."""
        if not self.membership.detector.believes_up(home) and self.sloppy:
            stand_in = self.stand_in(request, home)
            if stand_in is not None:
                self.ask(request, stand_in, home)
                return
        self.ask(request, home, "")

    def ask(self, request: Request, node: str, home: str) -> None:
        request.asked[node] = home
        request.silent[node] = None
        if self._syncs_one and isinstance(request, PutRequest) and not request.durable_at:
            request.durable_at = node
            self.desk.send(node, request.question(home)._replace(durable=True))
        else:
            self.desk.send(node, request.question(home))

    def stand_in(self, request: Request, home: str) -> str | None:
        """The next healthy node of the walk that nobody has asked yet."""
        walk = self.membership.walk(position_of(request.key))
        believes_up = self.membership.detector.believes_up
        candidates = [n for n in request.untried(walk) if n != self.desk.name and believes_up(n)]
        return student.fallback(self.desk, home, candidates)

    def replace(self, request: Request, node: str) -> None:
        """`node` is silent, or refused: ask the next one in its place, or keep the hint here."""
        request.gives_up(node)
        if isinstance(request, PutRequest) and request.durable_at == node:
            request.durable_at = ""
        if not self.sloppy:
            return
        home = request.asked[node] or node
        stand_in = self.stand_in(request, home)
        if stand_in is not None:
            self.ask(request, stand_in, home)
            return
        if isinstance(request, PutRequest):
            self.keep_hint_here(request, home)
        if home not in request.asked and home != self.desk.name:
            self.ask(request, home, "")  # The last resort: it was only believed to be down.

    def keep_hint_here(self, request: PutRequest, home: str) -> None:
        if home != self.desk.name and home in request.uncovered:
            self.replica.keep_hint(home, request.key, request.state)
            request.uncovered.discard(home)
            if self._syncs_one:
                self._sync_here(request)

    def _sync_here(self, request: PutRequest) -> None:
        """Nobody else was asked to sync the write: this node does."""
        if not request.durable_at:
            request.durable_at = self.desk.name
            self.replica.store.sync_next()

    @property
    def sloppy(self) -> bool:
        return self.desk.config.hints and not self.desk.config.strict
