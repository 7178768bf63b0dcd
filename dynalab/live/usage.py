"""A cluster that nobody uses any more closes itself: a computer that many share must not fill up with forgotten ones.

What counts as use: a client's request, until it has ended; every verb that changes the cluster or waits for it;
a new client; the values of a key asked for; a panel that is opened, a cluster that is shown.
What only looks does not, because an open panel, or whatever watches the HTTP ports, looks for ever by itself.
A click on the panel is a verb or a request, so it counts.

Rule: no verb is cut short; the time without use begins when it has ended.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from dynalab.core.errors import BadRequest

if TYPE_CHECKING:
    from dynalab.live.owner import Owner

LOOKS = 8
"""So many looks within the time without use: a cluster closes itself at most an eighth of it late."""


class Usage:
    """When a cluster was used last, and its end; entered, it is the lock of all verbs.

    Args:
        owner: is closed after so long without use, see `Config.close_after_ms`.
    """

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._one_at_a_time = threading.RLock()
        self._limit_ms = owner.config.close_after_ms
        self._used_s = time.monotonic()
        #: what became of all requests so far, when we last looked
        self._requests = owner.tally.operations()
        self._over = threading.Event()
        self.gave_up = False

    def __enter__(self) -> None:
        """A verb begins; it waits until the one before it has ended.

        Raises:
            BadRequest: the cluster is closed.
        """
        self._one_at_a_time.acquire()
        if self._owner.closed:
            self._one_at_a_time.release()
            raise BadRequest(self.refusal())

    def __exit__(self, *_: object) -> None:
        self.now()
        self._one_at_a_time.release()

    def now(self) -> None:
        """Somebody uses the cluster."""
        self._used_s = time.monotonic()

    def watch(self) -> None:
        """From now on, close the cluster when it has not been used for too long."""
        self.now()
        if self._limit_ms:
            threading.Thread(target=self._watch, name="dynalab-usage", daemon=True).start()

    def _watch(self) -> None:
        while not self._over.wait(self._limit_ms / 1000 / LOOKS):
            self.look()

    def look(self) -> None:
        """Close the cluster if it has not been used for too long, and no verb is under way."""
        if self._is_unused() and self._one_at_a_time.acquire(blocking=False):
            try:
                if self._is_unused() and not self._owner.closed:
                    self.gave_up = True
                    self.close()
            finally:
                self._one_at_a_time.release()

    def _is_unused(self) -> bool:
        requests, self._requests = self._requests, self._owner.tally.operations()
        if requests != self._requests or self._owner.is_asked():
            self.now()
        return time.monotonic() - self._used_s >= self._limit_ms / 1000

    def close(self) -> None:
        """End the cluster, and the watch over it."""
        self._over.set()
        self._owner.close()

    def ending(self) -> str:
        """How a closed cluster ended, for its `repr`."""
        return f"closed after {in_words(self._limit_ms)} without use" if self.gave_up else "closed"

    def refusal(self) -> str:
        """What a verb on a closed cluster is told."""
        if not self.gave_up:
            return "this cluster is closed; start another"
        return (
            f"this cluster closed itself after {in_words(self._limit_ms)} without a request or a verb; start another. "
            f"Cluster(..., close_after_ms=0) stays until it is closed, and any other number is its time in milliseconds"
        )


def in_words(ms: int) -> str:
    """A time for people.

    >>> in_words(7_200_000), in_words(90_000), in_words(500)
    ('2 h', '1.5 min', '0.5 s')
    """
    for unit, name in ((3_600_000, "h"), (60_000, "min")):
        if ms >= unit:
            return f"{ms / unit:.3g} {name}"
    return f"{ms / 1000:.3g} s"
