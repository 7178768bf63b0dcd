"""Experiment 4: anti-entropy: roots that converge, bytes against a full copy, and which keys to repair first."""

from __future__ import annotations

import time
from collections.abc import Iterator
from random import Random
from typing import Any

from dynalab.bench.experiments.frame import Experiment, Findings, Row, Run
from dynalab.bench.load import VALUE, Ranks, filling, key_of, written
from dynalab.codec.wire import encode
from dynalab.core.config import Config
from dynalab.core.effects import Received, Send, Start, TimerFired
from dynalab.core.membership import founding
from dynalab.core.node import Node
from dynalab.core.session import Session
from dynalab.core.store import MemoryStore
from dynalab.live.cluster import Cluster
from dynalab.sim.cluster import Simulation
from dynalab.views import draw_bars, draw_lines

NODES = 5
LIVE: dict[str, Any] = {
    "n": 3,
    "r": 1,
    "w": 1,
    "trace": False,
    "hints": False,
    "read_repair": False,
    "storage": "log",
    "durability": "buffered",
    "anti_entropy_ms": 200,
    "partitions": 32,
    "slo_ms": 10_000,
}
"""Nothing else heals, so what converges converges by exchange."""
CASES = ("burst over lossy links", "partition", "lost disk")
LOOKS, LOOK_S = 300, 0.1
QUIET_US = 3_600_000_000
"""An hour later: admission control sees a quiet moment."""
ORDERS = ("plain", "hot", "cold")
SLOW: dict[str, Any] = {
    "n": 3,
    "r": 2,
    "w": 2,
    "trace": False,
    "hints": False,
    "read_repair": False,
    "partitions": 4,
    "storage": "memory",
    "durability": "memory",
    "anti_entropy_ms": 500,
    "slo_ms": 1,
    "replica_timeout_ms": 500,
}
"""A limit that clients always exceed, so exchanges go in the smallest slices, as on a busy day (6.5)."""


def run(run: Run) -> Findings:
    """Three wounds on processes, the price of a comparison, and three orders of repair."""
    findings = Findings()
    cases = CASES[-1:] if run.size == "tiny" else CASES
    for place, case in enumerate(cases):
        run.told(0.4 * place / len(cases), case)
        findings.table("convergence").extend(_converging(run, case))
    run.told(0.4, "bytes of an exchange")
    findings.tables["bytes"] = list(_bytes(run))
    for place, order in enumerate(ORDERS):
        run.told(0.5 + place / 6, f"repair order: {order}")
        findings.table("orders").extend(_freshness(run, order))
    _judge(findings)
    _draw(findings)
    run.told(1.0, "done")
    return findings


# Convergence -------------------------------------------------------------------------------------


def _converging(run: Run, case: str) -> Iterator[Row]:
    """How many key ranges still differ between their homes, look by look, after the wound has closed."""
    with Cluster(NODES, name="repair", **LIVE) as cluster:
        client = cluster.client()
        keys = run.pick(100, 600, 10_000)
        client.many(filling(keys), 64)
        _wound(cluster, client, case, keys)
        begun = time.perf_counter()
        for _ in range(LOOKS):
            differing, ranges = _differing(cluster)
            at_s = round(time.perf_counter() - begun, 3)
            yield {"case": case, "at_s": at_s, "differing": differing, "ranges": ranges, "share": differing / ranges}
            if not differing:
                return
            time.sleep(LOOK_S)  # Nothing tells when roots meet; the curve is made of looks.


def _wound(cluster: Cluster, client: Any, case: str, keys: int) -> None:
    """Make replicas differ, and let the fault end."""
    again = [written(key_of(rank)) for rank in range(keys)]
    if case == "lost disk":
        cluster.crash("B")
        cluster.recover("B", wipe=True)
        return
    if case == "partition":
        cluster.partition("AB|CDE")
        client.many(again, 64)
    else:
        for node in "BCDE":
            cluster.link("A", node, drop=0.5, both_ways=True)
        client.many(again, 64)
    cluster.heal()


def _differing(cluster: Cluster) -> tuple[int, int]:
    """Key ranges whose homes have different Merkle roots, and all key ranges."""
    roots: dict[str, set[str]] = {}
    for node in cluster.nodes:
        for end, root in cluster.inspect(node, full=False)["roots"].items():
            roots.setdefault(end, set()).add(root)
    return sum(len(each) > 1 for each in roots.values()), len(roots)


# Bytes -------------------------------------------------------------------------------------------


