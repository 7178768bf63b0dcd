"""`dynalab grade`: grade what a class has handed in."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from dynalab.cli.shown import print_json

if TYPE_CHECKING:
    from dynalab.course.grader import Grade

HELP = "grade submissions: files, folders and zips of many students"
EXAMPLES = (
    "dynalab grade submissions/ --out grades/",
    "dynalab grade submissions.zip --out grades/ --roster roster.csv --exercise 03",
    "dynalab grade ann.ipynb --gradescope results.json",
    "dynalab grade submissions/ --json            for programs: who has how many points",
)
GRADE = ("student", "exercise", "score", "most")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    cores = min(os.cpu_count() or 1, 64)
    parser.add_argument("submissions", type=Path, help="a notebook, a zip, or a folder of those")
    parser.add_argument("--out", type=Path, default=Path("grades"), help="where the reports go (default: grades/)")
    parser.add_argument("--exercise", help="grade only this one, as 03")
    parser.add_argument("--roster", type=Path, help="CSV with the columns file and student, and Canvas columns")
    parser.add_argument("--seed", default="2007", help="of the cases (default: 2007)")
    parser.add_argument("--workers", type=int, default=cores, help=f"submissions graded at once (default: {cores})")
    parser.add_argument("--solutions", type=Path, help="the keys (default: solutions/ in the clone)")
    parser.add_argument("--gradescope", type=Path, help="one results.json of all that is here, as of one student")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the summary")


def run(options: argparse.Namespace) -> int:
    """Grade all; 0 unless nothing could be graded."""
    from dynalab.cli import DONE, FAILED, NOT_UNDERSTOOD
    from dynalab.course.batch import grade_all, near_identical
    from dynalab.course.exercises import home, page_named
    from dynalab.course.intake import roster_of, submissions
    from dynalab.course.jail import Apart
    from dynalab.course.report import gradescope, write_all
    from dynalab.course.runs import Runs
    from dynalab.course.transplant import key_of

    if not 1 <= options.workers <= 64:
        print(f"dynalab grade: --workers must be from 1 to 64; got {options.workers}", file=sys.stderr)
        return NOT_UNDERSTOOD
    solutions = options.solutions or home("solutions")
    paths = [page_named(solutions, options.exercise)] if options.exercise else sorted(solutions.glob("*.ipynb"))
    keys = [key_of(path) for path in paths]
    with tempfile.TemporaryDirectory(prefix="dynalab-grade-") as folder:
        work, unpacked = (Path(folder, name) for name in ("runs", "unpacked"))
        work.mkdir()
        unpacked.mkdir()
        try:
            roster = roster_of(options.roster)
        except ValueError as error:
            raise OSError(str(error)) from None
        handed, odd = submissions(options.submissions, keys, roster, unpacked)
        with Runs(work) as runs:
            if runs.apart is Apart.NOTHING:
                print("note: this system gives runs no network of their own; they keep yours", file=sys.stderr)
            grades = grade_all(handed, runs, options.seed, options.workers, _progress)
    write_all(grades, options.out, roster, odd, near_identical(grades, keys))
    if options.gradescope:
        options.gradescope.parent.mkdir(parents=True, exist_ok=True)
        options.gradescope.write_text(json.dumps(gradescope(grades, odd), indent=1) + "\n", encoding="utf-8")
    if options.json:
        graded = [{name: getattr(each, name) for name in GRADE} | {"flags": list(each.flags)} for each in grades]
        print_json({"seed": options.seed, "graded": graded, "not_taken": odd, "out": str(options.out)})
    else:
        _print(grades, odd, options)
    return DONE if grades else FAILED


def _print(grades: list[Grade], odd: list[str], options: argparse.Namespace) -> None:
    for line in odd:
        print(f"not taken: {line}")
    print(f"{len(grades)} graded with seed {options.seed}; {options.out / 'summary.html'} has the summary")


def _progress(done: int, of: int, grade: Grade) -> None:
    """One line per submission; on a terminal, a bar before it."""
    bar = f"[{'#' * (20 * done // of):<20}] " if sys.stderr.isatty() else ""
    flags = f"  ({'; '.join(grade.flags)})" if grade.flags else ""
    print(f"{bar}{done}/{of} {grade.student} {grade.exercise} {grade.score}/{grade.most}{flags}", file=sys.stderr)
