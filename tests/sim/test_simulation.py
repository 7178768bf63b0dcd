"""The verbs of `Simulation`: what each does, and what it refuses."""

from __future__ import annotations

import _thread
import gc
from collections.abc import Callable
from typing import Any

import pytest

from dynalab.core.config import Config, Parts
from dynalab.core.errors import (
    BadRequest,
    InvalidKey,
    InvalidQuorum,
    InvalidSetting,
    InvalidValue,
    NodeIsDown,
    NotSettled,
    PartFailed,
    ReadQuorumNotReached,
    RequestTimedOut,
    UnknownNode,
    ValueTooLarge,
    WriteQuorumNotReached,
)
from dynalab.sim.cluster import Simulation
from dynalab.sim.host import EPOCH_US
from dynalab.sim.loop import YOUNG_MAX


def homes(sim: Simulation, key: str) -> list[str]:
    """The preference list of `key`."""
    return sim._world.hosts["A"].node.membership.ring.preference_list(key, sim.config.n)


def kinds(sim: Simulation, node: str, kind: str) -> list[Any]:
    return [event for event in sim.events if event.node == node and event.kind == kind]


# Founding ------------------------------------------------------------------------------------


def test_nodes_are_named_by_letters() -> None:
    """A number gives A, B, C ...; a list gives its own names."""
    assert Simulation(3).nodes == ["A", "B", "C"]
    assert Simulation(28, trace=False).nodes[-2:] == ["AA", "AB"]
    assert Simulation(["ann", "bob", "cy"]).nodes == ["ann", "bob", "cy"]


def test_small_clusters_shrink_what_nobody_named() -> None:
    """Defaults fit the cluster; a named N does not."""
    assert "2 nodes, 2 up, N=2 R=2 W=2" in repr(Simulation(2))
    assert Simulation(1).put("k", 1).nodes == ["A"]
    assert Simulation(3, n=1).config.w == 1
    with pytest.raises(InvalidSetting, match=r"n=3 replicas need as many nodes; the cluster has 2"):
        Simulation(2, n=3)


@pytest.mark.parametrize(
    ("arguments", "options", "says"),
    [
        ((0,), {}, "1 to 1000 nodes; got 0"),
        ((["A", "A"],), {}, "both be called 'A'"),
        ((["A B"],), {}, "'A B'"),
        (("ABC",), {}, "a list of names"),
        ((5,), {"seed": "x"}, "seed must be an integer; got 'x'"),
        ((5,), {"r": 0}, "r must be from 1 to n=3; got 0"),
        ((5,), {"w": 4}, "w must be from 1 to n=3; got 4"),
        ((5,), {"colour": 1}, "no setting is called 'colour'"),
        ((5,), {"latency_ms": (2, 1)}, "latency_ms"),
        ((5,), {"gossip_ms": "often"}, "gossip_ms must be an integer"),
    ],
)
def test_nonsense_is_refused_when_it_is_said(arguments: tuple[Any, ...], options: dict[str, Any], says: str) -> None:
    """A cluster that cannot be is a definite error that names the value."""
    with pytest.raises(InvalidSetting, match=says) as caught:
        Simulation(*arguments, **options)
    assert caught.value.definite


def test_a_config_is_taken_with_changes() -> None:
    """`config` is the base, single settings go on top."""
    sim = Simulation(4, config=Config(n=4, r=1, w=4), w=3, read_repair=False)
    assert (sim.config.n, sim.config.r, sim.config.w, sim.config.read_repair) == (4, 1, 3, False)


# Clients -------------------------------------------------------------------------------------


def test_put_get_delete() -> None:
    """What was put is got, what was deleted is not found, and time has passed."""
    with Simulation(5, seed=1) as sim:
        ack = sim.put("cart", ["milk"])
        got = sim.get("cart")
        assert (got.value, got.found, ack.key) == (["milk"], True, "cart")
        assert set(ack.nodes) <= set(homes(sim, "cart"))
        assert 0.4 < ack.latency_ms < 10
        sim.delete("cart")
        assert not sim.get("cart").found


