"""Experiment 0: every promise of the API in one page, checked on five processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from dynalab.bench.experiments.frame import Experiment, Findings, Row, Run
from dynalab.core.clock import Context
from dynalab.core.errors import (
    BadRequest,
    DynalabError,
    InvalidContext,
    InvalidQuorum,
    NotSettled,
    RequestTimedOut,
    SeveralValues,
    UnknownNode,
    ValueTooLarge,
    WriteQuorumNotReached,
)
from dynalab.live.cluster import Cluster
from dynalab.views.colours import INK, PALETTE
from dynalab.views.picture import Picture, figure_of, write

SETTINGS: dict[str, Any] = {"n": 3, "r": 2, "w": 2, "storage": "log", "durability": "durable", "anti_entropy_ms": 300}
LOOKS, LOOK_S = 200, 0.05
"""How often, and how long apart, the nodes are asked whom they believe up; nothing tells us when that changes."""


class Promise(NamedTuple):
    """A sentence about the API, and a function that answers whether it holds on this cluster."""

    words: str
    section: str
    holds: Callable[[Cluster], bool]


def _raises(error: type[DynalabError], act: Callable[[], Any]) -> bool:
    try:
        act()
    except error:
        return True
    return False


def _reads_back(cluster: Cluster) -> bool:
    values = ["text", b"bytes", {"json": [1, None, True]}, None]
    for number, value in enumerate(values):
        cluster.put(f"value-{number}", value)
    return [cluster.get(f"value-{number}").value for number in range(len(values))] == values


def _replaces(cluster: Cluster) -> bool:
    ann = cluster.client("ann")
    ann.put("own", 1), ann.put("own", 2)
    return bool(ann.get("own").values == [2])


def _siblings(cluster: Cluster) -> bool:
    cluster.client("ann").put("both", "milk"), cluster.client("bob").put("both", "tea")
    got = cluster.get("both")
    return sorted(got.values) == ["milk", "tea"] and _raises(SeveralValues, lambda: got.value)


def _merged(cluster: Cluster) -> bool:
    _siblings(cluster)
    seen = cluster.get("both")
    cluster.client("carol").put("both", "merged", context=seen.context)
    return bool(cluster.get("both", r=3).values == ["merged"])


def _deletes(cluster: Cluster) -> bool:
    cluster.put("gone", 1)
    cluster.client("ann").delete("gone")
    return not cluster.get("gone").found and not cluster.get("never written").found


def _repeats(cluster: Cluster) -> bool:
    for _ in range(3):
        cluster.client("ann").put("once", "same", context=None, request_id="order-1")
    return bool(cluster.get("once").values == ["same"])


def _blind(cluster: Cluster) -> bool:
    for context in (None, Context.EMPTY):
        cluster.put("blind", str(context), context=context)
    return len(cluster.get("blind").values) == 2


def _stranger_coordinates(cluster: Cluster) -> bool:
    return all(cluster.put(f"via-{node}", 1, via=node).key == f"via-{node}" for node in cluster.nodes)


def _per_request(cluster: Cluster) -> bool:
    ack, got = cluster.put("quorum", 1, w=3), cluster.get("quorum", r=3)
    return len(ack.nodes) == 3 and len(got.nodes) == 3 and _raises(InvalidQuorum, lambda: cluster.put("q", 1, w=4))


def _refuses(cluster: Cluster) -> bool:
    forged = Context({"A": 99})
    return (
        _raises(InvalidContext, lambda: cluster.put("forged", 1, context=forged))
        and _raises(ValueTooLarge, lambda: cluster.put("large", b"x" * (1024 * 1024 + 1)))
        and _raises(UnknownNode, lambda: cluster.get("k", via="Z"))
        and _raises(BadRequest, lambda: cluster.put("", 1))
    )


def _both_sides(cluster: Cluster) -> bool:
    """Both sides of a cut take writes, and both writes survive."""
    cluster.partition("AB|CDE")
    cluster.client("ann").put("cut", "left", via="A"), cluster.client("bob").put("cut", "right", via="E")
    cluster.heal()
    cluster.settle(timeout_ms=30_000)
    return sorted(cluster.get("cut").values) == ["left", "right"]


def _hints(cluster: Cluster) -> bool:
    home = cluster.put("hinted", 0).coordinator
    cluster.crash(home)
    ack = cluster.client("ann").put("hinted", 1, context=None, w=3)
    cluster.recover(home)
    cluster.settle(timeout_ms=30_000)
    return home in ack.hinted.values() and 1 in cluster.values("hinted").get(home, [])


def _durable(cluster: Cluster) -> bool:
    cluster.put("durable", "kept", w=3)
    for node in cluster.nodes:
        cluster.crash(node)
    for node in cluster.nodes:
        cluster.recover(node)
    return bool(cluster.get("durable", timeout_ms=5_000).values == ["kept"])


def _lost_disk(cluster: Cluster) -> bool:
    home = cluster.put("disk", "kept", w=3).coordinator
    cluster.crash(home)
    cluster.recover(home, wipe=True)
    cluster.settle(timeout_ms=30_000)
    return cluster.values("disk").get(home) == ["kept"]


def _paused(cluster: Cluster) -> bool:
    home = cluster.put("paused", 1).coordinator
    cluster.pause(home)
    try:
        return len(cluster.client("ann").put("paused", 2, context=None, timeout_ms=5_000).nodes) >= 2
    finally:
        cluster.resume(home)


def _unknown_write(cluster: Cluster) -> bool:
    """One node alone cannot reach W=3; the error says that nobody knows: the write may yet appear."""
    cluster.partition("A|BCDE")
    try:
        cluster.put("lonely", 1, w=3, via="A", timeout_ms=600)
    except (WriteQuorumNotReached, RequestTimedOut) as error:
        return not error.definite
    else:
        return False
    finally:
        cluster.heal()


def _three_killed(cluster: Cluster) -> bool:
    for node in "CDE":
        cluster.crash(node)
    try:
        return all(len(cluster.put(f"three-{n}", n, timeout_ms=5_000).nodes) >= 2 for n in range(5))
    finally:
        for node in "CDE":
            cluster.recover(node)


def _stale_despite_overlap(cluster: Cluster) -> bool:
    """R + W > N and a sloppy quorum: a write on one side is not seen on the other, where R answer all the same."""
    cluster.partition("AB|CDE")
    try:
        ack = cluster.client("ann").put("overlap", "new", via="A", timeout_ms=5_000)
        got = cluster.client("bob").get("overlap", via="E", timeout_ms=5_000)
        return len(ack.nodes) >= 2 and len(got.nodes) >= 2 and not got.found
    finally:
        cluster.heal()


def _joins(cluster: Cluster) -> bool:
    cluster.put("moving", 1, w=3)
    cluster.join("F", timeout_ms=30_000)
    cluster.leave("F", timeout_ms=30_000)
    return bool("F" not in cluster.nodes and cluster.get("moving").value == 1)


PROMISES = (
    Promise("Bytes, text, JSON and null come back as they were put", "2.3", _reads_back),
    Promise("A client's second put replaces its first", "4.1", _replaces),
    Promise("Writes that do not know of each other stay side by side", "4.4", _siblings),
    Promise("A put with the context of a read replaces all it saw", "4.4", _merged),
    Promise("A deleted key is gone; so is one that never was", "4.4", _deletes),
    Promise("A repeated request makes one version", "4.5", _repeats),
    Promise("A blind write replaces nothing", "4.1", _blind),
    Promise("Any node takes any request", "4.5", _stranger_coordinates),
    Promise("R and W can be chosen per request, never above N", "4.5", _per_request),
    Promise("What is malformed, forged or too large is refused", "4.1", _refuses),
    Promise("Both sides of a cut take writes; both survive", "4.6", _both_sides),
    Promise("A write for a dead home is hinted and handed over", "4.6", _hints),
    Promise("A paused node does not stop a write", "4.6", _paused),
    Promise("A write without its quorum is unknown, not undone", "4.5", _unknown_write),
    Promise("Killing three of five does not stop a sloppy quorum", "4.6", _three_killed),
    Promise("R + W > N is no strong consistency with hints on", "4.6", _stale_despite_overlap),
    Promise("Acknowledged writes survive the death of all nodes", "5", _durable),
    Promise("A lost disk is filled again by anti-entropy", "4.7", _lost_disk),
    Promise("A node joins and leaves, and no key is lost", "4.8, 4.9", _joins),
)


def run(run: Run) -> Findings:
    """Every promise on one cluster, mended between them."""
    findings = Findings()
    promises = run.pick(PROMISES[:10], PROMISES, PROMISES)
    with Cluster(5, name="functional", **SETTINGS) as cluster:
        for promise in run.each(promises, lambda each: each.words):
            findings.table("promises").append(_checked(cluster, promise))
    for row in findings.tables["promises"]:
        findings.claim(f"{row['promise']} ({row['section']})", row["seen"], row["holds"])
    findings.show("promises", _draw(findings.tables["promises"]), "Each promise was carried out on five processes.")
    kept = sum(row["holds"] for row in findings.tables["promises"])
    findings.result = f"{kept} of {len(promises)} promises of the API hold when they are tried on five processes."
    return findings


def _mended(cluster: Cluster) -> None:
    """Wait until every node believes all others up again: promises are about one fault at a time."""
    for _ in range(LOOKS):
        opinions = [opinion for node in cluster.nodes for opinion in cluster.inspect(node, full=False)["up"].values()]
        if all(opinion["believed_up"] for opinion in opinions):
            return
        time.sleep(LOOK_S)  # An opinion is each node's own: nothing tells when the last of them has changed.
    raise NotSettled("the nodes do not believe all others up again")


def _checked(cluster: Cluster, promise: Promise) -> Row:
    begun = time.perf_counter()
    try:
        _mended(cluster)
        begun = time.perf_counter()
        holds = promise.holds(cluster)
        seen = "as promised" if holds else "otherwise"
    except DynalabError as error:
        holds, seen = False, f"{type(error).__name__}: {error}"[:200]
    took_ms = round((time.perf_counter() - begun) * 1000, 1)
    return {"promise": promise.words, "section": promise.section, "holds": holds, "seen": seen, "ms": took_ms}


def _draw(rows: list[Row]) -> Any:
    """One line per promise: a mark, the words, the paper's section."""
    picture = Picture("promises checked", 8.0, 0.6 + 0.27 * len(rows))
    ax = picture.add_axes((0.0, 0.0, 1.0, 1.0))
    ax.set_axis_off()
    ax.set_xlim(0, 1)
    ax.set_ylim(len(rows) + 0.2, -1.6)
    holding = sum(row["holds"] for row in rows)
    write(
        ax,
        0.03,
        -0.9,
        f"{holding} of {len(rows)} promises hold on five processes",
        ha="left",
        fontsize=14,
        weight="bold",
    )
    for place, row in enumerate(rows):
        mark, colour = ("holds", PALETTE[2]) if row["holds"] else ("FAILS", PALETTE[4])
        box = {"boxstyle": "round,pad=0.2", "facecolor": colour, "edgecolor": INK}
        write(ax, 0.07, place, mark, fontsize=9, color="#000000", bbox=box)
        write(ax, 0.13, place, row["promise"], ha="left", fontsize=11)
        write(ax, 0.97, place, row["section"], ha="right", fontsize=11)
    return figure_of(ax, "; ".join(f"{row['promise']}: {'holds' if row['holds'] else 'fails'}" for row in rows) + ".")


EXPERIMENT = Experiment(
    0,
    "functional",
    "Every promise, checked",
    "live",
    "Before anything is measured: does the store do what its interface says? "
    "Each promise is carried out on five processes, faults included, and answered with yes or no. "
    "Two popular promises that Dynamo does not make are on the list with what is true instead.",
    run,
)
