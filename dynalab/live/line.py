"""One user's connection to one node, and what was asked on it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple

import zmq

from dynalab.core.errors import DynalabError
from dynalab.core.messages import Message
from dynalab.live.control import Answer
from dynalab.live.parcels import Parcel


class Reply(NamedTuple):
    """A node's answer to a client, and how long it took."""

    message: Message
    latency_us: int


Ended = Callable[[Reply | DynalabError], None]
"""Told how a request ended, on the thread of the lines; must not raise."""


class Ask:
    """One request under way."""

    __slots__ = ("done", "ended", "message", "node", "since_us", "user")

    def __init__(self, user: str, node: str, message: Message, ended: Ended, since_us: int) -> None:
        self.user = user
        self.node = node
        self.message = message
        self.ended = ended
        self.since_us = since_us
        self.done = False

    def end(self, outcome: Reply | DynalabError) -> None:
        """Tell whoever asked, once."""
        if not self.done:
            self.done = True
            self.ended(outcome)


class Line:
    """One user's connection to one node."""

    def __init__(self, user: str, node: str, socket_: zmq.Socket[bytes]) -> None:
        self.user = user
        self.node = node
        self.socket = socket_
        #: what is said and not sent yet
        self.parcel = Parcel()
        #: {request id: those who asked with it}
        self.asked: dict[str, list[Ask]] = {}
        #: {number: future} of orders, on a control line
        self.ordered: dict[int, Future[Answer]] = {}
