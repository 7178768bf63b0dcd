"""Where everybody speaks to a node: its ROUTER, and how it waits for what they say.

Theory of operation.
A node with little to do spends most of its time on waiting, not on what it waited for.
So it waits by receiving: a poll looks at the socket four times, and costs twice as much as the message.
How long a receive may wait is an option of the socket, and to set that costs as much again as a poll.
So it is set only when it must be: while messages come fast it may be shorter than asked for, and is halved at a time.

Rule 1: a wait is never longer than asked for; it may be shorter.
Rule 2: who did not have to wait asks whether there is more, because then messages come faster than they are heard;
who had to wait does not ask, and finds the next message by the next wait.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import zmq

from dynalab.live.keys import KeyPair, guard_server
from dynalab.live.sockets import CONNECTIONS_WAITING_MAX, NOBLOCK, RCVTIMEO, SNDMORE, shape

USER_ID = b"User-Id"
"""The property of a message under which the doorman's name for its connection stands."""

AT_ONCE_NS = 50_000
"""A message that comes within this has waited itself."""

QUIET_NS = 5_000_000
"""After a wait as long as this there is time to set the next one exactly."""

Heard = tuple[bytes, str, bytes]
"""A message: the routing id of its connection, the name of its sender, and its content."""


class Listener:
    """The ROUTER of one node.

    Args:
        zmq_context: the node's own.
        keys: its key pair.
    """

    def __init__(self, zmq_context: zmq.Context[Any], keys: KeyPair) -> None:
        self.socket: zmq.Socket[bytes] = zmq_context.socket(zmq.ROUTER)
        shape(self.socket)
        guard_server(self.socket, keys)
        self.socket.router_mandatory = True
        self.socket.backlog = CONNECTIONS_WAITING_MAX
        self.socket.bind("tcp://127.0.0.1:*")
        self._more = zmq.Poller()
        self._more.register(self.socket, zmq.POLLIN)
        #: what has been received of the next message: its routing id
        self._route: bytes | None = None
        #: how long a receive waits, as the socket knows it; -1: for ever
        self._patience_ms = -1
        self._is_quiet = True
        self._came_at_once = False

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return str(self.socket.getsockopt_string(zmq.LAST_ENDPOINT))

    def wait(self, timeout_ms: int) -> bool:
        """Until a message arrives, or the time is over, or sooner; answers whether there is a message.

        Args:
            timeout_ms: at least 1.
        """
        if self._is_quiet:
            self._be_patient(timeout_ms)
        elif not 0 < self._patience_ms <= timeout_ms:
            self._be_patient(max(1, timeout_ms // 2))
        begun = time.monotonic_ns()
        try:
            self._route = self.socket.recv()
        except zmq.Again:
            self._is_quiet = True
            return False
        waited = time.monotonic_ns() - begun
        self._came_at_once, self._is_quiet = waited < AT_ONCE_NS, waited > QUIET_NS
        return True

    def _be_patient(self, timeout_ms: int) -> None:
        if timeout_ms != self._patience_ms:
            self._patience_ms = timeout_ms
            self.socket.set(RCVTIMEO, timeout_ms)

    def look(self) -> None:
        """Something else has seen that there is a message."""
        self._came_at_once = True

    def messages(self) -> Iterator[Heard]:
        """What has arrived. There is a message: `wait` said so."""
        receive = self.socket.recv
        route, self._route = receive(NOBLOCK) if self._route is None else self._route, None
        while True:
            frame = receive(NOBLOCK, copy=False)
            body = frame.bytes if not frame.more else self._skipped()
            yield route, str(frame.get(USER_ID)), body
            # Counted: to ask like this costs a third of the option EVENTS, and a seventh of an exception.
            if not self._came_at_once or not self._more.poll(0):
                return
            route = receive(NOBLOCK)

    def _skipped(self) -> bytes:
        """Nobody of ours sends a second frame: such a message is read to its end, and is empty."""
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