def test_a_session_replaces_its_own_writes_and_no_others() -> None:
    """A client's second put replaces its first; another client's blind put is a sibling."""
    sim = Simulation(5, seed=1)
    alice, bob = sim.client("alice"), sim.client("bob", via="D")
    alice.put("k", 1)
    alice.put("k", 2)
    bob.put("k", 3)
    assert sorted(alice.get("k").values) == [2, 3]


def test_a_delete_by_a_stranger_reads_first() -> None:
    """A delete without a context deletes what its client would have read."""
    sim = Simulation(5, seed=1)
    sim.client("alice").put("k", 1)
    ack = sim.client("bob").delete("k")
    assert ack.used_context.clock
    assert not sim.get("k").found
    requests = [event.message for event in sim.events if event.node == "client:bob" and event.kind == "send"]
    assert requests == ["ClientGet", "ClientPut"]


def test_a_partition_aware_client_asks_a_home() -> None:
    """Without `via` the first running node of the preference list coordinates (6.4)."""
    sim = Simulation(5, seed=1)
    first, second, _ = homes(sim, "k")
    assert sim.put("k", 1).coordinator == first
    sim.crash(first)
    assert sim.put("k", 2).coordinator == second


def test_two_clients_of_one_name_are_two_sessions() -> None:
    """Request ids differ, so a cell that is run again does not repeat old requests."""
    sim = Simulation(5, seed=1)
    for value in (1, 2):
        sim.client("alice").put("k", value)
    assert sorted(sim.get("k").values) == [1, 2]


def test_a_repeated_request_makes_one_version() -> None:
    """Two puts with one request id through one node are one write (S06)."""
    sim = Simulation(5, seed=1)
    alice = sim.client("alice", via="A")
    first = alice.submit_put("k", "once", context=None, request_id="mine")
    second = alice.submit_put("k", "once", context=None, request_id="mine")
    assert first.result().context.entries == second.result().context.entries
    assert sim.get("k").values == ["once"]


def test_only_a_function_can_be_called_later() -> None:
    """`call_at` refuses anything else at once, not when its time has come."""
    sim = Simulation(3, seed=1)
    with pytest.raises(InvalidSetting, match="call_at takes a function without arguments; got 7"):
        sim.call_at(5, 7)  # type: ignore[arg-type]


@pytest.mark.parametrize("pause_ms", [0, 500])
def test_a_request_id_used_again_for_another_write_loses_nothing(pause_ms: int) -> None:
    """An id names one write of one key: with another key or value it is another write, stored and answered (I1)."""
    sim = Simulation(5, seed=1)
    alice, bob = sim.client("alice", via="A"), sim.client("bob", via="A")
    writes = []
    for client, key, value in [(alice, "e", 1), (alice, "f", 2), (bob, "g", 3), (bob, "g", 4)]:
        writes.append((key, client.submit_put(key, value, context=None, request_id="mine")))
        sim.run(ms=pause_ms)
    assert [(key, write.result().key) for key, write in writes] == [(key, key) for key in "efgg"]
    assert [sorted(sim.get(key).values) for key in "efg"] == [[1], [2], [3, 4]]
    assert alice.delete("f", request_id="mine").key == "f"
    assert not sim.get("f").found


@pytest.mark.parametrize("seed", range(60))
def test_a_repeated_request_is_always_answered(seed: int) -> None:
    """Whenever the repetition comes, before W, after W, or when all have stored it, it hears the same (S06)."""
    sim = Simulation(5, seed=seed)
    alice = sim.client("alice", via="A")
    acks = [alice.put("k", "once", context=None, request_id="mine") for _ in range(3)]
    assert len({repr(ack.context) for ack in acks}) == 1
    assert sim.get("k").values == ["once"]


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (lambda sim: sim.put("", 1), InvalidKey),
        (lambda sim: sim.put("k", {1, 2}), InvalidValue),
        (lambda sim: sim.put("k", "x" * 2**20 + "x"), ValueTooLarge),
        (lambda sim: sim.put("k", 1, w=4), InvalidQuorum),
        (lambda sim: sim.get("k", r=0), InvalidQuorum),
        (lambda sim: sim.put("k", 1, via="Z"), UnknownNode),
        (lambda sim: sim.client("bob", via="Z"), UnknownNode),
        (lambda sim: sim.client(""), InvalidSetting),
        (lambda sim: sim.put("k", 1, timeout_ms=0), InvalidSetting),
    ],
)
def test_bad_requests_change_nothing(request_: Callable[[Simulation], object], error: type[BadRequest]) -> None:
    """A request that is wrong is refused before anything is sent."""
    sim = Simulation(5, seed=1)
    told = len(sim.events)
    with pytest.raises(error) as caught:
        request_(sim)
    assert caught.value.definite
    assert (len(sim.events), sim.now_ms) == (told, 0)


