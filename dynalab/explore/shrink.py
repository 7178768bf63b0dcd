"""A failing script made short: fewer steps, plainer settings, plainer steps; it still fails in the same way.

Theory of operation.
Delta debugging: leave out ever smaller pieces of the steps, as long as what is left still breaks the same rule.
Then every setting goes back to its default, nodes and options that do not matter go, and idle time goes;
each of these may make further steps superfluous, so all of it is done again until nothing changes.

Rule 1: a candidate that cannot be played (a setting out of range) does not fail, so it is not taken.
Rule 2: the number of runs is bounded; what is short by then is the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dynalab.core.errors import DynalabError
from dynalab.explore.script import Script, Step
from dynalab.explore.trial import tried

RUNS_MAX = 1_500
SEEDS_TRIED = 3
FINE = 4
"""From pieces of so few steps on, other seeds are tried, too."""

Fails = Callable[[Script], bool]

_PLAIN = {"nodes": 1, "latency_ms": (0.2, 1.0)}
_MUST_STAY = frozenset({"n", "r", "w"})
_OPTIONAL = ("via", "context", "n", "r", "w", "one_way", "weight", "wipe", "reorder", "duplicate", "delay_ms", "drop")


class Shrinker:
    """Makes one script short.

    Args:
        fails: whether a script still breaks the rule.
        runs_max: how many scripts may be tried.

    Attributes:
        runs: how many were tried.
    """

    def __init__(self, fails: Fails, runs_max: int = RUNS_MAX) -> None:
        self._fails = fails
        self._runs_max = runs_max
        self.runs = 0

    def shrunk(self, script: Script) -> Script:
        """The shortest script found that still fails."""
        while True:
            before = script
            script = self._with_fewer_steps(script)
            for candidates in (_plainer_cluster, _plainer_steps, _sooner):
                script = self._first_that_fails(script, candidates)
            if script == before or self.runs >= self._runs_max:
                return script

    def _with_fewer_steps(self, script: Script) -> Script:
        """Delta debugging (Zeller's ddmin, complements only)."""
        pieces = 2
        while len(script.steps) >= 1 and self.runs < self._runs_max:
            size = max(1, -(-len(script.steps) // pieces))
            shorter = self._without_a_piece(script, size)
            if shorter is not None:
                script, pieces = shorter, max(2, pieces - 1)
            elif size == 1:
                break
            else:
                pieces = min(len(script.steps), pieces * 2)
        return script

    def _without_a_piece(self, script: Script, size: int) -> Script | None:
        for first in range(0, len(script.steps), size):
            candidate = script.with_(steps=script.steps[:first] + script.steps[first + size :])
            shorter = self._failing(candidate, SEEDS_TRIED if size <= FINE else 1)
            if shorter is not None:
                return shorter
        return None

    def _first_that_fails(self, script: Script, candidates: Callable[[Script], Iterator[Script]]) -> Script:
        """Take a plainer script that still fails, and look for plainer ones than that."""
        found = True
        while found:
            found = False
            for candidate in candidates(script):
                failing = self._failing(candidate, SEEDS_TRIED)
                if failing is not None:
                    script, found = failing, True
                    break
        return script

    def _still_fails(self, script: Script) -> bool:
        if self.runs >= self._runs_max:
            return False
        self.runs += 1
        try:
            return self._fails(script)
        except DynalabError:
            return False

    def _failing(self, script: Script, seeds: int) -> Script | None:
        """`script`, with the first of a few seeds under which it still fails; None: with none of them.

        One step less shifts all later latencies and losses, so the old seed may miss what the new script can do.
        """
        others = (script.with_seed(script.seed + shift) for shift in range(seeds))
        return next((again for again in others if self._still_fails(again)), None)


def _plainer_cluster(script: Script) -> Iterator[Script]:
    """Fewer nodes, default settings, default latency."""
    for name in script.settings:
        if name not in _MUST_STAY:
            yield script.with_(settings={other: value for other, value in script.settings.items() if other != name})
    if script.latency_ms != _PLAIN["latency_ms"]:
        yield script.with_(latency_ms=_PLAIN["latency_ms"])
    if script.nodes > max(1, script.settings.get("n", 3)):
        yield script.with_(nodes=script.nodes - 1)


def _plainer_steps(script: Script) -> Iterator[Script]:
    """One option of one step less."""
    for place, step in enumerate(script.steps):
        for name in _OPTIONAL:
            if name in step.given and not (step.verb == "weather" and len(step.given) == 2):
                given = {other: value for other, value in step.given.items() if other != name}
                yield script.with_(steps=_replaced(script.steps, place, step._replace(given=given)))
        if step.verb == "weather" and len(step.given["links"]) > 1:
            for links in _halves(step.given["links"]):
                given = {**step.given, "links": links}
                yield script.with_(steps=_replaced(script.steps, place, step._replace(given=given)))


def _halves(links: list[list[str]]) -> list[list[list[str]]]:
    middle = len(links) // 2
    return [links[:middle], links[middle:]]


def _sooner(script: Script) -> Iterator[Script]:
    """No time after the last step; no idle time before the first."""
    last = script.steps[-1].at_ms if script.steps else 0
    if script.ends_ms > last + 1:
        yield script.with_(ends_ms=last + 1)
        yield script.with_(ends_ms=(script.ends_ms + last) // 2)


def _replaced(steps: tuple[Step, ...], place: int, step: Step) -> tuple[Step, ...]:
    return (*steps[:place], step, *steps[place + 1 :])


def shrunk_trial(script: Script, broken: str, runs_max: int = RUNS_MAX) -> Script:
    """The shortest script found that breaks the invariant `broken`, as `script` does."""
    return Shrinker(lambda candidate: broken in tried(candidate).broken, runs_max).shrunk(script)
