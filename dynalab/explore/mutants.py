"""Planted bugs: realistic mistakes in the core, each of which the search must find (RELIABILITY.md).

Theory of operation.
A mutant swaps one method of the core for a wrong one while a `with` block runs, in this process only.
No file changes; leaving the block puts the right method back.
A search that finds every mutant has shown that its silence means something.

Each entry says the mistake in a sentence, the scenario of RELIABILITY.md it belongs to,
the kinds of faults that bring it out, and within how many seeds it must be found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from dynalab.core.clock import Context
from dynalab.core.coordinator import Coordinator
from dynalab.core.detector import FailureDetector
from dynalab.core.handoff import Handoff
from dynalab.core.merkle import MerkleTree
from dynalab.core.node import Node
from dynalab.core.reaper import Reaper
from dynalab.core.replica import Forest, Replica
from dynalab.core.requests import GetRequest, PutRequest
from dynalab.core.ring import position_of
from dynalab.core.store import MemoryStore, Record
from dynalab.core.version import DottedClocks, Siblings

Original = Callable[..., Any]


@dataclass(frozen=True)
class Mutant:
    """One planted bug.

    Attributes:
        name: for the kill table.
        mistake: what the programmer got wrong.
        scenario: its row in RELIABILITY.md.
        planted: a context manager under which the core has the bug.
        kinds: faults that bring it out.
        seeds: within so many it must be found.
        settings: of the clusters it is looked for in.
    """

    name: str
    mistake: str
    scenario: str
    planted: Callable[[], AbstractContextManager[None]]
    kinds: tuple[str, ...]
    seeds: int
    settings: Mapping[str, Any]


MUTANTS: list[Mutant] = []


def _mutant(
    scenario: str, owner: type, method: str, kinds: str = "loss partition crash", seeds: int = 100, **settings: Any
) -> Callable[[Callable[[Original], Any]], Callable[[Original], Any]]:
    """Register a mistake: the decorated function makes the wrong method out of the right one."""

    def register(make: Callable[[Original], Any]) -> Callable[[Original], Any]:
        @contextmanager
        def planted() -> Iterator[None]:
            right = owner.__dict__[method]
            setattr(owner, method, make(right))
            try:
                yield
            finally:
                setattr(owner, method, right)

        name = make.__name__.strip("_").replace("_", " ")
        mistake = (make.__doc__ or "").strip().rstrip(".")
        MUTANTS.append(Mutant(name, mistake, scenario, planted, tuple(kinds.split()), seeds, settings))
        return make

    return register


def mutant_named(name: str) -> Mutant:
    """The mutant of this name.

    Raises:
        KeyError: there is none.
    """
    return {mutant.name: mutant for mutant in MUTANTS}[name]


# Versions --------------------------------------------------------------------------------------


@_mutant("S02", DottedClocks, "put", "skew")
def _blind_write_replaces(put: Original) -> Any:
    """A put without a context replaces all that the coordinator holds."""

    def wrong(self: DottedClocks, state: Siblings, actor: str, value: Any, context: Context, wall_us: int) -> Siblings:
        seen = context if context.entries or context.dots else state.context
        return put(self, state, actor, value, seen, wall_us)  # type: ignore[no-any-return]

    return wrong


@_mutant("S01", DottedClocks, "put", "skew")
def _one_node_one_line(put: Original) -> Any:
    """The second write through one node replaces the first, whatever its writer had read."""

    def wrong(self: DottedClocks, state: Siblings, actor: str, value: Any, context: Context, wall_us: int) -> Siblings:
        others = tuple(version for version in state.versions if version.dot.actor != actor)
        return put(self, state._replace(versions=others), actor, value, context, wall_us)  # type: ignore[no-any-return]

    return wrong


@_mutant("S31", Siblings, "merge")
def _newest_wins(merge: Original) -> Any:
    """Merging two replicas keeps only the version with the latest wall clock."""

    def wrong(self: Siblings, other: Siblings) -> Siblings:
        merged: Siblings = merge(self, other)
        newest = max(merged.versions, key=lambda version: (version.wall_us, version.dot), default=None)
        return merged if newest is None else merged._replace(versions=(newest,))

    return wrong


@_mutant("S14", Coordinator, "_write", "skew")
def _ack_covers_the_unread(write: Original) -> Any:
    """The context of an acknowledgement covers siblings that the writer never read."""

    def wrong(self: Coordinator, request: PutRequest, message: Any, used: Context) -> None:
        write(self, request, message, used)
        request.context = self.replica.clocks.context(request.state).sealed(self.secret, message.key)

    return wrong


@_mutant("S44", Context, "is_valid", "forge")
def _contexts_are_believed(_: Original) -> Any:
    """Nobody checks the seal of a context."""
    return lambda self, secret, key: True


@_mutant("S06", MemoryStore, "seen", "skew")
def _a_retry_is_a_new_write(_: Original) -> Any:
    """Request ids are not remembered."""
    return lambda self, request: None


# Replicas --------------------------------------------------------------------------------------


@_mutant("S04", Replica, "absorb", "delay reorder duplication")
def _a_replica_overwrites(absorb: Original) -> Any:
    """What arrives replaces what is held."""

    def wrong(self: Replica, key: bytes, siblings: Siblings, why: str = "") -> bool:
        if why == "put" and self.store.get(key) is not None:
            self.store.forget(key)
        return bool(absorb(self, key, siblings, why))

    return wrong


@_mutant("S18", Replica, "absorb", "delay reorder partition")
def _a_repair_overwrites(absorb: Original) -> Any:
    """A read repair replaces what is held, though a newer write came meanwhile."""

    def wrong(self: Replica, key: bytes, siblings: Siblings, why: str = "") -> bool:
        if why == "read repair" and self.store.get(key) is not None:
            self.store.forget(key)
        return bool(absorb(self, key, siblings, why))

    return wrong


@_mutant("S15", Replica, "start", "wipe")
def _a_wiped_node_keeps_its_name(start: Original) -> Any:
    """A node that lost its disk counts on under the old name."""

    def wrong(self: Replica) -> None:
        self.store.complete = True
        start(self)

    return wrong


@_mutant("S42", Replica, "start", "torn", 300)
def _a_torn_tail_is_not_noticed(start: Original) -> Any:
    """A node that lost the unsynced tail of its log counts on under the old name."""

    def wrong(self: Replica) -> None:
        self.store.complete = self.store.complete or bool(len(self.store))
        start(self)

    return wrong


@_mutant("S16", Replica, "_retire", "crash oneway partition", 400)
def _counting_on_after_forgetting(_: Original) -> Any:
    """A node that handed its only copy on counts on under the old name."""
    return lambda self, key, dropped: None


@_mutant("S07", Replica, "_store", "crash partition")
def _delete_means_forget(store: Original) -> Any:
    """A delete leaves no tombstone."""

    def wrong(self: Replica, key: bytes, record: Record) -> None:
        store(self, key, record)
        if record.siblings.is_tombstone:
            self.store.forget(key)
            self._touch(key)

    return wrong


@_mutant("S17", Reaper, "round", "crash partition", 100, hint_ttl_ms=100, timeout_ms=200)
def _tombstones_go_unasked(_: Original) -> Any:
    """A home forgets an old tombstone without asking the others, and they without being told."""

    def wrong(self: Reaper) -> None:
        for key in filter(self._is_ripe, list(self.replica.tombstones)):
            self._forget(key, self.replica.record(key).digest())

    return wrong


# Merkle trees ----------------------------------------------------------------------------------


@_mutant("S26", Replica, "absorb", "crash partition")
def _the_tree_misses_hints(absorb: Original) -> Any:
    """A hint that came home is stored, but the Merkle tree is not told."""

    def wrong(self: Replica, key: bytes, siblings: Siblings, why: str = "") -> bool:
        forest = self.forest
        self.forest = None if why == "handoff" else forest
        changed = bool(absorb(self, key, siblings, why))
        self.forest = forest
        return changed

    return wrong


@_mutant("S26", Siblings, "digest", "crash partition", 300)
def _digests_without_clocks(_: Original) -> Any:
    """Two replicas with equal values and different histories have equal digests."""

    def wrong(self: Siblings) -> bytes:
        return b"".join(version.value or b"-" for version in self.versions)[-16:].ljust(16)

    return wrong


@_mutant("S25", Forest, "tree", "crash partition")
def _the_tree_keeps_the_gone(tree: Original) -> Any:
    """Every look at a tree adds something of this node's own to it, so equal replicas look different."""

    def wrong(self: Forest, key_range: Any) -> MerkleTree:
        grown = tree(self, key_range)
        if len(list(grown)) > 1:
            grown.set(next(iter(sorted(grown))), id(self).to_bytes(16))
        return grown  # type: ignore[no-any-return]

    return wrong


