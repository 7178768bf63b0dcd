"""Looking at nodes over HTTP, and breaking them: ring, health, hints, siblings, digests, faults, metrics."""

from __future__ import annotations

import base64

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from dynalab.live.looks import place_of

pytestmark = pytest.mark.live

WHOLE = {"startToken": -(2**63), "endToken": 2**63 - 1}
SNAPSHOT = "/admin/anti-entropy/merkle-snapshot"


# Looking ---------------------------------------------------------------------------------------


def test_the_ring_names_nodes_ports_processes_and_homes(face):
    """/admin/ring says who is there, where each listens, and for a key its preference list."""
    told = face["A"].get("/admin/ring", params={"key": "cart"}).json()
    assert {node["node"]: node["port"] for node in told["nodes"]} == face.gateway.ports
    assert {node["node"]: node["pid"] for node in told["nodes"]} == face.cluster.processes()
    assert told["key"]["preferenceList"] == face.cluster.ring.preference_list("cart", 3)
    assert len(told["ranges"]) == face.cluster.config.partitions


def test_siblings_are_shown_on_every_replica(face):
    """/debug/siblings shows what each node holds, this port's node first of all."""
    face["A"].put("/kv/seen", json={"value": 1, "context": None, "W": 3})
    face["B"].put("/kv/seen", json={"value": 2, "context": None, "W": 3})
    told = face["C"].get("/debug/siblings/seen").json()
    assert told["node"] == "C"
    assert sorted(each["value"] for each in told["siblings"]) == [1, 2]
    assert {each["dot"] for each in told["replicas"]["A"]["siblings"]} == {"A1", "B1"}
    assert told["preferenceList"] == face.cluster.ring.preference_list("seen", 3)


def test_a_trace_id_leads_to_every_node_of_its_request(face):
    """The id in an answer finds the request's events at the client, the coordinator and the replicas."""
    answer = face["A"].put("/kv/traced", json={"value": 1, "W": 3})
    assert answer.headers["x-trace-id"] == answer.json()["traceId"]
    told = face["B"].get("/debug/trace", params={"request": answer.json()["traceId"]}).json()
    assert {"A", "B", "C", "client:http-A"} <= {event["node"] for event in told["events"]}
    assert told["events"][0]["text"].startswith("client:http-A -> A ClientPut 'traced'")
    assert face["B"].get("/debug/trace", params={"key": "traced", "limit": 1}).json()["events"][0]["key"] == "traced"


def test_the_inside_of_a_node_is_what_the_cluster_tells(face):
    """/admin/inspect/B is the node's own inspection; of a node that is not there, 404."""
    face["A"].put("/kv/inside", json={"value": 1, "W": 3})
    assert "inside" in face["A"].get("/admin/inspect/B").json()["records"]
    answer = face["A"].get("/admin/inspect/Z")
    assert (answer.status_code, answer.json()["error"]) == (404, "UnknownNode")


def test_the_page_and_the_document_need_nothing_from_outside(face):
    """The page for people names no other host, and the OpenAPI document is served beside it."""
    page = face["A"].get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "http://" not in page.text
    assert "https://" not in page.text
    document = face["A"].get("/openapi.json").json()
    assert {"/kv/{key}", "/kv", "/admin/faults", "/metrics"} <= set(document["paths"])


# Digests ---------------------------------------------------------------------------------------


def test_equal_data_give_equal_roots_on_every_replica(face):
    """Three nodes that hold the same keys answer the same root and digests; one more write changes the root."""
    for number in range(20):
        face["A"].put(f"/kv/root{number}", json={"value": number, "W": 3})
    told = [face[node].get(SNAPSHOT, params={**WHOLE, "leafCount": 64}).json() for node in "ABC"]
    assert told[0] == told[1] == told[2]
    assert told[0]["leafCount"] == len(told[0]["digests"]) == 64
    assert len(base64.b64decode(told[0]["rootHashBase64"])) == 16
    face["B"].put("/kv/root0", json={"value": "new", "W": 3})
    assert (
        face["A"].get(SNAPSHOT, params={**WHOLE, "leafCount": 64}).json()["rootHashBase64"] != told[0]["rootHashBase64"]
    )


