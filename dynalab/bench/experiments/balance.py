"""Experiment 6: how evenly the three strategies of section 6.2 share the load, and what a join moves."""

from __future__ import annotations

from statistics import mean, stdev

from dynalab.bench.experiments.frame import Experiment, Findings, Row, Run
from dynalab.core.owners import give_back, share_out, steal
from dynalab.core.ring import RING_SIZE, Ring
from dynalab.views import draw_bars, draw_lines

NODES = 30
REPLICAS = 3
ENTRIES_PER_NODE = (1, 10, 100, 1000)


def run(run: Run) -> Findings:
    """Efficiency by tokens and by metadata size; keys moved by a join and a leave."""
    findings = Findings()
    entries = ENTRIES_PER_NODE[: run.pick(2, 3, 4)]
    for per_node in run.each(entries, lambda count: f"{count} entries for each of {NODES} nodes"):
        for strategy in (1, 2, 3):
            findings.table("efficiency").append(_measured(strategy, per_node, _seeds(run, per_node, strategy)))
    findings.tables["moved"] = [_moved(strategy, change) for strategy in (1, 2, 3) for change in ("join", "leave")]
    _anchor(run, findings)
    _judge(findings)
    _draw(findings)
    return findings


def _seeds(run: Run, per_node: int, strategy: int) -> range:
    rings = run.pick(3, 12, 40) if per_node <= 100 else 5
    return range(run.seed, run.seed + (1 if strategy == 3 else rings))