# Quorums ---------------------------------------------------------------------------------------


@_mutant("S21", Coordinator, "on_replica_put_done", "duplication loss")
def _a_quorum_counts_messages(done: Original) -> Any:
    """An acknowledgement that arrives twice counts twice."""

    def wrong(self: Coordinator, sender: str, message: Any) -> None:
        request = self.open.get(message.request)
        if isinstance(request, PutRequest) and sender in request.acked and message.stored:
            request.acked[f"{sender}'"] = True
            self._advance_put(request)
        else:
            done(self, sender, message)

    return wrong


@_mutant("S05", Coordinator, "_advance_put", "loss crash")
def _sent_means_stored(advance: Original) -> Any:
    """A replica counts as soon as it was asked."""

    def wrong(self: Coordinator, request: PutRequest) -> None:
        if not request.replied:
            request.acked |= dict.fromkeys(request.asked, True)
        advance(self, request)

    return wrong


@_mutant("S05", Coordinator, "_no_quorum", "loss crash")
def _a_timeout_is_a_no(no_quorum: Original) -> Any:
    """A write that found no quorum in time is told as one that surely did not happen."""

    def wrong(self: Coordinator, request: Any) -> Exception:
        error = no_quorum(self, request)
        error.definite = True
        return error  # type: ignore[no-any-return]

    return wrong


