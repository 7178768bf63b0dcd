"""A node with a planted bug, and a run that may or may not show it: for exercise 10 ("find the seed").

The bug is in `Careless.merge`. Most runs are clean; some lose a write that was acknowledged and never replaced.
"""

from __future__ import annotations

from contextlib import suppress
from random import Random
from typing import Any

from dynalab.check.recorder import Recorder
from dynalab.check.verdict import judge_run
from dynalab.core.config import Parts
from dynalab.core.errors import DynalabError
from dynalab.sim.cluster import Simulation

SEED_MAX = 9_999

State = dict[str, Any]


class Careless:
    """Siblings that are right, but for one case."""

    def put(self, state: State, node: str, value: Any, context: State) -> State:
        """The new version replaces what the context has seen."""
        clock = _joined(state["clock"], context["clock"])
        for actor, counter in context["dots"]:
            clock[actor] = max(clock.get(actor, 0), counter)
        clock[node] = clock.get(node, 0) + 1
        seen = context["clock"]
        dots = [list(dot) for dot in context["dots"]]
        kept = [
            each
            for each in state["versions"]
            if seen.get(each["dot"][0], 0) < each["dot"][1] and list(each["dot"]) not in dots
        ]
        return {"clock": clock, "versions": [*kept, {"dot": [node, clock[node]], "value": value}]}

    def merge(self, left: State, right: State) -> State:
        """What both have, and what the other has not heard of."""
        shared = [each["dot"] for each in right["versions"]]
        kept = [each for each in left["versions"] if each["dot"] in shared or _is_news(each, right)]
        have = [each["dot"][1] for each in kept]
        kept += [each for each in right["versions"] if each["dot"][1] not in have and _is_news(each, left)]
        return {"clock": _joined(left["clock"], right["clock"]), "versions": kept}


def _is_news(version: State, other: State) -> bool:
    return bool(other["clock"].get(version["dot"][0], 0) < version["dot"][1])


def _joined(left: dict[str, int], right: dict[str, int]) -> dict[str, int]:
    return {actor: max(left.get(actor, 0), right.get(actor, 0)) for actor in [*left, *right]}


def play(seed: int, parts: Parts | None = None) -> list[str]:
    """One short run of the broken cluster; which promises it broke, in words; empty: it looked well.

    Args:
        seed: of all chance in the run, 0 to 9999.
        parts: other parts than the broken ones.
    """
    random = Random(seed)
    with Simulation(5, seed=seed, parts=parts or Parts(siblings=Careless())) as cluster:
        recorder = Recorder(cluster)
        writers = [recorder.client(name, via=via) for name, via in (("alice", "A"), ("bob", "C"), ("cy", "E"))]
        for number in range(6):
            if random.random() < 0.25:
                recorder.partition(random.choice(["AB|CDE", "ABC|DE"]))
            writer = random.choice(writers)
            with suppress(DynalabError):  # While the network is cut a request may fail; the recorder knows of it.
                writer.get("cart")
                if random.random() < 0.6:
                    writer.put("cart", number)
            if random.random() < 0.4:
                recorder.heal()
        recorder.heal()
        report = judge_run(recorder, trace=cluster.events)
    return [str(violation) for violation in report.violations]
