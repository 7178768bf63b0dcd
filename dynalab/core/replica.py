"""What one node keeps, and the only place that writes it (paper 4.4, 4.6, 5).

Theory of operation.
Every write path (put, replica write, read repair, handoff, exchange) ends in `write` or `absorb`.
Both compare before they store, and both tell the Merkle trees which key changed.

A node counts its own writes of a key under an actor name.
If it may have forgotten such a count, counting on would give two writes one name, and lose one of them.
So it then takes a fresh **incarnation**: a new actor name, made durable before it is used.

Rule 1: a state is merged into what is held, never laid over it; old and repeated messages change nothing.
Rule 2: an actor's counters for a key only grow; after any forgetting the actor is not used again
for keys this node has not held ever since.
Rule 3: a hint is kept apart from the replicas, and forgotten only after its home has confirmed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dynalab.core.clock import Context, Dot
from dynalab.core.config import VALUE_BYTES_MAX
from dynalab.core.desk import Desk
from dynalab.core.errors import TooManySiblings
from dynalab.core.merkle import MerkleTree
from dynalab.core.priority import Heat
from dynalab.core.quick import maker
from dynalab.core.ring import KeyRange, Ring, position_of
from dynalab.core.store import Hint, Record, Store, weight
from dynalab.core.student import clocks_of
from dynalab.core.version import Siblings

INCARNATIONS_TRUSTED = 1_000
"""A node remembers so many of its own incarnations; keys of older ones get a fresh one."""

STATE_BYTES_MAX = 10 * VALUE_BYTES_MAX
"""A coordinator lets the siblings of a key grow no larger: they are sent as one message, and merges may add up."""

NOTHING = Siblings()

_record = maker(Record)


class Forest:
    """One Merkle tree per key range, hashed only when somebody asks (4.7).

    A write merely notes its key; `tree` brings one range up to date, which costs only what changed.
    """

    def __init__(self, store: Store, ring: Ring) -> None:
        self._store = store
        self._ring = ring
        #: {index of the key range: its tree}
        self._trees: dict[int, MerkleTree] = {}
        #: {index of the key range: the root of its tree}, of those that nothing was written to since
        self._roots: dict[int, bytes] = {}
        #: keys written since somebody last asked for a tree
        self._touched: dict[bytes, None] = dict.fromkeys(store.keys())
        #: {index of the key range: {key: position}}, of its keys that its tree does not know yet
        self._stale: dict[int, dict[bytes, int]] = {}

    def touch(self, key: bytes) -> None:
        """The record of `key` changed."""
        self._touched[key] = None

    def _sort_touched(self) -> None:
        """Lay the written keys to their key ranges."""
        touched, self._touched = self._touched, {}
        for key in touched:
            position = position_of(key)
            index = self._ring.range_index(position)
            if index not in self._stale:
                self._stale[index] = {}
                self._roots.pop(index, None)
            self._stale[index][key] = position

    def root(self, position: int) -> bytes:
        """The root of the key range that contains `position`; remembered, because an idle cluster asks for ever."""
        if self._touched:
            self._sort_touched()
        index = self._ring.range_index(position)
        root = self._roots.get(index)
        if root is None:
            root = self._roots[index] = self.tree(self._ring.ranges[index]).root
        return root

    def tree(self, key_range: KeyRange) -> MerkleTree:
        """The tree over the records in one of the ring's key ranges."""
        self._sort_touched()
        index = self._ring.range_index(key_range.end)
        tree = self._trees.get(index)
        if tree is None:
            tree = self._trees[index] = MerkleTree({})
        for key, position in self._stale.pop(index, {}).items():
            record = self._store.get(key)
            if record is None:
                tree.discard(key)
            else:
                tree.set(key, record.siblings.digest(), position)
        return tree

    def keys_by_range(self) -> Iterator[tuple[KeyRange, list[bytes]]]:
        """Every key range that has keys, with them."""
        self._sort_touched()
        for index in sorted({*self._trees, *self._stale}):
            key_range = self._ring.ranges[index]
            keys = sorted(self.tree(key_range))
            if keys:
                yield key_range, keys


