"""The figures of the bench: what each is, how it is measured, and what it should be.

A figure is a ratio to a yardstick of the same minutes wherever that is possible;
the rest are absolute, with room for a slow machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from dynalab.bench import cluster as ours
from dynalab.bench import floor, simulated


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        name: how to ask for it.
        says: what it is.
        target: what it should be.
        at_least: whether more is better.
        measure: one round.
        rounds: how many.
    """

    name: str
    says: str
    target: float
    at_least: bool
    measure: Callable[[], float]
    rounds: int = 3

    def run(self, told: Callable[[str], None]) -> dict[str, Any]:
        """All rounds; `told` hears of each."""
        values = []
        for number in range(self.rounds):
            values.append(self.measure())
            told(f"{self.name}, round {number + 1} of {self.rounds}: {values[-1]:.3g}")
        middle = median(values)
        met = middle >= self.target if self.at_least else middle <= self.target
        spread = [min(values), max(values)]
        return {"name": self.name, "says": self.says, "target": self.target, "median": middle, "spread": spread} | {
            "at_least": self.at_least,
            "met": met,
        }


def _against_floor(kind: str) -> float:
    yardstick = floor.measure(kind, 64, 15_000).per_second
    with ours.cluster() as running:
        ours.rate(running, "put", 64, 1_000, "warm")
        if kind == "get":
            ours.rate(running, "put", 64, 6_000)
        return ours.rate(running, kind, 64, 6_000).per_second / yardstick


def _latency() -> float:
    yardstick = floor.measure("put", 1, 1_500).p50_us
    with ours.cluster() as running:
        ours.rate(running, "put", 1, 200, "warm")
        return ours.rate(running, "put", 1, 1_500).p50_us / yardstick


def _durable() -> float:
    """Against memory mode, or what this disk allows if that is less.

    A put waits for two syncs, one after the other: the coordinator's, then a replica's.
    """
    with ours.cluster() as running:
        ours.rate(running, "put", 64, 1_000, "warm")
        memory = ours.rate(running, "put", 64, 5_000).per_second
    with TemporaryDirectory() as folder:
        allowed = 64 / (2 * ours.sync_us(Path(folder)) / 1e6)
        with ours.cluster(**ours.DURABLE, data_dir=str(Path(folder, "data"))) as running:
            ours.rate(running, "put", 64, 1_000, "warm")
            return ours.rate(running, "put", 64, 5_000).per_second / min(memory, allowed)


def _syncs_per_put() -> float:
    with ours.cluster(**ours.DURABLE) as running:
        ours.rate(running, "put", 64, 1_000, "warm")
        before = ours.syncs(running)
        ours.rate(running, "put", 64, 5_000)
        return (ours.syncs(running) - before) / 5_000


def _tracing() -> float:
    def once(trace: bool) -> float:
        with ours.cluster(trace=trace) as running:
            ours.rate(running, "put", 64, 1_000, "warm")
            return ours.rate(running, "put", 64, 5_000).per_second

    return once(True) / once(False)


FIGURES = (
    Figure("puts", "puts/s at 64 under way, against the floor", 0.50, True, lambda: _against_floor("put")),
    Figure("gets", "gets/s at 64 under way, against the floor's get", 0.50, True, lambda: _against_floor("get")),
    Figure("latency", "median put at 1 under way, against the floor", 1.6, False, _latency),
    Figure("durable", "durable puts/s at 64 under way, against memory or what the disk allows", 0.50, True, _durable),
    Figure("syncs", "syncs of all nodes per put, durable, 64 under way", 0.9, False, _syncs_per_put),
    Figure("trace", "puts/s with the full trace, against without", 0.60, True, _tracing),
    Figure("idle", "share of a core that five idle nodes take", 0.02, False, ours.idle_cpu_share, 2),
    Figure("memory", "memory of five idle nodes, MB", 120, False, lambda: ours.unique_memory_mb()[1], 2),
    Figure(
        "unique", "unique memory of the largest of five nodes, MB", 12, False, lambda: ours.unique_memory_mb()[0], 2
    ),
    Figure("start5", "from Cluster(5) to an answered put, ms", 400, False, lambda: ours.start_ms(5)),
    Figure("start50", "from Cluster(50) to an answered put, ms", 4_000, False, lambda: ours.start_ms(50), 2),
    Figure("simulated", "simulated puts per second of one core", 10_000, True, simulated.puts_per_second),
    Figure("events", "bare heapq events for one simulated event", 8, False, simulated.events_against_heapq),
    Figure(
        "join", "one join, 1,000 simulated nodes, 100,000 keys, s", 60, False, lambda: simulated.large_join_s()[0], 1
    ),
    Figure("merkle", "bytes of an exchange with 100 differences, share of all", 0.01, False, simulated.merkle_share, 1),
    Figure("growth", "cost of a put with 1,000,000 keys, against 1,000", 1.2, False, simulated.put_cost_growth),
    Figure("import", "import dynalab, ms", 50, False, lambda: ours.import_ms("import dynalab")),
    Figure(
        "notebook",
        "what a notebook imports, ms",
        1_000,
        False,
        lambda: ours.import_ms("import dynalab.live.cluster, dynalab.views, matplotlib.figure, networkx, ipywidgets"),
    ),
)
"""Every figure, in the order of the table."""
