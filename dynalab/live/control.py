"""What the cluster's owner says to a node over its control line, and what the node answers.

Theory of operation.
The line is a connection of its own to the node's one listening socket; its sender is `keys.CONTROL`.
Control is no message of the protocol: it is not cut by a partition, not traced, and handled after the messages
that arrived with it, so an answer speaks of all of them.
Every order has a number, and its answer the same; number 0 is news the node sends unasked.

Rule 1: code never travels here. `TakeParts` only says that parts have come over standard input.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from dynalab.core.config import KEY_BYTES_MAX
from dynalab.core.faults import Faults, LinkRule

Name = Annotated[str, Meta(min_length=1, max_length=64)]
User = Annotated[str, Meta(min_length=1, max_length=160)]
PublicKey = Annotated[bytes, Meta(min_length=40, max_length=40)]
Endpoint = Annotated[str, Meta(min_length=1, max_length=256)]
Key = Annotated[bytes, Meta(min_length=1, max_length=KEY_BYTES_MAX)]
KeyPart = Annotated[bytes, Meta(max_length=KEY_BYTES_MAX)]
Place = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""The first 64 of a position's 128 bits, less 2**63: signed, in the same order."""


# Orders ------------------------------------------------------------------------------------------


class Know(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Addresses and keys: of peers, and of all who may connect."""

    peers: dict[Name, tuple[Endpoint, PublicKey]]
    allowed: dict[PublicKey, User]


class Begin(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Start the protocol: you know your peers now; `cause`: the number of the owner's event behind it."""

    cause: int = 0


class SetFaults(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """The faults of the network from now on."""

    cuts: tuple[tuple[Name, Name], ...]
    rules: tuple[tuple[tuple[Name, Name], LinkRule], ...]
    base: LinkRule

    @classmethod
    def of(cls, faults: Faults) -> SetFaults:
        """The order that brings `faults` about."""
        return cls(faults.cuts, tuple(faults.rules.items()), faults.base)

    @property
    def faults(self) -> Faults:
        """The value the order was made of."""
        return Faults(self.cuts, dict(self.rules), self.base)


class SetSkew(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Your wall clock is off by so much from now on; your timers are not."""

    skew_us: Annotated[int, Meta(ge=-(2**53), le=2**53)]


class Inspect(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Describe yourself; `full`: with every record."""

    full: bool


class Count(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Tell your counters and queue depths."""


class Look(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Tell all that you hold of one key: your replica, and the hints you keep."""

    key: Key


class Scan(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Tell the first keys with this prefix that come after `after`, and your replicas of them."""

    prefix: KeyPart
    after: KeyPart
    limit: Annotated[int, Meta(ge=1, le=10_000)]


class Digest(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Tell one digest for each of so many equal slices of the ring from `first` to `last`, both included (4.7)."""

    first: Place
    last: Place
    slices: Annotated[int, Meta(ge=1, le=65_536)]


class Remember(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Tell your membership history."""


class Flush(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Send what you have recorded and printed, then answer."""


class TakeParts(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Run the parts that came over standard input under this number."""

    number: Annotated[int, Meta(ge=1)]


class Stop(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Commit, close the store and end."""


_Looks = Inspect | Count | Look | Scan | Digest | Remember
Order = Know | Begin | SetFaults | SetSkew | Flush | TakeParts | Stop | _Looks


# Answers and news --------------------------------------------------------------------------------


class Done(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """It is done."""


class Told(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """What was asked for."""

    content: Any


class Refused(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """It was not done, and why; `traceback` when a student's code is to blame."""

    text: str
    traceback: str = ""


class FedEvent(NamedTuple):
    """A `TraceEvent` as its node numbers it.

    Attributes:
        seq: the run of the node's process in the upper bits, then 1, 2, 3 ...
        cause: the number of the event that led to it, at `origin`; 0: none.
        origin: whose number the cause is; empty: this node's own.
    """

    seq: int
    time_us: int
    kind: str
    message: str
    peer: str
    key: bytes
    request: str
    size: int
    cause: int
    origin: str
    detail: dict[str, Any]


class Events(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """News: what a node has recorded since its last batch.

    Attributes:
        batch: 1, 2, 3 ... in each run of the process.
        lost: events that found no room since the last batch.
        events: a msgpack array of `FedEvent`, read only when somebody looks at the trace.
    """

    batch: int
    lost: int
    events: msgspec.Raw


class Printed(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """News: what parts have printed, as ``(request, part, text)``."""

    lines: tuple[tuple[str, str, str], ...]


Answer = Done | Told | Refused
News = Events | Printed

SEQ_BITS = 40
"""Events of one run of a process; the run is counted above them."""

encode = msgspec.msgpack.Encoder().encode
read_order = msgspec.msgpack.Decoder(Order).decode
read_answer = msgspec.msgpack.Decoder(Answer | News).decode
read_events = msgspec.msgpack.Decoder(list[FedEvent]).decode
_split_events = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode


def count_events(events: msgspec.Raw) -> int:
    """How many events there are, without building them."""
    return len(_split_events(events))
