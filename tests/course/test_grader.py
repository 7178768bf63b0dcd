"""A wrong answer earns nothing under any disguise, a right one keeps its points, and nobody stops the batch."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

from dynalab.cli import main
from dynalab.course.batch import grade_all, near_identical
from dynalab.course.confined import Ended
from dynalab.course.grader import Grade, Result, grade
from dynalab.course.intake import Roster, Submission, submissions
from dynalab.course.report import canvas, gradescope, markdown, write_all
from dynalab.course.rules import broken_rules
from dynalab.course.transplant import key_of
from tests.course.answering import ROOT, SOLUTIONS, cells
from tests.course.hostile import ATTACKS, RIGHT, TASK, WRONG, Hostile, hostile_set, key, stored

pytestmark = pytest.mark.timeout(900)  # For a busy machine; a run that hangs is ended by its own limit.

HOSTILE = hostile_set()


def _named(hostile: Hostile) -> str:
    return f"{hostile.name}-{'right' if hostile.right else 'wrong'}".replace(" ", "-")


def _submission(hostile, folder) -> Submission:
    folder.mkdir()
    return Submission(stored(hostile, folder), folder.name, key())


@pytest.fixture(scope="module")
def graded(runs, tmp_path_factory) -> dict[str, Grade]:
    """The whole set through both ways in one batch, as a class hands it in."""
    folder = tmp_path_factory.mktemp("class")
    handed = [_submission(each, folder / f"s{number:02}") for number, each in enumerate(HOSTILE)]
    grades = grade_all(handed, runs, "2007", 2, lambda done, of, grade: None)
    return dict(zip([each.name + str(each.right) for each in HOSTILE], grades, strict=True))


@pytest.mark.parametrize("hostile", HOSTILE, ids=_named)
def test_a_disguise_changes_no_score(hostile, graded):
    """Every submission of the set scores what its answer deserves, and nobody is called a riddle."""
    grade = graded[hostile.name + str(hostile.right)]
    assert grade.score == (1 if hostile.right else 0), grade
    assert grade.results[0].status != "look", grade


def test_the_hostile_set_is_told(graded, capsys):
    """The table of the set with its scores is printed."""
    with capsys.disabled():
        print(f"\n{'submission':<34} {'answer':<7} {'score':<6} status")
        for hostile, grade in zip(HOSTILE, graded.values(), strict=True):
            answer, status = "right" if hostile.right else "wrong", grade.results[0].status
            print(f"{hostile.name:<34} {answer:<7} {grade.score}/{grade.most}    {status}")
    assert len(graded) == len(HOSTILE)


def test_grading_again_gives_the_same(runs, graded, tmp_path):
    """An honest answer, an attack and an endless loop have the same results when they are graded again."""
    for name, right in (("edited check cell", True), ("kernel kill", False), ("endless loop in the function", False)):
        hostile = next(each for each in HOSTILE if (each.name, each.right) == (name, right))
        (tmp_path / name).mkdir()
        again = grade(stored(hostile, tmp_path / name), key(), "student", runs)
        assert again.results == graded[name + str(right)].results


def test_what_was_mended_is_noted(graded):
    """A student reads that a locked cell was edited and the original used; it costs nothing."""
    assert any("edited" in note for note in graded["edited check cellTrue"].notes)


@pytest.mark.parametrize("name", ["delegates to dynalab", "monkeypatched check, imported", "kernel kill"])
def test_what_is_refused_is_named(name):
    """A refused answer is told which line, and what it must not use."""
    (first, *_) = broken_rules(ATTACKS[name])
    assert first.startswith("line ")
    assert "dynalab's own parts" in first or "imports os" in first


def test_no_solution_breaks_a_rule():
    """What students are asked for can be written within the rules."""
    for path in SOLUTIONS:
        assert {task: broken_rules(source) for task, source in cells(path).items() if broken_rules(source)} == {}


def test_files_folders_and_zips_are_taken(tmp_path):
    """Students are told apart by file, folder, zip and roster; what belongs nowhere is listed, not lost."""
    right = next(each for each in HOSTILE if each.right).bytes
    place = tmp_path / "handed"
    (place / "bob").mkdir(parents=True)
    (place / "ann_01-ring.ipynb").write_bytes(right)
    (place / "bob" / "01-ring.ipynb").write_bytes(right)
    (place / "x17_01-ring.ipynb").write_bytes(right)
    (place / "cv.ipynb").write_bytes(b"{}")
    with zipfile.ZipFile(place / "more.zip", "w") as archive:
        archive.writestr("../../cy/01-ring.ipynb", right)
        archive.writestr("dan/01-ring.ipynb", right)
    (place / "broken.zip").write_bytes(b"PK")
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    handed, odd = submissions(place, [key()], Roster({"x17": "eve"}), unpacked)
    assert [each.student for each in handed] == ["ann", "bob", "cy", "dan", "eve"]
    assert len(odd) == 2
    assert not list(tmp_path.glob("cy*"))


def test_copies_are_flagged(tmp_path):
    """Answers that differ in names, spaces and comments only are shown to a human; different ones are not."""
    path = SOLUTIONS[0]
    longer = cells(path)["ring-2"]
    renamed = longer.replace("chosen", "found").replace("    start", "    # mine\n    start")
    other = "def preference_list(tokens, position, n, avoid):\n    return sorted({node for _, node in tokens})[:n]"
    whole = key_of(path)
    grades = [Grade(name, whole.name, answers={"ring-2": text}) for name, text in (("ann", longer), ("bob", renamed))]
    assert near_identical([*grades, Grade("cy", whole.name, answers={"ring-2": other})], [whole]) == [
        "ring-2: ann and bob"
    ]


def test_the_command_writes_every_report(tmp_path, capsys):
    """One command: tables, Canvas, Gradescope, feedback with the seed, a summary; and no formula in a table."""
    place, out = tmp_path / "handed", tmp_path / "grades"
    for name, hostile in (
        ("=ann", HOSTILE[-1]),
        ("bob", next(each for each in HOSTILE if each.name == "invalid JSON")),
    ):
        (place / name).mkdir(parents=True)
        stored(hostile, place / name)
    assert main(["grade", str(place), "--out", str(out), "--exercise", "01"]) == 0
    with (out / "scores.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["student_id"], row["score"], row["max_score"]) for row in rows] == [
        ("'=ann", "0", "6"),
        ("bob", "0", "6"),
    ]
    assert "2007" in (out / "feedback" / "bob-01-ring.html").read_text(encoding="utf-8")
    result = json.loads((out / "gradescope" / "bob-01-ring" / "results.json").read_text(encoding="utf-8"))
    assert result["score"] == 0
    assert {test["status"] for test in result["tests"]} == {"failed"}
    assert "Near-identical" in (out / "summary.html").read_text(encoding="utf-8")
    assert "2 graded" in capsys.readouterr().out


def test_a_canvas_table_has_its_columns():
    """Canvas wants five columns of its own, the exercises, and a row of possible points."""
    graded = Grade("ann", "01-ring")
    heads, rows = canvas([graded], Roster(canvas={"ann": {"ID": "17"}}))
    assert heads == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "01-ring"]
    assert rows == [["    Points Possible", "", "", "", "", 0], ["ann", "17", "", "", "", 0]]


def test_a_table_for_github_is_a_table():
    """One row per task; a student's name cannot break the table."""
    graded = Grade("a|b<i>", "01-ring", [Result("ring-1", "not yet", 0, 1)])
    assert markdown([graded]).splitlines()[2:] == ["| a b i  | ring-1 | not yet | 0/1 |"]