def test_a_leaf_covers_its_slice_of_the_ring_and_no_more(face):
    """A write changes exactly the leaf in whose slice its key lies; a stretch without it stays as it was."""
    token = place_of(b"slice")
    before = face["A"].get(SNAPSHOT, params={"leafCount": 16}).json()["digests"]
    apart = {"startToken": token + 1, "endToken": token - 1, "leafCount": 4}  # Around the ring's end, without the key.
    around = face["A"].get(SNAPSHOT, params=apart).json()
    exactly = face["A"].get(SNAPSHOT, params={"startToken": token, "endToken": token, "leafCount": 1}).json()
    face["A"].put("/kv/slice", json={"value": 1, "W": 3})
    after = face["A"].get(SNAPSHOT, params={"leafCount": 16}).json()["digests"]
    changed = [leaf["token"] for leaf, old in zip(after, before, strict=True) if leaf != old]
    assert changed == [max(leaf["token"] for leaf in after if leaf["token"] <= token)]
    assert face["A"].get(SNAPSHOT, params=apart).json() == around
    assert face["A"].get(SNAPSHOT, params={"startToken": token, "endToken": token, "leafCount": 1}).json() != exactly


@pytest.mark.parametrize("asked", [{"leafCount": 0}, {"leafCount": 65_537}, {"startToken": 2**63}, {"endToken": "x"}])
def test_a_snapshot_out_of_range_is_refused(face, asked):
    """Tokens are signed 64-bit numbers, leaves 1 to 65,536; anything else is 400."""
    assert face["A"].get(SNAPSHOT, params=asked).status_code == 400


# Faults ----------------------------------------------------------------------------------------


def test_faults_come_and_go(open_face):
    """POST /admin/faults has taken effect when it answers, and GET tells the same."""
    face = open_face(3, n=3, r=2, w=2)
    told = face["A"].post("/admin/faults", json={"verb": "partition", "sides": ["A|BC"]}).json()
    assert told == face["B"].get("/admin/faults").json()
    assert told["faults"] == ["A and B do not hear each other", "A and C do not hear each other"]
    assert face["A"].get("/admin/health").json()["status"] == "degraded"
    link = {"verb": "link", "a": "B", "b": "C", "drop": 0.5, "delayMs": [1, 5], "bothWays": True}
    assert len(face["A"].post("/admin/faults", json=link).json()["links"]) == 2
    assert face["A"].post("/admin/faults", json={"verb": "heal"}).json()["faults"] == []
    for verb, state in (("pause", "paused"), ("resume", "up"), ("crash", "crashed"), ("recover", "up")):
        assert face["A"].post("/admin/faults", json={"verb": verb, "node": "C"}).json()["states"]["C"] == state
    assert face["A"].post("/admin/faults", json={"verb": "skew", "node": "A", "ms": -5000}).status_code == 200
    assert face["A"].post("/admin/faults", json={"verb": "settle"}).status_code == 200
    assert face["A"].get("/admin/health").json()["status"] == "ok"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"verb": "melt"}, 400),
        ({}, 400),
        ({"verb": "crash"}, 400),
        ({"verb": "crash", "node": "Z"}, 404),
        ({"verb": "resume", "node": "A"}, 400),
        ({"verb": "partition", "sides": ["AB"]}, 400),
        ({"verb": "link", "a": "A", "b": "A", "drop": 0.1}, 400),
        ({"verb": "link", "a": "A", "b": "B", "drop": 2}, 400),
        ({"verb": "heal", "all": True}, 400),
    ],
)
def test_a_fault_that_cannot_be_is_refused_and_changes_nothing(face, body, status):
    """A verb is checked first: a definite refusal, and all is as it was."""
    answer = face["A"].post("/admin/faults", json=body)
    assert (answer.status_code, answer.json()["definite"]) == (status, True)
    now = face["A"].get("/admin/faults").json()
    assert (now["faults"], set(now["states"].values())) == ([], {"up"})


def test_another_site_s_page_cannot_cause_faults(face):
    """A browser sends such a POST unasked only without a JSON content type, and that is refused."""
    answer = face["A"].post("/admin/faults", content='{"verb":"heal"}', headers={"Content-Type": "text/plain"})
    assert answer.status_code == 400


