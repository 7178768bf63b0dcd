"""What the clients of a random script do: sessions, blind and stale writes, deletes, retries, many at once.

Rule 1: a step names its client, key and context by words (``stale``, ``borrowed``), never by what an earlier
step answered; so it means something in a shorter script, too.
Rule 2: a retry repeats an earlier request, with its request id, its value and its contexts.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from dynalab.explore.script import Step

CONTEXTS = ("session", "blind", "local", "stale", "borrowed", "other key", "forged")
"""What a write may carry.

session: what this client has seen. blind: nothing. local: `Context.LOCAL`.
stale: the first context this client ever got for the key. borrowed: the last one any client got for it.
other key: one that was given for another key. forged: made up; both must be refused.
"""
_CONTEXT_WEIGHTS = (50, 14, 6, 12, 14, 2, 2)

_VERBS = ("put", "get", "delete", "retry")
_VERB_WEIGHTS = (52, 28, 10, 10)


class Workload:
    """Draws the steps of the clients.

    Args:
        random: dice.
        nodes: founding nodes, which requests may be sent through.
        n: the cluster's N.
    """

    def __init__(self, random: Random, nodes: Sequence[str], n: int) -> None:
        self._random = random
        self._nodes = list(nodes)
        self._n = n
        self._clients = ["alice", "bob", "carol", "dave"][: random.randint(1, 4)]
        self._keys = [f"k{number}" for number in range(random.choice([1, 2, 3, 6]))]
        self._numbers = 0
        self._requests: list[str] = []
        #: how often a client says through which node, and how often it asks for another quorum
        self._via_share, self._quorum_share = random.choice([0.0, 0.5, 1.0]), random.choice([0.0, 0.3])

    def steps(self, ends_ms: int) -> list[Step]:
        """Steps from the beginning to `ends_ms`, dense here and sparse there."""
        random, at_ms, steps = self._random, 0.0, []
        mean_ms = random.choice([8, 30, 100])
        while at_ms < ends_ms:
            if random.random() < 0.03:
                mean_ms = random.choice([1, 8, 30, 100, 400])
            steps.append(self._step(int(at_ms)))
            at_ms += random.expovariate(1 / mean_ms)
        return steps

    def _step(self, at_ms: int) -> Step:
        verb = self._random.choices(_VERBS, _VERB_WEIGHTS)[0]
        if verb == "retry" and self._requests:
            return Step(at_ms, "retry", {"request": self._random.choice(self._requests[-6:]), **self._via()})
        if verb == "get":
            return Step(at_ms, "get", {**self._who(), **self._via(), **self._need("r")})
        return self._write(at_ms, "put" if verb == "retry" else verb)

    def _write(self, at_ms: int, verb: str) -> Step:
        self._numbers += 1
        request = f"q{self._numbers}"
        self._requests.append(request)
        value = {"value": self._value()} if verb == "put" else {}
        context = self._random.choices(CONTEXTS, _CONTEXT_WEIGHTS)[0]
        carries = {"context": context} if context != "session" else {}
        given = {**self._who(), **value, **carries, **self._via(), **self._need("w"), "request": request}
        return Step(at_ms, verb, given)

    def _who(self) -> dict[str, Any]:
        return {"client": self._random.choice(self._clients), "key": self._random.choice(self._keys)}

    def _value(self) -> Any:
        text = f"v{self._numbers}"
        return self._random.choice([text, text, text, [text], {"item": text}])

    def _via(self) -> dict[str, Any]:
        return {"via": self._random.choice(self._nodes)} if self._random.random() < self._via_share else {}

    def _need(self, name: str) -> dict[str, Any]:
        """Now and then fewer replicas or another quorum than the cluster's (4.5)."""
        if self._random.random() >= self._quorum_share:
            return {}
        n = self._random.randint(1, self._n)
        return {"n": n, name: self._random.randint(1, n)}
