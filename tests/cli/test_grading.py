"""`dynalab check` and `dynalab grade` for programs: one JSON object, and the exit code as without it."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from dynalab.cli import main

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.live


@pytest.fixture
def at_work(tmp_path: Path, root_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A student's folder with an exercise that nobody has begun."""
    shutil.copy(root_dir / "exercises" / "01-ring.ipynb", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_program_reads_how_far_an_exercise_is(at_work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every task with its points and its state; 1 as long as points are missing."""
    assert main(["check", "01", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["notebook"], told["score"]) == ("01-ring.ipynb", 0)
    assert {task["status"] for task in told["tasks"]} == {"not started"}
    assert sum(task["most"] for task in told["tasks"]) == told["most"] > 0


def test_a_program_reads_the_grades(at_work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who has how many points, and what was not taken; 0 because something was graded."""
    (at_work / "notes.txt").write_text("not a notebook", encoding="utf-8")
    assert main(["grade", ".", "--exercise", "01", "--json", "--workers", "1"]) == 0
    told = json.loads(capsys.readouterr().out)
    (graded,) = told["graded"]
    assert (graded["exercise"], graded["score"]) == ("01-ring", 0)
    assert graded["most"] > 0
    assert (at_work / told["out"] / "summary.html").is_file()
