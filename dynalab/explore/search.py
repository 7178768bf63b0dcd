"""Many seeds, many trials, on all cores: what was run, and what broke (RELIABILITY.md S50).

Theory of operation.
Each seed is one script, and each script is tried in a worker process;
the workers are fresh interpreters, so each salts `hash()` in its own way.
A sample of the seeds is tried a second time, in another interpreter, and must give the same trace, byte for byte (I12).

Rule 1: a worker's memory is bounded: after so many trials a fresh one takes its place;
where the system can, its address space is limited.
Rule 2: what comes back of a trial is small: counts and violations, never a trace.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any, NamedTuple

from dynalab.check.invariants import check_i12
from dynalab.check.report import Violation
from dynalab.explore.compose import ALL, composed
from dynalab.explore.mutants import mutant_named
from dynalab.explore.script import Script
from dynalab.explore.shrink import shrunk_trial
from dynalab.explore.trial import Trial, tried

TRIALS_PER_WORKER = 250
WORKER_BYTES_MAX = 4 * 1024**3
"""Address space of one worker, where the system can limit it; a trial needs about a tenth."""

WAITING_PER_JOB = 4
REPLAY_EVERY = 25
"""One seed of so many is tried twice (I12)."""


class Outcome(NamedTuple):
    """What comes back of one trial."""

    seed: int
    violations: tuple[Violation, ...]
    operations: dict[str, int]
    faults: dict[str, int]
    virtual_ms: float
    events: int
    digest: str
    kinds: tuple[str, ...] = ()
    """Of faults that its script drew."""

    @property
    def broken(self) -> tuple[str, ...]:
        """The ids of the broken invariants, each once."""
        return tuple(dict.fromkeys(violation.invariant for violation in self.violations))


@dataclass
class Findings:
    """All that a search ran and found.

    Attributes:
        seeds: how many were tried.
        scripts: ``{kind of fault: scripts that drew it}``; `faults`: ``{verb: times it took effect}``.
        failures: the outcomes with violations, by seed.
        replayed: how many were tried twice.
    """

    kinds: tuple[str, ...] = ()
    first: int = 0
    seeds: int = 0
    virtual_ms: float = 0.0
    events: int = 0
    operations: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    scripts: dict[str, int] = field(default_factory=dict)
    failures: list[Outcome] = field(default_factory=list)
    replayed: int = 0
    wall_s: float = 0.0

    def add(self, outcome: Outcome) -> None:
        """One more trial has ended."""
        self.seeds += 1
        self.virtual_ms += outcome.virtual_ms
        self.events += outcome.events
        drawn = dict.fromkeys(outcome.kinds, 1)
        for total, counts in (
            (self.operations, outcome.operations),
            (self.faults, outcome.faults),
            (self.scripts, drawn),
        ):
            for name, count in counts.items():
                total[name] = total.get(name, 0) + count
        if outcome.violations:
            self.failures.append(outcome)


def search(
    seeds: Sequence[int],
    kinds: tuple[str, ...] = ALL,
    jobs: int = 1,
    told: Callable[[Outcome], object] = lambda _: None,
) -> Findings:
    """Try the scripts of all these seeds, and a sample of them twice.

    Args:
        seeds: which.
        kinds: of faults; see `compose.ALL`.
        jobs: worker processes.
        told: is called with every outcome, in the order they end.
    """
    findings = Findings(tuple(kinds), min(seeds, default=0))
    digests: dict[int, str] = {}
    for outcome in _in_workers(_trial, [(seed, kinds, _is_sampled(seed)) for seed in seeds], jobs):
        findings.add(outcome)
        digests |= {outcome.seed: outcome.digest} if outcome.digest else {}
        told(outcome)
    again = [(seed, kinds, True) for seed in sorted(digests)]
    for outcome in _in_workers(_trial, again, jobs):
        findings.replayed += 1
        differ = tuple(check_i12(digests[outcome.seed], outcome.digest))
        if differ:
            findings.failures.append(outcome._replace(violations=differ))
    findings.failures.sort(key=lambda outcome: outcome.seed)
    return findings


def shortest(
    failures: Sequence[Outcome], kinds: tuple[str, ...], jobs: int, limit: int
) -> Iterator[tuple[str, Script]]:
    """``(broken invariant, short script)`` for the first failures that differ in what they break."""
    by_broken: dict[str, Outcome] = {}
    for outcome in failures:
        for invariant in outcome.broken[:1]:
            by_broken.setdefault(invariant, outcome)
    tasks = [(outcome.seed, kinds, invariant) for invariant, outcome in list(by_broken.items())[:limit]]
    yield from _in_workers(_shortened, tasks, jobs)


def hunted(name: str, jobs: int = 1, seeds: int | None = None) -> Outcome | None:
    """The first outcome that shows the planted bug `name`; None: it was not found within its seeds.

    With `jobs` 1 the search stays in this process.
    """
    mutant = mutant_named(name)
    tasks = [(name, seed) for seed in range(mutant.seeds if seeds is None else seeds)]
    found = map(_mutated, *zip(*tasks, strict=True)) if jobs == 1 else _in_workers(_mutated, tasks, jobs)
    return next((outcome for outcome in found if outcome.violations), None)


def cores() -> int:
    """How many worker processes this machine has room for."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


# In a worker -----------------------------------------------------------------------------------


def _is_sampled(seed: int) -> bool:
    return seed % REPLAY_EVERY == 0


def _trial(seed: int, kinds: tuple[str, ...], with_digest: bool) -> Outcome:
    return _outcome(seed, tried(composed(seed, kinds), with_digest))


def _shortened(seed: int, kinds: tuple[str, ...], broken: str) -> tuple[str, Script]:
    script = composed(seed, kinds)
    return broken, script if broken == "I12" else shrunk_trial(script, broken)


def _mutated(name: str, seed: int) -> Outcome:
    mutant = mutant_named(name)
    with mutant.planted():
        return _outcome(seed, tried(composed(seed, mutant.kinds, mutant.settings)))


def _outcome(seed: int, trial: Trial) -> Outcome:
    violations = tuple(trial.violations[:20])
    return Outcome(
        *(seed, violations, trial.operations, trial.faults, trial.virtual_ms, trial.events, trial.digest),
        tuple(trial.script.origin["drawn"]),
    )


def _in_workers(function: Callable[..., object], tasks: Iterable[tuple[object, ...]], jobs: int) -> Iterator[Any]:
    """Results in the order they end; only a few tasks wait at a time."""
    context = get_context("spawn")
    with ProcessPoolExecutor(jobs, context, _limit_memory, max_tasks_per_child=TRIALS_PER_WORKER) as pool:
        running: set[Future[object]] = set()
        try:
            for task in tasks:
                if len(running) >= jobs * WAITING_PER_JOB:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    yield from (each.result() for each in done)
                running.add(pool.submit(function, *task))
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (each.result() for each in done)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _limit_memory() -> None:
    """A trial that would eat the machine ends with a MemoryError instead, where the system can do that."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (WORKER_BYTES_MAX, resource.getrlimit(resource.RLIMIT_AS)[1]))
