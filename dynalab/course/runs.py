"""Start confined runs of students' code, from any thread: the grader's end of the warm process (warm.py)."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from itertools import count
from pathlib import Path
from threading import Condition, Thread
from types import TracebackType
from typing import Any

import psutil

from dynalab.course.confined import KILLED, WORD, Ended, bare
from dynalab.course.jail import Apart

GONE = "the process that starts the runs ended"
LOST = (GONE, KILLED)
"""A run that ended so may be innocent."""

END_S = 30


class Runs:
    """Confined runs; a context manager, at whose end none is left.

    Args:
        folder: a working folder that is there as long as this is.
        most: what runs have of their own at most; less where the system gives less.

    Attributes:
        apart: what a run has of its own on this system.
    """

    def __init__(self, folder: Path, most: Apart = Apart.PROCESSES) -> None:
        if not hasattr(os, "fork"):
            raise OSError("answers are run in forked processes, which this system has not; use Linux, macOS or WSL")
        self._folder = folder
        self._most = most
        self._numbers = count()
        self._word = secrets.token_hex(16)
        #: held to change what follows; heard by those who wait to run alone
        self._changing = Condition()
        self._one_alone = False
        #: {number: (what its caller waits for, where it is written)}
        self._waiting: dict[int, tuple[Future[Ended], Path]] = {}
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "dynalab.course.warm", str(int(self._most))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self._folder,
            env=bare(self._folder) | {WORD: self._word},
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self.apart = Apart(json.loads(self._process.stdout.readline() or b'{"apart": 0}')["apart"])
        Thread(target=self._listen, args=(self._process,), daemon=True).start()

    def run(
        self,
        kind: str,
        folder: Path,
        limit_s: float,
        environment: Mapping[str, str],
        given: str = "",
        arguments: Sequence[str] = (),
        alone: bool = False,
    ) -> Ended:
        """One run, to its end; again and alone when it was lost, for it may be another run that has ended its watchers.

        Args:
            kind: as `warm.LOADED` names it.
            folder: working folder; removed by the caller.
            limit_s: time it may take.
            environment: beside what every run gets.
            given: its standard input.
            arguments: of its program.
            alone: whether to wait until no other run is going on, and to let no other begin.
        """
        request = {"kind": kind, "folder": str(folder), "limit_s": limit_s, "environment": dict(environment)}
        request |= {"given": given, "arguments": list(arguments), "ended": f"{folder}.ended"}
        ended = self._run(request, alone)
        return self._run(request, alone=True) if ended.why in LOST else ended

    def _run(self, request: dict[str, Any], alone: bool) -> Ended:
        with self._changing:
            self._changing.wait_for(lambda: not self._one_alone and not (alone and self._waiting))
            self._one_alone = alone
            if self._process.poll() is not None:
                self._start()
            number, future = next(self._numbers), Future[Ended]()
            self._waiting[number] = (future, Path(request["ended"]))
            assert self._process.stdin is not None
            with suppress(BrokenPipeError):  # Its end is heard by the listener.
                self._process.stdin.write((json.dumps(request | {"run": number}) + "\n").encode())
                self._process.stdin.flush()
        try:
            return future.result()
        finally:
            with self._changing:
                self._one_alone = self._one_alone and not alone
                self._changing.notify_all()

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        """Until the warm process ends; if it was ended by one of its runs, nothing of them stays."""
        assert process.stdout is not None
        with process.stdout as notices:
            for line in notices:
                self._tell(json.loads(line)["run"])
        process.wait()
        while carrying := self._carrying():
            for member in carrying:
                with suppress(psutil.Error):
                    member.kill()
        with self._changing:
            if process is self._process:
                for number in list(self._waiting):
                    self._tell(number)

    def _tell(self, number: int) -> None:
        """Give a caller what it waits for."""
        with self._changing:
            future, path = self._waiting.pop(number)
            ended = Ended(*json.loads(path.read_text(encoding="utf-8"))) if path.exists() else Ended(None, GONE, "")
            path.unlink(missing_ok=True)
            self._changing.notify_all()
        future.set_result(ended)

    def _carrying(self) -> list[psutil.Process]:
        """The processes born with our word that are still there."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):  # It has ended, or belongs to somebody else.
                if process.environ().get(WORD) == self._word and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def close(self) -> None:
        """End all runs, and wait until they have ended."""
        assert self._process.stdin is not None
        with self._changing, suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait(END_S)

    def __enter__(self) -> Runs:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
