"""A run that is over has left nothing behind, whatever its code has done to stay."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from dynalab.course.grader import PYTEST
from dynalab.course.jail import Apart
from dynalab.course.runs import LOST, Runs
from tests.course.answering import ROOT
from tests.course.hostile import RIGHT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dynalab.course.confined import Ended

pytestmark = pytest.mark.timeout(300)  # For a busy machine; a run that hangs is ended by its own limit.

LIMIT_S = 200
"""Longer than any of these runs takes on a busy machine."""

STAYING = """
import os, signal
heard, tell = os.pipe()
def stay():
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    pipe = os.open({pipe!r}, os.O_WRONLY)
    os.write(pipe, b"x")
    os.write(tell, b"x")
    while True:
        signal.pause()
for number in range({count}):
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        stay()
    os.read(heard, 1)
"""
"""Children forked twice, in sessions of their own, deaf to signals; the cell goes on when they are there."""

GRADER = """
import sys
from pathlib import Path
from dynalab.course.runs import Runs
from tests.course.test_confined import _run
with Runs(Path(sys.argv[1])) as runs:
    _run(runs, Path(sys.argv[1]), sys.argv[2])
"""

LOOPING = "\nwhile True:\n    pass\n"
ENDING_ITS_WATCHERS = """
import psutil
for watcher in reversed(psutil.Process().parents()):
    if "dynalab.course.warm" in watcher.cmdline():
        watcher.kill()
"""


@pytest.fixture(scope="module", params=[Apart.PROCESSES, Apart.NOTHING], ids=lambda most: most.name.lower())
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """With all that this system gives, and with the least that any system gives."""
    with Runs(tmp_path_factory.mktemp("runs"), request.param) as started:
        yield started


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[int]:
    """The reading end of a pipe with a name: the system says when nobody has its other end open any more."""
    os.mkfifo(tmp_path / "pipe")
    reading = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    yield reading
    os.close(reading)


def _run(runs: Runs, tmp_path: Path, source: str, limit_s: float = LIMIT_S) -> Ended:
    """Run a cell as an answer, without asking whether it breaks a rule."""
    room = tmp_path / "room"
    room.mkdir()
    given = {"seed": "1", "answers": {"ring-1": source}, "names": {"ring-1": ["owner"]}}
    return runs.run("opinion", room, limit_s, {}, json.dumps(given))


def _came(pipe: int) -> int:
    """How many children were there; none of them is any more, says the system: a pipe with a writer has no end."""
    came = len(os.read(pipe, 1000))
    assert os.read(pipe, 1) == b""
    return came


def _cell(tmp_path: Path, count: int, after: str) -> str:
    return STAYING.format(pipe=str(tmp_path / "pipe"), count=count) + after


def test_children_left_behind_are_ended(runs: Runs, tmp_path: Path, pipe: int) -> None:
    """Twenty children of a right answer end with its run."""
    ended = _run(runs, tmp_path, _cell(tmp_path, 20, RIGHT))
    assert json.loads(ended.output)["verdict"] == "passed", ended
    assert _came(pipe) == 20


def test_a_hundred_children_stop_the_run(runs: Runs, tmp_path: Path, pipe: int) -> None:
    """A run that starts too many is stopped, and none of them stays."""
    ended = _run(runs, tmp_path, _cell(tmp_path, 100, LOOPING))
    assert "more than 60 processes" in ended.why
    assert _came(pipe) > 30


def test_a_run_that_takes_too_long_is_stopped(runs: Runs, tmp_path: Path) -> None:
    """It is told how long it had; its folder can be removed."""
    ended = _run(runs, tmp_path, LOOPING, 1)
    assert ended.why == "it took longer than 1 s"
    shutil.rmtree(tmp_path / "room")


def test_a_run_that_takes_too_much_memory_is_stopped(runs: Runs, tmp_path: Path) -> None:
    """Many small pieces, each within the bound of its own process, are too much together."""
    filling = "import os\nfor _ in range(2):\n    os.fork()\nheld = b'x' * 6 * 10**8" + LOOPING
    ended = _run(runs, tmp_path, filling)
    assert "MB of memory" in ended.why


def test_a_run_may_not_end_its_watchers(tmp_path: Path, pipe: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Without a process table of its own a cell can kill who watches it: it ends with them, and the next is fine."""
    with Runs(tmp_path_factory.mktemp("runs"), Apart.NOTHING) as runs:
        cell = "import sys\nsys.path += " + repr(sys.path) + _cell(tmp_path, 3, ENDING_ITS_WATCHERS + LOOPING)
        ended = _run(runs, tmp_path, cell)
        assert ended.why in LOST
        assert _came(pipe) == 6  # It was tried once more, alone.
        (tmp_path / "next").mkdir()
        assert json.loads(_run(runs, tmp_path / "next", RIGHT).output)["verdict"] == "passed"


def test_the_end_of_the_grader_ends_its_runs(tmp_path: Path, pipe: int) -> None:
    """A grader that is killed takes along what it was running."""
    cell = _cell(tmp_path, 3, LOOPING)
    grader = subprocess.Popen([sys.executable, "-c", GRADER, str(tmp_path), cell], cwd=ROOT)
    waiting = select.poll()
    waiting.register(pipe, select.POLLIN)
    while not waiting.poll(1_000):
        assert grader.poll() is None, "the grader ended by itself"
    grader.kill()
    grader.wait()
    while waiting.poll(LIMIT_S * 1000) and os.read(pipe, 1000):
        pass
    assert os.read(pipe, 1) == b""


def test_what_runs_are_forked_from_has_one_thread(tmp_path: Path, runs: Runs) -> None:
    """A fork would inherit half of a second thread, so loading all that a notebook needs starts none."""
    (tmp_path / "room").mkdir()
    page = tmp_path / "room" / "page.ipynb"
    page.write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', encoding="utf-8")
    ended = runs.run("notebook", page.parent, LIMIT_S, {}, arguments=[*PYTEST, str(page)])
    assert ended.code == 5, ended  # Nothing to run was found, by a pytest that has loaded all.
    assert psutil.Process(runs._process.pid).num_threads() == 1
