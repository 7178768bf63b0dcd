"""Experiment 3: how stale reads are, predicted, simulated and measured on processes (PBS)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random
from typing import Any

from dynalab.bench.experiments.frame import Experiment, Findings, Row, Run, standard_error
from dynalab.check.staleness import FITS, Even, Fit, p_stale, wars
from dynalab.core.clock import Context
from dynalab.live.cluster import Cluster
from dynalab.sim.cluster import Simulation
from dynalab.views import draw_lines

TIMES_MS = (0.0, 0.2, 0.5, 1, 2, 5, 10, 20, 40, 60, 75, 80, 90, 120, 200, 500)
QUORUMS = ((3, 1, 1), (3, 1, 2), (3, 2, 1), (3, 2, 2), (5, 1, 1), (5, 2, 2), (5, 3, 3))
ALONE: dict[str, Any] = {
    "read_repair": False,
    "hints": False,
    "anti_entropy_ms": 0,
    "gossip_ms": 0,
    "handoff_ms": 0,
    "trace": False,
    "storage": "memory",
    "durability": "memory",
    "timeout_ms": 20_000,
}
"""No repair and no stand-ins: what the model knows of."""
SLOW = Even(0, 40)
"""Milliseconds on every link between two nodes of the live cluster: large against the loopback's own."""


def run(run: Run) -> Findings:
    """Predicted for four production systems; measured against the prediction in both worlds; k versions behind."""
    findings = Findings()
    run.told(0.0, "predicting four systems")
    _predict(run, findings)
    run.told(0.15, "simulating")
    findings.tables["simulated"] = [_simulated(run, n, r, w) for n, r, w in QUORUMS[: run.pick(3, 7, 7)]]
    run.told(0.35, "versions behind, simulated")
    findings.tables["versions"] = list(_versions_behind(run))
    run.told(0.55, "five processes with slow links")
    findings.tables["live"] = list(_live(run))
    _judge(findings)
    _draw(findings)
    run.told(1.0, "done")
    return findings


def _predict(run: Run, findings: Findings) -> None:
    trials = run.pick(20_000, 200_000, 1_000_000)
    for name in FITS:
        for r, w in ((1, 1), (1, 2), (2, 1), (2, 2)):
            seen = wars(name, r=r, w=w, trials=trials, seed=run.seed)
            findings.table("latencies").append(
                {
                    "fit": name,
                    "r": r,
                    "w": w,
                    "read_p99_9_ms": seen.read_ms(0.999),
                    "write_p99_9_ms": seen.write_ms(0.999),
                }
                | {"t_visibility_99_9_ms": seen.visible_ms(0.999), "p_consistent_at_0": seen.p_consistent}
            )
            if (r, w) == (1, 1):
                curve = [{"fit": name, "t_ms": t, "p_consistent": seen.p_at(t)} for t in TIMES_MS]
                findings.table("predicted").extend(curve)


def _compared(measured: int, trials: int, predicted: float, **where: Any) -> Row:
    """One row: measured beside predicted, and the distance in standard errors."""
    share = measured / trials
    error = standard_error(predicted, trials)
    return {**where, "trials": trials, "measured": share, "predicted": predicted, "errors": (share - predicted) / error}


def _simulated(run: Run, n: int, r: int, w: int) -> Row:
    """Writes by one home, reads by another or the same one, as soon as the acknowledgement is there."""
    trials = run.pick(150, 800, 4_000)
    leg = Even(0.5, 8)
    quiet: dict[str, Any] = {"ping_ms": 0, "replica_timeout_ms": 1_000}
    with Simulation(n, seed=run.seed, n=n, r=r, w=w, latency_ms=(leg.low, leg.high), **ALONE, **quiet) as simulation:
        client = simulation.client("reader")
        fresh = sum(_is_fresh(simulation, client, f"k{number}", run.random) for number in range(trials))
    predicted = wars(Fit(leg, leg, inside=True, client=leg), n, r, w, trials=100_000, seed=run.seed).p_consistent
    return _compared(fresh, trials, predicted, n=n, r=r, w=w)


