"""Planted bugs: each of them must be caught by the judge, and by the invariants that it breaks.

Every script is also carried out without the bug, and then nothing is found: a judge that always shouts proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from dynalab.check.recorder import Recorder
from dynalab.check.report import Report
from dynalab.check.verdict import judge_run
from dynalab.core.clock import Context
from dynalab.core.coordinator import Coordinator
from dynalab.core.errors import NotSettled, WriteQuorumNotReached
from dynalab.core.handoff import Handoff
from dynalab.core.messages import ReplicaPutDone
from dynalab.core.node import Node
from dynalab.core.replica import Forest, Replica
from dynalab.core.requests import PutRequest
from dynalab.core.store import MemoryStore, Record
from dynalab.core.version import DottedClocks, LiteralClocks, Siblings
from dynalab.sim.cluster import Simulation
from tests.worlds import walk_of

Patch = Callable[[pytest.MonkeyPatch], None]
Script = Callable[[], Recorder]


# --- scripts ----------------------------------------------------------------------------------------------------------


def _cluster(**settings: Any) -> Recorder:
    quick = {"anti_entropy_ms": 200, "handoff_ms": 100, "gossip_ms": 200}
    return Recorder(Simulation(5, seed=3, **{**quick, **settings}))


def two_writers() -> Recorder:
    """One context, one coordinator, two clients (S01)."""
    cluster = _cluster()
    home = walk_of(cluster, "k")[0]
    alice, bob = cluster.client("alice", via=home), cluster.client("bob", via=home)
    alice.put("k", "old")
    alice.get("k")
    bob.get("k")
    alice.put("k", "alice's")
    bob.put("k", "bob's")
    return cluster


def blind_write() -> Recorder:
    """A blind put over a value (S02)."""
    cluster = _cluster()
    cluster.client("alice").put("k", "one")
    cluster.client("bob").put("k", "two", context=None)
    return cluster


def late_copy() -> Recorder:
    """A copy of v1 arrives after v2 (S04)."""
    cluster = _cluster(anti_entropy_ms=0, hints=False, replica_timeout_ms=2_000, timeout_ms=4_000)
    first, _, late = walk_of(cluster, "k")[:3]
    alice = cluster.client("alice", via=first)
    cluster.link(first, late, delay_ms=50)
    alice.put("k", "v1")
    cluster.heal()
    alice.put("k", "v2", w=3)
    cluster.run(ms=100)
    return cluster


def retried() -> Recorder:
    """One request id twice through one coordinator (S06)."""
    cluster = _cluster()
    first = walk_of(cluster, "k")[0]
    alice = cluster.client("alice", via=first)
    alice.put("k", "once", request_id="order-1", context=None)
    cluster.run(ms=50)
    alice.put("k", "once", request_id="order-1", context=None)
    return cluster


def stale_replica() -> Recorder:
    """A read finds a replica that has missed a write (S09)."""
    cluster = _cluster(hints=False, anti_entropy_ms=0)
    first, second, stale = walk_of(cluster, "k")[:3]
    alice = cluster.client("alice", via=first)
    alice.put("k", "v1", w=3)
    cluster.partition([first, second], [stale])
    alice.put("k", "v2")
    cluster.heal()
    cluster.run(ms=1_000)
    alice.get("k", r=3)
    cluster.run(ms=50)
    return cluster


def delivered_in_vain() -> Recorder:
    """The home of a hint does not hear the first deliveries (S12)."""
    cluster = _cluster(anti_entropy_ms=0, ping_ms=0, read_repair=False)
    first, second, home, holder, _ = walk_of(cluster, "k")
    cluster.partition([first, second, holder], [home])
    cluster.client("alice", via=first).put("k", "v", w=3)
    cluster.run(ms=500)
    cluster.heal()
    return cluster


def unread_sibling() -> Recorder:
    """alice writes twice with her acknowledgement alone, bob in between (S14)."""
    cluster = _cluster()
    first = walk_of(cluster, "k")[0]
    alice, bob = cluster.client("alice", via=first), cluster.client("bob", via=first)
    ack = alice.put("k", "a1", context=None)
    bob.put("k", "b1", context=None)
    ack = alice.put("k", "a2", context=ack.context)
    alice.put("k", "a3", context=ack.context)
    return cluster


def lost_disk() -> Recorder:
    """A coordinator forgets how far it had counted (S15)."""
    cluster = _cluster(storage="log", anti_entropy_ms=0)
    first = walk_of(cluster, "k")[0]
    alice = cluster.client("alice", via=first)
    for number in range(3):
        alice.put("k", number, w=3)
    cluster.crash(first)
    cluster.recover(first, wipe=True)
    cluster.client("bob", via=first).put("k", "fourth", context=None, w=3)
    cluster.get("k", r=3)
    cluster.run(ms=50)
    return cluster


def doubled_answers() -> Recorder:
    """Every answer of one replica arrives twice, the other replica is silent (S21)."""
    cluster = _cluster(strict=True)
    first, second, third = walk_of(cluster, "k")[:3]
    cluster.link(second, first, duplicate=1.0)
    cluster.partition([first, second], [third])
    with suppress(WriteQuorumNotReached):  # As it must be; counting messages acknowledges it.
        cluster.client("alice", via=first).put("k", "v", w=3)
    cluster.heal()
    return cluster


def one_misses_a_write() -> Recorder:
    """Only anti-entropy can tell one home what it missed (S26)."""
    cluster = _cluster(hints=False, read_repair=False)
    first, second, third = walk_of(cluster, "k")[:3]
    cluster.partition([first, second], [third])
    cluster.client("alice", via=first).put("k", "v")
    cluster.heal()
    cluster.run(ms=2_000)
    return cluster


def deleted_while_down() -> Recorder:
    """A replica sleeps through a delete (S07)."""
    cluster = _cluster(storage="log")
    first, _, sleeper = walk_of(cluster, "k")[:3]
    alice = cluster.client("alice", via=first)
    alice.put("k", "v", w=3)
    cluster.crash(sleeper)
    alice.delete("k")
    cluster.recover(sleeper)
    return cluster


# --- bugs -------------------------------------------------------------------------------------------------------------


def literal_counters(patch: pytest.MonkeyPatch) -> None:
    """A node counts both of two writes with one context, so the second dominates the first."""
    literal = LiteralClocks()
    patch.setattr(DottedClocks, "put", lambda self, *arguments: literal.put(*arguments))


def blind_overwrites(patch: pytest.MonkeyPatch) -> None:
    """Every write is treated as a reconciliation of what the coordinator holds."""
    original = Siblings.put
    patch.setattr(Siblings, "put", lambda self, actor, value, _, wall_us=0: original(self, actor, value, self.context))


def stores_unconditionally(patch: pytest.MonkeyPatch) -> None:
    """A state that arrives is laid over what is held."""

    def absorb(self: Replica, key: bytes, siblings: Siblings, why: str = "") -> bool:
        self._store(key, Record(siblings, ""))
        self.desk.note("store", why, key=key, clock=dict(siblings.clock), dots=[])
        return True

    patch.setattr(Replica, "absorb", absorb)


def forgets_requests(patch: pytest.MonkeyPatch) -> None:
    """A repeated request is a new write."""
    patch.setattr(MemoryStore, "seen", lambda self, request: None)


def repair_writes(patch: pytest.MonkeyPatch) -> None:
    """Read repair goes through a put, and makes an event."""

    def on_read_repair(self: Node, sender: str, message: Any) -> None:
        self.replica.write(message.key, message.siblings.versions[0].value, message.siblings.context)

    patch.setattr(Node, "_on_read_repair", on_read_repair)


def repair_overwrites(patch: pytest.MonkeyPatch) -> None:
    """Read repair writes the winner alone, and the siblings are gone."""
    original = Coordinator._merged

    def merged(self: Coordinator, request: Any) -> Siblings:
        state = original(self, request)
        return state._replace(versions=state.versions[-1:])

    patch.setattr(Coordinator, "_merged", merged)


def drops_hints_when_sent(patch: pytest.MonkeyPatch) -> None:
    """A hint is forgotten as soon as it was sent."""
    original = Handoff._send_hint

    def send_and_drop(self: Handoff, hint: Any) -> None:
        original(self, hint)
        self.replica.drop_hint(hint)

    patch.setattr(Handoff, "_send_hint", send_and_drop)
    patch.setattr("dynalab.core.handoff.Handoff._due_hints", lambda self, limit: self.replica.store.hints()[:limit])


def greedy_acks(patch: pytest.MonkeyPatch) -> None:
    """An acknowledgement's context covers whatever the coordinator holds."""
    original = PutRequest.begin

    def begin(
        self: PutRequest, state: Siblings, dot: Any, wall_us: int, deleted: bool, context: Any, used: Any
    ) -> None:
        original(self, state, dot, wall_us, deleted, state.context, used)

    patch.setattr(PutRequest, "begin", begin)
    patch.setattr(Context, "is_valid", lambda self, secret, key: True)  # the mutant does not seal what it says


