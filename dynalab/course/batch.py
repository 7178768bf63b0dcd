"""Grade a class: several submissions at once, one bad one never in the way of another."""

from __future__ import annotations

import difflib
import io
import tokenize
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed

from dynalab.course.exercises import without_solution
from dynalab.course.grader import Grade, Result, grade
from dynalab.course.intake import Submission
from dynalab.course.runs import Runs
from dynalab.course.transplant import Key

ALIKE = 0.95
ALIKE_TOKENS_MIN = 40
"""A short answer is alike by nature; only longer ones are compared."""

Progress = Callable[[int, int, Grade], None]


def grade_all(handed: list[Submission], runs: Runs, seed: str, workers: int, progress: Progress) -> list[Grade]:
    """The grades of all submissions, in their order; `progress(done, of, grade)` is told of each."""
    grades: dict[int, Grade] = {}
    with ThreadPoolExecutor(max_workers=workers) as pool:
        futures = {pool.submit(_grade, each, runs, seed): place for place, each in enumerate(handed)}
        for future in as_completed(futures):
            grades[futures[future]] = future.result()
            progress(len(grades), len(handed), grades[futures[future]])
    return [grades[place] for place in range(len(handed))]


def _grade(handed: Submission, runs: Runs, seed: str) -> Grade:
    try:
        return grade(handed.path, handed.key, handed.student, runs, seed)
    except Exception as error:  # noqa: BLE001 - a fault of ours must not stop the batch; it is shown, and to be looked at
        note = f"the grader failed here, which is not the student's fault: {type(error).__name__}: {error}"
        results = [Result(task, "look", 0, most, note) for task, most in handed.key.points.items()]
        return Grade(handed.student, handed.key.name, results, [note], seed)


def near_identical(grades: list[Grade], keys: list[Key]) -> list[str]:
    """``task: student and student``, for answers that are the same but for names' spelling, spaces and comments."""
    stubs = {task: _words(without_solution(text)) for key in keys for task, text in key.stubs.items()}
    found = []
    for task, stub in stubs.items():
        given = [(each.student, _words(each.answers[task])) for each in grades if task in each.answers]
        given = [(student, words) for student, words in given if len(words) - len(stub) >= ALIKE_TOKENS_MIN]
        for place, (student, words) in enumerate(given):
            for other, others in given[place + 1 :]:
                if student != other and _alike(words, others):
                    found.append(f"{task}: {student} and {other}")
    return found


def _alike(left: list[str], right: list[str]) -> bool:
    matcher = difflib.SequenceMatcher(None, left, right, autojunk=False)
    return left == right or (matcher.real_quick_ratio() >= ALIKE and matcher.ratio() >= ALIKE)


def _words(source: str) -> list[str]:
    """The tokens of a source, every name by the order of its first appearance; no comments, no spaces."""
    skipped = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    names: dict[str, str] = {}
    words = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.NAME:
                words.append(names.setdefault(token.string, f"name{len(names)}"))
            elif token.type not in skipped and not token.string.startswith(('"""', "'''")):
                words.append(token.string)
    except (tokenize.TokenError, IndentationError, SyntaxError):
        return source.split()
    return words
