"""The invariants I1 to I13, each a small function that answers violations, and the judge that asks them all.

Theory of operation.
A judge is given `Evidence`: what clients did, what the nodes hold at the end, and, of a simulation, the whole trace.
Every invariant needs some of it; what it lacks evidence for it does not judge, and the report says so.
A live run is judged by client histories, faults and final states: its trace is a feed that may drop.

Rule 1: a check that cannot see is never counted as held.
Rule 2: a mode that gives an invariant up is exempt from it, and the report says which and why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from dynalab.check import contexts, finals, knowledge
from dynalab.check.finals import Inspections
from dynalab.check.history import FAIL, OK, PENDING, UNKNOWN, History, Operation
from dynalab.check.losses import Homes, Losses, crash_forgets
from dynalab.check.oracle import Oracle
from dynalab.check.report import Report, Violation
from dynalab.core.errors import ERRORS
from dynalab.core.trace import TraceEvent

GRACE_MS = 2_000
"""How long after its deadline an operation may end: the answer's own way back, on a busy machine."""

KNOWN_ERRORS = ("WriteQuorumNotReached", "RequestTimedOut", "PartFailed")
"""What a write whose effect is unknown is called; it must never be told as 'not written'."""

_ERROR_NAMES = frozenset(error.__name__ for error in ERRORS)
"""What a client may be told; anything else is a crash that it saw."""


@dataclass
class Evidence:
    """What a judge is given.

    Attributes:
        history: what the clients did, and the faults.
        inspections: every running node at the end, all quiet.
        homes: the homes of a key.
        config: the cluster's settings.
        trace: the complete trace of a simulation, or None.
        later: the nodes once more, after more reads and exchanges but no writes, or None.
        exempt: why an invariant is not to be judged, by id.
    """

    history: History
    inspections: Inspections
    homes: Homes
    config: Any
    trace: Sequence[TraceEvent] | None = None
    later: Inspections | None = None
    exempt: dict[str, str] = field(default_factory=dict)

    @cached_property
    def oracle(self) -> Oracle:
        """The causal histories of this run."""
        forgets = crash_forgets(self.config)
        extinct = None if self.trace is None else knowledge.extinct(self.trace, forgets)
        losses = Losses(self.history, self.homes, forgets, extinct)
        return Oracle(self.history, finals.finals_of(self.inspections), losses)


def check_i1(evidence: Evidence) -> Iterable[Violation]:
    """No acked write lost."""
    return evidence.oracle.lost()


def check_i2(evidence: Evidence) -> Iterable[Violation]:
    """Nothing invented."""
    return evidence.oracle.invented()


def check_i3(evidence: Evidence) -> Iterable[Violation]:
    """Nothing resurrected."""
    return evidence.oracle.resurrected()


def check_i4(evidence: Evidence) -> Iterator[Violation]:
    """Exact siblings."""
    yield from evidence.oracle.wrong_siblings()
    yield from contexts.greedy_reads(evidence.oracle)


def check_i5(evidence: Evidence) -> Iterator[Violation]:
    """Convergence and quiet."""
    yield from finals.unequal_replicas(evidence.inspections, evidence.homes)
    yield from finals.unequal_roots(evidence.inspections)
    yield from finals.left_over(evidence.inspections)
    if evidence.later is not None:
        yield from finals.not_quiet(evidence.inspections, evidence.later)


def check_i6(evidence: Evidence) -> Iterable[Violation]:
    """Placement."""
    return finals.wrong_places(evidence.inspections, evidence.homes)


def check_i7(evidence: Evidence) -> Iterator[Violation]:
    """Honest answers."""
    for operation in evidence.history.operations:
        yield from _dishonest(operation, evidence)
    for key in evidence.oracle.keys:
        refused = {op.write for op in evidence.history.of_key(key) if op.writes} - {
            op.write for op in evidence.history.of_key(key) if op.writes and op.outcome != FAIL
        }
        for where, seen in evidence.oracle.sightings(key):
            if seen.write in refused:
                text = f"{where} shows {seen.write} of {key!r}, whose client was told that it surely has no effect"
                yield Violation("I7", text, key, (seen.write,))
    if evidence.trace is not None:
        yield from knowledge.early_answers(evidence.trace)


def _dishonest(operation: Operation, evidence: Evidence) -> Iterator[Violation]:
    need = operation.need or (evidence.config.w if operation.writes else evidence.config.r)
    if operation.outcome == OK and len(set(operation.nodes)) < need:
        text = (
            f"'ok' for {operation.kind} {operation.write} of {operation.key!r} names {len(set(operation.nodes))} nodes"
        )
        yield Violation("I7", f"{text} ({', '.join(operation.nodes)}); {need} were needed", operation.key)
    if operation.outcome == FAIL and operation.writes and operation.error in KNOWN_ERRORS:
        text = f"{operation.error} told {operation.client} that write {operation.write} of {operation.key!r} failed"
        yield Violation("I7", f"{text}: it is unknown, never 'not written'", operation.key, (operation.write,))


def check_i8(evidence: Evidence) -> Iterator[Violation]:
    """Monotone state."""
    if evidence.trace is not None:
        yield from knowledge.shrinking(evidence.trace, crash_forgets(evidence.config))
    if evidence.later is not None:
        yield from finals.shrunk(evidence.inspections, evidence.later)


def check_i9(evidence: Evidence) -> Iterator[Violation]:
    """Unique events."""
    yield from evidence.oracle.reused_dots()
    if evidence.config.clocks == "dotted":
        yield from contexts.greedy_acknowledgements(evidence.oracle)
    if evidence.trace is not None:
        yield from knowledge.repeated_dots(evidence.trace, crash_forgets(evidence.config))