def _bytes(run: Run) -> Iterator[Row]:
    """What one exchange sends, as a share of sending every key."""
    keys = run.pick(500, 3_000, 50_000)
    for share in run.pick((0.01, 0.1), (0.001, 0.01, 0.1, 0.5), (0.0001, 0.001, 0.01, 0.1, 0.5)):
        differences = max(1, int(keys * share))
        sent, full = _exchanged(keys, differences)
        yield {"keys": keys, "differences": differences, "share_of_full_copy": sent / full}


def _exchanged(keys: int, differences: int) -> tuple[int, int]:
    """The bytes of one whole exchange between two replicas, and those of sending one of them as it is."""
    config = Config(trace=False, partitions=2, ping_ms=0, gossip_ms=0, handoff_ms=0, n=2, r=1, w=2, storage="memory")
    nodes = {name: Node(name, config, b"secret", MemoryStore(), Random(name)) for name in "AB"}
    for node in nodes.values():
        node.handle(Start(founding("AB", config)), 0, 0)
    session, full = Session("load", config, "load"), 0
    for number in range(keys):
        put = session.put(key_of(number), VALUE)
        for effect in nodes["A"].handle(Received("client:load", put), 0, 0):
            if isinstance(effect, Send):
                full += len(encode(effect.message))
                if number >= differences:
                    nodes["B"].handle(Received("A", effect.message), 0, 0)
    sent = 0
    waiting = [("A", effect) for effect in nodes["A"].handle(TimerFired("antientropy"), QUIET_US, QUIET_US)]
    for sender, effect in waiting:  # Grows while it is walked, as a conversation does.
        if isinstance(effect, Send):
            sent += len(encode(effect.message))
            answers = nodes[effect.to].handle(Received(sender, effect.message), QUIET_US, QUIET_US)
            waiting += [(effect.to, answer) for answer in answers]
    return sent, full


# Order -------------------------------------------------------------------------------------------


