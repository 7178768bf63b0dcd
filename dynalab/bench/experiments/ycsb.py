"""Experiment 1: YCSB A, B, C, D and F on processes: throughput and latency by requests under way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from dynalab.bench.experiments.frame import Experiment, Findings, Row, Run, quantile
from dynalab.bench.load import VALUE, WORKLOADS, Load, Ranks, filling
from dynalab.core.errors import DynalabError
from dynalab.live.cluster import Cluster
from dynalab.views import draw_lines

NODES = 3
SETTINGS: dict[str, Any] = {"n": 3, "r": 2, "w": 2, "storage": "memory", "durability": "memory", "trace": False}
DISTRIBUTIONS = ("zipfian", "uniform")
MIXES = {
    "A": "half updates",
    "B": "5 % updates",
    "C": "reads only",
    "D": "newest read",
    "F": "read, modify, write",
}


def run(run: Run) -> Findings:
    """Every workload with popular keys and with even ones, at growing concurrency."""
    findings = Findings()
    keys = run.pick(100, 1_000, 10_000)
    levels = run.pick((1, 16), (1, 16, 256), (1, 4, 16, 64, 256))
    cases = [(load, keys_are, level) for load in WORKLOADS for keys_are in DISTRIBUTIONS for level in levels]
    with Cluster(NODES, name="ycsb", **SETTINGS) as cluster:
        cluster.client("filler").many(filling(keys), 64)
        for workload, keys_are, level in run.each(cases, lambda case: f"{case[0]}, {case[1]}, {case[2]} under way"):
            load = Load(workload, keys, run.random, keys_are == "zipfian")
            requests = run.pick(100, 250 if level == 1 else 900, 4_000 if level == 1 else 20_000)
            findings.table("ycsb").append(
                {"workload": workload, "keys": keys_are, "under_way": level} | _measured(cluster, load, level, requests)
            )
    findings.tables["popularity"] = _popularity(run, keys)
    _judge(findings)
    _draw(findings)
    return findings


def _measured(cluster: Cluster, load: Load, level: int, requests: int) -> Row:
    client = cluster.client()
    begun = time.perf_counter()
    if load.mix.modify:
        ends = asyncio.run(_modifying(client, load, level, requests))
    else:
        ends = client.many(load.operations(requests), level)
    took_s = time.perf_counter() - begun
    latencies = [end.latency_ms for end in ends if not isinstance(end, DynalabError)]
    quantiles = {
        name: quantile(latencies, share) for name, share in (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99))
    }
    return {
        "requests": len(ends),
        "per_second": len(latencies) / took_s,
        **quantiles,
        "failed": len(ends) - len(latencies),
    }


async def _modifying(client: Any, load: Load, level: int, requests: int) -> list[Any]:
    """F: each of `level` workers reads, and writes with what it read, so each write waits for its read."""
    ends: list[Any] = []
    shares = [requests // level + (number < requests % level) for number in range(level)]

    async def worker(share: int) -> None:
        for _ in range(share):
            kind, key = load.next()
            got = await _end(client.aio.get(key))
            ends.append(got)
            if kind == "modify" and not isinstance(got, DynalabError):
                ends.append(await _end(client.aio.put(key, VALUE, context=got.context)))

    await asyncio.gather(*(worker(share) for share in shares))
    return ends


async def _end(request: Any) -> Any:
    try:
        return await request
    except DynalabError as error:
        return error


def _popularity(run: Run, keys: int) -> list[Row]:
    """Which share of requests the most popular keys get: drawn, and by the formula."""
    draws = run.pick(5_000, 50_000, 200_000)
    rows = []
    for keys_are in DISTRIBUTIONS:
        ranks = Ranks(keys, run.random, keys_are == "zipfian")
        top = max(1, keys // 100)
        drawn = sum(ranks.next() < top for _ in range(draws)) / draws
        expected = sum(ranks.share(rank) for rank in range(top))
        rows.append({"keys": keys_are, "draws": draws, "drawn": drawn, "expected": expected})
    return rows


def _judge(findings: Findings) -> None:
    rows = findings.tables["ycsb"]
    failed = sum(row["failed"] for row in rows)
    findings.claim(
        "Every request is answered, at every concurrency",
        f"{failed} of {sum(row['requests'] for row in rows)} failed",
        failed == 0,
    )
    one, many = (_rate(findings, level) for level in (min, lambda levels: sorted(levels)[min(2, len(levels) - 1)]))
    findings.claim(
        "Requests under way together are cheaper than one after the other",
        f"all workloads together: {many / one:.1f} times the throughput",
        many > 1.2 * one,
    )
    findings.result = (
        f"Together, requests under way at once are answered {many / one:.1f} times as fast as one after the other."
    )
    zipfian, uniform = findings.tables["popularity"]
    findings.claim(
        "One per cent of the keys draw the Zipfian share of requests",
        f"{zipfian['drawn']:.1%} drawn, {zipfian['expected']:.1%} by the formula; uniform: {uniform['drawn']:.1%}",
        all(abs(row["drawn"] - row["expected"]) < 0.02 for row in (zipfian, uniform)),
    )


def _rate(findings: Findings, choose: Callable[[set[int]], int]) -> float:
    """The throughput of all workloads together at one concurrency."""
    rows = findings.tables["ycsb"]
    level = choose({row["under_way"] for row in rows})
    chosen = [row for row in rows if row["under_way"] == level]
    spent_s = sum(float(row["requests"]) / float(row["per_second"]) for row in chosen)
    return sum(float(row["requests"]) for row in chosen) / spent_s


def _draw(findings: Findings) -> None:
    for name, column, y in (("throughput", "per_second", "requests per second"), ("tail", "p99_ms", "p99 latency, ms")):
        lines = {
            f"{workload}: {MIXES[workload]}": [
                (row["under_way"], row[column])
                for row in findings.tables["ycsb"]
                if row["workload"] == workload and row["keys"] == "zipfian"
            ]
            for workload in WORKLOADS
        }
        title = (
            "Many requests under way: more throughput"
            if name == "throughput"
            else "The more at once, the longer the tail"
        )
        figure = draw_lines(lines, title, "requests under way", y, log_x=True, log_y=name == "tail")
        findings.show(
            name, figure, "Five workloads, Zipfian keys. Three processes, N=3, R=W=2, memory; this machine, this hour."
        )


EXPERIMENT = Experiment(
    1,
    "ycsb",
    "YCSB workloads on processes",
    "live",
    "How many requests do three processes answer, and how long do the slowest wait, with 1 to 256 requests under way, "
    "for five standard mixes of reads and writes, over popular and over even keys? "
    "One client asks; F's writes each wait for their read.",
    run,
)
