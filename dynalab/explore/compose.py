"""A random script from one seed: a cluster, what its clients do, and what goes wrong meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from types import MappingProxyType
from typing import Any

from dynalab.core.errors import InvalidSetting
from dynalab.core.founding import node_names
from dynalab.explore.faults import EPISODES, Schedule
from dynalab.explore.script import Script
from dynalab.explore.settings import random_settings
from dynalab.explore.workload import Workload
from dynalab.sim.chance import stream

ALL = tuple(EPISODES)
NO_SETTINGS: Mapping[str, Any] = MappingProxyType({})


def kinds_named(text: str) -> tuple[str, ...]:
    """The kinds of faults that ``"all"``, ``"none"`` or ``"loss,crash"`` names.

    Raises:
        InvalidSetting: there is no such kind.

    >>> kinds_named("crash, loss")
    ('crash', 'loss')
    """
    if text in ("all", "none", ""):
        return ALL if text == "all" else ()
    kinds = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    unknown = [kind for kind in kinds if kind not in EPISODES]
    if unknown:
        raise InvalidSetting(f"no kind of fault is called {unknown[0]!r}; there are: all, none, {', '.join(ALL)}")
    return kinds


def composed(seed: int, kinds: Sequence[str] = ALL, settings: Mapping[str, Any] = NO_SETTINGS) -> Script:
    """The script of `seed` with these kinds of faults, and these settings whatever it draws; always the same one."""
    random = stream(seed, "script", *kinds)
    nodes = random.choice([1, 2, 3, 4, 5, 5, 5, 6, 7])
    names = list(node_names(nodes))
    chosen = _some(random.choice([1, 2, 3, len(kinds)]), kinds, random) if kinds else []
    settings = {**random_settings(random, names, chosen), **settings}
    if settings.keys() & {"storage", "durability"}:  # A crash may forget who left: it would be waited for.
        chosen = [kind for kind in chosen if kind not in ("join", "leave")]
    ends_ms = random.choice([400, 1_500, 4_000, 8_000])
    steps = Workload(random, names, settings["n"]).steps(ends_ms)
    if chosen:
        spare = max(0, nodes - settings["n"])
        steps += Schedule(random, names, ends_ms, spare).steps(chosen, random.randint(1, 12))
    latency_ms = random.choice([(0.2, 1.0), (0.2, 1.0), (1.0, 20.0), (0.0, 0.0)])
    origin = {"seed": seed, "kinds": list(kinds), "drawn": list(chosen)}
    steps.sort(key=lambda step: step.at_ms)
    return Script(seed, nodes, settings, latency_ms, tuple(steps), max(ends_ms, steps[-1].at_ms), origin)


def _some(count: int, kinds: Sequence[str], random: Random) -> list[str]:
    return random.sample(list(kinds), min(count, len(kinds)))
