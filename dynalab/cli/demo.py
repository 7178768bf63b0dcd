"""`dynalab demo`: the tour's story in a terminal."""

from __future__ import annotations

import argparse
import json

from dynalab.core.config import Config

HELP = "tell the tour's story in the terminal, on five real processes"
EXAMPLES = (
    "dynalab demo              five processes, twelve steps, each checked",
    "dynalab demo --sim        the same in virtual time",
    "dynalab demo --json       how each step went, for programs",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("--sim", action="store_true", help="in the simulation instead of processes")
    parser.add_argument("--seed", type=int, default=7, help="of the simulation (default: 7)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the story")


def run(options: argparse.Namespace) -> int:
    """Tell the story; 0 only if every step showed what it claims."""
    from dynalab.cli import DONE, FAILED
    from dynalab.course.story import STEPS, tell

    said = _silent if options.json else _print
    told = tell(lambda: _cluster(options), said)
    shown = sum(step.shown for step in told)
    complete = shown == len(STEPS)
    if options.json:
        print(json.dumps({"complete": complete, "steps": [step._asdict() for step in told]}, ensure_ascii=False))
    else:
        took_s = sum(step.took_ms for step in told) / 1000
        said(f"{shown} of {len(STEPS)} steps showed what they claim, in {took_s:.1f} s.")
        said("Next: `dynalab lab` opens the same story as a notebook." if complete else f"Failed: {told[-1].step}.")
    return DONE if complete else FAILED


def _print(line: str) -> None:
    print(line, flush=True)


def _silent(_: str) -> None:
    """With --json only the object is printed."""


def _cluster(options: argparse.Namespace) -> object:
    config = Config(n=3, r=2, w=2, storage="log")
    if options.sim:
        from dynalab.sim.cluster import Simulation

        return Simulation(5, seed=options.seed, config=config)
    from dynalab.live.cluster import Cluster

    return Cluster(5, config=config)
