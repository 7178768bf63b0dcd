"""The pages of a batch of grades: one for each student, and a summary for the teacher."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from statistics import mean, median

from dynalab.course.grader import STATUSES, Grade, Result

SAID = {
    "passed": "right by itself and in the notebook",
    "not yet": "a check says no; what it tried and what it expected stands below",
    "not started": "no answer, or the cell as it was handed out",
    "refused": "the answer breaks a rule and was not run",
    "look": "right by itself, but not in the notebook; a person will look at it",
}
"""What each status means."""

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52em; margin: 2em auto; padding: 0 1em; }
h2 { margin: 2em 0 .4em; font-size: 1.2em; }
pre { background: #8882; padding: .8em; border-radius: .4em; white-space: pre-wrap; overflow-wrap: anywhere;
      font-size: .85em; }
table { border-collapse: collapse; width: 100%; }
td:nth-child(-n+2) { white-space: nowrap; }
td, th { border-bottom: 1px solid #8886; padding: .3em .6em; text-align: left; vertical-align: top; }
.status { border-radius: 1em; padding: .1em .7em; font-size: .8em; white-space: nowrap; border: 1px solid; }
.passed { color: #197a3a; } .not-yet { color: #b25000; } .not-started { color: #777; }
.refused, .look { color: #b3261e; }
meter { width: 8em; vertical-align: middle; }
p.quiet, summary { color: #777; font-size: .9em; }
"""


def file_name(student: str, exercise: str) -> str:
    """A student's page, by names that any file system takes."""
    return f"{safe(student)}-{exercise}.html"


def safe(name: str) -> str:
    """A student's name as a file's name."""
    return re.sub(r"[^\w.-]+", "_", name).strip(".") or "nobody"


def feedback(grade: Grade) -> str:
    """One student's page."""
    parts = [f"<h1>{escape(grade.exercise)}: {grade.score} of {grade.most} points</h1>"]
    parts += [f"<p>{escape(grade.student)}</p>"]
    for result in grade.results:
        parts += _task(result, grade.answers.get(result.task, ""))
    if grade.notes:
        parts += ["<h2>Notes</h2>", _listed(grade.notes)]
    seed = escape(grade.seed)
    same = f"To have the same ones in your notebook, run <code>%env DYNALAB_SEED={seed}</code> above the check."
    parts += [f'<p class="quiet">The cases follow from the seed <code>{seed}</code>. {same}</p>']
    return _page(f"{grade.exercise} {grade.student}", parts)


def _task(result: Result, answer: str) -> list[str]:
    parts = [f"<h2>{escape(result.task)}: {result.points} of {result.most} {_badge(result.status)}</h2>"]
    parts += [f'<p class="quiet">{SAID[result.status]}</p>']
    if result.text and result.status != "not started":
        parts += [f"<pre>{escape(result.text)}</pre>"]
    if answer and result.status != "not started":
        parts += [f"<details><summary>The answer that was graded</summary><pre>{escape(answer)}</pre></details>"]
    return parts


def summary(grades: list[Grade], odd: Sequence[str], alike: Sequence[str]) -> str:
    """The class's page: how each exercise and each task went, and what a human should look at."""
    count = "1 submission" if len(grades) == 1 else f"{len(grades)} submissions"
    seeds = ", ".join(dict.fromkeys(grade.seed for grade in grades))
    parts = [f"<h1>{count}</h1>", f'<p class="quiet">seed {escape(seeds)}</p>' if seeds else ""]
    parts += ["<h2>Exercises</h2>", _exercises(grades), "<h2>Tasks</h2>", _tasks(grades)]
    parts += ["<h2>To look at</h2>", _flagged(grades)]
    for title, lines in (("Near-identical answers", alike), ("Not taken", odd)):
        parts += [f"<h2>{title}</h2>", _listed(lines) if lines else "<p>None.</p>"]
    return _page("Class summary", [*parts, "<h2>Students</h2>", _students(grades)])


def _exercises(grades: list[Grade]) -> str:
    rows = []
    for name in sorted({grade.exercise for grade in grades}):
        scores = [grade.score for grade in grades if grade.exercise == name]
        most = max(grade.most for grade in grades if grade.exercise == name)
        full = sum(score == most for score in scores)
        rows.append([name, len(scores), f"{mean(scores):.1f}", f"{median(scores):g}", most, full])
    return _table(("exercise", "submissions", "mean", "median", "of", "full points"), rows)


def _tasks(grades: list[Grade]) -> str:
    rows: list[list[object]] = []
    for task in dict.fromkeys(result.task for grade in grades for result in grade.results):
        got = [result.status for grade in grades for result in grade.results if result.task == task]
        share = got.count("passed") / len(got)
        bar = _Html(f'<meter value="{share:.2f}">{share:.0%}</meter> {share:.0%}')
        rows.append([task, bar, *[got.count(status) or "" for status in STATUSES]])
    return _table(("task", "success", *STATUSES), rows)


def _flagged(grades: list[Grade]) -> str:
    rows: list[list[object]] = []
    for grade in grades:
        for result in grade.results:
            if result.status in ("look", "refused"):
                why = result.text.splitlines()[1:2] or [result.text]
                rows.append([_link(grade), result.task, _Html(_badge(result.status)), why[0].strip()[:200]])
    return _table(("student", "task", "status", "why"), rows) if rows else "<p>Nothing.</p>"


def _students(grades: list[Grade]) -> str:
    rows: list[list[object]] = [
        [_link(grade), grade.exercise, grade.score, grade.most, len(grade.notes) or ""] for grade in grades
    ]
    return _table(("student", "exercise", "points", "of", "notes"), rows)


class _Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def _link(grade: Grade) -> _Html:
    page = file_name(grade.student, grade.exercise)
    return _Html(f'<a href="feedback/{escape(page, quote=True)}">{escape(grade.student)}</a>')


def _badge(status: str) -> str:
    return f'<span class="status {status.replace(" ", "-")}">{escape(status)}</span>'


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = ["<table><tr>" + "".join(f"<th>{escape(head)}</th>" for head in heads) + "</tr>"]
    lines += ["<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows]
    return "\n".join([*lines, "</table>"])


def _cell(value: object) -> str:
    text = value if isinstance(value, _Html) else escape(str(value))
    return f"<td>{text}</td>"


def _listed(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def _page(title: str, parts: Sequence[str]) -> str:
    body = "\n".join(part for part in parts if part)
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    head += f"<title>{escape(title)}</title><style>{_STYLE}</style>"
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'
