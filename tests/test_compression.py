"""Packed values, in both worlds: the same answers, fewer bytes (`Config.compress_bytes`)."""

from __future__ import annotations

import pytest

from dynalab import Cluster
from tests.worlds import World

CART = {"items": [{"name": f"milk {number}", "count": number % 7, "note": "semi-skimmed"} for number in range(400)]}


def test_packed_values_come_back_as_they_were(world: World):
    """Large and small values, siblings and deletions read alike with packing, after a crash and as hints too."""
    cluster = world.found(3, storage="log", compress_bytes=1_000)
    cluster.put("large", CART, w=3)
    cluster.put("small", "milk", w=3)
    cluster.crash("C")
    cluster.put("hinted", CART, timeout_ms=5_000)
    cluster.client("bob").put("large", [CART, "bob's"], context=None, timeout_ms=5_000)
    cluster.recover("C")
    for node in "AB":
        cluster.crash(node)
        cluster.recover(node)
    cluster.settle()
    reader = cluster.client("carol")
    assert reader.get("hinted", r=3).value == CART
    assert sorted(reader.get("large", r=3).values, key=len) == [CART, [CART, "bob's"]]
    assert reader.get("small", r=3).value == "milk"
    world.holds(cluster)


@pytest.mark.live
def test_packing_saves_bytes_on_the_wire():
    """The same puts, with packing and without: the nodes send each other a fraction of the bytes."""
    sent = {}
    for compress_bytes in (0, 1_000):
        with Cluster(3, name="packed", storage="memory", trace=False, compress_bytes=compress_bytes) as cluster:
            for number in range(20):
                cluster.put(f"k{number}", CART, w=3)
            assert all(cluster.get(f"k{number}").value == CART for number in range(20))
            sent[compress_bytes] = cluster.metrics()["bytes"]
    assert sent[1_000] * 3 < sent[0]
