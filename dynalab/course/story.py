"""The tour as a story in a terminal: each step says what it will show, does it, and checks that it did.

The same steps as `notebooks/00-tour.ipynb`, in the same order, on either world.

Rule 1: a step's claim is checked against the cluster itself, never against what the step has just said.
Rule 2: the first claim that does not hold ends the story, and names its step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, NamedTuple

from dynalab.core.errors import DynalabError
from dynalab.core.session import Ack, Got

KEY, LOST = "cart", "B"


class NotShown(Exception):
    """A step did not show what it claims."""


@dataclass
class Stage:
    """What the steps share: the cluster, two clients, and what they remember."""

    cluster: Any
    alice: Any = None
    bob: Any = None
    homes: list[str] = field(default_factory=list)
    got: Got | None = None


class Step(NamedTuple):
    """One step: a title, what to expect, the lines as a person would type them, and the function that does it."""

    title: str
    story: str
    code: str
    act: Callable[[Stage], str]


class Told(NamedTuple):
    """How a step went: what was seen, or what was not shown."""

    step: str
    shown: bool
    seen: str
    took_ms: float


def claim(holds: bool, words: str) -> None:
    """Hold a step to its word.

    Raises:
        NotShown: it does not hold; `words` say what was claimed, and what was there instead.
    """
    if not holds:
        raise NotShown(words)


# -------------------------------------------------------------------- the steps


def _start(stage: Stage) -> str:
    cluster = stage.cluster
    up = [node for node, state in cluster.states().items() if state == "up"]
    claim(len(up) == 5, f"five nodes are up; there are {up}")
    stage.alice, stage.bob = cluster.client("alice", via="A"), cluster.client("bob", via="E")
    return f"{' '.join(up)} are up: {cluster!r}"


def _write_and_read(stage: Stage) -> str:
    ack = stage.alice.put(KEY, ["milk"])
    got = stage.bob.get(KEY)
    claim(got.values == [["milk"]], f"bob reads what alice wrote; he read {got.values}")
    claim(len(ack.nodes) >= 2, f"W = 2 nodes have stored it; there are {ack.nodes}")
    return f"coordinated by {ack.coordinator}, stored on {' and '.join(ack.nodes)}; bob reads {got.value}"


def _where_it_lives(stage: Stage) -> str:
    stage.cluster.settle()
    stage.homes = _holders(stage.cluster)
    claim(len(stage.homes) == 3, f"N = 3 nodes hold the key; these do: {stage.homes}")
    return f"after a moment it is on exactly three nodes: {', '.join(stage.homes)}"


def _cut(stage: Stage) -> str:
    stage.cluster.partition("AB|CDE")
    faults = stage.cluster.faults
    claim(faults.is_cut("A", "C") and not faults.is_cut("A", "B"), "A does not hear C, and still hears B")
    return "A and B hear each other; C, D and E hear each other; nothing passes between"


def _two_writers(stage: Stage) -> str:
    left = stage.alice.put(KEY, ["milk", "bread"])
    right = stage.bob.put(KEY, ["milk", "tea"])
    claim(set(left.nodes) <= set("AB"), f"alice's side stored it alone; {left.nodes} did")
    claim(set(right.nodes) <= set("CDE"), f"bob's side stored it alone; {right.nodes} did")
    claim(bool(left.hinted or right.hinted), "somebody stands in for a home on the other side; nobody does")
    return f"both are accepted: alice's by {_names(left)}, bob's by {_names(right)}"


def _hints(stage: Stage) -> str:
    hints = [(node, hint["home"]) for node in stage.cluster.nodes for hint in stage.cluster.inspect(node)["hints"]]
    claim(bool(hints), "a stand-in keeps a hint with the name of the home; there is none")
    return "; ".join(f"{holder} keeps a copy for {home}" for holder, home in hints)


def _heal(stage: Stage) -> str:
    stage.cluster.heal()
    stage.cluster.settle()
    left = {node: stage.cluster.inspect(node)["hints"] for node in stage.cluster.nodes}
    claim(not any(left.values()), f"all hints have gone home; left are {left}")
    claim(_holders(stage.cluster) == stage.homes, f"only the homes keep the key; {_holders(stage.cluster)} do")
    return f"no hint is left, and the key is back on {', '.join(stage.homes)} alone"


def _siblings(stage: Stage) -> str:
    stage.got = stage.alice.get(KEY)
    values = sorted(stage.got.values)
    claim(values == [["milk", "bread"], ["milk", "tea"]], f"both carts are there; there are {values}")
    clocks = ", ".join(str(version.clock) for version in stage.got.versions)
    return f"siblings {values[0]} and {values[1]}; neither clock descends from the other: {clocks}"


def _merge(stage: Stage) -> str:
    assert stage.got is not None
    merged = sorted({item for cart in stage.got.values for item in cart})
    stage.alice.put(KEY, merged, context=stage.got.context)
    got = stage.bob.get(KEY)
    claim(got.values == [merged], f"one value is left, the merged one; there are {got.values}")
    return f"one cart again: {got.value}, with the clock {got.context.clock}"


def _crash(stage: Stage) -> str:
    claim(LOST in stage.homes, f"{LOST} is a home of the key; its homes are {stage.homes}")
    stage.cluster.crash(LOST)
    ack = stage.alice.put(KEY, ["milk", "bread", "tea", "cake"])
    claim(stage.cluster.states()[LOST] == "crashed", f"{LOST} is down")
    claim(LOST not in ack.nodes, f"the write does without {LOST}; it was stored on {ack.nodes}")
    return f"{LOST}, a home of the key, is killed; the next write is stored on {_names(ack)}"


def _recover(stage: Stage) -> str:
    stage.cluster.recover(LOST)
    stage.cluster.settle()
    held = stage.cluster.inspect(LOST)["records"].get(KEY, {"siblings": []})
    values = [sibling["value"] for sibling in held["siblings"]]
    claim(values == [["milk", "bread", "tea", "cake"]], f"{LOST} holds what it missed; it holds {values}")
    return f"{LOST} is back, and holds what was written while it was away: {values[0]}"


def _messages(stage: Stage) -> str:
    count: dict[str, int] = {}
    for event in stage.cluster.trace:
        if event.kind == "send":
            count[event.message] = count.get(event.message, 0) + 1
    claim(count.get("HintDeliver", 0) > 0, f"the trace holds the hand-off of a hint; it holds {sorted(count)}")
    told = ("ClientPut", "ReplicaPut", "ReplicaGet", "HintDeliver")
    return "one trace holds all of it: " + ", ".join(f"{count.get(name, 0)} {name}" for name in told)


def _holders(cluster: Any) -> list[str]:
    """The nodes that keep the key as their own, in the cluster's order."""
    return [node for node in cluster.nodes if KEY in cluster.inspect(node)["records"]]


