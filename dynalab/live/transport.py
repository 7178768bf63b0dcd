"""A node's sockets, and the faults of its outgoing links.

Theory of operation.
A node listens with one ROUTER; everybody who may speak to it connects there.
To every peer it has one DEALER, opened when there is first something to say; it sends and never listens.
Clients and the owner are answered through the ROUTER, on the connection of their latest message.

    A: DEALER ──────▶ ROUTER :B          a message is one frame: 8 bytes of the sender's event number, then the payload
    A: ROUTER ◀────── DEALER :B
    client: DEALER ◀▶ ROUTER

The rules of a link act where the message leaves, before it meets a socket.

Rule 1: sending never waits. What a peer that is not connected, or a full queue, cannot take is dropped and counted;
only what is said while a link is first being opened waits for it, a little and bounded.
Rule 2: who sent a message is what the doorman said of its connection (`keys`), asked anew for every message:
measured, 1.2 µs; a memory by routing id would be cheaper, but a peer may choose the routing id of one that has gone.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from struct import Struct
from typing import Any

import zmq

from dynalab.core.faults import Faults
from dynalab.live.keys import CLIENT, CONTROL, Gate, KeyPair, guard_server, prove

HEADER = Struct(">Q")
"""Before the payload: the sender's number of the `send` event; an order's number on the control line."""

MESSAGE_BYTES_MAX = 32 * 1024 * 1024
"""A longer frame is not sent; a peer that sends one is disconnected (libzmq: MAXMSGSIZE)."""

QUEUE_MESSAGES_MAX = 1_000
"""Messages that wait for one connection, in each direction (libzmq: SNDHWM, RCVHWM)."""

HANDSHAKE_MS = 2_000
"""Who has not proved its key by then is disconnected (libzmq's default is 30 s)."""

HEARTBEAT_MS, HEARTBEAT_TIMEOUT_MS = 20_000, 120_000
"""Connections whose other end vanished without a word are closed; a node paused for two minutes is not."""

NOBLOCK = int(zmq.NOBLOCK)
"""As a plain integer: combining enumerations costs more than sending."""

SNDMORE = int(zmq.SNDMORE | zmq.NOBLOCK)

RECONNECT_MS, RECONNECT_MS_MAX = 50, 1_000

OPENING_MESSAGES_MAX = 256
"""Messages that wait for a link that is being opened."""

OPENING_MS = 1_000
"""How long they wait at the most."""

REOPEN_MS = 3_000
"""A link that did not open for so long is opened anew: libzmq gives up for ever on a peer that refused us once,
and one that was stopped while we were introduced to it refuses us when it goes on, just before it hears of us."""

CONNECTIONS_WAITING_MAX = 1_024
"""Connections the system accepts for us before we look (libzmq: BACKLOG)."""


@dataclass
class Traffic:
    """What has passed since the process started."""

    messages_in: int = 0
    messages_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    #: {why: messages lost}
    drops: dict[str, int] = field(default_factory=dict)

    def dropped(self, why: str) -> None:
        """One message is lost."""
        self.drops[why] = self.drops.get(why, 0) + 1


def shape(socket: zmq.Socket[bytes]) -> None:
    """The limits every socket has."""
    socket.linger = 0
    socket.sndhwm = socket.rcvhwm = QUEUE_MESSAGES_MAX
    socket.maxmsgsize = MESSAGE_BYTES_MAX
    socket.handshake_ivl = HANDSHAKE_MS
    socket.heartbeat_ivl, socket.heartbeat_timeout = HEARTBEAT_MS, HEARTBEAT_TIMEOUT_MS
    socket.reconnect_ivl, socket.reconnect_ivl_max = RECONNECT_MS, RECONNECT_MS_MAX


class _Peer:
    """One link to a peer: closed, opening, or open."""

    def __init__(self, endpoint: str, key: bytes) -> None:
        self.endpoint = endpoint
        self.key = key
        self.socket: zmq.Socket[bytes] | None = None
        self.since_us = 0
        #: frames said while the link is opening; None: it is open
        self.waiting: list[bytes] | None = []

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None


class Transport:
    """The sockets of one node.

    Args:
        node: its name.
        keys: its key pair.
        gate: its doorman.
        random: decides the fate of messages on bad links.
        now_us: the time, for delays.
        on_drop: ``on_drop(to, number, why)`` is told of every lost message.
    """

    def __init__(
        self,
        zmq_context: zmq.Context[Any],
        node: str,
        keys: KeyPair,
        gate: Gate,
        random: Random,
        now_us: Callable[[], int],
        on_drop: Callable[[str, int, str], None],
    ) -> None:
        self.node = node
        self.faults = Faults()
        self.traffic = Traffic()
        self._zmq_context = zmq_context
        self._keys = keys
        self._gate = gate
        self._random = random
        self._now_us = now_us
        self._on_drop = on_drop
        self._calm = True
        self._peers: dict[str, _Peer] = {}
        #: {client or control: routing id of its latest message}
        self._routes: dict[str, bytes] = {}
        #: heap of (due, order, to, frame) of delayed messages
        self._delayed: list[tuple[int, int, str, bytes]] = []
        self._delays = 0
        self._listener = self._listen()
        self._poller = zmq.Poller()
        self._poller.register(gate.socket, zmq.POLLIN)
        self._poller.register(self._listener, zmq.POLLIN)

    def _listen(self) -> zmq.Socket[bytes]:
        socket: zmq.Socket[bytes] = self._zmq_context.socket(zmq.ROUTER)
        shape(socket)
        guard_server(socket, self._keys)
        socket.router_mandatory = True
        socket.backlog = CONNECTIONS_WAITING_MAX
        socket.bind("tcp://127.0.0.1:*")
        return socket

    @property
    def endpoint(self) -> str:
        """Where this node listens."""
        return str(self._listener.getsockopt_string(zmq.LAST_ENDPOINT))

    def know(self, peers: Mapping[str, tuple[str, bytes]]) -> None:
        """`{peer: (endpoint, public key)}` from now on; a link whose peer has moved is opened anew."""
        for name in [name for name in self._peers if name not in peers]:
            self._forget(name)
        for name, (endpoint, key) in peers.items():
            known = self._peers.get(name)
            if known is None or (known.endpoint, known.key) != (endpoint, key):
                self._forget(name)
                self._peers[name] = _Peer(endpoint, key)

    def _forget(self, name: str) -> None:
        peer = self._peers.pop(name, None)
        if peer is None:
            return
        if peer.socket is not None and peer.waiting is not None:
            self._poller.unregister(peer.socket)
        peer.close()

    # Hearing ---------------------------------------------------------------------------------

    def wait(self, timeout_ms: int) -> None:
        """Until a message arrives, a link opens, or the time is over; new connections are let in meanwhile."""
        for socket, _ in self._poller.poll(timeout_ms):
            if socket is self._gate.socket:
                self._gate.answer()
            elif socket is not self._listener:
                self._opened(socket)

    def arrivals(self, limit: int) -> Iterator[tuple[str, int, bytes]]:
        """``(sender, number, payload)`` of up to `limit` messages that have arrived.

        A frame too short to have a payload comes with an empty one.
        """
        receive, traffic = self._listener.recv, self.traffic
        for _ in range(limit):
            try:
                route = receive(NOBLOCK)
            except zmq.Again:
                return
            frame = receive(NOBLOCK, copy=False)
            body = frame.bytes if not frame.more else self._skipped()
            sender = str(frame.get("User-Id"))
            if sender == CONTROL or sender.startswith(CLIENT):
                self._routes[sender] = route
            traffic.messages_in += 1
            traffic.bytes_in += len(body)
            number = HEADER.unpack_from(body)[0] if len(body) >= HEADER.size else 0
            yield sender, number, body[HEADER.size :]

    def _skipped(self) -> bytes:
        """Nobody of ours sends a second frame: such a message is read to its end, and is empty."""
        more = True
        while more:
            more = self._listener.recv(NOBLOCK, copy=False).more
        return b""

    # Speaking --------------------------------------------------------------------------------

    def send(self, to: str, number: int, payload: bytes) -> None:
        """Send to a peer, or let the faults of the link decide otherwise."""
        frame = HEADER.pack(number) + payload
        if self._calm:
            self._put(to, frame)
            return
        if self.faults.is_cut(self.node, to):
            self._drop(to, frame, "cut")
            return
        fate = self.faults.rule(self.node, to).fate(self._random)
        if not fate:
            self._drop(to, frame, "lost")
        for delay_us in fate:
            if delay_us:
                self._delay(delay_us, to, frame)
            else:
                self._put(to, frame)

    def reply(self, to: str, number: int, payload: bytes) -> bool:
        """Answer a client, or the owner, where it last spoke from; answers whether it could be sent."""
        frame = HEADER.pack(number) + payload
        route = self._routes.get(to)
        if route is None:
            why = "unreachable"
        elif len(frame) > MESSAGE_BYTES_MAX:
            why = "too large"
        else:
            why = self._answer(to, route, frame)
        if why:
            self._drop(to, frame, why)
        return not why

    def _answer(self, to: str, route: bytes, frame: bytes) -> str:
        try:
            self._listener.send(route, SNDMORE)
            self._listener.send(frame, NOBLOCK)
        except zmq.Again:
            return "queue full"
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            del self._routes[to]
            return "unreachable"
        self.traffic.messages_out += 1
        self.traffic.bytes_out += len(frame)
        return ""

    def set_faults(self, faults: Faults) -> None:
        """These faults from now on; what is already delayed stays so."""
        self.faults = faults
        self._calm = faults == Faults()

    def release(self, now_us: int) -> None:
        """Send the delayed messages that are due."""
        while self._delayed and self._delayed[0][0] <= now_us:
            _, _, to, frame = heapq.heappop(self._delayed)
            self._put(to, frame)

    @property
    def next_due_us(self) -> int | None:
        """When the next delayed message is due."""
        return self._delayed[0][0] if self._delayed else None

    def depths(self) -> dict[str, int]:
        """Queue depths: messages delayed on bad links, and waiting for links to open."""
        waiting = sum(len(peer.waiting) for peer in self._peers.values() if peer.waiting)
        return {"delayed": len(self._delayed), "opening": waiting}

    def close(self) -> None:
        """Close all sockets; what waits is lost."""
        for peer in self._peers.values():
            peer.close()
        self._listener.close()

    # Inside ----------------------------------------------------------------------------------

    def _delay(self, delay_us: int, to: str, frame: bytes) -> None:
        if len(self._delayed) >= 10 * QUEUE_MESSAGES_MAX:
            self._drop(to, frame, "queue full")
            return
        self._delays += 1
        heapq.heappush(self._delayed, (self._now_us() + delay_us, self._delays, to, frame))

    def _put(self, to: str, frame: bytes) -> None:
        """Hand a frame to its link; written out in one piece, because every message passes here."""
        peer = self._peers.get(to)
        if peer is None:
            why = "unknown node"
        elif len(frame) > MESSAGE_BYTES_MAX:
            why = "too large"
        elif peer.waiting is not None:
            why = self._hold(peer, frame)
        else:
            why = self._say(peer.socket, frame)
        if why:
            self._drop(to, frame, why)

    def _say(self, socket: zmq.Socket[bytes] | None, frame: bytes) -> str:
        assert socket is not None
        try:
            socket.send(frame, NOBLOCK)
        except zmq.Again:
            return "unreachable"
        self.traffic.messages_out += 1
        self.traffic.bytes_out += len(frame)
        return ""

    def _hold(self, peer: _Peer, frame: bytes) -> str:
        """Keep the frame until the link is open."""
        if peer.socket is not None and self._now_us() - peer.since_us > REOPEN_MS * 1000:
            self._poller.unregister(peer.socket)
            peer.close()
        if peer.socket is None:
            self._open(peer)
        assert peer.waiting is not None
        too_late = self._now_us() - peer.since_us > OPENING_MS * 1000
        if too_late or len(peer.waiting) >= OPENING_MESSAGES_MAX:
            return "unreachable"
        peer.waiting.append(frame)
        return ""

    def _open(self, peer: _Peer) -> None:
        peer.since_us, peer.waiting = self._now_us(), []
        peer.socket = self._zmq_context.socket(zmq.DEALER)
        shape(peer.socket)
        peer.socket.immediate = True  # Queue for a connection, never for the hope of one.
        prove(peer.socket, self._keys, peer.key)
        peer.socket.connect(peer.endpoint)
        self._poller.register(peer.socket, zmq.POLLOUT)

    def _opened(self, socket: zmq.Socket[bytes]) -> None:
        """A link is open: say what has waited."""
        self._poller.unregister(socket)
        for name, peer in self._peers.items():
            if peer.socket is socket:
                frames, peer.waiting = peer.waiting or [], None
                too_late = self._now_us() - peer.since_us > OPENING_MS * 1000
                for frame in frames:
                    if too_late:
                        self._drop(name, frame, "unreachable")
                    else:
                        self._put(name, frame)

    def _drop(self, to: str, frame: bytes, why: str) -> None:
        self.traffic.dropped(why)
        self._on_drop(to, HEADER.unpack_from(frame)[0], why)


def is_client(sender: str) -> bool:
    """Whether a sender is a client."""
    return sender.startswith(CLIENT)
