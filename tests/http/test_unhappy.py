"""When it does not work: quorums not reached, deadlines, silent nodes, bugs, taken ports, and an orderly end."""

from __future__ import annotations

import io
import json
import socket
import threading

import httpx
import pytest

from dynalab.core.errors import InvalidSetting
from dynalab.gateway.frame import Frame
from dynalab.gateway.logs import Log
from dynalab.http import Gateway

pytestmark = pytest.mark.live


def in_time(ask):
    """The node's own answer: on a busy machine the port may give a node up before it has said what it reached."""
    while (answer := ask()).json().get("error") == "RequestTimedOut":
        assert answer.status_code == 503
    return answer


def test_a_write_without_its_quorum_is_indefinite(open_face):
    """503 with definite false, what was needed and what was got: the value may yet appear, and does."""
    face = open_face(3)
    face.cluster.partition("A|BC")
    answer = in_time(
        lambda: face["A"].put("/kv/cut", json={"value": 1, "W": 2, "opId": "1"}, headers={"X-Deadline-Ms": "400"})
    )
    told = answer.json()
    assert (answer.status_code, told["error"], told["definite"]) == (503, "WriteQuorumNotReached", False)
    assert (told["needed"], told["got"], told["nodes"]) == (2, 1, ["A"])
    face.cluster.heal()
    face.cluster.settle()
    assert face["B"].get("/kv/cut").json()["value"] == 1


def test_a_read_without_its_quorum_changes_nothing_and_is_definite(open_face):
    """503; a read that failed has surely stored nothing."""
    face = open_face(3)
    face.cluster.partition("A|BC")
    answer = in_time(lambda: face["A"].get("/kv/cut?R=2", headers={"X-Deadline-Ms": "400"}))
    assert (answer.status_code, answer.json()["error"]) == (503, "ReadQuorumNotReached")
    assert answer.json()["definite"] is True


def test_a_node_that_stays_silent_is_503_when_the_deadline_has_passed(open_face):
    """A paused node's port answers after the deadline, and does not know what became of a write."""
    face = open_face(3)
    face.cluster.pause("B")
    answer = face["B"].put("/kv/silent", json={"value": 1}, headers={"X-Deadline-Ms": "200"})
    face.cluster.resume("B")
    assert (answer.status_code, answer.json()["error"], answer.json()["definite"]) == (503, "RequestTimedOut", False)


def test_too_many_siblings_are_409(open_face):
    """A put that the limit of siblings forbids is refused, definite, and says to read and merge."""
    face = open_face(3, max_siblings=2)
    answers = [face["A"].put("/kv/many", json={"value": number, "context": None}) for number in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 409, 409]
    assert answers[-1].json()["definite"] is True


def test_a_bug_is_500_without_a_stack_trace(open_face, monkeypatch, caplog):
    """What nobody foresaw is an indefinite 500 that names its trace id; the traceback is in the log alone."""
    face = open_face(3)

    def breaks(*_: object) -> None:
        raise RuntimeError("secret inside")

    monkeypatch.setattr("dynalab.gateway.kv._submitted", breaks)
    answer = face["A"].put("/kv/bug", json={"value": 1})
    told = answer.json()
    assert (answer.status_code, told["error"], told["definite"]) == (500, "InternalError", False)
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert told["traceId"] in caplog.text
    assert "secret inside" in caplog.text


def test_a_port_that_is_taken_is_said_and_nothing_stays_open(open_face):
    """A gateway opens all its ports or none."""
    face = open_face(3)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1 port {number}"):
            Gateway(face.cluster, ports=[0, 0, number])
    assert not [thread for thread in threading.enumerate() if thread.name == "dynalab-http" and not thread.is_alive()]


@pytest.mark.parametrize("ports", [[1, 2], {"A": 1}, {"A": 0, "B": 0, "C": 70_000}, [0, 0, "0"]])
def test_ports_that_do_not_fit_are_refused(open_face, ports):
    """Every node needs one port, and a port is a number from 0 to 65535."""
    face = open_face(3)
    with pytest.raises(InvalidSetting):
        Gateway(face.cluster, ports=ports)


def test_closing_ends_every_port_and_may_be_done_twice(open_face):
    """After close nothing listens; the cluster goes on."""
    face = open_face(3)
    address = face.gateway.url("A")
    assert face["A"].get("/admin/health").status_code == 200
    face.gateway.close()
    face.gateway.close()
    with pytest.raises(httpx.ConnectError):
        httpx.get(address, trust_env=False)
    assert face.cluster.put("still", 1).nodes


# Logs ------------------------------------------------------------------------------------------


def test_a_log_line_follows_a_request_and_keeps_its_secrets(open_face):
    """Each request is one JSON line with trace id, key hash and clock; no key, value or token is in it."""
    log = io.StringIO()
    face = open_face(3, gateway={"log": log})
    told = face["A"].put("/kv/private-key", json={"value": "private-value", "nodeId": "laptop"}).json()
    face["A"].get("/kv/absent"), face["A"].get("/debug/siblings/private-key"), face["A"].put("/kv/x", json={})
    face.gateway.close()
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["status"] for line in lines] == [200, 404, 200, 400]
    assert (lines[0]["traceId"], lines[0]["coordinator"], lines[0]["clock"]) == (told["traceId"], "A", "A1")
    assert (lines[0]["client"], lines[0]["method"], len(lines[0]["keyHash"])) == ("laptop", "PUT", 8)
    assert lines[3]["error"] == "BadRequest"
    assert [line["level"] for line in lines] == ["info", "warning", "info", "warning"]
    assert "private" not in log.getvalue()


def test_half_an_answer_is_not_followed_by_another():
    """When an application breaks after it began to answer, the server hears of it instead of a second answer."""
    import asyncio

    async def breaks(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("too late")

    sent = []

    async def send(message):
        sent.append(message["type"])

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    with pytest.raises(RuntimeError, match="too late"):
        asyncio.run(Frame(breaks, "A", Log(), 100)(scope, None, send))
    assert sent == ["http.response.start"]
