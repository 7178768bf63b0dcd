"""What every test can lean on: needs that are named, examples that repeat, and no process left behind."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from tests.needs import MARKER_NEEDS, in_ci, require
from tests.processes import Census

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xdist.remote import Producer
    from xdist.scheduler import Scheduling

    from tests.worlds import World

THOROUGH = os.environ.get("DYNALAB_THOROUGH") == "1"

hypothesis.settings.register_profile(
    "dynalab",
    deadline=None,  # No test measures time.
    derandomize=in_ci(),
    max_examples=1000 if THOROUGH else 50,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],  # A busy machine is not a wrong program.
    print_blob=True,
)
hypothesis.settings.load_profile("dynalab")


@pytest.fixture(scope="session")
def need() -> Callable[[str], str]:
    """`need("chromium")` is the program's path; without it the test skips, and fails under CI=true."""
    return require


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, what in MARKER_NEEDS.items():
        if item.get_closest_marker(marker):
            require(what)


# --- workers that do not see each other -------------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    """Give this worker a temporary folder of its own, so that nothing of another's looks left behind.

    pytest's own `tmp_path` folders stay where they are, to be read after a failure.
    """
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    home = tempfile.TemporaryDirectory(prefix="dynatest-", ignore_cleanup_errors=True)
    before = os.environ.get("TMPDIR")
    _use_tempdir(home.name)
    config.add_cleanup(lambda: (_use_tempdir(before), home.cleanup()))


def _use_tempdir(folder: str | None) -> None:
    os.environ.pop("TMPDIR", None)
    if folder is not None:
        os.environ["TMPDIR"] = folder
    tempfile.tempdir = None  # Forget the cached answer.


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    """With `--dist loadfile`, keep on one worker also the tests that share one browser."""
    if config.getoption("dist") != "loadfile":
        return None
    from tests.scheduling import OneBrowser

    return OneBrowser(config, log)


# --- nothing outlives its test ----------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def no_orphans(request: pytest.FixtureRequest) -> Iterator[None]:
    """After a test marked `live`, no node process and no runtime folder that it started is left."""
    if request.node.get_closest_marker("live") is None:
        yield
        return
    census = Census.now()
    yield
    left = census.leftovers()
    assert not left, "left behind by this test: " + "; ".join(left)


@pytest.fixture(scope="session", autouse=True)
def no_orphans_at_the_end() -> Iterator[None]:
    """At the end of the session the same holds for what fixtures shared between tests."""
    census = Census.now()
    yield
    left = census.leftovers()
    assert not left, "left behind by the session: " + "; ".join(left)


@pytest.fixture(params=["sim", pytest.param("live", marks=pytest.mark.live)])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Clusters in the simulation and on real processes, closed after the test."""
    from tests.worlds import World

    founded: list[Any] = []
    yield World(request.param, founded.append)
    for cluster in founded:
        cluster.close()


@pytest.fixture(scope="session")
def root_dir() -> Path:
    """The folder of the repository."""
    return Path(__file__).parent.parent


# --- the scenarios ----------------------------------------------------------------------------------------------------


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """After a run of scenario tests: which of the fifty held, and where."""
    from tests.scenarios.table import HERE, lines

    outcomes = [
        (report.nodeid, outcome)
        for outcome in ("passed", "failed", "error", "skipped")
        for report in terminalreporter.stats.get(outcome, [])
        if hasattr(report, "nodeid")
    ]
    if any(nodeid.startswith(HERE) for nodeid, _ in outcomes):
        terminalreporter.section("scenarios: title, worlds, invariants, verdict")
        for line in lines(outcomes):
            terminalreporter.write_line(line)
    ran = [report for reports in terminalreporter.stats.values() for report in reports if hasattr(report, "nodeid")]
    rows = sorted({value for report in ran for name, value in report.user_properties if name == "kill table"})
    if rows:
        terminalreporter.section("planted bugs: name, scenario, seeds it took of those allowed, what it broke")
        for row in rows:
            terminalreporter.write_line(row)
