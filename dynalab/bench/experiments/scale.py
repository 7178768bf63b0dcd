"""Experiment 9: ten to a thousand nodes in the simulation: messages, gossip rounds, metadata, a join."""

from __future__ import annotations

from typing import Any

from dynalab.bench.experiments.frame import Experiment, Findings, Row, Run
from dynalab.sim.cluster import Simulation
from dynalab.views import draw_lines

QUIET: dict[str, Any] = {
    "ping_ms": 0,
    "anti_entropy_ms": 0,
    "gossip_ms": 0,
    "handoff_ms": 0,
    "storage": "memory",
    "durability": "memory",
}
"""Nothing but what is measured."""
GOSSIP_MS = 1_000


def run(run: Run) -> Findings:
    """Each size: what an operation costs, how fast news travels, what a node knows, what a join moves."""
    findings = Findings()
    sizes = run.pick((5, 10), (10, 40, 160), (10, 30, 100, 300, 1_000))
    for nodes in run.each(sizes, lambda size: f"{size} nodes"):
        findings.table("scale").append({"nodes": nodes} | _messages(run, nodes) | _join(run, nodes))
    _judge(findings)
    _draw(findings)
    return findings


def _partitions(run: Run) -> int:
    """Key ranges of the ring: many more than nodes (6.2)."""
    return run.pick(64, 4096, 4096)


def _messages(run: Run, nodes: int) -> Row:
    """Messages between nodes per put and get, when the client knows the ring and when it asks any node (6.4)."""
    requests = run.pick(50, 200, 1_000)
    row: Row = {}
    with Simulation(nodes, seed=run.seed, partitions=_partitions(run), **QUIET) as simulation:
        client = simulation.client("load")
        for kind, rest in (("put", (1,)), ("get", ())):
            for via in ("direct", "any"):
                before = len(simulation.events)
                operations: list[Any] = [(kind, f"k{number}", *rest) for number in range(requests)]
                if via == "any":
                    operations = [(*each, {"via": run.random.choice(simulation.nodes)}) for each in operations]
                client.many(operations, 32)
                simulation.run(ms=50)
                row[f"{kind}_messages_{via}"] = _sent(simulation, before) / requests
    return row


def _sent(simulation: Simulation, before: int) -> int:
    """Messages that nodes have sent since, to whomever."""
    return sum(event.kind == "send" and not event.node.startswith("client") for event in simulation.events[before:])


def _join(run: Run, nodes: int) -> Row:
    """One node joins: which share of the keys it gets, and after how many gossip rounds everybody knows."""
    keys = run.pick(100, 1_000, 5_000)
    settings = QUIET | {"gossip_ms": GOSSIP_MS}
    with Simulation(nodes, seed=run.seed, partitions=_partitions(run), **settings) as simulation:
        simulation.client("filler").many([("put", f"k{number}", number) for number in range(keys)], 64)
        simulation.run(ms=GOSSIP_MS)
        before = len(simulation.events)
        simulation.join("joiner", timeout_ms=60_000)
        while _knowing(simulation, before) < nodes:
            simulation.run(ms=GOSSIP_MS / 4)
        heard = [event for event in simulation.events[before:] if event.kind == "member"]
        through = next(event for event in heard if event.node == "joiner" and event.detail.get("status") == "up")
        last_us = max(_first_after(heard, through.time_us, node) for node in simulation.nodes if node != "joiner")
        moved = simulation.inspect("joiner", full=False)["keys"]
        return {
            "gossip_rounds": (last_us - through.time_us) / 1000 / GOSSIP_MS,
            "join_ms": (through.time_us - simulation.events[before].time_us) / 1000,
            "join_messages": _sent(simulation, before),
            "keys_moved": moved / keys,
            "fair_share": 3 / (nodes + 1),
            "ring_entries": _partitions(run),
            "history_entries": nodes + 1,
        }


def _knowing(simulation: Simulation, before: int) -> int:
    """How many nodes have heard that the joiner is up: those whose history grew after it said so."""
    heard = [event for event in simulation.events[before:] if event.kind == "member"]
    said = [event.time_us for event in heard if event.node == "joiner" and event.detail.get("status") == "up"]
    return len({event.node for event in heard if said and event.time_us > said[0] and event.node != "joiner"})