def check_i10(evidence: Evidence) -> Iterable[Violation]:
    """Bounded."""
    return finals.out_of_bounds(evidence.inspections, evidence.config)


def check_i11(evidence: Evidence) -> Iterator[Violation]:
    """Live."""
    for operation in evidence.history.operations:
        if operation.outcome == PENDING or operation.ended_us is None:
            yield Violation("I11", f"never ended: {operation}", operation.key)
        elif operation.outcome == UNKNOWN and operation.writes and operation.error not in _ERROR_NAMES:
            yield Violation("I11", f"ended by a crash: {operation}", operation.key)
    yield from finals.hung_requests(evidence.inspections)


def check_i12(first: bytes | str, second: bytes | str) -> Iterator[Violation]:
    """Deterministic: two logs of one seed and script, compared byte by byte (a hook for tests)."""
    if first != second:
        place = next(
            (i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
        )
        near = slice(max(0, place - 40), place + 40)
        yield Violation("I12", f"two runs of one seed differ at {place}: {first[near]!r} and {second[near]!r}")


def check_i13(before: Inspections, after: Inspections, counter: str = "", refused: int = 0) -> Iterator[Violation]:
    """Bad input is inert: state unchanged, node alive, and counted (a hook for tests).

    Args:
        before: the nodes before the bad input.
        after: the nodes after it.
        counter: the counter that must have grown, in sum over the nodes; empty: not looked at.
        refused: by how much at the least.
    """
    for node in before:
        if node not in after:
            yield Violation("I13", f"node {node} is gone after bad input")
    for violation in finals.not_quiet(before, after):
        yield violation._replace(invariant="I13")
    counted = _total(after, counter) - _total(before, counter)
    if counter and counted < refused:
        yield Violation("I13", f"{refused} bad inputs were sent, the counter {counter!r} grew by {counted}")


def _total(inspections: Inspections, counter: str) -> int:
    return sum(inspection["counters"].get(counter, 0) for inspection in inspections.values())


class Invariant(NamedTuple):
    """One entry of the registry."""

    id: str
    name: str
    sentence: str
    check: Callable[..., Iterable[Violation]]
    hook: str = ""
    """What a test must bring to call it itself; empty: the judge calls it."""


INVARIANTS: tuple[Invariant, ...] = (
    Invariant(
        "I1",
        "no acked write lost",
        "At rest every acked put lives, or a put whose context covered it has replaced it.",
        check_i1,
    ),
    Invariant(
        "I2",
        "nothing invented",
        "Every value that is returned was written by some put, and is identical to it.",
        check_i2,
    ),
    Invariant(
        "I3",
        "nothing resurrected",
        "What was superseded or deleted, and has converged as such, never comes back.",
        check_i3,
    ),
    Invariant(
        "I4",
        "exact siblings",
        "After full exchange the siblings of each key are those of its causal history.",
        check_i4,
    ),
    Invariant(
        "I5",
        "convergence and quiet",
        "At rest all homes hold equal state, no hint is left, and reads change nothing.",
        check_i5,
    ),
    Invariant("I6", "placement", "Each key is on exactly its N distinct home nodes.", check_i6),
    Invariant(
        "I7",
        "honest answers",
        "'ok' means that W (R) distinct nodes have stored (answered); a timeout means unknown.",
        check_i7,
    ),
    Invariant(
        "I8",
        "monotone state",
        "What a node knows of a key never shrinks, except by a wipe.",
        check_i8,
    ),
    Invariant("I9", "unique events", "One incarnation and counter name one write for ever.", check_i9),
    Invariant("I10", "bounded", "Siblings, clocks, hints and requests stay within their limits.", check_i10),
    Invariant("I11", "live", "Every operation ends, and nothing hangs.", check_i11),
    Invariant("I12", "deterministic", "One seed and one script give one log, byte for byte.", check_i12, "two logs"),
    Invariant(
        "I13",
        "bad input is inert",
        "A malformed or forged message changes nothing and is counted.",
        check_i13,
        "bad input",
    ),
)

NOT_FOR_LITERAL_CLOCKS = "the literal vector clock gives it up (RELIABILITY S01)"


def judge(evidence: Evidence) -> Report:
    """Ask every invariant for which there is evidence.

    Raises:
        TraceHasGaps, InspectionCutOff: the evidence is incomplete and must not be judged.
    """
    report = Report(story=str(evidence.history))
    if evidence.trace is not None:
        knowledge.without_gaps(evidence.trace)
    for invariant in INVARIANTS:
        why = _why_not(invariant, evidence)
        if why:
            report.not_checked[invariant.id] = why
            continue
        found = list(invariant.check(evidence))
        report.violations += found
        report.held += [] if found else [invariant.id]
    return report


def _why_not(invariant: Invariant, evidence: Evidence) -> str:
    """Why an invariant is not judged; empty: it is."""
    if invariant.id in evidence.exempt:
        return evidence.exempt[invariant.id]
    if evidence.config.clocks == "vector" and invariant.id in ("I1", "I3", "I4"):
        return NOT_FOR_LITERAL_CLOCKS
    if invariant.hook:
        return f"it needs {invariant.hook}; call {invariant.check.__name__}"
    if invariant.id == "I8" and evidence.trace is None and evidence.later is None:
        return "it needs a trace, or a second look at the nodes"
    return ""
