"""What a batch of grades is written as: tables, a Canvas gradebook, Gradescope's results, feedback, a summary."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from dynalab.course.grader import STATUSES, Grade
from dynalab.course.intake import CANVAS_COLUMNS, Roster

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:50em;margin:2em auto;padding:0 1em}"
    "pre{background:#f4f4f4;padding:.8em;overflow:auto}table{border-collapse:collapse}"
    "td,th{border:1px solid #bbb;padding:.2em .6em;text-align:left}"
)


def write_all(grades: list[Grade], out: Path, roster: Roster, odd: Sequence[str], alike: Sequence[str]) -> None:
    """Write every kind of report into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    _table(out / "scores.csv", ("student_id", "exercise", "score", "max_score"), _totals(grades))
    _table(out / "tasks.csv", ("student_id", "exercise", "task", "status", "points", "max_points"), _tasks(grades))
    _table(out / "canvas.csv", *canvas(grades, roster))
    for grade in grades:
        name = f"{safe(grade.student)}-{grade.exercise}"
        (out / "feedback").mkdir(exist_ok=True)
        (out / "feedback" / f"{name}.html").write_text(feedback(grade), encoding="utf-8")
        (out / "gradescope" / name).mkdir(parents=True, exist_ok=True)
        text = json.dumps(gradescope(grade), indent=1, ensure_ascii=False)
        (out / "gradescope" / name / "results.json").write_text(text + "\n", encoding="utf-8")
    (out / "summary.html").write_text(summary(grades, odd, alike), encoding="utf-8")


def safe(name: str) -> str:
    """A student's name as a file's name."""
    return re.sub(r"[^\w.-]+", "_", name).strip(".") or "nobody"


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


def gradescope(grade: Grade) -> dict[str, Any]:
    """Gradescope's results.json of one submission."""
    tests = [
        {
            "name": each.task,
            "score": each.points,
            "max_score": each.most,
            "status": "passed" if each.status == "passed" else "failed",
            "output": f"{each.status}\n{each.text}".strip(),
            "output_format": "text",
            "visibility": "visible",
        }
        for each in grade.results
    ]
    notes = "\n".join([f"seed {grade.seed}", *grade.notes])
    return {"score": grade.score, "output": notes, "visibility": "visible", "tests": tests}


def feedback(grade: Grade) -> str:
    """One student's page."""
    parts = [f"<h1>{escape(grade.exercise)}: {grade.score} of {grade.most} points</h1>"]
    parts += [f"<p>{escape(grade.student)}. The cases follow from the seed <code>{escape(grade.seed)}</code>.</p>"]
    for each in grade.results:
        parts.append(f"<h2>{escape(each.task)}: {escape(each.status)} ({each.points}/{each.most})</h2>")
        parts.append(f"<pre>{escape(each.text)}</pre>" if each.text else "")
    parts.append("<h2>Notes</h2>" + _listed(grade.notes) if grade.notes else "")
    return _page(f"{grade.exercise} {grade.student}", parts)


def summary(grades: list[Grade], odd: Sequence[str], alike: Sequence[str]) -> str:
    """The class's page: how each task went, and what a human should look at."""
    parts = [f"<h1>{len(grades)} submissions</h1>", _rates(grades)]
    flagged = [f"{each.student}, {each.exercise}: {flag}" for each in grades for flag in each.flags]
    for title, lines in (("To look at", flagged), ("Near-identical answers", alike), ("Not taken", odd)):
        parts += [f"<h2>{title}</h2>", _listed(lines) if lines else "<p>None.</p>"]
    return _page("Class summary", parts)


def _rates(grades: list[Grade]) -> str:
    rows = []
    tasks = dict.fromkeys(each.task for grade in grades for each in grade.results)
    for task in tasks:
        got = [each.status for grade in grades for each in grade.results if each.task == task]
        share = got.count("passed") / len(got)
        rows.append([task, f"{share:.0%}", *[str(got.count(status)) for status in STATUSES]])
    heads = "".join(f"<th>{escape(head)}</th>" for head in ("task", "success", *STATUSES))
    body = "".join("<tr>" + "".join(f"<td>{escape(value)}</td>" for value in row) + "</tr>" for row in rows)
    return f"<table><tr>{heads}</tr>{body}</table>"


def _listed(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def _page(title: str, parts: Sequence[str]) -> str:
    body = "\n".join(part for part in parts if part)
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'
