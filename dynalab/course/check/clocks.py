"""Checks of exercise 02: happened-before, siblings, and what the literal clock loses (paper 4.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dynalab.check.recorder import Recorder
from dynalab.check.verdict import judge_run
from dynalab.core.clock import Context, compare, join
from dynalab.core.config import Parts
from dynalab.core.version import Siblings
from dynalab.course.checking import Case, check, shown

__all__ = ["clocks_1", "clocks_2", "clocks_3", "clocks_4"]

STEPS_MAX = 12


@check(
    "clocks-1", 1, 5, "a clock descends from another when it counts at least as much everywhere; absent counts 0 (4.4)"
)
def clocks_1(case: Case, descends_from: Callable[..., Any]) -> None:
    """Whether one clock has seen all that another has."""
    pairs = [({"A": 1}, {}), ({}, {"A": 1}), ({"A": 1}, {"A": 1}), ({"A": 2}, {"B": 1}), ({"A": 1, "B": 1}, {"A": 2})]
    for left, right in pairs + _clock_pairs(case, 40):
        expected = compare(left, right).value in ("after", "equal")
        case.equal(case.ask(descends_from, left, right), expected, f"descends_from({left}, {right})")


@check("clocks-2", 2, 10, "ask in both directions: descends left from right, and right from left? (4.4)")
def clocks_2(case: Case, order: Callable[..., Any]) -> None:
    """How one clock stands to another; then the answer decides what a cluster keeps."""
    for left, right in [({}, {}), ({"A": 2}, {"A": 2}), *_clock_pairs(case, 60)]:
        case.equal(case.ask(order, left, right), compare(left, right).value, f"compare({left}, {right})")
    tried = "a cluster with clocks='vector' and your compare: two writers that have not seen each other"
    with case.running(tried), case.cluster(3, Parts(order=order), clocks="vector", n=3, r=3, w=3) as cluster:
        cluster.client("alice", via="A").put("cart", "milk", context=None)
        cluster.client("bob", via="B").put("cart", "tea", context=None)
        got = cluster.get("cart")
        case.equal(sorted(got.values), ["milk", "tea"], f"{tried}; then a get")
        cluster.put("cart", "both", context=got.context)
        case.equal(cluster.get("cart").values, ["both"], f"{tried}; a third saw both and put 'both'; then a get")


@check(
    "clocks-3",
    3,
    25,
    "keep a version if both sides have it, or if the other side's clock does not cover its dot (4.4)",
    methods=("put", "merge"),
)
def clocks_3(case: Case, part: Any) -> None:
    """The siblings of one replica: put and merge by dots, by values and in a cluster judged by the oracle."""
    for _ in range(30):
        _history(case, part)
    for _ in range(2):
        _judged_run(case, part)
    tried = "a real cluster with your siblings: two writers that have not seen each other, then one that saw both"
    with case.running(tried), case.cluster(3, Parts(siblings=part), n=3, r=3, w=3) as cluster:
        cluster.put("cart", "milk", context=None)
        cluster.put("cart", "tea", context=None)
        got = cluster.get("cart")
        case.equal(sorted(got.values), ["milk", "tea"], tried)
        cluster.put("cart", "both", context=got.context)
        case.equal(cluster.get("cart").values, ["both"], tried)


def _history(case: Case, part: Any) -> None:
    """Replicas A, B and C write and merge at random, beside dynalab's own."""
    states: dict[str, Siblings] = dict.fromkeys("ABC", Siblings())
    contexts = [Context.EMPTY]
    for number in range(10):
        node, other = case.random.sample("ABC", 2)
        if case.random.random() < 0.5:
            context = case.random.choice([*contexts, _told_of_some(case, states[node])])
            seen = {"clock": dict(context.entries), "dots": [list(dot) for dot in context.dots]}
            before = states[node].put(node, f"v{number}", context)
            came = case.ask(part.put, _plain(states[node]), node, f"v{number}", seen, named="put")
            tried = f"put({shown(_plain(states[node]))}, {node!r}, 'v{number}', {seen})"
        else:
            before = states[node].merge(states[other])
            came = case.ask(part.merge, _plain(states[node]), _plain(states[other]), named="merge")
            tried = f"merge({shown(_plain(states[node]))}, {shown(_plain(states[other]))})"
        case.equal(_in_order(case, came, tried), _plain(before), tried)
        states[node] = before
        contexts.append(before.context)


