"""Every check passes the solution, fails the untouched exercise, and fails what students plausibly get wrong."""

from __future__ import annotations

import pytest

from dynalab.course.checking import CLASSROOM_SEED, HIDDEN, NOT_STARTED, NOT_YET, CheckFailed, checks
from dynalab.course.exercises import read, tasks, without_solution
from dynalab.course.grader import SEED
from tests.course.answering import ROOT, SOLUTIONS, cells, judged_names, loaded
from tests.course.mutants import MUTANTS

TASKS = [(path, task) for path in SOLUTIONS for task in tasks(read(path))]
LONG_ONES = {"capstone-2"}
SEEDS = [f"{seed}{hidden}" for seed in (SEED, "1", "2") for hidden in ("", HIDDEN)]
"""Whatever cases a seed makes, they tell a wrong answer from a right one."""

WRONG = [
    pytest.param(
        path,
        task,
        change,
        id=f"{task} {change[0]}".replace(" ", "-"),
        marks=[pytest.mark.slow] if task in LONG_ONES and place >= 3 else [],
    )
    for path, task in TASKS
    for place, change in enumerate(MUTANTS.get(task, []))
]


@pytest.fixture(autouse=True)
def _in_simulation(monkeypatch):
    """What a check does with processes, it does in virtual time here; the notebooks themselves run the processes."""
    monkeypatch.setenv("DYNALAB_WORLD", "sim")


@pytest.mark.parametrize(("path", "task"), TASKS, ids=[task for _, task in TASKS])
@pytest.mark.parametrize("seed", ["7", *(pytest.param(seed, marks=pytest.mark.slow) for seed in ("1", "2", "3"))])
def test_a_check_passes_the_solution(path, task, seed, capsys):
    """Whatever the seed, the right answer is right, and the check says so in exactly one line on standard output."""
    judge = checks()[task]
    answers = loaded(cells(path)[task], judged_names(path)[task])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DYNALAB_SEED", seed)
        judge(*answers)
        judge.hidden(*answers)
    said = capsys.readouterr()
    assert said.out == f"{task}: PASS ({judge.points}/{judge.points} points)\n"
    assert said.err == ""


@pytest.mark.parametrize("seed", [CLASSROOM_SEED, *SEEDS])
@pytest.mark.parametrize(("path", "task"), TASKS, ids=[task for _, task in TASKS])
def test_a_check_fails_the_untouched_exercise(path, task, seed):
    """What students get is not started, and earns nothing."""
    names = judged_names(path)[task]
    source = without_solution(cells(path)[task])
    try:
        answers = loaded(source, names)
    except NotImplementedError:
        answers = [None] * len(names)
    with pytest.raises(CheckFailed) as failed:
        checks()[task].judge(answers, seed)
    assert failed.value.verdict == NOT_STARTED


@pytest.mark.parametrize("seed", [CLASSROOM_SEED, *(pytest.param(seed, marks=pytest.mark.slow) for seed in SEEDS)])
@pytest.mark.parametrize(("path", "task", "change"), WRONG)
def test_a_check_fails_a_plausible_wrong_answer(path, task, change, seed):
    """A mutant is not yet right; the message says what was tried, what came back, what was expected, and hints."""
    _, old, new = change
    source = cells(path)[task]
    assert old in source, f"the solution of {task} has no {old!r}"
    with pytest.raises(CheckFailed) as failed:
        checks()[task].judge(loaded(source.replace(old, new), judged_names(path)[task]), seed)
    assert failed.value.verdict == NOT_YET
    told = str(failed.value)
    assert all(word in told for word in ("what we tried", "what came back", "we expected", "hint"))
    assert len(told) < 4_000


def test_every_task_has_three_mutants():
    """A check is only trusted once it has refused at least three wrong answers."""
    assert {task: len(MUTANTS.get(task, [])) for _, task in TASKS if len(MUTANTS.get(task, [])) < 3} == {}


def test_points_are_the_same_in_notebooks_and_checks():
    """A notebook's metadata, its text and the check agree on the points of every task."""
    for path in SOLUTIONS:
        assert tasks(read(path)) == {task: checks()[task].points for task in tasks(read(path))}
    assert {task for _, task in TASKS} == set(checks())


def test_exercises_are_what_the_solutions_build():
    """The committed exercises are generated: nobody has edited them by hand, and no answer slipped into them."""
    from dynalab.course.exercises import exercise_of, written

    built = {path.name: written(exercise_of(read(path))) for path in SOLUTIONS}
    stored = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "exercises").glob("*.ipynb")}
    assert stored == built
    assert not [name for name, text in stored.items() if "SOLUTION" in text or "HIDDEN" in text]


HALF = """
class MySiblings:
    def put(self, state, node, value, context):
        clock = {actor: max(state["clock"].get(actor, 0), context["clock"].get(actor, 0))
                 for actor in [*state["clock"], *context["clock"]]}
        for actor, counter in context["dots"]:
            clock[actor] = max(clock.get(actor, 0), counter)
        clock[node] = clock.get(node, 0) + 1
        def seen(dot):
            return context["clock"].get(dot[0], 0) >= dot[1] or list(dot) in [list(each) for each in context["dots"]]
        kept = [version for version in state["versions"] if not seen(version["dot"])]
        return {"clock": clock, "versions": [*kept, {"dot": [node, clock[node]], "value": value}]}

    def merge(self, left, right):
        raise NotImplementedError()
"""
CLUMSY = {
    "a part is still to be written": (HALF, "clocks-3", "some part is still to be written"),
    "a method is missing": ("class MySiblings:\n    put = 1", "clocks-3", "it lacks put, merge"),
    "its objects cannot be made": ("class MySiblings:\n    def __init__(self, node): ...", "clocks-3", "TypeError"),
    "no function": ("MySiblings = 5\ndef owner(): ...\nowner = 5", "ring-1", "5 is no function"),
    "prints instead of returning": ("def owner(tokens, position):\n    print('A')", "ring-1", "end in a return?"),
    "never ends": ("def owner(tokens, position):\n    while True: pass", "ring-1", "did not answer within 2000 ms"),
    "fails": ("def owner(tokens, position):\n    return tokens[9]", "ring-1", "it raised IndexError"),
}


@pytest.mark.parametrize("clumsy", CLUMSY)
def test_a_check_says_what_is_wrong_with_a_clumsy_answer(clumsy):
    """What students do by mistake is told in the check's words, never as an error of the check."""
    source, task, words = CLUMSY[clumsy]
    with pytest.raises(CheckFailed, match=words.replace("?", r"\?")) as failed:
        checks()[task](*loaded(source, ["MySiblings" if task == "clocks-3" else "owner"]))
    assert failed.value.verdict == NOT_YET
