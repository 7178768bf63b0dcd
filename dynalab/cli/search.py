"""`dynalab search`: random clients and faults over the simulation, judged; what breaks is made short."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "look for broken rules under random faults, and make what is found short"
EXAMPLES = (
    "dynalab search                               200 seeds, all kinds of faults, all cores",
    "dynalab search --seeds 2000 --faults all     the size of a release",
    "dynalab search --faults crash,wipe --first 5000",
    "dynalab search --replay search/I1.json       one script once more, with its story",
    "dynalab search --mutants                     is every planted bug found?",
    "dynalab search --json                        for programs",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("--seeds", type=int, default=200, metavar="N", help="how many scripts to try (default: 200)")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="the first seed (default: 0)")
    parser.add_argument("--faults", default="all", metavar="KINDS", help="all, none, or kinds like loss,crash,wipe")
    parser.add_argument("--jobs", type=int, default=0, metavar="N", help="worker processes (default: one per core)")
    parser.add_argument("--out", type=Path, default=Path("search"), metavar="DIR", help="for report and short scripts")
    parser.add_argument("--no-shrink", action="store_true", help="only name the seeds that break something")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="play one saved script, and tell its story")
    parser.add_argument("--mutants", action="store_true", help="look for every planted bug; prints the kill table")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def run(options: argparse.Namespace) -> int:
    """Search; 0: nothing broke (or every planted bug was found), 1: something did."""
    from dynalab.explore.commands import run as searched

    return searched(options)