def reuses_counters(patch: pytest.MonkeyPatch) -> None:
    """A node that lost its disk counts on from one."""
    patch.setattr(Replica, "take_fresh_incarnation", lambda self, why: self._adopt_incarnation(self.desk.name))


def counts_messages(patch: pytest.MonkeyPatch) -> None:
    """A quorum counts answers, not nodes."""

    def on_replica_put_done(self: Coordinator, sender: str, message: ReplicaPutDone) -> None:
        request = self.open.get(message.request)
        if isinstance(request, PutRequest) and not request.replied:
            request.acked[f"{sender}{len(request.acked) - 1 or ''}"] = True
            self._advance_put(request)

    patch.setattr(Coordinator, "on_replica_put_done", on_replica_put_done)


def forgets_the_tree(patch: pytest.MonkeyPatch) -> None:
    """A write does not reach the Merkle tree."""
    patch.setattr(Forest, "touch", lambda self, key: None)


def restless_digests(patch: pytest.MonkeyPatch) -> None:
    """A digest hashes something of its own node, so equal replicas never look equal."""
    original, calls = Siblings.digest, iter(range(10**9))
    patch.setattr(Siblings, "digest", lambda self: original(self)[:8] + next(calls).to_bytes(8))


def deletes_without_tombstone(patch: pytest.MonkeyPatch) -> None:
    """A delete forgets the key."""
    original_write, original_begin = Replica.write, PutRequest.begin

    def write(self: Replica, key: bytes, value: bytes | None, context: Context, home: str = "") -> Any:
        made = original_write(self, key, value, context, home)
        if value is None:
            self.store.forget(key)
        return made

    def begin(self: PutRequest, state: Siblings, dot: Any, wall_us: int, deleted: bool, *contexts: Context) -> None:
        original_begin(self, Siblings() if deleted else state, dot, wall_us, deleted, *contexts)

    patch.setattr(Replica, "write", write)
    patch.setattr(PutRequest, "begin", begin)


