"""What students get: tasks with points and minutes, marks that nbgrader takes, and one verdict by every road."""

from __future__ import annotations

import json
import re

import pytest

from dynalab.course.checking import CLASSROOM_SEED, checks
from dynalab.course.exercises import answers, mark_of, read, source_of, tasks, written
from dynalab.course.grader import PYTEST, grade
from dynalab.course.transplant import key_of
from tests.course.answering import ROOT, SOLUTIONS, cells
from tests.course.mutants import MUTANTS

pytestmark = pytest.mark.timeout(300)  # For a busy machine; a run that hangs is ended by its own limit.

MARKS = {"schema_version": int, "grade": bool, "locked": bool, "solution": bool, "task": bool, "grade_id": str}
"""nbgrader's cell metadata, schema 3; a graded cell has `points` as well, and nothing else is allowed."""


@pytest.fixture(params=SOLUTIONS, ids=lambda path: path.stem)
def path(request):
    """Each solution in turn."""
    return request.param


def test_marks_are_nbgraders(path):
    """Every cell, of a solution and of its exercise, carries schema 3, with a name of its own."""
    for place in (path, ROOT / "exercises" / path.name):
        found = [(cell, mark_of(cell)) for cell in read(place)["cells"]]
        assert len({mark["grade_id"] for _, mark in found}) == len(found)
        for cell, mark in found:
            expected = MARKS | ({"points": int} if mark["grade"] else {})
            assert {name: type(value) for name, value in mark.items()} == expected
            assert mark["schema_version"] == 3
            assert re.fullmatch(r"[a-zA-Z0-9_-]+", mark["grade_id"])
            assert not (mark["locked"] and mark["solution"])
            is_open = cell["metadata"].get("editable", True) and cell["metadata"].get("deletable", True)
            assert is_open != mark["locked"]


def test_every_task_states_its_points_and_minutes(path):
    """At least three tasks; what the text says of each is what the check says, and the front page adds it up."""
    notebook = read(path)
    assert len(tasks(notebook)) >= 3
    texts = {mark_of(cell)["grade_id"]: source_of(cell) for cell in notebook["cells"]}
    mine = [checks()[task] for task in tasks(notebook)]
    for check in mine:
        points = "1 point" if check.points == 1 else f"{check.points} points"
        assert f"*{points}, about {check.minutes} minutes.*" in texts[f"text-{check.task}"]
    together = sum(check.minutes for check in mine), sum(check.points for check in mine)
    assert "About {} minutes, {} points.".format(*together) in texts["front"]


def test_a_solution_is_worth_its_points_and_an_untouched_exercise_nothing(path, runs):
    """By the second opinion, as `dynalab check` asks it; the notebook's own way is run with the solutions."""
    key = key_of(path)
    full = grade(path, key, "ann", runs, with_notebook=False)
    assert (full.score, full.notes) == (key.total, []), full.results
    empty = grade(ROOT / "exercises" / path.name, key, "bob", runs, with_notebook=False)
    assert [result.status for result in empty.results] == ["not started"] * len(key.points)


@pytest.mark.slow
def test_a_solution_is_worth_its_points_both_ways(path, runs):
    """The whole grader gives a solution all its points."""
    key = key_of(path)
    full = grade(path, key, "ann", runs)
    assert full.score == key.total, full.results


@pytest.mark.parametrize(
    "path",
    [pytest.param(each, marks=[] if each.stem == "02-clocks" else [pytest.mark.slow]) for each in SOLUTIONS],
    ids=lambda path: path.stem,
)
def test_nbval_and_check_agree(path, runs, tmp_path):
    """One task solved, one wrong, the rest untouched: `pytest --nbval` on the file and `dynalab check` say the same."""
    key, notebook = key_of(path), read(ROOT / "exercises" / path.name)
    solved, wrong, *_ = key.points
    _, old, new = MUTANTS[wrong][0]
    mine = {solved: cells(path)[solved], wrong: cells(path)[wrong].replace(old, new)}
    for task, cell in answers(notebook):
        cell["source"] = mine.get(task, cell["source"])
    room = tmp_path / "room"
    room.mkdir()
    page, results = room / path.name, tmp_path / "results"
    page.write_text(written(notebook), encoding="utf-8")
    by_check = grade(page, key, "ann", runs, CLASSROOM_SEED, with_notebook=False)
    arguments = [*PYTEST, "--rootdir", str(room), f"--dynalab-results={results}", str(page)]
    runs.run("notebook", room, 120, {"DYNALAB_WORLD": "sim"}, "", arguments)
    lines = map(json.loads, results.read_text(encoding="utf-8").splitlines())
    assert {line["task"]: line["passed"] for line in lines} == {
        result.task: result.status == "passed" for result in by_check.results
    }
    assert [result.status for result in by_check.results][:2] == ["passed", "not yet"]
