"""The second opinion: the same checks, with the answer in a process of its own.

In a notebook's kernel an answer and its check share one memory, and a clever answer can reach the check.
Here the check runs in this process, and the answer in another (answerer.py), a new one for every task;
only plain values cross. What runs in a cluster there, runs in the simulation here.

``python -m dynalab.course.opinion`` reads ``{"seed": ..., "answers": {task: source}, "names": {task: [name]}}``
as JSON on standard input, and writes one line ``{"task", "passed", "text"}`` per task, as soon as it is known.
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
from typing import Any

from dynalab.course.checking import ANSWER_MS, HIDDEN, CheckFailed, checks

LOAD_S = 5.0
_SCRIPT = Path(__file__).with_name("answerer.py")


class AnswerFailed(Exception):
    """The answer raised, was no plain value, or did not come in time."""


class Answerer:
    """One process with one answer in it; a context manager."""

    def __init__(self, source: str, names: list[str]) -> None:
        command = [sys.executable, "-I", "-S", "-B", str(_SCRIPT)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
        )
        assert self._process.stdout is not None
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._process.stdout, selectors.EVENT_READ)
        self._read = b""
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
        """One question, one reply."""
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
        end = monotonic() + limit_s
        while b"\n" not in self._read:
            if monotonic() > end:
                self._process.kill()
                raise AnswerFailed(f"no answer within {limit_s:g} s")
            if self._selector.select(0.05):
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


class Remote:
    """A function or an object in an answerer, called as if it were here."""

    def __init__(self, answerer: Answerer, name: str, methods: set[str], is_callable: bool) -> None:
        self._answerer = answerer
        self._methods = methods
        self._is_callable = is_callable
        self.__name__ = name

    def __call__(self, *arguments: Any) -> Any:
        if not self._is_callable:
            raise TypeError(f"{self.__name__} is no function")
        return self._answerer.ask(("call", self.__name__, arguments), ANSWER_MS / 1000)

    def __getattr__(self, method: str) -> Any:
        if method not in self.__dict__.get("_methods", ()):
            raise AttributeError(f"the answer has no method {method!r}")
        return Remote(self._answerer, f"{self.__name__}.{method}", set(), is_callable=True)


def second_opinion(task: str, source: str, names: list[str], seed: str) -> tuple[bool, str]:
    """Whether an answer is right, and what the check says otherwise."""
    judge = checks()[task]
    with Answerer(source, names) as answerer:
        try:
            things = answerer.things()
            judge.judge(things, seed)
            judge.judge(things, seed + HIDDEN)
        except CheckFailed as failed:
            return False, str(failed)
        except AnswerFailed as failed:
            return False, f"CHECK {task}: NOT YET\n  your cell cannot be run by itself: {failed}"
        except Exception as error:  # noqa: BLE001 - whatever an answer provoked, it is not right
            return False, f"CHECK {task}: NOT YET\n  {type(error).__name__}: {str(error)[:500]}"
    return True, ""


def main() -> None:
    """Judge what standard input lists."""
    os.environ["DYNALAB_WORLD"] = "sim"
    wanted = json.loads(sys.stdin.read())
    out = sys.stdout
    for task, source in wanted["answers"].items():
        with redirect_stdout(sys.stderr):
            passed, text = second_opinion(task, source, wanted["names"][task], wanted["seed"])
        print(json.dumps({"task": task, "passed": passed, "text": text[:4_000]}), file=out, flush=True)


if __name__ == "__main__":
    main()
