"""Checks of exercise 04: stand-ins, hints, and why R + W > N stops being a promise (paper 4.6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dynalab.check.recorder import Recorder
from dynalab.check.verdict import judge_run
from dynalab.core.config import Parts
from dynalab.core.errors import DynalabError
from dynalab.course.checking import Case, check, shown

__all__ = ["handoff_1", "handoff_2", "handoff_3"]


@check(
    "handoff-1", 1, 10, "the first n of the walk are the homes; each home that is down gets the next healthy node (4.6)"
)
def handoff_1(case: Case, stand_ins: Callable[..., Any]) -> None:
    """Who stands in for whom: each missing home gets the next healthy node behind the homes."""
    case.equal(case.ask(stand_ins, ["A", "B", "C", "D", "E"], 3, ["B"]), {"B": "D"}, "stand_ins(ABCDE, 3, ['B'])")
    for _ in range(40):
        walk = case.random.sample("ABCDEF", 6)
        n, down = case.random.randint(1, 4), case.random.sample(walk, case.random.randint(0, 4))
        healthy = [node for node in walk[n:] if node not in down]
        right = dict(zip([home for home in walk[:n] if home in down], healthy, strict=False))
        case.equal(case.ask(stand_ins, walk, n, down), right, f"stand_ins({walk}, {n}, {down})")


@check(
    "handoff-2",
    3,
    20,
    "the oldest hint whose home is up; None when there is none; a stand-in in the order given (4.6)",
    methods=("next_hint", "fallback"),
)
def handoff_2(case: Case, part: Any) -> None:
    """Which hint goes home next, and who stands in; then a cluster hands its hints over, and the oracle judges."""
    for _ in range(40):
        ages = case.random.sample(range(10_000), case.random.randint(0, 5))
        hints: list[dict[str, Any]] = [
            {"home": case.random.choice("ABCD"), "key": f"k{age}", "age_ms": age} for age in ages
        ]
        up = sorted(case.random.sample("ABCD", case.random.randint(0, 4)))
        due = [hint for hint in hints if hint["home"] in up]
        right = max(due, key=lambda hint: hint["age_ms"]) if due else None
        case.equal(case.ask(part.next_hint, hints, up, named="next_hint"), right, f"next_hint({shown(hints)}, {up})")
    candidates = case.random.sample("DEFG", 3)
    case.equal(
        case.ask(part.fallback, "A", candidates, named="fallback"), candidates[0], f"fallback('A', {candidates})"
    )
    _handed_over(case, part)
    _in_processes(case, part)


def _handed_over(case: Case, part: Any) -> None:
    tried = "a simulation of 5 nodes with your hand-off: a crash and a partition, then all is well again"
    with case.running(tried), case.simulation(5, Parts(handoff=part), anti_entropy_ms=0, read_repair=False) as cluster:
        recorder = Recorder(cluster)
        recorder.crash("B")
        for number in range(6):
            recorder.put(f"key-{number}", number)
        recorder.recover("B")
        recorder.partition("AB|CDE")
        recorder.client("alice", via="A").put("cart", "milk")
        recorder.client("bob", via="E").put("cart", "tea")
        recorder.heal()
        report = judge_run(recorder, trace=cluster.events)
        left = sum(len(cluster.inspect(node)["hints"]) for node in cluster.nodes)
        case.holds(report.ok and not left, tried, f"{left} hints left; {report.violations[:2]}", "every hint at home")


def _in_processes(case: Case, part: Any) -> None:
    tried = "a cluster of 4 nodes with your hand-off: A crashes, one put, A comes back"
    settings = {"n": 3, "r": 2, "w": 3, "handoff_ms": 50, "ping_ms": 50, "anti_entropy_ms": 0}
    with case.running(tried), case.cluster(4, Parts(handoff=part), replica_timeout_ms=100, **settings) as cluster:
        ack = cluster.put("cart", "milk", via="A")
        away = next(node for node in ack.nodes if node != ack.coordinator)
        cluster.crash(away)
        ack = cluster.put("cart", "tea", context=ack.context)
        case.holds(away in ack.hinted.values(), tried, f"no hint for {away}: {dict(ack.hinted)}", "a stand-in for it")
        cluster.recover(away)
        cluster.settle()
        hints = [hint for node in cluster.nodes for hint in cluster.inspect(node)["hints"]]
        case.equal(hints, [], f"{tried}; hints left after settle()")


KEYS = ("partition", "write_via", "read_via", "key")


@check(
    "handoff-3",
    2,
    15,
    "W stand-ins on one side, R nodes on the other: which quorums still overlap? (4.6, sloppy quorum)",
)
def handoff_3(case: Case, plan: Any) -> None:
    """A run where R + W > N, both requests succeed, and the get misses the put."""
    case.started(plan)
    tried = f"your plan {shown(plan)} on 5 nodes with N=3 R=2 W=2"
    good = type(plan) is dict and set(plan) == set(KEYS) and all(type(word) is str for word in plan.values())
    case.holds(good, tried, "a plan of another form", f"a dict with text for {', '.join(KEYS)}")
    with case.running(tried), case.simulation(5, n=3, r=2, w=2) as cluster:
        cluster.put(plan["key"], "old")
        cluster.settle()
        cluster.partition(plan["partition"])
        old = cluster.client("writer", via=plan["write_via"])
        old.get(plan["key"], r=1)
        try:
            old.put(plan["key"], "new")
            values = cluster.client("reader", via=plan["read_via"]).get(plan["key"]).values
        except DynalabError as error:
            raise case.failure(tried, f"{type(error).__name__}: {error}", "a put and a get that both succeed") from None
    case.equal(values, ["old"], f"{tried}: what the reader sees after 'new' was acknowledged")
