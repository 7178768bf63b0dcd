"""The demonstrations that small Dynamos come with, followed line by line, with our commands and over HTTP.

Five READMEs of such systems were read for their scripts. Most of what they promise holds here, and is shown.
Two promises are repeated everywhere and are false for the paper's own design; here is the run that breaks each:
"R + W > N: a read sees the latest write", and "with three of five nodes down, writes fail".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from dynalab.cli import main
from dynalab.core.clock import Ordering, VectorClock
from tests.http.conftest import Face, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.live

SNAPSHOT = (
    "/admin/anti-entropy/merkle-snapshot?startToken=-9223372036854775808&endToken=9223372036854775807&leafCount=64"
)


@dataclass
class Terminal:
    """A person at a terminal: `dynalab` commands against one port of a running cluster."""

    face: Face
    said: Callable[[], str]

    def __call__(self, *words: str, code: int = 0, via: str | None = None) -> Any:
        """What a command says with `--json`; it ends with this exit code."""
        url = self.face.gateway.url(via or self.face.cluster.nodes[0])
        assert main([*words, "--url", url, "--json"]) == code
        out = self.said()
        return json.loads(out) if out else None


@pytest.fixture
def at_terminal(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Terminal]]:
    """`at_terminal(5, n=3)`: a cluster with its ports open, and somebody who types; both end with the test."""
    begun: list[Face] = []

    def begin(nodes: Any, **settings: Any) -> Terminal:
        begun.append(opened(nodes, name=f"promise{len(begun)}", **settings))
        return Terminal(begun[-1], lambda: capsys.readouterr().out)

    yield begin
    for each in begun:
        each.close()


def homes_of(face: Face, key: str) -> tuple[list[str], list[str]]:
    """The homes of a key, and the nodes that may stand in."""
    told = face[face.cluster.nodes[0]].get("/admin/ring", params={"key": key}).json()["key"]
    return told["preferenceList"], told["fallbacks"]


def held(face: Face, node: str, key: str) -> list[Any]:
    """The values of a key that this node itself keeps; those that are bytes in base64."""
    siblings = face[node].get(f"/debug/siblings/{key}").json()["siblings"]
    return [each.get("value", each["valueBase64"]) for each in siblings]


# What they promise, and what holds -------------------------------------------------------------


def test_put_kill_a_node_write_on_bring_it_back_and_force_a_conflict(at_terminal):
    """Three nodes: what one port took another gives; with one killed W=2 is met; hints drain; a cut makes siblings."""
    dynalab = at_terminal(["node-a", "node-b", "node-c"], storage="log", handoff_ms=100, anti_entropy_ms=100)
    face = dynalab.face
    # curl -X PUT localhost:8081/kv/user:1 -d '{"valueBase64":"aGVsbG8=","nodeId":"node-a"}'; curl localhost:8082/...
    body = {"valueBase64": "aGVsbG8=", "nodeId": "node-a"}
    told = face["node-a"].put("/kv/user:1", json=body).json()
    assert (told["ok"], told["vectorClock"]) == (True, {"node-a": 1})
    assert face["node-b"].get("/kv/user:1").json()["valueBase64"] == "aGVsbG8="
    # Kill node-b, keep writing at W=2.
    assert dynalab("fault", "crash", "node-b")["states"]["node-b"] == "crashed"
    body = {"valueBase64": "d29ybGQ=", "nodeId": "node-a", "W": 2}
    assert set(face["node-a"].put("/kv/user:1", json=body).json()["nodes"]) == {"node-a", "node-c"}
    # Bring node-b back, watch hinted handoff drain, then GET.
    dynalab("fault", "recover", "node-b")
    dynalab("fault", "settle")
    health = face["node-c"].get("/admin/health").json()
    assert (health["status"], set(health["hints"].values())) == ("ok", {0})
    assert held(face, "node-b", "user:1") == ["d29ybGQ="]
    assert face["node-c"].get("/kv/user:1").json()["valueBase64"] == "d29ybGQ="
    # Force a conflict (write from node-a and node-c concurrently), then GET to see siblings.
    dynalab("fault", "partition", "node-a", "node-b,node-c")
    dynalab("put", "user:1", "from a", "--w", "1", via="node-a")
    dynalab("put", "user:1", "from c", "--w", "1", via="node-c")
    dynalab("fault", "heal")
    dynalab("fault", "settle")
    told = face["node-b"].get("/kv/user:1").json()
    assert sorted(each["value"] for each in told["siblings"]) == ["from a", "from c"]
    assert told["resolved"] == {"valueBase64": told["valueBase64"], "value": told["value"], "resolvedBy": "LWW"}
    one, other = (VectorClock(each["vectorClock"]) for each in told["siblings"])
    assert one.compare(other) is Ordering.CONCURRENT


def test_a_restarted_node_is_updated_by_reads_alone(at_terminal):
    """Without hints and anti-entropy: a node that missed a write is named stale by a read, and repaired by it (5)."""
    dynalab = at_terminal(3, storage="log", hints=False)
    face = dynalab.face
    assert dynalab("put", "key2", "v1", "--n", "3", "--w", "3")["replicasWritten"] == 3
    dynalab("fault", "crash", "C")
    dynalab("put", "key2", "v2", "--w", "2")
    assert dynalab("get", "key2", "--r", "2")["value"] == "v2"
    dynalab("fault", "recover", "C")
    assert held(face, "C", "key2") == ["v1"]
    answer = face["A"].request("GET", "/kv/key2", content='{"R": 3}')
    assert (answer.json()["value"], answer.json()["staleNodes"]) == ("v2", ["C"])
    while held(face, "C", "key2") != ["v2"]:  # The repair is under way: nobody waits for it (5).
        face["A"].get("/kv/key2", params={"R": 3})
    assert dynalab("delete", "key2", "--w", "2", via="C")["tombstone"] is True
    assert dynalab("get", "key2", code=1)["tombstone"] is True


def test_both_sides_of_a_cut_go_on_and_all_replicas_agree_in_the_end(at_terminal):
    """AB|CDE: keys of A and B are written on the other side, with hints; healed, every Merkle root is the same."""
    dynalab = at_terminal(5, n=5, r=2, w=2, handoff_ms=100, anti_entropy_ms=100)
    face = dynalab.face
    dynalab("fault", "partition", "AB", "CDE")
    for number in range(20):
        assert dynalab("put", f"key{number}", "left", via="A")["ok"]
        assert dynalab("put", f"key{number}", "right", via="E")["ok"]
    roots = {node: face[node].get(SNAPSHOT).json()["rootHashBase64"] for node in "ABCDE"}
    assert roots["A"] != roots["E"]
    dynalab("fault", "heal")
    dynalab("fault", "settle")
    assert len({face[node].get(SNAPSHOT).json()["rootHashBase64"] for node in "ABCDE"}) == 1
    assert {each["value"] for each in face["C"].get("/kv/key7").json()["siblings"]} == {"left", "right"}


def test_a_node_is_added_while_the_cluster_runs_and_a_cart_merges_by_itself(at_terminal):
    """A new node takes its share without anybody moving keys; likes of both sides of a cut add up; 1 MiB is the end."""
    dynalab = at_terminal(3, mergers={"post:": "counter"}, handoff_ms=100, anti_entropy_ms=100)
    face = dynalab.face
    for number in range(30):
        face["A"].put(f"/kv/key{number}", json={"value": number, "W": 3})
    dynalab("fault", "join", "D")
    assert face["A"].get("/admin/ring").json()["nodes"][3]["share"] > 0
    assert [face["D"].get(f"/kv/key{number}").json()["value"] for number in range(30)] == list(range(30))
    dynalab("fault", "partition", "A", "BCD")
    dynalab("put", "post:likes", '{"ann": [2, 0]}', "--parse", "--w", "1", "--blind", via="A")
    dynalab("put", "post:likes", '{"bob": [3, 1]}', "--parse", "--w", "1", "--blind", via="B")
    dynalab("fault", "heal")
    dynalab("fault", "settle")
    told = face["C"].get("/kv/post:likes").json()
    assert (told["value"], told["resolved"]["resolvedBy"]) == ({"ann": [2, 0], "bob": [3, 1]}, "counter")
    assert face["A"].put("/kv/large", content=bytes(2**20 + 1)).status_code == 413


# What they promise, and what is false ----------------------------------------------------------


@pytest.mark.parametrize(("r", "w"), [(2, 2), (1, 3)])
def test_r_plus_w_above_n_is_not_strong_consistency(at_terminal, r, w):
    """N=3, R+W=4: stand-ins on the other side of a cut acknowledge a write that the homes' side does not read (4.6)."""
    dynalab = at_terminal(6, n=3, r=r, w=w)
    face = dynalab.face
    homes, others = homes_of(face, "account")
    dynalab("put", "account", "old", "--w", "3")
    dynalab("fault", "partition", ",".join(homes), ",".join(others))
    ack = dynalab("put", "account", "new", "--w", str(w), via=others[0])
    assert (ack["ok"], len(ack["nodes"]), set(ack["nodes"]) & set(homes)) == (True, w, set())
    assert len(ack["hinted"]) == w
    stale = face[homes[0]].get("/kv/account", params={"R": r}).json()
    assert (stale["value"], stale.get("siblings")) == ("old", None)


