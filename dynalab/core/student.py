"""A student's parts, as the node calls them: built-in values in, checked answers out.

The node owns state, encoding and placement.
Each function here turns the node's values into plain lists and dicts, runs the part under the guard,
and refuses nonsense with `PartFailed`, which fails the request and drops what it had staged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dynalab.core.clock import Context, Dot, Ordering, absorb, join
from dynalab.core.desk import Desk, nonsense
from dynalab.core.ring import Ring
from dynalab.core.session import decode_value, key_text
from dynalab.core.store import Hint
from dynalab.core.version import DottedClocks, LiteralClocks, Siblings, Version, kept_indexes

Clocks = Any
"""`DottedClocks`, `LiteralClocks` or `StudentClocks`: put, merge, context."""


def clocks_of(desk: Desk) -> Clocks:
    """The cluster's reading of section 4.4, with the student's parts in it."""
    if desk.config.clocks == "dotted":
        return DottedClocks() if desk.parts.siblings is None else StudentClocks(desk)
    if desk.parts.reconcile is None and desk.parts.order is None:
        return LiteralClocks()
    return LiteralClocks(keep=lambda versions: _kept(desk, versions))


def shown_value(value: bytes | None) -> Any:
    """A value as students see it: decoded; None for a deletion."""
    return None if value is None else decode_value(value)


# Ring ------------------------------------------------------------------------------------------


def walk(desk: Desk, part: Callable[..., Any], ring: Ring, position: int) -> tuple[str, ...]:
    """All nodes in the student's order of preference for a position (4.3)."""
    answer = desk.call_part("ring", part, list(ring.tokens), position, len(ring.nodes), [])
    chosen = tuple(answer) if isinstance(answer, (list, tuple)) else ()
    if not chosen or len(set(chosen)) != len(chosen) or not set(chosen) <= set(ring.nodes):
        raise nonsense("ring", answer, f"a list of distinct nodes out of {', '.join(ring.nodes)}")
    return chosen


# Order and reconciliation ----------------------------------------------------------------------


def ordering(desk: Desk, part: Callable[..., Any], left: Mapping[str, int], right: Mapping[str, int]) -> Ordering:
    """How the student's part orders two clocks (4.4)."""
    answer = desk.call_part("order", part, dict(left), dict(right))
    try:
        return Ordering(answer)
    except ValueError:
        raise nonsense("order", answer, "'before', 'after', 'equal' or 'concurrent'") from None


def _kept(desk: Desk, versions: Sequence[Version]) -> list[int]:
    order, keep = desk.parts.order, desk.parts.reconcile
    if keep is None:
        assert order is not None
        return kept_indexes(versions, lambda left, right: ordering(desk, order, left, right))
    kept = desk.call_part("reconcile", keep, [(dict(v.clock), shown_value(v.value)) for v in versions])
    allowed = range(len(versions))
    if not isinstance(kept, (list, tuple)) or not kept or any(index not in allowed for index in kept):
        raise nonsense("reconcile", kept, f"a list of indexes below {len(versions)}, not empty")
    return sorted(set(kept))


class StudentClocks:
    """The part `siblings`: put and merge over plain states, in mode ``dotted``.

    A state is ``{"clock": {actor: counter}, "versions": [{"dot": [actor, counter], "value": value}]}``;
    a context is ``{"clock": {actor: counter}, "dots": [[actor, counter]]}``.
    """

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.part: Any = desk.parts.siblings

    def put(self, state: Siblings, actor: str, value: bytes | None, context: Context, wall_us: int) -> Siblings:
        """The student's `put`; the one new dot must be of `actor`."""
        seen = {"clock": dict(context.entries), "dots": [list(dot) for dot in context.dots]}
        answer = self.desk.call_part("siblings", self.part.put, _plain(state), actor, shown_value(value), seen)
        known = {version.dot: version for version in state.versions}
        return self._checked(answer, known, lambda dot: _new_version(dot, actor, value, context, wall_us))

    def merge(self, left: Siblings, right: Siblings) -> Siblings:
        """The student's `merge`; it may not invent versions."""
        if left == right:
            return left
        answer = self.desk.call_part("siblings", self.part.merge, _plain(left), _plain(right))
        return self._checked(answer, {version.dot: version for version in left.versions + right.versions}, None)

    def context(self, state: Siblings) -> Context:
        """See `Siblings.context`."""
        return state.context

    def _checked(self, answer: Any, known: dict[Dot, Version], make: Callable[[Dot], Version] | None) -> Siblings:
        try:
            clock = {str(actor): int(counter) for actor, counter in answer["clock"].items() if counter}
            dots = [Dot(str(version["dot"][0]), int(version["dot"][1])) for version in answer["versions"]]
            versions = [known[dot] if dot in known or make is None else make(dot) for dot in dict.fromkeys(dots)]
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            raise nonsense("siblings", answer, "a state of the same form, with known versions only") from None
        entries, apart = absorb(clock, ())
        return Siblings(entries, tuple(sorted(versions, key=lambda version: version.dot)), apart)


def _plain(state: Siblings) -> dict[str, Any]:
    clock = join(state.clock, dict(sorted(state.dots)))
    versions = [{"dot": list(version.dot), "value": shown_value(version.value)} for version in state.versions]
    return {"clock": clock, "versions": versions}


def _new_version(dot: Dot, actor: str, value: bytes | None, context: Context, wall_us: int) -> Version:
    if dot.actor != actor:
        raise KeyError(dot)
    return Version(value, join(context.clock, {actor: dot.counter}), dot, wall_us)


# Quorum, handoff, hedging ----------------------------------------------------------------------


def decide(desk: Desk, part: Callable[..., Any], replies: list[dict[str, Any]], need: int, asked: int) -> str:
    """Whether a request waits, is done or has failed, by the student's part (4.5)."""
    answer = desk.call_part("quorum", part, replies, need, asked)
    if answer not in ("wait", "done", "failed"):
        raise nonsense("quorum", answer, "'wait', 'done' or 'failed'")
    return str(answer)


def fallback(desk: Desk, home: str, candidates: list[str]) -> str | None:
    """Who stands in for `home`: the next node of the walk, or the student's choice (4.6)."""
    if desk.parts.handoff is None or not candidates:
        return candidates[0] if candidates else None
    answer = desk.call_part("handoff", desk.parts.handoff.fallback, home, list(candidates))
    if answer not in candidates:
        raise nonsense("handoff", answer, f"one of {', '.join(candidates)}")
    return str(answer)


def next_hint(desk: Desk, hints: Sequence[Hint], up: Sequence[str]) -> Hint | None:
    """Which hint is delivered next, by the student's part (4.6)."""
    assert desk.parts.handoff is not None
    shown = [
        {"home": hint.home, "key": key_text(hint.key), "age_ms": (desk.now_us - hint.kept_us) // 1000} for hint in hints
    ]
    answer = desk.call_part("handoff", desk.parts.handoff.next_hint, shown, list(up))
    if answer is None:
        return None
    if answer not in shown:
        raise nonsense("handoff", answer, "one of the hints it was given, or None")
    return hints[shown.index(answer)]


def next_replica(desk: Desk, waited_ms: float, latencies: Mapping[str, float], untried: list[str]) -> str | None:
    """One more replica to ask, by the student's part `hedge`; None: keep waiting."""
    assert desk.parts.hedge is not None
    answer = desk.call_part("hedge", desk.parts.hedge, waited_ms, dict(latencies), list(untried))
    if answer is not None and answer not in untried:
        raise nonsense("hedge", answer, f"None or one of {', '.join(untried)}")
    return None if answer is None else str(answer)
