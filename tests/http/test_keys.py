"""Keys over HTTP: values in every form, contexts, quorums, retries, siblings, scans."""

from __future__ import annotations

import base64
import json

import pytest

from dynalab.codec.token import decode_context
from dynalab.core.clock import Context

pytestmark = pytest.mark.live

MIB = 1024 * 1024
BYTES = {"Content-Type": "application/octet-stream"}


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_a_put_answers_what_was_stored_where(face):
    """PUT answers ok, coordinator, replicas, clock, wall clock and a context the cluster accepts again."""
    answer = face["A"].put("/kv/told", json={"valueBase64": b64(b"hello"), "nodeId": "laptop"})
    assert answer.status_code == 200
    told = answer.json()
    assert told["ok"] is True
    assert told["tombstone"] is False
    assert told["key"] == "told"
    assert told["coordinator"] == "A"
    assert 2 <= told["replicasWritten"] == len(told["nodes"]) <= 3
    assert told["vectorClock"] == {"A": 1}
    assert told["lwwMillis"] > 1_600_000_000_000
    assert decode_context(told["context"]).entries | dict(decode_context(told["context"]).dots) == {"A": 1}
    assert face["A"].put("/kv/told", json={"value": 2, "context": told["context"]}).status_code == 200


@pytest.mark.parametrize(
    "value", ["milk", "", 0, -1.5, True, None, [], ["milk", {"n": 1}], {"a": None}, "\u00e9\U0001f375", 10**30]
)
def test_any_json_comes_back_as_it_was(face, value):
    """A JSON value is stored as itself, and its base64 is its bytes."""
    assert face["A"].put("/kv/json", json={"value": value}).status_code == 200
    told = face["B"].get("/kv/json").json()
    assert told["found"] is True
    assert told["value"] == value
    content = base64.b64decode(told["valueBase64"]).decode()
    assert content == value if isinstance(value, str) else json.loads(content) == value


@pytest.mark.parametrize("value", [b"", b"\x00\xff", bytes(range(256))])
def test_bytes_come_back_as_bytes(face, value):
    """A value in base64, or raw under its own content type, is bytes, and is shown in base64 only."""
    assert face["A"].put("/kv/bytes", json={"valueBase64": b64(value)}).status_code == 200
    assert face["B"].get("/kv/bytes").json()["valueBase64"] == b64(value)
    assert (
        face["A"].put("/kv/raw?W=3&nodeId=me", content=value, headers={"Content-Type": "image/png"}).status_code == 200
    )
    told = face["C"].get("/kv/raw").json()
    assert told["valueBase64"] == b64(value)
    assert "value" not in told


