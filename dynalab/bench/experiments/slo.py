"""Experiment 5: a read with a deadline: fixed quorums against a client that adapts and hedges."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from dynalab.bench.adaptive import AdaptiveReader, Policy
from dynalab.bench.experiments.frame import Experiment, Findings, Row, Run, quantile, standard_error
from dynalab.bench.load import Ranks, filling, key_of
from dynalab.core.clock import Context
from dynalab.core.errors import DynalabError
from dynalab.core.ring import Ring
from dynalab.live.cluster import Cluster
from dynalab.views import draw_bars, draw_lines

NODES = 5
DEADLINE_MS = 150
SLOW_MS = (100.0, 300.0)
"""One way, on every link of the node that is slow just now."""
BUDGET = 0.1
SETTINGS: dict[str, Any] = {
    "n": 3,
    "r": 2,
    "w": 2,
    "storage": "memory",
    "durability": "memory",
    "trace": False,
    "read_repair": False,
    "anti_entropy_ms": 0,
    "ping_ms": 0,
    "replica_timeout_ms": 1_000,
}
"""No repair, so that freshness is the reads' own; and nobody is suspected, so that slowness is not hidden."""
WAYS = ("fixed R=2", "fixed R=1", "adaptive", "adaptive, hedged")


def run(run: Run) -> Findings:
    """The same load and the same slow nodes for each way of reading."""
    findings = Findings()
    with Cluster(NODES, name="slo", **SETTINGS) as cluster:
        for way in run.each(WAYS):
            trial = _Trial(run, cluster, way)
            asyncio.run(trial.play())
            findings.table("reads").extend(trial.rows)
            findings.table("ways").append(trial.summary())
    _judge(findings)
    _draw(findings)
    return findings