def test_reports_are_written_for_an_empty_class(tmp_path):
    """Nobody handed anything in: tables with heads, and a summary that says so."""
    write_all([], tmp_path, Roster(), [], [])
    assert "0 submissions" in (tmp_path / "summary.html").read_text(encoding="utf-8")


def test_a_release_renews_all_but_answers(tmp_path, monkeypatch):
    """Releasing again and restoring put locked cells back, keep answers and own cells, and hand out no solution."""
    assert main(["exercises", "release", str(tmp_path)]) == 0
    assert (tmp_path / "notebooks" / "README.md").is_file()
    path = tmp_path / "exercises" / "01-ring.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    own = {"cell_type": "code", "id": "mine", "metadata": {}, "source": "1 + 1", "outputs": [], "execution_count": 1}
    for place, cell in enumerate(notebook["cells"]):
        if cell["id"] == TASK:
            cell["source"] = RIGHT
            notebook["cells"].insert(place + 1, own)
        elif cell["id"] == f"check-{TASK}":
            cell["source"] = "print('PASS')"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    assert main(["exercises", "release", str(tmp_path)]) == 0
    restored = [(cell["id"], cell["source"]) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    assert (TASK, RIGHT) in restored
    assert restored[restored.index((TASK, RIGHT)) + 1] == ("mine", "1 + 1")
    assert (f"check-{TASK}", "course.check.ring_1(owner)") in restored
    monkeypatch.chdir(tmp_path)
    assert main(["restore", "01"]) == 0
    assert not [
        each for each in tmp_path.rglob("*") if each.is_file() and "BEGIN SOLUTION" in each.read_text(encoding="utf-8")
    ]


def test_a_student_is_told_in_words(tmp_path, capsys, monkeypatch):
    """`dynalab check` says not started, not yet and passed, with points."""
    assert main(["exercises", "release", str(tmp_path)]) == 0
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "exercises" / "01-ring.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    answers = {
        TASK: RIGHT,
        "ring-2": WRONG.replace("owner(tokens, position)", "preference_list(tokens, position, n, avoid)"),
    }
    for cell in notebook["cells"]:
        cell["source"] = answers.get(cell["id"], cell["source"])
    path.write_text(json.dumps(notebook), encoding="utf-8")
    capsys.readouterr()
    assert main(["check", "01"]) == 1
    said = capsys.readouterr().out
    assert "1 of 6 points" in said
    assert [line.split()[0] for line in said.splitlines() if "/" in line and "ring-" in line[:10]] == [
        "ring-1",
        "ring-2",
        "ring-3",
    ]
    assert "not started" in said
    assert "not yet" in said
    assert "passed" in said


