"""What a batch of grades is written as: tables, a Canvas gradebook, Gradescope's results, and the pages."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from dynalab.course.grader import Grade, Result
from dynalab.course.intake import CANVAS_COLUMNS, Roster
from dynalab.course.pages import feedback, file_name, safe, summary


def write_all(grades: list[Grade], out: Path, roster: Roster, odd: Sequence[str], alike: Sequence[str]) -> None:
    """Write every kind of report into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    _table(out / "scores.csv", ("student_id", "exercise", "score", "max_score"), _totals(grades))
    _table(out / "tasks.csv", ("student_id", "exercise", "task", "status", "points", "max_points"), _tasks(grades))
    _table(out / "canvas.csv", *canvas(grades, roster))
    for grade in grades:
        name = f"{safe(grade.student)}-{grade.exercise}"
        (out / "feedback").mkdir(exist_ok=True)
        (out / "feedback" / file_name(grade.student, grade.exercise)).write_text(feedback(grade), encoding="utf-8")
        (out / "gradescope" / name).mkdir(parents=True, exist_ok=True)
        text = json.dumps(gradescope([grade]), indent=1, ensure_ascii=False)
        (out / "gradescope" / name / "results.json").write_text(text + "\n", encoding="utf-8")
    (out / "tasks.md").write_text(markdown(grades), encoding="utf-8")
    (out / "summary.html").write_text(summary(grades, odd, alike), encoding="utf-8")


def _table(path: Path, heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(heads)
        writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: Any) -> Any:
    """A spreadsheet must not take a student's name for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t")) else value


def _totals(grades: list[Grade]) -> list[Sequence[Any]]:
    return [(each.student, each.exercise, each.score, each.most) for each in grades]


def _tasks(grades: list[Grade]) -> list[Sequence[Any]]:
    return [
        (grade.student, grade.exercise, each.task, each.status, each.points, each.most)
        for grade in grades
        for each in grade.results
    ]


def markdown(grades: list[Grade]) -> str:
    """A table of all tasks, as GitHub shows it in the summary of a job."""
    lines = ["| student | task | | points |", "|---|---|---|---|"]
    lines += [
        "| " + " | ".join(_plain(each) for each in (student, task, status, f"{points}/{most}")) + " |"
        for student, _, task, status, points, most in _tasks(grades)
    ]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """A name that means nothing to Markdown."""
    return re.sub(r"[^\w ,.()/-]", " ", text)


def canvas(grades: list[Grade], roster: Roster) -> tuple[list[str], list[list[Any]]]:
    """Heads and rows of a table that a Canvas gradebook imports: a row of possible points, then the students."""
    exercises = {each.exercise: each.most for each in grades}
    scores = {(each.student, each.exercise): each.score for each in grades}
    heads = ["Student", *CANVAS_COLUMNS, *exercises]
    rows: list[list[Any]] = [["    Points Possible", *[""] * len(CANVAS_COLUMNS), *exercises.values()]]
    for student in dict.fromkeys(each.student for each in grades):
        known = roster.canvas.get(student, {})
        columns = [known.get(column, "") for column in CANVAS_COLUMNS]
        rows.append([student, *columns, *[scores.get((student, exercise), "") for exercise in exercises]])
    return heads, rows


def gradescope(grades: Sequence[Grade], odd: Sequence[str] = ()) -> dict[str, Any]:
    """Gradescope's results.json of what one student handed in, one exercise or several."""
    notes = [f"seed {grade.seed}" for grade in grades[:1]] or ["no exercise was found in what was handed in"]
    notes += [f"{grade.exercise}: {note}" for grade in grades for note in grade.notes]
    notes += [f"not taken: {line}" for line in odd]
    return {
        "score": sum(grade.score for grade in grades),
        "output": "\n".join(notes),
        "output_format": "text",
        "visibility": "visible",
        "tests": [_gradescope_test(result) for grade in grades for result in grade.results],
    }


def _gradescope_test(result: Result) -> dict[str, Any]:
    return {
        "name": result.task,
        "score": result.points,
        "max_score": result.most,
        "status": "passed" if result.status == "passed" else "failed",
        "output": f"{result.status}\n{result.text}".strip(),
        "output_format": "text",
        "visibility": "visible",
    }
