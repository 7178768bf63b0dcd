"""Who knew of which write when: the trace of the nodes, replayed into sets of dots.

Theory of operation.
Every node notes what it makes (`write`), takes over (`store`), keeps for others (`hint`) and drops (`forget`).
Replaying these in order gives, for every node and key, the writes it has heard of at any moment.
Three invariants are questions about that:
no knowledge shrinks (I8), no dot is given twice (I9), no 'ok' is said before W nodes know the write (I7).

Rule 1: a trace with a gap proves nothing, so it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from dynalab.check.history import text_of
from dynalab.check.report import Violation
from dynalab.core.clock import Dot, Entries, absorb, covers, join
from dynalab.core.trace import TraceEvent

_WIPED = re.compile(r"(?:recover|leave)\(['\"]([^'\"]+)['\"].*(?:wipe|force)=True")
_STORING = ("write", "store", "hint")
_CRASHED = re.compile(r"crash\(['\"]([^'\"]+)['\"]")


class TraceHasGaps(ValueError):
    """Events are missing from this trace: it was recorded by a feed that may drop, or is cut."""


@dataclass
class Known:
    """The writes that one node has heard of, for one key in one place (its replica, or a hint for one home)."""

    clock: Entries = field(default_factory=dict)
    apart: tuple[Dot, ...] = ()

    def covers(self, dot: Dot) -> bool:
        """Whether the write `dot` was heard of."""
        return covers(self.clock, self.apart, dot)

    def missing(self, clock: Entries, apart: Sequence[Dot]) -> list[str]:
        """What was known here and is not in the other knowledge, in words."""
        gone = [
            f"{actor}{counter}"
            for actor, counter in sorted(self.clock.items())
            if counter > clock.get(actor, 0) and not _reached(actor, counter, clock, apart)
        ]
        return gone + [str(dot) for dot in self.apart if not covers(clock, apart, dot)]

    def add(self, clock: Entries, apart: Iterable[Dot]) -> None:
        """Hear of more writes."""
        self.clock, self.apart = absorb(join(self.clock, clock), (*self.apart, *apart))


def _reached(actor: str, counter: int, clock: Entries, apart: Sequence[Dot]) -> bool:
    """Whether every write of `actor` up to `counter` is in the clock or apart from it."""
    return all(Dot(actor, n) in apart for n in range(clock.get(actor, 0) + 1, counter + 1))


class Knowledge:
    """What every node knows, as a trace is replayed into it event by event.

    Args:
        crash_forgets: a crashed node may have lost what it knew.
    """

    def __init__(self, crash_forgets: bool = False) -> None:
        self.crash_forgets = crash_forgets
        #: {(node, key, home or ''): what it has heard of}
        self.known: dict[tuple[str, str, str], Known] = {}

    def follow(self, event: TraceEvent) -> list[str]:
        """Take one event in; answers what the node forgot by it, in words."""
        if event.kind == "fault":
            self._wipe(self.wiped_by(event))
            return []
        place = (event.node, text_of(event.key), event.peer)
        if event.kind == "forget":
            self.known.pop(place, None)
        elif event.kind == "write":
            self.known.setdefault(place, Known()).add(*_written(event))
        elif event.kind in ("store", "hint"):
            return self._replace(place, dict(event.detail["clock"]), _apart(event))
        return []

    def _replace(self, place: tuple[str, str, str], clock: Entries, apart: tuple[Dot, ...]) -> list[str]:
        before = self.known.get(place, Known())
        self.known[place] = Known(clock, apart)
        return before.missing(clock, apart)

    def _wipe(self, node: str) -> None:
        for place in [place for place in self.known if place[0] == node]:
            del self.known[place]

    def wiped_by(self, event: TraceEvent) -> str:
        """The node that loses its memory by this event; empty: none does."""
        verb = str(event.detail.get("verb", "")) if event.kind == "fault" else ""
        hit = _WIPED.match(verb) or (_CRASHED.match(verb) if self.crash_forgets else None)
        return hit[1] if hit else ""

    def knows(self, node: str, key: str, dot: Dot) -> bool:
        """Whether `node` has heard of `dot`, in its replica or in a hint."""
        return any(known.covers(dot) for (at, of, _), known in self.known.items() if at == node and of == key)

    def known_dots(self, key: str, dots: Iterable[Dot]) -> set[Dot]:
        """Those of `dots` that some node has heard of, in its replica or in a hint."""
        places = [known for (_, of, _), known in self.known.items() if of == key]
        return {dot for dot in dots if any(known.covers(dot) for known in places)}


def extinct(trace: Iterable[TraceEvent], crash_forgets: bool = False) -> set[tuple[str, Dot]]:
    """``{(key, dot)}`` of the writes that after some fault no node knew any more: these alone are excused.

    Hints may outlive `hint_ttl_ms`: a write of which there were only hints then goes with the last of them.
    What the nodes forgot by themselves otherwise, a reaped tombstone or a copy they took for handed on, is not.
    Exact for wipes; a crash that may forget a tail counts as one that forgot all.
    """
    knowledge = Knowledge(crash_forgets)
    #: {key: dots that somebody knows}
    alive: dict[str, set[Dot]] = {}
    gone: set[tuple[str, Dot]] = set()
    for event in _kinds(trace, "fault", "forget", *_STORING):
        ends = event.kind == "forget" or knowledge.wiped_by(event)
        keys = ([text_of(event.key)] if event.key else list(alive)) if ends else []
        before = {key: knowledge.known_dots(key, alive.get(key, ())) for key in keys}
        knowledge.follow(event)
        if event.kind == "write":
            alive.setdefault(text_of(event.key), set()).add(_dot(event))
        for key in keys:
            alive[key] = knowledge.known_dots(key, before[key])
            died = before[key] - alive[key]
            gone |= {(key, dot) for dot in died if event.kind == "fault" or event.detail.get("why") == "expired"}
    return gone


def _forgetful(verb: str, crash_forgets: bool) -> str:
    """The node that forgets all by this fault; empty: none does."""
    hit = _WIPED.match(verb) or (_CRASHED.match(verb) if crash_forgets else None)
    return hit[1] if hit else ""


def _dot(event: TraceEvent) -> Dot:
    actor, counter = event.detail["dot"]
    return Dot(str(actor), int(counter))


def _written(event: TraceEvent) -> tuple[Entries, list[Dot]]:
    """What a node has heard of by making a version: the version, and all that its context covers."""
    seen = [Dot(str(actor), int(counter)) for actor, counter in event.detail.get("context_dots", ())]
    return event.detail.get("context", {}), [*seen, _dot(event)]


def _apart(event: TraceEvent) -> tuple[Dot, ...]:
    return tuple(Dot(str(actor), int(counter)) for actor, counter in event.detail.get("apart", ()))


def without_gaps(trace: Iterable[TraceEvent]) -> list[TraceEvent]:
    """The events in order.

    Raises:
        TraceHasGaps: a sequence number is missing.
    """
    events = list(trace)
    numbers = [event.seq for event in events]
    if numbers != list(range(1, len(events) + 1)):
        before, after = next(pair for pair in zip([0, *numbers], numbers, strict=False) if pair[1] != pair[0] + 1)
        raise TraceHasGaps(f"the trace has no events between {before} and {after}: it cannot be judged")
    return events


def _kinds(trace: Iterable[TraceEvent], *kinds: str) -> Iterator[TraceEvent]:
    """The events of these kinds, of a trace without gaps."""
    wanted = frozenset(kinds)
    return (event for event in without_gaps(trace) if event.kind in wanted)


def shrinking(trace: Iterable[TraceEvent], crash_forgets: bool = False) -> Iterator[Violation]:
    """I8: a node that stored a state and forgot a write it had heard of."""
    knowledge = Knowledge(crash_forgets)
    for event in _kinds(trace, "fault", "forget", *_STORING):
        lost = knowledge.follow(event)
        if lost:
            key = text_of(event.key)
            yield Violation("I8", f"node {event.node} forgot {', '.join(lost)} of {key!r} at event {event.seq}", key)


def repeated_dots(trace: Iterable[TraceEvent], crash_forgets: bool = False) -> Iterator[Violation]:
    """I9: one dot of one key that names two writes, or one request that made two versions at one coordinator.

    A coordinator that forgot everything, or handed its copy of the key on, may make a second version of a request.
    """
    #: {(key, dot): (node, request)}, {(node, request): (key, dot)}
    given: dict[tuple[str, Dot], tuple[str, str]] = {}
    made: dict[tuple[str, str], tuple[str, Dot]] = {}
    for event in _kinds(trace, "fault", "forget", "write"):
        if event.kind == "fault":
            forgot = _forgetful(str(event.detail.get("verb", "")), crash_forgets)
            made = {writer: what for writer, what in made.items() if writer[0] != forgot}
        elif event.kind == "forget":
            handed_on = (event.node, text_of(event.key))
            made = {writer: what for writer, what in made.items() if (writer[0], what[0]) != handed_on}
        elif event.kind == "write":
            yield from _repeated(event, given, made)


def _repeated(
    event: TraceEvent, given: dict[tuple[str, Dot], tuple[str, str]], made: dict[tuple[str, str], tuple[str, Dot]]
) -> Iterator[Violation]:
    key, dot, writer = text_of(event.key), _dot(event), (event.node, event.request)
    first = given.setdefault((key, dot), writer)
    if first != writer:
        yield Violation("I9", f"{dot} of {key!r} was given to {first} and, at event {event.seq}, to {writer}", key)
    if made.setdefault(writer, (key, dot)) != (key, dot):
        yield Violation("I9", f"{writer} made {made[writer][1]} and, at event {event.seq}, {dot} of {key!r}", key)


def early_answers(trace: Iterable[TraceEvent]) -> Iterator[Violation]:
    """I7: an 'ok' that was said before W distinct nodes had stored the write, or R had answered.

    A node that stored it and then handed it on, or crashed, has stored it all the same.
    """
    #: {(node, key): all it ever heard of}
    stored: dict[tuple[str, str], Known] = {}
    #: {(coordinator, request id): dot}
    made: dict[tuple[str, str], Dot] = {}
    for event in _kinds(trace, "reply", *_STORING):
        here = stored.setdefault((event.node, text_of(event.key)), Known()) if event.kind in _STORING else Known()
        if event.kind == "write":
            made[event.node, event.request] = _dot(event)
            here.add(*_written(event))
        elif event.kind in ("store", "hint"):
            here.add(event.detail["clock"], _apart(event))
        elif event.kind == "reply" and event.detail.get("outcome") == "ok":
            yield from _early(event, stored, made.get((event.node, event.request)))


def _early(event: TraceEvent, stored: dict[tuple[str, str], Known], dot: Dot | None) -> Iterator[Violation]:
    key, need = text_of(event.key), int(event.detail["need"])
    nodes = sorted({str(node) for node in event.detail["nodes"]})
    did = [node for node in nodes if dot is None or stored.get((node, key), Known()).covers(dot)]
    if len(did) < need:
        what = "had answered" if dot is None else f"had stored {dot}"
        text = f"{event.node} answered 'ok' for {key!r} with {len(did)} of {need} nodes: {', '.join(did)} {what}"
        yield Violation("I7", text + f" (named: {', '.join(nodes)}; event {event.seq})", key)
