"""Where everybody speaks to a node: its ROUTER, and how it waits for what they say.

Theory of operation.
A node that is asked one thing at a time spends as long on waiting as on what it waited for.
To poll looks at the socket four times and costs twice as much as the message it finds, so a busy node waits by
receiving. How long that may take is an option of the socket, and to set it costs as much again;
so it is set to half of what is left, and again when it is more than what is left, or much less.
A node at rest polls: it has the time, and what wakes it is a round of its peers, so more is to come.

Rule 1: a wait is never longer than asked for; it may be shorter.
Rule 2: after a message the node asks whether there is another one if it is at rest, or has hardly waited:
then messages come together, or faster than they are heard. Otherwise the next wait finds the next message.
Rule 3: a message is a routing id and one frame. Frames too many are refused; only the first may be heard, if the name
of its speaker is remembered (`keys`). None is taken for somebody else's, and no answer goes where one of them says.
Rule 4: when a wait has found a message, it is heard before the next wait.
"""

from __future__ import annotations

import time
from typing import Any

import zmq

from dynalab.live.keys import SECRET_ROUTE_BYTES, Gate, KeyPair, guard_server
from dynalab.live.sockets import CONNECTIONS_WAITING_MAX, NOBLOCK, RCVMORE, RCVTIMEO, SNDMORE, plain_socket

USER_ID = b"User-Id"
"""The property of a message under which the doorman's name for its connection stands."""

IDENTITY = b"Identity"
"""The property under which the routing id stands that the other end has chosen."""

AT_ONCE_NS = 50_000
"""When a message comes within this, others may be close behind; the answer of a peer takes longer."""

REST_NS = 5_000_000
"""A node that waits as long is at rest."""

BUSY_AFTER = 64
"""After so many shorter waits, one after the other, it is busy; a round of pings and gossip brings fewer messages."""

MADE_UP_BYTES = 5
"""The length of a routing id that libzmq has made up."""

Heard = tuple[bytes, str, bytes]
"""A message: the routing id of its connection, the name of its sender, and its content."""


class Listener:
    """The ROUTER of one node.

    Args:
        zmq_context: the node's own.
        keys: its key pair.
        gate: its doorman.
    """

    def __init__(self, zmq_context: zmq.Context[Any], keys: KeyPair, gate: Gate) -> None:
        self._gate = gate
        self.socket = plain_socket(zmq_context, zmq.ROUTER)
        guard_server(self.socket, keys)
        self.socket.router_mandatory = True
        # Who reconnects does so under its old routing id, maybe before we have read all it said on the old connection.
        self.socket.router_handover = True
        self.socket.backlog = CONNECTIONS_WAITING_MAX
        self.socket.bind("tcp://127.0.0.1:*")
        self._poller = zmq.Poller()
        self._poller.register(self.socket, zmq.POLLIN)
        #: what has been received of the next message: its routing id
        self._route: bytes | None = None
        #: how long a receive waits, as the socket knows it; -1: for ever
        self._patience_ms = -1
        #: waits that were short, one after the other
        self._quick = 0
        self._at_rest = True
        self._more_may_wait = True

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return str(self.socket.getsockopt_string(zmq.LAST_ENDPOINT))

    def wait(self, timeout_ms: int) -> bool:
        """Until a message arrives, or the time is over, or sooner; answers whether there is a message.

        Args:
            timeout_ms: at least 1.
        """
        begun = time.monotonic_ns()
        arrived = bool(self._poller.poll(timeout_ms)) if self._at_rest else self._received(timeout_ms)
        waited = time.monotonic_ns() - begun
        self._quick = self._quick + 1 if arrived and waited < REST_NS else 0
        self._at_rest = self._quick < BUSY_AFTER
        self._more_may_wait = self._at_rest or waited < AT_ONCE_NS
        return arrived

    def _received(self, timeout_ms: int) -> bool:
        assert self._route is None, "a message was found, and not read"
        if self._patience_ms < 1 or not timeout_ms // 8 <= self._patience_ms <= timeout_ms:
            self._patience_ms = max(1, timeout_ms // 2)
            self.socket.set(RCVTIMEO, self._patience_ms)
        try:
            self._route = self.socket.recv()
        except zmq.Again:
            return False
        return True

    def found(self) -> None:
        """Somebody else has polled, and there is a message."""
        self._more_may_wait = True

    def hear(self) -> Heard:
        """The message that `wait` has found, or `has_more`."""
        route, self._route = self._route, None
        if route is None:
            route = self.socket.recv(NOBLOCK)
        sender = self._gate.speakers.get(route)  # Who was let in before the message came has emptied this.
        if sender is None:
            return self._hear_introduced(route)
        try:
            body = self.socket.recv(NOBLOCK)
        except zmq.Again:  # What looked like a routing id was the last of too many frames, and nothing is behind it.
            return route, sender, b""
        if len(body) > SECRET_ROUTE_BYTES or not self.socket.get(RCVMORE):
            return route, sender, body
        # No frame of ours is so short: this is the next routing id, and what we took for one was a frame too many.
        return self._hear_introduced(body)

    def _hear_introduced(self, route: bytes) -> Heard:
        """What comes behind a routing id that we do not know, if it is one."""
        if not self.socket.get(RCVMORE):
            return route, "", b""
        frame = self.socket.recv(NOBLOCK, copy=False)
        body = self._skipped() if frame.more else frame.bytes
        if not _is_of(route, frame):
            return route, "", b""
        sender = str(frame.get(USER_ID))
        if len(route) == SECRET_ROUTE_BYTES:  # So there are never more names than connections.
            self._gate.speakers[route] = sender
        return route, sender, body

    def has_more(self) -> bool:
        """Whether there is another message, as far as it is worth to ask (rule 2)."""
        # Counted: to ask like this costs a third of the option EVENTS, and a seventh of an exception.
        return self._more_may_wait and bool(self._poller.poll(0))

    def _skipped(self) -> bytes:
        """A message with too many frames is read to its end, and is empty."""
        more = True
        while more:
            more = self.socket.recv(NOBLOCK, copy=False).more
        return b""

    def answer(self, route: bytes, frame: bytes) -> None:
        """Send a frame back on a connection.

        Raises:
            zmq.ZMQError: there is no such connection any more (EHOSTUNREACH), or its queue is full (EAGAIN).
        """
        self.socket.send(route, SNDMORE)
        self.socket.send(frame, NOBLOCK)


def _is_of(route: bytes, frame: zmq.Frame) -> bool:
    """Whether a frame came on the connection with this routing id.

    Short ones that begin with zero are libzmq's own: for who has chosen none, and for what is left of a connection
    whose other end has already come back by another.
    """
    try:
        return (len(route) == MADE_UP_BYTES and route[0] == 0) or route == str(frame.get(IDENTITY)).encode()
    except UnicodeDecodeError:  # pyzmq reads it as text, or not at all.
        return False