def _is_fresh(cluster: Any, client: Any, key: str, random: Random) -> bool:
    client.put(key, 1, via=random.choice(cluster.nodes))
    return bool(client.get(key, via=random.choice(cluster.nodes)).found)


def _versions_behind(run: Run) -> Iterator[Row]:
    """Writes and reads on random quorums, with the network cut around each: nothing spreads."""
    trials = run.pick(100, 500, 2_000)
    for r, w in ((1, 1), (1, 2), (2, 1)):
        with Simulation(3, seed=run.seed, n=3, r=1, w=1, strict=True, ping_ms=0, **ALONE) as simulation:
            behind = [_behind(simulation, f"k{number}", r, w, run.random) for number in range(trials)]
        for k in range(1, 6):
            within = sum(versions < k for versions in behind)
            yield _compared(within, trials, 1 - p_stale(3, r, w, k), r=r, w=w, k=k)


def _behind(simulation: Simulation, key: str, r: int, w: int, random: Random, writes: int = 8) -> int:
    """How many versions old a read is, of `writes` that were acknowledged one after the other."""
    client = simulation.client()
    for number in range(writes):
        client.put(key, number, w=w, via=_cut_off(simulation, w, random))
    values = client.get(key, r=r, via=_cut_off(simulation, r, random)).values
    simulation.heal()
    return writes - 1 - max(values, default=-1)


def _cut_off(simulation: Simulation, size: int, random: Random) -> str:
    """Cut a random quorum off from the others; one of its nodes."""
    simulation.heal()
    quorum = random.sample(simulation.nodes, size)
    simulation.partition(quorum, [node for node in simulation.nodes if node not in quorum])
    return quorum[0]


def _live(run: Run) -> Iterator[Row]:
    """The same question to real processes, whose links take 0 to 40 ms."""
    trials = run.pick(40, 150, 600)
    with Cluster(3, name="staleness", n=3, r=1, w=1, ping_ms=0, replica_timeout_ms=1_000, **ALONE) as cluster:
        for a, b in (("A", "B"), ("A", "C"), ("B", "C")):
            cluster.link(a, b, delay_ms=tuple(SLOW), both_ways=True)
        for r, w in ((1, 1), (1, 2), (2, 1), (2, 2)):
            fresh = _live_fresh(cluster, run, r, w, trials)
            predicted = wars(Fit(SLOW, SLOW, inside=True), 3, r, w, trials=100_000, seed=run.seed).p_consistent
            yield _compared(fresh, trials, predicted, r=r, w=w)


def _live_fresh(cluster: Cluster, run: Run, r: int, w: int, trials: int) -> int:
    """Many independent pairs at a time: each read begins when its own write is acknowledged."""
    client = cluster.client(f"r{r}w{w}")
    reads: list[Any] = []

    def then_read(key: str, via: str) -> Any:
        return lambda _: reads.append(client.submit_get(key, r=r, via=via))

    writes = []
    for number in range(trials):
        key = f"r{r}w{w}-{number}"
        writes.append(client.submit_put(key, 1, context=Context.EMPTY, w=w, via=run.random.choice(cluster.nodes)))
        writes[-1].add_done_callback(then_read(key, run.random.choice(cluster.nodes)))
        if number % 10 == 9:  # Few enough at a time that nobody waits for the processor.
            writes[-1].result()
    for write in writes:
        write.result()
    cluster.get("a last request, so that every callback has run")
    return sum(read.result().found for read in reads)


