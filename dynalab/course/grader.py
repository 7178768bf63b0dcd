"""Grade one submission: transplant, second opinion, then the notebook itself; and say why.

Theory of operation.

    refused        the answer breaks a rule (rules.py); it is not run
    not started    missing, or as students got it
    not yet        the second opinion says no: a check failed with the answer in a process of its own
    passed         the second opinion and the key's own notebook, run by nbval, both say yes
    look           they disagree, even after another run alone; no points, and a human should look

Rule 1: an answer gets its points only when both ways say yes, so a disguise has to fool both.
Rule 2: only answers with a good second opinion enter the notebook, so no answer can spoil another.
Rule 3: what ran out of time, or failed in the notebook alone, is run once more alone.
Rule 4: scores follow from the submission and the seed; grading again gives the same.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dynalab.course.confined import Ended
from dynalab.course.exercises import written
from dynalab.course.rules import broken_rules
from dynalab.course.runs import Runs
from dynalab.course.transplant import Handed, Key, handed_in, is_stub, transplanted

SEED = "2007"
"""Grading uses another seed than the classroom; the year of the paper."""

OPINION_S = 120.0
NOTEBOOK_S = 180.0
CELL_S = 30

PYTEST = (
    *("-q", "--color=no", "-p", "no:cacheprovider", "--noconftest", "-c", os.devnull),
    *("-p", "nbval.plugin", "-p", "dynalab.course.plugin", "--nbval", "--nbval-current-env"),
    f"--nbval-cell-timeout={CELL_S}",
)

STATUSES = ("passed", "not yet", "not started", "refused", "look")


@dataclass
class Result:
    """How one task went."""

    task: str
    status: str
    points: int
    most: int
    text: str = ""


@dataclass
class Grade:
    """How one submission went.

    Attributes:
        student: who.
        exercise: as ``03-quorums``.
        results: one for every task.
        notes: what was mended or is odd.
        seed: of the cases.
        answers: ``{task: source}``, for the search for near-identical ones.
    """

    student: str
    exercise: str
    results: list[Result] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seed: str = SEED
    answers: dict[str, str] = field(default_factory=dict)

    @property
    def score(self) -> int:
        """Points earned."""
        return sum(result.points for result in self.results)

    @property
    def most(self) -> int:
        """Points there were."""
        return sum(result.most for result in self.results)

    @property
    def flags(self) -> list[str]:
        """What a human should look at."""
        return [f"{result.task}: {result.status}" for result in self.results if result.status in ("look", "refused")]


def grade(path: Path, key: Key, student: str, runs: Runs, seed: str = SEED, with_notebook: bool = True) -> Grade:
    """Grade one file; whatever is in it, this returns."""
    handed = handed_in(path, key)
    graded = Grade(student, key.name, notes=handed.notes, seed=seed, answers=handed.found)
    if handed.unreadable:
        graded.notes.append(handed.unreadable)
    verdicts = _first_look(key, handed)
    open_ = {task: handed.found[task] for task in key.points if task not in verdicts}
    with tempfile.TemporaryDirectory(prefix="dynalab-grade-") as folder:
        verdicts |= _opinions(key, open_, seed, runs, Path(folder))
        good = {task: text for task, text in open_.items() if verdicts[task][0] == "passed"}
        if good and with_notebook:
            verdicts |= _in_notebook(key, good, seed, runs, Path(folder))
    for task, most in key.points.items():
        status, text = verdicts[task]
        graded.results.append(Result(task, status, most if status == "passed" else 0, most, text))
    return graded


Verdicts = dict[str, tuple[str, str]]


def _first_look(key: Key, handed: Handed) -> Verdicts:
    """What needs no run."""
    verdicts: Verdicts = {}
    for task in key.points:
        source = handed.found.get(task)
        if source is None or is_stub(source, key.stubs[task]):
            verdicts[task] = ("not started", "nothing was answered")
        elif broken := broken_rules(source):
            verdicts[task] = ("refused", "this answer was not run:\n" + "\n".join(broken[:5]))
    return verdicts


def _room(folder: str | Path, name: str) -> Path:
    room = Path(folder) / name
    room.mkdir()
    return room


def _opinions(key: Key, open_: dict[str, str], seed: str, runs: Runs, folder: Path) -> Verdicts:
    """The second opinion on each answer; one that stops the run is alone to blame, and gets one more run alone."""
    verdicts: Verdicts = {}
    waiting, alone = dict(open_), list[str]()
    while waiting or alone:
        asked = waiting or {alone[0]: open_[alone[0]]}
        given = json.dumps({"seed": seed, "answers": asked, "names": key.names})
        room = _room(folder, f"opinion-{len(verdicts)}-{len(alone)}")
        ended = runs.run("opinion", room, OPINION_S, {}, given, alone=not waiting)
        lines = {line["task"]: line for line in _lines(ended.output)}
        for task, line in lines.items():
            verdicts[task] = (line["verdict"], line["text"])
        late = [task for task, line in lines.items() if line["late"]]
        if unheard := [task for task in asked if task not in lines]:  # The first of them stopped the run.
            text = f"your answer stopped the check: {ended.why or _last(ended.output)}"
            verdicts[unheard[0]] = ("not yet", text)
            late.append(unheard[0])
        alone = alone + late if waiting else alone[1:]
        waiting = {task: text for task, text in waiting.items() if task not in verdicts}
    return verdicts


def _in_notebook(key: Key, good: dict[str, str], seed: str, runs: Runs, folder: Path) -> Verdicts:
    """Run the key with these answers; what fails is run once more alone."""
    passed, texts = _nbval(key, good, seed, runs, _room(folder, "all"))
    verdicts: Verdicts = {}
    for task, source in good.items():
        if not passed.get(task):
            again, texts = _nbval(key, {task: source}, seed, runs, _room(folder, task), alone=True)
            if not again.get(task):
                verdicts[task] = ("look", "right by itself, but not in the notebook:\n" + texts.get(task, ""))
    return verdicts


def _nbval(
    key: Key, given: dict[str, str], seed: str, runs: Runs, folder: Path, alone: bool = False
) -> tuple[dict[str, bool], dict[str, str]]:
    """``{task: passed}`` and ``{task: what was said}`` of one run of the key with these answers."""
    folder = folder.resolve()
    notebook, results = folder / "exercise.ipynb", folder.parent / f"{folder.name}.results"
    notebook.write_text(written(transplanted(key, given)), encoding="utf-8")
    ended = runs.run(
        "notebook",
        folder,
        NOTEBOOK_S,
        {"DYNALAB_SEED": seed},
        arguments=[*PYTEST, "--rootdir", str(folder), f"--dynalab-results={results}", str(notebook)],
        alone=alone,
    )
    said = _lines(results.read_text(encoding="utf-8")) if results.exists() else []
    passed = {line["task"]: bool(line["passed"]) for line in said}
    texts = {line["task"]: line["text"] for line in said}
    return passed, {task: texts.get(task) or _stopped(ended) for task in given}


def _stopped(ended: Ended) -> str:
    return ended.why or f"the run ended before this task: {_last(ended.output)}"


def _last(output: str) -> str:
    return " / ".join(output.strip().splitlines()[-3:])[-500:] or "without a word"


def _lines(output: str) -> list[dict[str, Any]]:
    """The JSON objects among the lines of an output."""
    return [json.loads(line) for line in output.splitlines() if line.startswith('{"task"') and line.endswith("}")]