@_mutant("S11", Coordinator, "_verdict", "loss crash")
def _a_get_counts_itself_twice(verdict: Original) -> Any:
    """The coordinator's own answer to a get counts for two."""

    def wrong(self: Coordinator, request: Any, answered: int) -> str:
        return str(verdict(self, request, answered + isinstance(request, GetRequest)))

    return wrong


# Hints and handoff -----------------------------------------------------------------------------


@_mutant("S12", Handoff, "_deliver", "partition crash loss", n=1, r=1, w=1)
def _a_hint_is_dropped_when_sent(deliver: Original) -> Any:
    """A hint is forgotten when it is sent, not when it is confirmed."""

    def wrong(self: Handoff, to: str, key: bytes, record: Record, hint: Any) -> None:
        deliver(self, to, key, record, hint)
        if hint is not None:
            self.replica.drop_hint(hint)

    return wrong


@_mutant("S12", Replica, "keep_hint", "partition crash")
def _a_hint_is_promised_not_kept(_: Original) -> Any:
    """A stand-in acknowledges a hint that it does not keep."""
    return lambda self, home, key, siblings: True


@_mutant("S36", Handoff, "_send_misplaced", "join leave loss", 200)
def _moved_keys_are_just_dropped(_: Original) -> Any:
    """A copy that belongs elsewhere since the ring changed is dropped, for surely its homes have it."""

    def wrong(self: Handoff, key: bytes) -> None:
        del self.misplaced[key]
        if not self.membership.keeps(position_of(key)):
            self.replica.forget(key)

    return wrong


@_mutant("S09", Coordinator, "_repair", "partition crash loss")
def _a_repair_is_a_write(repair: Original) -> Any:
    """A stale reply makes the coordinator put the value again: a new event per read."""

    def wrong(self: Coordinator, request: GetRequest) -> None:
        merged = self._merged(request)
        stale = [node for node, state in request.answers.items() if state != merged]
        if stale and merged.versions and self.desk.name in request.homes:
            self.replica.write(request.key, merged.versions[0].value, self.replica.clocks.context(merged))
        repair(self, request)

    return wrong


@_mutant("S29", FailureDetector, "_trust", "loss partition")
def _once_suspected_for_ever(_: Original) -> Any:
    """A node that was silent once is never trusted again."""
    return lambda self, peer, known: False


@_mutant("S47", Node, "_hear", "forge")
def _clients_may_say_anything(_: Original) -> Any:
    """A client may send what only nodes may say."""

    def wrong(self: Node, sender: str, message: Any) -> None:
        self._handlers[type(message)](sender, message)

    return wrong