def _judge(findings: Findings) -> None:
    simulated, live, versions = (findings.tables[name] for name in ("simulated", "live", "versions"))
    findings.claim(
        "The simulation agrees with the prediction for every N, R, W",
        f"the largest distance is {max(abs(row['errors']) for row in simulated):.1f} standard errors",
        all(abs(row["errors"]) <= 4.5 for row in simulated),
    )
    findings.claim(
        "Reads are k versions behind as often as the closed form says",
        f"the largest distance is {max(abs(row['errors']) for row in versions):.1f} standard errors",
        all(abs(row["errors"]) <= 4.5 for row in versions),
    )
    overlapping = [row for row in (*simulated, *live) if row["r"] + row["w"] > row.get("n", 3)]
    findings.claim(
        "With R + W > N and no failure no read is stale, in either world",
        f"{sum(row['trials'] for row in overlapping)} reads, "
        f"fresh: {min((row['measured'] for row in overlapping), default=1):.0%}",
        all(row["measured"] == 1 for row in overlapping),
    )
    partial = {(row["r"], row["w"]): row["measured"] for row in live}
    findings.claim(
        "On processes partial quorums are stale, and the larger one less often",
        f"fresh with R=1, W=1: {partial[1, 1]:.2f}; R=2, W=1: {partial[2, 1]:.2f}; R=1, W=2: {partial[1, 2]:.2f}",
        partial[1, 1] < 1 and partial[1, 1] < min(partial[2, 1], partial[1, 2]) + 0.05,
    )


def _draw(findings: Findings) -> None:
    curves: dict[str, list[tuple[float, float]]] = {}
    for row in findings.tables["predicted"]:
        curves.setdefault(row["fit"], []).append((max(row["t_ms"], 0.1), row["p_consistent"]))
    soon = {fit: next((ms for ms, share in points if share >= 0.99), math.inf) for fit, points in curves.items()}
    title = f"R = W = 1: 99 % fresh after {soon['SSD']:g} ms on SSD, {soon['WAN']:g} ms on WAN"
    figure = draw_lines(curves, title, "ms after the acknowledgement", "P(read is fresh)", log_x=True)
    says = (
        "Predicted for four production systems (N=3): solid-state disks, disks, a second company's, and a continent. "
        "The leftmost point is t = 0."
    )
    findings.show("predicted", figure, says)
    apart = max(abs(row["errors"]) for row in findings.tables["simulated"])
    findings.result = (
        f"Staleness can be predicted: over {len(findings.tables['simulated'])} settings of N, R and W the simulation "
        f"differs from it by at most {apart:.1f} standard errors."
    )
    pairs = [("simulation", row) for row in findings.tables["simulated"]]
    pairs += [("processes", row) for row in findings.tables["live"]]
    pairs += [("k versions", row) for row in findings.tables["versions"]]
    findings.show(
        "measured",
        _against(pairs),
        "Each mark is one setting of N, R and W (or k): on the line, the measurement is what the model predicts. "
        "Processes lie above it where the machine adds time between acknowledgement and read.",
    )


def _against(pairs: list[tuple[str, Row]]) -> Any:
    """Measured over predicted, with the line of perfect agreement."""
    from dynalab.views.colours import FAINT, INK, MARKERS, PALETTE
    from dynalab.views.picture import figure_of

    figure = draw_lines(
        {"as predicted": [(0.2, 0.2), (1, 1)]},
        "What is measured is what was predicted",
        "predicted P(fresh)",
        "measured P(fresh)",
    )
    (ax,) = figure.axes
    ax.lines[0].set(color=FAINT, marker="", linewidth=1.4)
    for number, name in enumerate(dict.fromkeys(name for name, _ in pairs)):
        points = [(row["predicted"], row["measured"]) for each, row in pairs if each == name]
        style: dict[str, Any] = {"marker": MARKERS[number], "color": PALETTE[number], "edgecolors": INK, "s": 70}
        ax.scatter(*zip(*points, strict=True), label=name, zorder=3, **style)
    ax.legend(loc="lower right", fontsize=12)
    said = [f"{name} {row['measured']:.3f} for {row['predicted']:.3f}" for name, row in pairs]
    return figure_of(ax, "Measured for predicted: " + "; ".join(said) + ".")


EXPERIMENT = Experiment(
    3,
    "staleness",
    "Staleness: predicted, simulated, measured",
    "calculation, simulation and live",
    "A read of a partial quorum may miss the last write. The WARS model predicts how often from the delays alone: "
    "for four systems in production, and then against what our nodes really do, N, R and W varied. "
    "How many versions behind a read is follows from counting quorums.",
    run,
)
