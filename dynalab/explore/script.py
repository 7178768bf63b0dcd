"""A script: what clients do and what goes wrong, when, on which cluster; a value that JSON can say.

Theory of operation.
A script is made from one seed (`compose.py`) and played on a simulation (`play.py`).
Every step names all it needs, so steps can be left out and the rest still means something:
that is what makes shrinking possible.
A step that has become impossible (recover a node that runs) is passed over.

Rule 1: equal scripts give equal runs, event for event.
Rule 2: chance inside the run (latencies, losses) follows from the script's own seed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from dynalab.core.faults import said

CLIENT_VERBS = ("put", "get", "delete", "retry")
NODE_VERBS = ("crash", "recover", "pause", "resume", "skew", "join", "leave", "move")
NETWORK_VERBS = ("partition", "heal", "weather", "forge")
VERBS = CLIENT_VERBS + NODE_VERBS + NETWORK_VERBS

FORMAT = 1


class UnreadableScript(ValueError):
    """This is no script, or one of another version of dynalab."""


class Step(NamedTuple):
    """One verb at one moment.

    Attributes:
        at_ms: virtual time since the cluster was founded.
        verb: one of `VERBS`.
        given: its arguments by name, built-in values.
    """

    at_ms: int
    verb: str
    given: Mapping[str, Any]

    def __str__(self) -> str:
        words = dict(self.given)
        client = words.pop("client", "")
        first = [words.pop(name) for name in _FIRST.get(self.verb, ()) if name in words]
        return f"{self.at_ms:>7} ms  {client + '.' if client else ''}{said(self.verb, *first, **words)}"


_FIRST: dict[str, tuple[str, ...]] = {
    "put": ("key", "value"),
    "get": ("key",),
    "delete": ("key",),
    "retry": ("request",),
    **dict.fromkeys(NODE_VERBS, ("node",)),
    "skew": ("node", "ms"),
    "move": ("node", "slots"),
    "partition": ("sides",),
    "weather": ("links",),
    "forge": ("what", "node"),
}


@dataclass(frozen=True)
class Script:
    """A cluster and what happens to it.

    Attributes:
        seed: of the simulation.
        nodes: how many found the cluster.
        settings: fields of `Config` that differ from the default.
        latency_ms: how long a message takes, ``(low, high)``.
        steps: in order of time.
        ends_ms: when the faults end: everything is healed, resumed and recovered then.
        origin: the seed it was made from, and the kinds of faults it was made with; for people.
    """

    seed: int
    nodes: int
    settings: Mapping[str, Any]
    latency_ms: tuple[float, float]
    steps: tuple[Step, ...]
    ends_ms: int
    origin: Mapping[str, Any] = field(default_factory=dict)

    def with_(self, **changes: Any) -> Script:
        """A copy with other fields."""
        return replace(self, **changes)

    def with_seed(self, seed: int) -> Script:
        """The same steps, other chance."""
        return replace(self, seed=seed)

    def as_json(self) -> dict[str, Any]:
        """Built-in values, all that `script_of` needs."""
        steps = [[step.at_ms, step.verb, dict(step.given)] for step in self.steps]
        return {
            "format": FORMAT,
            "seed": self.seed,
            "nodes": self.nodes,
            "settings": dict(self.settings),
            "latency_ms": list(self.latency_ms),
            "steps": steps,
            "ends_ms": self.ends_ms,
            "origin": dict(self.origin),
        }

    def __str__(self) -> str:
        settings = "".join(f", {name}={value!r}" for name, value in self.settings.items())
        head = f"Simulation({self.nodes}, seed={self.seed}, latency_ms={self.latency_ms}{settings})"
        return "\n".join([head, *map(str, self.steps), f"{self.ends_ms:>7} ms  all faults end; settle, read, compare"])


def script_of(told: Mapping[str, Any]) -> Script:
    """The script that `Script.as_json` told.

    Raises:
        UnreadableScript: something is missing or of the wrong kind.
    """
    try:
        if told["format"] != FORMAT:
            raise UnreadableScript(f"this script has format {told['format']!r}; this dynalab reads {FORMAT}")
        steps = tuple(_step(*step) for step in told["steps"])
        low, high = told["latency_ms"]
        return Script(
            int(told["seed"]),
            int(told["nodes"]),
            dict(told["settings"]),
            (float(low), float(high)),
            steps,
            int(told["ends_ms"]),
            dict(told.get("origin", {})),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise UnreadableScript(f"this is no script: {type(error).__name__} {error}") from None


def _step(at_ms: int, verb: str, given: Mapping[str, Any]) -> Step:
    if verb not in VERBS:
        raise UnreadableScript(f"no verb of a script is called {verb!r:.40}; there are {', '.join(VERBS)}")
    return Step(int(at_ms), verb, dict(given))


def saved(script: Script, **more: Any) -> str:
    """A script as the text of a file, with what was found beside it."""
    return json.dumps({"script": script.as_json(), **more}, indent=1, ensure_ascii=False, default=str) + "\n"


def loaded(text: str) -> Script:
    """The script in the text of a file.

    Raises:
        UnreadableScript: there is none.
    """
    try:
        told = json.loads(text)
    except ValueError as error:
        raise UnreadableScript(f"this is no script file: {error}") from None
    if not isinstance(told, dict) or not isinstance(told.get("script"), dict):
        raise UnreadableScript("this is no script file: it has no 'script'")
    return script_of(told["script"])