def _freshness(run: Run, order: str) -> Iterator[Row]:
    """C was cut off while every key was written; how many reads through C are fresh, while it is repaired?"""
    keys = run.pick(200, 1_000, 6_000)
    with Simulation(3, seed=run.seed, latency_ms=(4, 8), repair_order=order, **SLOW) as simulation:
        client = simulation.client()
        client.many([("put", key_of(rank), "old", {"w": 3}) for rank in range(keys)], 64)
        ranks = Ranks(keys, run.random, zipfian=True)
        client.many([("get", key_of(ranks.next())) for _ in range(keys * 4)], 64)  # Now the nodes know what is hot.
        simulation.partition("AB|C")
        client.many([("put", key_of(rank), "new", {"w": 2, "via": "A"}) for rank in range(keys)], 64)
        simulation.heal()
        begun_ms = simulation.now_ms
        for _ in range(LOOKS):
            fresh = [rank for rank in range(keys) if "new" in simulation.values(key_of(rank)).get("C", [])]
            yield {
                "order": order,
                "at_ms": round(simulation.now_ms - begun_ms, 1),
                "reads_fresh": sum(ranks.share(rank) for rank in fresh),
                "hot_spot_fresh": _hot_spot_share(fresh, keys),
                "rare_keys_fresh": sum(rank >= keys // 2 for rank in fresh) / (keys - keys // 2),
            }
            if len(fresh) == keys:
                return
            simulation.run(ms=40)


def _hot_spot_share(fresh: list[int], keys: int) -> float:
    """The share of reads that are fresh when a tenth of the keys draws 99.5 % of them."""
    hot = sum(rank < keys // 10 for rank in fresh)
    return 0.995 * hot / (keys // 10) + 0.005 * (len(fresh) - hot) / (keys - keys // 10)


def _reached_ms(findings: Findings, order: str, column: str, share: float) -> float:
    """When the share was reached."""
    rows = [row for row in findings.tables["orders"] if row["order"] == order]
    return float(next((row["at_ms"] for row in rows if row[column] >= share), rows[-1]["at_ms"]))


def _judge(findings: Findings) -> None:
    ends = {row["case"]: row for row in findings.tables["convergence"]}
    most = {case: max(r["differing"] for r in findings.tables["convergence"] if r["case"] == case) for case in ends}
    findings.claim(
        "After every wound the roots of all homes become equal by exchanges alone (4.7)",
        "; ".join(f"{case}: {most[case]} key ranges differed, {ends[case]['differing']} in the end" for case in ends),
        all(row["differing"] == 0 for row in ends.values()) and all(most.values()),
    )
    few = findings.tables["bytes"][0]
    findings.claim(
        "An exchange sends little more than what differs",
        f"{few['share_of_full_copy']:.1%} of a full copy for {few['differences']} of {few['keys']} keys",
        few["share_of_full_copy"] < 0.5 * findings.tables["bytes"][-1]["share_of_full_copy"]
        and few["share_of_full_copy"] < 0.35,
    )
    half = {order: _reached_ms(findings, order, "reads_fresh", 0.8) for order in ORDERS}
    spot = {order: _reached_ms(findings, order, "hot_spot_fresh", 0.99) for order in ORDERS}
    nearly = {order: _reached_ms(findings, order, "reads_fresh", 0.99) for order in ORDERS}
    findings.claim(
        "Repairing hot keys first makes most reads fresh sooner",
        f"of the time in the order found: 80 % of Zipfian reads after {half['hot'] / half['plain']:.2f}, "
        f"99 % of the reads of a hot spot after {spot['hot'] / spot['plain']:.2f}; "
        f"99 % of Zipfian reads, which need nearly every key, after {nearly['hot'] / nearly['plain']:.2f}",
        spot["hot"] < 0.95 * spot["plain"],
    )
    at_hot, at_cold = (_reached_ms(findings, order, "rare_keys_fresh", 0.5) for order in ("hot", "cold"))
    findings.claim(
        "Repairing cold keys first makes rarely read keys fresh sooner",
        f"half of them after {at_cold / at_hot:.2f} of the time that hot first takes",
        at_cold < 0.95 * at_hot,
    )


def _draw(findings: Findings) -> None:
    curves: dict[str, list[tuple[float, float]]] = {}
    for row in findings.tables["convergence"]:
        curves.setdefault(row["case"], []).append((row["at_s"], row["differing"]))
    figure = draw_lines(
        curves, "Merkle exchanges alone make replicas equal", "seconds after the fault ended", "key ranges that differ"
    )
    findings.show(
        "convergence", figure, "Five processes; hints and read repair are off, so only Merkle exchanges heal (4.7)."
    )
    rows = findings.tables["bytes"]
    bars = {"bytes": {f"{row['differences'] / row['keys']:.2%}": 100 * row["share_of_full_copy"] for row in rows}}
    few = rows[0]
    title = f"{few['differences']} of {few['keys']} keys differ: {few['share_of_full_copy']:.1%} of a full copy is sent"
    figure = draw_bars(bars, title, "keys that differ", "% of the bytes of a full copy")
    findings.show("bytes", figure, f"Two replicas of {rows[0]['keys']} keys; digests are the price of not knowing.")
    sooner = _reached_ms(findings, "hot", "reads_fresh", 0.8) / _reached_ms(findings, "plain", "reads_fresh", 0.8)
    rarely = _reached_ms(findings, "cold", "rare_keys_fresh", 0.5) / _reached_ms(
        findings, "hot", "rare_keys_fresh", 0.5
    )
    findings.result = (
        f"Where {few['differences']} of {few['keys']} keys differ an exchange sends {few['share_of_full_copy']:.1%} "
        f"of the bytes of a full copy, and repairing hot keys first makes 80 % of the reads fresh in {sooner:.0%} "
        "of the time that the order found takes."
    )
    for column, title in (
        ("reads_fresh", f"Hot keys first: 80 % of reads are fresh in {sooner:.0%} of the time"),
        ("rare_keys_fresh", f"Cold keys first: half the rare keys in {rarely:.0%} of hot first's time"),
    ):
        lines: dict[str, list[tuple[float, float]]] = {}
        for row in findings.tables["orders"]:
            lines.setdefault(f"{row['order']} first".replace("plain first", "as found"), []).append(
                (row["at_ms"], 100 * row[column])
            )
        figure = draw_lines(lines, title, "ms after the cut is healed (virtual)", "% fresh")
        says = "Reads through a node that missed every write. "
        says += "Hot first serves readers; cold first leaves hot keys to read repair (off here) and saves the rest."
        findings.show(column.replace("_", "-"), figure, says)


EXPERIMENT = Experiment(
    4,
    "repair",
    "Anti-entropy: convergence, price and order",
    "live and simulation",
    "Replicas that missed writes compare Merkle trees (4.7). How fast do their roots meet after a burst over lossy "
    "links, a partition and a lost disk? What does a comparison send, beside a full copy? "
    "And when admission control lets only a few keys through at a time, does it matter which ones go first?",
    run,
)
