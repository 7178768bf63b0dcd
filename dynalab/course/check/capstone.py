"""Checks of exercise 11: a Dynamo of one's own, part by part, in the real cluster (paper 4, 5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dynalab.check.recorder import Recorder
from dynalab.check.verdict import judge_run
from dynalab.core.config import Parts
from dynalab.core.errors import DynalabError
from dynalab.core.ring import Ring
from dynalab.course.checking import Case, check, shown

__all__ = ["capstone_1", "capstone_2", "capstone_3"]

METHODS = "preference_list decide put merge fallback next_hint build differ merge_histories".split()
KEYS = ("cart", "wish", "list")


@check(
    "capstone-1",
    2,
    20,
    "exercises 01 and 03: distinct nodes clockwise; done at need distinct answers (4.3, 4.5)",
    methods=("preference_list", "decide"),
)
def capstone_1(case: Case, part: Any) -> None:
    """Placement and decision together run a cluster."""
    for _ in range(60):
        tokens = sorted((at, case.random.choice("ABCD")) for at in case.random.sample(range(1_000), 12))
        position, n = case.random.choice([case.random.randrange(1_000), tokens[3][0]]), case.random.randint(1, 4)
        right = Ring(dict(tokens)).preference_list_at(position, n)
        came = case.ask(part.preference_list, tokens, position, n, [], named="preference_list")
        case.equal(came, right, f"preference_list({shown(tokens)}, {position}, {n}, [])")
        asked, need = case.random.randint(1, 4), case.random.randint(1, 4)
        replies = [{"node": case.random.choice("ABCD")} for _ in range(case.random.randint(0, asked))]
        count = len({reply["node"] for reply in replies})
        verdict = "done" if count >= need else "failed" if asked < need else "wait"
        came = case.ask(part.decide, replies, need, asked, named="decide")
        case.equal(came, verdict, f"decide({replies}, {need}, {asked})")
    parts = Parts(ring=part.preference_list, quorum=part.decide)
    for world in (case.simulation, case.cluster):
        _serves(case, parts, world)


def _serves(case: Case, parts: Parts, world: Callable[..., Any]) -> None:
    tried = "a cluster of 4 nodes with your coordinator: a crash, puts and gets"
    with case.running(tried), world(4, parts, n=3, r=2, w=2) as cluster:
        for key in KEYS:
            ack = cluster.put(key, key.upper())
            case.holds(len(ack.nodes) >= 2, f"{tried}: a put with W=2", f"stored on {ack.nodes}", "at least 2 nodes")
        cluster.crash(cluster.nodes[-1])
        case.equal([cluster.get(key, via="A").value for key in KEYS], [key.upper() for key in KEYS], tried)


@check(
    "capstone-2",
    6,
    60,
    "take your answers of 01 to 06, and make each right by itself before you put them together",
    methods=METHODS,
)
def capstone_2(case: Case, part: Any) -> None:
    """All parts at once: chaos in virtual time before the oracle, then the real cluster."""
    parts = Parts(
        ring=part.preference_list,
        quorum=part.decide,
        siblings=part,
        handoff=part,
        merkle=part,
        gossip=part.merge_histories,
    )
    for _ in range(3):
        _chaos(case, parts)
    _lives(case, parts)


def _chaos(case: Case, parts: Parts) -> None:
    """Cuts, a crash and a wiped disk under three writers, judged by the causal-history oracle."""
    tried = "a simulation of 5 nodes with all your parts: cuts, a crash, a wiped disk, three writers; before the oracle"
    with case.running(tried), case.simulation(5, parts, anti_entropy_ms=200, partitions=16) as cluster:
        recorder = Recorder(cluster)
        writers = [recorder.client(name, via=via) for name, via in (("alice", "A"), ("bob", "C"), ("cy", "E"))]
        for trouble in case.random.sample(["AB|CDE", "ABC|DE", "crash", "calm"], 4):
            _begin(recorder, trouble)
            for number in range(5):
                _act(case, case.random.choice(writers), f"{trouble} {number}")
            _end(recorder, trouble)
        recorder.settle(timeout_ms=60_000)
        recorder.crash("B")
        recorder.recover("B", wipe=True)
        report = judge_run(recorder, trace=cluster.events)
    case.holds(report.ok, tried, "; ".join(map(str, report.violations[:2])), "every promise kept")


def _begin(recorder: Recorder, trouble: str) -> None:
    if trouble == "crash":
        recorder.crash("D")
    elif "|" in trouble:
        recorder.partition(trouble)


def _end(recorder: Recorder, trouble: str) -> None:
    if trouble == "crash":
        recorder.recover("D")
    recorder.heal()


def _act(case: Case, writer: Any, value: str) -> None:
    key = case.random.choice(KEYS)
    try:
        writer.put(key, value) if case.random.random() < 0.7 else writer.get(key)
    except DynalabError as error:
        if getattr(error, "traceback", ""):
            raise  # A part failed; a cut alone may fail a request, and the recorder knows of it.


def _lives(case: Case, parts: Parts) -> None:
    tried = "the real cluster of 4 nodes with all your parts: a cut, siblings, a crash, a newcomer"
    with case.running(tried), case.cluster(4, parts, n=3, r=2, w=2, partitions=8, gossip_ms=100) as cluster:
        alice, bob = cluster.client("alice", via="A"), cluster.client("bob", via="D")
        cluster.partition("AB|CD")
        alice.put("cart", "milk")
        bob.put("cart", "tea")
        cluster.heal()
        cluster.settle()
        got = alice.get("cart")
        case.equal(sorted(got.values), ["milk", "tea"], f"{tried}: after the cut")
        alice.put("cart", "milk and tea", context=got.context)
        cluster.join("E")
        cluster.settle()
        case.equal(bob.get("cart").values, ["milk and tea"], f"{tried}: in the end")


@check("capstone-3", 2, 20, "a message belongs to a put when its request is the put's, or begins with it and a slash")
def capstone_3(case: Case, cost: Callable[..., Any]) -> None:
    """What puts cost on the wire, read off a real trace."""
    with case.simulation(5, n=3, r=2, w=2) as cluster:
        for number in range(6):
            cluster.put(f"key-{case.random.randrange(100)}", number)
            cluster.get(f"key-{number}")
        events = [
            {"kind": event.kind, "message": event.message, "request": event.request, "size": event.size}
            for event in cluster.events
        ]
    case.random.shuffle(events)
    puts = sorted({each["request"] for each in events if each["message"] == "ClientPut"})
    right = {}
    for put in puts:
        mine = [each for each in events if each["request"] == put or each["request"].startswith(put + "/")]
        sent = [each["size"] for each in mine if each["kind"] == "send"]
        right[put] = [len(sent), sum(sent)]
    case.equal(case.ask(cost, events), right, f"cost({shown(events, 200)})")