def _told_of_some(case: Case, state: Siblings) -> Context:
    """A context of single writes, as of a client that knows only what it has written itself."""
    dots = [version.dot for version in state.versions]
    return Context({}, tuple(sorted(case.random.sample(dots, case.random.randint(0, len(dots))))))


def _in_order(case: Case, state: Any, tried: str) -> Any:
    try:
        versions = sorted(state["versions"], key=lambda version: tuple(version["dot"]))
        return {"clock": {actor: count for actor, count in state["clock"].items() if count}, "versions": versions}
    except (AttributeError, KeyError, TypeError):
        raise case.failure(tried, shown(state), "a state {'clock': {...}, 'versions': [...]}") from None


def _plain(state: Siblings) -> dict[str, Any]:
    clock = join(state.clock, dict(sorted(state.dots)))
    return {"clock": clock, "versions": [{"dot": list(each.dot), "value": each.value} for each in state.versions]}


def _judged_run(case: Case, part: Any) -> None:
    """Two partitions in virtual time with three writers, judged by the causal-history oracle."""
    tried = "a simulation of 5 nodes with your siblings, a partition and three writers, judged by the oracle"
    with case.running(tried), case.simulation(5, Parts(siblings=part)) as cluster:
        recorder = Recorder(cluster)
        writers = [recorder.client(name, via=via) for name, via in (("alice", "A"), ("bob", "C"), ("cy", "E"))]
        for sides in ("AB|CDE", "ABC|DE"):
            recorder.partition(sides)
            for number in range(5):
                writer = case.random.choice(writers)
                writer.put("cart", number) if case.random.random() < 0.7 else writer.get("cart")
            recorder.heal()
        report = judge_run(recorder, trace=cluster.events)
        found = "; ".join(map(str, report.violations[:2]))
        case.holds(report.ok, tried, found, "no acknowledged write lost, no replaced one back")


@check(
    "clocks-4",
    2,
    15,
    "two clients read the same version and both write through the same node (4.4; DEPARTS in version.py)",
)
def clocks_4(case: Case, steps: Any) -> None:
    """A run in which section 4.4 to the letter loses a write that nobody replaced."""
    case.started(steps)
    tried = f"your steps {shown(steps)} with clocks='vector'"
    form = f"at most {STEPS_MAX} steps like ['get', 'alice'] or ['put', 'bob', 'tea'], every value once"
    puts = _checked_steps(case, steps, tried, form)
    with case.running(tried), case.simulation(3, clocks="vector", n=3, r=3, w=3) as cluster:
        kept, replaced = _play(cluster, steps)
    lost = [value for value in puts if value not in kept and value not in replaced]
    expected = "a value that was acknowledged, that no writer had read, and that is gone"
    case.holds(bool(lost), tried, f"left: {kept}; read by a later writer: {sorted(replaced)}; lost: none", expected)


def _checked_steps(case: Case, steps: Any, tried: str, form: str) -> list[str]:
    good = isinstance(steps, (list, tuple)) and 0 < len(steps) <= STEPS_MAX
    for step in steps if good else ():
        words = isinstance(step, (list, tuple)) and all(isinstance(word, str) and 0 < len(word) <= 20 for word in step)
        good = good and words and (len(step), step[0]) in ((2, "get"), (3, "put"))
    puts = [step[2] for step in steps if step[0] == "put"] if good else []
    case.holds(good and len(set(puts)) == len(puts) > 0, tried, "steps of another form", form)
    return puts


def _play(cluster: Any, steps: Any) -> tuple[list[str], set[str]]:
    """What is left at the end, and what some later writer had read or written itself before."""
    clients: dict[str, Any] = {}
    seen: dict[str, set[str]] = {}
    replaced: set[str] = set()
    for step in steps:
        name = step[1]
        client = clients.setdefault(name, cluster.client(name, via="A"))
        known = seen.setdefault(name, set())
        if step[0] == "get":
            known |= set(client.get("cart").values)
        else:
            client.put("cart", step[2])
            replaced |= known
            known.add(step[2])
    return cluster.get("cart").values, replaced


def _clock_pairs(case: Case, count: int) -> list[tuple[dict[str, int], dict[str, int]]]:
    def clock() -> dict[str, int]:
        return {actor: case.random.randint(1, 3) for actor in "ABC" if case.random.random() < 0.6}

    return [(clock(), clock()) for _ in range(count)]
