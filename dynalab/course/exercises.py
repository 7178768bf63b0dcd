"""Exercises out of solutions: the answers taken out, everything else the same.

`solutions/` is the only source.
Between ``### BEGIN SOLUTION`` and ``### END SOLUTION`` stands our answer, and students get a line that raises;
between ``### BEGIN HIDDEN TESTS`` and ``### END HIDDEN TESTS`` stands what only the grader runs.
Marks and metadata are nbgrader's (schema 3), so an nbgrader course takes the notebooks as they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import dynalab

STUB = ("# YOUR CODE HERE", "raise NotImplementedError()")
_SOLUTION = re.compile(r"^([ \t]*)### BEGIN SOLUTION\n.*?^[ \t]*### END SOLUTION[^\n]*", re.DOTALL | re.MULTILINE)
_HIDDEN = re.compile(
    r"\n?^[ \t]*### BEGIN HIDDEN TESTS\n.*?^[ \t]*### END HIDDEN TESTS[^\n]*", re.DOTALL | re.MULTILINE
)

Notebook = dict[str, Any]


def read(path: Path) -> Notebook:
    """A notebook as plain dicts.

    Raises:
        ValueError: it is no notebook of format 4.
        OSError: it cannot be read.
    """
    notebook = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise ValueError(f"{path.name} is no notebook: it has no list of cells")  # noqa: TRY004 - of its content
    return notebook


def written(notebook: Notebook) -> str:
    """A notebook as it is stored: the same bytes for the same content."""
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def source_of(cell: Mapping[str, Any]) -> str:
    """The text of a cell, which may be stored as lines; empty when it is something else."""
    source = cell.get("source", "")
    if isinstance(source, list):
        return "".join(part for part in source if isinstance(part, str))
    return source if isinstance(source, str) else ""


def mark_of(cell: Mapping[str, Any]) -> dict[str, Any]:
    """The nbgrader metadata of a cell; empty when it has none that can be read."""
    metadata = cell.get("metadata", {})
    mark = metadata.get("nbgrader", {}) if isinstance(metadata, dict) else {}
    return mark if isinstance(mark, dict) else {}


def answers(notebook: Notebook) -> Iterator[tuple[str, dict[str, Any]]]:
    """``(task, cell)`` of every cell that a student fills in."""
    for cell in notebook["cells"]:
        mark = mark_of(cell)
        if mark.get("solution") and not mark.get("locked"):
            yield str(mark["grade_id"]), cell


def tasks(notebook: Notebook) -> dict[str, int]:
    """``{task: points}`` of a notebook, in order."""
    marks = [mark_of(cell) for cell in notebook["cells"]]
    return {mark["grade_id"].removeprefix("check-"): int(mark["points"]) for mark in marks if mark.get("grade")}


def without_solution(text: str) -> str:
    r"""A source with every solution replaced by a line that raises.

    >>> print(without_solution("def one():\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION"))
    def one():
        # YOUR CODE HERE
        raise NotImplementedError()
    """
    return _SOLUTION.sub(lambda found: "\n".join(found.group(1) + line for line in STUB), text)


def without_hidden(text: str) -> str:
    """A source without what only the grader runs."""
    return _HIDDEN.sub("", text)


def exercise_of(solution: Notebook) -> Notebook:
    """What students get of a solution: no answers, no hidden tests, no outputs."""
    exercise = deepcopy(solution)
    for cell in exercise["cells"]:
        if cell["cell_type"] == "code":
            cell["source"] = without_hidden(without_solution(source_of(cell)))
            cell["outputs"], cell["execution_count"] = [], None
    return exercise


def home(folder: str) -> Path:
    """The folder of that name: beside the package in a clone, inside it where it was installed.

    Raises:
        FileNotFoundError: neither is there.
    """
    package = Path(dynalab.__file__).parent
    for place in (package.parent / folder, package / folder):
        if place.is_dir() and any(place.glob("*.ipynb")):
            return place
    raise FileNotFoundError(f"this installation has no {folder}; work in a clone, or install dynalab again")


def build(solutions: Path, exercises: Path) -> list[Path]:
    """Write the exercise of every solution; the paths written."""
    exercises.mkdir(parents=True, exist_ok=True)
    made = []
    for path in sorted(solutions.glob("*.ipynb")):
        target = exercises / path.name
        target.write_text(written(exercise_of(read(path))), encoding="utf-8")
        made.append(target)
    return made


def page_named(folder: Path, name: str) -> Path:
    """The notebook that a number or a name means: ``03``, ``3``, ``03-quorums`` or a path.

    Raises:
        FileNotFoundError: there is none; the text lists what there is.
    """
    if Path(name).is_file():
        return Path(name)
    stem = Path(name).stem
    for path in sorted(folder.glob("*.ipynb")):
        if stem in {path.stem, path.stem.split("-")[0], path.stem.split("-")[0].lstrip("0")}:
            return path
    there = ", ".join(path.stem for path in sorted(folder.glob("*.ipynb"))) or "none"
    raise FileNotFoundError(f"no exercise is called {name!r} in {folder}; there are: {there}")