def test_the_autograder_zip_grades_with_what_is_in_it(tmp_path):
    """setup.sh and run_autograder at the root, executable; unpacked, the package and the keys grade a submission."""
    assert main(["exercises", "autograder", str(tmp_path / "auto.zip")]) == 0
    with zipfile.ZipFile(tmp_path / "auto.zip") as archive:
        modes = {name: archive.getinfo(name).external_attr >> 16 for name in ("setup.sh", "run_autograder")}
        archive.extractall(tmp_path / "source")
    assert set(modes.values()) == {0o755}
    needed = (tmp_path / "source" / "requirements.txt").read_text(encoding="utf-8").split()
    assert {"nbval", "pytest", "pyzmq"} <= {re.split("[<>=]", line)[0] for line in needed}
    shutil.copytree(ROOT / "exercises", tmp_path / "submission", ignore=lambda _, names: {*names} - {"01-ring.ipynb"})
    command = [sys.executable, "-P", "-m", "dynalab.cli", "grade", str(tmp_path / "submission")]
    command += ["--solutions", str(tmp_path / "source" / "solutions"), "--out", str(tmp_path / "more")]
    command += ["--gradescope", str(tmp_path / "results.json")]
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "source" / "package")}
    subprocess.run(command, env=environment, cwd=tmp_path, check=True, capture_output=True)
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert [(test["name"], test["score"], test["max_score"]) for test in results["tests"]] == [
        ("ring-1", 0, 1),
        ("ring-2", 0, 3),
        ("ring-3", 0, 2),
    ]


def test_gradescope_hears_of_everything_that_was_handed_in():
    """Several exercises of one student make one result; nothing at all makes one that says so."""
    ring = Grade("ann", "01-ring", [Result("ring-1", "passed", 1, 1)], ["mended"])
    clocks = Grade("ann", "02-clocks", [Result("clocks-1", "not yet", 0, 1, "CHECK clocks-1: NOT YET")])
    both = gradescope([ring, clocks], ["cv.ipynb: belongs nowhere"])
    assert (both["score"], [test["status"] for test in both["tests"]]) == (1, ["passed", "failed"])
    assert both["output"].splitlines() == ["seed 2007", "01-ring: mended", "not taken: cv.ipynb: belongs nowhere"]
    assert gradescope([])["score"] == 0
    assert "no exercise was found" in gradescope([])["output"]


def test_a_bad_submission_never_stops_the_others(runs, tmp_path, monkeypatch):
    """Should the grader itself fail on one, that one is to be looked at, and the rest are graded."""
    good = next(each for each in HOSTILE if each.right)
    handed = [_submission(good, tmp_path / name) for name in ("ann", "bob")]

    def broken(path, *arguments):
        if "ann" in str(path):
            raise ZeroDivisionError("a fault of ours")
        return grade(path, *arguments)

    monkeypatch.setattr("dynalab.course.batch.grade", broken)
    grades = grade_all(handed, runs, "2007", 2, lambda done, of, graded: None)
    assert [(each.score, each.results[0].status) for each in grades] == [(0, "look"), (1, "passed")]
    assert "not the student's fault" in grades[0].notes[0]


class Busy:
    """Runs on a busy machine: an opinion comes too late unless nothing else is running."""

    def __init__(self, stopped: bool) -> None:
        self.stopped = stopped
        self.asked: list[tuple[list[str], bool]] = []

    def run(self, kind, folder, limit_s, environment, given="", arguments=(), alone=False) -> Ended:
        tasks = list(json.loads(given)["answers"])
        self.asked.append((tasks, alone))
        if self.stopped and not alone:
            return Ended(None, "it took longer than 120 s", "")
        late = {"verdict": "not yet", "text": "no answer within 2 s", "late": True}
        right = {"verdict": "passed", "text": "", "late": False}
        said = [json.dumps({"task": task} | (right if alone or task != "ring-2" else late)) for task in tasks]
        return Ended(0, "", "\n".join(said))


@pytest.mark.parametrize("stopped", [False, True], ids=["late", "stopped"])
def test_what_ran_out_of_time_is_run_once_more_alone(stopped):
    """Late is not wrong: such a task is asked again with nothing beside it, and only such a task."""
    path = SOLUTIONS[0]
    busy = Busy(stopped)
    graded = grade(path, key_of(path), "ann", busy, with_notebook=False)
    assert graded.score == graded.most
    again = ["ring-1", "ring-2", "ring-3"] if stopped else ["ring-2"]
    assert [tasks for tasks, alone in busy.asked if alone] == [[task] for task in again]