#: (bug, script, the invariants of which one must say it; NotSettled: the cluster never becomes quiet)
BUGS: list[tuple[Patch, Script, set[str]]] = [
    (literal_counters, two_writers, {"I1", "I4"}),
    (blind_overwrites, blind_write, {"I1", "I4"}),
    (stores_unconditionally, late_copy, {"I3", "I8", "NotSettled"}),
    (forgets_requests, retried, {"I9"}),
    (repair_writes, stale_replica, {"I2", "I4", "I5", "I9", "NotSettled"}),
    (repair_overwrites, two_writers, {"I1", "I4", "I8"}),
    (drops_hints_when_sent, delivered_in_vain, {"I1", "I4", "NotSettled"}),
    (greedy_acks, unread_sibling, {"I1", "I9"}),
    (reuses_counters, lost_disk, {"I1", "I9"}),
    (counts_messages, doubled_answers, {"I7"}),
    (forgets_the_tree, one_misses_a_write, {"I1", "I4", "I5"}),
    (restless_digests, stale_replica, {"NotSettled"}),
    (deletes_without_tombstone, deleted_while_down, {"I3"}),
]
SCRIPTS = list(dict.fromkeys(script for _, script, _ in BUGS))


def _said(cluster: Recorder) -> tuple[set[str], str]:
    """The invariants that the judge finds broken, and its words."""
    try:
        report: Report = judge_run(cluster, cluster.cluster.events, settle_ms=5_000)
    except NotSettled as error:
        return {"NotSettled"}, str(error)
    return {violation.invariant for violation in report.violations}, str(report)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_without_the_bug_nothing_is_found(script: Script):
    """Every script that reveals a bug is judged right when there is none."""
    broken, words = _said(script())
    assert not broken, words


@pytest.mark.parametrize(("bug", "script", "expected"), BUGS, ids=lambda entry: getattr(entry, "__name__", None))
def test_every_planted_bug_is_caught(bug: Patch, script: Script, expected: set[str], monkeypatch: pytest.MonkeyPatch):
    """A bug that a first implementation would have is named by an invariant that it breaks."""
    bug(monkeypatch)
    broken, words = _said(script())
    assert broken & expected, f"{bug.__name__} lived; found only {sorted(broken)}\n{words}"
