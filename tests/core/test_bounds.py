"""Everything a node keeps for others has a bound, and what is turned away is counted (I10)."""

from __future__ import annotations

from random import Random

import pytest

from dynalab.core.admission import LATENCIES_KEPT, SLICE_MAX
from dynalab.core.antientropy import BYTES_PER_MESSAGE
from dynalab.core.clock import Context
from dynalab.core.config import VALUE_BYTES_MAX, Config
from dynalab.core.detector import INTERVALS_KEPT
from dynalab.core.effects import Received, Send, Start, TimerFired
from dynalab.core.errors import Overloaded, TooManySiblings
from dynalab.core.handoff import DELIVERIES_AT_ONCE
from dynalab.core.membership import PEERS_FORGOTTEN_FROM, founding
from dynalab.core.messages import (
    ClientPut,
    HintDeliver,
    KeysGetDone,
    Member,
    PingDone,
    ReapAsk,
    ReplicaPut,
    ReplicaPutDone,
)
from dynalab.core.node import Node
from dynalab.core.reaper import ASKED_AT_ONCE
from dynalab.core.replica import INCARNATIONS_TRUSTED
from dynalab.core.store import REQUESTS_REMEMBERED, MemoryStore, weight
from dynalab.core.version import Siblings
from dynalab.sim.cluster import Simulation

SECOND_US = 1_000_000


def _node(nodes: str = "A", name: str = "A", **settings) -> Node:
    """One node of a cluster whose other nodes are only names."""
    n = min(3, len(nodes))
    config = Config(**{"n": n, "r": 1, "w": 1, "trace": False, **settings})
    node = Node(name, config, b"s", MemoryStore(), Random(1))
    node.handle(Start(founding(nodes, config)), 0, 0)
    return node


def test_siblings_of_a_key_are_bounded():
    """Beyond `max_siblings` a blind put is refused, definitely and counted; a put that has read is taken."""
    with Simulation(3, seed=1, max_siblings=5) as sim:
        for number in range(5):
            sim.put("k", number, context=Context.EMPTY, w=3)
        with pytest.raises(TooManySiblings) as refused:
            sim.put("k", 5, context=Context.EMPTY)
        assert refused.value.definite
        assert len(sim.get("k", r=3).values) == 5
        assert sim.metrics()["counters"]["requests_refused"] == 1
        sim.put("k", "merged", context=sim.get("k", r=3).context, w=3)
        assert sim.get("k", r=3).values == ["merged"]


def test_the_clock_of_a_key_is_bounded_and_the_advice_fits():
    """A put that would lengthen the clock beyond `max_clock` is refused; to merge is not advised, it would not help."""
    with Simulation(3, seed=1, max_clock=1) as sim:
        sim.put("k", 1, via="A", w=3)
        with pytest.raises(TooManySiblings, match=r"a clock of 2 pairs; the limit is 1, .* max_clock") as refused:
            sim.put("k", 2, via="B")
        assert refused.value.definite
        sim.put("k", 3, via="A")
        assert sim.get("k").values == [3]


def test_a_request_forgotten_in_vain_is_the_oldest_again():
    """When the event that made room is rolled back, the next one makes room at the same place."""
    store = MemoryStore()
    for number in range(REQUESTS_REMEMBERED):
        store.remember(f"q{number}", ("A", 1))
    for _ in range(2):
        store.begin()
        store.remember("late", ("A", 2))
        assert store.seen("q0") is None
        store.rollback()
        assert store.seen("q0") == ("A", 1)
        assert store.seen("late") is None


def test_bytes_of_a_key_are_bounded():
    """Siblings of more bytes than a message could carry are refused when they are put, definitely (I10)."""
    with Simulation(3, seed=1) as sim:
        blind, fits = Context.EMPTY, VALUE_BYTES_MAX - 1
        for number in range(10):
            sim.put("k", bytes([number]) * fits, context=blind, w=3)
        with pytest.raises(
            TooManySiblings, match="11 siblings of 11,534,336 bytes; the limit is 10,485,760"
        ) as refused:
            sim.put("k", bytes([10]) * fits, context=blind)
        assert refused.value.definite
        sim.put("k", "merged", context=sim.get("k", r=3).context, w=3)
        assert sim.get("k", r=3).values == ["merged"]


@pytest.mark.parametrize("repair_order", ["plain", "hot"])
def test_a_swap_of_keys_is_bounded_in_both_directions(repair_order: str):
    """A node that has nothing is sent no more at a time than a message carries, and all of it in the end (I10, I5)."""
    settings = {"strategy": 1, "tokens": 1, "repair_order": repair_order}
    empty, full = _node("AB", **settings), _node("AB", name="B", **settings)
    states = {b"k%d" % number: Siblings().put("B", b"v" * 100_000, None) for number in range(40)}
    for key, state in states.items():
        full.replica.absorb(key, state)
    nodes, largest = {"A": empty, "B": full}, 0
    sent = [("A", effect) for effect in empty.handle(TimerFired("antientropy"), SECOND_US, 0)]
    while sent:
        sender, effect = sent.pop(0)
        if isinstance(effect, Send):
            if isinstance(effect.message, KeysGetDone):
                largest = max(largest, sum(weight(state) for state in effect.message.held.values()))
            heard = nodes[effect.to].handle(Received(sender, effect.message), SECOND_US, 0)
            sent += [(effect.to, each) for each in heard]
    assert {key: empty.replica.record(key) for key in states} == states
    assert 0 < largest < BYTES_PER_MESSAGE + 100_000