def test_asking_a_crashed_node_is_definite() -> None:
    """Nothing is sent to a node that does not run."""
    sim = Simulation(5, seed=1)
    sim.crash("C")
    with pytest.raises(NodeIsDown, match="'C' is not running") as caught:
        sim.put("k", 1, via="C")
    assert caught.value.definite
    for node in "ABDE":
        sim.crash(node)
    with pytest.raises(NodeIsDown, match="no node is running"):
        sim.get("k")


def test_a_coordinator_that_never_answers() -> None:
    """Without any answer a put is indefinite, a get definite, after the deadline and a grace."""
    sim = Simulation(5, seed=1)
    sim.pause("C")
    with pytest.raises(RequestTimedOut, match="may have been stored") as put:
        sim.put("k", 1, via="C", timeout_ms=200)
    with pytest.raises(RequestTimedOut, match="nothing was changed") as get:
        sim.get("k", via="C", timeout_ms=200)
    assert (put.value.definite, get.value.definite) == (False, True)
    assert sim.now_ms == 1400


def test_a_quorum_that_is_out_of_reach() -> None:
    """With fallbacks forbidden, a minority refuses puts as unknown and gets as certain."""
    sim = Simulation(5, seed=1, strict=True)
    first = homes(sim, "k")[0]
    rest = [node for node in sim.nodes if node != first]
    sim.partition([first], rest)
    with pytest.raises(WriteQuorumNotReached) as put:
        sim.put("k", 1, via=first)
    with pytest.raises(ReadQuorumNotReached) as get:
        sim.get("k", via=first)
    assert (put.value.definite, put.value.needed, put.value.got, put.value.nodes) == (False, 2, 1, (first,))
    assert get.value.definite


# Requests at the same time -------------------------------------------------------------------


def test_submitted_requests_overlap() -> None:
    """Requests that do not wait for each other take no longer together than one alone."""
    sim = Simulation(5, seed=1)
    pending = [sim.client(f"c{number}").submit_put(f"key{number}", number) for number in range(50)]
    assert not any(each.done for each in pending)
    assert all(each.result().nodes for each in pending)
    assert sim.now_ms < 10


def test_a_pending_request_tells_when_it_is_done() -> None:
    """A callback may start the next request; it is called once, also when it comes too late."""
    sim = Simulation(5, seed=1)
    said: list[str] = []
    first = sim.submit_put("k", 1)

    def again() -> None:
        said.append("first")
        sim.submit_get("k").when_done(lambda: said.append("second"))

    first.when_done(again)
    sim.run(ms=50)
    first.when_done(lambda: said.append("late"))
    assert said == ["first", "second", "late"]


def test_call_at_is_called_when_its_time_comes() -> None:
    """Functions run in virtual time, in order, and may use any verb."""
    sim = Simulation(5, seed=1)
    seen: list[tuple[float, str]] = []
    sim.call_at(30, lambda: seen.append((sim.now_ms, "later")))
    sim.call_at(10, lambda: (sim.crash("B"), seen.append((sim.now_ms, sim.states()["B"]))))
    sim.run(ms=100)
    sim.call_at(5, lambda: seen.append((sim.now_ms, "past")))
    sim.run(ms=0)
    assert seen == [(10.0, "crashed"), (30.0, "later"), (100.0, "past")]


# Faults --------------------------------------------------------------------------------------


def test_both_sides_of_a_partition_accept_writes() -> None:
    """A sloppy quorum writes on both sides; after healing both writes are siblings everywhere (4.5, 4.6)."""
    sim = Simulation(5, seed=1)
    sim.partition("AB|CDE")
    sim.client("alice").put("k", "left", via="A")
    sim.client("bob").put("k", "right", via="C")
    sim.heal()
    sim.settle()
    assert {node: sorted(values) for node, values in sim.values("k").items()} == {
        node: ["left", "right"] for node in sorted(homes(sim, "k"))
    }