class Replica:
    """The versions and hints of one node.

    Args:
        desk: the node's desk.
        store: the storage engine.
    """

    def __init__(self, desk: Desk, store: Store) -> None:
        self.desk = desk
        self.store = store
        self.clocks = clocks_of(desk)
        self.forest: Forest | None = None
        #: {key whose replica is a deletion: since when this run has held this very state}
        self.tombstones: dict[bytes, int] = {}
        #: keys that had siblings when they were last written; metrics ask
        self.divergent: dict[bytes, None] = {}
        self.heat = Heat()
        self._counts_heat = desk.config.repair_order != "plain"
        self.incarnation = ""
        #: incarnations whose counters are remembered for every key this node kept since
        self._trusted: list[str] = []

    def start(self) -> None:
        """Take up the stored incarnation, or a fresh one when anything may have been forgotten."""
        self.incarnation = self.store.meta("incarnation", "")
        self._trusted = list(self.store.meta("trusted", []))
        for key in self.store.keys():  # noqa: SIM118 - a store is no mapping
            self._watch(key, self.record(key))
        if not self.store.complete:
            self._trusted = []
            self.take_fresh_incarnation("the store may have forgotten writes")
        elif not self.incarnation:
            self._adopt_incarnation(self.desk.name)

    def reload(self) -> None:
        """An event was rolled back: take the incarnation from the store again."""
        self.incarnation = self.store.meta("incarnation", self.incarnation)
        self._trusted = list(self.store.meta("trusted", self._trusted))

    def asked(self, key: bytes) -> Siblings:
        """What a client's get finds here; counted where the order of repair depends on it."""
        if self._counts_heat:
            self.heat.add(key)
        return self.read(key)

    def refresh_clocks(self) -> None:
        """Other parts were given."""
        self.clocks = clocks_of(self.desk)

    def place(self, ring: Ring) -> None:
        """The ring changed, so the key ranges of the Merkle trees do."""
        self.forest = Forest(self.store, ring)

    # Reading ---------------------------------------------------------------------------------

    def read(self, key: bytes) -> Siblings:
        """All that this node holds of `key`: its replica and the hints it keeps for others."""
        return self._with_hints(key, self.store.get(key))

    def _with_hints(self, key: bytes, record: Record | None) -> Siblings:
        state = NOTHING if record is None else record.siblings
        for hint in self.store.hints_of(key):
            state = self.clocks.merge(state, hint.record.siblings)
        return state

    def record(self, key: bytes) -> Siblings:
        """The replica of `key` alone."""
        record = self.store.get(key)
        return NOTHING if record is None else record.siblings

    def merge(self, left: Siblings, right: Siblings) -> Siblings:
        """Syntactic reconciliation in the cluster's mode (4.4)."""
        merged: Siblings = self.clocks.merge(left, right)
        return merged

    # Writing ---------------------------------------------------------------------------------

    def write(self, key: bytes, value: bytes | None, context: Context, home: str = "") -> tuple[Siblings, Dot]:
        """Make a new version as coordinator; `home` names the node it is a hint for, if it is not ours (4.5).

        Answers the new state, and the dot of its new version.

        Raises:
            TooManySiblings: the state would exceed the limits; nothing changed.
        """
        record = self.store.get(key)
        state = self._with_hints(key, record)
        own = self._counted_under_hints(key) if home else "" if record is None else record.actor
        actor = self._actor(own, state, context)
        state = self.clocks.put(state, actor, value, context, self.desk.wall_us)
        self._check_limits(state)
        if home:
            self.store.put_hint(Hint(home, key, Record(state, actor), self.desk.now_us))
        else:
            self._store(key, _record((state, actor)))
        versions = state.versions
        return state, versions[0].dot if len(versions) == 1 else Dot(actor, state.counter_of(actor))

    def _check_limits(self, state: Siblings) -> None:
        config, siblings, pairs = self.desk.config, len(state.versions), len(state.clock)
        if siblings > config.max_siblings:
            raise TooManySiblings(
                f"the put would leave {siblings} siblings; the limit is {config.max_siblings}: read, merge, put"
            )
        if pairs > config.max_clock:
            raise TooManySiblings(
                f"the put would leave a clock of {pairs} pairs; the limit is {config.max_clock}, and merging does not "
                "shorten a clock: use a new key, or a cluster with a larger max_clock"
            )
        if siblings * VALUE_BYTES_MAX > STATE_BYTES_MAX and weight(state) > STATE_BYTES_MAX:
            raise TooManySiblings(
                f"the put would leave {siblings} siblings of {weight(state):,} bytes; "
                f"the limit is {STATE_BYTES_MAX:,}: read, merge, put"
            )

    def absorb(self, key: bytes, siblings: Siblings, why: str = "") -> bool:
        """Merge a state that arrived into the replica; answers whether anything changed."""
        record = self.store.get(key)
        if record is None:
            merged, actor = siblings, ""
        else:
            merged, actor = self.clocks.merge(record.siblings, siblings), record.actor
            if merged == record.siblings:
                return False
        if not merged.clock and not merged.dots:
            return False
        self._store(key, _record((merged, actor)))
        if self.desk.tracing:
            self.desk.note("store", why, key=key, **described(merged))
        return True

    def forget(self, key: bytes) -> None:
        """Drop the replica of `key`, which others now keep."""
        record = self.store.get(key)
        if record is None:
            return
        self.store.forget(key)
        self._retire(key, record)
        self.tombstones.pop(key, None)
        self.divergent.pop(key, None)
        self._touch(key)
        self.desk.note("forget", key=key)

    # Hints -----------------------------------------------------------------------------------

    def keep_hint(self, home: str, key: bytes, siblings: Siblings) -> bool:
        """Keep a state for `home` (4.6); answers False when there is no room."""
        known = self.store.hint(home, key)
        merged = siblings if known is None else self.merge(known.record.siblings, siblings)
        if known is not None and merged == known.record.siblings:
            return True
        if self.store.hint_bytes() + weight(siblings) > self.desk.config.hint_bytes:
            self.desk.count("hints_refused")
            return False
        actor = "" if known is None else known.record.actor
        self.store.put_hint(Hint(home, key, Record(merged, actor), self.desk.sent_us()))
        self.desk.count("hints_kept")
        if self.desk.tracing:
            self.desk.note("hint", peer=home, key=key, **described(merged))
        return True

    def drop_hint(self, hint: Hint, why: str = "handed on") -> None:
        """Forget a hint that was delivered, or is too old."""
        self.store.drop_hint(hint.home, hint.key)
        self._retire(hint.key, hint.record)
        self.desk.note("forget", peer=hint.home, key=hint.key, why=why)

    # Incarnations ----------------------------------------------------------------------------

    def take_fresh_incarnation(self, why: str) -> None:
        """Count under a new name from here on: ``A~1b9e8e40dc``."""
        self._adopt_incarnation(f"{self.desk.name}~{self.desk.random.getrandbits(40):010x}")
        self.desk.note("incarnation", actor=self.incarnation, why=why)

    def _adopt_incarnation(self, name: str) -> None:
        self.incarnation = name
        self.store.put_meta("retired", False)
        self._trusted = [*self._trusted, name][-INCARNATIONS_TRUSTED:]
        self.store.put_meta("incarnation", name)
        self.store.put_meta("trusted", self._trusted)

    def _retire(self, key: bytes, dropped: Record) -> None:
        """What was counted in a copy that is gone must not be counted again, after a crash neither (rule 2).

        Another copy of the key here, a replica or a hint, may know fewer of our writes: it loses our name.
        """
        actor = dropped.actor
        if not actor:
            return
        self.store.put_meta("retired", True)
        counted = dropped.siblings.counter_of(actor)
        record = self.store.get(key)
        if record is not None and record.actor == actor and record.siblings.counter_of(actor) < counted:
            self.store.put(key, record._replace(actor=""))
        for hint in self.store.hints_of(key):
            if hint.record.actor == actor and hint.record.siblings.counter_of(actor) < counted:
                self.store.put_hint(hint._replace(record=hint.record._replace(actor="")))

    def _counted_under_hints(self, key: bytes) -> str:
        """The name this node has counted under in its hints for `key`; empty: none."""
        return next((hint.record.actor for hint in self.store.hints_of(key) if hint.record.actor), "")

    def _actor(self, own: str, state: Siblings, context: Context) -> str:
        """The name to count under: `own`, if its counters are remembered (rule 2)."""
        if own not in self._trusted:
            if self.store.meta("retired", False):
                self.take_fresh_incarnation("a key this incarnation had written was forgotten")
            own = self.incarnation
        seen = context.rounded_up()
        if seen and seen.get(own, 0) > state.counter_of(own):
            self.take_fresh_incarnation("a client has seen a write of ours that we do not know")
            own = self.incarnation
        return own

    def _store(self, key: bytes, record: Record) -> None:
        self.store.put(key, record)
        versions = record.siblings.versions
        usual = len(versions) == 1 and versions[0].value is not None
        if not usual or key in self.tombstones or key in self.divergent:
            self._watch(key, record.siblings)
        if self.forest is not None:
            self.forest.touch(key)

    def _watch(self, key: bytes, state: Siblings) -> None:
        """Note since when the replica is a deletion, for the reaper, and whether it has siblings."""
        if state.is_tombstone:
            self.tombstones[key] = self.desk.now_us
        elif key in self.tombstones:
            del self.tombstones[key]
        if len(state.versions) > 1:
            self.divergent[key] = None
        elif key in self.divergent:
            del self.divergent[key]

    def _touch(self, key: bytes) -> None:
        if self.forest is not None:
            self.forest.touch(key)


def described(state: Siblings) -> dict[str, Any]:
    """A state for the trace: its clock, the dots of its versions, and the dots known apart from the clock."""
    apart = {"apart": [list(dot) for dot in state.dots]} if state.dots else {}
    return {"clock": dict(state.clock), "dots": [str(version.dot) for version in state.versions], **apart}
