"""What a client is told: an acknowledgement, what a get found, or an error (paper 4.1).

Theory of operation.
A node's reply is a message; a user sees it as an `Ack` or a `Got`, or as an exception.
Most programs look at one or two fields of an answer, and those of a heavy load at hardly any.
So an answer keeps the reply, and makes a field of it when somebody looks.

Rule 1: an answer cannot be changed, and it equals another that says the same.
Rule 2: looking twice shows the same list, so what a user does to it stays done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple, TypeVar

from dynalab.core.clock import Context, Dot, VectorClock
from dynalab.core.encoding import decode_value, key_text
from dynalab.core.errors import ERRORS, DynalabError, SeveralValues
from dynalab.core.messages import ClientFailed, ClientGetDone, ClientPutDone

Shown = TypeVar("Shown")

_ERROR_BY_NAME: dict[str, type[DynalabError]] = {error.__name__: error for error in ERRORS}


class _Answer:
    """What `Ack` and `Got` have in common."""

    __slots__ = ("_latency_ms", "_made", "_reply")
    _FIELDS: ClassVar[tuple[str, ...]]
    _NOT_SHOWN: ClassVar[tuple[str, ...]]
    _reply: Any

    def __init__(self, reply: Any, latency_ms: float) -> None:
        self._reply = reply
        self._latency_ms = latency_ms
        #: {field: the list or dict that was made of the reply}
        self._made: dict[str, Any] = {}

    @property
    def key(self) -> str:
        """As text when it is UTF-8, else in hexadecimal."""
        return key_text(self._reply.key)

    @property
    def coordinator(self) -> str:
        """The node that handled the request."""
        return str(self._reply.coordinator)

    @property
    def nodes(self) -> list[str]:
        """Who had stored it when W was reached; of a get: who answered in time."""
        return self._once("nodes", lambda: list(self._reply.nodes))

    @property
    def latency_ms(self) -> float:
        """From the request to its answer."""
        return self._latency_ms

    @property
    def request(self) -> str:
        """The id of the request."""
        return str(self._reply.request)

    def _once(self, field: str, make: Callable[[], Shown]) -> Shown:
        """The field's list or dict: always the same one, on whatever threads they look."""
        shown: Shown = self._made[field] if field in self._made else self._made.setdefault(field, make())
        return shown

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self._FIELDS)

    __hash__ = None  # type: ignore[assignment]  # What it shows can be changed: it has lists.

    def __repr__(self) -> str:
        shown = [f"{name}={getattr(self, name)!r}" for name in self._FIELDS if name not in self._NOT_SHOWN]
        return f"{type(self).__name__}({', '.join(shown)})"


class Ack(_Answer):
    """A put or delete that W distinct nodes have stored."""

    __slots__ = ()
    _FIELDS = __match_args__ = (
        *("key", "coordinator", "nodes", "hinted", "context", "used_context", "latency_ms", "request", "wall_us"),
    )
    _NOT_SHOWN = ("request", "wall_us")
    _reply: ClientPutDone

    @property
    def hinted(self) -> dict[str, str]:
        """``{holder: home}`` for the copies that wait for their home."""
        return self._once("hinted", lambda: dict(self._reply.hinted))

    @property
    def context(self) -> Context:
        """Covers this client's own context and its own new write, nothing unread."""
        return self._reply.context

    @property
    def used_context(self) -> Context:
        """The context the coordinator used, after joining and resolving."""
        return self._reply.used

    @property
    def wall_us(self) -> int:
        """The coordinator's wall clock when it wrote."""
        return self._reply.wall_us


class Sibling(NamedTuple):
    """One version as a client sees it: its value decoded.

    Attributes:
        value: what was put; None for a deletion, or when None was put.
        clock: what its writer had seen, plus the write itself.
        dot: the name of the write.
        wall_us: the coordinator's wall clock when it wrote.
        deleted: whether it is a deletion.
    """

    value: Any
    clock: VectorClock
    dot: Dot
    wall_us: int
    deleted: bool


class Got(_Answer):
    """All causally unrelated versions that R answers held.

    Values are decoded at once: one that cannot be fails the get, not whoever looks at it.
    """

    __slots__ = ("_decoded",)
    _FIELDS = __match_args__ = (
        *("key", "values", "context", "coordinator", "nodes", "stale_nodes", "latency_ms", "versions", "resolved_by"),
        "request",
    )
    _NOT_SHOWN = ("versions", "request")
    _reply: ClientGetDone

    def __init__(self, reply: ClientGetDone, latency_ms: float) -> None:
        self._reply = reply
        self._latency_ms = latency_ms
        self._made = {}
        #: one for each version; None for a deletion
        self._decoded = [v.value if v.value is None else decode_value(v.value) for v in reply.siblings.versions]

    def showing(self, values: Sequence[Any]) -> Got:
        """This answer with other values, one for each version: for whoever stores more than the user's own value."""
        other = Got.__new__(Got)
        other._reply, other._latency_ms, other._made, other._decoded = self._reply, self._latency_ms, {}, list(values)
        return other

    @property
    def values(self) -> list[Any]:
        """All siblings, decoded; empty when the key is absent or deleted."""
        return self._once("values", self._live_values)

    @property
    def context(self) -> Context:
        """All that was read."""
        return self._reply.context

    @property
    def stale_nodes(self) -> list[str]:
        """Those of `nodes` that had missed a write."""
        return self._once("stale_nodes", lambda: list(self._reply.stale_nodes))

    @property
    def versions(self) -> list[Sibling]:
        """The siblings with their clocks, deletions among them."""
        return self._once("versions", self._siblings)

    @property
    def resolved_by(self) -> str:
        """The merger that joined the siblings for this key prefix; empty: none."""
        return self._reply.resolved_by

    @property
    def found(self) -> bool:
        """Whether there is a live value."""
        return bool(self.values)

    @property
    def value(self) -> Any:
        """The only value.

        Raises:
            SeveralValues: there are siblings, or none (a KeyError would hide which).
        """
        if len(self.values) != 1:
            raise SeveralValues(
                f"{self.key!r} has {len(self.values)} values: {self.values!r:.200}; "
                + ("use .values and put their merge with context=got.context" if self.values else "check .found first")
            )
        return self.values[0]

    def _live_values(self) -> list[Any]:
        versions = self._reply.siblings.versions
        return [value for value, version in zip(self._decoded, versions, strict=True) if not version.deleted]

    def _siblings(self) -> list[Sibling]:
        versions = self._reply.siblings.versions
        return [
            Sibling(value, VectorClock(version.clock), version.dot, version.wall_us, version.deleted)
            for value, version in zip(self._decoded, versions, strict=True)
        ]


def error_of(reply: ClientFailed) -> DynalabError:
    """The exception a refused or failed request raises, with the counts it carries."""
    error = _ERROR_BY_NAME.get(reply.error, DynalabError)(reply.text)
    error.definite = reply.definite
    error.needed, error.got, error.nodes = reply.needed, reply.got, reply.nodes
    error.retry_ms, error.traceback = reply.retry_ms, reply.traceback
    return error
