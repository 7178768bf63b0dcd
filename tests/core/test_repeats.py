"""A client may repeat a request word for word; no answer to a repeat may deny what the first attempt does (I7)."""

from __future__ import annotations

from random import Random

from dynalab.core.clock import Context
from dynalab.core.config import Config
from dynalab.core.effects import Received, Reply, Send, Start, TimerFired
from dynalab.core.forwarding import HOPS_MAX
from dynalab.core.membership import founding
from dynalab.core.messages import ClientFailed, ClientPut, ClientPutDone, ReplicaPut, ReplicaPutDone
from dynalab.core.node import Node
from dynalab.core.refusals import REFUSALS_REMEMBERED
from dynalab.core.ring import position_of
from dynalab.core.store import MemoryStore

ALICE = "client:alice"


def _node(nodes: str, **settings) -> Node:
    """Node A of a cluster whose other nodes are only names."""
    config = Config(**{"r": 1, "w": 1, "trace": False, **settings})
    node = Node("A", config, b"s", MemoryStore(), Random(1))
    node.handle(Start(founding(nodes, config)), 0, 0)
    return node


def _put(request: str, key: bytes = b"k", w: int = 2, contexts: tuple[Context, ...] = ()) -> ClientPut:
    return ClientPut(request, key, b'"v"', contexts, False, 2, w, 1_000_000)


def _replies(node: Node, event: object, now_us: int = 1) -> list[object]:
    return [effect.message for effect in node.handle(event, now_us, now_us) if isinstance(effect, Reply)]


def test_a_repeat_is_not_refused_while_the_first_attempt_is_under_way():
    """A full node turns new requests away, but lets a repeat of one it works on wait for the same answer."""
    node = _node("AB", n=2, w=2, max_requests=1)
    effects = node.handle(Received(ALICE, _put("q")), 1, 1)
    (asked,) = [effect.message for effect in effects if isinstance(effect, Send) and type(effect.message) is ReplicaPut]
    assert _replies(node, Received(ALICE, _put("q"))) == []
    (refused,) = _replies(node, Received(ALICE, _put("other")))
    assert (refused.error, refused.definite) == ("Overloaded", True)
    done = _replies(node, Received("B", ReplicaPutDone(asked.request, True)))
    assert [type(reply) for reply in done] == [ClientPutDone, ClientPutDone]


def test_a_repeat_of_a_put_that_was_answered_is_answered_again():
    """The first answer may be lost: even a full node says once more what it did, and does nothing more."""
    node = _node("AB", n=2, w=1, max_requests=1)
    (first,) = _replies(node, Received(ALICE, _put("q", w=1)))
    node.coordinator.open["full"] = next(iter(node.coordinator.open.values()))
    (again,) = _replies(node, Received(ALICE, _put("q", w=1)))
    assert (type(again), again.context, again.request) == (ClientPutDone, first.context, "q")
    assert len(node.replica.read(b"k").versions) == 1


def test_a_repeat_that_is_refused_is_unknown():
    """The first attempt has written; whatever is wrong with its repeat, 'nothing was stored' would be untrue."""
    node = _node("AB", n=2, w=1)
    forged = (Context({"Z": 9}, (), bytes(16)),)
    (refused,) = _replies(node, Received(ALICE, _put("q", contexts=forged)))
    assert (refused.error, refused.definite) == ("InvalidContext", True)
    _replies(node, Received(ALICE, _put("p", w=1)))
    node.handle(Received("B", ReplicaPutDone(next(iter(node.coordinator.open)), True)), 2, 2)
    assert node.coordinator.open == {}
    (refused,) = _replies(node, Received(ALICE, _put("p", contexts=forged)))
    assert (refused.error, refused.definite) == ("InvalidContext", False)


def test_a_refusal_by_the_second_home_is_unknown():
    """A forwarder whose first home stayed silent cannot promise, on the word of the second, that nothing was done."""
    node = _node("ABCDE", n=2, w=1)
    key = next(b"%d" % n for n in range(99) if "A" not in node.membership.walk(position_of(b"%d" % n))[:2])
    refusal = ClientFailed("q", "Overloaded", "full", True)

    def forwarded(effects: list[object]) -> list[str]:
        return [effect.to for effect in effects if isinstance(effect, Send) and isinstance(effect.message, ClientPut)]

    (first,) = forwarded(node.handle(Received(ALICE, _put("q", key)), 1, 1))
    assert _replies(node, Received(first, refusal)) == [refusal]
    (first,) = forwarded(node.handle(Received(ALICE, _put("q", key)), 2, 2))
    (second,) = forwarded(node.handle(TimerFired("forward:q"), 500_000, 500_000))
    assert second != first
    assert _replies(node, Received(second, refusal), 500_001) == [refusal._replace(definite=False)]


def test_a_forwarded_request_that_was_refused_stays_refused():
    """Its second copy is not taken on when the node has room again; a client's new try after a while is (I7)."""
    node = _node("ABCDE", n=2, w=1, max_requests=1)
    key = next(b"%d" % n for n in range(99) if "A" in node.membership.walk(position_of(b"%d" % n))[:2])
    full, copy = _put("full", key, w=2), _put("q", key, w=1)._replace(hops=1)
    node.handle(Received("client:bob", full), 1, 1)
    (refused,) = _replies(node, Received("E", copy), 2)
    assert (refused.error, refused.definite) == ("Overloaded", True)
    node.coordinator.open.clear()
    assert _replies(node, Received("E", copy), 3) == [refused]
    assert node.replica.store.seen("q") is None
    (done,) = _replies(node, Received("E", copy), 3_000_000)
    assert type(done) is ClientPutDone


def test_refusals_are_remembered_within_a_bound():
    """However many are refused, only so many are remembered, the last ones (I10)."""
    node = _node("ABCDE", n=2, w=1, strict=True)
    key = next(b"%d" % n for n in range(99) if "A" not in node.membership.walk(position_of(b"%d" % n))[:2])
    for number in range(REFUSALS_REMEMBERED + 10):
        (refused,) = _replies(node, Received("E", _put(f"q{number}", key)._replace(hops=HOPS_MAX)), 1)
        assert refused.definite
    assert len(node.refused) == REFUSALS_REMEMBERED
