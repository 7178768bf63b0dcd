"""`dynalab torture`: random faults against real processes under load, judged."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from dynalab.cli.shown import print_json
from dynalab.core.errors import BadRequest

HELP = "break a live cluster at random under load, and judge what it did"
EXAMPLES = (
    "dynalab torture --minutes 5                  five processes, two faults at a time",
    "dynalab torture --minutes 20 --soak          a longer run for memory and file handles",
    "dynalab torture --seed 7 --report run.json   another schedule, the whole outcome in a file",
    "dynalab torture --minutes 1 --json           for programs",
)
MINUTES_MAX = 7 * 24 * 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("--minutes", type=float, default=5.0, help="how long the faults go on (default: 5)")
    parser.add_argument("--seed", type=int, default=0, help="of the schedule (default: 0)")
    parser.add_argument("--nodes", type=int, default=5, help="processes (default: 5)")
    parser.add_argument("--clients", type=int, default=4, help="sessions that ask all the while (default: 4)")
    parser.add_argument("--faults", type=int, default=2, help="faults at a time; 0: load only (default: 2)")
    parser.add_argument("--soak", action="store_true", help="fail also when memory or file handles grow")
    parser.add_argument("--report", type=Path, default=Path("torture.json"), help="report file (default: torture.json)")
    parser.add_argument("--quiet", action="store_true", help="print the verdict only")
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object instead of text")


def run(options: argparse.Namespace) -> int:
    """0: nothing is broken; 1: something is, and the report says what."""
    from dynalab.cli import DONE, FAILED
    from dynalab.explore.torture import has_grown, torture

    _refuse_nonsense(options)

    def say(line: str) -> None:
        print(line, file=sys.stderr if options.json else sys.stdout, flush=True)

    outcome = torture(
        *(options.minutes, options.seed, options.nodes, options.clients, options.faults, options.report),
        say=(lambda _: None) if options.quiet else say,
    )
    grown = has_grown(outcome.growth) if options.soak else ""
    if options.json:
        print_json({"ok": outcome.ok and not grown, "grown": grown, **json.loads(outcome.as_json())})
    else:
        print(outcome)
        print(f"report: {options.report}")
        if grown:
            print(f"GROWN: {grown}")
    return DONE if outcome.ok and not grown else FAILED


def _refuse_nonsense(options: argparse.Namespace) -> None:
    """Say what cannot be, before any process is started."""
    if not 0 < options.minutes <= MINUTES_MAX:
        raise BadRequest(f"--minutes must be above 0 and at most {MINUTES_MAX}; got {options.minutes:g}")
    for name, low, high in (("clients", 1, 64), ("faults", 0, 16)):
        if not low <= getattr(options, name) <= high:
            raise BadRequest(f"--{name} must be from {low} to {high}; got {getattr(options, name)}")
    if not options.report.parent.is_dir():
        raise BadRequest(f"--report is to be written into a folder that there is; {options.report.parent} is none")
