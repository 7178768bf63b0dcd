"""Every message of the protocol, and every error a client can meet.

Messages are immutable values that come in pairs: ``ReplicaPut`` is answered by ``ReplicaPutDone``.
The node finds the handler by the name: ``ReplicaPut`` goes to ``Node._on_replica_put``.

Field types carry their bounds (`Bound`); whoever decodes bytes from outside checks them (`check`).

DEPARTS: messages are named tuples, not dataclasses: half the size on the wire and a third of the decoding time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

from dynalab.core.clock import COUNTER_MAX, Context
from dynalab.core.config import KEY_BYTES_MAX, VALUE_BYTES_MAX
from dynalab.core.version import Siblings


@dataclass(frozen=True, slots=True)
class Bound:
    """The inclusive range of an integer, or of the length of a string, bytes, list or dict."""

    low: int
    high: int


NodeId = Annotated[str, Bound(1, 64)]
Name = Annotated[str, Bound(0, 128)]
RequestId = Annotated[str, Bound(1, 128)]
Key = Annotated[bytes, Bound(1, KEY_BYTES_MAX)]
Value = Annotated[bytes | None, Bound(0, VALUE_BYTES_MAX + 1)]
"""One byte more than a user may store: it says whether the value was bytes, text or JSON (`session.encode_value`)."""
Count = Annotated[int, Bound(0, 1_000_000)]
Quorum = Annotated[int, Bound(0, 16)]
Counter = Annotated[int, Bound(0, COUNTER_MAX)]
Micros = Annotated[int, Bound(-(2**62), 2**62)]
Position = Annotated[bytes, Bound(16, 16)]
Digest = Annotated[bytes, Bound(0, 64)]
Text = Annotated[str, Bound(0, 65_536)]

KEYS_PER_MESSAGE = 4_096
"""Keys one message of an exchange carries at the most."""


# Between a client and a node -------------------------------------------------------------------


class ClientPut(NamedTuple):
    """Write, or with value None delete, one key (4.5)."""

    request: RequestId
    key: Key
    value: Value
    contexts: Annotated[tuple[Context, ...], Bound(0, 4)]
    """What the client has seen; the coordinator verifies and joins them. None of them: a blind write."""
    local: bool
    """True: replace what the coordinator holds (`Context.LOCAL`)."""
    n: Quorum
    w: Quorum
    timeout_us: Counter
    hops: Count = 0


class ClientGet(NamedTuple):
    """Read one key (4.5)."""

    request: RequestId
    key: Key
    n: Quorum
    r: Quorum
    timeout_us: Counter
    hops: Count = 0


class ClientPutDone(NamedTuple):
    """The put is stored on W distinct nodes."""

    request: RequestId
    key: Key
    coordinator: NodeId
    nodes: Annotated[tuple[str, ...], Bound(0, 64)]
    """Who has stored it so far, the coordinator first when it is one of them."""
    hinted: Annotated[tuple[tuple[str, str], ...], Bound(0, 64)]
    """``(holder, home)`` for every copy that waits for its home."""
    context: Context
    """What the client has seen now: its own context and its own new write, nothing unread."""
    used: Context
    """The context the coordinator used, after joining and resolving."""
    wall_us: Micros
    deleted: bool


class ClientGetDone(NamedTuple):
    """All causally unrelated versions found among R answers (4.5)."""

    request: RequestId
    key: Key
    coordinator: NodeId
    siblings: Siblings
    context: Context
    nodes: Annotated[tuple[str, ...], Bound(0, 64)]
    """Who answered in time."""
    stale_nodes: Annotated[tuple[str, ...], Bound(0, 64)]
    """Those of `nodes` that had missed a write."""
    resolved_by: Name
    """The merger that joined the siblings for this key prefix; empty: none."""


class ClientFailed(NamedTuple):
    """The request ended without its quorum, or was refused."""

    request: RequestId
    error: Name
    """The name of the error class, see `ERRORS`."""
    text: Text
    definite: bool
    needed: Count = 0
    got: Count = 0
    nodes: Annotated[tuple[str, ...], Bound(0, 64)] = ()
    retry_ms: Counter = 0
    traceback: Text = ""


class ClientLeave(NamedTuple):
    """An administrator asks that `node` leave the ring (4.8.1); `force` when it is gone for good."""

    request: RequestId
    node: NodeId
    force: bool = False


class ClientMove(NamedTuple):
    """An administrator asks that `node` take over the key ranges `slots`, to share the load anew (6.2, strategy 3)."""

    request: RequestId
    node: NodeId
    slots: Annotated[tuple[int, ...], Bound(1, 4_096)]


class ClientLeaveDone(NamedTuple):
    """The wish is part of the membership history; the transfer has begun."""

    request: RequestId
    node: NodeId


class ClientMoveDone(NamedTuple):
    """The wish is part of the membership history; the transfer has begun."""

    request: RequestId
    node: NodeId


# Between two nodes -----------------------------------------------------------------------------


class ReplicaPut(NamedTuple):
    """Store this state of a key: as a replica, or as a hint for `home` when that is another node (4.6)."""

    request: RequestId
    key: Key
    siblings: Siblings
    home: Name = ""
    """Empty: you are a home of the key. Else: keep it as a hint for this node."""
    durable: bool = False
    """Sync it before you answer, though others answer from their buffers: one replica of each write does (6.1)."""


class ReplicaPutDone(NamedTuple):
    """It is stored, durably as the mode promises."""

    request: RequestId
    stored: bool = True
    """False: refused (no room for another hint); the coordinator asks someone else."""
    traceback: Text = ""


class ReplicaGet(NamedTuple):
    """What do you hold for this key?"""

    request: RequestId
    key: Key


class ReplicaGetDone(NamedTuple):
    """What I hold, hints included; empty siblings when nothing."""

    request: RequestId
    siblings: Siblings
    traceback: Text = ""


class ReadRepair(NamedTuple):
    """You answered a get with an older state; here is the newer one (5). Not answered."""

    key: Key
    siblings: Siblings


class HintDeliver(NamedTuple):
    """A version kept for you, or one that is yours by the ring: take it (4.6)."""

    delivery: RequestId
    key: Key
    siblings: Siblings
    age_us: Counter
    """How long it was kept; receivers refuse hints older than `hint_ttl_ms`."""


class HintDeliverDone(NamedTuple):
    """It is stored; you may forget it."""

    delivery: RequestId
    stored: bool = True


class ReapAsk(NamedTuple):
    """I have held this tombstone for longer than `hint_ttl_ms`; have you, too, or nothing? (see `reaper.py`)"""

    key: Key
    digest: Digest


class ReapAskDone(NamedTuple):
    """Yes: I would forget it, too; or no."""

    key: Key
    digest: Digest
    agreed: bool


class Reap(NamedTuple):
    """All homes agreed: forget this tombstone, unless it has changed since. Not answered."""

    key: Key
    digest: Digest


class Ping(NamedTuple):
    """Are you there? (4.8.3)"""

    number: Counter


class PingDone(NamedTuple):
    """Yes."""

    number: Counter


class Member(NamedTuple):
    """One event of the membership history: at `epoch`, `node` became `status` (4.8.1)."""

    epoch: Counter
    node: NodeId
    status: Annotated[str, Bound(1, 16)]
    """``up``, ``joining``, ``leaving``, ``left``; or ``moving``, ``moved``: it takes over the key range `slot`."""
    weight: float = 1.0
    zone: Name = ""
    slot: Annotated[int, Bound(-1, 65_535)] = -1
    """Number of the key range that moves (strategy 3); -1: none."""


History = Annotated[tuple[Member, ...], Bound(0, 10_000)]


class Gossip(NamedTuple):
    """Here is the digest of my membership history, and the events you may lack (4.8.1)."""

    digest: Digest
    history: History


class GossipDone(NamedTuple):
    """Here is mine, if it differs from yours."""

    digest: Digest
    history: History


class RootsGet(NamedTuple):
    """Here are the Merkle roots of the key ranges we both keep; which differ? (4.7)"""

    exchange: RequestId
    roots: Annotated[dict[bytes, bytes], Bound(0, KEYS_PER_MESSAGE)]
    """``{last position of the key range: root}``"""


class RootsGetDone(NamedTuple):
    """The key ranges of the asked ones whose roots differ from mine."""

    exchange: RequestId
    differ: Annotated[tuple[bytes, ...], Bound(0, KEYS_PER_MESSAGE)]


class TreeGet(NamedTuple):
    """Show me these branches of your Merkle tree over one key range (4.7)."""

    exchange: RequestId
    end: Position
    """The last position of the key range."""
    paths: Annotated[tuple[int, ...], Bound(0, KEYS_PER_MESSAGE)]


class TreeGetDone(NamedTuple):
    """What is below the asked paths: of a branch its children, of a leaf its keys, with their digests."""

    exchange: RequestId
    branches: Annotated[dict[int, dict[int, bytes]], Bound(0, KEYS_PER_MESSAGE)]
    """``{path: {child path: digest}}``"""
    leaves: Annotated[dict[int, dict[bytes, bytes]], Bound(0, KEYS_PER_MESSAGE)]
    """``{path: {key: digest}}``"""
    whole: Annotated[bytes, Bound(0, VALUE_BYTES_MAX)] = b""
    """The tree of a student's part, as JSON; empty otherwise."""


