"""The troubles of a torture run."""

from __future__ import annotations

from random import Random

from dynalab import Simulation
from dynalab.check.recorder import Recorder
from dynalab.explore.trouble import GUESTS_MAX, KINDS_OF, Trouble


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