def test_a_partition_loses_what_is_on_its_way() -> None:
    """Once `partition` has returned nothing crosses, and the trace says what was lost."""
    sim = Simulation(5, seed=1, latency_ms=(5, 5))
    first = homes(sim, "k")[0]
    pending = sim.submit_put("k", 1, via=first)
    sim.run(ms=7)  # The replica writes have left.
    sim.partition([first], [node for node in sim.nodes if node != first])
    crossed = len(sim.events)
    assert not pending.done
    sim.run(ms=200)
    after = sim.events[crossed:]
    nodes = set(sim.nodes)
    assert any(event.kind == "drop" and event.detail == {"why": "cut"} for event in after)
    assert not [
        event
        for event in after
        if event.kind == "receive" and {event.node, event.peer} <= nodes and first in event[2:6:3]
    ]


def test_crash_and_recover_on_its_own_disk() -> None:
    """A node that crashes finds what it committed; a wiped one does not, and counts under a fresh name."""
    sim = Simulation(3, seed=1, storage="log", anti_entropy_ms=0)
    sim.put("k", 1, w=3)
    sim.crash("B")
    assert sim.states()["B"] == "crashed"
    sim.recover("B")
    assert sim.values("k")["B"] == [1]
    assert sim.inspect("B")["incarnation"] == "B"
    sim.crash("B")
    sim.recover("B", wipe=True)
    assert "B" not in sim.values("k")
    assert sim.inspect("B")["incarnation"].startswith("B~")


def test_memory_storage_forgets_at_a_crash() -> None:
    """With storage="memory" a crash costs the node everything; anti-entropy brings it back (4.7)."""
    sim = Simulation(3, seed=1, storage="memory", durability="memory")
    sim.put("k", 1, w=3)
    sim.crash("B")
    sim.recover("B")
    assert "B" not in sim.values("k")
    sim.settle()
    assert sim.values("k")["B"] == [1]


def test_a_crash_forgets_timers_and_work_in_hand() -> None:
    """A coordinator that crashes answers nobody, and does nothing until it is recovered."""
    sim = Simulation(5, seed=1)
    first = homes(sim, "k")[0]
    pending = sim.submit_put("k", 1, via=first, timeout_ms=100)
    sim.run(ms=1)
    sim.crash(first)
    told = len(sim.events)
    with pytest.raises(RequestTimedOut):
        pending.result()
    sim.run(ms=3000)
    assert not [event for event in sim.events[told:] if event.node == first]


def test_a_paused_node_hears_later_what_it_missed() -> None:
    """Messages wait for a paused node, its timers fire late, and then it catches up."""
    sim = Simulation(3, seed=1)
    sim.pause("B")
    sim.put("k", 1, w=2)
    sim.run(ms=2000)
    assert not kinds(sim, "B", "receive")
    waiting = sim.metrics()["nodes"]["B"]["waiting"]
    sim.resume("B")
    sim.run(ms=0)
    assert len(kinds(sim, "B", "receive")) >= 1
    assert waiting > len(kinds(sim, "B", "receive"))  # its own timers were among them
    assert sim.values("k")["B"] == [1]


def test_crashing_a_paused_node_loses_what_waited() -> None:
    """What a stopped process has not read is lost with it."""
    sim = Simulation(3, seed=1)
    sim.pause("B")
    sim.put("k", 1, w=2)
    sim.run(ms=50)
    sim.crash("B")
    lost = [event for event in sim.events if event.kind == "drop" and event.peer == "B"]
    assert any(event.message == "ReplicaPut" and event.detail == {"why": "down"} for event in lost)


def test_skew_moves_the_wall_clock_only() -> None:
    """A skewed node stamps other wall times on what it writes; virtual time is the same (S31)."""
    sim = Simulation(5, seed=1)
    sim.skew("A", ms=-5000)
    assert sim.put("k", 1, via=homes(sim, "k")[0], w=1).wall_us in range(EPOCH_US - 5_000_000, EPOCH_US + 100_000)
    key = next(f"key{number}" for number in range(100) if homes(sim, f"key{number}")[0] == "A")
    assert sim.put(key, 1).wall_us < EPOCH_US
    assert sim.now_ms > 0