def test_a_node_that_joins_gets_a_port_and_one_that_leaves_loses_it(open_face):
    """Every node has a port as long as it is in the cluster."""
    face = open_face(3)
    assert face["A"].post("/admin/faults", json={"verb": "join", "node": "D"}).status_code == 200
    assert face["D"].put("/kv/new", json={"value": 1}).json()["ok"] is True
    address = face.gateway.url("D")
    assert face["A"].post("/admin/faults", json={"verb": "leave", "node": "D"}).status_code == 200
    assert "D" not in face.gateway.ports
    with pytest.raises(httpx.ConnectError):
        httpx.get(address + "/admin/health", trust_env=False)


def test_a_crashed_node_s_port_says_so_and_its_hints_come_home(open_face):
    """While C is down its port is 503, definite; others keep hints for it, which its return brings home."""
    face = open_face(3, w=2)
    face.cluster.crash("C")
    answer = face["C"].put("/kv/down", json={"value": 1})
    assert (answer.status_code, answer.json()["definite"]) == (503, True)
    health = face["C"].get("/admin/health")
    assert (health.status_code, health.json()["status"], health.json()["nodes"]["C"]) == (503, "down", "crashed")
    assert face["A"].put("/kv/down", json={"value": 1}).status_code == 200
    face["A"].put("/kv/down", json={"value": 2, "W": 3}, headers={"X-Deadline-Ms": "1500"})  # By then C is given up.
    hints = face["B"].get("/admin/hints").json()["hints"]
    assert {hint["home"] for kept in hints.values() for hint in kept} == {"C"}
    assert face["A"].post("/admin/faults", json={"verb": "recover", "node": "C"}).status_code == 200
    face.cluster.settle()
    assert set(face["A"].get("/admin/health").json()["hints"].values()) == {0}
    assert face["C"].get("/debug/siblings/down").json()["siblings"][0]["value"] == 2


# Metrics ---------------------------------------------------------------------------------------


def samples(page: str) -> dict[tuple[str, str], float]:
    """``{(name, the label that matters): value}``"""
    read = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            labels = [value for name, value in sample.labels.items() if name not in ("node", "le")]
            read[sample.name, " ".join(sorted(labels))] = sample.value
    return read


def test_metrics_count_what_happened(open_face):
    """Operations by kind and outcome, latencies, fsyncs, hints, siblings and messages appear as they happen."""
    face = open_face(3, storage="log", anti_entropy_ms=50)
    for number in range(5):
        face["A"].put(f"/kv/m{number}", json={"value": number})
    face["A"].get("/kv/m0"), face["A"].get("/kv/none"), face["A"].put("/kv/m0", json={"value": 1, "W": 9})
    face["A"].put("/kv/m0", json={"value": "sibling", "context": None, "W": 3})
    face.cluster.settle()
    read = samples(face["A"].get("/metrics").text)
    assert read["dynalab_operations_total", "ok put"] == 6
    assert read["dynalab_operations_total", "get ok"] == 2
    assert read["dynalab_operation_seconds_count", "put"] == 6
    assert read["dynalab_node_up", ""] == 1
    assert read["dynalab_keys", ""] == 5
    assert read["dynalab_keys_with_siblings", ""] == 1
    assert read["dynalab_fsync_seconds_count", ""] >= 6
    assert read["dynalab_commit_seconds_count", ""] >= read["dynalab_fsync_seconds_count", ""]
    assert read["dynalab_messages_sent_total", "ReplicaPut"] >= 12
    assert read["dynalab_merkle_round_seconds_count", ""] >= 1
    face.cluster.crash("C")
    assert samples(face["C"].get("/metrics").text)["dynalab_node_up", ""] == 0
    # Once three stored copies were waited for in vain, the coordinator keeps the third as a hint.
    face["A"].put("/kv/m0", json={"value": 2, "W": 3}, headers={"X-Deadline-Ms": "1500"})
    assert samples(face["A"].get("/metrics").text)["dynalab_hint_queue_depth", ""] == 1


def test_a_failed_operation_is_counted_by_its_error(open_face):
    """A write without its quorum is an outcome of its own."""
    face = open_face(3)
    face.cluster.crash("C")
    face["A"].put("/kv/few", json={"value": 1, "W": 3}, headers={"X-Deadline-Ms": "300"})
    assert samples(face["A"].get("/metrics").text)["dynalab_operations_total", "WriteQuorumNotReached put"] == 1
