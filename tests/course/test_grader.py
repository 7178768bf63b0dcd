"""A wrong answer earns nothing under any disguise, a right one keeps its points, and nobody stops the batch."""

from __future__ import annotations

import csv
import json
import zipfile

import psutil
import pytest

from dynalab.cli import main
from dynalab.course.batch import grade_all, near_identical
from dynalab.course.confined import run_confined
from dynalab.course.grader import Grade, grade
from dynalab.course.intake import Roster, Submission, submissions
from dynalab.course.report import canvas, write_all
from dynalab.course.rules import broken_rules
from tests.course.answering import SOLUTIONS, cells
from tests.course.hostile import ATTACKS, RIGHT, TASK, WRONG, hostile_set, key, stored

HOSTILE = hostile_set()
SLOW_ONES = {"1 GB of output", "endless loop in the cell", "endless loop that swallows", "much memory"}


def _submission(hostile, folder) -> Submission:
    folder.mkdir()
    return Submission(stored(hostile, folder), folder.name, key())


@pytest.mark.parametrize(
    "hostile",
    [pytest.param(each, marks=[pytest.mark.slow] if each.name in SLOW_ONES else []) for each in HOSTILE],
    ids=lambda each: f"{each.name}-{'right' if each.right else 'wrong'}".replace(" ", "-"),
)
def test_a_disguise_changes_no_score(hostile, tmp_path):
    """By the second opinion alone, every submission of the set scores what its answer deserves."""
    graded = grade(stored(hostile, tmp_path), key(), "student", with_notebook=False)
    assert graded.score == (1 if hostile.right else 0), graded


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_the_hostile_set_in_one_batch(tmp_path, capsys):
    """The whole set through both ways at once: right scores, no process and no file left; the table is printed."""
    before = {process.pid for process in psutil.process_iter()}
    handed = [_submission(each, tmp_path / f"s{number:02}") for number, each in enumerate(HOSTILE)]
    grades = grade_all(handed, "2007", 2, lambda done, of, graded: None)
    with capsys.disabled():
        print(f"\n{'submission':<34} {'answer':<7} {'score':<6} status")
        for hostile, graded in zip(HOSTILE, grades, strict=True):
            answer, status = "right" if hostile.right else "wrong", graded.results[0].status
            print(f"{hostile.name:<34} {answer:<7} {graded.score}/{graded.most}    {status}")
    assert [graded.score for graded in grades] == [int(each.right) for each in HOSTILE]
    sleepers = [each for each in psutil.process_iter(["cmdline"]) if each.info["cmdline"] == ["sleep", "600"]]
    assert not [each for each in sleepers if each.pid not in before]


def test_both_ways_agree_on_an_honest_answer(tmp_path):
    """A right answer goes through the second opinion and through the key's own notebook; grading again is the same."""
    honest = next(each for each in HOSTILE if each.right and each.name == "edited check cell")
    path = stored(honest, tmp_path)
    first, second = grade(path, key(), "ann"), grade(path, key(), "ann")
    assert first.score == 1
    assert first.results == second.results
    assert any("edited" in note for note in first.notes)


def test_a_run_is_stopped_and_nothing_stays(tmp_path):
    """A command that takes too long is stopped with its children, also those that left its session."""
    program = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n"
        "print(child.pid, flush=True)\ntime.sleep(600)"
    )
    import sys

    ended = run_confined([sys.executable, "-c", program], tmp_path, 2, {})
    assert "longer than 2 s" in ended.why
    assert not psutil.pid_exists(int(ended.output)) or psutil.Process(int(ended.output)).status() == "zombie"


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
    (place / "x17.ipynb").write_bytes(right)
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
    from dynalab.course.transplant import key_of

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


def test_the_autograder_zip_has_what_gradescope_starts(tmp_path):
    """setup.sh and run_autograder at the root, executable, and the keys."""
    assert main(["exercises", "autograder", str(tmp_path / "auto.zip")]) == 0
    with zipfile.ZipFile(tmp_path / "auto.zip") as archive:
        names = archive.namelist()
        modes = {name: archive.getinfo(name).external_attr >> 16 for name in ("setup.sh", "run_autograder")}
    assert {"setup.sh", "run_autograder", "solutions/01-ring.ipynb"} <= set(names)
    assert set(modes.values()) == {0o755}
