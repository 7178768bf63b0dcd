"""What the metrics tab shows: rates since the last look, latencies and counters since the start, and who keeps what."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from dynalab.core.ring import Ring
from dynalab.panels.subject import SIM, Subject

SAMPLES_KEPT = 120
KINDS = ("put", "get", "delete")


class Meter:
    """Looks at the metrics of one cluster again and again.

    Args:
        subject: the cluster.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        #: [time in s, requests a second, p99 in ms of all kinds since the start, messages a second]
        self._samples: deque[list[float]] = deque(maxlen=SAMPLES_KEPT)
        self._before: tuple[float, dict[str, Any]] | None = None

    def read(self, ring: Ring) -> dict[str, Any]:
        """The metrics now, for the browser.

        Args:
            ring: whose key ranges are shared out.
        """
        metrics = self.subject.target.metrics()
        now_s = metrics["now_ms"] / 1000 if self.subject.kind == SIM else time.monotonic()
        rates = self._rates(now_s, metrics)
        owned, kept = ring.share(1), ring.share(self.subject.target.config.n)
        return {
            "rates": rates,
            "samples": list(self._samples),
            "operations": metrics["operations"],
            "nodes": {
                name: _node(node, owned.get(name, 0), kept.get(name, 0)) for name, node in metrics["nodes"].items()
            },
            "totals": {name: metrics[name] for name in ("messages", "dropped", "bytes")},
            "counters": dict(sorted(metrics["counters"].items())),
        }

    def _rates(self, now_s: float, metrics: dict[str, Any]) -> dict[str, float]:
        """Per second since the look before; 0 at the first one."""
        counts = {kind: metrics["operations"][kind]["count"] for kind in KINDS}
        counts |= {name: metrics[name] for name in ("messages", "bytes", "dropped")}
        rates = dict.fromkeys(counts, 0.0)
        if self._before is not None:
            passed = now_s - self._before[0]
            if passed <= 0:
                return rates
            rates = {name: max(0.0, (count - self._before[1][name]) / passed) for name, count in counts.items()}
        self._before = (now_s, counts)
        slowest = max(metrics["operations"][kind]["p99_ms"] for kind in KINDS)
        self._samples.append([now_s, sum(rates[kind] for kind in KINDS), slowest, rates["messages"]])
        return rates


def _node(node: dict[str, Any], owned: float, kept: float) -> dict[str, Any]:
    return {
        "keys": node["keys"],
        "hints": node["hints"],
        "open": node["open_requests"],
        "waiting": node["waiting"],
        "owned": owned,
        "kept": kept,
        "repairs": node["counters"].get("read_repairs", 0) + node["counters"].get("keys_repaired", 0),
    }
