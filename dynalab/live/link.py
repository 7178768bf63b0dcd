"""One link to a peer, and who is answered without one, and what has passed over all of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import zmq

from dynalab.live.parcels import Parcel, Said

OPENING_MESSAGES_MAX = 256
"""Messages that wait for a link that is being opened."""

OPENING_MS = 1_000
"""How long they wait at the most."""

REOPEN_MS = 3_000
"""A link that did not open for so long is opened anew: libzmq gives up for ever on a peer that refused us once,
and one that was stopped while we were introduced to it refuses us when it goes on, just before it hears of us."""


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


class Guest:
    """Who is answered on the connection of its latest message: a client, or the owner."""

    __slots__ = ("name", "parcel", "route")

    def __init__(self, name: str, route: bytes) -> None:
        self.name = name
        #: routing id of its latest message
        self.route = route
        #: what this turn answers
        self.parcel = Parcel()


class Link:
    """One link to a peer: closed, opening, or open."""

    def __init__(self, name: str, endpoint: str, key: bytes) -> None:
        self.name = name
        self.endpoint = endpoint
        self.key = key
        self.socket: zmq.Socket[bytes] | None = None
        self.since_us = 0
        #: what this turn says on the open link
        self.parcel = Parcel()
        #: what was said while the link is opening; None: it is open
        self.waiting: list[Said] | None = []

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None