def _names(ack: Ack) -> str:
    """Who stored a put, and for whom."""
    return " and ".join(f"{node} (for {ack.hinted[node]})" if node in ack.hinted else node for node in ack.nodes)


STEPS = (
    Step(
        "Five nodes with one line",
        "Each is a process of its own, or in the simulation a value; the code of a node is the same.",
        "cluster = Cluster(5, n=3, r=2, w=2)",
        _start,
    ),
    Step(
        "Write, then read",
        "A put returns when W = 2 nodes have stored it; a get asks N nodes and waits for R = 2 (4.5).",
        'alice.put("cart", ["milk"]); bob.get("cart").value',
        _write_and_read,
    ),
    Step("Where a key lives", "The ring gives every key N = 3 homes (4.2, 4.3).", "cluster.settle()", _where_it_lives),
    Step("Cut the network", "No message passes between the sides.", 'cluster.partition("AB|CDE")', _cut),
    Step(
        "Two writers, two sides",
        "The store is always writeable: healthy fallbacks stand in for homes out of reach (4.6).",
        'alice.put("cart", ["milk", "bread"]); bob.put("cart", ["milk", "tea"])',
        _two_writers,
    ),
    Step("Hints", "A fallback remembers for whom it keeps a copy (4.6).", 'cluster.inspect("C")["hints"]', _hints),
    Step("Heal", "Hints go home; replicas compare notes (4.6, 4.7).", "cluster.heal(); cluster.settle()", _heal),
    Step(
        "Siblings", "Neither writer saw the other, so both versions stay (4.4).", 'alice.get("cart").values', _siblings
    ),
    Step(
        "Merge",
        "The client knows what a cart is: it puts the union, with the context that covers both (4.4).",
        'alice.put("cart", merged, context=got.context)',
        _merge,
    ),
    Step(
        "Crash",
        "A node that fails does not stop a write.",
        f'cluster.crash("{LOST}"); alice.put("cart", [...])',
        _crash,
    ),
    Step("Recover", "A node that returns catches up.", f'cluster.recover("{LOST}"); cluster.settle()', _recover),
    Step("What it took", "Every message was recorded.", "cluster.trace", _messages),
)


def tell(make_cluster: Callable[[], Any], say: Callable[[str], None]) -> list[Told]:
    """Tell the story on a new cluster, and say how each step went; the last is the first that failed, if any.

    Args:
        make_cluster: a new cluster of either world, with five nodes A to E; closed at the end.
        say: takes one line at a time.
    """
    began = perf_counter()
    told = []
    with make_cluster() as cluster:
        stage = Stage(cluster)
        for number, step in enumerate(STEPS, start=1):
            say(f"{number:2}. {step.title}")
            say(f"    {step.story}")
            say(f"    >>> {step.code}")
            told.append(_carried_out(step, stage, began))
            began = perf_counter()
            last = told[-1]
            say(f"    {last.seen}" if last.shown else f"    NOT SHOWN: {last.seen}")
            say("")
            if not last.shown:
                break
    return told


def _carried_out(step: Step, stage: Stage, began: float) -> Told:
    try:
        seen, shown = step.act(stage), True
    except NotShown as error:
        seen, shown = str(error), False
    except DynalabError as error:
        seen, shown = f"{type(error).__name__}: {error}", False
    return Told(step.title, shown, seen, (perf_counter() - began) * 1000)
