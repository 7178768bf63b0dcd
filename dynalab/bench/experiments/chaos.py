"""Experiment 2: kill, pause and cut while a load runs; which requests fail, and how."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from dynalab.bench.experiments.frame import Experiment, Findings, Row, Run
from dynalab.bench.load import Load, filling
from dynalab.core.errors import DynalabError
from dynalab.core.session import Got
from dynalab.live.cluster import Cluster
from dynalab.views import draw_bars
from dynalab.views.colours import FAINT, INK, MARKERS, PALETTE
from dynalab.views.picture import figure_of

NODES = 5
MODES: dict[str, dict[str, Any]] = {"sloppy quorum": {"strict": False}, "strict quorum": {"strict": True}}
SETTINGS: dict[str, Any] = {"n": 3, "r": 2, "w": 2, "storage": "log", "durability": "buffered", "trace": False}
PATIENT: dict[str, Any] = {"slo_ms": 10_000}
"""Otherwise admission control (6.5) sees the faults' own latencies for a minute, and holds the hints back so long."""
TIMEOUT_MS = 1_000


class Phase(NamedTuple):
    """A part of the run: what is broken at its beginning and mended at its end."""

    name: str
    breaks: Callable[[Any], Awaitable[Any]] | None = None
    mends: Callable[[Any], Awaitable[Any]] | None = None


async def _kill_three(cluster: Any) -> None:
    for node in "CDE":
        await cluster.aio.crash(node)


async def _recover_three(cluster: Any) -> None:
    for node in "CDE":
        await cluster.aio.recover(node)


PHASES = (
    Phase("whole"),
    Phase("B killed", lambda c: c.aio.crash("B"), lambda c: c.aio.recover("B")),
    Phase("C paused", lambda c: c.aio.pause("C"), lambda c: c.aio.resume("C")),
    Phase("AB|CDE cut", lambda c: c.aio.partition("AB|CDE"), lambda c: c.aio.heal()),
    Phase("C, D, E killed", _kill_three, _recover_three),
    Phase("mended"),
)


def run(run: Run) -> Findings:
    """The same faults for a sloppy and for a strict quorum."""
    findings = Findings()
    for place, mode in enumerate(MODES):
        with Cluster(NODES, name="chaos", **SETTINGS, **PATIENT, **MODES[mode]) as cluster:
            keys = run.pick(50, 300, 1_000)
            cluster.client("filler").many(filling(keys), 64)
            tape = _Tape(run, cluster, mode, Load("A", keys, run.random, zipfian=False), place / len(MODES))
            asyncio.run(tape.play())
            findings.table("requests").extend(tape.rows)
            findings.table("acknowledged").append(_still_there(cluster, mode, tape.acknowledged))
    findings.tables["phases"] = _by_phase(findings.tables["requests"])
    _judge(findings)
    _draw(findings)
    run.told(1.0, "done")
    return findings


class _Tape:
    """One run: requests at a steady pace, whatever becomes of them, and faults beside them."""

    def __init__(self, run: Run, cluster: Cluster, mode: str, load: Load, share: float) -> None:
        self.rows: list[Row] = []
        #: {key: the last value that was acknowledged}; every key is written once, so nothing may replace it
        self.acknowledged: dict[str, str] = {}
        self._run = run
        self._cluster = cluster
        self._mode = mode
        self._load = load
        self._share = share
        self._client = cluster.client("load")
        self._begun = 0.0
        self._phase = PHASES[0].name
        self._requests: set[asyncio.Task[None]] = set()

    async def play(self) -> None:
        """All phases."""
        self._begun = time.perf_counter()
        seconds = self._run.pick(0.4, 1.5, 6.0)
        for number, phase in enumerate(PHASES):
            self._run.told(self._share + number / len(PHASES) / len(MODES), f"{self._mode}: {phase.name}")
            if phase.breaks is not None:
                await phase.breaks(self._cluster)
            self._phase = phase.name
            await self._ask_for(seconds)
            if phase.mends is not None:
                self._phase = f"after {phase.name}"
                await asyncio.gather(phase.mends(self._cluster), self._ask_for(seconds / 3))
        await asyncio.gather(*self._requests)

    async def _ask_for(self, seconds: float) -> None:
        """Open loop: the next request starts when it is due, not when the last one has ended."""
        pause = 1 / self._run.pick(100, 150, 200)
        begun = time.perf_counter()
        for number in range(int(seconds / pause)):
            await asyncio.sleep(max(0.0, begun + number * pause - time.perf_counter()))
            task = asyncio.create_task(self._ask())
            self._requests.add(task)

    async def _ask(self) -> None:
        begun, phase = time.perf_counter(), self._phase
        kind, key = self._load.next()
        outcome = "ok"
        try:
            if kind == "read":
                await self._client.aio.get(key, timeout_ms=TIMEOUT_MS)
            else:
                key = f"written-{len(self.acknowledged)}-{begun}"
                await self._client.aio.put(key, key, timeout_ms=TIMEOUT_MS)
                self.acknowledged[key] = key
        except DynalabError as error:
            outcome = type(error).__name__
        self.rows.append(
            {
                "mode": self._mode,
                "phase": phase,
                "at_s": round(begun - self._begun, 4),
                "kind": kind,
                "ms": round((time.perf_counter() - begun) * 1000, 3),
                "outcome": outcome,
            }
        )