class KeysGet(NamedTuple):
    """Send me these keys of the range, and take what I hold of them."""

    exchange: RequestId
    keys: Annotated[tuple[bytes, ...], Bound(0, KEYS_PER_MESSAGE)]
    offered: Annotated[dict[bytes, Siblings], Bound(0, KEYS_PER_MESSAGE)]


class KeysGetDone(NamedTuple):
    """What I hold of the asked keys, after taking what you offered; the first ones when not all have room."""

    exchange: RequestId
    held: Annotated[dict[bytes, Siblings], Bound(0, KEYS_PER_MESSAGE)]


CLIENT_REQUESTS = (ClientPut, ClientGet, ClientLeave, ClientMove)
CLIENT_REPLIES = (ClientPutDone, ClientGetDone, ClientFailed, ClientLeaveDone, ClientMoveDone)
NODE_MESSAGES = (
    *(ReplicaPut, ReplicaPutDone, ReplicaGet, ReplicaGetDone, ReadRepair),
    *(HintDeliver, HintDeliverDone, ReapAsk, ReapAskDone, Reap, Ping, PingDone, Gossip, GossipDone),
    *(RootsGet, RootsGetDone, TreeGet, TreeGetDone, KeysGet, KeysGetDone),
)
MESSAGES: tuple[type, ...] = CLIENT_REQUESTS + CLIENT_REPLIES + NODE_MESSAGES
"""Every message; the place in this tuple is its number on the wire."""

Message = Any
"""One of `MESSAGES`."""
