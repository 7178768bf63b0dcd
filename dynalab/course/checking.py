"""What a check is: one locked line in an exercise that runs an answer and judges it.

Theory of operation.
A check gives the answer seeded cases, compares what came back, and raises `CheckFailed` at the first that is wrong:
what was tried, what came back, what was expected, and one hint with its paper section.
When all is right it prints exactly one line, the same in every run, and nothing on standard error.
Many checks go on to run the answer as a part of a cluster, and judge what happened there.

Rule 1: cases follow from `DYNALAB_SEED` and the task's name alone; grading uses another seed than the classroom.
Rule 2: an answer is called under the guard, with copies: it may raise, hang, print or change its arguments.
Rule 3: an answer is only called with plain values; so it can run in this process or in one of its own (opinion.py).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from random import Random
from typing import Any

from dynalab.core.config import Parts
from dynalab.core.errors import DynalabError, PartFailed
from dynalab.guard import run_guarded

CLASSROOM_SEED = "7"
ANSWER_MS = 2_000
"""How long one call of an answer may take."""

HIDDEN = ".hidden"
SHOWN_MAX = 300
NOT_STARTED, NOT_YET, PASSED = "not started", "not yet", "passed"

_CHECKS: dict[str, Check] = {}
"""``{task: check}``, filled as the modules of `dynalab.course.check` are loaded."""


class CheckFailed(AssertionError):
    """An answer is not right yet; in a notebook it shows these lines alone, without a traceback.

    Attributes:
        task: as ``ring-1``.
        verdict: ``not started`` or ``not yet``.
    """

    def __init__(self, task: str, tried: str, came: str, expected: str, hint: str, verdict: str = NOT_YET) -> None:
        self.task = task
        self.verdict = verdict
        facts = (("what we tried", tried), ("what came back", came), ("we expected", expected), ("hint", hint))
        lines = [f"CHECK {task}: {verdict.upper()}"]
        lines += [f"  {name:<14} : {_indented(text)}" for name, text in facts if text]
        super().__init__("\n".join(lines))

    def _render_traceback_(self) -> list[str]:
        return str(self).splitlines()


class Case:
    """What a check works with: chance, the answer's calls, and ways to say what is wrong.

    Attributes:
        random: chance that follows from the seed and the task.
        hint: what the student is told in any case of failure.
        is_hidden: whether these are the grader's further cases.
        has_answered: whether any call of the answer came back with something.
    """

    def __init__(self, task: str, hint: str, seed: str, answer_ms: int = ANSWER_MS) -> None:
        self.is_hidden = seed.endswith(HIDDEN)
        self.task = task
        self.hint = hint
        self.has_answered = False
        self.random = Random(f"{seed}:{task}")
        self._guard = run_guarded(answer_ms, on_print=_printed)

    def ask(self, function: Callable[..., Any], *arguments: Any, named: str = "") -> Any:
        """What the answer says to these arguments.

        Raises:
            CheckFailed: it raised, or did not answer in time.
        """
        came = self._asked(function, arguments, named)
        self.has_answered = True
        return came

    def made(self, kind: type) -> Any:
        """An object of the answer's class."""
        return self._asked(kind, (), kind.__name__)

    def _asked(self, function: Callable[..., Any], arguments: tuple[Any, ...], named: str) -> Any:
        name = named or getattr(function, "__name__", "your function")
        tried = f"{name}({', '.join(shown(argument, 120) for argument in arguments)})"
        if not callable(function):
            raise self.failure(tried, f"{shown(function)} is no function", "a function")
        try:
            if getattr(function, "is_remote", False):  # In a process of its own, with bounds of its own.
                return function(*arguments)
            return self._guard(name, function, deepcopy(arguments))
        except PartFailed as error:
            raise self.broken(tried, error) from None

    def equal(self, came: Any, expected: Any, tried: str) -> None:
        """Hold an answer to the one right value; tuples count as lists.

        Raises:
            CheckFailed: it is another one.
        """
        if not _same(came, expected):
            forgot = "nothing came back: does every way through your function end in a return?"
            hint = f"{forgot} {self.hint}" if came is None and expected is not None else ""
            raise self.failure(tried, shown(came), shown(expected), hint)

    def holds(self, true: bool, tried: str, came: Any, expected: str) -> None:
        """Hold an answer to a rule.

        Raises:
            CheckFailed: the rule is broken.
        """
        if not true:
            raise self.failure(tried, came if isinstance(came, str) else shown(came), expected)

    def failure(self, tried: str, came: str, expected: str, hint: str = "") -> CheckFailed:
        """What to raise when an answer is wrong."""
        return CheckFailed(self.task, tried, came, expected, hint or self.hint)

    def started(self, answer: Any) -> None:
        """An answer that is a value is None until the student gives one."""
        if answer is None:
            raise self._not_started()

    def _not_started(self) -> CheckFailed:
        return CheckFailed(self.task, "", "", "", "replace the line that raises NotImplementedError", NOT_STARTED)

    def broken(self, tried: str, error: DynalabError) -> CheckFailed:
        """What to raise when an answer, or the cluster that runs it, failed."""
        told = getattr(error, "traceback", "") or str(error)
        if "raised NotImplementedError" in str(error) or "NotImplementedError" in told:
            unfinished = self.failure(
                tried, "it raised NotImplementedError", "an answer: some part is still to be written"
            )
            return unfinished if self.has_answered else self._not_started()
        if isinstance(error, PartFailed):
            came = re.sub(r"^the part '[^']*' (?=raised|did)", "it ", str(error))
            came += f"\n{error.traceback[-800:]}" if error.traceback else ""
        else:
            came = f"{type(error).__name__}: {error}"
        return self.failure(tried, came, "an answer, without an error")

    @contextmanager
    def running(self, tried: str) -> Iterator[None]:
        """Run the answer as a part of a cluster: what fails there is told in the check's words."""
        try:
            yield
        except DynalabError as error:
            raise self.broken(tried, error) from None

    def cluster(self, nodes: int = 3, parts: Parts | None = None, **settings: Any) -> Any:
        """A real cluster with the answer in it; in hidden cases, and with ``DYNALAB_WORLD=sim``, a simulation."""
        import dynalab

        chosen: dict[str, Any] = {"storage": "memory", "timeout_ms": 5_000} | settings
        if self.is_hidden:  # The processes were started once for this answer; these are more cases of the same.
            return self.simulation(nodes, parts, **chosen)
        return dynalab.Cluster(nodes, parts=parts, name=f"check-{self.task}", **chosen)

    def simulation(self, nodes: int = 5, parts: Parts | None = None, **settings: Any) -> Any:
        """The same in virtual time, with a seed of its own."""
        from dynalab.sim.cluster import Simulation

        return Simulation(nodes, parts=parts, seed=self.random.randrange(1_000_000), **settings)


