"""A node's sockets, and the faults of its outgoing links.

Theory of operation.
A node listens with one ROUTER; everybody who may speak to it connects there.
To every peer it has one DEALER, opened when there is first something to say; it sends and never listens.
Clients and the owner are answered through the ROUTER, on the connection of their latest message.

    A: DEALER ──────▶ ROUTER :B
    A: ROUTER ◀────── DEALER :B
    client: DEALER ◀▶ ROUTER

The rules of a link act where the message leaves, before it meets a socket.
What is said to one peer in one turn is one frame (`parcels`); `flush` sends them.

Rule 1: sending never waits. What a peer that is not connected, or a full queue, cannot take is dropped and counted;
only what is said while a link is first being opened waits for it, a little and bounded.
Rule 2: who sent a message is what the doorman said of its connection (`keys`).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import zmq

from dynalab.core.desk import NEVER_US
from dynalab.core.faults import Faults
from dynalab.live.keys import CLIENT, CONTROL, Gate, KeyPair, prove, secret_route
from dynalab.live.link import OPENING_MESSAGES_MAX, OPENING_MS, REOPEN_MS, Guest, Link, Traffic
from dynalab.live.listener import Listener
from dynalab.live.parcels import FRAME_BYTES_OVER, Run, Said, runs
from dynalab.live.sockets import MESSAGE_BYTES_MAX, NOBLOCK, plain_socket

PAYLOAD_BYTES_MAX = MESSAGE_BYTES_MAX - FRAME_BYTES_OVER
"""A longer message is not sent: with what is in its frame already it might be too long."""

ARRIVALS_BYTES_MAX = 64 * 1024 * 1024
"""Of so many bytes no more is taken in at a time."""

DELAYED_MESSAGES_MAX = 10_000
"""Messages that wait on bad links."""


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
        self._random = random
        self._now_us = now_us
        self._on_drop = on_drop
        self._calm = True
        self._peers: dict[str, Link] = {}
        #: {peer: the same}, of those with an open link, while the network is without faults
        self._ready: dict[str, Link] = {}
        #: peers to whom something is said and not sent yet
        self._speaking: list[Link] = []
        #: {client or control: where it is answered}
        self.guests: dict[str, Guest] = {}
        #: guests to whom something is said and not sent yet
        self._answering: list[Guest] = []
        #: heap of (due, order, to, message) of delayed messages
        self.delayed: list[tuple[int, int, str, Said]] = []
        self._delays = 0
        self._listener = Listener(zmq_context, keys, gate)
        #: of the listener, and the links that are opening
        self._poller = zmq.Poller()
        self._poller.register(self._listener.socket, zmq.POLLIN)

    @property
    def endpoint(self) -> str:
        """Where this node listens."""
        return self._listener.endpoint

    def know(self, peers: Mapping[str, tuple[str, bytes]]) -> None:
        """`{peer: (endpoint, public key)}` from now on; a link whose peer has moved is opened anew."""
        for name in [name for name in self._peers if name not in peers]:
            self._forget(name)
        for name, (endpoint, key) in peers.items():
            known = self._peers.get(name)
            if known is None or (known.endpoint, known.key) != (endpoint, key):
                self._forget(name)
                self._peers[name] = Link(name, endpoint, key)

    @property
    def peers(self) -> int:
        """How many peers it knows."""
        return len(self._peers)

    def _forget(self, name: str) -> None:
        peer = self._peers.pop(name, None)
        if peer is None:
            return
        self._ready.pop(name, None)
        if peer.socket is not None and peer.waiting is not None:
            self._poller.unregister(peer.socket)
        peer.close()

    # Hearing ---------------------------------------------------------------------------------

    def wait(self, timeout_ms: int) -> bool:
        """Until a message arrives, a link opens, or the time is over, or sooner; answers whether there is a message."""
        if timeout_ms and len(self._poller.sockets) == 1:
            return self._listener.wait(timeout_ms)
        arrived = False
        for socket, _ in self._poller.poll(timeout_ms):
            if socket is self._listener.socket:
                arrived = True
                self._listener.found()
            else:
                self._opened(socket)
        return arrived

    def arrivals(self, limit: int) -> list[tuple[str, list[Run]]]:
        """``(sender, what it says)`` of each frame that `wait` has found, until they hold `limit` messages.

        What cannot be taken apart comes as a run of the kind `NONSENSE`.
        """
        listener, traffic, peers, guests = self._listener, self.traffic, self._peers, self.guests
        arrived, heard, size = [], 0, 0
        while True:
            route, sender, body = listener.hear()
            if sender in guests:
                guests[sender].route = route
            elif sender not in peers and (sender == CONTROL or is_client(sender)):
                guests[sender] = Guest(sender, route)
            said = runs(body)
            many = said[0].many if len(said) == 1 else sum([run.many for run in said])
            heard += many
            traffic.messages_in += many
            size += len(body)
            traffic.bytes_in += len(body)
            arrived.append((sender, said))
            if heard >= limit or size >= ARRIVALS_BYTES_MAX or not listener.has_more():
                return arrived

    # Speaking --------------------------------------------------------------------------------

    def send(self, to: str, kind: int, fields: bytes, number: int) -> None:
        """Say something to a peer at the end of the turn, or let the faults of the link decide otherwise.

        Args:
            to: the peer.
            kind: of the message, as `wire.encode_fields` says.
            fields: its bytes.
            number: of its `send` event; 0: nobody records.
        """
        peer = self._ready.get(to)
        if peer is None or len(fields) > PAYLOAD_BYTES_MAX:
            self._send_carefully(to, (kind, fields, number))
            return
        if not peer.parcel.said:
            self._speaking.append(peer)
        if peer.parcel.add(kind, fields, number):
            self._say(peer)

    def _send_carefully(self, to: str, said: Said) -> None:
        if self._calm:
            self._put(to, said)
            return
        if self.faults.is_cut(self.node, to):
            self._drop(to, said, "cut")
            return
        fate = self.faults.rule(self.node, to).fate(self._random)
        if not fate:
            self._drop(to, said, "lost")
        for delay_us in fate:
            if delay_us:
                self._delay(delay_us, to, said)
            else:
                self._put(to, said)

    def reply(self, to: str, kind: int, fields: bytes, number: int) -> None:
        """Answer a client, or the owner, at the end of the turn, where it last spoke from."""
        guest = self.guests.get(to)
        if guest is None:
            self._drop(to, (kind, fields, number), "unreachable")
        elif len(fields) > PAYLOAD_BYTES_MAX:
            self._drop(to, (kind, fields, number), "too large")
        else:
            if not guest.parcel.said:
                self._answering.append(guest)
            if guest.parcel.add(kind, fields, number):
                self._answer(guest)

    def flush(self) -> None:
        """Send all that was said."""
        if self._speaking:
            speaking, self._speaking = self._speaking, []
            for peer in speaking:
                self._say(peer)
        if self._answering:
            answering, self._answering = self._answering, []
            for guest in answering:
                self._answer(guest)

    def set_faults(self, faults: Faults) -> None:
        """These faults from now on; what is already delayed stays so."""
        self.faults = faults
        self._calm = faults == Faults()
        self._ready = {name: peer for name, peer in self._peers.items() if self._calm and peer.waiting is None}

    def release(self, now_us: int) -> None:
        """Say the delayed messages that are due."""
        while self.delayed and self.delayed[0][0] <= now_us:
            _, _, to, said = heapq.heappop(self.delayed)
            self._put(to, said)

    def next_due_us(self) -> int:
        """When the next delayed message is due; `NEVER_US`: there is none."""
        return self.delayed[0][0] if self.delayed else NEVER_US

    def depths(self) -> dict[str, int]:
        """Queue depths: messages delayed on bad links, and waiting for links to open."""
        waiting = sum(len(peer.waiting) for peer in self._peers.values() if peer.waiting)
        return {"delayed": len(self.delayed), "opening": waiting}

    def close(self) -> None:
        """Close all sockets; what waits is lost."""
        for peer in self._peers.values():
            peer.close()
        self._listener.socket.close()

    # Inside ----------------------------------------------------------------------------------

    def _delay(self, delay_us: int, to: str, said: Said) -> None:
        if len(self.delayed) >= DELAYED_MESSAGES_MAX:
            self._drop(to, said, "queue full")
            return
        self._delays += 1
        heapq.heappush(self.delayed, (self._now_us() + delay_us, self._delays, to, said))

    def _put(self, to: str, said: Said) -> None:
        """Hand a message to its link."""
        peer = self._peers.get(to)
        if peer is None:
            self._drop(to, said, "unknown node")
        elif len(said[1]) > PAYLOAD_BYTES_MAX:
            self._drop(to, said, "too large")
        elif peer.waiting is not None:
            self._hold(peer, said)
        else:
            self._speaking.append(peer)
            if peer.parcel.add(*said):
                self._say(peer)

    def _say(self, peer: Link) -> None:
        """Send what is said to a peer, on its open link."""
        if not peer.parcel.said:
            return
        frame, said = peer.parcel.take()
        if peer.socket is None:  # It was forgotten, or has moved, since.
            self._lose(peer.name, said, "unknown node")
            return
        try:
            peer.socket.send(frame, NOBLOCK)
        except zmq.Again:
            self._lose(peer.name, said, "unreachable")
            return
        self.traffic.messages_out += len(said)
        self.traffic.bytes_out += len(frame)

    def _answer(self, guest: Guest) -> None:
        """Send what is said to a guest where it last spoke from."""
        if not guest.parcel.said:
            return
        frame, said = guest.parcel.take()
        try:
            self._listener.answer(guest.route, frame)
        except zmq.Again:
            self._lose(guest.name, said, "queue full")
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self.guests.pop(guest.name, None)
            self._lose(guest.name, said, "unreachable")
        else:
            self.traffic.messages_out += len(said)
            self.traffic.bytes_out += len(frame)

    def _hold(self, peer: Link, said: Said) -> None:
        """Keep the message until the link is open."""
        if peer.socket is not None and self._now_us() - peer.since_us > REOPEN_MS * 1000:
            self._poller.unregister(peer.socket)
            peer.close()
            for held in peer.waiting or ():
                self._drop(peer.name, held, "unreachable")
        if peer.socket is None:
            self._open(peer)
        assert peer.waiting is not None
        too_late = self._now_us() - peer.since_us > OPENING_MS * 1000
        if too_late or len(peer.waiting) >= OPENING_MESSAGES_MAX:
            self._drop(peer.name, said, "unreachable")
        else:
            peer.waiting.append(said)

    def _open(self, peer: Link) -> None:
        peer.since_us, peer.waiting = self._now_us(), []
        peer.socket = plain_socket(self._zmq_context, zmq.DEALER)
        peer.socket.routing_id = secret_route()
        peer.socket.immediate = True  # Queue for a connection, never for the hope of one.
        prove(peer.socket, self._keys, peer.key)
        peer.socket.connect(peer.endpoint)
        self._poller.register(peer.socket, zmq.POLLOUT)

    def _opened(self, socket: zmq.Socket[bytes]) -> None:
        """A link is open: say what has waited."""
        self._poller.unregister(socket)
        for name, peer in self._peers.items():
            if peer.socket is socket:
                held, peer.waiting = peer.waiting or [], None
                if self._calm:
                    self._ready[name] = peer
                too_late = self._now_us() - peer.since_us > OPENING_MS * 1000
                for said in held:
                    if too_late:
                        self._drop(name, said, "unreachable")
                    else:
                        self._put(name, said)
        self.flush()

    def _lose(self, to: str, said: list[Said], why: str) -> None:
        for message in said:
            self._drop(to, message, why)

    def _drop(self, to: str, said: Said, why: str) -> None:
        self.traffic.dropped(why)
        self._on_drop(to, said[2], why)


def is_client(sender: str) -> bool:
    """Whether a sender is a client."""
    return sender.startswith(CLIENT)
