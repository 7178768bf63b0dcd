"""A node that cannot keep up turns new clients away before it starves its peers (paper 6.5).

Theory of operation.
While many requests are open, the node sets itself a short timer, the **breath**.
A breath that comes late was kept waiting behind messages: the node itself is behind, not some link or peer.
When it is behind, and its clients wait for longer than half of `Config.slo_ms`, the limit of open requests shrinks;
otherwise it grows back to `Config.max_requests`. Beyond the limit a request is refused at once, which costs little,
so that messages of peers, which wait in the same queue, are served in time.

Rule 1: slow links and dead peers never make a node refuse clients; only its own lateness does.
Rule 2: a refusal is definite, and says when to come back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dynalab.core.admission import Admission
from dynalab.core.desk import Desk
from dynalab.core.errors import Overloaded
from dynalab.core.requests import Request

WATCHED_FROM = 32
"""With fewer open requests nobody takes a breath; it is also the least limit."""

BREATH_MS = 20

LATE_US = 10_000
"""A breath later than this, on the average of the last ones, is a sign of overload."""

SHRINKS, GROWS = 0.7, 64
"""By what factor the limit falls, and by how many requests it rises, at every breath."""

RETRY_MS_MIN, RETRY_MS_MAX = 20, 2_000


class Overload:
    """How many client requests one node takes on at once.

    Attributes:
        limit: open requests beyond which new ones are refused.
        watched_from: with fewer open requests there is nothing to check.
        late_us: how late the last breaths came, on the average.
    """

    def __init__(self, desk: Desk, admission: Admission) -> None:
        self.desk = desk
        self.admission = admission
        self.limit = desk.config.max_requests
        self.watched_from = min(WATCHED_FROM, self.limit)
        self.late_us = 0
        self._due_us = 0

    def check(self, open_requests: int) -> None:
        """A client asks for something more, while `watched_from` or more requests are open.

        Raises:
            Overloaded: come back later; nothing was done (definite).
        """
        if open_requests >= WATCHED_FROM and not self._due_us:
            self._breathe()
        if open_requests < self.limit:
            return
        self.desk.count("requests_shed")
        error = Overloaded(
            f"node {self.desk.name} works on {open_requests} requests and takes no more for now; "
            f"try again in {self.retry_ms()} ms, or ask another node"
        )
        error.retry_ms = self.retry_ms()
        raise error

    def on_breath(self, open_requests: int, coordinated: Iterable[Request]) -> None:
        """The timer has fired: how late is it, and what follows?

        Args:
            open_requests: how many are under way.
            coordinated: those of them that this node coordinates.
        """
        late_us = max(0, self.desk.now_us - self._due_us)
        self.late_us = (self.late_us + late_us) // 2
        self._due_us = 0
        allowed = self.desk.config.max_requests
        now_us = self.desk.now_us
        oldest_us = min((request.started_us for request in coordinated if not request.replied), default=now_us)
        if self._is_behind(now_us - oldest_us):
            self.limit = max(self.watched_from, int(min(self.limit, open_requests) * SHRINKS))
            self.desk.count("limit_lowered")
        else:
            self.limit = min(allowed, self.limit + GROWS)
        if open_requests >= WATCHED_FROM or self.limit < allowed:
            self._breathe()

    def retry_ms(self) -> int:
        """When to come back: after about as long as requests take now."""
        return min(max(self.admission.median_us() // 1000, RETRY_MS_MIN), RETRY_MS_MAX)

    def told(self) -> dict[str, Any]:
        """For inspections: ``limit`` and ``late_ms``."""
        return {"limit": self.limit, "late_ms": self.late_us // 1000}

    def _is_behind(self, oldest_us: int) -> bool:
        if self.late_us <= LATE_US:
            return False
        half_us = self.desk.config.slo_ms * 500
        return oldest_us > half_us or self.admission.median_us() > half_us

    def _breathe(self) -> None:
        self._due_us = self.desk.now_us + BREATH_MS * 1000
        self.desk.set_timer("breath", BREATH_MS)
