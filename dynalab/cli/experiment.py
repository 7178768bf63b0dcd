"""`dynalab experiment`: measure the paper's promises, and explain what was seen on one page."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynalab.core.errors import DynalabError

if TYPE_CHECKING:
    from dynalab.bench.experiments.frame import Experiment, Findings, Run
    from dynalab.bench.experiments.page import Done

HELP = "measure the paper's promises: tables, pictures and one page that explains them"
EXAMPLES = (
    "dynalab experiment all --quick             every experiment, under 5 minutes on 2 cores",
    "dynalab experiment all --out results/      for a report; takes longer",
    "dynalab experiment staleness balance       two of them",
    "dynalab experiment list                    what there is",
)
BAR = 24


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("names", nargs="+", metavar="name", help="names of experiments, or all, or list")
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder for the files (default: results)")
    parser.add_argument("--quick", action="store_true", help="fewer requests, fewer points")
    parser.add_argument("--seed", type=int, default=5, help="all chance of ours follows from it (default: 5)")
    parser.add_argument("--json", action="store_true", help="print one JSON list of claims instead of the table")


def run(options: argparse.Namespace) -> int:
    """Carry the experiments out; 0 only if every one showed what it claims."""
    from dynalab.bench.experiments import NAMES
    from dynalab.cli import DONE, FAILED, NOT_UNDERSTOOD

    if options.names == ["list"]:
        _print_list()
        return DONE
    unknown = [name for name in options.names if name not in (*NAMES, "all")]
    if unknown:
        print(
            f"dynalab experiment: no experiment is called {unknown[0]!r}; there are all, {', '.join(NAMES)}",
            file=sys.stderr,
        )
        return NOT_UNDERSTOOD
    chosen = [name for name in NAMES if "all" in options.names or name in options.names]
    done = _carry_out(chosen, options)
    print(json.dumps([_told(each) for each in done], ensure_ascii=False)) if options.json else _print_claims(done)
    return DONE if all(each.findings.hold for each in done) else FAILED


def _carry_out(chosen: list[str], options: argparse.Namespace) -> list[Done]:
    """One after the other; the page is written after each, so that nothing is lost when somebody ends it."""
    from dynalab.bench.experiments import experiment
    from dynalab.bench.experiments.frame import Run
    from dynalab.bench.experiments.page import Done, write_files, write_page

    options.out.mkdir(parents=True, exist_ok=True)  # Now, not after minutes of measuring.
    done: list[Done] = []
    for name in chosen:
        each, size = experiment(name), "quick" if options.quick else "full"
        begun = time.perf_counter()
        findings = _found(each, Run(size, options.seed, _Bar(each.name).told))
        done.append(Done(each, findings, size, options.seed, time.perf_counter() - begun))
        files = write_files(done[-1], options.out)
        page = write_page(done, options.out)
        print(f"{len(files)} files in {options.out}", file=sys.stderr)
    print(f"The page: {page}", file=sys.stderr)
    return done


def _found(each: Experiment, run: Run) -> Findings:
    """What it found; one that ends in an error has not shown what it claims, and the others go on."""
    from dynalab.bench.experiments.frame import Findings

    try:
        return each.run(run)
    except DynalabError as error:
        findings = Findings()
        findings.claim("It can be carried out", f"{type(error).__name__}: {error}", holds=False)
        return findings


class _Bar:
    """How far an experiment is, on standard error: redrawn on a terminal, a line per tenth elsewhere."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tenth = -1

    def told(self, share: float, words: str) -> None:
        """Show it."""
        filled = round(share * BAR)
        line = f"{self._name:<11} [{'#' * filled}{'.' * (BAR - filled)}] {share:>4.0%}  {words[:60]}"
        if sys.stderr.isatty():
            end = "\n" if share >= 1 else ""
            print(f"\r\x1b[K{line}", end=end, file=sys.stderr, flush=True)
        elif int(share * 10) > self._tenth:
            self._tenth = int(share * 10)
            print(line, file=sys.stderr, flush=True)


def _told(done: Done) -> dict[str, Any]:
    return {
        "experiment": done.experiment.name,
        "size": done.size,
        "seed": done.seed,
        "took_s": round(done.took_s, 1),
        "result": done.findings.result,
        "claims": [claim._asdict() for claim in done.findings.claims],
    }


def _print_claims(done: list[Done]) -> None:
    for each in done:
        print(f"\n{each.experiment.number}. {each.experiment.title}  ({each.took_s:.1f} s, seed {each.seed})")
        if each.findings.result:
            print(f"  {each.findings.result}")
        for claim in each.findings.claims:
            print(f"  {'holds' if claim.holds else 'FAILS':<6} {claim.words}\n         seen: {claim.seen}")


def _print_list() -> None:
    from dynalab.bench.experiments import NAMES, experiment

    for name in NAMES:
        each = experiment(name)
        print(f"{each.number}  {name:<11} {each.title}  ({each.world})")