class _Trial:
    """One way of reading, under writes, while one node after another is slow."""

    def __init__(self, run: Run, cluster: Cluster, way: str) -> None:
        self.rows: list[Row] = []
        self._run = run
        self._cluster = cluster
        self._way = way
        self._keys = run.pick(20, 100, 400)
        self._writer = cluster.client("writer")
        self._written: dict[str, int] = {}
        self._ranks = Ranks(self._keys, run.random, zipfian=True)
        self._slow = ""
        self._reader: Any = None
        self._ring = Ring({int(place, 16): node for place, node in cluster.inspect("A")["ring"]["tokens"]})
        if way.startswith("adaptive"):
            policy = Policy(2, DEADLINE_MS, BUDGET if "hedged" in way else 0.0, run.random)
            self._reader = AdaptiveReader(cluster.client("reader"), self._ring, 3, policy)
        self._client = cluster.client("reader-fixed")

    async def play(self) -> None:
        """Each of three nodes is slow for a while."""
        self._writer.many(filling(self._keys), 32)
        for slow in self._run.pick(("A",), ("A", "B", "C"), ("A", "B", "C", "D")):
            self._slow = slow
            self._written.clear()
            for other in self._cluster.nodes:
                if other != slow:
                    await self._cluster.aio.link(slow, other, delay_ms=SLOW_MS, both_ways=True)
            await self._load()
            await self._cluster.aio.heal()
        if self._reader is not None:
            await self._reader.finish()

    @property
    def _part(self) -> str:
        """Which part of the experiment a value is from: earlier ones count as old."""
        return f"{self._way}, {self._slow} slow"

    async def _load(self) -> None:
        """Eight readers, and a writer beside them."""
        reads = self._run.pick(320, 480, 2_000)
        workers = [asyncio.create_task(self._read_on(reads // 8)) for _ in range(8)]
        writing = asyncio.create_task(self._write_on(workers))
        await asyncio.gather(*workers)
        await writing

    async def _write_on(self, workers: list[asyncio.Task[None]]) -> None:
        number = 0
        while not all(worker.done() for worker in workers):
            number += 1
            key = key_of(self._ranks.next())
            try:
                await self._writer.aio.put(key, {"number": number, "part": self._part}, context=Context.LOCAL)
            except DynalabError:
                continue  # Unknown writes are not counted on, so no read is judged by them.
            self._written[key] = number
            await asyncio.sleep(0.002)

    async def _read_on(self, reads: int) -> None:
        for _ in range(reads):
            key = key_of(self._ranks.next())
            known, begun = self._written.get(key, 0), time.perf_counter()
            try:
                got, r = await self._get(key)
            except DynalabError as error:
                self.rows.append(self._row(begun, 0, fresh=False, outcome=type(error).__name__))
            else:
                self.rows.append(self._row(begun, r, self._is_fresh(got, known), "ok"))

    async def _get(self, key: str) -> tuple[Any, int]:
        if self._reader is not None:
            got: tuple[Any, int] = await self._reader.get(key)
            return got
        if self._way == "fixed R=1":  # Any home may answer alone.
            return await self._client.aio.get(key, r=1, via=self._run.random.choice(self._homes(key))), 1
        return await self._client.aio.get(key, r=2), 2

    def _homes(self, key: str) -> list[str]:
        return self._ring.preference_list(key, 3)

    def _is_fresh(self, got: Any, known: int) -> bool:
        """Whether the read shows the last write acknowledged before it began, or a later one."""
        numbers = [each["number"] for each in got.values if isinstance(each, dict) and each["part"] == self._part]
        return not known or max(numbers, default=0) >= known

    def _row(self, begun: float, r: int, fresh: bool, outcome: str) -> Row:
        ms = round((time.perf_counter() - begun) * 1000, 3)
        return {"way": self._way, "slow": self._slow, "ms": ms, "r": r, "fresh": fresh, "outcome": outcome}

    def summary(self) -> Row:
        """What came of it."""
        times = [row["ms"] for row in self.rows]
        counts = self._reader.policy.counts if self._reader is not None else None
        return {
            "way": self._way,
            "reads": len(times),
            "p50_ms": quantile(times, 0.5),
            "p99_ms": quantile(times, 0.99),
            "missed": sum(ms > DEADLINE_MS for ms in times) / len(times),
            "stale": sum(not row["fresh"] for row in self.rows) / len(times),
            "weakened": counts.weakened / counts.reads if counts else 0.0,
            "hedged": counts.hedges / counts.reads if counts else 0.0,
        }


def _judge(findings: Findings) -> None:
    fixed, weak, adaptive, hedged = findings.tables["ways"]
    findings.claim(
        f"A client that adapts misses its deadline of {DEADLINE_MS} ms far less often than a fixed quorum",
        "; ".join(f"{row['way']}: {row['missed']:.1%} missed" for row in (fixed, adaptive, hedged)),
        max(adaptive["missed"], hedged["missed"]) < 0.6 * fixed["missed"],
    )
    findings.claim(
        "Hedges stay within their budget",
        f"{hedged['hedged']:.1%} of the reads were hedged, {BUDGET:.0%} allowed, and {adaptive['hedged']:.0%} without",
        0 < hedged["hedged"] <= BUDGET + 11 / hedged["reads"] and adaptive["hedged"] == 0,
    )
    findings.claim(
        "Adapting costs no more freshness than asking one replica always, within three standard errors",
        "; ".join(f"{row['way']}: {row['stale']:.1%} stale" for row in (fixed, weak, adaptive, hedged)),
        max(adaptive["stale"], hedged["stale"]) <= weak["stale"] + 3 * standard_error(weak["stale"], weak["reads"])
        and fixed["stale"] == 0,
    )


def _draw(findings: Findings) -> None:
    curves = {way: _tail([row["ms"] for row in findings.tables["reads"] if row["way"] == way]) for way in WAYS}
    fixed, _, _, hedged = findings.tables["ways"]
    title = f"Beside a slow node: {hedged['missed']:.0%} of deadlines missed instead of {fixed['missed']:.0%}"
    findings.result = (
        f"A client that adapts and hedges misses {hedged['missed']:.1%} of its deadlines where a fixed R=2 misses "
        f"{fixed['missed']:.1%}, for {hedged['hedged']:.1%} more requests and {hedged['stale']:.1%} stale reads."
    )
    figure = draw_lines(curves, title, "latency, ms", "share of reads that took longer", log_x=True, log_y=True)
    figure.axes[0].axvline(DEADLINE_MS, color="#767676", linestyle=":", linewidth=1.4)
    says = (
        f"Five processes; one after another gets 100 to 300 ms on its links. "
        f"The dotted line is the deadline, {DEADLINE_MS} ms. "
        "Adapting avoids the slow node; hedging asks somebody else when an answer is late."
    )
    findings.show("tail", figure, says)
    bars = {
        words: {row["way"]: 100 * row[column] for row in findings.tables["ways"]}
        for words, column in (("deadline missed", "missed"), ("stale", "stale"), ("asked twice", "hedged"))
    }
    figure = draw_bars(bars, "Deadlines are met at the price of a few second requests", "way of reading", "% of reads")
    findings.show("ways", figure, "What each way gains and gives up; a hedge is one more request, at most one in ten.")


def _tail(times: list[float]) -> list[tuple[float, float]]:
    """The share of reads that took longer, at up to 30 points."""
    ordered = sorted(times)
    shares = [0.9**power for power in range(60) if 0.9**power * len(ordered) >= 1]
    return [(ordered[min(len(ordered) - 1, int((1 - share) * len(ordered)))], share) for share in shares]


EXPERIMENT = Experiment(
    5,
    "slo",
    "Reads with a deadline",
    "live",
    "One node after another becomes slow. A client with a fixed quorum waits for it whenever "
    "it is asked first or needed. "
    "A client that tracks how long each node takes can choose another coordinator, ask for fewer answers, "
    "and ask a second node when the first is late, within a budget. How many deadlines does that save, "
    "and what does it cost in freshness and requests?",
    run,
)
