"""The keeper of systems that cannot fork, run here: the same verbs, the same clean end."""

from __future__ import annotations

import psutil
import pytest

from dynalab.core.config import Parts

pytestmark = pytest.mark.live


def test_spawned_nodes_do_all_that_forked_ones_do(start):
    """Nodes started as interpreters of their own are crashed, recovered, paused, redeployed, and leave nothing."""
    cluster = start(3, keeper="dynalab.live.spawning")
    keeper = psutil.Process(cluster._owner._keeper.pid)
    processes, folder = [keeper, *keeper.children()], cluster._owner.folder
    assert len(processes) == 4
    cluster.put("cart", ["milk"], w=3)
    cluster.crash("B")
    cluster.recover("B")
    assert cluster.values("cart")["B"] == [["milk"]]
    cluster.client("alice").put("cart", ["tea"], context=None)
    cluster.redeploy(Parts(merge=lambda values: sorted({item for cart in values for item in cart})))
    assert cluster.get("cart", r=3).value == ["milk", "tea"]
    cluster.pause("C")
    assert cluster.states()["C"] == "paused"
    cluster.resume("C")
    cluster.pause("A")
    cluster.close()
    assert not folder.exists()
    assert psutil.wait_procs(processes, timeout=20)[1] == []
