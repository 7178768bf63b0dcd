"""One trial: a script is played, everything is mended, and the judges are asked.

Theory of operation.
First the safety phase, under faults; then all faults end, and the liveness phase begins:
the cluster must settle within a bound of virtual time, serve every node's clients,
and then stay as it is, whatever is read and exchanged (I5).
What an exception ends, or what never settles, is a violation like any other.
"""

from __future__ import annotations

import hashlib
import traceback
from dataclasses import dataclass, field

from dynalab.check import knowledge
from dynalab.check.history import UNKNOWN
from dynalab.check.losses import crash_forgets
from dynalab.check.report import Violation
from dynalab.check.verdict import judge_run
from dynalab.core.errors import DynalabError, NotSettled
from dynalab.explore.play import MessageStorm, Play
from dynalab.explore.script import CLIENT_VERBS, Script

SETTLE_MS = 60_000
"""A healed cluster must be at rest after so much virtual time."""


@dataclass
class Trial:
    """What became of one script.

    Attributes:
        script: what was played.
        violations: broken rules.
        not_checked: ``{invariant: why}``.
        operations: ``{"put ok": count}``, by kind and outcome.
        faults: ``{verb: times}`` that took effect.
        virtual_ms: how long it lasted.
        events: in the trace.
        digest: of the whole trace, in hexadecimal; empty when not asked for.
    """

    script: Script
    violations: list[Violation] = field(default_factory=list)
    not_checked: dict[str, str] = field(default_factory=dict)
    operations: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    passed_over: int = 0
    virtual_ms: float = 0.0
    events: int = 0
    digest: str = ""

    @property
    def broken(self) -> tuple[str, ...]:
        """The ids of the broken invariants, each once."""
        return tuple(dict.fromkeys(violation.invariant for violation in self.violations))


def tried(script: Script, with_digest: bool = False) -> Trial:
    """Play and judge a script."""
    return trial_of(Play(script), with_digest)


def trial_of(play: Play, with_digest: bool = False) -> Trial:
    """Carry out a play that has not begun, and judge it."""
    trial = Trial(play.script)
    try:
        play.faulty_phase()
        play.mend()
        _judge(play, trial)
    except MessageStorm as storm:
        trial.violations.append(Violation("I10", f"a storm of messages: {storm}"))
    except NotSettled as error:
        trial.violations += [Violation("I5", str(error)), *_from_trace(play)]
    except Exception:  # noqa: BLE001 - whatever a node's loop raises is what we are looking for
        trial.violations.append(Violation("I11", f"a node's loop crashed:\n{traceback.format_exc(limit=-6)}"))
    trial.violations = [*play.violations, *trial.violations]
    _count(play, trial)
    if with_digest:
        trial.digest = digest_of(play)
    return trial


def _judge(play: Play, trial: Trial) -> None:
    play.recorder.settle(timeout_ms=SETTLE_MS)
    trial.violations += [*_unserved(play), *_unasked_for(play)]
    report = judge_run(play.recorder, play.sim.events, SETTLE_MS)
    trial.violations += report.violations
    trial.not_checked = report.not_checked


def _unserved(play: Play) -> list[Violation]:
    """I11: once all is well again, every node must serve a put and a get, with the full quorum."""
    found = []
    for node in play.sim.nodes:
        client = play.recorder.client(f"visitor{node}", via=node)
        config = play.sim.config
        homes = min(config.n, len(play.sim.nodes))
        try:
            client.put(f"visit.{node}", "here", w=min(config.w, homes))
            client.get(f"visit.{node}", r=min(config.r, homes))
        except DynalabError as error:
            found.append(Violation("I11", f"all is mended, and node {node} does not serve: {error}"))
    return found


def _unasked_for(play: Play) -> list[Violation]:
    """I11: where nothing goes wrong, every client is answered within its deadline."""
    if any(step.verb not in CLIENT_VERBS for step in play.script.steps):
        return []
    late = [each for each in play.recorder.history.operations if each.outcome == UNKNOWN]
    return [Violation("I11", f"without any fault: {operation}", operation.key) for operation in late]


def _from_trace(play: Play) -> list[Violation]:
    """What can be judged of a run that did not come to rest."""
    events = play.sim.events
    forgets = crash_forgets(play.sim.config)
    return [
        *knowledge.early_answers(events),
        *knowledge.shrinking(events, forgets),
        *knowledge.repeated_dots(events, forgets),
    ]


def _count(play: Play, trial: Trial) -> None:
    for operation in play.recorder.history.operations:
        name = f"{operation.kind} {operation.outcome}"
        trial.operations[name] = trial.operations.get(name, 0) + 1
    trial.faults, trial.passed_over = dict(play.faults), play.passed_over
    trial.faults["message lost"] = play.sim.metrics()["dropped"]
    trial.virtual_ms, trial.events = play.sim.now_ms, len(play.sim.events)


def digest_of(play: Play) -> str:
    """16 bytes of all that happened, in hexadecimal."""
    digest = hashlib.blake2b(digest_size=16)
    for event in play.sim.events:
        digest.update(repr(event).encode())
    return digest.hexdigest()
