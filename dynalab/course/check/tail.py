"""Checks of exercise 09: percentiles, hedged reads, and quorums for an agreed latency (paper 2.2, 6.1)."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from dynalab.core.config import Parts
from dynalab.core.trace import TraceEvent
from dynalab.course.checking import Case, check, shown

__all__ = ["tail_1", "tail_2", "tail_3"]

GETS = 150
SLOW_MS, FAST_MS = 40.0, 1.0
P95_MS_MAX = 20.0
EXTRA_MAX = 0.5


@check("tail-1", 1, 10, "sort; the rank is permille/1000 of the count, rounded up; at least 1")
def tail_1(case: Case, percentile: Callable[..., Any]) -> None:
    """The smallest sample that enough of the samples do not exceed (nearest rank)."""
    for _ in range(60):
        samples = [case.random.randint(1, 50) for _ in range(case.random.choice([1, 2, 3, 7, 10, 25, 100, 1000]))]
        permille = case.random.choice([1, 500, 740, 900, 950, 990, 999, 1000])
        fits = [each for each in sorted(samples) if sum(s <= each for s in samples) * 1000 >= permille * len(samples)]
        case.equal(case.ask(percentile, samples, permille), fits[0], f"percentile({shown(samples)}, {permille})")


@check("tail-2", 3, 25, "wait a little longer than an answer usually takes, then ask the replica known to be fastest")
def tail_2(case: Case, next_replica: Callable[..., Any]) -> None:
    """A rule for one more replica: by values, then by the p95 and the messages of gets in a cluster."""
    latencies = {"A": 9.0, "B": 3.0, "C": 5.0}
    for untried in (["A", "B", "C"], ["C", "A"], ["A"]):
        case.equal(case.ask(next_replica, 0.5, latencies, untried), None, f"next_replica(0.5, {latencies}, {untried})")
        fastest = min(untried, key=lambda node: latencies[node])
        came = case.ask(next_replica, 30.0, latencies, untried)
        case.equal(came, fastest, f"next_replica(30.0, {latencies}, {untried})")
    came = case.ask(next_replica, 30.0, {}, ["B", "C"])
    case.holds(came in ("B", "C"), "next_replica(30.0, {}, ['B', 'C'])", came, "'B' or 'C': nothing is known of either")
    _measured(case, next_replica)
    tried = "a real cluster of 3 nodes with your rule: ten puts, ten gets"
    with case.running(tried), case.cluster(3, Parts(hedge=next_replica), n=3, r=2, w=3) as cluster:
        for number in range(10):
            cluster.put(f"key-{number}", number)
        values = [cluster.get(f"key-{number}").value for number in range(10)]
        case.equal(values, list(range(10)), tried)


def _measured(case: Case, next_replica: Callable[..., Any]) -> None:
    tried = (
        f"a simulation where 1 message in 20 takes {SLOW_MS:g} ms, the others {FAST_MS:g} ms, and {GETS} gets with R=2"
    )
    settings = {"n": 3, "r": 2, "w": 3, "anti_entropy_ms": 0, "read_repair": False, "latency_ms": _sometimes_slow}
    with case.running(tried), case.simulation(3, Parts(hedge=next_replica), **settings) as cluster:
        cluster.put("cart", "milk")
        before = len(cluster.events)
        for _ in range(GETS):
            cluster.get("cart")
        events = cluster.events[before:]
    took = _at_the_coordinator(events)
    asked = sum(event.kind == "send" and event.message == "ReplicaGet" for event in events)
    p95, extra = took[GETS * 95 // 100], asked / GETS - 1
    case.holds(
        p95 <= P95_MS_MAX,
        tried,
        f"p95 {p95:.1f} ms from request to answer, at the coordinator",
        f"p95 at most {P95_MS_MAX:g} ms",
    )
    case.holds(extra <= EXTRA_MAX, tried, f"{extra:.2f} more replicas asked per get", f"at most {EXTRA_MAX}")


def _at_the_coordinator(events: list[TraceEvent]) -> list[float]:
    """How long each get took from its arrival at the coordinator to the answer, in ms, sorted."""
    began = {event.request: event.time_ms for event in events if event.kind == "request"}
    return sorted(event.time_ms - began[event.request] for event in events if event.kind == "reply")


def _sometimes_slow(random: Random) -> float:
    return SLOW_MS if random.random() < 0.05 else FAST_MS


@check(
    "tail-3",
    2,
    15,
    "a get with R is as slow as the R-th fastest of the N; in how many requests is that within the limit?",
)
def tail_3(case: Case, largest_r: Callable[..., Any]) -> None:
    """The largest read quorum that keeps an agreed latency."""
    case.equal(case.ask(largest_r, [[1, 5, 9], [2, 4, 20]], 9, 1000), 2, "largest_r([[1, 5, 9], [2, 4, 20]], 9, 1000)")
    case.equal(case.ask(largest_r, [[3, 4], [3, 5]], 3, 1000), 1, "largest_r([[3, 4], [3, 5]], 3, 1000)")
    for _ in range(40):
        n = case.random.randint(1, 5)
        requests = [[case.random.randint(1, 30) for _ in range(n)] for _ in range(case.random.choice([1, 10, 100]))]
        slo, permille = case.random.randint(1, 30), case.random.choice([500, 900, 990, 1000])
        right = 0
        for r in range(1, n + 1):
            if sum(sorted(each)[r - 1] <= slo for each in requests) * 1000 >= permille * len(requests):
                right = r
        case.equal(
            case.ask(largest_r, requests, slo, permille), right, f"largest_r({shown(requests)}, {slo}, {permille})"
        )
