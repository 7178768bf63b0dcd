"""How much background work the foreground allows, and when a client is refused (paper 6.5).

Theory of operation.
Background work (handoff, exchange, transfer) asks for a slice: how many units it may do now.
The slice grows while clients are served well within the limit, and halves when they are not.

Rule 1: "well" compares the 99th percentile of the last client requests with `Config.slo_ms`.
Rule 2: an exchange is put off while the node is busy, but never more than ten times in a row.
"""

from __future__ import annotations

from collections import deque

from dynalab.core.desk import Desk

LATENCIES_KEPT = 512
WINDOW_US = 60_000_000
"""Paper 6.5 looks at the last 60 seconds."""

SLICE_MIN, SLICE_MAX = 8, 256

BUSY_EVENTS_PER_S = 1_000
"""A node that handles more than this is busy: hashing what is being written would only slow it down."""

PUT_OFF_MAX = 10


class Admission:
    """The controller of one node.

    Attributes:
        slice: units of background work allowed at a time, 8 to 256.
    """

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.slice = SLICE_MAX // 4
        #: (time it ended, latency), both in microseconds, oldest first
        self._latencies: deque[tuple[int, int]] = deque(maxlen=LATENCIES_KEPT)
        self._put_off = 0
        #: (time, events handled) when an exchange was last asked for
        self._asked = (0, 0)

    def allows_exchange(self) -> bool:
        """Whether a Merkle exchange may begin now, or waits for a quieter moment."""
        (then_us, then_events), self._asked = self._asked, (self.desk.now_us, self.desk.events)
        quiet = (self.desk.events - then_events) * 1_000_000 < BUSY_EVENTS_PER_S * max(self.desk.now_us - then_us, 1)
        if quiet or self._put_off == PUT_OFF_MAX:
            self._put_off = 0
            return True
        self._put_off += 1
        self.desk.count("exchanges_put_off")
        return False

    def served(self, latency_us: int) -> None:
        """A client request was answered after so long."""
        self._latencies.append((self.desk.now_us, latency_us))

    def p99_us(self) -> int:
        """The 99th percentile of the last client latencies; 0 when there were none."""
        recent = sorted(latency for ended, latency in self._latencies if ended > self.desk.now_us - WINDOW_US)
        return recent[(len(recent) * 99 - 1) // 100] if recent else 0

    def background_slice(self) -> int:
        """How many units of background work may be done now; adapts on every call."""
        used = self.p99_us() / (self.desk.config.slo_ms * 1000)
        if used > 0.8:
            self.slice = max(SLICE_MIN, self.slice // 2)
            self.desk.count("background_throttled")
        elif used < 0.5:
            self.slice = min(SLICE_MAX, self.slice * 2)
        return self.slice

    def median_us(self) -> int:
        """The median of the last client latencies; 0 when there were none."""
        recent = sorted([latency for _, latency in self._latencies])
        return recent[len(recent) // 2] if recent else 0