Body = Callable[..., None]


class Check:
    """One check: call it with the answers it judges.

    Attributes:
        task: as ``ring-1``.
        points: for a right answer.
        minutes: how long a student may take.
        hint: shown with every failure.
        verdict: how it went last in this process.
    """

    def __init__(self, task: str, points: int, minutes: int, hint: str, body: Body, methods: Sequence[str]) -> None:
        self.task = task
        self.points = points
        self.minutes = minutes
        self.hint = hint
        self.verdict = NOT_STARTED
        self._body = body
        self._methods = methods
        self.__doc__ = body.__doc__

    def __call__(self, *answers: Any) -> None:
        """Judge; one line on success.

        Raises:
            CheckFailed: the answer is not right.
        """
        self.judge(answers, os.environ.get("DYNALAB_SEED", CLASSROOM_SEED))
        print(f"{self.task}: PASS ({self.points}/{self.points} points)")

    def hidden(self, *answers: Any) -> None:
        """Judge again with other cases; says nothing on success."""
        self.judge(answers, os.environ.get("DYNALAB_SEED", CLASSROOM_SEED) + HIDDEN)

    def judge(self, answers: Sequence[Any], seed: str, answer_ms: int = ANSWER_MS) -> None:
        """Judge with the cases of one seed, silently; an answer may take `answer_ms` per call.

        Raises:
            CheckFailed: the answer is not right.
        """
        case = Case(self.task, self.hint, seed, answer_ms)
        try:
            made = [_instance(case, answer) for answer in answers]
            for part in made if self._methods else ():
                _has(case, part, self._methods)
            self._body(case, *made)
        except CheckFailed as failed:
            self.verdict = failed.verdict
            raise
        self.verdict = PASSED

    def __repr__(self) -> str:
        return f"<check {self.task}, {self.points} points, about {self.minutes} minutes>"


def check(task: str, points: int, minutes: int, hint: str, methods: Sequence[str] = ()) -> Callable[[Body], Check]:
    """Make a check of a function ``(case, *answers)`` that raises when an answer is wrong.

    Args:
        task: as ``ring-1``.
        points: for a right answer.
        minutes: how long a student may take.
        hint: shown with every failure.
        methods: what an answer that is a class must have.
    """

    def made(body: Body) -> Check:
        _CHECKS[task] = Check(task, points, minutes, hint, body, methods)
        return _CHECKS[task]

    return made


def checks() -> dict[str, Check]:
    """``{task: check}`` of the whole course."""
    from dynalab.course import check as _loaded  # noqa: F401 - loading them fills the table

    return dict(_CHECKS)


def progress(topic: str) -> None:
    """Say in words how far the tasks of one topic are, as of the checks run in this notebook."""
    mine = [each for each in checks().values() if each.task.rpartition("-")[0] == topic]
    got = sum(each.points for each in mine if each.verdict == PASSED)
    for each in mine:
        print(f"{each.task}: {each.verdict} ({each.points if each.verdict == PASSED else 0}/{each.points})")
    print(f"together: {got}/{sum(each.points for each in mine)} points")


def shown(value: Any, most: int = SHOWN_MAX) -> str:
    """A value for people, cut short."""
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - a student's own __repr__ may fail in any way
        text = f"<a {type(value).__name__} whose repr raises {type(error).__name__}>"
    return text if len(text) <= most else f"{text[: most - 20]} ... ({len(text)} characters)"


def _instance(case: Case, answer: Any) -> Any:
    """A class is used through one object of it."""
    return case.made(answer) if isinstance(answer, type) else answer


def _has(case: Case, part: Any, methods: Sequence[str]) -> None:
    case.started(part)
    missing = [name for name in methods if not callable(getattr(part, name, None))]
    case.holds(not missing, "your class", f"it lacks {', '.join(missing)}", f"the methods {', '.join(methods)}")


def _same(left: Any, right: Any) -> bool:
    """Whether two plain values are equal; by exact types, so that no answer brings an equality of its own."""
    if type(left) in (list, tuple) and type(right) in (list, tuple):
        return len(left) == len(right) and all(_same(a, b) for a, b in zip(left, right, strict=True))
    if type(left) is dict and type(right) is dict:
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in right)
    if type(right) is float and type(left) in (int, float):
        return abs(float(left) - right) <= 1e-9
    return type(left) is type(right) and bool(left == right)


def _indented(text: str) -> str:
    return text.strip().replace("\n", "\n" + " " * 19)


def _printed(_: str, text: str) -> None:
    """What an answer printed, at the check that called it; the guard has cut it short."""
    print(text[:2_000], end="" if text.endswith("\n") else "\n")
