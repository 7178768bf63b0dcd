"""`dynalab exercises`: make the exercises out of the solutions, and hand them out."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "build the exercises from the solutions, or release them to students"
EXAMPLES = (
    "dynalab exercises build                     solutions/ -> exercises/, in a clone",
    "dynalab exercises release ~/class           notebooks and exercises; again: renews all but the answers",
    "dynalab exercises autograder autograder.zip for Gradescope",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("what", choices=("build", "release", "autograder"))
    parser.add_argument("target", type=Path, nargs="?", help="where to write; build: default exercises/ in the clone")
    parser.add_argument("--solutions", type=Path, help="default: solutions/ in the clone")


def run(options: argparse.Namespace) -> int:
    """Build, release, or pack."""
    from dynalab.cli import DONE, NOT_UNDERSTOOD
    from dynalab.course.autograder import write_zip
    from dynalab.course.exercises import build, home
    from dynalab.course.release import release

    if options.target is None and options.what != "build":
        print(f"dynalab exercises {options.what}: say where to write it")
        return NOT_UNDERSTOOD
    if options.what == "release":
        lines = release(home("notebooks"), home("exercises"), options.target)
        print("\n".join(lines) or f"{options.target} is up to date")
        return DONE
    solutions = options.solutions or home("solutions")
    if options.what == "autograder":
        print(write_zip(solutions, options.target))
        return DONE
    for path in build(solutions, options.target or solutions.parent / "exercises"):
        print(path)
    return DONE
