"""What a search says: a page with what ran and what broke, and the story of one broken run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynalab.check.report import Violation
from dynalab.core.trace import TraceEvent
from dynalab.explore.play import Play
from dynalab.explore.script import Script
from dynalab.explore.search import Findings
from dynalab.explore.trial import Trial, trial_of

TIMELINE_MAX = 150
_EVERYWHERE = ("fault", "start", "stop", "incarnation", "member")
_NEVER = ("send", "receive")


def as_json(findings: Findings) -> dict[str, Any]:
    """The findings as built-in values."""
    return {
        "seeds": findings.seeds,
        "first": findings.first,
        "faults": list(findings.kinds),
        "simulated_hours": round(findings.virtual_ms / 3_600_000, 3),
        "wall_seconds": round(findings.wall_s, 1),
        "events": findings.events,
        "operations": dict(sorted(findings.operations.items())),
        "fault_counts": dict(sorted(findings.faults.items())),
        "scripts_by_fault": dict(sorted(findings.scripts.items())),
        "replayed": findings.replayed,
        "violations": [
            {"seed": failure.seed, "broken": list(failure.broken), "texts": [str(v) for v in failure.violations]}
            for failure in findings.failures
        ],
    }


def page(findings: Findings) -> str:
    """The report as Markdown: what was run, and every seed that broke something."""
    hours, wall_s = findings.virtual_ms / 3_600_000, max(findings.wall_s, 0.001)
    last = findings.first + findings.seeds - 1
    lines = [
        "# Search",
        "",
        f"- seeds: {findings.seeds:,} ({findings.first} to {last}), {findings.replayed:,} of them twice",
        f"- simulated: {hours:,.2f} hours in {wall_s:,.0f} s ({findings.virtual_ms / 1000 / wall_s:,.0f} to 1)",
        f"- client operations: {sum(findings.operations.values()):,}; trace events: {findings.events:,}",
        f"- violations: {sum(len(failure.violations) for failure in findings.failures):,}",
        "",
        *_table("operation", findings.operations),
        *_table("fault", findings.faults),
        *_table("scripts with", findings.scripts),
        "## Violations",
        "",
    ]
    for failure in findings.failures:
        lines += [f"### seed {failure.seed}: {', '.join(failure.broken)}", "", *_items(failure.violations), ""]
    lines += (
        [] if findings.failures else ["None. Silence of a simulator is not proof; the kill table says what it hears."]
    )
    return "\n".join(lines) + "\n"


def _table(what: str, counts: Mapping[str, int]) -> list[str]:
    rows = [f"| {name} | {count:,} |" for name, count in sorted(counts.items())]
    return [f"| {what} | times |", "|---|---:|", *rows, ""]


def _items(violations: tuple[Violation, ...]) -> list[str]:
    return [f"- {violation}" for violation in violations]


def told(script: Script) -> tuple[Trial, str]:
    """Play a script once more; what became of it, and its story: steps, violations, and what the nodes did."""
    play = Play(script)
    trial = trial_of(play)
    lines = ["The script:", str(script), ""]
    lines += ["What broke:", *map(str, trial.violations)] if trial.violations else ["Nothing broke."]
    if trial.violations:
        lines += ["", "What clients did:", str(play.recorder.history)]
        lines += ["", "What nodes did:", *timeline(play, trial)]
    return trial, "\n".join(lines) + "\n"


def timeline(play: Play, trial: Trial) -> list[str]:
    """The steps of the nodes that concern the broken keys, in order; messages only when they were lost."""
    keys = {violation.key.encode() for violation in trial.violations if violation.key}
    lines = [str(event) for event in play.sim.events if _tells(event, keys)]
    if len(lines) <= TIMELINE_MAX:
        return lines
    half = TIMELINE_MAX // 2
    return [*lines[:half], f"... {len(lines) - 2 * half} more ...", *lines[-half:]]


def _tells(event: TraceEvent, keys: set[bytes]) -> bool:
    if event.kind in _EVERYWHERE:
        return True
    return event.kind not in _NEVER and bool(event.key) and (not keys or event.key in keys)
