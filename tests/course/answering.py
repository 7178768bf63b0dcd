"""Answers out of notebooks, loaded and judged as the checks do."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from dynalab.course.exercises import answers, mark_of, read, source_of

ROOT = Path(__file__).parent.parent.parent
SOLUTIONS = sorted((ROOT / "solutions").glob("*.ipynb"))


def cells(path: Path) -> dict[str, str]:
    """{task: source of its answer cell} of one notebook."""
    return {task: source_of(cell) for task, cell in answers(read(path))}


def judged_names(path: Path) -> dict[str, list[str]]:
    """{task: names that its check line is called with}."""
    named = {}
    for cell in read(path)["cells"]:
        if mark_of(cell).get("grade"):
            call = ast.parse(source_of(cell)).body[0]
            assert isinstance(call, ast.Expr)
            assert isinstance(call.value, ast.Call)
            named[mark_of(cell)["grade_id"].removeprefix("check-")] = [ast.unparse(each) for each in call.value.args]
    return named


def loaded(source: str, names: list[str]) -> list[Any]:
    """The named answers of a source, as a notebook would define them."""
    namespace: dict[str, Any] = {"__name__": "answer"}
    exec(compile(source, "<answer>", "exec"), namespace)
    return [namespace[name] for name in names]
