"""The figures of the bench: what each is, how it is measured, and what it should be.

A figure is a ratio to a yardstick wherever that is possible: both run side by side and are asked in turn (`in_turn`),
so that a ratio is one of the same moments. The rest are absolute, with room for a slow machine.
A figure is the median of its rounds, each with processes of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from dynalab.bench import cluster as ours
from dynalab.bench import floor, simulated
from dynalab.live.cluster import Cluster
from dynalab.live.control import Flush

WRITTEN = "written "
"""How the keys begin that gets ask for."""

SLICES = 7
"""So often our speed is compared with the yardstick's in one round."""


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


def in_turn(theirs: Callable[[], float], mine: Callable[[], float], slices: int = SLICES) -> float:
    """The ratio of `mine` to `theirs`: both are measured in turn, in short slices, and the median slice counts.

    Each slice of mine is compared with the two of theirs around it:
    the speed of a shared computer may halve within seconds, and what is compared must be of the same moment.
    Both stay ready all the time, so nothing but the load begins and ends with a slice.
    """
    ratios, before = [], theirs()
    for _ in range(slices):
        own, after = mine(), theirs()
        ratios.append(2 * own / (before + after))
        before = after
    return median(ratios)


_slices = count()


def _rate(running: Cluster, kind: str, outstanding: int, requests: int) -> floor.Rate:
    """Puts of keys that nobody has written yet, or gets of those that begin with `WRITTEN`.

    Every slice puts keys of its own: who writes a key again without having read it leaves a sibling, and from slice
    to slice there would be more to carry.
    """
    return ours.rate(running, kind, outstanding, requests, WRITTEN if kind == "get" else f"slice {next(_slices)} ")


def _puts(running: Cluster) -> float:
    """Puts a second, 64 under way."""
    return _rate(running, "put", 64, 2_000).per_second


def _against_floor(kind: str) -> float:
    with floor.running() as yardstick, ours.cluster() as running:
        yardstick.measure(kind, 64, 1_000)
        ours.rate(running, "put", 64, 2_000, WRITTEN)
        return in_turn(
            lambda: yardstick.measure(kind, 64, 5_000).per_second,
            lambda: _rate(running, kind, 64, 2_000).per_second,
        )


def _latency() -> float:
    with floor.running() as yardstick, ours.cluster() as running:
        yardstick.measure("put", 1, 200)
        _rate(running, "put", 1, 200)
        return in_turn(
            lambda: yardstick.measure("put", 1, 1_000).p50_us,
            lambda: _rate(running, "put", 1, 300).p50_us,
        )


def _durable() -> float:
    """Against memory mode, or what this disk allows if that is less.

    A put waits for two syncs, one after the other: the coordinator's, then a replica's.
    """
    with (
        TemporaryDirectory() as folder,
        ours.cluster() as memory,
        ours.cluster(name="durable", **ours.DURABLE, data_dir=str(Path(folder, "data"))) as durable,
    ):
        _puts(memory), _puts(durable)
        return in_turn(
            lambda: min(_puts(memory), 64 / (2 * ours.sync_us(Path(folder)) / 1e6)),
            lambda: _puts(durable),
        )


def _syncs_per_put() -> float:
    with ours.cluster(**ours.DURABLE) as running:
        ours.rate(running, "put", 64, 1_000, "warm")
        before = ours.syncs(running)
        ours.rate(running, "put", 64, 5_000)
        return (ours.syncs(running) - before) / 5_000


def _tracing() -> float:
    """Each slice with the trace ends when the nodes have told it, so that nobody else pays for that."""

    def with_trace() -> float:
        rate = _puts(traced)
        traced.told_by_all(Flush())
        return rate

    with ours.cluster() as plain, ours.cluster(name="traced", trace=True) as traced:
        _puts(plain), with_trace()
        return in_turn(lambda: _puts(plain), with_trace)


FIGURES = (
    Figure("puts", "puts/s at 64 under way, against the floor", 0.50, True, lambda: _against_floor("put")),
    Figure("gets", "gets/s at 64 under way, against the floor's get", 0.50, True, lambda: _against_floor("get")),
    Figure("latency", "median put at 1 under way, against the floor", 1.6, False, _latency),
    Figure("durable", "durable puts/s at 64 under way, against memory or what the disk allows", 0.50, True, _durable),
    Figure("syncs", "syncs of all nodes per put, durable, 64 under way", 0.9, False, _syncs_per_put),
    Figure("trace", "puts/s with the full trace, against without", 0.60, True, _tracing),
    Figure("idle", "share of a core that five idle nodes take", 0.02, False, ours.idle_cpu_share),
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
        lambda: ours.import_ms(ours.NOTEBOOK, beforehand=ours.KERNEL),
    ),
)
"""Every figure, in the order of the table."""
