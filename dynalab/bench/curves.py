"""How speed grows and where it bends: over requests under way, size of the values, number of nodes, number of keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from dynalab.bench import cluster as ours
from dynalab.bench import floor

UNDER_WAY = (1, 2, 4, 8, 16, 32, 64, 128, 256)
VALUE_BYTES = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
NODES = (3, 5, 10, 20)
KEYS = (1_000, 10_000, 100_000)


class Point(NamedTuple):
    """One measurement.

    Attributes:
        curve: what changes along it.
        at: where on it this is.
        per_second: puts answered a second.
        p50_us, p99_us: their latency.
        ratio: of `per_second` to the yardstick's in the same minute, or else to the curve's first point.
    """

    curve: str
    at: int
    per_second: float
    p50_us: float
    p99_us: float
    ratio: float


def measure(told: Callable[[Point], Any], puts: int = 4_000) -> list[Point]:
    """All curves; `told` hears of each point. The yardstick goes with the first curve only."""
    points = []
    for curve in (_under_way, _value_bytes, _nodes, _keys):
        for point in curve(puts):
            told(point)
            points.append(point)
    return points


def _under_way(puts: int) -> Iterator[Point]:
    with ours.cluster() as running:
        ours.rate(running, "put", 64, max(puts // 4, 1), "warm")
        for outstanding in UNDER_WAY:
            count = puts if outstanding > 8 else max(puts // 4, 1)
            yardstick = floor.measure("put", outstanding, count).per_second
            rate = ours.rate(running, "put", outstanding, count, f"u{outstanding}-")
            yield Point("under way", outstanding, *_three(rate), rate.per_second / yardstick)


def _value_bytes(puts: int) -> Iterator[Point]:
    first = 0.0
    for size in VALUE_BYTES:
        with ours.cluster() as running:
            count = max(8, min(puts, 50_000_000 // size))
            rate = ours.rate(running, "put", 8 if size > 10_000 else 64, count, value=bytes(size))
            first = first or rate.per_second
            yield Point("bytes of a value", size, *_three(rate), rate.per_second / first)


def _nodes(puts: int) -> Iterator[Point]:
    first = 0.0
    for nodes in NODES:
        with ours.cluster(nodes) as running:
            ours.rate(running, "put", 64, max(puts // 4, 1), "warm")
            rate = ours.rate(running, "put", 64, puts)
            first = first or rate.per_second
            yield Point("nodes", nodes, *_three(rate), rate.per_second / first)


def _keys(puts: int) -> Iterator[Point]:
    first, held = 0.0, 0
    with ours.cluster() as running:
        for keys in KEYS:
            ours.rate(running, "put", 64, max(keys - held, 1), f"f{keys}-")
            held = keys + puts
            rate = ours.rate(running, "put", 64, puts, f"m{keys}-")
            first = first or rate.per_second
            yield Point("keys", keys, *_three(rate), rate.per_second / first)


def _three(rate: floor.Rate) -> tuple[float, float, float]:
    return rate.per_second, rate.p50_us, rate.p99_us
