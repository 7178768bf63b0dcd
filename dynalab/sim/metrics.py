"""Counts and latencies of a simulation, per node and whole."""

from __future__ import annotations

from typing import Any

from dynalab.sim.client import Tally
from dynalab.sim.host import CRASHED
from dynalab.sim.world import World


def metrics_of(world: World, tally: Tally) -> dict[str, Any]:
    """All counts since the start.

    Returns:
        ``{"nodes": {node: {"counters", "keys", "hints", "open_requests", "waiting"}},``
        ``"counters": {name: sum over nodes},``
        ``"operations": {kind: {"count", "p50_ms", "p99_ms", "p99_9_ms", "max_ms", "failed": {error: count}}},``
        ``"messages", "dropped", "bytes", "now_ms"}``; times are virtual, bytes those of values.
    """
    nodes = {name: _node(world, name) for name in world.hosts}
    counters: dict[str, int] = {}
    for node in nodes.values():
        for name, count in node["counters"].items():
            counters[name] = counters.get(name, 0) + count
    return {
        "nodes": nodes,
        "counters": counters,
        "operations": {
            kind: {**seen.summary(), "failed": dict(tally.failed[kind])} for kind, seen in tally.latencies.items()
        },
        "messages": world.record.sent,
        "dropped": world.record.dropped,
        "bytes": world.record.bytes,
        "now_ms": world.now_us / 1000,
    }


def _node(world: World, name: str) -> dict[str, Any]:
    host = world.hosts[name]
    if host.state is CRASHED:
        return {"counters": {}, "keys": 0, "hints": 0, "open_requests": 0, "waiting": 0}
    seen = host.node.inspect(world.now_us, full=False)
    return {
        "counters": seen["counters"],
        "keys": seen["keys"],
        "hints": seen["hint_count"],
        "open_requests": len(seen["requests"]),
        "waiting": len(host.held),
    }
