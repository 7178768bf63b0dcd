"""S50 on real processes: random faults under load, judged; memory and file handles watched."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from dynalab import Simulation
from dynalab.check.recorder import Recorder
from dynalab.explore.torture import torture
from dynalab.explore.trouble import GUESTS_MAX, KINDS_OF, Trouble

LONG = pytest.param(2.0, 4, marks=[pytest.mark.slow, pytest.mark.timeout(600)])


@pytest.mark.live
@pytest.mark.parametrize(("minutes", "seed"), [(0.1, 3), LONG])
def test_s50_everything_at_once_on_real_processes(tmp_path: Path, minutes: float, seed: int):
    """S50: whatever is broken meanwhile, in the end every invariant that can be judged holds, and a report says so."""
    report = tmp_path / "report.json"
    outcome = torture(minutes, seed, report=report)
    assert outcome.ok, str(outcome)
    assert {"I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9"} <= set(outcome.held)
    assert sum(outcome.faults.values()) > 0
    assert outcome.operations["put ok"] > 0
    told = json.loads(report.read_text())
    assert told["violations"] == []
    assert told["seed"] == seed
    assert told["growth"]["uss"][0] > 0


def test_a_cluster_does_not_only_grow():
    """Guests that could not leave in time are asked to leave before another one comes (I10)."""
    recorder = Recorder(Simulation(3, seed=1))
    come_and_go = KINDS_OF["join and leave"]
    trouble = Trouble(recorder, Random(1))
    for _ in range(GUESTS_MAX):
        come, _go = come_and_go(trouble)
        come()
    assert recorder.nodes[3:] == ["J1", "J2"]
    instead, nothing = come_and_go(trouble)
    instead()
    nothing()
    assert recorder.nodes[3:] == ["J2"]
