"""Who may speak to a node: CURVE key pairs, and the ZAP handler that checks them.

Theory of operation.
Every node, every client and the cluster's own control line has one key pair.
A node lets in only peers whose public key is on its list (`Gate`); everybody else stays outside the handshake,
so nothing of theirs is ever delivered.
The list gives each key a name, and ZeroMQ attaches that name to every message of the connection ("User-Id").

Rule 1: the sender of a message is that name. A routing id is chosen by the peer, and proves nothing.
Rule 2: to look at a message's User-Id costs more than to receive it. So what it was on a connection is remembered, but
only by a secret routing id: random characters that nobody knows but its two ends. Who wanted to inherit a name, or the
connection itself, would have to know them. All names are forgotten when somebody new is let in: that tidies up.
Rule 3: the name comes from this node's own list alone: ZeroMQ keeps a ZAP reply's User-Id
even when the peer's handshake claims a property of the same name.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from threading import Thread
from typing import Any, NamedTuple

import zmq
from zmq.utils import z85

CONTROL = "control"
"""The User-Id of the cluster's own line: the process that started the nodes."""

CLIENT = "client:"
"""What the User-Id of every client begins with; node names hold no colon."""

ZAP_ADDRESS = "inproc://zeromq.zap.01"
ZAP_DOMAIN = b"dynalab"
CLOSE = b"close"
"""The question that ends a doorman's day; ZeroMQ's own have more frames."""

ZAP_FRAMES = 7
"""Version, request id, domain, address, routing id, mechanism, and one credential: the CURVE public key."""


SECRET_ROUTE_BYTES = 15
"""The length of a secret routing id: too long to be guessed, and shorter than any frame of ours."""


def secret_route() -> bytes:
    """A fresh secret routing id: 88 random bits as text, which pyzmq can read back."""
    return secrets.token_urlsafe(11).encode()


class KeyPair(NamedTuple):
    """A CURVE key pair, each key as 40 characters of Z85."""

    public: bytes
    secret: bytes

    @classmethod
    def new(cls) -> KeyPair:
        """A fresh pair of the operating system's randomness."""
        return cls(*zmq.curve_keypair())

    def __repr__(self) -> str:
        return f"KeyPair({self.public.decode()})"  # A secret has no place in a log.


class Gate:
    """A node's doorman: answers ZeroMQ's questions whether a key may come in, on a thread of its own.

    So nobody waits at the door while the node is busy, and the node need not look there. Make it before any socket
    that it guards, and close it.

    Args:
        zmq_context: the node's own.
        allowed: `{public key: name}`.
    """

    def __init__(self, zmq_context: zmq.Context[Any], allowed: Mapping[bytes, str]) -> None:
        self.refused = 0
        #: {secret routing id: who speaks on that connection}; another one each time somebody is let in (rule 2)
        self.speakers: dict[bytes, str] = {}
        #: {raw public key, 32 bytes: name in UTF-8}
        self._names: dict[bytes, bytes] = {}
        self.allow(allowed)
        self._zmq_context = zmq_context
        door: zmq.Socket[bytes] = zmq_context.socket(zmq.ROUTER)
        door.linger = 0
        door.bind(ZAP_ADDRESS)
        self._thread = Thread(target=self._serve, args=(door,), name="dynalab-gate", daemon=True)
        self._thread.start()

    def allow(self, allowed: Mapping[bytes, str]) -> None:
        """Let these keys in from now on, under these names, and no others."""
        self._names = {bytes(z85.decode(key)): name.encode() for key, name in allowed.items()}

    def _serve(self, door: zmq.Socket[bytes]) -> None:
        with door:
            while True:
                asker, empty, *question = door.recv_multipart()
                if question == [CLOSE]:
                    return
                door.send_multipart([asker, empty, *self._verdict(question)])

    def _verdict(self, question: list[bytes]) -> list[bytes]:
        version, request = (*question, b"", b"")[:2]
        name = self._name(question)
        if name is None:
            self.refused += 1
            return [version, request, b"400", b"not on the list", b"", b""]
        self.speakers = {}
        return [version, request, b"200", b"OK", name, b""]

    def _name(self, question: list[bytes]) -> bytes | None:
        if len(question) != ZAP_FRAMES or question[2] != ZAP_DOMAIN or question[5] != b"CURVE":
            return None
        return self._names.get(question[6])

    def close(self) -> None:
        """Stop answering; connections under way then fail."""
        with self._zmq_context.socket(zmq.DEALER) as bell:
            bell.linger = 0
            bell.connect(ZAP_ADDRESS)
            bell.send_multipart([b"", CLOSE])
            self._thread.join()


def guard_server(socket: zmq.Socket[bytes], keys: KeyPair) -> None:
    """Let only peers in that prove a key the `Gate` knows; call it before binding."""
    socket.curve_server = True
    socket.curve_publickey, socket.curve_secretkey = keys
    socket.zap_domain = ZAP_DOMAIN
    socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)  # Without a doorman nobody comes in; libzmq would let everybody in.


def prove(socket: zmq.Socket[bytes], keys: KeyPair, server: bytes) -> None:
    """Connect as the owner of `keys`, to the owner of the public key `server` and nobody else."""
    socket.curve_publickey, socket.curve_secretkey = keys
    socket.curve_serverkey = server
