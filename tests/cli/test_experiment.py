"""`dynalab experiment`: what it says, what it leaves, and its exit code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from dynalab.bench import experiments
from dynalab.bench.experiments.frame import Experiment, Findings, Run
from dynalab.cli import main
from dynalab.core.errors import NotSettled

if TYPE_CHECKING:
    from pathlib import Path


def _experiment(name: str, holds: bool) -> Experiment:
    def run(run: Run) -> Findings:
        findings = Findings(tables={"numbers": [{"seed": run.seed, "size": run.size}]})
        for step in run.each([1, 2]):
            findings.claim(f"claim {step} of {name}", "seen", holds)
        return findings

    return Experiment(experiments.NAMES.index(name), name, f"About {name}", "calculation", "Why?", run)


@pytest.fixture(params=[True, False], ids=["holds", "fails"])
def holds(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Experiments that take no time, and whose claims hold or do not."""
    claims_hold: bool = request.param
    monkeypatch.setattr(experiments, "experiment", lambda name: _experiment(name, claims_hold))
    return claims_hold


def test_the_exit_code_says_whether_claims_hold(
    holds: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 when everything shows what it claims, 1 when something does not; the files are there either way."""
    assert main(["experiment", "scale", "chaos", "--quick", "--seed", "9", "--out", str(tmp_path)]) == (
        0 if holds else 1
    )
    assert {path.name for path in tmp_path.iterdir()} == {"2-chaos-numbers.csv", "9-scale-numbers.csv", "index.html"}
    assert "9,quick" in (tmp_path / "2-chaos-numbers.csv").read_text()
    said = capsys.readouterr()
    assert ("FAILS" in said.out) is not holds
    assert said.out.index("About chaos") < said.out.index("About scale")
    assert "100%" in said.err


def test_programs_get_json(holds: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json there is one list and nothing else."""
    main(["experiment", "all", "--json", "--out", str(tmp_path)])
    told = json.loads(capsys.readouterr().out)
    assert [each["experiment"] for each in told] == list(experiments.NAMES)
    assert {claim["holds"] for each in told for claim in each["claims"]} == {holds}


def test_an_unknown_experiment_is_not_understood(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt name ends with 2, and names those there are."""
    assert main(["experiment", "stalenes"]) == 2
    assert "staleness" in capsys.readouterr().err


def test_the_list_names_every_experiment(capsys: pytest.CaptureFixture[str]) -> None:
    """`list` says number, name, title and world of each."""
    assert main(["experiment", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == list(experiments.NAMES)


def test_one_that_ends_in_an_error_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An experiment that cannot be carried out counts as not shown, by its error; the next one runs."""

    def broken(run: Run) -> Findings:
        raise NotSettled("node B keeps 3 hints")

    found = {"chaos": Experiment(2, "chaos", "Broken", "live", "Why?", broken), "scale": _experiment("scale", True)}
    monkeypatch.setattr(experiments, "experiment", found.__getitem__)
    assert main(["experiment", "chaos", "scale", "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "NotSettled: node B keeps 3 hints" in said
    assert "claim 2 of scale" in said