def _first_after(heard: list[Any], time_us: int, node: str) -> int:
    return int(next(event.time_us for event in heard if event.node == node and event.time_us > time_us))


def _judge(findings: Findings) -> None:
    rows = findings.tables["scale"]
    first, last = rows[0], rows[-1]
    growth = last["nodes"] / first["nodes"]
    findings.claim(
        "What an operation costs does not depend on the size of the cluster",
        "; ".join(f"{row['nodes']} nodes: {row['put_messages_direct']:.2f} messages a put" for row in rows),
        abs(last["put_messages_direct"] - first["put_messages_direct"]) < 0.05,
    )
    findings.claim(
        "A client that knows the ring saves the way to the coordinator (6.4)",
        f"{last['get_messages_any'] - last['get_messages_direct']:.2f} messages a get saved at {last['nodes']} nodes",
        last["get_messages_any"] > last["get_messages_direct"] + 1,
    )
    findings.claim(
        "News travels in a few rounds of gossip",
        "; ".join(f"{row['nodes']} nodes: {row['gossip_rounds']:.1f} rounds" for row in rows),
        all(row["gossip_rounds"] <= 12 for row in rows),
    )
    findings.claim(
        "A joining node gets its fair share of the keys, so that a join is cheaper the larger the cluster",
        "; ".join(f"{row['nodes']} nodes: {row['keys_moved']:.1%} of {row['fair_share']:.1%}" for row in rows),
        all(0.4 < row["keys_moved"] / row["fair_share"] < 1.8 for row in rows)
        and last["keys_moved"] < first["keys_moved"] / (growth**0.5),
    )


def _draw(findings: Findings) -> None:
    rows = findings.tables["scale"]
    lines = {
        words: [(row["nodes"], row[column]) for row in rows]
        for words, column in (
            ("any node asked", "put_messages_any"),
            ("ring known", "put_messages_direct"),
        )
    }
    figure = draw_lines(
        lines, "An operation costs the same at any size", "nodes", "messages of nodes per operation", log_x=True
    )
    findings.result = (
        f"With {rows[-1]['nodes']} nodes instead of {rows[0]['nodes']} a put costs "
        f"{rows[-1]['put_messages_direct']:.2f} messages instead of {rows[0]['put_messages_direct']:.2f}, "
        f"and a join moves {rows[-1]['keys_moved']:.1%} of the keys instead of {rows[0]['keys_moved']:.1%}."
    )
    figure.axes[0].set_ylim(0, 11)
    findings.show(
        "messages",
        figure,
        "N=3: the coordinator asks two others, and answers; a stranger forwards first. A get costs what a put costs.",
    )
    lines = {
        "keys the joiner gets": [(row["nodes"], 100 * row["keys_moved"]) for row in rows],
        "its fair share, N / nodes": [(row["nodes"], 100 * row["fair_share"]) for row in rows],
    }
    figure = draw_lines(
        lines, "The larger the cluster, the cheaper a join", "nodes", "% of all keys", log_x=True, log_y=True
    )
    findings.show("join", figure, "What one more node takes over, of all keys (4.9, 6.2).")
    lines = {"rounds": [(row["nodes"], row["gossip_rounds"]) for row in rows]}
    figure = draw_lines(lines, "News travels in a few rounds", "nodes", "rounds of gossip until all know", log_x=True)
    figure.axes[0].set_ylim(0, max(1.0, *(1.1 * row["gossip_rounds"] for row in rows)))
    says = "A join is told to 16 nodes at once; then each node shows its digest to one random peer a second (4.8.1)."
    findings.show("gossip", figure, says)


EXPERIMENT = Experiment(
    9,
    "scale",
    "Ten to a thousand nodes",
    "simulation",
    "What grows with the cluster, and what does not? Messages per operation, the rounds of gossip until everybody "
    "knows of a join, the metadata each node keeps, and what a join moves. "
    "Full membership everywhere is what the paper says does not scale to tens of thousands (6.6).",
    run,
)