def test_what_curl_calls_a_form_is_json(face):
    """`curl -d '{...}'` without a header is taken as the JSON it is."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = face["A"].put("/kv/curl", content='{"value":"data","N":3,"W":2}', headers=headers)
    assert answer.status_code == 200
    assert face["A"].request("GET", "/kv/curl", content='{"R":2}', headers=headers).json()["value"] == "data"


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("user:1", b"user:1"),
        ("a%2Fb", b"a/b"),
        ("a/b", b"a/b"),
        ("%0A", b"\n"),
        ("caf%C3%A9", "caf\u00e9".encode()),
        ("%ff%00", b"\xff\x00"),
        ("a%20b+c", b"a b+c"),
        ("k" * 1024, b"k" * 1024),
    ],
)
def test_a_key_is_its_bytes(face, path, key):
    """What stands behind /kv/ is the key, byte for byte, as the Python client knows it."""
    assert face["A"].put(f"/kv/{path}", json={"value": "here"}).status_code == 200
    assert face.cluster.client("bytes").get(key).value == "here"
    told = face["B"].get(f"/kv/{path}").json()
    assert told["value"] == "here"
    try:
        assert told["key"] == key.decode()
        assert "keyBase64" not in told
    except UnicodeDecodeError:
        assert told["keyBase64"] == b64(key)


def test_what_was_never_written_is_404(face):
    """GET of an absent key answers 404 and found: false, with a context that makes a first write."""
    answer = face["A"].get("/kv/never")
    assert (answer.status_code, answer.json()["found"], answer.json()["tombstone"]) == (404, False, False)


@pytest.mark.parametrize("body", [None, "{}", '{"nodeId": "node-a", "W": 3}'])
def test_a_delete_leaves_a_tombstone(face, body):
    """DELETE, with or without a body, answers tombstone: true; then the key is 404, and says it was deleted."""
    face["A"].put("/kv/gone", json={"value": 1})
    answer = face["B"].request("DELETE", "/kv/gone", content=body)
    assert (answer.status_code, answer.json()["tombstone"]) == (200, True)
    answer = face["C"].get("/kv/gone?R=3")
    assert (answer.status_code, answer.json()["found"], answer.json()["tombstone"]) == (404, False, True)


# Contexts --------------------------------------------------------------------------------------


def test_a_put_without_context_replaces_what_its_coordinator_holds(face):
    """Two puts by curl leave one value, whichever ports they went through."""
    for node, value in (("A", 1), ("B", 2), ("A", 3)):
        assert face[node].put("/kv/local", json={"value": value, "W": 3}).status_code == 200
    told = face["C"].get("/kv/local").json()
    assert told["value"] == 3
    assert "siblings" not in told


@pytest.mark.parametrize(
    "blind", [{"json": {"value": "b", "context": None}}, {"content": b"b", "params": {"context": ""}, "headers": BYTES}]
)
def test_an_explicit_null_context_is_a_blind_write(face, blind):
    """With context null a put replaces nothing: both values are siblings, and one of them is the resolved one."""
    face["A"].delete("/kv/blind?W=3")
    face["A"].put("/kv/blind", json={"value": "a", "W": 3})
    face["A"].put("/kv/blind", **blind)
    told = face["B"].get("/kv/blind?R=3").json()
    assert sorted(each["valueBase64"] for each in told["siblings"]) == [b64(b"a"), b64(b"b")]
    assert told["resolved"]["resolvedBy"] == "LWW"
    assert told["resolved"]["valueBase64"] == told["valueBase64"] == b64(b"b")
    clocks = [each["vectorClock"] for each in told["siblings"]]
    assert told["vectorClock"] == {"A": max(clock["A"] for clock in clocks)}


def test_a_context_from_a_get_replaces_all_siblings(face):
    """Read, merge, write with the context: one value is left, on whatever node."""
    face["A"].put("/kv/merge", json={"value": ["milk"], "context": None})
    face["B"].put("/kv/merge", json={"value": ["tea"], "context": None})
    seen = face["C"].get("/kv/merge?R=3").json()
    values = sorted(value for each in seen["siblings"] for value in each["value"])
    assert values == ["milk", "tea"]
    face["C"].put("/kv/merge", json={"value": values, "context": seen["context"], "W": 3})
    told = face["A"].get("/kv/merge").json()
    assert told["value"] == ["milk", "tea"]
    assert "siblings" not in told


def test_a_stale_context_makes_a_sibling(face):
    """A put that has seen only an older version keeps the newer one beside its own."""
    first = face["A"].put("/kv/stale", json={"value": 1, "W": 3}).json()
    face["A"].put("/kv/stale", json={"value": 2, "W": 3})
    face["A"].put("/kv/stale", json={"value": 3, "context": first["context"], "W": 3})
    assert sorted(each["value"] for each in face["B"].get("/kv/stale").json()["siblings"]) == [2, 3]


def test_a_deletion_may_be_a_sibling(face):
    """A value written beside a deletion is found, and the deletion is shown as what it is."""
    first = face["A"].put("/kv/beside", json={"value": 1, "W": 3}).json()
    face["A"].put("/kv/beside", json={"value": 2, "context": first["context"], "W": 3})
    face["A"].request("DELETE", "/kv/beside", content=json.dumps({"context": first["context"], "W": 3}))
    told = face["B"].get("/kv/beside").json()
    assert told["value"] == 2
    assert sorted(each["tombstone"] for each in told["siblings"]) == [False, True]


def test_a_key_with_a_merger_is_resolved_by_it(face):
    """Where the cluster has a merger for the prefix, the resolved value is its own, and the siblings are shown."""
    face["A"].put("/kv/basket:1", json={"value": ["milk"], "context": None, "W": 3})
    face["B"].put("/kv/basket:1", json={"value": ["tea"], "context": None, "W": 3})
    told = face["C"].get("/kv/basket:1").json()
    assert told["value"] == ["milk", "tea"]
    assert told["resolved"] == {
        "valueBase64": b64(b'["milk","tea"]'),
        "value": ["milk", "tea"],
        "resolvedBy": "set_union",
    }
    assert sorted(each["value"] for each in told["siblings"]) == [["milk"], ["tea"]]


def test_a_context_of_another_key_or_a_forged_one_is_refused(face):
    """A context is sealed for its key: anything else is 400, definite, and nothing is stored."""
    other = face["A"].put("/kv/mine", json={"value": 1}).json()["context"]
    for context in (other, "nonsense", "AAAA", "\u00e9", other[:-2]):
        answer = face["A"].put("/kv/yours", json={"value": 2, "context": context})
        assert (answer.status_code, answer.json()["error"]) == (400, "InvalidContext"), context
        assert answer.json()["definite"] is True
    assert face["A"].get("/kv/yours?R=3").status_code == 404


def test_the_python_client_and_http_share_contexts(face):
    """What HTTP has read, a Python client may overwrite, and the other way round: one value stays."""
    told = face["A"].put("/kv/shared", json={"value": "http", "W": 3}).json()
    ack = face.cluster.client("python").put("shared", "python", context=decode_context(told["context"]), w=3)
    assert isinstance(ack.context, Context)
    assert face["B"].get("/kv/shared").json()["value"] == "python"


# Quorums, deadlines, retries -------------------------------------------------------------------


@pytest.mark.parametrize("where", ["query", "body"])
def test_n_r_and_w_are_taken_per_request(face, where):
    """N, R and W may stand in the query or in the body, and the answer shows that they were met."""
    asked = {"N": 3, "W": 3}
    options = {"params": asked, "json": {"value": 1}} if where == "query" else {"json": {"value": 1, **asked}}
    assert face["A"].put("/kv/quorum", **options).json()["replicasWritten"] == 3
    read = {"params": {"R": 3}} if where == "query" else {"json": {"R": 3}}
    assert len(face["B"].request("GET", "/kv/quorum", **read).json()["nodes"]) == 3


def test_the_same_op_id_is_the_same_write(face):
    """A retry with its opId makes no second version; the same opId of another key is another write."""
    first = face["A"].put("/kv/retry", json={"value": 1, "opId": "op-1", "context": None}).json()
    again = face["A"].put("/kv/retry", json={"value": 1, "opId": "op-1", "context": None}).json()
    assert again["vectorClock"] == first["vectorClock"]
    assert again["traceId"] == first["traceId"]
    assert "siblings" not in face["A"].get("/kv/retry?R=3").json()
    face["A"].put("/kv/retry2", json={"value": 2, "opId": "op-1"})
    assert face["A"].get("/kv/retry2").json()["value"] == 2


def test_an_op_id_is_any_text(face):
    """Text that no header may hold comes back whole in the body, and spelled out in the header."""
    answer = face["A"].put("/kv/text", json={"value": 1, "opId": "two\r\nlines: \x00 \u00e4"})
    assert answer.status_code == 200
    assert answer.json()["traceId"].startswith("two\r\nlines: \x00 \u00e4@")
    assert answer.headers["x-trace-id"].startswith("two%0D%0Alines:%20%00%20%C3%A4@")


def test_without_an_op_id_each_put_is_another(face):
    """Two blind puts of one value are two siblings."""
    for _ in range(2):
        face["A"].put("/kv/twice", json={"value": 1, "context": None})
    assert len(face["A"].get("/kv/twice?R=3").json()["siblings"]) == 2


# Refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("PUT", "/kv/bad", {"json": {}}),
        ("PUT", "/kv/bad", {"json": {"value": 1, "valueBase64": "AA=="}}),
        ("PUT", "/kv/bad", {"json": {"valueBase64": "not base64"}}),
        ("PUT", "/kv/bad", {"json": {"valueBase64": "AA"}}),
        ("PUT", "/kv/bad", {"json": {"valueBase64": 1}}),
        ("PUT", "/kv/bad", {"json": {"value": 1, "w": 2}}),
        ("PUT", "/kv/bad", {"json": {"value": 1, "W": 4}}),
        ("PUT", "/kv/bad", {"json": {"value": 1, "W": 0}}),
        ("PUT", "/kv/bad", {"json": {"value": 1, "W": "2"}}),
        ("PUT", "/kv/bad", {"json": {"value": 1, "N": 1, "W": 2}}),
        ("PUT", "/kv/bad", {"json": {"value": 1, "opId": ""}}),
        ("DELETE", "/kv/bad", {"content": b"\r"}),
        ("PUT", "/kv/bad", {"json": {"value": 1, "context": 7}}),
        ("PUT", "/kv/bad?W=two", {"json": {"value": 1}}),
        ("PUT", "/kv/bad?W=1&W=2", {"json": {"value": 1}}),
        ("PUT", "/kv/bad?R=1", {"json": {"value": 1}}),
        ("PUT", "/kv/bad", {"json": [1]}),
        ("PUT", "/kv/bad", {"content": b"{", "headers": {"Content-Type": "application/json"}}),
        ("PUT", "/kv/bad", {"content": b'{"value": NaN}', "headers": {"Content-Type": "application/json"}}),
        ("PUT", "/kv/bad", {"content": b'{"value": 1, "value": 2}', "headers": {"Content-Type": "application/json"}}),
        ("PUT", "/kv/bad", {"content": b'{"value": "\\ud800"}', "headers": {"Content-Type": "application/json"}}),
        ("PUT", "/kv/bad", {"content": b"[" * 100_000, "headers": {"Content-Type": "application/json"}}),
        ("PUT", "/kv/bad", {"json": {"value": 1}, "headers": {"X-Deadline-Ms": "soon"}}),
        ("PUT", "/kv/bad", {"json": {"value": 1}, "headers": {"X-Deadline-Ms": "0"}}),
        ("PUT", "/kv/bad", {"json": {"value": 1}, "headers": {"X-Deadline-Ms": "600001"}}),
        ("PUT", "/kv/", {"json": {"value": 1}}),
        ("PUT", "/kv/" + "k" * 1025, {"json": {"value": 1}}),
        ("GET", "/kv/bad?R=4", {}),
        ("GET", "/kv/bad?R=", {}),
        ("GET", "/kv/bad", {"content": b"no json"}),
        ("DELETE", "/kv/bad", {"content": b"no json"}),
        ("GET", "/kv?limit=0", {}),
        ("GET", "/kv?limit=1001", {}),
    ],
)
def test_what_is_malformed_is_400_and_definite(face, method, path, options):
    """Malformed input is refused with a reason in JSON before anything is sent."""
    answer = face["A"].request(method, path, **options)
    told = answer.json()
    assert answer.status_code == 400, told
    assert (told["ok"], told["definite"]) == (False, True)
    assert told["text"]
    assert "Traceback" not in answer.text
    assert face["A"].get("/kv/bad?R=3").status_code == 404


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"valueBase64": "a"}, "valueBase64: no base64"),
        ({}, "body: give exactly one of value and valueBase64"),
        ({"value": 1, "context": "abc"}, "send what a get or an answer gave, or null to write blindly"),
        ({"value": 1, "W": 4}, "w must be from 1 to n=3; got 4"),
    ],
)
def test_a_refusal_says_what_to_send_instead(face, body, says):
    """The text of a 400 is for whoever typed the request."""
    assert says in face["A"].put("/kv/bad", json=body).json()["text"]


def test_another_method_is_told_which_there_are(face):
    """405 names every method of the address, as HTTP asks for."""
    answer = face["A"].post("/kv/a", json={"value": 1})
    assert (answer.status_code, answer.headers["allow"]) == (405, "DELETE, GET, PUT")
    assert face["A"].delete("/admin/faults").headers["allow"] == "GET, POST"


def test_a_value_has_at_most_one_mebibyte(face):
    """1 MiB is stored in every form; one byte more is 413, definite, and so is a body that could hold no value."""
    assert face["A"].put("/kv/large", content=bytes(MIB), headers=BYTES).status_code == 200
    assert face["A"].put("/kv/large", json={"valueBase64": b64(bytes(MIB))}).status_code == 200
    assert len(base64.b64decode(face["B"].get("/kv/large").json()["valueBase64"])) == MIB
    for options in (
        {"content": bytes(MIB + 1), "headers": BYTES},
        {"json": {"valueBase64": b64(bytes(MIB + 1))}},
        {"content": bytes(4 * MIB), "headers": BYTES},
        {"content": iter([bytes(MIB)] * 4), "headers": BYTES},
    ):
        answer = face["A"].put("/kv/larger", **options)
        assert (answer.status_code, answer.json()["definite"]) == (413, True)
    assert face["A"].get("/kv/larger").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nowhere", 404), ("POST", "/kv/a", 405), ("PUT", "/kv", 405)]
)
def test_an_address_that_is_not_there_says_so_in_json(face, method, path, status):
    """Unknown paths and methods answer like everything else."""
    answer = face["A"].request(method, path)
    assert (answer.status_code, answer.json()["ok"]) == (status, False)


# Scans -----------------------------------------------------------------------------------------


def test_a_scan_finds_the_keys_of_a_prefix_in_order_page_by_page(face):
    """Following `next` leads through all live keys with the prefix, each once, in order, and then ends."""
    keys = [f"scan/{number:02}" for number in range(7)] + ["scan/\u00e9"]
    for key in reversed(keys):
        face["A"].put(f"/kv/{key}", json={"value": key, "W": 3})
    face["A"].delete("/kv/scan/03?W=3")
    address, found = "/kv?prefix=scan/&limit=3", []
    while address:
        told = face["B"].get(address).json()
        assert told["consistency"] == "eventual, best effort"
        assert len(told["items"]) <= 3
        found += [item["key"] for item in told["items"]]
        address = told["next"]
    assert found == [key for key in sorted(keys) if key != "scan/03"]
    assert face["C"].get("/kv?prefix=scan/04").json()["items"][0]["value"] == "scan/04"


def test_a_scan_shows_siblings_as_a_number(face):
    """A key with siblings is one item, with the last writer's value."""
    face["A"].put("/kv/several", json={"value": 1, "context": None, "W": 3})
    face["B"].put("/kv/several", json={"value": 2, "context": None, "W": 3})
    (item,) = face["A"].get("/kv?prefix=several").json()["items"]
    assert (item["siblings"], item["value"]) == (2, 2)


def test_a_scan_of_nothing_is_empty(face):
    """No key, no item, no next page."""
    told = face["A"].get("/kv?prefix=nothing-like-it&after=x").json()
    assert (told["items"], told["next"], told["missing"]) == ([], None, [])
