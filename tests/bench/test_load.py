"""YCSB's loads: which keys, and what is done with them."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from dynalab.bench.load import WORKLOADS, Load, Ranks, filling, key_of


@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_workload_has_its_mix(workload: str) -> None:
    """Kinds of operations come in the shares of the workload, within five standard errors."""
    load, draws = Load(workload, 100, Random(1)), 4_000
    kinds = Counter(load.next()[0] for _ in range(draws))
    for kind, share in load.mix._asdict().items():
        assert abs(kinds[kind] / draws - share) <= 5 * (share * (1 - share) / draws) ** 0.5


def test_popular_keys_are_drawn_as_the_formula_says() -> None:
    """Zipfian ranks have their shares; uniform ones are all alike; shares add up to 1."""
    for zipfian in (True, False):
        ranks, draws = Ranks(50, Random(2), zipfian), 20_000
        seen = Counter(ranks.next() for _ in range(draws))
        assert sum(ranks.share(rank) for rank in range(50)) == pytest.approx(1)
        for rank in (0, 1, 10, 49):
            share = ranks.share(rank)
            assert abs(seen[rank] / draws - share) <= 5 * (share * (1 - share) / draws) ** 0.5
    assert ranks.share(0) == pytest.approx(1 / 50)


def test_the_latest_keys_are_read_most() -> None:
    """D inserts new keys and reads from the newest back."""
    load = Load("D", 1_000, Random(3))
    drawn = [load.next() for _ in range(2_000)]
    inserted = [key for kind, key in drawn if kind == "insert"]
    assert inserted == [key_of(1_000 + number) for number in range(len(inserted))]
    ages = [load.keys - int(key.removeprefix("user")) for kind, key in drawn if kind == "read"]
    assert sorted(ages)[len(ages) // 2] < 200


def test_operations_are_those_of_the_verbs() -> None:
    """A load speaks the language of `many`; filling writes every key once."""
    operations = list(Load("A", 10, Random(4)).operations(50))
    assert {operation[0] for operation in operations} == {"get", "put"}
    assert [operation[1] for operation in filling(3)] == ["user0", "user1", "user2"]
