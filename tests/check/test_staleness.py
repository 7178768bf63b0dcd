"""Staleness by the WARS model and in closed form, against numbers published for them."""

from __future__ import annotations

import math

import pytest

from dynalab.check.staleness import FITS, Even, Fit, p_goes_back, p_stale, wars

SMALL = 40_000


def near(share: float, expected: float, trials: int) -> bool:
    """Whether chance alone (five standard errors) explains the difference."""
    return abs(share - expected) <= 5 * math.sqrt(expected * (1 - expected) / trials)


@pytest.mark.parametrize(
    ("n", "r", "w", "k", "expected"),
    [(3, 1, 1, 2, 0.556), (3, 1, 1, 3, 0.704), (3, 1, 2, 1, 0.667), (3, 1, 2, 2, 0.889)],
)
def test_k_staleness_is_as_published(n: int, r: int, w: int, k: int, expected: float) -> None:
    """A read is within k versions with the published probability."""
    assert round(1 - p_stale(n, r, w, k), 3) == expected


def test_k_staleness_bounds() -> None:
    """The published bounds, and the tiny chance with large partial quorums."""
    assert 1 - p_stale(3, 1, 1, 5) > 0.868
    assert 1 - p_stale(3, 1, 1, 10) > 0.98
    assert 1 - p_stale(3, 1, 2, 5) > 0.995
    assert p_stale(100, 30, 30) == pytest.approx(1.88e-6, rel=0.005)


def test_reads_go_back_less_often_the_rarer_the_reads() -> None:
    """Monotonic reads have the exponent 1 + writes per read."""
    assert p_goes_back(3, 1, 1, 1) == pytest.approx((2 / 3) ** 2)
    assert p_goes_back(3, 1, 1, 0) == pytest.approx(2 / 3)
    assert p_goes_back(3, 2, 2, 1) == 0


def test_fast_disks_are_nearly_always_consistent() -> None:
    """SSD with R=2, W=1 is stale in 5.7 of 10,000 reads right after the acknowledgement, not never."""
    trials = 1_000_000
    assert near(1 - wars("SSD", r=2, trials=trials).p_consistent, 5.7e-4, trials)


@pytest.mark.parametrize(
    ("fit", "r", "w", "read_ms", "write_ms"),
    [
        ("SSD", 1, 1, 0.66, 0.66),
        ("SSD", 1, 2, 0.66, 1.63),
        ("DISK", 1, 1, 0.66, 10.99),
        ("YMMR", 1, 1, 5.58, 10.83),
        ("WAN", 1, 1, 3.4, 55.12),
        ("WAN", 1, 2, 3.4, 167.64),
    ],
)
def test_tails_are_as_published(fit: str, r: int, w: int, read_ms: float, write_ms: float) -> None:
    """The 99.9th percentiles of the published table come out within a few per cent."""
    seen = wars(fit, r=r, w=w)
    assert seen.read_ms(0.999) == pytest.approx(read_ms, rel=0.06)
    assert seen.write_ms(0.999) == pytest.approx(write_ms, rel=0.06)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize(("r", "w"), [(2, 2), (3, 1), (1, 3)])
def test_overlapping_quorums_are_always_consistent(fit: str, r: int, w: int) -> None:
    """With R + W > N every read sees the write, to the last trial."""
    assert wars(fit, r=r, w=w, trials=SMALL).p_consistent == 1.0


@pytest.mark.parametrize("fit", FITS)
def test_more_answers_and_more_time_never_hurt(fit: str) -> None:
    """Consistency grows with R, W and t; latency grows with the quorum."""
    one, more_read, more_written = (
        wars(fit, n=5, r=r, w=w, trials=SMALL, t_ms=t_ms) for r, w, t_ms in ((1, 1, 0), (2, 1, 0), (1, 2, 0))
    )
    assert one.p_consistent < more_read.p_consistent
    assert one.p_consistent < more_written.p_consistent
    assert one.p_at(0) <= one.p_at(1) <= one.p_at(10) <= one.p_at(1e6) == 1
    assert one.read_ms(0.5) < more_read.read_ms(0.5)
    assert one.write_ms(0.5) < more_written.write_ms(0.5)


def test_asking_later_is_the_same_as_looking_later() -> None:
    """`t_ms` and `p_at` mean the same; `visible_ms` is their inverse."""
    now, later = wars("DISK", trials=SMALL), wars("DISK", trials=SMALL, t_ms=5)
    assert now.p_at(5) == later.p_consistent
    assert now.p_at(now.visible_ms(0.9)) >= 0.9 > now.p_at(now.visible_ms(0.9) * 0.999)


def test_coordinators_inside_help_only_themselves() -> None:
    """Where both coordinators are replicas, R = W = 1 misses the write exactly when they differ and it is slower."""
    slow = Fit(Even(100, 101), Even(0, 1), inside=True)
    assert near(wars(slow, trials=SMALL).p_consistent, 1 / 3, SMALL)
    assert wars(slow, trials=SMALL, t_ms=101).p_consistent == 1
    assert wars(slow._replace(client=Even(60, 60)), trials=SMALL).p_consistent == 1


def test_one_seed_is_one_run() -> None:
    """The same seed gives the same numbers, another seed others within chance."""
    first, again, other = (wars("YMMR", trials=SMALL, seed=seed) for seed in (5, 5, 6))
    assert first.p_consistent == again.p_consistent
    assert first.read_ms(0.99) == again.read_ms(0.99)
    assert first.read_ms(0.99) != other.read_ms(0.99)
    assert abs(first.p_consistent - other.p_consistent) <= 5 * math.hypot(first.error, other.error)


@pytest.mark.parametrize("wrong", [{"fit": "TAPE"}, {"r": 0}, {"w": 4}, {"t_ms": -1}, {"trials": 0}, {"n": 1, "r": 2}])
def test_wrong_arguments_are_named(wrong: dict[str, object]) -> None:
    """An argument out of its range is refused by name."""
    with pytest.raises(ValueError, match=next(name for name in ("fit", "r", "w", "t_ms", "trials") if name in wrong)):
        wars(**wrong)  # type: ignore[arg-type]


def test_shares_are_checked() -> None:
    """A quantile is from 0 to 1, and k at least 1."""
    with pytest.raises(ValueError, match="from 0 to 1"):
        wars(trials=10).read_ms(99.9)
    with pytest.raises(ValueError, match="k must be"):
        p_stale(3, 1, 1, 0)
