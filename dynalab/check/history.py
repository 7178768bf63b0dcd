"""What clients did and were told, written down as they did it: the evidence a judge needs.

Theory of operation.
Every write gets an id of its own (``alice.3``), and the id travels inside the value.
Whatever later comes back from a get, or lies on a node at the end, names its write.
An operation ends in one of three ways:
`ok` (acknowledged), `fail` (surely no effect) or `unknown` (it may have happened, or may yet).

Times are for people; `order` numbers say what came before what, since in virtual time many things share a moment.

Rule 1: an operation is written down before it is sent, so nothing that happened is missing.
Rule 2: a repeated request id repeats the write id: it is the same write.
Rule 3: dots are learned, never guessed: from acknowledgements, from versions that were read, from the final states.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from dynalab.core.clock import Context, Dot, Entries
from dynalab.core.session import key_text

OK, FAIL, UNKNOWN, PENDING = "ok", "fail", "unknown", "pending"

_STAMP = re.compile(r"([^=\s]+\.\d+)=(.*)", re.DOTALL)
_STAMP_BYTES = re.compile(rb"([^=\s]+\.\d+)=(.*)", re.DOTALL)


class Seen(NamedTuple):
    """One version as somebody saw it, in an answer or on a node.

    Attributes:
        write: the id its value carries; empty for a tombstone, or when the value carries none.
        dot: the name the coordinator gave the write.
        clock: ``{actor: counter}``: an upper bound of what its writer had seen, and the write itself.
        deleted: a tombstone.
        value: the value without its id.
    """

    write: str
    dot: Dot
    clock: Entries
    deleted: bool
    value: Any = None


@dataclass(slots=True)
class Operation:
    """One verb of one client, from call to end."""

    client: str
    kind: str
    """``put``, ``get`` or ``delete``."""
    key: str
    started_us: int
    began: int
    """Its place in the order of all beginnings, ends and faults."""
    write: str = ""
    """The write id; empty for a get."""
    value: Any = None
    """The value as the caller gave it."""
    request: str = ""
    """The request id when the caller chose it, or the one the answer names."""
    need: int = 0
    """R or W of this request; 0 when the cluster's default was used."""
    local: bool = False
    """`Context.LOCAL`: what it replaces is known only from the acknowledgement."""
    sent: Context = Context.EMPTY
    """What the request carried, joined."""
    used: Context | None = None
    """What the coordinator used; None until acknowledged."""
    dot: Dot | None = None
    """The new write's dot; None until acknowledged."""
    context: Context | None = None
    """What the answer gave back."""
    coordinator: str = ""
    nodes: tuple[str, ...] = ()
    """Who had stored, or answered, when the quorum was reached."""
    hinted: tuple[tuple[str, str], ...] = ()
    seen: tuple[Seen, ...] = ()
    """The versions a get returned."""
    resolved: bool = False
    """A merger of the store joined the siblings: the value is nobody's write."""
    outcome: str = PENDING
    error: str = ""
    ended_us: int | None = None
    ended: int = 0
    """The place of its end in the order; 0 while it runs."""

    @property
    def writes(self) -> bool:
        """Whether this is a put or a delete."""
        return self.kind != "get"

    def __str__(self) -> str:
        said = {"put": f"put {self.write}", "delete": f"delete {self.write}", "get": "get"}[self.kind]
        got = " -> " + ", ".join(_said(seen) for seen in self.seen) if self.kind == "get" and self.seen else ""
        via = f" by {self.coordinator} on {' '.join(self.nodes)}" if self.coordinator else ""
        dot = f" as {self.dot}" if self.dot else ""
        why = f" ({self.error})" if self.error else ""
        return f"{self.started_us / 1000:.3f} {self.client} {said} {self.key!r}: {self.outcome}{dot}{via}{got}{why}"


def _said(seen: Seen) -> str:
    return f"{seen.write or ('deletion' if seen.deleted else 'nobody')}({seen.dot})"


class FaultNote(NamedTuple):
    """One fault verb, when it was carried out."""

    time_us: int
    order: int
    verb: str
    node: str = ""
    wiped: bool = False
    """`recover(node, wipe=True)`: the node forgot everything."""


class SettledNote(NamedTuple):
    """A moment at which `settle` had just succeeded: all homes of every key agreed."""

    time_us: int
    order: int


