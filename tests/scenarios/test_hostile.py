"""S44, S46 and S48 of the reliability scenarios: forged contexts, values too large, pickles on the wire."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from dynalab.core.errors import InvalidContext, ValueTooLarge
from dynalab.core.messages import ClientGet
from dynalab.live.cluster import Cluster
from tests.live.test_strangers import Peer, client_keys, transport
from tests.scenarios.test_careful import counted
from tests.worlds import World


@pytest.mark.parametrize("how", ["never issued", "unknown node", "of another key"])
def test_s44_forged_contexts_are_refused(world: World, how: str):
    """S44: a context that this cluster did not seal for this key is refused, definitely; nothing is buried (I13)."""
    cluster = world.found()
    alice = cluster.client("alice")
    alice.put("k", "v", w=3)
    elsewhere = alice.put("other", "v", w=3).context
    made_up = {"never issued": {"A": 10**9}, "unknown node": {"nobody": 5}}
    forged = elsewhere._replace(entries=made_up[how], dots=()) if how in made_up else elsewhere
    before = {node: seen["records"] for node, seen in cluster.inspections().items()}
    for verb in (lambda: alice.put("k", "buried", context=forged), lambda: alice.delete("k", context=forged)):
        with pytest.raises(InvalidContext) as refused:
            verb()
        assert refused.value.definite
    assert {node: seen["records"] for node, seen in cluster.inspections().items()} == before
    assert sum(counted(cluster, node, "requests_refused") for node in cluster.nodes) == 2
    assert cluster.client("bob").get("k", r=3).values == ["v"]
    world.holds(cluster)


def test_s46_a_value_too_large_is_refused_before_anything_is_sent(world: World):
    """S46: a value of more than 1 MiB is a definite error at the client, and no node has heard of it (I10, I13)."""
    cluster = world.found(3)
    with pytest.raises(ValueTooLarge) as refused:
        cluster.put("k", b"x" * (64 * 1024 * 1024))
    assert refused.value.definite
    assert all(counted(cluster, node, "writes") == 0 for node in cluster.nodes)
    assert cluster.put("k", b"x" * 1000).nodes
    world.holds(cluster)


class Trap:
    """Unpickled, it would create a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return (os.mknod, (self.path,))


@pytest.mark.live
def test_s48_a_pickle_on_the_wire_stays_bytes(tmp_path: Path):
    """S48: a pickle that would create a file is refused as nonsense, whoever sends it, and creates none (I13)."""
    trap = tmp_path / "created"
    content = pickle.dumps(Trap(str(trap)))
    pickle.loads(pickle.dumps(Trap(str(tmp_path / "control"))))
    assert (tmp_path / "control").exists()  # It would have worked.
    with Cluster(3, name="pickles", storage="memory") as cluster:
        before = cluster.inspect("A")["records"]
        with Peer(cluster, keys=client_keys(cluster)) as peer:
            for payload in (content, b"\x02" + content, b"\x02\x00\x98\xc4" + bytes([len(content)]) + content):
                peer.say(payload)
                peer.socket.send(payload)
            peer.say(ClientGet("g1", b"k", 3, 1, 1_000_000))
            assert peer.hear().request == "g1"  # All before it has been read.
        assert transport(cluster)["refused"] >= 6  # A parcel of nonsense may hold several messages of nonsense.
        assert cluster.put("k", "v", via="A").nodes
        assert cluster.put("k2", content, via="A").nodes  # As a value it is bytes like any other.
        assert cluster.get("k2").value == content
        assert cluster.inspect("A")["records"].keys() - before.keys() == {"k", "k2"}
    assert not trap.exists()
