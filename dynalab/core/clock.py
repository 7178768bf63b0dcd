"""Vector clocks, dots and contexts: who has seen what (paper 4.4).

Theory of operation.
A vector clock counts, for every actor, how many of its writes are known.
An actor is a node, or one of its later incarnations: ``A``, then ``A~1b9e8e40dc``.
One clock *descends from* another when it counts at least as much everywhere;
when neither descends from the other, the two histories are concurrent.

A **dot** names one single write: ``(actor, counter)``.
A clock ``{A: 3}`` stands for the dots A1, A2 and A3.
Sometimes a client knows A3 but not A2 (it was told only of its own write).
So knowledge is a clock plus the dots that stand apart from it.

Rule 1: counters start at 1; an actor that is absent counts 0.
Rule 2: clocks are compared by name (``compare``, ``descends_from``), never with ``<``:
two concurrent clocks are neither smaller nor larger.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from hashlib import blake2b
from hmac import compare_digest
from typing import ClassVar, NamedTuple

from dynalab.core.quick import maker

Entries = dict[str, int]
"""``{actor: counter}`` with counters >= 1; treated as immutable everywhere."""

COUNTER_MAX = 2**53 - 1
"""The largest counter a message may carry: exact in every JSON reader."""

SEAL_BYTES = 16


class Ordering(Enum):
    """How one clock stands to another (4.4)."""

    BEFORE = "before"
    AFTER = "after"
    EQUAL = "equal"
    CONCURRENT = "concurrent"


class Dot(NamedTuple):
    """The name of one write: the `counter`-th write of `actor` to this key."""

    actor: str
    counter: int

    def __str__(self) -> str:
        return f"{self.actor}{self.counter}"


def compare(left: Mapping[str, int], right: Mapping[str, int]) -> Ordering:
    """Say how `left` stands to `right` (4.4).

    >>> compare({"A": 2}, {"A": 1, "B": 1})
    <Ordering.CONCURRENT: 'concurrent'>
    """
    left_ahead = any(counter > right.get(actor, 0) for actor, counter in left.items())
    right_ahead = any(counter > left.get(actor, 0) for actor, counter in right.items())
    if left_ahead and right_ahead:
        return Ordering.CONCURRENT
    if left_ahead:
        return Ordering.AFTER
    return Ordering.BEFORE if right_ahead else Ordering.EQUAL


def join(left: Mapping[str, int], right: Mapping[str, int]) -> Entries:
    """The least clock that descends from both: the larger counter of every actor.

    >>> join({"A": 2}, {"A": 1, "B": 1})
    {'A': 2, 'B': 1}
    """
    joined = dict(left)
    if not right:
        return joined
    for actor, counter in right.items():
        if counter > joined.get(actor, 0):
            joined[actor] = counter
    return joined


def covers(clock: Mapping[str, int], dots: Iterable[Dot], dot: Dot) -> bool:
    """Whether knowledge of `clock` and the separate `dots` includes the write `dot`."""
    return clock.get(dot[0], 0) >= dot[1] or dot in dots


def absorb(clock: Mapping[str, int], dots: Sequence[Dot]) -> tuple[Entries, tuple[Dot, ...]]:
    """Fold every dot that continues the clock without a gap into the clock.

    >>> absorb({"A": 1}, [Dot("A", 2), Dot("A", 4)])
    ({'A': 2}, (Dot(actor='A', counter=4),))
    """
    entries = dict(clock)
    apart: list[Dot] = []
    for dot in sorted(dots) if len(dots) > 1 else dots:
        actor, counter = dot
        known = entries.get(actor, 0)
        if counter == known + 1:
            entries[actor] = counter
        elif counter > known and dot not in apart[-1:]:
            apart.append(dot)
    return entries, tuple(apart)


class VectorClock(Mapping[str, int]):
    """An immutable ``{actor: counter}`` with the causal order of section 4.4.

    Args:
        entries: counters by actor; zero means absent.

    Raises:
        ValueError: a counter is negative, not an integer, or above ``2**53 - 1``.

    >>> VectorClock({"A": 2}).compare(VectorClock({"A": 1}))
    <Ordering.AFTER: 'after'>
    """

    __slots__ = ("_entries",)

    def __init__(self, entries: Mapping[str, int] | Iterable[tuple[str, int]] = ()) -> None:
        checked = {actor: _counter(actor, counter) for actor, counter in dict(entries).items()}
        self._entries: Entries = {actor: checked[actor] for actor in sorted(checked) if checked[actor]}

    def __getitem__(self, actor: str) -> int:
        return self._entries[actor]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __hash__(self) -> int:
        return hash(tuple(self._entries.items()))

    def __repr__(self) -> str:
        return f"VectorClock({self._entries})"

    def __str__(self) -> str:
        return "[" + ", ".join(f"{actor}{counter}" for actor, counter in self._entries.items()) + "]"

    def compare(self, other: Mapping[str, int]) -> Ordering:
        """How this clock stands to `other`: BEFORE, AFTER, EQUAL or CONCURRENT."""
        return compare(self, other)

    def descends_from(self, other: Mapping[str, int]) -> bool:
        """Whether this clock counts at least as much as `other` everywhere; a clock descends from itself."""
        return compare(self, other) in (Ordering.AFTER, Ordering.EQUAL)

    def concurrent_with(self, other: Mapping[str, int]) -> bool:
        """Whether neither clock descends from the other."""
        return compare(self, other) is Ordering.CONCURRENT

    def increment(self, actor: str) -> VectorClock:
        """This clock with one more write of `actor`.

        >>> VectorClock({"A": 1}).increment("A")
        VectorClock({'A': 2})
        """
        return VectorClock({**self._entries, actor: self._entries.get(actor, 0) + 1})

    def merge(self, other: Mapping[str, int]) -> VectorClock:
        """The least clock that descends from both."""
        return VectorClock(join(self, other))


def _counter(actor: str, counter: int) -> int:
    if not isinstance(actor, str) or not actor:
        raise ValueError(f"a clock counts actors by name; got {actor!r}")
    if not isinstance(counter, int) or isinstance(counter, bool) or not 0 <= counter <= COUNTER_MAX:
        raise ValueError(f"the counter of {actor!r} must be an integer from 0 to 2**53 - 1; got {counter!r}")
    return counter


@lru_cache(maxsize=16)
def _sealer(secret: bytes) -> blake2b:
    return blake2b(key=secret, digest_size=SEAL_BYTES)


def _seal(secret: bytes, key: bytes, entries: Entries, dots: tuple[Dot, ...]) -> bytes:
    in_order = entries if type(entries) is dict and len(entries) < 2 else dict(sorted(entries.items()))
    content = repr((in_order, [tuple(dot) for dot in sorted(dots)]) if dots else in_order)
    sealing = _sealer(secret).copy()
    sealing.update(content.encode() + key)  # Where the content ends, its last bracket says; so nothing can be moved.
    return sealing.digest()


class _ContextFields(NamedTuple):
    entries: Entries = {}  # noqa: RUF012 - never changed in place, see Entries
    dots: tuple[Dot, ...] = ()
    seal: bytes = b""


class Context(_ContextFields):
    """What a client has seen of one key: given by a get, handed back with a put (4.1).

    Opaque to programs, readable for people (`clock`), and sealed:
    the cluster signs key and content, so a context cannot be made up (4.1, "verify the validity").

    Attributes:
        entries: counters by actor: every write up to them has been seen.
        dots: single writes seen beyond `entries` (a client's own, acknowledged without a read).
        seal: keyed BLAKE2b over key, entries and dots, 16 bytes; empty when nothing was seen.
    """

    __slots__ = ()
    EMPTY: ClassVar[Context]
    """A blind write: it has seen nothing, so it replaces nothing."""
    LOCAL: ClassVar[Context]
    """'Replace what the coordinator holds': resolved by the coordinator."""

    @property
    def clock(self) -> VectorClock:
        """All that was seen, as one vector clock (dots rounded up into it)."""
        return VectorClock(self.rounded_up())

    def rounded_up(self) -> Entries:
        """What `clock` counts, as a plain dict."""
        return join(self.entries, dict(sorted(self.dots))) if self.dots else self.entries

    def covers(self, dot: Dot) -> bool:
        """Whether the write `dot` was seen."""
        return covers(self.entries, self.dots, dot)

    def join(self, other: Context) -> Context:
        """What both have seen together, unsealed."""
        entries, dots = absorb(join(self.entries, other.entries), self.dots + other.dots)
        return Context(entries, dots)

    def sealed(self, secret: bytes, key: bytes) -> Context:
        """This context signed for `key` with the cluster's `secret`."""
        return _context((self.entries, self.dots, _seal(secret, key, self.entries, self.dots)))

    def sealed_with(self, dot: Dot, secret: bytes, key: bytes) -> Context:
        """What was seen, and one write more, signed for `key`: what an acknowledgement gives."""
        entries, dots = absorb(self.entries, (*self.dots, dot))
        return _context((entries, dots, _seal(secret, key, entries, dots)))

    def is_valid(self, secret: bytes, key: bytes) -> bool:
        """Whether the seal is the cluster's own for `key`; an empty context needs none."""
        if not self.entries and not self.dots:
            return True
        return compare_digest(self.seal, _seal(secret, key, self.entries, self.dots))

    def __str__(self) -> str:
        return "Context.LOCAL" if self is Context.LOCAL else f"Context{self.clock}"


_context = maker(Context)
Context.EMPTY = Context()
Context.LOCAL = Context(seal=b"local")
