"""Experiment 7: what different clocks lose and keep, and what the last writer wins when clocks are wrong."""

from __future__ import annotations

from typing import Any

from dynalab.bench.experiments.frame import Experiment, Findings, Row, Run
from dynalab.core.clock import Context
from dynalab.core.version import Siblings
from dynalab.sim.cluster import Simulation
from dynalab.views import draw_bars, draw_lines

SKEWS_MS = (0, 20, 50, 100, 200, 500)
GAP_MS = 100
"""The second write begins 1 to so many milliseconds after the first."""


def run(run: Run) -> Findings:
    """Acknowledged writes lost, siblings over time, and last writer wins under skew."""
    findings = Findings()
    run.told(0.0, "two writers with one context")
    for clocks in ("dotted", "vector"):
        findings.table("lost").append(_lost(run, clocks))
    run.told(0.3, "two clients take turns")
    findings.tables["siblings"] = _siblings(run)
    run.told(0.5, "wrong wall clocks")
    skews = SKEWS_MS[:: run.pick(5, 1, 1)]
    findings.tables["skew"] = [_skewed(run, skew, rule) for rule in ("last_writer_wins", "") for skew in skews]
    _judge(findings)
    _draw(findings)
    run.told(1.0, "done")
    return findings


def _lost(run: Run, clocks: str) -> Row:
    """Pairs of clients that read the same state and write through the same node; who is still there?"""
    keys = run.pick(30, 300, 2_000)
    acknowledged = lost = 0
    with Simulation(3, seed=run.seed, clocks=clocks, trace=False) as simulation:
        ann, bob = simulation.client("ann"), simulation.client("bob")
        for number in range(keys):
            key, via = f"k{number}", run.random.choice(simulation.nodes)
            ann.put(key, "first", via=via)
            seen = ann.get(key, r=3).context
            for client, value in ((ann, "ann"), (bob, "bob")):
                client.put(key, value, context=seen, via=via)
                acknowledged += 1
            simulation.run(ms=5)
            lost += 2 - len(set(simulation.client().get(key, r=3).values) & {"ann", "bob"})
    return {"clocks": clocks, "acknowledged": acknowledged, "lost": lost, "share": lost / acknowledged}


def _siblings(run: Run) -> list[Row]:
    """Two clients take turns on one key through one node; each writes with what its own last answer told it.

    One merged vector for the whole key, as a third reading of the paper, cannot tell which values it covers.
    """
    turns = run.pick(12, 40, 100)
    exact, merged = Siblings(), _MergedVector()
    seen: dict[str, tuple[Context | None, int]] = {"ann": (None, 0), "bob": (None, 0)}
    rows = []
    for turn in range(turns):
        client = ("ann", "bob")[turn % 2]
        context, version = seen[client]
        exact = exact.put("A", b"%d" % turn, context)
        merged.put(b"%d" % turn, version)
        seen[client] = (exact.context, merged.version)
        rows.append({"writes": turn + 1, "dotted": len(exact.values), "one vector per key": len(merged.values)})
    return rows


class _MergedVector:
    """One counter for all siblings of a key: a write that has not seen the newest state is kept beside all of it."""

    def __init__(self) -> None:
        self.version = 0
        self.values: list[bytes] = []

    def put(self, value: bytes, seen: int) -> None:
        """Replace everything when nothing newer is here; otherwise nothing can be replaced."""
        self.values = [value] if seen >= self.version else [*self.values, value]
        self.version += 1


def _skewed(run: Run, skew_ms: int, rule: str) -> Row:
    """A blind write through a node whose wall clock is ahead, then a later one elsewhere: is the later one read?"""
    pairs = run.pick(40, 200, 1_000)
    kept = 0
    settings: dict[str, Any] = {"mergers": {"": rule}} if rule else {}
    with Simulation(3, seed=run.seed, trace=False, anti_entropy_ms=0, **settings) as simulation:
        simulation.skew("A", skew_ms)
        for number in range(pairs):
            key = f"k{number}"
            simulation.client().put(key, "earlier", context=None, via="A")
            simulation.run(ms=run.random.uniform(1, GAP_MS))
            simulation.client().put(key, "later", context=None, via="B")
            kept += "later" in simulation.client().get(key, r=3).values
    lost = pairs - kept
    return {"rule": rule or "siblings", "skew_ms": skew_ms, "pairs": pairs, "lost": lost, "share": lost / pairs}


