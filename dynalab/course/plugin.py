"""A plugin of pytest for grading: which check cell passed, written down at once; and a dead kernel noticed.

nbval alone waits for a dead kernel until its timeout, and counts the cells after it as expected failures.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dynalab.course.exercises import mark_of

KERNEL_DIED = 70
LOOK_S = 0.25


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where the verdicts go."""
    parser.addoption("--dynalab-results", help="a file; one line of JSON per check cell is added to it")


def _target(item: Any) -> str:
    return item.config.getoption("dynalab_results") or ""


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: Any, call: Any) -> Iterator[None]:  # noqa: ARG001 - named as pytest names them
    """Write down how a check cell went."""
    outcome: Any = yield
    report = outcome.get_result()
    mark = mark_of(getattr(item, "cell", {}))
    if _target(item) and report.when == "call" and mark.get("grade"):
        passed = report.passed and not hasattr(report, "wasxfail")
        line = {"task": mark["grade_id"].removeprefix("check-"), "passed": passed, "text": str(report.longrepr or "")}
        with Path(_target(item)).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line | {"text": line["text"][-4_000:]}) + "\n")


def pytest_runtest_setup(item: Any) -> None:
    """Watch the kernel of the notebook that a cell belongs to."""
    notebook = item.parent
    if _target(item) and not getattr(notebook, "watched", False) and getattr(notebook, "kernel", None) is not None:
        notebook.watched = True
        threading.Thread(target=_watch, args=(notebook.kernel.km, threading.Event()), daemon=True).start()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: Any, nextitem: Any) -> None:  # noqa: ARG001 - named as pytest names them
    """A kernel that is stopped after the last cell has not died."""
    if nextitem is None:
        _FINISHED.set()


_FINISHED = threading.Event()


def _watch(manager: Any, pause: threading.Event) -> None:
    while not pause.wait(LOOK_S) and not _FINISHED.is_set():
        provisioner = getattr(manager, "provisioner", None)
        process = getattr(provisioner, "process", None)
        if process is not None and process.poll() is not None and not _FINISHED.wait(LOOK_S):
            os._exit(KERNEL_DIED)
