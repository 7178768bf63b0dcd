"""`dynalab torture`: random faults against real processes under load, judged."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "break a live cluster at random under load, and judge what it did"
EXAMPLES = (
    "dynalab torture --minutes 5                  five processes, two faults at a time",
    "dynalab torture --minutes 20 --soak          a longer run for memory and file handles",
    "dynalab torture --seed 7 --report run.json   another schedule, the whole outcome in a file",
)


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


def run(options: argparse.Namespace) -> int:
    """0: nothing is broken; 1: something is, and the report says what."""
    from dynalab.cli import DONE, FAILED
    from dynalab.explore.torture import has_grown, torture

    def say(line: str) -> None:
        print(line, flush=True)

    outcome = torture(
        *(options.minutes, options.seed, options.nodes, options.clients, options.faults, options.report),
        say=(lambda _: None) if options.quiet else say,
    )
    print(outcome)
    print(f"report: {options.report}")
    grown = has_grown(outcome.growth) if options.soak else ""
    if grown:
        print(f"GROWN: {grown}")
    return DONE if outcome.ok and not grown else FAILED
