"""`dynalab check`: how far a student is with one exercise."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from dynalab.cli.shown import print_json

HELP = "say in words how far an exercise is: not started, not yet, passed"
EXAMPLES = (
    "dynalab check 03                  exercises/03-quorums.ipynb, here or in the clone",
    "dynalab check ~/my/03-quorums.ipynb",
    "dynalab check 03 --json           for programs",
)
RESULT = ("task", "status", "points", "most", "text")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("exercise", help="a number, a name, or a notebook")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")


def run(options: argparse.Namespace) -> int:
    """Check every answer by itself; 0 when all pass."""
    from dynalab.cli import DONE, FAILED
    from dynalab.course.checking import CLASSROOM_SEED
    from dynalab.course.exercises import home
    from dynalab.course.grader import grade
    from dynalab.course.runs import Runs
    from dynalab.course.transplant import chosen_key, key_of

    path = students_own(options.exercise)
    key = chosen_key(path, [key_of(each) for each in sorted(home("exercises").glob("*.ipynb"))])
    if key is None:
        raise FileNotFoundError(f"{path} is no exercise of this course")
    with tempfile.TemporaryDirectory(prefix="dynalab-check-") as folder, Runs(Path(folder)) as runs:
        graded = grade(path, key, "you", runs, CLASSROOM_SEED, with_notebook=False)
    if options.json:
        tasks = [{name: getattr(result, name) for name in RESULT} for result in graded.results]
        told = {"score": graded.score, "most": graded.most, "tasks": tasks, "notes": list(graded.notes)}
        print_json({"notebook": path.name, **told})
        return DONE if graded.score == graded.most else FAILED
    print(f"{path.name}: {graded.score} of {graded.most} points")
    for result in graded.results:
        print(f"  {result.task:<18} {result.status:<12} {result.points}/{result.most}")
        if result.text and result.status != "not started":
            print("    " + result.text.replace("\n", "\n    "))
    for note in graded.notes:
        print(f"  note: {note}")
    return DONE if graded.score == graded.most else FAILED


def students_own(name: str) -> Path:
    """The notebook that a student means: here, in exercises/ here, or in the clone.

    Raises:
        FileNotFoundError: there is none.
    """
    from dynalab.course.exercises import home, page_named

    for folder in (Path("exercises"), Path()):
        if any(folder.glob("[0-9][0-9]-*.ipynb")) and not Path(name).is_file():
            return page_named(folder, name)
    return page_named(home("exercises"), name)
