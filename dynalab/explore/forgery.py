"""Messages that nobody may send, or that answer nothing: they must change nothing (I13)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from dynalab.check.report import Violation
from dynalab.core import messages
from dynalab.core.clock import Context
from dynalab.core.version import Siblings

STRANGER = "client:mallory"
_STATE = Siblings().put("Z", b"tforged", None)
_KEY = b"k0"


def _client_as_node(peers: Sequence[str], node: str) -> list[tuple[str, Any]]:
    """A client that sends what only nodes may send."""
    gone = messages.Member(999, node, "left")
    return [
        (STRANGER, messages.ReplicaPut("x/1", _KEY, _STATE)),
        (STRANGER, messages.ReadRepair(_KEY, _STATE)),
        (STRANGER, messages.HintDeliver("x.1", _KEY, _STATE, 0)),
        (STRANGER, messages.KeysGet("x.1", (_KEY,), {_KEY: _STATE})),
        (STRANGER, messages.Gossip(b"x", (gone,))),
        (STRANGER, messages.ReplicaPut("x/2", _KEY, _STATE, peers[0] if peers else "Z")),
    ]


def _foreign_reply(peers: Sequence[str], node: str) -> list[tuple[str, Any]]:
    """Answers to questions that were never asked."""
    peer = peers[0] if peers else "Z"
    return [
        (peer, messages.ReplicaPutDone("q1/00000000")),
        (peer, messages.ReplicaGetDone("q1/00000000", _STATE)),
        (peer, messages.HintDeliverDone(f"{node}.0.1")),
        (peer, messages.ClientPutDone("q0", _KEY, peer, (), (), Context.EMPTY, Context.EMPTY, 0, False)),
        (peer, messages.ReapAskDone(_KEY, b"x", True)),
        (peer, messages.Reap(_KEY, b"x")),
    ]


def _bad_seal(_: Sequence[str], node: str) -> list[tuple[str, Any]]:
    """Contexts that the cluster never gave."""
    made_up = Context({"A": 10**9}, (), b"0" * 16)
    unsealed = Context({node: 1})
    put = messages.ClientPut("forged", _KEY, b"tforged", (), False, 1, 1, 100_000)
    return [
        (STRANGER, put._replace(contexts=(made_up,))),
        (STRANGER, put._replace(contexts=(unsealed,))),
        (STRANGER, put._replace(contexts=(Context.EMPTY, unsealed.sealed(b"another secret", _KEY)))),
    ]


def _unknown_exchange(peers: Sequence[str], node: str) -> list[tuple[str, Any]]:
    """Parts of conversations that were never begun."""
    peer = peers[0] if peers else "Z"
    return [
        (peer, messages.KeysGetDone(f"{node}.0.1", {_KEY: _STATE})),
        (peer, messages.RootsGetDone(f"{node}.0.1", (bytes(16),))),
        (peer, messages.TreeGetDone(f"{node}.0.1", {1: {2: b"x"}}, {})),
    ]


FORGERIES: dict[str, Callable[[Sequence[str], str], list[tuple[str, Any]]]] = {
    "client as node": _client_as_node,
    "foreign reply": _foreign_reply,
    "bad seal": _bad_seal,
    "unknown exchange": _unknown_exchange,
}


def forged_messages(what: str, peers: Sequence[str], node: str) -> list[tuple[str, Any]]:
    """``(sender, message)`` of every forgery of this kind that `node` is to be handed."""
    return FORGERIES[what](peers, node)


def told_apart(what: str, node: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Violation]:
    """I13: what a forgery has changed at a node."""
    for part in ("records", "hints", "history_digest", "incarnation"):
        if _timeless(before[part]) != _timeless(after[part]):
            yield Violation("I13", f"'{what}' changed the {part} of node {node}: {before[part]} to {after[part]}")


def _timeless(part: Any) -> Any:
    """Hints without their age."""
    return [(hint["home"], hint["key"]) for hint in part] if isinstance(part, list) else part
