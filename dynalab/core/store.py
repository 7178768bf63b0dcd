"""The storage port, and the in-memory engine (paper 5, "local persistence engine").

Theory of operation.
A node reads and stages writes through its store while it handles an event.
`commit` makes all that was staged durable, as the mode promises; no effect leaves before it returned.
`rollback` drops what the current event has staged, when a replaced part failed.
Replicas and hints are kept apart (4.6): a hint is not an answer for the key ranges of this node.

Rule 1: a store that may have forgotten anything says so (`complete` is False);
the node then takes a fresh incarnation, so no counter is ever used twice.
Rule 2: iteration is in the order keys were first written, or sorted; never by hash.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from dynalab.core.version import Siblings


class Record(NamedTuple):
    """What this node keeps for one key.

    Attributes:
        siblings: the versions and the knowledge.
        actor: the incarnation under which this node coordinates the key; empty: it never did.
    """

    siblings: Siblings
    actor: str = ""


class Hint(NamedTuple):
    """A state kept for another node until that is reachable (4.6).

    Attributes:
        home: the node it is meant for.
        key: the key.
        record: the state, and this node's incarnation if it coordinated the write itself.
        kept_us: time (`now_us`) of the latest write into it; wall clocks may jump, and a hint must not expire by that.
    """

    home: str
    key: bytes
    record: Record
    kept_us: int


class Store(Protocol):
    """What every engine offers; all calls are synchronous."""

    complete: bool
    """False when replicas may have been forgotten since the last run (lost disk, torn tail, corrupt record)."""

    def get(self, key: bytes) -> Record | None:
        """The record of `key`, or None."""

    def put(self, key: bytes, record: Record) -> None:
        """Stage a record."""

    def forget(self, key: bytes) -> None:
        """Stage the removal of a record."""

    def keys(self) -> Iterator[bytes]:
        """All keys with a record, in a deterministic order; the caller does not write meanwhile."""

    def __len__(self) -> int:
        """How many keys have a record."""

    def hint(self, home: str, key: bytes) -> Hint | None:
        """The hint for `home` and `key`, or None."""

    def put_hint(self, hint: Hint) -> None:
        """Stage a hint; it replaces an older one for the same home and key."""

    def drop_hint(self, home: str, key: bytes) -> None:
        """Stage the removal of a hint."""

    def hints(self, home: str | None = None) -> list[Hint]:
        """All hints, or those for one home, oldest first."""

    def hints_of(self, key: bytes) -> list[Hint]:
        """The hints held for `key`, whatever their home."""

    def hint_bytes(self) -> int:
        """Bytes of all values in hints."""

    def meta(self, name: str, default: Any = None) -> Any:
        """A small built-in value kept under `name` (incarnation, membership history, ...)."""

    def put_meta(self, name: str, value: Any) -> None:
        """Stage a small value."""

    def seen(self, request: str) -> tuple[str, int] | None:
        """The dot that the put with this request id made here, if it is remembered."""

    def remember(self, request: str, dot: tuple[str, int]) -> None:
        """Stage the memory of a request id; the oldest of many are forgotten."""

    def commit(self) -> None:
        """Make all that was staged as durable as the mode promises; raises OSError when it cannot."""

    def sync_next(self) -> None:
        """The next commit is to be durable, whatever the mode; where nothing ever is, this changes nothing (6.1)."""

    def begin(self) -> None:
        """An event begins: what is staged from here on can be rolled back."""

    def rollback(self) -> None:
        """Drop what was staged since `begin`."""

    def close(self) -> None:
        """Commit and release files."""


REQUESTS_REMEMBERED = 10_000


class MemoryStore:
    """The in-memory engine: dicts, with an undo list for `rollback`.

    Args:
        complete: False for a node that restarts empty.
    """

    def __init__(self, complete: bool = True) -> None:
        self.complete = complete
        #: {key: Record}
        self._records: dict[bytes, Record] = {}
        #: {key: {home: Hint}}, homes in the order their first hint came
        self._hints: dict[bytes, dict[str, Hint]] = {}
        #: {"hints": bytes of all values in hints}; a table, so that `rollback` restores it
        self._sizes: dict[str, int] = {"hints": 0}
        self._meta: dict[str, Any] = {}
        #: {request id: dot}, oldest first
        self._requests: OrderedDict[str, tuple[str, int]] = OrderedDict()  # It finds its oldest at once; a dict looks.
        #: (table, key, old value or _NOTHING) since the event began
        self._undo: list[tuple[dict[Any, Any], Any, Any]] = []

    def get(self, key: bytes) -> Record | None:
        return self._records.get(key)

    def put(self, key: bytes, record: Record) -> None:
        records = self._records  # Written out, like `remember`: every write passes here.
        self._undo.append((records, key, records.get(key, _NOTHING)))
        records[key] = record

    def forget(self, key: bytes) -> None:
        self._drop(self._records, key)

    def keys(self) -> Iterator[bytes]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def hint(self, home: str, key: bytes) -> Hint | None:
        return self._hints.get(key, {}).get(home)

    def put_hint(self, hint: Hint) -> None:
        self._resize_hints(self.hint(hint.home, hint.key), hint)
        self._set(self._hints, hint.key, {**self._hints.get(hint.key, {}), hint.home: hint})

    def drop_hint(self, home: str, key: bytes) -> None:
        self._resize_hints(self.hint(home, key), None)
        left = {name: hint for name, hint in self._hints.get(key, {}).items() if name != home}
        if left:
            self._set(self._hints, key, left)
        else:
            self._drop(self._hints, key)

    def hints(self, home: str | None = None) -> list[Hint]:
        held = [hint for by_home in self._hints.values() for hint in by_home.values()]
        return sorted((hint for hint in held if home in (None, hint.home)), key=lambda hint: hint.kept_us)

    def hints_of(self, key: bytes) -> list[Hint]:
        held = self._hints.get(key)
        return list(held.values()) if held else []

    def hint_bytes(self) -> int:
        return self._sizes["hints"]

    def _resize_hints(self, old: Hint | None, new: Hint | None) -> None:
        size = self._sizes["hints"] - _hint_weight(old) + _hint_weight(new)
        self._set(self._sizes, "hints", size)

    def meta(self, name: str, default: Any = None) -> Any:
        return self._meta.get(name, default)

    def put_meta(self, name: str, value: Any) -> None:
        self._set(self._meta, name, value)

    def seen(self, request: str) -> tuple[str, int] | None:
        return self._requests.get(request)

    def remember(self, request: str, dot: tuple[str, int]) -> None:
        requests = self._requests
        self._undo.append((requests, request, requests.get(request, _NOTHING)))
        requests[request] = dot
        if len(requests) > REQUESTS_REMEMBERED:
            self._drop(requests, next(iter(requests)))

    def commit(self) -> None:
        self._undo.clear()

    def sync_next(self) -> None:
        """Memory is never durable."""

    def begin(self) -> None:
        self._undo.clear()

    def rollback(self) -> None:
        for table, key, old in reversed(self._undo):
            if old is _NOTHING:
                table.pop(key, None)
                continue
            forgotten = table is self._requests and key not in table
            table[key] = old
            if forgotten:  # Only the oldest is ever forgotten.
                self._requests.move_to_end(key, last=False)
        self._undo.clear()

    def close(self) -> None:
        self.commit()

    def _set(self, table: dict[Any, Any], key: Any, value: Any) -> None:
        self._undo.append((table, key, table.get(key, _NOTHING)))
        table[key] = value

    def _drop(self, table: dict[Any, Any], key: Any) -> None:
        self._undo.append((table, key, table.pop(key, _NOTHING)))


_NOTHING = object()


def weight(siblings: Siblings) -> int:
    """Bytes of all values of a state.

    >>> weight(Siblings().put("A", b"milk", None))
    4
    """
    total = 0  # A plain loop: a simulation asks this of every message that carries a state.
    for version in siblings.versions:
        value = version.value
        if value is not None:
            total += len(value)
    return total


def _hint_weight(hint: Hint | None) -> int:
    return 0 if hint is None else weight(hint.record.siblings)