def test_with_strict_quorums_the_same_write_is_refused_instead(at_terminal):
    """`strict=True` keeps the promise at the price that the paper would not pay: the write is refused (4.5, 4.6)."""
    dynalab = at_terminal(6, n=3, r=2, w=2, strict=True, timeout_ms=500)
    face = dynalab.face
    homes, others = homes_of(face, "account")
    dynalab("put", "account", "old", "--w", "3")
    dynalab("fault", "partition", ",".join(homes), ",".join(others))
    answer = face[others[0]].put("/kv/account", json={"value": "new"})
    assert (answer.status_code, answer.json()["ok"]) == (503, False)
    assert dynalab("put", "account", "newer", via=homes[0])["ok"]
    assert face[homes[1]].get("/kv/account").json()["value"] == "newer"


def test_three_of_five_nodes_down_do_not_stop_a_sloppy_quorum(at_terminal):
    """All homes of a key are killed: the two nodes left take the write and give it back; home it goes afterwards."""
    dynalab = at_terminal(5, n=3, r=2, w=2, storage="log", handoff_ms=100, anti_entropy_ms=100)
    face = dynalab.face
    homes, others = homes_of(face, "cart")
    for node in homes:
        dynalab("fault", "crash", node, via=others[0])
    ack = dynalab("put", "cart", "milk", via=others[0])
    assert (sorted(ack["nodes"]), len(ack["hinted"])) == (sorted(others), 2)
    assert dynalab("get", "cart", via=others[1])["value"] == "milk"
    for node in homes:
        dynalab("fault", "recover", node, via=others[0])
    dynalab("fault", "settle", via=others[0])
    assert [held(face, node, "cart") for node in homes] == [["milk"]] * 3


def test_three_of_five_nodes_down_stop_a_strict_quorum(at_terminal):
    """Without stand-ins the promise is true: W=2 of the three homes cannot be reached."""
    dynalab = at_terminal(5, n=3, r=2, w=2, strict=True, timeout_ms=500)
    face = dynalab.face
    homes, others = homes_of(face, "cart")
    for node in homes:
        dynalab("fault", "crash", node, via=others[0])
    answer = face[others[0]].put("/kv/cart", json={"value": "milk"})
    assert (answer.status_code, answer.json()["ok"]) == (503, False)
