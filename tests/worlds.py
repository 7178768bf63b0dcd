"""The two worlds behind one fixture: a scenario is written once, and carried out in both.

A scenario gets a `World`, founds a recorded cluster in it, and leaves the verdict to `World.judge`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from dynalab.check.recorder import Recorder
from dynalab.check.report import Report
from dynalab.check.verdict import judge_run
from dynalab.core.ring import Ring
from dynalab.core.trace import TraceEvent

QUICK: dict[str, Any] = {
    "anti_entropy_ms": 200,
    "gossip_ms": 200,
    "handoff_ms": 100,
    "ping_ms": 200,
    "phi": 8.0,
    "timeout_ms": 1_000,
    "replica_timeout_ms": 150,
}
"""Mechanisms quick enough for a test, and patient enough for a busy machine."""

LOOKS_MAX = 5_000
LOOK_MS = 4


class World:
    """One of the two worlds.

    Args:
        name: ``sim`` or ``live``.
        keep: told of every cluster that is founded, so that somebody closes it.
    """

    def __init__(self, name: str, keep: Callable[[Any], None]) -> None:
        self.name = name
        self._keep = keep

    def found(self, nodes: int = 5, seed: int = 7, **settings: Any) -> Recorder:
        """A recorded cluster with quick mechanisms; `settings` as for `Simulation` and `Cluster`."""
        settings = QUICK | settings
        if self.name == "sim":
            from dynalab.sim.cluster import Simulation

            return Recorder(Simulation(nodes, seed=seed, **settings))
        from dynalab.live.cluster import Cluster

        cluster = Cluster(nodes, **settings)
        self._keep(cluster)
        return Recorder(cluster)

    def judge(self, recorder: Recorder, **options: Any) -> Report:
        """Settle and judge; a simulation by its whole trace, too."""
        trace = recorder.cluster.events if self.name == "sim" else None
        return judge_run(recorder, trace, **options)

    def holds(self, recorder: Recorder, **options: Any) -> None:
        """Fail with the report unless nothing is broken."""
        report = self.judge(recorder, **options)
        assert report.ok, str(report)

    def until(self, recorder: Recorder, true: Callable[[], Any], what: str) -> None:
        """Let time pass until `true()`; virtual time in a simulation."""
        for _ in range(LOOKS_MAX):
            if true():
                return
            if self.name == "sim":
                recorder.cluster.run(ms=LOOK_MS)
            else:
                time.sleep(LOOK_MS / 1000)
        raise AssertionError(f"this never came: {what}\n{recorder.history}")


def walk_of(cluster: Any, key: str) -> list[str]:
    """All nodes in the order of preference for `key`, by the ring that the first node knows."""
    return ring_of(cluster, cluster.nodes[0]).preference_list(key, len(cluster.nodes))


def ring_of(cluster: Any, node: str) -> Ring:
    """The ring as one node tells it."""
    config = cluster.config
    tokens = {int(position, 16): owner for position, owner in cluster.inspect(node)["ring"]["tokens"]}
    return Ring(tokens, dict(config.zones), config.partitions if config.strategy in (2, 3) else None)


def held(cluster: Any, node: str, key: str) -> list[Any]:
    """The live values of `key` at one node's replica, hints not counted, without their write ids."""
    from dynalab.check.history import unstamp

    record = cluster.inspect(node)["records"].get(key, {"siblings": []})
    return [unstamp(sibling["value"])[1] for sibling in record["siblings"] if not sibling["deleted"]]


def hints_for(cluster: Any, home: str) -> list[str]:
    """The running nodes that keep a hint for `home`."""
    running = [node for node, state in cluster.states().items() if state == "up"]
    return [node for node in running if any(hint["home"] == home for hint in cluster.inspect(node)["hints"])]


def told(cluster: Any, node: str, kind: str, message: str = "", **fields: Any) -> list[TraceEvent]:
    """The events of the trace so far that match."""
    wanted = {"node": node, "kind": kind, **({"message": message} if message else {}), **fields}
    events = list(cluster.trace)
    return [event for event in events if all(getattr(event, name) == value for name, value in wanted.items())]
