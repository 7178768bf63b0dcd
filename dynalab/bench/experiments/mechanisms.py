"""Experiment 8: what buffered writes, direct requests, admission control, read repair and hints each buy."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

from dynalab.bench.experiments.frame import Experiment, Findings, Row, Run, quantile
from dynalab.bench.load import VALUE, Ranks, filling, key_of, written
from dynalab.core.errors import DynalabError
from dynalab.core.session import Got
from dynalab.live.cluster import Cluster
from dynalab.sim.cluster import Simulation
from dynalab.views import draw_bars

LIVE: dict[str, Any] = {"n": 3, "r": 2, "w": 2, "trace": False}
LOOKS = 500
BATCHES_MAX = 100
HEALING: dict[str, Any] = {"trace": False, "anti_entropy_ms": 0, "storage": "memory", "durability": "memory"}


def run(run: Run) -> Findings:
    """Four pairs of settings, each with everything else equal."""
    findings = Findings()
    steps: list[tuple[str, Callable[[Run, Findings], None]]] = [
        ("durable, buffered and memory (6.1)", _durability),
        ("who coordinates (6.4)", _coordination),
        ("admission control (6.5)", _admission),
        ("read repair and hints (4.6, 5)", _healing),
    ]
    for _, measure in run.each(steps, lambda step: step[0]):
        measure(run, findings)
    return findings


# Durability --------------------------------------------------------------------------------------


def _durability(run: Run, findings: Findings) -> None:
    for mode, storage in (("durable", "log"), ("buffered", "log"), ("memory", "memory")):
        with Cluster(3, name="mechanisms", storage=storage, durability=mode, **LIVE) as cluster:
            client = cluster.client()
            client.many(filling(200), 16)
            before = _syncs(cluster)
            requests = run.pick(80, 400, 3_000)
            acks = client.many((written(key_of(number)) for number in range(requests)), 1)
            latencies = [ack.latency_ms for ack in acks if not isinstance(ack, DynalabError)]
            syncs = (_syncs(cluster) - before) / requests / 3 if mode == "durable" else 0.0
            p50_ms, p99_ms = quantile(latencies, 0.5), quantile(latencies, 0.99)
        findings.table("durability").append(
            {
                "durability": mode,
                "puts": len(latencies),
                "p50_ms": p50_ms,
                "p99_ms": p99_ms,
                "syncs_per_put_and_node": syncs,
            }
        )
    durable, buffered, memory = findings.tables["durability"]
    findings.claim(
        "A durable acknowledgement waits for a sync on every replica; a buffered one for none (6.1)",
        f"{durable['syncs_per_put_and_node']:.2f} syncs for each put and node, durable; a durable put takes "
        f"{durable['p50_ms'] / buffered['p50_ms']:.2f} times a buffered one, "
        f"and a buffered {buffered['p50_ms'] / memory['p50_ms']:.2f} "
        "times one in memory, on this machine's disk",
        durable["syncs_per_put_and_node"] > 0.5,
    )
    bars = {
        words: {row["durability"]: row[column] for row in findings.tables["durability"]}
        for words, column in (("median", "p50_ms"), ("p99", "p99_ms"))
    }
    longer = durable["p50_ms"] / buffered["p50_ms"]
    title = f"Waiting for the disk takes {longer:.1f} times as long"
    figure = draw_bars(bars, title, "durability", "ms for a put, one at a time")
    findings.show(
        "durability", figure, "The paper's write buffer trades durability for its tail (6.1). This machine, this disk."
    )


def _syncs(cluster: Cluster) -> int:
    nodes = cluster.metrics()["nodes"].values()
    return sum(node["transport"].get("syncs", {}).get("count", 0) for node in nodes)


# Coordination ------------------------------------------------------------------------------------


def _coordination(run: Run, findings: Findings) -> None:
    """A client that knows the ring against one that asks any node: in messages, in hops and in time."""
    requests = run.pick(60, 400, 3_000)
    for world, start in (("simulation", _simulated), ("live", _processes)):
        with start(run) as cluster:
            client = cluster.client()
            client.many(filling(requests), 16)
            for kind, driven in product(("put", "get"), ("client-driven", "server-driven")):
                ends = client.many(_asked(run, cluster, kind, driven, requests), 1)
                latencies = [end.latency_ms for end in ends if not isinstance(end, DynalabError)]
                findings.table("coordination").append(
                    {"world": world, "kind": kind, "driven": driven, "requests": len(latencies)}
                    | {"mean_ms": sum(latencies) / len(latencies), "p99_ms": quantile(latencies, 0.99)}
                )
    ratios = {
        (row["world"], row["kind"]): row["mean_ms"] / other["mean_ms"]
        for other, row in zip(findings.tables["coordination"][::2], findings.tables["coordination"][1::2], strict=True)
    }
    findings.claim(
        "Asking a home directly saves the way there (6.4)",
        "; ".join(
            f"{kind}, {world}: server-driven takes {ratio:.2f} times as long" for (world, kind), ratio in ratios.items()
        ),
        all(ratio > 1.1 for (world, _), ratio in ratios.items() if world == "simulation"),
    )
    bars = {
        driven: {
            f"{row['kind']}, {row['world']}": row["mean_ms"]
            for row in findings.tables["coordination"]
            if row["driven"] == driven
        }
        for driven in ("client-driven", "server-driven")
    }
    saved = 1 - 2 / (ratios["simulation", "put"] + ratios["simulation", "get"])
    title = f"A client that asks a home directly saves {saved:.0%} (simulation)"
    figure = draw_bars(bars, title, "request, world", "mean latency, ms")
    says = "Five nodes: two of five random nodes are no home of the key, and forward. "
    says += "In the simulation a hop takes 0.2 to 1 ms; live times are of this machine."
    findings.show("coordination", figure, says)


def _simulated(run: Run) -> Simulation:
    return Simulation(5, seed=run.seed, trace=False)


def _processes(_: Run) -> Cluster:
    return Cluster(5, name="mechanisms", storage="memory", durability="memory", **LIVE)


def _asked(run: Run, cluster: Any, kind: str, driven: str, requests: int) -> list[Any]:
    operations = []
    for number in range(requests):
        options = {} if driven == "client-driven" else {"via": run.random.choice(cluster.nodes)}
        key = key_of(number)
        operations.append(("put", key, VALUE, options) if kind == "put" else ("get", key, options))
    return operations


# Admission ---------------------------------------------------------------------------------------


def _admission(run: Run, findings: Findings) -> None:
    """Hints flow back while clients ask; with a limit just above what clients see, the flow is held back."""
    batches = 0
    for mode, slo_ms in (("off", 600_000), ("on", 1)):
        row: Row = {"admission": mode, "slo_ms": slo_ms} | _handed_over(run, slo_ms, batches)
        findings.table("admission").append(row)
        batches = row["batches"]
    off, on = findings.tables["admission"]
    findings.claim(
        "Admission control holds background work back while clients are slow, and only then (6.5)",
        f"on: held back {on['held_back']} times, {on['handed_over_at_once']} hints during {on['reads']} reads; "
        f"off: {off['held_back']} times, {off['handed_over_at_once']} hints",
        on["held_back"] > 0 == off["held_back"] and on["handed_over_at_once"] <= off["handed_over_at_once"],
    )
    bars = {"hints": {f"admission {row['admission']}": row["handed_over_at_once"] for row in (off, on)}}
    figure = draw_bars(
        bars,
        "Admission control: hints wait while clients are slow",
        "what holds background work back",
        "hints in the same time",
    )
    says = "The same hints wait for a node that comes back under load; with admission on they flow in slices (6.5)."
    findings.show("admission", figure, says)


def _handed_over(run: Run, slo_ms: int, batches: int) -> Row:
    """How many hints go home while clients ask: in so many batches of reads, or, with 0, until all have gone."""
    hints, requests = run.pick(200, 1_500, 5_000), run.pick(75, 500, 2_500)
    settings = LIVE | {"storage": "memory", "durability": "memory", "slo_ms": slo_ms, "anti_entropy_ms": 0}
    latencies: list[float] = []
    with Cluster(3, name="mechanisms", handoff_ms=50, **settings) as cluster:
        client = cluster.client()
        cluster.crash("C")
        client.many(filling(hints), 32)
        for _ in range(LOOKS):  # A write is acknowledged before its last home is given up, so hints come later.
            if _counted(cluster, "hints") >= hints:
                break
        left = kept = _counted(cluster, "hints")
        cluster.recover("C")
        asked = 0
        while asked < (batches or BATCHES_MAX) and (batches or left):
            asked += 1
            reads = client.many((("get", key_of(number % hints), {"via": "A"}) for number in range(requests)), 32)
            latencies += [got.latency_ms for got in reads if not isinstance(got, DynalabError)]
            left = _counted(cluster, "hints")
        held_back = cluster.metrics()["counters"].get("background_throttled", 0)
    return {
        "hints": kept,
        "reads": asked * requests,
        "batches": asked,
        "handed_over_at_once": kept - left,
        "held_back": held_back,
        "p99_ms": quantile(latencies, 0.99),
    }


def _counted(cluster: Cluster, what: str) -> int:
    return sum(node[what] for node in cluster.metrics()["nodes"].values())


# Healing -----------------------------------------------------------------------------------------


def _healing(run: Run, findings: Findings) -> None:
    """A node is away while everything is written again; then clients read from it. How much of that is stale?"""
    for read_repair in (False, True):
        for hints in (False, True):
            findings.table("healing").append(_stale_reads(run, read_repair, hints))
    shares = {(row["read_repair"], row["hints"]): row["stale_share"] for row in findings.tables["healing"]}
    findings.claim(
        "Hints leave nothing stale after an outage; read repair heals what is read; without both all stays stale",
        f"stale reads: neither {shares[False, False]:.0%}, read repair {shares[True, False]:.0%}, "
        f"hints {shares[False, True]:.0%}, both {shares[True, True]:.0%}",
        shares[False, True] == 0 == shares[True, True] and shares[True, False] < 0.9 * shares[False, False],
    )
    bars = {"stale": {_named(row): 100 * row["stale_share"] for row in findings.tables["healing"]}}
    findings.result = (
        "Of the reads through a node that was away "
        f"{shares[False, False]:.0%} are stale with neither hints nor read repair, {shares[True, False]:.0%} with read "
        f"repair, {shares[False, True]:.0%} with hints."
    )
    title = f"Stale reads: hints {shares[False, True]:.0%}, read repair {shares[True, False]:.0%}"
    figure = draw_bars(bars, title, "what is on", "% of reads (R=1)")
    findings.show("healing", figure, "Zipfian reads through the node that missed every write; anti-entropy is off.")


def _named(row: Row) -> str:
    return {(0, 0): "neither", (1, 0): "read repair", (0, 1): "hints", (1, 1): "both"}[row["read_repair"], row["hints"]]


def _stale_reads(run: Run, read_repair: bool, hints: bool) -> Row:
    keys, reads = run.pick(40, 300, 2_000), run.pick(200, 2_000, 20_000)
    with Simulation(3, seed=run.seed, read_repair=read_repair, hints=hints, **HEALING) as simulation:
        client = simulation.client()
        client.many([("put", key_of(rank), "old", {"w": 3}) for rank in range(keys)], 16)
        simulation.crash("C")
        client.many([("put", key_of(rank), "new") for rank in range(keys)], 16)
        simulation.recover("C")
        simulation.run(ms=60_000)
        ranks = Ranks(keys, run.random, zipfian=True)
        got = client.many([("get", key_of(ranks.next()), {"r": 1, "via": "C"}) for _ in range(reads)], 4)
    stale = sum(not isinstance(each, Got) or "new" not in each.values for each in got)
    return {"read_repair": read_repair, "hints": hints, "reads": reads, "stale": stale, "stale_share": stale / reads}


EXPERIMENT = Experiment(
    8,
    "mechanisms",
    "What each mechanism buys",
    "live and simulation",
    "One mechanism at a time, everything else equal: durable against buffered acknowledgements (6.1), "
    "requests to a home against requests to anybody (6.4), admission control of background work (6.5), "
    "read repair and hints after an outage (4.6, 5).",
    run,
)