def _still_there(cluster: Cluster, mode: str, acknowledged: dict[str, str]) -> Row:
    """After everything is mended and settled: is every acknowledged write readable?"""
    cluster.settle(timeout_ms=30_000)
    found = cluster.client("judge").many([("get", key) for key in acknowledged], 64)
    kept = sum(isinstance(got, Got) and key in got.values for key, got in zip(acknowledged, found, strict=True))
    return {"mode": mode, "acknowledged": len(acknowledged), "found_after_settling": kept}


def _by_phase(rows: list[Row]) -> list[Row]:
    table = []
    for mode in MODES:
        for phase in PHASES:
            chosen = [row for row in rows if (row["mode"], row["phase"]) == (mode, phase.name)]
            answered = sum(row["outcome"] == "ok" for row in chosen)
            errors = sorted({row["outcome"] for row in chosen} - {"ok"})
            table.append(
                {"mode": mode, "phase": phase.name, "requests": len(chosen), "answered": answered}
                | {"availability": answered / max(1, len(chosen)), "errors": " ".join(errors)}
            )
    return table


def _judge(findings: Findings) -> None:
    share = {(row["mode"], row["phase"]): row["availability"] for row in findings.tables["phases"]}
    sloppy = [share["sloppy quorum", phase.name] for phase in PHASES]
    findings.claim(
        "A sloppy quorum answers through every fault, three of five nodes killed included (4.6)",
        ", ".join(f"{phase.name} {part:.1%}" for phase, part in zip(PHASES, sloppy, strict=True)),
        min(sloppy) >= 0.95,
    )
    hard = "C, D, E killed"
    findings.claim(
        "A strict quorum does not: two of three homes are often among the dead",
        f"strict {share['strict quorum', hard]:.1%}, sloppy {share['sloppy quorum', hard]:.1%} with three nodes killed",
        share["strict quorum", hard] < 0.9 and share["strict quorum", hard] + 0.1 < share["sloppy quorum", hard],
    )
    kept = findings.tables["acknowledged"]
    findings.claim(
        "No acknowledged write is lost in either mode",
        "; ".join(f"{row['mode']}: {row['found_after_settling']} of {row['acknowledged']} found" for row in kept),
        all(row["found_after_settling"] == row["acknowledged"] for row in kept),
    )


def _draw(findings: Findings) -> None:
    bars = {
        mode: {
            phase.name.replace(", ", ","): 100 * row["availability"]
            for phase in PHASES
            for row in findings.tables["phases"]
            if (row["mode"], row["phase"]) == (mode, phase.name)
        }
        for mode in MODES
    }
    worst = {mode: min(heights.values()) for mode, heights in bars.items()}
    sloppy, strict = worst["sloppy quorum"], worst["strict quorum"]
    title = f"At worst a sloppy quorum answers {sloppy:.0f} %, a strict one {strict:.0f} %"
    lost = sum(row["acknowledged"] - row["found_after_settling"] for row in findings.tables["acknowledged"])
    findings.result = f"{title} of the requests; of the writes they acknowledged, {lost} were lost."
    figure = draw_bars(bars, title, "what is wrong", "% of requests answered")
    figure.axes[0].tick_params(axis="x", labelsize=9)
    says = "Half reads, half writes, N=3, R=W=2, five processes. The rest failed by their deadline or at once."
    findings.show("availability", figure, says)
    findings.show(
        "latency",
        _over_time(findings.tables["requests"]),
        "Every request of the sloppy run: the first ones after a fault wait until the silent node is suspected "
        f"({TIMEOUT_MS} ms is their deadline), then stand-ins answer.",
    )


def _over_time(rows: list[Row]) -> Any:
    """Every request of the sloppy run as a dot, the phases as bands."""
    from dynalab.views import draw_lines

    chosen = [row for row in rows if row["mode"] == "sloppy quorum"]
    axes = ("seconds since the load began", "latency, ms (sloppy quorum)")
    dots = [(row["at_s"], max(0.1, row["ms"])) for row in chosen if row["outcome"] == "ok"]
    lost = [(row["at_s"], row["ms"]) for row in chosen if row["outcome"] != "ok"]
    figure = draw_lines(
        {"answered": dots}, "After a fault the first requests wait, then stand-ins answer", *axes, log_y=True
    )
    (ax,) = figure.axes
    ax.lines[0].set(linestyle="", marker=".", markersize=4)
    if lost:
        ax.scatter(
            *zip(*lost, strict=True), label="failed", marker=MARKERS[6], color=PALETTE[4], edgecolors=INK, zorder=3
        )
    ax.set_ylim(top=8_000)
    for phase in PHASES:
        times = [row["at_s"] for row in chosen if row["phase"] == phase.name]
        if times and phase.breaks is not None:
            ax.axvspan(min(times), max(times), color=FAINT, alpha=0.15)
            words = phase.name.replace(", ", ",").replace(" ", "\n")
            ax.text((min(times) + max(times)) / 2, 6_000, words, ha="center", va="top", fontsize=11)
    ax.legend(loc="upper right", fontsize=10)
    return figure_of(ax, f"{len(dots)} answered, {len(lost)} failed.")


EXPERIMENT = Experiment(
    2,
    "chaos",
    "Faults under load",
    "live",
    "A load of reads and writes runs at a steady pace while a node is killed, another paused, the network cut, "
    "and at last three of five nodes are killed. Which requests are answered, how late, "
    "and is every acknowledged write still there in the end?",
    run,
)
