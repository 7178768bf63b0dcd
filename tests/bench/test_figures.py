"""What the bench measures is really done: every figure has a target, and small versions of them come out right."""

from __future__ import annotations

from subprocess import CalledProcessError

import pytest

from dynalab.bench import cluster as ours
from dynalab.bench import curves, floor, simulated
from dynalab.bench.figures import FIGURES, Figure, in_turn


def test_every_figure_has_a_name_of_its_own_and_a_target() -> None:
    """The table names each figure once; all targets are above 0."""
    assert len({figure.name for figure in FIGURES}) == len(FIGURES)
    assert all(figure.target > 0 and figure.rounds >= 1 for figure in FIGURES)


@pytest.mark.parametrize(("values", "at_least", "met"), [([3, 1, 2], True, True), ([3, 1, 9], False, False)])
def test_a_figure_is_judged_by_its_median(values: list[float], at_least: bool, met: bool) -> None:
    """The median of the rounds meets the target or misses it; the spread is shown beside it."""
    left = iter(values)
    result = Figure("x", "", 2, at_least, lambda: next(left)).run(lambda line: None)
    assert (result["median"], result["spread"], result["met"]) == (sorted(values)[1], [min(values), max(values)], met)


def test_what_is_measured_in_turn_is_compared_within_the_same_moments() -> None:
    """On a computer that gets slower and slower, and stumbles once, half the speed is still half the speed."""
    speeds = iter([1000.0 - 10 * moment for moment in range(100)])
    assert in_turn(lambda: next(speeds), lambda: next(speeds) / 2, slices=5) == pytest.approx(0.5)
    stumbling = iter([100.0, 50.0, 100.0, 3.0, 100.0, 50.0, 100.0])
    assert in_turn(lambda: next(stumbling), lambda: next(stumbling), slices=3) == 0.5


def test_a_merkle_exchange_sends_what_differs_and_little_else() -> None:
    """Ten of 2,000 keys are missing: their bytes travel, and those of the paths to them, far less than everything."""
    share = simulated.merkle_share(2_000, 10)
    assert 10 / 2_000 < share < 0.2


def test_the_simulation_is_measured_by_what_it_did() -> None:
    """Puts are answered, events are counted, a join brings its node in."""
    assert simulated.puts_per_second(50) > 0
    assert simulated.events_against_heapq(2_000) > 0
    took_s, peak_mb = simulated.large_join_s(nodes=5, keys=50)
    assert took_s > 0
    assert peak_mb > 0
    assert simulated.put_cost_growth(10, 20) > 0


@pytest.mark.live
def test_every_curve_is_drawn_from_end_to_end(monkeypatch) -> None:
    """Small ones: each curve has its points in order, each a rate and a ratio."""
    for name, places in {"UNDER_WAY": (1, 4), "VALUE_BYTES": (10, 20_000), "NODES": (3,), "KEYS": (5, 20)}.items():
        monkeypatch.setattr(curves, name, places)
    heard = []
    points = curves.measure(heard.append, puts=20)
    assert points == heard
    assert [(point.curve, point.at) for point in points] == [
        *(("under way", 1), ("under way", 4), ("bytes of a value", 10), ("bytes of a value", 20_000)),
        *(("nodes", 3), ("keys", 5), ("keys", 20)),
    ]
    assert all(point.per_second > 0 and point.ratio > 0 for point in points)


@pytest.mark.live
def test_the_yardstick_answers_what_it_is_asked() -> None:
    """Three processes answer all puts and gets; the client counts every one."""
    for kind in ("put", "get"):
        rate = floor.measure(kind, 4, 50)
        assert rate.per_second > 0
        assert rate.p50_us <= rate.p99_us


@pytest.mark.live
def test_the_yardstick_waits_between_two_measurements() -> None:
    """The same three processes answer as often as they are asked."""
    with floor.running() as yardstick:
        assert all(yardstick.measure(kind, 4, 50).per_second > 0 for kind in ("put", "get", "put"))


@pytest.mark.live
def test_what_is_refused_as_too_much_is_asked_again() -> None:
    """A node takes one request at a time, and yet every put of the load is answered."""
    with ours.cluster(2, n=2, r=1, w=2, max_requests=1) as running:
        assert ours.rate(running, "put", 16, 60).per_second > 0
        puts = running.metrics()["operations"]["put"]
        assert puts["failed"]["Overloaded"] > 0
        assert puts["count"] == 60


@pytest.mark.live
def test_processor_time_only_grows() -> None:
    """What a node's threads have used so far is more after some work than before it."""
    with ours.cluster(1, n=1, r=1, w=1) as running:
        node = ours.node_processes(running)[0]
        before = ours.cpu_s(node)
        ours.rate(running, "put", 4, 50)
        assert 0 < before < ours.cpu_s(node)


def test_an_import_is_timed_after_what_was_loaded_beforehand() -> None:
    """The statement runs in an interpreter that did the rest before; one that cannot run is an error, not a figure."""
    assert isinstance(ours.import_ms("assert loaded", beforehand="loaded = 1"), float)
    with pytest.raises(CalledProcessError):
        ours.import_ms("import dynalab.no_such_module")


@pytest.mark.live
def test_a_durable_cluster_counts_its_syncs(tmp_path) -> None:
    """Each of two nodes syncs every put that stands alone; a disk has a sync time of its own."""
    with ours.cluster(2, n=2, r=1, w=2, **ours.DURABLE, data_dir=str(tmp_path / "data")) as running:
        before = ours.syncs(running)
        for number in range(5):
            running.put(f"k{number}", number)
        assert ours.syncs(running) - before >= 10
    assert ours.sync_us(tmp_path, writers=1, rounds=2) > 0
