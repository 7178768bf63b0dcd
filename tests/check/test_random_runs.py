"""Random runs before the judge: whatever happens to a cluster, the invariants hold once it is quiet (S50)."""

from __future__ import annotations

import pytest

from tests.check.schedules import cluster_of, disturbed, judged
from tests.conftest import THOROUGH

SEEDS = range(120 if THOROUGH else 12)
STEPS = 200 if THOROUGH else 80


@pytest.mark.parametrize("seed", SEEDS)
def test_the_invariants_hold_after_any_schedule(seed: int):
    """Losses, delays, cuts, crashes, wiped disks, pauses, skew, joins and leaves: I1 to I11 hold in the end."""
    recorder = cluster_of(seed)
    disturbed(recorder, seed, STEPS)
    report = judged(recorder)
    assert report.ok, f"replay: cluster_of({seed}), disturbed(..., {seed}, {STEPS})\n{report}"
    assert {"I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9"} <= set(report.held)
