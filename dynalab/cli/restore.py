"""`dynalab restore`: give a student back the locked cells, and keep the answers."""

from __future__ import annotations

import argparse

HELP = "put an exercise's locked cells back, and keep the answers"
EXAMPLES = ("dynalab restore 03", "dynalab restore ~/my/03-quorums.ipynb")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("exercise", help="a number, a name, or a notebook")


def run(options: argparse.Namespace) -> int:
    """Restore one notebook; what was there stays beside it."""
    from dynalab.cli import DONE
    from dynalab.cli.check import students_own
    from dynalab.course.exercises import home
    from dynalab.course.release import BACKUP, renew
    from dynalab.course.transplant import chosen_key, key_of

    path = students_own(options.exercise)
    pristine = {each.stem: each for each in sorted(home("exercises").glob("*.ipynb"))}
    key = chosen_key(path, [key_of(each) for each in pristine.values()])
    if key is None:
        raise FileNotFoundError(f"{path} is no exercise of this course")
    try:
        changed = renew(path, pristine[key.name])
    except ValueError as error:
        raise OSError(f"{path.name} cannot be restored: {error}; copy the exercise anew") from None
    print(f"{path}: restored; before, it was {path.name}{BACKUP}" if changed else f"{path}: as it should be")
    return DONE