def test_links_lose_delay_and_double() -> None:
    """A link rule touches one direction unless told otherwise, and no other link."""
    sim = Simulation(2, seed=1, n=2, r=1, w=1, anti_entropy_ms=0, gossip_ms=0)
    sim.link("A", "B", drop=1.0)
    sim.run(ms=3000)
    dropped = {(event.node, event.peer) for event in sim.events if event.kind == "drop"}
    assert dropped == {("A", "B")}
    assert {event.detail["why"] for event in sim.events if event.kind == "drop"} == {"lost"}
    sim.link("A", "B")
    assert sim.faults.words() == []


@pytest.mark.parametrize(
    ("verb", "says"),
    [
        (lambda sim: sim.partition("AB"), "at least two sides"),
        (lambda sim: sim.partition("AB|CZ"), "'Z'"),
        (lambda sim: sim.partition("AB|BC"), "twice"),
        (lambda sim: sim.crash("Z"), "no node is called 'Z'"),
        (lambda sim: sim.crash("B"), "node B is not running"),
        (lambda sim: sim.recover("A"), "node A is running"),
        (lambda sim: sim.pause("B"), "node B is crashed"),
        (lambda sim: sim.resume("A"), "node A is up, not paused"),
        (lambda sim: sim.link("A", "A", drop=0.1), "'A' twice"),
        (lambda sim: sim.link("A", "C", drop=1.5), "drop must be a probability"),
        (lambda sim: sim.skew("A", ms="late"), "ms must be a number"),
        (lambda sim: sim.join("A"), "already"),
        (lambda sim: sim.join("a b"), "'a b'"),
        (lambda sim: sim.join("F", weight=0), "weight must be above 0"),
        (lambda sim: sim.leave("B"), "force=True"),
        (lambda sim: sim.inspect("B"), "cannot be inspected"),
        (lambda sim: sim.redeploy(None), r"redeploy takes Parts"),
        (lambda sim: sim.settle(timeout_ms=-1), "timeout_ms"),
        (lambda sim: sim.run(ms=-1), "ms must be a number"),
        (lambda sim: sim.at(ms=5000), "lies ahead"),
    ],
)
def test_refused_verbs_change_nothing(verb: Callable[[Simulation], object], says: str) -> None:
    """A verb that cannot be is refused by a definite error, and the cluster is as before."""
    sim = Simulation(5, seed=1)
    sim.crash("B")
    before = (sim.states(), sim.faults, len(sim.events), sim.now_ms, sim.nodes)
    with pytest.raises((BadRequest, NodeIsDown), match=says) as caught:
        verb(sim)
    assert caught.value.definite
    assert (sim.states(), sim.faults, len(sim.events), sim.now_ms, sim.nodes) == before


def test_faults_are_told_as_they_would_be_typed() -> None:
    """The trace has every fault verb as a line of code, and what befell the node."""
    sim = Simulation(5, seed=1)
    sim.partition("AB|CDE", one_way=True)
    sim.link("A", "B", delay_ms=(5, 50))
    sim.heal()
    sim.crash("C")
    sim.recover("C", wipe=True)
    sim.skew("A", ms=5000)
    said = [event.detail["verb"] for event in sim.events if event.kind == "fault"]
    assert said == [
        'partition("AB|CDE", one_way=True)',
        'link("A", "B", delay_ms=(5, 50))',
        "heal()",
        'crash("C")',
        'recover("C", wipe=True)',
        'skew("A", ms=5000)',
    ]
    (stopped,) = kinds(sim, "C", "stop")
    assert sim.events[stopped.cause - 1].detail == {"verb": 'crash("C")'}
    assert len(kinds(sim, "C", "start")) == 2


# The ring ------------------------------------------------------------------------------------


def test_join_and_leave_keep_every_key() -> None:
    """A node that joins takes over its key ranges, one that leaves hands its own on (4.9)."""
    sim = Simulation(4, seed=1)
    for number in range(40):
        sim.put(f"key{number}", number)
    sim.join("F", weight=2, zone="cellar")
    sim.settle()
    assert sim.inspect("F")["keys"] > 0
    sim.leave("B")
    assert sim.nodes == ["A", "C", "D", "F"]
    assert sim.inspect("F")["members"]["B"] == "left"
    sim.settle()
    assert [sim.get(f"key{number}", r=3).value for number in range(40)] == list(range(40))


