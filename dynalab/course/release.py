"""What students get, and how to give them back what they have broken.

A release holds notebooks and exercises: no solutions, no hidden tests.
A second release into the same folder renews the locked cells,
and never touches an answer, nor a cell of a student's own.
"""

from __future__ import annotations

import shutil
from copy import deepcopy
from pathlib import Path

from dynalab.course.exercises import Notebook, answers, mark_of, read, source_of, written
from dynalab.course.transplant import cells_of, handed_in, key_of

BACKUP = ".before"


def release(notebooks: Path, exercises: Path, target: Path) -> list[str]:
    """Write or renew a release; what was done, one line per file."""
    done = []
    (target / "notebooks").mkdir(parents=True, exist_ok=True)
    (target / "exercises").mkdir(parents=True, exist_ok=True)
    for path in sorted([*notebooks.glob("*.ipynb"), *notebooks.glob("README.md")]):
        copy = target / "notebooks" / path.name
        if not copy.exists():
            shutil.copyfile(path, copy)
            done.append(f"new      notebooks/{path.name}")
    for path in sorted(exercises.glob("*.ipynb")):
        copy = target / "exercises" / path.name
        if not copy.exists():
            shutil.copyfile(path, copy)
            done.append(f"new      exercises/{path.name}")
        elif renew(copy, path):
            done.append(f"renewed  exercises/{path.name}")
    return done


def renew(mine: Path, pristine: Path) -> bool:
    """Put the locked cells back, keep answers and own cells; whether anything changed.

    What was there before is kept beside it, with the ending ``.before``.
    """
    before = mine.read_bytes()
    restored = written(_with_answers(read(pristine), mine, pristine))
    if restored.encode() == before:
        return False
    mine.with_name(mine.name + BACKUP).write_bytes(before)
    mine.write_text(restored, encoding="utf-8")
    return True


def _with_answers(pristine: Notebook, mine: Path, path: Path) -> Notebook:
    """The pristine exercise with the answers, and after each of its cells the student's own that stood there.

    Raises:
        ValueError: the student's file is no notebook any more.
    """
    result = deepcopy(pristine)
    cells = cells_of(mine)
    found = handed_in(mine, key_of(path)).found
    for task, cell in answers(result):
        cell["source"] = found.get(task, source_of(cell))
    known = {mark_of(cell).get("grade_id") for cell in pristine["cells"]}
    taken = {text.strip() for text in found.values()} | {source_of(cell).strip() for cell in pristine["cells"]}
    own: dict[object, list[Notebook]] = {}
    after: object = None
    for cell in cells:
        name = mark_of(cell).get("grade_id") or cell.get("id")
        if name in known:
            after = name
        elif source_of(cell).strip() and source_of(cell).strip() not in taken:
            own.setdefault(after, []).append(_own(cell))
    ordered = list(own.get(None, []))
    for cell in result["cells"]:
        ordered += [cell, *own.get(mark_of(cell).get("grade_id"), [])]
    return {**result, "cells": ordered}


def _own(cell: Notebook) -> Notebook:
    """A cell of the student's own, as format 4.5 wants it, without what it has shown."""
    kind = cell.get("cell_type") if cell.get("cell_type") in ("code", "markdown", "raw") else "code"
    kept: Notebook = {"cell_type": kind, "id": str(cell.get("id", ""))[:64] or "own", "metadata": {}}
    kept["source"] = source_of(cell)
    return kept | ({"outputs": [], "execution_count": None} if kind == "code" else {})
