"""Torture: random faults against real processes under load, judged like the simulation (RELIABILITY S50, live).

Theory of operation.
Clients put, get and delete as sessions, all the while; troublemakers break one thing, wait, and mend it, over and over.
In the end everything is healed and recovered, and the judges of `check` look at three things:
what the clients were told, which faults there were, and what every node holds.
Meanwhile the memory and the file handles of every node process are sampled.

Rule 1: chance is seeded, but processes are not deterministic: the seed names the schedule, not the run.
Rule 2: keys change with time, so the work of the judge does not grow with the square of the run.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from dynalab.check.recorder import Recorder
from dynalab.check.verdict import judge_run
from dynalab.core.clock import Context
from dynalab.core.errors import DynalabError
from dynalab.explore.trouble import Trouble
from dynalab.live.cluster import Cluster

PACE: dict[str, Any] = {
    "anti_entropy_ms": 500,
    "gossip_ms": 500,
    "handoff_ms": 200,
    "ping_ms": 250,
    "timeout_ms": 1_500,
    "replica_timeout_ms": 200,
    "storage": "log",
    "durability": "durable",
    "trace": False,
}
"""Mechanisms quick enough that every fault is noticed before it ends."""

KEYS, KEY_LIFE_S = 12, 20.0
"""So many keys at a time, and for how long."""

SAMPLE_S = 2.0
SETTLE_MS = 60_000


@dataclass
class Outcome:
    """What a run came to; `as_json` is the report file.

    Attributes:
        violations: broken invariants, in words; empty is what we want.
        held: the invariants that were judged and hold.
        operations: ``{"put ok": count, ...}``.
        faults: ``{verb: count}``.
        samples: ``[seconds, {node: [unique memory in bytes, file handles]}]`` over time.
    """

    seed: int
    minutes: float
    nodes: int
    settings: dict[str, Any]
    violations: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    not_checked: dict[str, str] = field(default_factory=dict)
    operations: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    passed_over: int = 0
    counters: dict[str, int] = field(default_factory=dict)
    growth: dict[str, Any] = field(default_factory=dict)
    samples: list[Any] = field(default_factory=list)
    took_s: float = 0.0
    inside: dict[str, Any] = field(default_factory=dict)
    """What the nodes told of themselves when they did not come to rest."""

    @property
    def ok(self) -> bool:
        """Whether nothing is broken."""
        return not self.violations

    def as_json(self) -> str:
        """The whole outcome as the text of a file."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    def __str__(self) -> str:
        lines = [
            f"{self.minutes:g} minutes of torture, seed {self.seed}, {self.nodes} processes, {self.took_s:.0f} s",
            f"operations: {', '.join(f'{name} {count}' for name, count in sorted(self.operations.items()))}",
            f"faults: {', '.join(f'{name} {count}' for name, count in sorted(self.faults.items())) or 'none'}",
            f"memory of a node, first and last third: {_megabytes(self.growth, 'uss')}",
            f"file handles of a node: {' and '.join(map(str, self.growth.get('handles', [])))}",
            f"held: {' '.join(self.held)}",
        ]
        lines += [f"not checked: {name}, {why}" for name, why in self.not_checked.items()]
        lines += [f"BROKEN {violation}" for violation in self.violations] or ["nothing is broken"]
        return "\n".join(lines)


def torture(
    minutes: float = 5.0,
    seed: int = 0,
    nodes: int = 5,
    clients: int = 4,
    troublemakers: int = 2,
    report: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
    **settings: Any,
) -> Outcome:
    """Run it, and judge it.

    Args:
        minutes: how long the faults go on.
        seed: of the schedule.
        nodes: processes.
        clients: sessions that ask all the while.
        troublemakers: faults at a time; 0: load only.
        report: a file for the whole outcome, written in any case.
        say: is told a line every few seconds.
        settings: fields of `Config` that differ from `PACE`.
    """
    began = time.monotonic()
    outcome = Outcome(seed, minutes, nodes, PACE | settings)
    with Cluster(nodes, name=f"torture-{seed}", **(PACE | settings)) as cluster:
        run = _Run(cluster, outcome, Random(seed), say)
        try:
            asyncio.run(run.through(minutes * 60, clients, troublemakers))
            run.judge()
        except DynalabError as error:
            outcome.violations.append(f"I5: it did not come to rest: {error}")
            outcome.inside = run.recorder.inspections()
        finally:
            run.count()
            outcome.took_s = round(time.monotonic() - began, 1)
            if report is not None:
                report.write_text(outcome.as_json(), encoding="utf-8")
    return outcome


