"""Too many requests at once, in both worlds: refused early, definitely, with a time to come back (6.5)."""

from __future__ import annotations

import time

import pytest

from dynalab import Cluster, Parts
from dynalab.core.errors import Overloaded
from tests.worlds import World


def test_beyond_the_limit_requests_are_refused(world: World):
    """Of many requests at once a node takes `max_requests`; the others are refused with retry_ms, and counted."""
    cluster = world.found(3, max_requests=8, storage="memory")
    client = cluster.cluster.client("alice", via="A")
    ends = client.many([("put", f"k{number}", number) for number in range(400)], outstanding=200)
    refused = [end for end in ends if isinstance(end, Exception)]
    assert refused
    assert all(isinstance(end, Overloaded) and end.definite and end.retry_ms > 0 for end in refused)
    assert len(refused) < 400
    taken = {number for number, end in enumerate(ends) if not isinstance(end, Exception)}
    cluster.settle()  # An answered put may still wait for its third home.
    seen = cluster.inspect("A", full=False)
    assert seen["counters"]["requests_shed"] == len(refused)
    assert (seen["limit"], seen["requests"]) == (8, [])
    assert {number for number in range(400) if cluster.cluster.get(f"k{number}").found} == taken


def _slow(replies, need, asked):
    """A quorum rule that takes its time: the node is slow by its own doing."""
    until = time.perf_counter() + 0.001
    while time.perf_counter() < until:
        pass
    return "done" if len(replies) >= need else "wait"


@pytest.mark.live
def test_a_slow_node_refuses_before_it_starves_its_peers():
    """Flooded for good, a node that needs milliseconds for each request sheds load, and stays up for its peers."""
    settings = {"storage": "memory", "trace": False, "slo_ms": 40, "timeout_ms": 60_000, "ping_ms": 200, "phi": 12.0}
    with Cluster(3, name="flood", parts=Parts(quorum=_slow), **settings) as cluster:
        client = cluster.client("alice", via="A")
        client.put("warm", "up", w=3)
        ends = client.many([("put", f"k{number}", number) for number in range(1_500)], outstanding=600)
        refused = [end for end in ends if isinstance(end, Exception)]
        assert {type(end) for end in refused} == {Overloaded}
        assert all(end.definite and 20 <= end.retry_ms <= 2_000 for end in refused)
        assert cluster.metrics()["counters"]["limit_lowered"] > 0
        assert all(cluster.inspect(node)["up"]["A"]["believed_up"] for node in "BC")
        assert cluster.put("after", 1, via="A").nodes
