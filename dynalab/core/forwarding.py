"""A node outside a key's preference list passes the request on to one inside it (paper 4.5, 5).

The forwarder remembers who asked, relays the answer,
and tries the next home when the first stays silent.
When every home is silent or believed down, and the quorum is sloppy, it coordinates the request itself:
a write is accepted as long as somebody can (4.6).
"""

from __future__ import annotations

from typing import Any

from dynalab.core.desk import Desk
from dynalab.core.errors import DynalabError, RequestTimedOut
from dynalab.core.membership import Membership
from dynalab.core.messages import ClientFailed, ClientGetDone, ClientLeaveDone, ClientMoveDone, ClientPutDone
from dynalab.core.refusals import failure

HOPS_MAX = 2
"""A request is passed on at most so often: nodes may disagree on the ring for a while."""


class _Forwarded:
    def __init__(self, waiter: str, message: Any, homes: list[str], deadline_us: int) -> None:
        self.waiter = waiter
        self.message = message
        self.untried = homes
        self.asked = ""
        self.tries = 0
        self.deadline_us = deadline_us


class Forwarding:
    """The requests one node has passed on."""

    def __init__(self, desk: Desk, membership: Membership) -> None:
        self.desk = desk
        self.membership = membership
        #: {client's request id: what is known of it}
        self.open: dict[str, _Forwarded] = {}

    def forward(self, sender: str, message: Any, homes: tuple[str, ...]) -> bool:
        """Pass `message` on to a home that is believed up; answers False when this node must coordinate it."""
        if message.hops >= HOPS_MAX:
            return False
        believes_up = self.membership.detector.believes_up
        up = [home for home in homes if believes_up(home)]
        if not up and self._sloppy:
            return False
        order = up if self._sloppy else up + [home for home in homes if home not in up]
        forwarded = _Forwarded(sender, message, order, self.desk.now_us + message.timeout_us)
        if message.request in self.open:  # A repeat: who was asked before may have done it.
            forwarded.tries = self.open[message.request].tries
        self.open[message.request] = forwarded
        self.desk.count("forwards")
        self._try_next(forwarded)
        return True

    def _try_next(self, forwarded: _Forwarded) -> None:
        message = forwarded.message
        left_us = forwarded.deadline_us - self.desk.now_us
        forwarded.asked = forwarded.untried.pop(0)
        forwarded.tries += 1
        self.desk.send(forwarded.asked, message._replace(hops=message.hops + 1, timeout_us=max(left_us, 1)))
        self.desk.set_timer(f"forward:{message.request}", self._patience_ms(forwarded, left_us / 1000))

    def _patience_ms(self, forwarded: _Forwarded, left_ms: float) -> float:
        """How long to wait for one home, so that all get their turn before the deadline.

        A home that is up may itself wait `replica_timeout_ms` for silent replicas before it answers.
        """
        others = len(forwarded.untried) + self._sloppy
        share_ms = left_ms / (others + 1)
        longest_ms = 2 * self.desk.config.replica_timeout_ms if others else left_ms
        return min(max(share_ms, 1.2 * self.desk.config.replica_timeout_ms), longest_ms, left_ms)

    @property
    def _sloppy(self) -> bool:
        return self.desk.config.hints and not self.desk.config.strict

    def on_client_put_done(self, _sender: str, message: ClientPutDone) -> None:
        """The home has stored it."""
        self._relay(message.request, message)

    def on_client_get_done(self, _sender: str, message: ClientGetDone) -> None:
        """The home has read it."""
        self._relay(message.request, message)

    def on_client_failed(self, _sender: str, message: ClientFailed) -> None:
        """The home could not; where several were asked nothing is definite, for another may have done it."""
        forwarded = self.open.get(message.request)
        if forwarded is not None and forwarded.tries > 1:
            message = message._replace(definite=False)
        self._relay(message.request, message)

    def on_client_leave_done(self, _sender: str, message: ClientLeaveDone) -> None:
        """Wishes to leave are not passed on, so this answers nobody."""
        self._relay(message.request, message)

    def on_client_move_done(self, _sender: str, message: ClientMoveDone) -> None:
        """As for leaving."""
        self._relay(message.request, message)

    def _relay(self, request: str, message: Any) -> None:
        forwarded = self.open.pop(request, None)
        if forwarded is None:
            self.desk.count("late_replies")
            return
        self.desk.cancel_timer(f"forward:{request}")
        self.desk.reply(forwarded.waiter, message)

    def on_timer(self, request: str) -> tuple[str, Any] | None:
        """The home stays silent: try the next one, with the same request id, until the deadline.

        Answers who waits, and the message, when it is on this node itself to coordinate; `end` follows then.
        """
        forwarded = self.open.get(request)
        if forwarded is None:
            return None
        self.membership.detector.suspect(forwarded.asked, "a forwarded request timed out")
        left_us = forwarded.deadline_us - self.desk.now_us
        if forwarded.untried and left_us > 0:
            self._try_next(forwarded)
            return None
        if self._sloppy and left_us > 0:
            return forwarded.waiter, forwarded.message._replace(timeout_us=left_us)
        del self.open[request]
        text = "no home of the key answered the forwarded request in time; it may have happened, or may yet"
        self.desk.reply(forwarded.waiter, ClientFailed(request, RequestTimedOut.__name__, text, False))
        return None

    def end(self, request: str, error: DynalabError | None = None) -> None:
        """This node coordinates the request now; or could not, by `error`.

        Even a definite error leaves it unknown: a silent home may have heard it.
        """
        forwarded = self.open.pop(request, None)
        if forwarded is not None and error is not None:
            self.desk.reply(forwarded.waiter, failure(request, error)._replace(definite=False))