class _Run:
    """One run under way."""

    def __init__(self, cluster: Cluster, outcome: Outcome, random: Random, say: Callable[[str], None]) -> None:
        self.cluster = cluster
        self.recorder = Recorder(cluster)
        self.trouble = Trouble(self.recorder, random)
        self._outcome = outcome
        self._random = random
        self._say = say
        self._until = 0.0
        self._began = time.monotonic()

    async def through(self, seconds: float, clients: int, troublemakers: int) -> None:
        """Clients, troublemakers and the sampler, until the time is over."""
        self._until = time.monotonic() + seconds
        await asyncio.gather(
            *(self._client(number) for number in range(clients)),
            *(self._troublemaker() for _ in range(troublemakers)),
            self._sampler(),
        )
        await asyncio.to_thread(self.trouble.mend_all)

    def _on(self) -> bool:
        return time.monotonic() < self._until

    async def _client(self, number: int) -> None:
        client = self.recorder.client(f"client{number}")
        while self._on():
            key = f"k{int((time.monotonic() - self._began) / KEY_LIFE_S)}.{self._random.randrange(KEYS)}"
            try:
                await self._one(client, key, self._random.random())
            except DynalabError:
                await asyncio.sleep(0.05)  # It is written down; a client that was refused waits a little.
            await asyncio.sleep(self._random.expovariate(20))

    async def _one(self, client: Any, key: str, chance: float) -> None:
        if chance < 0.40:
            await client.aio.get(key)
        elif chance < 0.80:
            await client.aio.put(key, int(chance * 1e9))
        elif chance < 0.92:
            await client.aio.put(key, int(chance * 1e9), context=Context.EMPTY)
        else:
            await client.aio.delete(key)

    async def _troublemaker(self) -> None:
        while self._on():
            episode = self.trouble.begin()
            await asyncio.to_thread(episode.do)
            await asyncio.sleep(
                min(self._random.choice([0.1, 0.5, 2.0, 4.0]), max(0.0, self._until - time.monotonic()))
            )
            await asyncio.to_thread(episode.undo)
            await asyncio.sleep(self._random.uniform(0.1, 1.0))

    async def _sampler(self) -> None:
        told = 0.0
        while self._on():
            passed = round(time.monotonic() - self._began, 1)
            self._outcome.samples.append([passed, await asyncio.to_thread(sampled, self.cluster)])
            if passed - told >= 10:
                told = passed
                done = len(self.recorder.history.operations)
                self._say(f"{passed:6.0f} s  {done} operations, {sum(self.trouble.done.values())} faults")
            await asyncio.sleep(SAMPLE_S)

    def judge(self) -> None:
        """All is mended: settle, read everything everywhere, and compare."""
        report = judge_run(self.recorder, None, SETTLE_MS)
        self._outcome.violations += [str(violation) for violation in report.violations]
        self._outcome.held, self._outcome.not_checked = report.held, report.not_checked

    def count(self) -> None:
        """Figures of the run."""
        for operation in self.recorder.history.operations:
            name = f"{operation.kind} {operation.outcome}"
            self._outcome.operations[name] = self._outcome.operations.get(name, 0) + 1
        self._outcome.faults, self._outcome.passed_over = self.trouble.done, self.trouble.passed_over
        self._outcome.counters = self.cluster.metrics()["counters"]
        self._outcome.growth = growth_of(self._outcome.samples)


def sampled(cluster: Cluster) -> dict[str, list[int]]:
    """``{node: [unique memory in bytes, open file handles]}`` of the node processes that live."""
    import psutil

    seen: dict[str, list[int]] = {}
    for node, entry in list(cluster._owner.roll.entries.items()):
        try:
            if entry.process is not None:
                seen[node] = [int(entry.process.memory_full_info().uss), entry.process.num_fds()]
        except psutil.Error:
            continue  # It has just been killed, which is what we are here for.
    return seen


def growth_of(samples: list[Any]) -> dict[str, Any]:
    """The medians over all nodes of the first and of the last third: ``{"uss": [a, b], "handles": [a, b]}``.

    >>> growth_of([[0, {"A": [100, 5]}], [1, {"A": [110, 5]}], [2, {"A": [120, 6]}]])
    {'uss': [100, 120], 'handles': [5, 6]}
    """
    third = max(1, len(samples) // 3)
    ends = [samples[:third], samples[-third:]]
    uss = [_median([numbers[0] for _, seen in part for numbers in seen.values()]) for part in ends]
    handles = [_median([numbers[1] for _, seen in part for numbers in seen.values()]) for part in ends]
    return {"uss": uss, "handles": handles}


def has_grown(growth: dict[str, Any]) -> str:
    """What has grown beyond a fifth (and 4 MB, or 8 handles), in words; empty: memory and handles are flat.

    >>> has_grown({"uss": [20_000_000, 21_000_000], "handles": [40, 80]})
    'file handles, from 40 to 80'
    """
    (uss, uss_later), (handles, handles_later) = growth["uss"], growth["handles"]
    if uss_later > max(1.2 * uss, uss + 4 * 2**20):
        return f"memory, from {uss / 2**20:.1f} to {uss_later / 2**20:.1f} MB"
    if handles_later > max(1.2 * handles, handles + 8):
        return f"file handles, from {handles} to {handles_later}"
    return ""


def _median(numbers: list[int]) -> int:
    return sorted(numbers)[len(numbers) // 2] if numbers else 0


def _megabytes(growth: dict[str, Any], name: str) -> str:
    return " and ".join(f"{number / 2**20:.1f} MB" for number in growth.get(name, []))
