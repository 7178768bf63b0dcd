"""What Prometheus reads of one node: the requests that came through its port, and what the node says of itself.

Names follow Prometheus' customs: base units, `_total` for what only grows.
Counters of a node begin again when its process does, as Prometheus expects of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from dynalab.core.errors import NodeIsDown
from dynalab.disk.durations import BOUNDS_US
from dynalab.live import control
from dynalab.live.cluster import Cluster
from dynalab.live.roll import NodeFailed

LATENCY_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

#: {repair mechanism: messages that carry it}
REPAIRS = {
    "read repair": ("ReadRepair",),
    "hinted handoff": ("HintDeliver",),
    "anti-entropy": ("KeysGet", "KeysGetDone"),
}
#: (metric, counter of the node, help)
_COUNTERS = (
    ("writes", "writes", "versions made as a coordinator"),
    ("read_repairs", "read_repairs", "stale replicas brought up to date by a get (5)"),
    ("hints_kept", "hints_kept", "copies kept for unreachable homes (4.6)"),
    ("handoffs", "handoffs", "hints handed over (4.6)"),
    ("keys_repaired", "keys_repaired", "replicas that an exchange changed (4.7)"),
    ("suspicions", "suspicions", "peers believed down (4.8.3)"),
    ("requests_forwarded", "forwards", "requests passed on to a home (4.5)"),
    ("background_throttled", "background_throttled", "background work put off for clients (6.5)"),
)
_TIMES = (
    ("dynalab_commit_seconds", "commits", "commits of the storage engine"),
    ("dynalab_fsync_seconds", "syncs", "waits for the device in commits"),
)


class Meters:
    """The metrics of one port.

    Args:
        cluster: the running cluster.
        node: whose port this is.
    """

    def __init__(self, cluster: Cluster, node: str) -> None:
        self._node = node
        self._registry = CollectorRegistry()
        self._registry.register(NodeCollector(cluster, node))
        self._operations = Counter(
            "dynalab_operations",
            "requests that came through this port, by what became of them",
            ("node", "kind", "outcome"),
            registry=self._registry,
        )
        self._latency = Histogram(
            "dynalab_operation_seconds",
            "from the request's arrival at this port to its answer",
            ("node", "kind"),
            buckets=LATENCY_S,
            registry=self._registry,
        )

    @contextmanager
    def measured(self, kind: str) -> Iterator[None]:
        """Count what happens inside as one request of this kind."""
        began, outcome = time.perf_counter(), "ok"
        try:
            yield
        except Exception as error:
            outcome = type(error).__name__
            raise
        finally:
            self._operations.labels(self._node, kind, outcome).inc()
            self._latency.labels(self._node, kind).observe(time.perf_counter() - began)

    def page(self) -> bytes:
        """Everything in Prometheus' text format; asks the node, so it takes a moment."""
        return generate_latest(self._registry)


class NodeCollector(Collector):
    """What a node says of itself, asked at every scrape; a node that does not run is only `dynalab_node_up 0`."""

    def __init__(self, cluster: Cluster, node: str) -> None:
        self._cluster = cluster
        self._node = node

    def describe(self) -> Iterable[Metric]:
        """Nothing is known before the node is asked."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """One scrape."""
        try:
            seen = self._cluster.inspect(self._node, full=False)
            counted = self._cluster.told(self._node, control.Count())
        except (NodeIsDown, NodeFailed):
            yield self._gauge("dynalab_node_up", "whether the node's process runs", 0)
            return
        yield self._gauge("dynalab_node_up", "whether the node's process runs", 1)
        yield from self._gauges(seen, counted)
        yield from self._counters(seen["counters"])
        yield from self._traffic(counted)
        for name, field, text in _TIMES:
            if field in counted:
                yield self._histogram(name, text, counted[field])
        yield self._rounds(seen["counters"])

    def _gauge(self, name: str, text: str, value: float) -> Metric:
        family = GaugeMetricFamily(name, text, labels=["node"])
        family.add_metric([self._node], value)
        return family

    def _gauges(self, seen: dict[str, Any], counted: dict[str, Any]) -> Iterator[Metric]:
        yield self._gauge("dynalab_keys", "keys with a replica here", seen["keys"])
        yield self._gauge("dynalab_hint_queue_depth", "copies kept for other nodes (4.6)", seen["hint_count"])
        yield self._gauge("dynalab_open_requests", "client requests under way here", counted["open_requests"])
        yield self._gauge(
            "dynalab_keys_with_siblings", "keys with concurrent versions here (4.4)", counted["divergent"]
        )
        down = sum(not opinion["believed_up"] for opinion in seen["up"].values())
        yield self._gauge("dynalab_peers_believed_down", "this node's own opinion (4.8.3)", down)

    def _counters(self, counters: dict[str, int]) -> Iterator[Metric]:
        for name, counter, text in _COUNTERS:
            family = CounterMetricFamily(f"dynalab_{name}", text, labels=["node"])
            family.add_metric([self._node], counters.get(counter, 0))
            yield family

    def _traffic(self, counted: dict[str, Any]) -> Iterator[Metric]:
        messages = CounterMetricFamily("dynalab_messages_sent", "messages to other nodes", labels=["node", "message"])
        sizes = CounterMetricFamily("dynalab_bytes_sent", "their bytes", labels=["node", "message"])
        for message, (count, size) in sorted(counted["sent"].items()):
            messages.add_metric([self._node, message], count)
            sizes.add_metric([self._node, message], size)
        repairs = CounterMetricFamily("dynalab_repair_bytes", "bytes sent for repairs", labels=["node", "mechanism"])
        for mechanism, carriers in REPAIRS.items():
            size = sum(counted["sent"].get(message, (0, 0))[1] for message in carriers)
            repairs.add_metric([self._node, mechanism], size)
        dropped = CounterMetricFamily("dynalab_messages_dropped", "messages lost here", labels=["node", "why"])
        for why, count in sorted(counted["drops"].items()):
            dropped.add_metric([self._node, why], count)
        return iter((messages, sizes, repairs, dropped))

    def _histogram(self, name: str, text: str, told: dict[str, Any]) -> Metric:
        ends = [str(bound / 1_000_000) for bound in BOUNDS_US] + ["+Inf"]
        buckets = list(zip(ends, accumulate(told["classes"]), strict=True))
        family = HistogramMetricFamily(name, text, labels=["node"])
        family.add_metric([self._node], buckets, told["total_us"] / 1_000_000)
        return family

    def _rounds(self, counters: dict[str, int]) -> Metric:
        family = SummaryMetricFamily("dynalab_merkle_round_seconds", "Merkle exchanges begun here", labels=["node"])
        taken_s = counters.get("exchange_us", 0) / 1_000_000
        family.add_metric([self._node], counters.get("exchanges_ended", 0), taken_s)
        return family
