"""`dynalab search` from the command line: progress, files, exit codes."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dynalab.core.errors import InvalidSetting
from dynalab.explore import report, search
from dynalab.explore.compose import kinds_named
from dynalab.explore.mutants import MUTANTS, Mutant
from dynalab.explore.script import UnreadableScript, loaded, saved
from dynalab.explore.search import Findings, Outcome

SHRUNK_MAX = 6
"""So many failures, each of another invariant, are made short."""


def run(options: argparse.Namespace) -> int:
    """Do what the options say; the exit code: 0 when no rule is broken and no planted bug survives."""
    if options.seeds < 1 or options.first < 0 or options.jobs < 0:
        raise InvalidSetting("--seeds must be 1 or more, --first and --jobs 0 or more")
    options.jobs = options.jobs or search.cores()
    if options.replay is not None:
        return _replay(options)
    return _kill_table(options) if options.mutants else _search(options)


def _search(options: argparse.Namespace) -> int:
    kinds = kinds_named(options.faults)
    started = time.monotonic()
    with progress("seeds", options.seeds) as moved:
        findings = search.search(
            range(options.first, options.first + options.seeds),
            kinds,
            options.jobs,
            lambda outcome: moved(_bad(outcome)),
        )
    findings.wall_s = time.monotonic() - started
    files = [] if options.no_shrink else _shorten(findings, options)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "report.md").write_text(report.page(findings), encoding="utf-8")
    if options.json:
        print(json.dumps({**report.as_json(findings), "files": [str(path) for path in files]}, indent=1))
    else:
        print(report.page(findings) + f"\nreport: {options.out / 'report.md'}")
    return 1 if findings.failures else 0


def _bad(outcome: Outcome) -> str:
    return f"seed {outcome.seed} breaks {', '.join(outcome.broken)}" if outcome.violations else ""


def _shorten(findings: Findings, options: argparse.Namespace) -> list[Path]:
    """Make one failure of each kind short, tell its story, and save it."""
    files = []
    for broken, script in search.shortest(findings.failures, findings.kinds, options.jobs, SHRUNK_MAX):
        options.out.mkdir(parents=True, exist_ok=True)
        path = options.out / f"{broken}.json"
        trial, story = report.told(script)
        texts = [str(violation) for violation in trial.violations]
        path.write_text(saved(script, broke=texts), encoding="utf-8")
        print(f"{story}\nsaved; once more: dynalab search --replay {path}\n", file=sys.stderr)
        files.append(path)
    return files


def _replay(options: argparse.Namespace) -> int:
    try:
        script = loaded(options.replay.read_text(encoding="utf-8"))
    except UnreadableScript as error:
        raise InvalidSetting(f"{options.replay}: {error}") from None
    trial, story = report.told(script)
    if options.json:
        print(json.dumps({"script": script.as_json(), "violations": [str(v) for v in trial.violations]}, indent=1))
    else:
        print(story)
    return 1 if trial.violations else 0


def _kill_table(options: argparse.Namespace) -> int:
    found: dict[str, Outcome | None] = {}
    with progress("planted bugs", len(MUTANTS)) as moved:
        for mutant in MUTANTS:
            found[mutant.name] = search.hunted(mutant.name, options.jobs)
            moved("" if found[mutant.name] else f"{mutant.name} was not found")
    if options.json:
        print(json.dumps([_row(mutant, found[mutant.name]) for mutant in MUTANTS], indent=1))
    else:
        print(kill_table(found))
    return 0 if all(found.values()) else 1


def _row(mutant: Mutant, outcome: Outcome | None) -> dict[str, object]:
    broken = list(outcome.broken) if outcome else []
    return {
        "name": mutant.name,
        "mistake": mutant.mistake,
        "scenario": mutant.scenario,
        "within": mutant.seeds,
        "seed": outcome.seed if outcome else None,
        "broken": broken,
    }


def kill_table(found: dict[str, Outcome | None]) -> str:
    """The kill table as Markdown: mutant, mistake, scenario, the seed that found it, what it broke."""
    lines = ["| planted bug | the mistake | row | found at seed | within | breaks |", "|---|---|---|---:|---:|---|"]
    for mutant in MUTANTS:
        outcome = found.get(mutant.name)
        by = f"{outcome.seed} | {mutant.seeds} | {' '.join(outcome.broken)}" if outcome else f"NOT | {mutant.seeds} | "
        lines.append(f"| {mutant.name} | {mutant.mistake} | {mutant.scenario} | {by} |")
    return "\n".join(lines)


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[str], None]]:
    """A bar on standard error where `tqdm` is installed, else a line now and then; call it for every one done."""
    try:
        from tqdm import tqdm
    except ImportError:
        yield _plain(what, total)
        return
    with tqdm(total=total, unit=" " + what, file=sys.stderr, dynamic_ncols=True) as bar:

        def moved(said: str) -> None:
            bar.update()
            if said:
                bar.write(said, file=sys.stderr)

        yield moved


def _plain(what: str, total: int) -> Callable[[str], None]:
    done = 0

    def moved(said: str) -> None:
        nonlocal done
        done += 1
        if said or done == total or done % max(1, total // 20) == 0:
            print(f"{done} of {total} {what}{': ' + said if said else ''}", file=sys.stderr)

    return moved