def _judge(findings: Findings) -> None:
    lost = {row["clocks"]: row for row in findings.tables["lost"]}
    findings.claim(
        "Dotted clocks lose no acknowledged write",
        f"{lost['dotted']['lost']} of {lost['dotted']['acknowledged']} lost",
        lost["dotted"]["lost"] == 0,
    )
    findings.claim(
        "The paper's clocks to the letter lose one of two such writes (4.4)",
        f"{lost['vector']['lost']} of {lost['vector']['acknowledged']} lost",
        lost["vector"]["share"] == 0.5,
    )
    last = findings.tables["siblings"][-1]
    findings.claim(
        "Dotted clocks keep as many siblings as there are writers; one vector per key keeps every write",
        f"after {last['writes']} writes by two clients: {last['dotted']} and {last['one vector per key']} siblings",
        last["dotted"] == 2 and last["one vector per key"] == last["writes"],
    )
    winner = [row["share"] for row in findings.tables["skew"] if row["rule"] == "last_writer_wins"]
    findings.claim(
        "The last writer wins only while clocks agree: skew beyond the gap between writes loses them all",
        ", ".join(f"{row['share']:.0%} at {row['skew_ms']} ms" for row in findings.tables["skew"][: len(winner)]),
        winner[0] <= 0.05 and winner[-1] == 1 and winner == sorted(winner),
    )
    findings.claim(
        "Siblings lose nothing under any skew",
        f"{sum(row['lost'] for row in findings.tables['skew'] if row['rule'] == 'siblings')} lost",
        all(row["lost"] == 0 for row in findings.tables["skew"] if row["rule"] == "siblings"),
    )


def _draw(findings: Findings) -> None:
    bars = {"lost": {f"{row['clocks']} clocks": 100 * row["share"] for row in findings.tables["lost"]}}
    literal, dotted = (
        next(row for row in findings.tables["lost"] if row["clocks"] == clocks) for clocks in ("vector", "dotted")
    )
    title = f"Two writes with one context: to the letter, {literal['share']:.0%} are lost"
    findings.result = (
        f"Of acknowledged writes with one context the paper's clocks to the letter lose {literal['share']:.0%}, "
        f"dotted clocks {dotted['share']:.0%}."
    )
    figure = draw_bars(bars, title, "reading of section 4.4", "% of writes lost")
    says = (
        "Two clients read the same version and write through the same node: (A, 2) twice is one version to the letter."
    )
    findings.show("lost", figure, says)
    rows = findings.tables["siblings"]
    lines = {name: [(row["writes"], row[name]) for row in rows] for name in ("one vector per key", "dotted")}
    figure = draw_lines(lines, "Two writers, two siblings: only dots can tell", "writes so far", "siblings kept")
    findings.show(
        "siblings", figure, "Sibling explosion: a vector for the whole key cannot say which values it covers."
    )
    by_rule = {
        rule: [(row["skew_ms"], 100 * row["share"]) for row in findings.tables["skew"] if row["rule"] == rule]
        for rule in ("last_writer_wins", "siblings")
    }
    figure = draw_lines(
        by_rule, "A clock that is ahead wins; siblings lose nothing", "skew of one node, ms", "% of later writes lost"
    )
    says = f"Two writes 1 to {GAP_MS} ms apart through two nodes; one node's wall clock is ahead. The first one wins."
    findings.show("skew", figure, says)


EXPERIMENT = Experiment(
    7,
    "versions",
    "What clocks lose and keep",
    "simulation",
    "Section 4.4 tells versions apart by vector clocks. To the letter, two clients with the same context at the same "
    "node make one version; how many acknowledged writes does that lose? How many siblings pile up? "
    "And what is lost when the last writer wins by wall clocks that are wrong?",
    run,
)