@dataclass
class History:
    """All operations of all clients, the faults, and the moments the cluster was settled."""

    operations: list[Operation] = field(default_factory=list)
    faults: list[FaultNote] = field(default_factory=list)
    settled: list[SettledNote] = field(default_factory=list)
    stamped: bool = True
    """Values carry the id of their write; else values are all different and name their write themselves."""
    _order: int = 0
    #: {client: writes so far}
    _written: dict[str, int] = field(default_factory=dict)
    #: {(client, request id): write id}
    _by_request: dict[tuple[str, str], str] = field(default_factory=dict)

    def begin(self, client: str, kind: str, key: str | bytes, now_us: int, **known: Any) -> Operation:
        """Write down an operation that is about to be sent; a write gets its id here."""
        operation = Operation(client, kind, text_of(key), now_us, self._next(), **known)
        if operation.writes:
            operation.write = self._write_id(client, operation.request)
        self.operations.append(operation)
        return operation

    def end(self, operation: Operation, outcome: str, now_us: int, error: str = "") -> None:
        """Write down how an operation ended."""
        operation.outcome, operation.error = outcome, error
        operation.ended_us, operation.ended = now_us, self._next()

    def note_fault(self, verb: str, now_us: int, node: str = "", wiped: bool = False) -> None:
        """Write down a fault that has taken effect."""
        self.faults.append(FaultNote(now_us, self._next(), verb, node, wiped))

    def note_settled(self, now_us: int) -> None:
        """Write down that all is quiet and equal now."""
        self.settled.append(SettledNote(now_us, self._next()))

    def _next(self) -> int:
        self._order += 1
        return self._order

    def _write_id(self, client: str, request: str) -> str:
        known = self._by_request.get((client, request)) if request else None
        if known:
            return known
        self._written[client] = self._written.get(client, 0) + 1
        write = f"{client.replace('=', '-')}.{self._written[client]}"
        if request:
            self._by_request[client, request] = write
        return write

    def of_key(self, key: str) -> list[Operation]:
        """The operations on one key, in the order they began."""
        return [operation for operation in self.operations if operation.key == key]

    def attempts(self, write: str) -> list[Operation]:
        """The operations that carried this write: several when it was retried with its request id."""
        return [operation for operation in self.operations if operation.writes and operation.write == write]

    def keys(self) -> list[str]:
        """All keys, in the order they were first used."""
        return list(dict.fromkeys(operation.key for operation in self.operations))

    def writes(self) -> Iterator[Operation]:
        """The puts and deletes."""
        return (operation for operation in self.operations if operation.writes)

    def __str__(self) -> str:
        told = [(op.began, str(op)) for op in self.operations]
        told += [(fault.order, f"{fault.time_us / 1000:.3f} fault {fault.verb}") for fault in self.faults]
        told += [(note.order, f"{note.time_us / 1000:.3f} settled") for note in self.settled]
        return "\n".join(line for _, line in sorted(told))


# Values that name their write ------------------------------------------------------------------


def stamp(write: str, value: Any) -> Any:
    """The value as it is stored: it carries the id of its write.

    >>> stamp("alice.1", "milk"), stamp("alice.2", ["tea"])
    ('alice.1=milk', {'write': 'alice.2', 'value': ['tea']})
    """
    if isinstance(value, str):
        return f"{write}={value}"
    if isinstance(value, bytes):
        return write.encode() + b"=" + value
    return {"write": write, "value": value}


def unstamp(stored: Any) -> tuple[str, Any]:
    """The write id in a stored value, and the value as it was given; an id of '' when there is none.

    >>> unstamp("alice.1=milk"), unstamp("milk")
    (('alice.1', 'milk'), ('', 'milk'))
    """
    if isinstance(stored, str) and (match := _STAMP.fullmatch(stored)):
        return match[1], match[2]
    if isinstance(stored, bytes) and (match_bytes := _STAMP_BYTES.fullmatch(stored)):
        return match_bytes[1].decode(errors="replace"), match_bytes[2]
    if isinstance(stored, dict) and set(stored) == {"write", "value"}:
        return str(stored["write"]), stored["value"]
    return "", stored


def same_value(left: Any, right: Any) -> bool:
    """Whether two values are one to a reader: equal bytes, equal text, or equal JSON."""
    if isinstance(left, (bytes, str)) or isinstance(right, (bytes, str)):
        return type(left) is type(right) and bool(left == right)
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


def seen_version(value: Any, dot: Any, clock: Any, deleted: bool) -> Seen:
    """A version as an answer or an inspection shows it, with the write id taken out of its value."""
    write, inner = ("", None) if deleted else unstamp(value)
    return Seen(write, Dot(*dot), dict(clock), deleted, inner)


def new_dot(used: Context, context: Context) -> Dot | None:
    """The one write that an acknowledgement's context covers and the context it used does not.

    >>> new_dot(Context({"A": 1}), Context({"A": 2}))
    Dot(actor='A', counter=2)
    """
    apart = [dot for dot in context.dots if not used.covers(Dot(*dot))]
    for actor, counter in sorted(context.entries.items()):
        low = used.entries.get(actor, 0)
        apart += [Dot(actor, n) for n in range(low + 1, counter + 1) if not used.covers(Dot(actor, n))]
    return Dot(*apart[0]) if len(apart) == 1 else None


def text_of(key: str | bytes) -> str:
    """A key as the history names it: as nodes show it when they are inspected."""
    return key if isinstance(key, str) else key_text(key)
