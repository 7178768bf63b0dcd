"""A node that is behind refuses new clients, and only then (paper 6.5)."""

from __future__ import annotations

from random import Random

import pytest

from dynalab.core.admission import Admission
from dynalab.core.config import Config, Parts
from dynalab.core.desk import Desk, run_unguarded
from dynalab.core.errors import Overloaded
from dynalab.core.overload import BREATH_MS, WATCHED_FROM, Overload
from dynalab.core.requests import GetRequest


def _overload(**settings) -> Overload:
    desk = Desk("A", Config(**settings), Random(1), Parts(), run_unguarded)
    return Overload(desk, Admission(desk))


def _breaths(overload: Overload, count: int, late_ms: int, open_requests: int, oldest_ms: int = 0) -> None:
    """So many breaths, each so late."""
    overload.check(min(open_requests, overload.limit - 1))
    for _ in range(count):
        overload.desk.now_us += (BREATH_MS + late_ms) * 1000
        oldest = GetRequest("op", "request", "client:a", b"k", ("A",), 1)
        oldest.started_us = overload.desk.now_us - oldest_ms * 1000
        overload.on_breath(open_requests, [oldest])


def test_a_node_that_keeps_up_takes_all():
    """With breaths on time the limit stays the configured one, however long the requests take."""
    overload = _overload(max_requests=500)
    for _ in range(200):
        overload.admission.served(900_000)  # Slow links, dead peers: not this node's own fault.
    _breaths(overload, 50, late_ms=0, open_requests=400)
    assert overload.limit == 500
    overload.check(499)


def test_a_node_that_is_behind_refuses_early():
    """Late breaths and slow answers lower the limit well below the configured one; the refusal is definite."""
    overload = _overload(max_requests=2_000)
    for _ in range(200):
        overload.admission.served(400_000)
    _breaths(overload, 20, late_ms=60, open_requests=1_000)
    assert WATCHED_FROM <= overload.limit < 100
    with pytest.raises(Overloaded, match="in 400 ms") as refused:
        overload.check(1_000)
    assert (refused.value.definite, refused.value.retry_ms) == (True, 400)
    assert overload.desk.counters["requests_shed"] == 1
    assert overload.told()["limit"] == overload.limit


def test_a_node_that_is_late_but_quick_refuses_nobody():
    """Late breaths alone, while clients are served well within the limit, lower nothing."""
    overload = _overload()
    for _ in range(200):
        overload.admission.served(5_000)
    _breaths(overload, 20, late_ms=60, open_requests=200)
    assert overload.limit == overload.desk.config.max_requests


def test_a_node_that_answers_nobody_refuses_too():
    """Before the first answer the age of the oldest open request tells how long clients wait."""
    overload = _overload(max_requests=2_000)
    _breaths(overload, 20, late_ms=60, open_requests=1_000, oldest_ms=900)
    assert overload.limit < 100


def test_the_limit_comes_back():
    """Once the node keeps up again it takes as many as before, and then takes no more breaths."""
    overload = _overload(max_requests=300)
    for _ in range(200):
        overload.admission.served(400_000)
    _breaths(overload, 20, late_ms=60, open_requests=250)
    low = overload.limit
    _breaths(overload, 7, late_ms=0, open_requests=0)
    assert low < 100
    assert overload.limit == 300
    overload.desk.take_effects()
    overload.check(0)
    assert overload.desk.take_effects() == []
