"""A lost question is not a lost peer."""

from __future__ import annotations

from random import Random

from dynalab.core.config import Config, Parts
from dynalab.core.desk import Desk, run_unguarded
from dynalab.core.detector import FailureDetector


def _detector(now_us: int) -> FailureDetector:
    desk = Desk("A", Config(), Random(1), Parts(), run_unguarded)
    desk.now_us = now_us
    return FailureDetector(desk)


def test_a_peer_that_has_answered_since_is_spared() -> None:
    """A request that timed out does not suspect a peer that has answered something after it was asked (4.8.3)."""
    detector = _detector(1_000)
    detector.desk.now_us = 2_000
    detector.heard("B")
    detector.suspect("B", "put timed out", asked_us=1_500)
    assert detector.believes_up("B")


def test_a_peer_silent_since_the_question_is_suspected() -> None:
    """A request that timed out suspects at once a peer that has said nothing since."""
    detector = _detector(1_000)
    detector.heard("B")
    detector.suspect("B", "put timed out", asked_us=1_500)
    assert not detector.believes_up("B")
