"""The search itself: workers, sampled replays, shrinking, files, exit codes, planted bugs."""

import contextlib
import json
import os
import subprocess
import sys

import pytest

from dynalab.cli import main
from dynalab.explore.compose import composed
from dynalab.explore.mutants import MUTANTS, mutant_named
from dynalab.explore.script import loaded
from dynalab.explore.search import hunted, search
from dynalab.explore.shrink import shrunk_trial
from dynalab.explore.trial import tried

QUICK = (
    *("blind write replaces", "one node one line", "newest wins", "ack covers the unread", "contexts are believed"),
    *("a retry is a new write", "a replica overwrites", "delete means forget", "a quorum counts messages"),
    *("sent means stored", "a timeout is a no", "once suspected for ever", "clients may say anything"),
)
"""Planted bugs that the first few seeds show."""

SMALL = 16
"""A seed whose script without faults is short, and shows a blind write that replaces."""

ROWS = {f"S{row:02}" for row in (1, 2, 4, 6, 9, 12, 14, 15, 18, 21, 25, 26)}
"""The scenarios for which RELIABILITY.md asks for a planted bug."""


def test_a_planted_bug_for_every_row():
    """At least fifteen planted bugs, each named once, among them one for every row that asks for it."""
    assert len(MUTANTS) >= 15
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    assert {mutant.scenario for mutant in MUTANTS} >= ROWS
    assert all(mutant.mistake for mutant in MUTANTS)


@pytest.mark.parametrize("name", QUICK)
def test_quick_planted_bugs_are_found(name, record_property):
    """The first share of the kill table: each of these is found within its number of seeds."""
    _kill(name, record_property)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", [mutant.name for mutant in MUTANTS if mutant.name not in QUICK])
def test_every_planted_bug_is_found(name, record_property):
    """The rest of the kill table: with the quick ones it is complete."""
    _kill(name, record_property)


def _kill(name, record_property):
    """Find a planted bug; its row of the kill table is printed at the end of the run (tests/conftest.py)."""
    mutant, outcome = mutant_named(name), hunted(name)
    found = (
        "NOT FOUND" if outcome is None else f"{outcome.seed + 1:>3} of {mutant.seeds:<3}  {' '.join(outcome.broken)}"
    )
    record_property("kill table", f"{name:<32}  {mutant.scenario}  {found}")
    assert outcome is not None, f"{name} survived {mutant.seeds} seeds"


@pytest.mark.parametrize("name", [mutant.name for mutant in MUTANTS])
def test_a_planted_bug_is_gone_after_its_block(name):
    """Leaving the block puts the right method back, even when the block fails."""
    before = _methods()
    with contextlib.suppress(ZeroDivisionError), mutant_named(name).planted():
        assert _methods() != before
        raise ZeroDivisionError
    assert _methods() == before


def _methods() -> list[object]:
    """Every function of every class that a planted bug may touch."""
    from dynalab.explore import mutants

    owners = [value for value in vars(mutants).values() if isinstance(value, type)]
    return [member for owner in owners for member in vars(owner).values() if callable(member)]


def test_a_failing_script_is_made_short():
    """Of dozens of steps a handful is left, and they break the same rule."""
    mutant = mutant_named("blind write replaces")
    with mutant.planted():
        script = composed(SMALL, ())
        broken = tried(script).broken[0]
        short = shrunk_trial(script, broken, runs_max=120)
        assert broken in tried(short).broken
    assert len(short.steps) <= 4
    assert len(script.steps) > 20
    assert tried(short).violations == []


def test_workers_answer_what_this_process_would():
    """Trials in fresh interpreters give the same counts as here, and the sampled seed was tried twice alike."""
    findings = search(range(3), ("crash", "loss"), jobs=1)
    here = [tried(composed(seed, ("crash", "loss"))) for seed in range(3)]
    assert findings.failures == []
    assert (findings.seeds, findings.replayed) == (3, 1)
    assert findings.events == sum(trial.events for trial in here)
    assert findings.virtual_ms == sum(trial.virtual_ms for trial in here)


def test_the_command_writes_a_report(tmp_path, capsys):
    """Nothing broke: exit code 0, and the report says what ran."""
    assert main(["search", "--seeds", "2", "--jobs", "1", "--faults", "loss", "--out", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["seeds"], told["violations"], told["faults"]) == (2, [], ["loss"])
    page = (tmp_path / "report.md").read_text()
    assert "seeds: 2 (0 to 1), 1 of them twice" in page
    assert "None. Silence of a simulator is not proof" in page


def test_a_broken_rule_is_saved_and_reproduced_by_one_command(tmp_path, root_dir):
    """With a planted bug the search exits with 1 and saves a short script; --replay of it breaks the same rule."""
    plant = (
        "import sys; from dynalab.explore import search, mutants; from dynalab.cli import main\n"
        "def here(function, tasks, jobs): return [function(*task) for task in tasks]\n"
        "search._in_workers = here\n"
        "with mutants.mutant_named('blind write replaces').planted(): sys.exit(main(sys.argv[1:]))"
    )

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", plant, "search", *arguments]
        lives = {**os.environ, "PYTHONPATH": str(root_dir)}
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=lives, check=False)

    found = run("--seeds", "1", "--first", str(SMALL), "--faults", "none", "--out", "out")
    assert found.returncode == 1, found.stderr
    saved = tmp_path / "out" / "I1.json"
    assert f"dynalab search --replay {saved.relative_to(tmp_path)}" in found.stderr
    assert len(loaded(saved.read_text()).steps) <= 4
    again = run("--replay", str(saved))
    assert again.returncode == 1
    assert "What nodes did:" in again.stdout
    assert main(["search", "--replay", str(saved)]) == 0


def test_a_file_that_is_no_script_is_not_understood(tmp_path, capsys):
    """Exit code 2, and a sentence that names the file."""
    path = tmp_path / "x.json"
    path.write_text("{}")
    assert main(["search", "--replay", str(path)]) == 2
    assert "no 'script'" in capsys.readouterr().err
    assert main(["search", "--seeds", "0"]) == 2