def test_a_node_that_left_may_come_again() -> None:
    """The same name joins once more, on an empty disk that knows it is not its first (S38)."""
    sim = Simulation(4, seed=1)
    sim.put("k", 1)
    sim.leave("B")
    sim.join("B")
    sim.settle()
    assert sim.inspect("B")["incarnation"].startswith("B~")
    assert sim.get("k", r=3).value == 1


def test_a_crashed_node_leaves_by_force() -> None:
    """Who is gone for good is removed by somebody else's word."""
    sim = Simulation(5, seed=1)
    sim.put("k", 1)
    sim.crash("C")
    sim.leave("C", force=True)
    sim.settle()
    assert sim.nodes == ["A", "B", "D", "E"]
    assert sim.get("k", r=3).value == 1


def test_settle_says_what_is_left() -> None:
    """A cluster that cannot become quiet is told why, definite, and can go on."""
    sim = Simulation(5, seed=1)
    first = homes(sim, "k")[0]
    sim.crash(first)
    sim.put("k", 1)
    with pytest.raises(NotSettled, match=f"hints.*{first} is not running"):
        sim.settle(timeout_ms=1000)
    sim.recover(first)
    sim.settle()


# Parts, looking, time ------------------------------------------------------------------------


def test_parts_run_and_fail_in_the_notebooks_own_process(capsys: pytest.CaptureFixture[str]) -> None:
    """A part prints where the notebook prints; when it fails the request shows its own traceback."""

    def loud(left: dict[str, int], right: dict[str, int]) -> str:
        print("comparing")
        raise ZeroDivisionError("mine")

    sim = Simulation(3, seed=1, clocks="vector", parts=Parts(order=loud))
    with pytest.raises(PartFailed, match="order") as caught:
        sim.put("k", 1)
    assert "in loud" in caught.value.traceback
    assert "comparing" in capsys.readouterr().out


def test_a_real_ctrl_c_leaves_a_world_that_goes_on() -> None:
    """The user's interrupt comes through a part; the event it struck has not happened, and the next ones do."""
    interrupts = iter([True])

    def decide(replies: list[dict[str, Any]], need: int, asked: int) -> str:
        if next(interrupts, False):
            _thread.interrupt_main()
            while True:
                need += 1
        return "done" if len(replies) >= need else "wait"

    sim = Simulation(3, seed=1, parts=Parts(quorum=decide))
    with pytest.raises(KeyboardInterrupt):
        sim.put("k", "struck", timeout_ms=100)
    assert sim.values("k") == {}
    sim.put("k", "kept")
    sim.settle()
    assert sim.get("k", r=3).values == ["kept"]


def test_redeploy_swaps_parts_in() -> None:
    """A redefined part is used from the next event on, and by nodes that start later."""
    sim = Simulation(3, seed=1, mergers={})
    calls: list[str] = []

    def decide(replies: list[dict[str, Any]], need: int, asked: int) -> str:
        calls.append("asked")
        return "done" if len(replies) >= need else "wait"

    sim.redeploy(Parts(quorum=decide))
    sim.put("k", 1)
    assert calls
    sim.redeploy(Parts())
    calls.clear()
    sim.put("k", 2)
    assert not calls


def test_step_lets_one_thing_happen() -> None:
    """A step answers what the trace tells of it: a message that arrives, and all it leads to at its node."""
    sim = Simulation(3, seed=1, gossip_ms=0, ping_ms=0, anti_entropy_ms=0, handoff_ms=0)
    sim.submit_put("k", 1)
    told = sim.step() or []
    while not any(event.kind == "write" for event in told):
        told = sim.step() or []
    assert told[0].kind == "receive"
    assert len({event.node for event in told}) == 1
    assert {event.cause for event in told[1:]} == {told[0].seq}


def test_run_takes_exactly_so_long() -> None:
    """Virtual time moves by what was asked, whether or not anything is due."""
    sim = Simulation(3, seed=1)
    sim.run(ms=250)
    sim.run(ms=0.5)
    assert sim.now_ms == 250.5


