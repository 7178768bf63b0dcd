"""Answers out of whatever a student handed in, and into the pristine key.

Theory of operation.
Of a submission only the answer cells count; every other cell is the key's.
An answer is looked for by its nbgrader name, then by its cell id, then by what it defines,
so that lost metadata, retyped cells, duplicates and other notebook formats cost nobody a right answer.
All that had to be mended becomes a note.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dynalab.course.exercises import Notebook, answers, mark_of, read, source_of, tasks, without_solution
from dynalab.course.rules import cleaned

BYTES_MAX = 20_000_000


@dataclass
class Key:
    """One solution, as the grader needs it.

    Attributes:
        name: as ``03-quorums``.
        points: ``{task: points}``.
        names: ``{task: names that its check is called with}``.
        solutions: ``{task: our answer}``; stubs: ``{task: what students get}``.
    """

    name: str
    notebook: Notebook
    points: dict[str, int]
    names: dict[str, list[str]]
    solutions: dict[str, str]
    stubs: dict[str, str]

    @property
    def total(self) -> int:
        """All points together."""
        return sum(self.points.values())


@dataclass
class Handed:
    """What was found in one submission.

    Attributes:
        found: ``{task: source}``; a task that is not there was not found.
        notes: what had to be mended, for the student to read.
        unreadable: why nothing could be read; empty when it could.
    """

    found: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    unreadable: str = ""


def key_of(path: Path) -> Key:
    """The key in one solution."""
    notebook = read(path)
    solutions = {task: source_of(cell) for task, cell in answers(notebook)}
    stubs = {task: without_solution(text) for task, text in solutions.items()}
    return Key(path.stem, notebook, tasks(notebook), _judged_names(notebook), solutions, stubs)


def _judged_names(notebook: Notebook) -> dict[str, list[str]]:
    names = {}
    for cell in notebook["cells"]:
        if mark_of(cell).get("grade"):
            call = ast.parse(source_of(cell)).body[0]
            assert isinstance(call, ast.Expr)
            assert isinstance(call.value, ast.Call)
            names[mark_of(cell)["grade_id"].removeprefix("check-")] = [ast.unparse(each) for each in call.value.args]
    return names


def cells_of(path: Path) -> list[dict[str, Any]]:
    """The cells of a notebook of format 3 or 4.

    Raises:
        ValueError: it is no notebook; the text says why.
    """
    if path.stat().st_size > BYTES_MAX:
        raise ValueError(f"it has {path.stat().st_size:,} bytes; at most {BYTES_MAX:,} are read")
    try:
        notebook = json.loads(path.read_bytes().decode("utf-8-sig"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ValueError(f"it is not a notebook: {str(error)[:200]}") from None
    if not isinstance(notebook, dict):
        raise ValueError("it is not a notebook: its JSON is no object")  # noqa: TRY004 - of its content
    sheets = notebook.get("worksheets")
    lists = [sheet.get("cells") for sheet in sheets if isinstance(sheet, dict)] if isinstance(sheets, list) else []
    cells = [cell for cells in [notebook.get("cells"), *lists] if isinstance(cells, list) for cell in cells]
    return [_of_format_4(cell) for cell in cells if isinstance(cell, dict)]


def _of_format_4(cell: dict[str, Any]) -> dict[str, Any]:
    return cell if "source" in cell or "input" not in cell else {**cell, "source": cell["input"]}


def chosen_key(path: Path, keys: Iterable[Key]) -> Key | None:
    """The key whose tasks a submission answers; by its content first, then by its file's name."""
    try:
        cells = cells_of(path)
    except (OSError, ValueError):
        cells = []
    ids = {mark_of(cell).get("grade_id") for cell in cells if isinstance(mark_of(cell).get("grade_id"), str)}
    ids |= {cell["id"] for cell in cells if isinstance(cell.get("id"), str)}
    fits = sorted(((len(ids & set(key.points)), key.name in path.name, key.name, key) for key in keys), key=_fit)
    matches, named, _, key = fits[-1]
    if matches or named:
        return key
    text = "\n".join(source_of(cell) for cell in cells)
    defining = [key for *_, key in fits if all(name in text for names in key.names.values() for name in names)]
    return defining[-1] if defining and cells else None


def _fit(fit: tuple[int, bool, str, Key]) -> tuple[int, bool, str]:
    return fit[:3]


def handed_in(path: Path, key: Key) -> Handed:
    """The answers of one submission; it never raises for what a student wrote."""
    try:
        cells = cells_of(path)
    except (OSError, ValueError) as error:
        return Handed(unreadable=str(error))
    handed = Handed()
    for task in key.points:
        source = _answer(task, key, cells, handed.notes)
        if source is not None:
            handed.found[task] = cleaned(source)
    handed.notes += _edited(key, cells)
    return handed


def _answer(task: str, key: Key, cells: list[dict[str, Any]], notes: list[str]) -> str | None:
    marked = [source_of(cell) for cell in cells if mark_of(cell).get("grade_id") == task]
    if not marked:
        marked = [source_of(cell) for cell in cells if cell.get("id") == task]
        if marked:
            notes.append(f"{task}: its metadata was lost; found by the cell's id")
    if not marked:
        marked = [text for text in map(source_of, cells) if _defines(text, key.names[task])]
        if marked:
            notes.append(f"{task}: its cell was replaced; found by what it defines")
    if not marked:
        notes.append(f"{task}: no answer cell was found")
        return None
    started = [text for text in marked if not is_stub(text, key.stubs[task]) and _defines(text, key.names[task])]
    if len(set(marked)) > 1:
        notes.append(f"{task}: {len(marked)} cells answer it; the last one that defines it counts")
    return (started or marked)[-1]


def is_stub(text: str, stub: str) -> bool:
    """Whether a cell is as students got it."""
    return text.split() == stub.split()


def _defines(text: str, names: list[str]) -> bool:
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    defined = {node.name for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    for node in body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        defined |= {target.id for target in targets if isinstance(target, ast.Name)}
    return set(names) <= defined


def _edited(key: Key, cells: list[dict[str, Any]]) -> list[str]:
    """Locked cells that are not as they were; they count for nothing, so this is a note and no more."""
    from dynalab.course.exercises import without_hidden

    handed = {str(mark_of(cell).get("grade_id")): source_of(cell) for cell in cells}
    notes = []
    for cell in key.notebook["cells"]:
        mark = mark_of(cell)
        if mark.get("locked") and mark.get("grade"):
            name = mark["grade_id"]
            if name not in handed:
                notes.append(f"{name}: this locked cell is gone; the original was used")
            elif handed[name].split() not in (without_hidden(source_of(cell)).split(), source_of(cell).split()):
                notes.append(f"{name}: this locked cell was edited; the original was used")
    return notes


def transplanted(key: Key, given: dict[str, str]) -> Notebook:
    """The key with these answers; every other task as students got it, and no outputs anywhere."""
    notebook = deepcopy(key.notebook)
    for task, cell in answers(notebook):
        cell["source"] = given.get(task, key.stubs[task])
    for cell in notebook["cells"]:
        cell["metadata"] = {"nbgrader": mark_of(cell)}
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
    return notebook