def _ring(strategy: int, per_node: int, seed: int, nodes: int = NODES) -> Ring:
    """A ring whose metadata has about `per_node` entries for each node.

    Strategy 2 has its random tokens, one tenth of the entries, and its key ranges, Q >> S * T, the others.
    """
    names = [f"n{number}" for number in range(nodes)]
    if strategy == 1:
        return Ring.of(names, per_node, seed)
    if strategy == 2:
        tokens = max(1, per_node // 10)
        return Ring.of_partitions(names, tokens, max(nodes, (per_node - tokens) * NODES), seed)
    return Ring.even(share_out(names, per_node * NODES))


def _efficiency(ring: Ring, replicas: int) -> float:
    """Average load over the largest load of a node, 1 is best (6.2)."""
    shares = ring.share(replicas)
    return replicas / NODES / max(shares.values())


def _measured(strategy: int, per_node: int, seeds: range) -> Row:
    rings = [_ring(strategy, per_node, seed) for seed in seeds]
    coordinators = [_efficiency(ring, 1) for ring in rings]
    replicas = [_efficiency(ring, REPLICAS) for ring in rings]
    return {
        "strategy": strategy,
        "entries_per_node": per_node,
        "entries": len(rings[0].tokens) + (len(rings[0].ranges) if strategy == 2 else 0),
        "efficiency_coordinators": mean(coordinators),
        "efficiency_replicas": mean(replicas),
        "spread": stdev(replicas) if len(replicas) > 1 else 0.0,
        "rings": len(rings),
    }


def _anchor(run: Run, findings: Findings) -> None:
    """One random token each: the largest of S random arcs is H(S) / S of the circle on average."""
    rings = run.pick(300, 1_500, 6_000)
    ratios = [NODES * max(Ring.of(list(map(str, range(NODES))), 1, seed).share().values()) for seed in range(rings)]
    expected = sum(1 / number for number in range(1, NODES + 1))
    error = stdev(ratios) / rings**0.5
    findings.claim(
        f"With one random token each, the busiest of {NODES} nodes has on average H({NODES}) = {expected:.3f} shares",
        f"{mean(ratios):.3f} shares, standard error {error:.3f}, over {rings} rings",
        abs(mean(ratios) - expected) <= 5 * error,
    )


def _moved(strategy: int, change: str) -> Row:
    """The share of the ring that gets a new coordinator, and how much of that does not concern the node itself."""
    before, after = _before_and_after(strategy, change)
    subject = f"n{NODES}"
    ends = sorted({end for ring in (before, after) for end in (each.end for each in ring.ranges)})
    moved = strange = 0
    for start, end in zip([ends[-1] - RING_SIZE, *ends[:-1]], ends, strict=True):
        old, new = before.preference_list_at(end, 1)[0], after.preference_list_at(end, 1)[0]
        moved += (end - start) * (old != new)
        strange += (end - start) * (old != new and subject not in (old, new))
    return {
        "strategy": strategy,
        "change": change,
        "moved": moved / RING_SIZE,
        "least": 1 / (NODES + 1),
        "moved_between_others": strange / RING_SIZE,
    }


def _before_and_after(strategy: int, change: str) -> tuple[Ring, Ring]:
    without, with_it = _ring(strategy, 100, 0), _ring(strategy, 100, 0, NODES + 1)
    if strategy == 3:
        owners = share_out([f"n{number}" for number in range(NODES)], 100 * NODES)
        joined = steal(owners, f"n{NODES}")
        without, with_it = Ring.even(owners), Ring.even(joined)
        if change == "leave":
            without = Ring.even(give_back(joined, f"n{NODES}"))
    return (without, with_it) if change == "join" else (with_it, without)


def _judge(findings: Findings) -> None:
    rows = {(row["strategy"], row["entries_per_node"]): row for row in findings.tables["efficiency"]}
    largest = max(per_node for _, per_node in rows)
    third = [rows[3, largest], rows[1, largest]]
    findings.claim(
        "Strategy 3 shares coordination exactly, at any size of its metadata",
        ", ".join(f"{rows[3, n]['efficiency_coordinators']:.3f} with {n}" for s, n in rows if s == 3),
        all(row["efficiency_coordinators"] == 1 for (strategy, _), row in rows.items() if strategy == 3),
    )
    findings.claim(
        f"At equal metadata ({largest} entries for each node) strategy 3 is best",
        "; ".join(f"strategy {s}: {rows[s, largest]['efficiency_replicas']:.3f}" for s in (1, 2, 3)),
        third[0]["efficiency_replicas"] >= max(rows[s, largest]["efficiency_replicas"] for s in (1, 2)),
    )
    growth = [rows[1, n]["efficiency_replicas"] for s, n in rows if s == 1]
    findings.claim(
        "More tokens make strategy 1 more even",
        " < ".join(f"{efficiency:.3f}" for efficiency in growth),
        growth == sorted(growth) and growth[0] < growth[-1],
    )
    findings.result = (
        f"With {largest} metadata entries for each node, the mean load of {NODES} nodes is "
        f"{rows[3, largest]['efficiency_replicas']:.1%} of the largest with strategy 3, "
        f"{rows[1, largest]['efficiency_replicas']:.1%} with strategy 1."
    )
    strange = max(row["moved_between_others"] for row in findings.tables["moved"])
    findings.claim(
        "A join or a leave moves no key between other nodes, with any strategy",
        f"at most {strange:.2%} of the ring moved between others",
        strange == 0,
    )


def _draw(findings: Findings) -> None:
    lines = {
        f"strategy {strategy}": [
            (row["entries_per_node"], row["efficiency_replicas"])
            for row in findings.tables["efficiency"]
            if row["strategy"] == strategy
        ]
        for strategy in (1, 2, 3)
    }
    figure = draw_lines(
        lines, "Equal ranges share the load best", "metadata entries per node", "mean load / largest load", log_x=True
    )
    says = (
        f"Load balancing efficiency of {NODES} nodes, N={REPLICAS}, uniform load on all replicas; 1 is perfect (6.2)."
    )
    findings.show("efficiency", figure, says)
    bars = {
        change: {
            f"strategy {row['strategy']}": 100 * row["moved"]
            for row in findings.tables["moved"]
            if row["change"] == change
        }
        for change in ("join", "leave")
    }
    figure = draw_bars(
        bars,
        "A join or a leave moves one fair share, whatever the strategy",
        "how keys are placed (6.2)",
        "% of the ring with a new coordinator",
        level=(100 / (NODES + 1), "its fair share"),
    )
    findings.show("moved", figure, "A joining node takes about its fair share, a leaving one gives that back (6.2).")


EXPERIMENT = Experiment(
    6,
    "balance",
    "Load balance of the three strategies",
    "calculation",
    "Section 6.2 compares three ways to place keys. How evenly do they load 30 nodes for the same amount of metadata, "
    "and which share of the keys moves when a node joins or leaves?",
    run,
)