def test_metrics_count_what_happened() -> None:
    """Operations, latencies, failures, messages and counters add up."""
    sim = Simulation(5, seed=1)
    for number in range(10):
        sim.put(f"key{number}", number)
    sim.get("key1")
    sim.pause("C")
    with pytest.raises(RequestTimedOut):
        sim.get("key1", via="C")
    seen = sim.metrics()
    puts = seen["operations"]["put"]
    assert (puts["count"], puts["failed"]) == (10, {})
    assert 0 < puts["p50_ms"] <= puts["p99_ms"] <= puts["max_ms"]
    assert seen["operations"]["get"]["failed"] == {"RequestTimedOut": 1}
    assert seen["counters"]["puts_ok"] == 10
    assert seen["messages"] == len([event for event in sim.events if event.kind == "send"])


def test_without_trace_only_counts_are_kept() -> None:
    """`trace=False` records no event, runs the same, and says so when asked for the past."""
    quiet, loud = (Simulation(5, seed=3, trace=trace) for trace in (False, True))
    for sim in (quiet, loud):
        sim.put("k", 1)
        sim.settle()
    assert quiet.events == []
    assert quiet.now_ms == loud.now_ms
    assert quiet.metrics()["messages"] == loud.metrics()["messages"]
    with pytest.raises(InvalidSetting, match="trace=False"):
        quiet.at(ms=1)


def test_a_closed_simulation_is_only_read() -> None:
    """After `close`, which may be called twice, verbs are refused and what happened can still be read."""
    sim = Simulation(3, seed=1)
    sim.put("k", 1)
    sim.settle()
    sim.close()
    sim.close()
    for verb in (lambda: sim.put("k", 2), lambda: sim.get("k"), sim.heal, sim.settle, lambda: sim.crash("A")):
        with pytest.raises(BadRequest, match="closed"):
            verb()
    assert sim.values("k")
    assert sim.at(ms=1).now_ms == 1
    assert "closed" in repr(sim)


def test_the_log_of_a_node_is_what_it_did() -> None:
    """`logs` shows the last events of one node, one a line."""
    sim = Simulation(3, seed=1)
    sim.put("k", 1, w=3)
    lines = sim.logs("B", lines=5).splitlines()
    assert 0 < len(lines) <= 5
    assert all(" B " in line for line in lines)
    with pytest.raises(UnknownNode):
        sim.logs("Z")


def test_timers_of_answered_requests_do_not_fill_the_heap() -> None:
    """What waits equally long queues up outside of the heap, which holds what is really under way."""
    with Simulation(3, seed=1, trace=False) as sim:
        client = sim.client("alice")
        client.many([("put", f"k{number}", number) for number in range(500)], 64)
        assert len(sim._world._heap) < 64


def test_a_timer_that_came_due_while_its_node_was_paused_does_not_hold_up_those_behind_it() -> None:
    """Its entry comes due a second time when the node goes on; the queue has moved on by then."""
    with Simulation(3, seed=1, ping_ms=100) as sim:
        sim.pause("A")
        sim.run(ms=300)
        sim.resume("A")
        sim.run(ms=1_000)
        pings = {
            name: sum(e.node == name and e.message == "Ping" and e.kind == "send" for e in sim.events) for name in "ABC"
        }
        assert all(count >= 2 * 9 for count in pings.values())


def test_while_it_runs_python_looks_for_cycles_rarely_and_then_as_before():
    """Also when what runs raises; where a user has switched the collector off, it stays off."""
    before = gc.get_threshold()
    seen = []

    def look():
        seen.append(gc.get_threshold()[0])
        if len(seen) == 2:
            raise RuntimeError("broken off")

    try:
        with Simulation(3, seed=1) as simulation:
            for ms in (10, 20, 30):
                simulation.call_at(ms, look)
            simulation.run(ms=15)
            assert gc.get_threshold() == before
            with pytest.raises(RuntimeError, match="broken off"):
                simulation.run(ms=10)
            assert gc.get_threshold() == before
            gc.set_threshold(0)
            simulation.run(ms=10)
        assert seen == [YOUNG_MAX, YOUNG_MAX, 0]
    finally:
        gc.set_threshold(*before)
