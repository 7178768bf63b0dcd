"""One user's connection to one node, and what was asked on it."""

from __future__ import annotations

from concurrent.futures import Future

import zmq

from dynalab.core.errors import DynalabError
from dynalab.core.messages import ClientFailed, Message
from dynalab.live.control import Answer
from dynalab.live.parcels import Parcel

WISH_US = 10_000_000
"""How long the answer to an administrator's wish is waited for."""


class Ask:
    """One request under way, which ends once: it is `answered`, or it `failed`.

    By itself it is an administrator's wish: whether that comes true is seen in the ring, not in the answer.
    Whoever wants to know more says so in a class of their own; what is told there must not raise.

    Attributes:
        user: who asks.
        wait_us: how long the answer is waited for.
        node, since_us, due_us: who is asked, when, and until when the answer is waited for; known once it is sent.
        later: who asked next, on the same line under the same request id.
    """

    __slots__ = ("due_us", "later", "message", "node", "since_us", "user", "wait_us")
    node: str
    since_us: int
    due_us: int

    def __init__(self, user: str, message: Message) -> None:
        self.user = user
        self.message = message
        self.wait_us = WISH_US
        self.later: Ask | None = None

    def and_later(self) -> list[Ask]:
        """This one, and those who asked after it under the same request id."""
        asks = [self]
        while asks[-1].later is not None:
            asks.append(asks[-1].later)
        return asks

    def answered(self, reply: Message, latency_us: int) -> None:
        """The node's reply has come."""

    def failed(self, error: DynalabError) -> None:
        """There will be no reply."""


class Line:
    """One user's connection to one node."""

    def __init__(self, user: str, node: str, socket_: zmq.Socket[bytes]) -> None:
        self.user = user
        self.node = node
        self.socket = socket_
        #: what is said and not sent yet
        self.parcel = Parcel()
        #: {request id: who asked with it first}; a user may repeat a request under its id
        self.asked: dict[str, Ask] = {}
        #: {number: future} of orders, on a control line
        self.ordered: dict[int, Future[Answer]] = {}

    def add(self, ask: Ask) -> None:
        """Somebody asks."""
        last = self.asked.setdefault(ask.message.request, ask)  # Nearly always it is the only one.
        while last is not ask:
            if last.later is None:
                last.later = ask
            last = last.later

    def take(self, reply: Message) -> Ask | None:
        """The first of those who are answered by a reply; the `later` ones behind it are, too."""
        first = self.asked.pop(reply.request, None)
        if first is not None and first.later is not None and type(reply) is ClientFailed:
            # It fails one attempt; the others may yet succeed.
            self.asked[reply.request], first.later = first.later, None
        return first

    def under_way(self) -> list[Ask]:
        """All who wait for an answer."""
        return [ask for first in self.asked.values() for ask in first.and_later()]

    def forget(self, ask: Ask) -> None:
        """One of those under way waits no more."""
        for other in self.asked.pop(ask.message.request).and_later():
            other.later = None
            if other is not ask:
                self.add(other)