def test_merging_never_sheds():
    """What other nodes wrote is merged even beyond the limit: a merge that sheds would lose acknowledged writes."""
    with Simulation(4, seed=1, n=3, max_siblings=2) as sim:
        a, b = sim.client("alice", via="A"), sim.client("bob", via="B")
        sim.partition("A|BCD")
        for number in range(2):
            a.put("k", f"a{number}", context=Context.EMPTY, w=1)
            b.put("k", f"b{number}", context=Context.EMPTY, w=1)
        sim.heal()
        sim.settle()
        assert len(sim.get("k", r=3).values) == 4


def test_hints_are_bounded_and_refusals_counted():
    """Beyond `hint_bytes` a hint is refused: the coordinator hears so, and it is counted."""
    node = _node("ABCDE", hint_bytes=1_000)
    stored = []
    for number in range(20):
        state = Siblings().put("B", b"x" * 100, None)
        effects = node.handle(Received("B", ReplicaPut(f"r{number}", b"k%d" % number, state, "C")), number, number)
        stored += [effect.message.stored for effect in effects if isinstance(effect.message, ReplicaPutDone)]
    assert stored == [True] * 10 + [False] * 10
    assert node.store.hint_bytes() <= 1_000
    assert node.desk.counters["hints_refused"] == 10


def test_open_requests_are_bounded_forwarded_ones_too():
    """Requests that a node coordinates or has passed on count against `max_requests`; others are refused, counted."""
    node = _node("ABCDE", w=1, max_requests=10, partitions=64)
    refused = 0
    for number in range(100):
        message = ClientPut(f"q{number}", b"k%d" % number, b"v", (), False, 3, 3, SECOND_US)
        effects = node.handle(Received("client:alice", message), 1, 1)
        refused += any(
            getattr(effect.message, "error", "") == Overloaded.__name__ for effect in effects if _says(effect)
        )
    assert len(node.coordinator.open) + len(node.forwarding.open) == 10
    assert node.forwarding.open
    assert node.coordinator.open
    assert refused == node.desk.counters["requests_shed"] == 90


def _says(effect) -> bool:
    return hasattr(effect, "message") and hasattr(effect, "to")


def test_request_ids_are_bounded():
    """The oldest of many request ids is forgotten."""
    store = MemoryStore()
    for number in range(REQUESTS_REMEMBERED + 5):
        store.remember(f"q{number}", ("A", number + 1))
    assert store.seen("q4") is None
    assert store.seen("q5") == ("A", 6)


def test_nodes_that_left_are_forgotten_by_the_detector():
    """Names that come and go do not add up: the detector keeps peers, and few that were."""
    node = _node("AB", gossip_ms=0)
    for number in range(60):
        name, now_us = f"x{number}", number * 1_000
        node.membership.adopt([Member(2 * number + 1, name, "up")])
        node.handle(Received(name, PingDone(number)), now_us, now_us)
        node.membership.adopt([Member(2 * number + 2, name, "left")])
        node.handle(TimerFired("ping"), now_us, now_us)
        assert len(node.membership.detector) <= 1 + PEERS_FORGOTTEN_FROM + 1
    assert len(node.membership.detector.suspects) <= 1 + PEERS_FORGOTTEN_FROM + 1


def test_what_is_known_of_a_peer_is_bounded():
    """Ping intervals and client latencies are kept for the last ones only."""
    node = _node("AB")
    for number in range(3 * LATENCIES_KEPT):
        node.handle(Received("B", PingDone(number)), number * 1_000, 0)
        node.admission.served(1_000)
    assert len(node.membership.detector._peer("B").intervals_us) == INTERVALS_KEPT
    assert len(node.admission._latencies) == LATENCIES_KEPT


def test_a_round_of_handoff_is_bounded():
    """However many hints wait, one look sends a slice of them."""
    node = _node("ABCDE")
    state = Siblings().put("B", b"v", None)
    for number in range(3 * DELIVERIES_AT_ONCE):
        node.handle(Received("B", ReplicaPut(f"r{number}", b"k%d" % number, state, "C")), 1, 1)
    for _ in range(10):
        effects = node.handle(TimerFired("handoff"), SECOND_US, SECOND_US)
        sent = [effect for effect in effects if isinstance(effect, Send) and isinstance(effect.message, HintDeliver)]
        assert 0 < len(sent) <= min(SLICE_MAX, DELIVERIES_AT_ONCE)


def test_a_round_of_the_reaper_is_bounded():
    """However many tombstones are ripe, one look asks about so many."""
    node = _node("AB", hint_ttl_ms=1)
    for number in range(4 * ASKED_AT_ONCE):
        message = ClientPut(f"q{number}", b"k%d" % number, None, (), False, 2, 1, SECOND_US)
        node.handle(Received("client:alice", message), 1, 1)
    effects = node.handle(TimerFired("reap"), 10 * SECOND_US, 0)
    asked = [effect for effect in effects if isinstance(effect, Send) and isinstance(effect.message, ReapAsk)]
    assert 0 < len(asked) <= ASKED_AT_ONCE


def test_former_incarnations_are_bounded():
    """A node that took very many incarnations trusts the last ones."""
    node = _node()
    for _ in range(INCARNATIONS_TRUSTED + 10):
        node.replica.take_fresh_incarnation("a test")
    assert len(node.store.meta("trusted")) == INCARNATIONS_TRUSTED
