"""The order of repair: what is read most or least first, and nothing forgotten."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dynalab.core.clock import Context
from dynalab.core.priority import READS_REMEMBERED, Heat, in_order
from dynalab.core.version import Siblings
from dynalab.sim.cluster import Simulation

NOTHING = Siblings()


def heated(**reads: int) -> Heat:
    """Heat of keys that were read so often."""
    heat = Heat()
    for key, count in reads.items():
        for _ in range(count):
            heat.add(key.encode())
    return heat


def test_hot_and_cold_are_opposite_ends() -> None:
    """Hot begins with the key read most, cold with the one read least, plain changes nothing."""
    heat, keys = heated(a=2, b=5, c=1), [b"a", b"b", b"c", b"d"]
    assert in_order("hot", keys, heat, lambda _: NOTHING) == [b"b", b"a", b"c", b"d"]
    assert in_order("cold", keys, heat, lambda _: NOTHING) == [b"d", b"c", b"a", b"b"]
    assert in_order("plain", keys, heat, lambda _: NOTHING) == keys


def test_the_older_write_goes_first_among_equals() -> None:
    """Keys read equally often are repaired oldest first, and those not held at all before them."""
    states = {}
    for key, wall_us in ((b"new", 200), (b"old", 100)):
        state = Siblings().put("A", b"t1", Context.EMPTY)
        states[key] = state._replace(versions=tuple(_written(version, wall_us) for version in state.versions))
    found = in_order("cold", [b"new", b"old", b"none"], Heat(), lambda key: states.get(key, NOTHING))
    assert found == [b"none", b"old", b"new"]


def _written(version: object, wall_us: int) -> object:
    return version._replace(wall_us=wall_us) if hasattr(version, "_replace") else replace(version, wall_us=wall_us)  # type: ignore[type-var]


def test_heat_is_bounded_and_fades() -> None:
    """Old fame halves when much has been read since; keys read once are forgotten then."""
    heat = heated(famous=1_000)
    for number in range(READS_REMEMBERED - 1_000):
        heat.add(b"%d" % number)
    assert heat.of(b"famous") == 500
    assert heat.of(b"7") == 0


@pytest.mark.parametrize("order", ["plain", "hot", "cold"])
def test_every_order_repairs_everything(order: str) -> None:
    """Whatever the order, a node that missed all writes has them all after exchanges alone."""
    settings = {"hints": False, "read_repair": False, "partitions": 8, "trace": False}
    with Simulation(3, seed=3, n=3, r=1, w=1, repair_order=order, **settings) as simulation:
        client = simulation.client()
        simulation.partition("AB|C")
        client.many([("put", f"k{number}", number, {"via": "A"}) for number in range(300)])
        client.many([("get", f"k{number}", {"via": "B"}) for number in range(50)])
        simulation.heal()
        simulation.settle(timeout_ms=60_000)
        assert all(simulation.values(f"k{number}") == {key: [number] for key in "ABC"} for number in range(300))
