"""What anti-entropy costs: nothing until an exchange asks, then what changed since the last one (4.7)."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from dynalab.core import merkle
from dynalab.sim.cluster import Simulation

ROUND_MS = 60_000


class CountedLeaves:
    """Counts the leaves that are hashed, and hashes them."""

    def __init__(self) -> None:
        self.count = 0
        self._digest = merkle._leaf_digest

    def __call__(self, leaf: Mapping[bytes, bytes]) -> bytes:
        self.count += 1
        return self._digest(leaf)


def test_an_exchange_hashes_what_was_written_since_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes hash no leaf; the next exchange hashes at each node those of the written keys, not of all 2,000."""
    leaves = CountedLeaves()
    monkeypatch.setattr(merkle, "_leaf_digest", leaves)
    with Simulation(2, seed=1, n=2, anti_entropy_ms=ROUND_MS, trace=False) as sim:
        client = sim.client("writer")
        client.many([("put", f"k{number}", number) for number in range(2_000)])
        assert leaves.count == 0
        sim.run(ms=2 * ROUND_MS)
        assert leaves.count > 2_000
        leaves.count = 0
        client.many([("put", f"k{number}", "again") for number in range(100)])
        assert leaves.count == 0
        sim.run(ms=2 * ROUND_MS)
        assert 2 * 90 <= leaves.count <= 2 * 100
