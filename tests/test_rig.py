"""The rig: what is missing is named, and what is left behind is found."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from tests.needs import NEEDS, require
from tests.processes import Census
from tests.scheduling import unit_of

#: Looks like a node process from outside, and lives until its standard input closes.
LIKE_A_NODE = [sys.executable, "-c", "import sys; sys.stdin.read()", "dynalab.live"]


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> str:
    """A need that nothing on this machine can meet."""
    monkeypatch.setitem(NEEDS, "telepathy", (lambda: None, "think harder"))
    return "telepathy"


def test_a_missing_need_skips_and_says_how(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a reader's machine a test that lacks something skips, with the remedy."""
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="needs telepathy: to run this test, think harder"):
        require(missing)


def test_a_missing_need_fails_in_ci(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under CI=true the same test fails."""
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="CI must not skip: this test needs telepathy"):
        require(missing)


def test_a_process_left_behind_is_named_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node process that outlives its test is reported, and does not disturb the next one."""
    monkeypatch.setattr("tests.processes.GRACE_S", 0.1)
    census = Census.now()
    with subprocess.Popen(LIKE_A_NODE, stdin=subprocess.PIPE) as process:
        (left,) = census.leftovers()
        assert left.startswith(f"process {process.pid}: ")
        assert not psutil.pid_exists(process.pid)
    assert census.leftovers() == []


def test_an_orphan_is_found_by_its_temporary_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process whose parent is gone is still known as ours."""
    monkeypatch.setattr("tests.processes.GRACE_S", 0.1)
    census = Census.now()
    start = "import subprocess, sys; print(subprocess.Popen(sys.argv[1:], stdin=0, stdout=-3, stderr=-3).pid)"
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as pipe:
        started = subprocess.run(
            [sys.executable, "-c", start, *LIKE_A_NODE], stdin=pipe.stdout, capture_output=True, text=True, check=True
        )
        orphan = int(started.stdout)
        assert orphan not in {child.pid for child in psutil.Process().children(recursive=True)}
        (left,) = census.leftovers()
        assert left.startswith(f"process {orphan}: ")


def test_a_folder_left_behind_is_named() -> None:
    """A runtime folder that outlives its test is reported."""
    census = Census.now()
    with tempfile.TemporaryDirectory(prefix="dynalab-") as folder:
        assert census.leftovers() == [f"folder {Path(folder)}"]
    assert census.leftovers() == []


def test_a_process_that_ends_in_time_is_not_left_behind() -> None:
    """What is already on its way out is waited for."""
    census = Census.now()
    with subprocess.Popen(LIKE_A_NODE, stdin=subprocess.PIPE) as process:
        process.stdin.close()
        assert census.leftovers() == []


def test_browser_tests_are_one_unit_of_work() -> None:
    """Workers share out files, cells of a notebook together, and the browser tests as a whole."""
    assert unit_of("tests/browser/test_a.py::x") == unit_of("tests/browser/test_b.py::y")
    assert unit_of("notebooks/00.ipynb::Cell 1") == unit_of("notebooks/00.ipynb::Cell 2") == "notebooks/00.ipynb"
    assert unit_of("tests/test_laws.py::x[a::b]") == "tests/test_laws.py"
