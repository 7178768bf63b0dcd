"""What a live cluster shows: one trace with causes, metrics, logs, inspections."""

from __future__ import annotations

import threading

import pytest

from dynalab.core.errors import BadRequest, DynalabError, RequestTimedOut
from dynalab.live.owner import is_for

pytestmark = pytest.mark.live

MEMORY = {"storage": "memory", "anti_entropy_ms": 0}


def test_every_receive_names_its_send(shared):
    """In the gathered trace a receive is caused by the send of that message, and comes after it."""
    shared.put("cart", ["milk"], via="A", w=3)
    trace = shared.trace
    by_seq = {event.seq: event for event in trace}
    assert [event.seq for event in trace] == sorted(by_seq)
    receives = [event for event in trace if event.kind == "receive"]
    assert len(receives) >= 6
    for event in receives:
        sent = by_seq[event.cause]
        assert (sent.kind, sent.node, sent.peer, sent.message) == ("send", event.peer, event.node, event.message)
        assert sent.seq < event.seq
        assert sent.time_us <= event.time_us
    assert trace.gaps == 0


def test_a_put_can_be_followed_from_client_to_replicas(shared):
    """From the client's send the causes lead over the coordinator to the replicas' stores and back."""
    ack = shared.client("tracer").put("followed", 1, w=3)
    trace = shared.trace
    mine = [event for event in trace if is_for(event.request, ack.request)]
    assert {event.node for event in mine} == {"A", "B", "C", "client:tracer"}
    steps = [(event.node, event.kind, event.message) for event in mine]
    assert steps[0] == ("client:tracer", "send", "ClientPut")
    assert (ack.coordinator, "send", "ReplicaPut") in steps
    assert steps.count((ack.coordinator, "receive", "ReplicaPutDone")) == 2
    assert ("client:tracer", "receive", "ClientPutDone") in steps
    clocks = dict(zip((event.seq for event in trace), trace.vector_times(), strict=True))
    answered = next(e for e in mine if e.node == "client:tracer" and e.kind == "receive")
    assert {"A", "B", "C", "client:tracer"} <= clocks[answered.seq].keys()


def test_looking_twice_keeps_every_number(shared):
    """An event keeps its seq however often the trace is looked at."""
    before = list(shared.trace)
    shared.put("more", 1)
    after = list(shared.trace)
    assert after[: len(before)] == before
    assert len(after) > len(before)


def test_faults_are_in_the_trace_with_what_follows(start):
    """A verb is a `fault` at ``cluster`` as a person would type it; stop and start name it as their cause."""
    cluster = start(3, **MEMORY)
    cluster.partition("A|BC")
    cluster.heal()
    cluster.crash("B")
    cluster.recover("B")
    trace = cluster.trace
    verbs = {event.seq: event.detail["verb"] for event in trace if event.kind == "fault"}
    assert list(verbs.values()) == ['partition("A|BC")', "heal()", 'crash("B")', 'recover("B")']
    stop, start_again = (
        event for event in trace if event.node == "B" and event.kind in ("stop", "start") and event.cause
    )
    assert (verbs[stop.cause], verbs[start_again.cause]) == ('crash("B")', 'recover("B")')


def test_a_lost_message_is_a_drop_with_its_reason(start):
    """What a cut swallows is a `drop` at the sender, caused by its send."""
    cluster = start(2, n=2, r=1, w=1, **MEMORY)
    cluster.partition("A|B")
    ack = cluster.put("k", 1, via="A")
    trace = cluster.trace
    dropped = [event for event in trace if event.kind == "drop" and is_for(event.request, ack.request)]
    assert [(event.node, event.peer, event.message, event.key) for event in dropped] == [("A", "B", "ReplicaPut", b"k")]
    assert dropped[0].detail["why"] == "cut"
    by_seq = {event.seq: event for event in trace}
    assert by_seq[dropped[0].cause].kind == "send"


def test_with_the_trace_off_nothing_is_recorded(start):
    """trace=False makes no events anywhere; counters still count."""
    cluster = start(3, trace=False, **MEMORY)
    cluster.put("k", 1)
    cluster.crash("A")
    assert len(cluster.trace) == 0
    assert cluster.metrics()["operations"]["put"]["count"] == 1
    assert cluster.metrics()["messages"] > 0


def test_metrics_count_operations_by_kind_and_outcome(start):
    """Operations, their latencies and failures, and every node's counters, traffic and queues are told."""
    cluster = start(3, **MEMORY)
    for number in range(10):
        cluster.put("k", number)
    cluster.get("k")
    cluster.delete("k")
    cluster.crash("C")
    with pytest.raises(BadRequest):
        cluster.put("k", 1, w=9)
    metrics = cluster.metrics()
    assert metrics["operations"]["put"]["count"] == 10
    assert metrics["operations"]["delete"]["count"] == 1
    assert 0 < metrics["operations"]["put"]["p50_ms"] <= metrics["operations"]["put"]["p99_9_ms"]
    node = metrics["nodes"]["A"]
    assert node["transport"]["bytes_in"] > 0
    queues = node["transport"]["queues"]
    assert queues["timers"] > 0
    assert node["waiting"] == queues["delayed"] + queues["opening"]  # A timer is no message that waits.
    assert metrics["nodes"]["C"]["counters"] == {}
    assert metrics["counters"]["puts_ok"] >= 10


def test_logs_tell_what_a_process_said(shared):
    """logs(node) is the tail of the process's own output."""
    assert "listens at tcp://127.0.0.1:" in shared.logs("A")
    assert shared.logs("A", lines=1).count("\n") == 0


def test_a_bug_in_the_node_is_answered_logged_and_survived(start):
    """An exception nobody expected becomes a failed, indefinite request and a traceback in the log; the node lives."""
    cluster = start(3, keeper="tests.live.planted", **MEMORY)
    with pytest.raises(DynalabError, match=r"cluster.logs\('A'\)") as failed:
        cluster.put("bug", 1, via="A")
    assert not failed.value.definite
    assert "ArithmeticError: a planted bug" in cluster.logs("A")
    assert cluster.metrics()["nodes"]["A"]["transport"]["bugs"] == 1
    assert cluster.put("other", 1, via="A").nodes


def test_a_commit_that_fails_ends_the_process_unacknowledged(start):
    """A node that cannot make its writes durable says nothing of them and ends, with a clear line in its log."""
    cluster = start(1, n=1, r=1, w=1, keeper="tests.live.planted", **MEMORY)
    with pytest.raises(RequestTimedOut):
        cluster.put("broken disk", 1, timeout_ms=200)
    cluster._owner.roll.wait_state("A", "crashed", 20)
    assert "node A ends: [Errno 28] No space left on device" in cluster.logs("A")
    stop = next(event for event in cluster.trace if event.kind == "stop")
    assert "No space left" in stop.detail["why"]


def test_many_threads_may_use_one_cluster(shared):
    """Clients of many threads share the cluster's own thread; every answer finds its asker."""
    wrong = []

    def work(name):
        client = shared.client(name)
        for number in range(20):
            client.put(f"{name}-{number}", [name, number])
            if client.get(f"{name}-{number}").value != [name, number]:
                wrong.append((name, number))

    threads = [threading.Thread(target=work, args=(f"worker{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_one_request_id_makes_one_write(shared):
    """A put repeated with its request id through the same coordinator is one write (S06)."""
    client = shared.client("again")
    first = client.put("once", 1, request_id="my-put", context=None, via="A")
    second = client.put("once", 1, request_id="my-put", context=None, via="A")
    assert first.context.clock == second.context.clock
    assert shared.get("once", r=3).value == 1
