"""What one replica keeps for one key, and syntactic reconciliation (paper 4.1, 4.4).

Theory of operation.
A replica keeps `Siblings`: the versions that no later write has replaced,
and the knowledge of all writes it has heard of, kept or replaced.
Merging two replicas follows one rule:
a version stays if both have it, or if the other has never heard of it.
A version that the other has heard of, and no longer has, was replaced there.

Two readings of section 4.4 are here.
`Siblings.put` and `Siblings.merge` use **dots** (dotted version vectors): exact.
`LiteralClocks` uses the paper's clocks to the letter:
a version is dropped when another's clock descends from its own.

DEPARTS: dots are the default, because the literal clock loses acknowledged writes.
When two clients read the same version and both write through node A,
A counts both, and the second clock descends from the first although its writer never saw it.

Rule 1: a put removes exactly the versions its context covers.
Rule 2: merge is commutative, associative and idempotent; it never removes what nobody replaced.
Rule 3: versions are sorted by dot, so equal states are equal values, byte for byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from dynalab.core.clock import Context, Dot, Entries, Ordering, absorb, compare, covers, join
from dynalab.core.quick import maker

CLOCK_PAIRS_KEPT = 10
"""Literal clocks are truncated beyond this many pairs ("say 10", 4.4)."""

Compare = Callable[[Mapping[str, int], Mapping[str, int]], Ordering]
Keep = Callable[[Sequence["Version"]], list[int]]

NO_DOT = Dot("", 0)
UNTOUCHED: Mapping[str, int] = {}
"""Of every version with an exact clock; never changed in place."""


class Version(NamedTuple):
    """One value and the clock it was written with (4.4).

    Attributes:
        value: the bytes; None marks a deletion (a tombstone).
        clock: what its writer had seen, plus the write itself.
        dot: the name of the write.
        wall_us: the coordinator's wall clock when it wrote; only last-writer-wins reads it.
        touched: literal clocks only: when each actor last wrote, for truncation (4.4).
    """

    value: Any
    clock: Mapping[str, int]
    dot: Dot = NO_DOT
    wall_us: int = 0
    touched: Mapping[str, int] = UNTOUCHED

    @property
    def deleted(self) -> bool:
        """Whether this version is a tombstone."""
        return self.value is None


def reconcile(versions: Iterable[Version]) -> list[Version]:
    """Drop every version that another one descends from (syntactic reconciliation, 4.4).

    Of several versions with equal clocks the first is kept: to the clock they are the same write.

    >>> from dynalab.core.clock import VectorClock
    >>> old, new = Version("v1", VectorClock({"A": 1})), Version("v2", VectorClock({"A": 2}))
    >>> [version.value for version in reconcile([old, new])]
    ['v2']
    """
    versions = list(versions)
    return [versions[index] for index in kept_indexes(versions)]


def kept_indexes(versions: Sequence[Version], comparing: Compare = compare) -> list[int]:
    """The places of the versions that `reconcile` keeps, in order."""
    kept = []
    for index, version in enumerate(versions):
        orders = [comparing(version.clock, other.clock) for other in versions]
        replaced = Ordering.BEFORE in orders
        repeated = Ordering.EQUAL in orders[:index]
        if not replaced and not repeated:
            kept.append(index)
    return kept


class Siblings(NamedTuple):
    """All that one replica knows of one key: versions not yet replaced, and the writes heard of.

    An immutable value; `put` and `merge` answer a new one.

    Attributes:
        clock: ``{actor: counter}``: every write up to the counter has been heard of.
        versions: pairwise concurrent versions, sorted by dot; empty: the key was never written.
        dots: writes heard of beyond `clock`, apart from it; almost always empty.

    >>> first = Siblings().put("A", b"milk", None)
    >>> second = first.put("A", b"tea", first.context)
    >>> second.values, second.merge(first) == second
    ([b'tea'], True)
    """

    clock: Entries = {}  # noqa: RUF012 - never changed in place, see Entries
    versions: tuple[Version, ...] = ()
    dots: tuple[Dot, ...] = ()

    @property
    def values(self) -> list[Any]:
        """The live values: one, or several siblings; tombstones are left out."""
        return [version.value for version in self.versions if version.value is not None]

    @property
    def context(self) -> Context:
        """What a reader of this state has seen; unsealed."""
        return Context(self.clock, self.dots)

    @property
    def is_tombstone(self) -> bool:
        """Whether the key was written and every version left is a deletion."""
        for version in self.versions:
            if version.value is not None:
                return False
        return bool(self.versions)

    def version_of(self, dot: Dot) -> Version:
        """The version with this dot, which must be here."""
        versions = self.versions
        return versions[0] if len(versions) == 1 else next(version for version in versions if version.dot == dot)

    def covers(self, dot: Dot) -> bool:
        """Whether this replica has heard of the write `dot`."""
        return covers(self.clock, self.dots, dot)

    def has_heard(self, other: Siblings) -> bool:
        """Whether every write that `other` has heard of was heard of here, too: then its state adds nothing."""
        clock = self.clock
        for actor, counter in other.clock.items():
            if clock.get(actor, 0) < counter:
                return False
        return not other.dots or all(self.covers(dot) for dot in other.dots)

    def counter_of(self, actor: str) -> int:
        """The highest counter of `actor` heard of here; 0 when none."""
        counted = self.clock.get(actor, 0)
        return max(counted, *(dot.counter for dot in self.dots if dot.actor == actor), 0) if self.dots else counted

    def put(self, actor: str, value: Any, context: Context | None, wall_us: int = 0) -> Siblings:
        """Write `value` as `actor`, replacing exactly what `context` has seen (4.1, 4.4).

        Args:
            actor: the coordinator's name in clocks; this state must know all its own writes.
            value: bytes; None deletes.
            context: what the writer has read; None is a blind write, which replaces nothing.
            wall_us: wall clock of the coordinator, for last-writer-wins only.
        """
        seen = Context.EMPTY if context is None else context
        counter = self.counter_of(actor) + 1
        dot = _dot((actor, counter))
        version = _version((value, {**seen.rounded_up(), actor: counter}, dot, wall_us, UNTOUCHED))
        kept = self.versions and [old for old in self.versions if not seen.covers(old.dot)]
        clock, dots = absorb(join(self.clock, seen.entries), (*self.dots, *seen.dots, dot))
        return _siblings((clock, _by_dot([*kept, version]) if kept else (version,), dots))

    def merge(self, other: Siblings) -> Siblings:
        """The state of a replica that has heard all that both have heard (syntactic reconciliation)."""
        if self.has_heard(other):
            return self
        if other.has_heard(self):
            return other
        mine = {version.dot for version in self.versions}
        theirs = {version.dot for version in other.versions}
        kept = [version for version in self.versions if version.dot in theirs or not other.covers(version.dot)]
        kept += [version for version in other.versions if version.dot not in mine and not self.covers(version.dot)]
        clock, dots = absorb(join(self.clock, other.clock), self.dots + other.dots)
        return Siblings(clock, _by_dot(kept), dots)

    def digest(self) -> bytes:
        """16 bytes that differ when clock, dots, values or versions differ: a Merkle leaf (4.7).

        The clock is part of it: equal values with unequal histories are a difference.
        """
        parts = [f"{_in_order(self.clock)} {[*map(tuple, self.dots)]}".encode()]
        for value, clock, (actor, counter), wall_us, _ in self.versions:
            seen = "" if clock == self.clock else _in_order(clock)
            kept, kind = (value, "") if type(value) is bytes else (repr(value).encode(), type(value).__name__)
            parts += f" {seen} {actor!r} {counter} {wall_us} {kind} {len(kept)}:".encode(), kept
        return hashlib.blake2b(b"".join(parts), digest_size=16).digest()


_dot, _version, _siblings = maker(Dot), maker(Version), maker(Siblings)


def _in_order(clock: Mapping[str, int]) -> dict[str, int]:
    """The pairs of a clock by actor, so that equal clocks read alike; a single pair is in order."""
    return clock if type(clock) is dict and len(clock) == 1 else dict(sorted(clock.items()))


def _by_dot(versions: Iterable[Version]) -> tuple[Version, ...]:
    return tuple(sorted(versions, key=lambda version: version.dot))


class DottedClocks:
    """Mode ``clocks="dotted"``: the exact reading, as `Siblings` has it."""

    def put(self, state: Siblings, actor: str, value: bytes | None, context: Context, wall_us: int) -> Siblings:
        """See `Siblings.put`."""
        return state.put(actor, value, context, wall_us)

    def merge(self, left: Siblings, right: Siblings) -> Siblings:
        """See `Siblings.merge`."""
        return left.merge(right)

    def context(self, state: Siblings) -> Context:
        """See `Siblings.context`."""
        return state.context


class LiteralClocks:
    """Mode ``clocks="vector"``: section 4.4 to the letter, with what it loses.

    Args:
        keep: which of several versions stay, by index (the part `reconcile`); default `kept_indexes`.
        pairs_kept: a longer clock drops its oldest pair (4.4, "clock truncation scheme").
    """

    def __init__(self, keep: Keep = kept_indexes, pairs_kept: int = CLOCK_PAIRS_KEPT) -> None:
        self.keep = keep
        self.pairs_kept = pairs_kept

    def put(self, state: Siblings, actor: str, value: bytes | None, context: Context, wall_us: int) -> Siblings:
        """Write a version whose clock is the context's, with one more write of `actor`."""
        counter = max(state.counter_of(actor), context.clock.get(actor, 0)) + 1
        clock = {**context.clock, actor: counter}
        touched = {name: self._last_touch(state, name) for name in clock} | {actor: wall_us}
        version = self._truncated(Version(value, clock, Dot(actor, counter), wall_us, touched))
        return self._state([version, *state.versions], state)

    def merge(self, left: Siblings, right: Siblings) -> Siblings:
        """Keep the versions whose clock no other clock descends from."""
        if left == right:
            return left
        distinct = {version.dot: version for version in left.versions + right.versions}
        return self._state([distinct[dot] for dot in sorted(distinct)], left, right)

    def context(self, state: Siblings) -> Context:
        """The join of the clocks of all versions (4.4: "the context")."""
        clock: Entries = {}
        for version in state.versions:
            clock = join(clock, version.clock)
        return Context(clock)

    def _state(self, versions: list[Version], *known: Siblings) -> Siblings:
        """The kept versions, and the highest counters heard of: they must never be used twice (I9)."""
        kept = [versions[index] for index in self.keep(versions)]
        clock: Entries = {}
        for heard in [state.clock for state in known] + [dict(version.clock) for version in versions]:
            clock = join(clock, heard)
        return Siblings(clock, _by_dot(kept))

    def _last_touch(self, state: Siblings, actor: str) -> int:
        return max((version.touched.get(actor, 0) for version in state.versions), default=0)

    def _truncated(self, version: Version) -> Version:
        """Without the oldest pairs; the writer's own stays, however far behind its wall clock is."""
        writer = version.dot.actor
        oldest_first = sorted(version.clock, key=lambda actor: (actor == writer, version.touched[actor], actor))
        kept = sorted(oldest_first[-self.pairs_kept :])
        clock = {actor: version.clock[actor] for actor in kept}
        return version._replace(clock=clock, touched={actor: version.touched[actor] for actor in kept})
