"""One trace of everything: what both worlds record, tests assert on, pictures draw and files replay.

Theory of operation.
A `TraceEvent` says: at this time, at this node, this happened, because of that.
Causes make a graph: a receive is caused by its send, whatever a node does by what it handled.
Vector time is not carried by messages; it is computed from the causes (`vector_times`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

KINDS = (
    *("request", "reply", "fail"),
    *("send", "receive", "drop"),
    *("write", "store", "hint", "handoff", "forget", "repair", "exchange"),
    *("suspect", "trust", "member", "incarnation", "refuse", "quorum"),
    *("fault", "start", "stop", "note"),
)
"""What an event can be.

request, reply, fail: a client's request reached its coordinator, was answered, was refused or timed out.
send, receive, drop: a message left, arrived, was lost (`detail["why"]`).
write: a coordinator made a new version; store: a replica's state of a key changed.
hint, handoff, forget: a hint was kept, was delivered, was dropped.
repair: a get found a stale replica; exchange: a Merkle exchange ended (`detail["keys"]`).
suspect, trust: a node's own opinion of a peer changed. member: its membership history changed.
incarnation: a node took a fresh name for its counters. refuse: an input was refused. quorum: W or R was reached.
fault: somebody cut, crashed, paused, skewed or healed. start, stop: a node's process. note: for people.
"""


class TraceEvent(NamedTuple):
    """One thing that happened.

    Attributes:
        seq: place in the trace, 1 and up, unique.
        time_us: virtual time, or monotonic time since the cluster's start.
        node: where; ``client:alice`` for clients, ``cluster`` for faults.
        kind: one of `KINDS`.
        message: name of the message or timer, or empty.
        peer: the other node of a send, receive, drop, hint, repair, suspicion; or empty.
        key: the key it is about, or empty.
        request: the client request, exchange or delivery it belongs to, or empty.
        size: bytes on the wire (live) or of the encoded values (simulation); 0 when not a message.
        cause: seq of the event that led to it; 0 when none.
        detail: more, as built-in values.
    """

    seq: int
    time_us: int
    node: str
    kind: str
    message: str = ""
    peer: str = ""
    key: bytes = b""
    request: str = ""
    size: int = 0
    cause: int = 0
    detail: dict[str, Any] = {}  # noqa: RUF012 - never changed in place

    @property
    def time_ms(self) -> float:
        """The time in milliseconds."""
        return self.time_us / 1000

    def __str__(self) -> str:
        words = [f"{self.time_ms:10.3f}", self.node, self.kind, self.message]
        words += [f"({self.peer})"] if self.peer else []
        words += [repr(self.key.decode(errors="replace"))] if self.key else []
        words += [f"{name}={value}" for name, value in self.detail.items()]
        return " ".join(word for word in words if word)
