"""The second opinion: the same checks, with the answer in a process of its own.

In a notebook's kernel an answer and its check share one memory, and a clever answer can reach the check.
Here the check runs in this process, and the answer in another (answerer.py), a new one for every task;
only plain values cross. What runs in a cluster there, runs in the simulation here.

`main` reads ``{"seed": ..., "answers": {task: source}, "names": {task: [name]}}``
as JSON on standard input, and writes one line ``{"task", "verdict", "text", "late"}`` per task, as soon as it is known.
"""

from __future__ import annotations

import ast
import json
import os
import selectors
import subprocess
import sys
from contextlib import redirect_stdout, suppress
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, NamedTuple

import psutil

from dynalab.core.errors import PartFailed
from dynalab.course.checking import ANSWER_MS, HIDDEN, NOT_YET, PASSED, CheckFailed, checks
from dynalab.course.confined import WORD

LOAD_S = 2.0
WALL_PER_CPU = 15
"""How long an answer may take on a busy machine for each second of computing that it is allowed."""

LOOK_S = 0.2
_SCRIPT = Path(__file__).with_name("answerer.py")


class AnswerFailed(PartFailed):
    """The answer raised, was no plain value, or did not come in time."""

    def __init__(self, text: str) -> None:
        first, _, more = text.partition("\n")
        super().__init__(first)
        self.traceback = more


class Answerer:
    """One process with one answer in it; a context manager.

    Attributes:
        is_late: whether a question was left without a reply because the machine was busy with something else.
    """

    def __init__(self, source: str, names: list[str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-s", "-S", "-B", str(_SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            # Sets have one order whenever an answer is graded again; the word finds what has lost its parent.
            env={"PYTHONHASHSEED": "0"} | {name: os.environ[name] for name in (WORD,) if name in os.environ},
        )
        assert self._process.stdout is not None
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._process.stdout, selectors.EVENT_READ)
        self._read = b""
        self.is_late = False
        self._source, self._names = source, names

    def things(self) -> list[Any]:
        """The named answers: values, or `Remote` functions and objects.

        Raises:
            AnswerFailed: the source cannot be run.
        """
        described = self.ask(("load", self._source, self._names), LOAD_S)
        return [self._thing(name, *described[name]) for name in self._names]

    def _thing(self, name: str, kind: str, content: Any) -> Any:
        return content if kind == "value" else Remote(self, name, set(content), kind == "callable")

    def ask(self, question: tuple[Any, ...], limit_s: float) -> Any:
        """One question, one reply; `limit_s` of computing, so that a busy machine fails nobody."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write((repr(question) + "\n").encode())
            reply = ast.literal_eval(self._line(limit_s))
        except (OSError, ValueError, SyntaxError, MemoryError, RecursionError) as error:
            raise AnswerFailed(f"the answer's process ended: {type(error).__name__}") from None
        if not (isinstance(reply, tuple) and len(reply) == 2 and reply[0] in ("ok", "error")):
            raise AnswerFailed("the answer's process talked nonsense")
        if reply[0] == "error":
            raise AnswerFailed(str(reply[1]).strip())
        return reply[1]

    def _line(self, limit_s: float) -> str:
        assert self._process.stdout is not None
        end, before = monotonic() + WALL_PER_CPU * limit_s, _computed_s(self._process.pid)
        while b"\n" not in self._read:
            if not self._selector.select(LOOK_S):
                computed = _computed_s(self._process.pid) - before
                if monotonic() > end or computed > limit_s:
                    self.is_late = computed <= limit_s
                    self._process.kill()
                    raise AnswerFailed(f"no answer within {limit_s:g} s")
            else:
                piece = os.read(self._process.stdout.fileno(), 65_536)
                if not piece:
                    raise ConnectionResetError
                self._read += piece
        line, _, self._read = self._read.partition(b"\n")
        return line.decode()

    def __enter__(self) -> Answerer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
        self._selector.close()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def _computed_s(pid: int) -> float:
    """Processor time of a process so far; none when it has ended."""
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


class Remote:
    """A function or an object in an answerer, called as if it were here."""

    def __init__(self, answerer: Answerer, name: str, methods: set[str], is_callable: bool) -> None:
        self._answerer = answerer
        self._methods = methods
        self._is_callable = is_callable
        self.is_remote = True
        self.__name__ = name

    def __call__(self, *arguments: Any) -> Any:
        if not self._is_callable:
            raise AnswerFailed(f"{self.__name__} is no function")
        return self._answerer.ask(("call", self.__name__, arguments), ANSWER_MS / 1000)

    def __getattr__(self, method: str) -> Any:
        if method not in self.__dict__.get("_methods", ()):
            raise AttributeError(f"the answer has no method {method!r}")
        return Remote(self._answerer, f"{self.__name__}.{method}", set(), is_callable=True)


class Opinion(NamedTuple):
    """How an answer is, what the check says of it, and whether that is for the time it took on a busy machine."""

    task: str
    verdict: str
    text: str = ""
    late: bool = False


def second_opinion(task: str, source: str, names: list[str], seed: str) -> Opinion:
    """Judge one answer in a process of its own."""
    judge = checks()[task]
    with Answerer(source, names) as answerer:
        try:
            things = answerer.things()
            for cases in (seed, seed + HIDDEN):
                judge.judge(things, cases, WALL_PER_CPU * ANSWER_MS * 2)
        except CheckFailed as failed:
            return Opinion(task, failed.verdict, str(failed)[:4_000], answerer.is_late)
        except AnswerFailed as failed:
            text = f"CHECK {task}: NOT YET\n  your cell cannot be run by itself: {failed}\n{failed.traceback}".rstrip()
        except Exception as error:  # noqa: BLE001 - whatever an answer provoked, it is not right
            text = f"CHECK {task}: NOT YET\n  {type(error).__name__}: {str(error)[:500]}"
        else:
            return Opinion(task, PASSED)
        return Opinion(task, NOT_YET, text[:4_000], answerer.is_late)


def main() -> int:
    """Judge what standard input lists."""
    os.environ["DYNALAB_WORLD"] = "sim"
    wanted = json.loads(sys.stdin.read())
    out = sys.stdout
    for task, source in wanted["answers"].items():
        with redirect_stdout(sys.stderr):
            opinion = second_opinion(task, source, wanted["names"][task], wanted["seed"])
        print(json.dumps(opinion._asdict()), file=out, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
