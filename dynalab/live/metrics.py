"""Counts and latencies of a live cluster, per node and whole."""

from __future__ import annotations

from typing import Any

from dynalab.live import control
from dynalab.live.control import Told
from dynalab.live.owner import Owner
from dynalab.live.roll import UP


def metrics_of(owner: Owner) -> dict[str, Any]:
    """All counts since the start of each process; latencies as the clients of this process saw them.

    Returns:
        ``{"nodes": {node: {"counters", "keys", "hints", "open_requests", "waiting", "transport"}},``
        ``"counters": {name: sum over nodes},``
        ``"operations": {kind: {"count", "p50_ms", "p99_ms", "p99_9_ms", "max_ms", "failed": {error: count}}},``
        ``"messages", "dropped", "bytes", "now_ms"}``; bytes are those on the wire.
        ``waiting`` are messages on bad links, or on links that open; ``transport`` has messages and bytes
        in and out, drops by reason, and the depth of each queue, timers and recorded events too.
    """
    running = owner.roll.in_state(UP)
    seen = _told(owner, running, control.Inspect(False))
    counted = _told(owner, running, control.Count())
    nodes = {node: _node(seen.get(node), counted.get(node)) for node in list(owner.roll.entries)}
    transports = [node["transport"] for node in nodes.values() if node["transport"]]
    return {
        "nodes": nodes,
        "counters": _summed(node["counters"] for node in nodes.values()),
        "operations": owner.tally.operations(),
        "messages": sum(transport["messages_out"] for transport in transports),
        "dropped": sum(sum(transport["drops"].values()) for transport in transports),
        "bytes": sum(transport["bytes_out"] for transport in transports),
        "now_ms": owner.now_us() / 1000,
    }


def _told(owner: Owner, nodes: list[str], order: control.Order) -> dict[str, Any]:
    answers = owner.order(nodes, order)
    return {node: answer.content for node, answer in answers.items() if isinstance(answer, Told)}


def _node(seen: dict[str, Any] | None, counted: dict[str, Any] | None) -> dict[str, Any]:
    if not seen or counted is None:
        return {"counters": {}, "keys": 0, "hints": 0, "open_requests": 0, "waiting": 0, "transport": {}}
    return {
        "counters": seen["counters"],
        "keys": seen["keys"],
        "hints": seen["hint_count"],
        "open_requests": len(seen["requests"]),
        "waiting": counted["queues"]["delayed"] + counted["queues"]["opening"],
        "transport": counted,
    }


def _summed(tables: Any) -> dict[str, int]:
    """The sum of several ``{name: count}``."""
    sums: dict[str, int] = {}
    for table in tables:
        for name, count in table.items():
            sums[name] = sums.get(name, 0) + count
    return sums
