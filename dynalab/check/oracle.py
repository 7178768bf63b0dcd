"""A causal-history oracle: which writes must be there at the end, and which must not (paper 4.4).

Theory of operation.
Beside the system it keeps no clocks to compare, only sets: for every write, the writes its context covered.
A context is read as what it stands for, a set of dots, and every dot is the name of one write.
So 'superseded' is a question about sets:

    superseded(w)  =  some write that happened used a context that covers the dot of w

A write is **required** at the end when it happened and nothing superseded it;
**forbidden** when something that surely happened, and surely is not lost, superseded it;
**optional** in between: an unknown write may be there or not, and a lost one is excused (losses.py).

Rule 1: an unknown write counts as happened once somebody saw it.
Rule 2: one write may have several dots: it was retried through several coordinators.
Rule 3: a tombstone supersedes like any write; it may have been reaped, so its own presence is never required.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from dynalab.check.history import FAIL, OK, History, Operation, Seen, same_value
from dynalab.check.losses import Losses
from dynalab.check.report import Violation
from dynalab.core.clock import Context, Dot

Finals = Mapping[str, Mapping[str, Sequence[Seen]]]
"""``{node: {key: versions}}`` of every running node, at the end."""


@dataclass(frozen=True)
class Event:
    """One write as one coordinator made it: a dot, and what it may and must have superseded.

    Attributes:
        write: the id of the write; empty for a tombstone that nobody acknowledged.
        dot: its name; None for a deletion that nobody saw.
        attempts: the operations it can have come from.
        acked: a client was told that it is stored.
        used: the context the coordinator used, when the acknowledgement told it beyond doubt.
        seen: a version of it that somebody saw; None when nobody did.
        excused: every node that stored it has forgotten it.
    """

    write: str
    dot: Dot | None
    attempts: tuple[Operation, ...]
    acked: bool
    used: Context | None
    seen: Seen | None
    excused: bool

    @property
    def deleted(self) -> bool:
        """Whether it is a tombstone."""
        return self.attempts[0].kind == "delete"

    @property
    def happened(self) -> bool:
        """Whether it surely was stored somewhere."""
        return self.acked or self.seen is not None

    def surely_replaced(self, dot: Dot) -> bool:
        """Whether every way it can have happened superseded `dot`."""
        if self.used is not None:
            return self.used.covers(dot)
        return self.happened and all(not op.local and op.sent.covers(dot) for op in self.attempts)

    def maybe_replaced(self, dot: Dot) -> bool:
        """Whether some way it can have happened superseded `dot`."""
        if self.used is not None:
            return self.used.covers(dot)
        return any(self._local_may_replace(dot) if op.local else op.sent.covers(dot) for op in self.attempts)

    def _local_may_replace(self, dot: Dot) -> bool:
        """Nobody was told what it replaced; the clock it was seen with bounds it."""
        return self.seen is None or (dot != self.dot and self.seen.clock.get(dot.actor, 0) >= dot.counter)


@dataclass(frozen=True)
class Expectation:
    """What the siblings of one key must be, as sets of dots."""

    required: frozenset[Dot]
    forbidden: frozenset[Dot]


class Oracle:
    """The causal histories of all keys of one run.

    Args:
        history: what the clients did.
        finals: what every running node holds at the end.
        losses: who forgot what.
    """

    def __init__(self, history: History, finals: Finals, losses: Losses) -> None:
        self.history = history
        self.finals = finals
        self.losses = losses
        #: {key: {write id: operations}}
        self._attempts: dict[str, dict[str, list[Operation]]] = {}
        #: {key: events}, {key: expectation}, as they were asked for
        self._events: dict[str, list[Event]] = {}
        self._expected: dict[str, Expectation] = {}
        for operation in history.writes():
            self._attempts.setdefault(operation.key, {}).setdefault(operation.write, []).append(operation)

    # ---------------------------------------------------------------- who wrote what

    def writer(self, key: str, seen: Seen) -> str:
        """The id of the write behind a version of `key`; empty when nobody wrote it."""
        attempts = self._attempts.get(key, {})
        if seen.deleted:
            return self._acked_dots(key).get(seen.dot, "")
        if self.history.stamped:
            return seen.write if seen.write in attempts else ""
        matches = [
            write for write, ops in attempts.items() if ops[0].kind == "put" and same_value(ops[0].value, seen.value)
        ]
        return matches[0] if matches else ""

    def sightings(self, key: str) -> Iterable[tuple[str, Seen]]:
        """Every version of `key` that was seen, and where: in which get, at which node."""
        for operation in self.history.of_key(key):
            if not operation.resolved:
                yield from ((f"a get of {operation.client}", seen) for seen in operation.seen)
        for node, records in self.finals.items():
            yield from ((f"node {node} at the end", seen) for seen in records.get(key, ()))

    @cached_property
    def keys(self) -> list[str]:
        """Every key that a client used or a node holds."""
        held = [key for records in self.finals.values() for key in records]
        return list(dict.fromkeys([*self.history.keys(), *held]))

    def _acked_dots(self, key: str) -> dict[Dot, str]:
        ops = [op for attempts in self._attempts.get(key, {}).values() for op in attempts]
        return {op.dot: op.write for op in ops if op.dot is not None}

    # ---------------------------------------------------------------- events and expectations

    def events(self, key: str) -> list[Event]:
        """Every write of `key` that happened, and every unseen deletion that may have."""
        if key not in self._events:
            self._events[key] = self._find_events(key)
        return self._events[key]

    def _find_events(self, key: str) -> list[Event]:
        seen_as = {seen.dot: seen for _, seen in self.sightings(key)}
        dots = dict(self._acked_dots(key))
        for dot, seen in seen_as.items():
            dots.setdefault(dot, self.writer(key, seen))
        events = [self._event(key, dot, write, seen_as.get(dot)) for dot, write in sorted(dots.items())]
        found = [event for event in events if event is not None]
        known = {event.write for event in found}
        unseen = [op for op in self._deletes(key) if op.outcome != OK and op.write not in known]
        return found + [self._unseen(op) for op in unseen]

    def _event(self, key: str, dot: Dot, write: str, seen: Seen | None) -> Event | None:
        attempts = self._attempts.get(key, {}).get(write, [])
        acked = [op for op in attempts if op.dot == dot]
        if acked:
            return self._acked_event(write, dot, attempts, acked[0], seen)
        unknown = [op for op in attempts if op.outcome != OK] or attempts
        if not write and seen is not None and seen.deleted:
            unknown = self._deletes(key)
        if not unknown:
            return None
        return Event(write, dot, tuple(unknown), False, None, seen, any(self.losses.excuse(op, dot) for op in unknown))

    def _acked_event(self, write: str, dot: Dot, attempts: list[Operation], op: Operation, seen: Seen | None) -> Event:
        """An acknowledged write; after an unknown attempt, the acknowledged one may only have found it made."""
        before = [other for other in attempts if other.outcome != OK and other.began < op.began]
        used = None if before else op.used
        return Event(write, dot, (*before, op), True, used, seen, self.losses.excuse(op, dot))

    def _unseen(self, operation: Operation) -> Event:
        return Event(operation.write, None, (operation,), False, None, None, False)

    def _deletes(self, key: str) -> list[Operation]:
        """The deletes that a tombstone of an unknown dot can come from.

        Acknowledged ones too: a forwarding node may have tried two coordinators, of which one answered.
        """
        return [op for op in self.history.of_key(key) if op.kind == "delete" and op.outcome != FAIL]

    def expectation(self, key: str) -> Expectation:
        """What must, and what must not, be among the live siblings of `key` when all is quiet."""
        if key not in self._expected:
            self._expected[key] = self._expect(key)
        return self._expected[key]

    def _expect(self, key: str) -> Expectation:
        events = self.events(key)
        required, forbidden = [], []
        for event in events:
            if event.dot is None or event.deleted:
                continue
            others = [other for other in events if other is not event]
            if event.happened and not event.excused and not any(o.maybe_replaced(event.dot) for o in others):
                required.append(event.dot)
            if any(o.happened and not o.excused and o.surely_replaced(event.dot) for o in others):
                forbidden.append(event.dot)
        return Expectation(frozenset(required), frozenset(forbidden))

    def homes(self, key: str) -> list[str]:
        """The running homes of `key`; without a ring, every node that holds it."""
        if self.losses.homes is not None:
            return [node for node in self.losses.homes(key) if node in self.finals]
        return [node for node, records in self.finals.items() if key in records]

    def live(self, node: str, key: str) -> dict[Dot, Seen]:
        """The live siblings of `key` at `node` at the end."""
        return {seen.dot: seen for seen in self.finals[node].get(key, ()) if not seen.deleted}

    # ---------------------------------------------------------------- verdicts

    def lost(self) -> list[Violation]:
        """I1: acknowledged writes that nobody superseded and no home has."""
        found = []
        for key in self.keys:
            held = {dot for node in self.homes(key) for dot in self.live(node, key)}
            acked = self._acked_dots(key)
            missing = sorted(dot for dot in self.expectation(key).required if dot in acked and dot not in held)
            found += [self._lost(key, dot, acked[dot]) for dot in missing if self.homes(key) or self.finals]
        return found

    def _lost(self, key: str, dot: Dot, write: str) -> Violation:
        op = next(op for op in self._attempts[key][write] if op.dot == dot)
        text = (
            f"{op.client}'s acknowledged write {write} to {key!r} is lost: it was stored as {dot} on "
            f"{', '.join(op.nodes)}; no write's context covered it, and no home has it: {self._state(key)}"
        )
        return Violation("I1", text, key, (write,))

    def invented(self) -> list[Violation]:
        """I2: values that nobody wrote, or not like that."""
        found = []
        for key in self.keys:
            found += [v for where, seen in self.sightings(key) for v in self._invented(key, where, seen)]
        return list(dict.fromkeys(found))

    def _invented(self, key: str, where: str, seen: Seen) -> list[Violation]:
        write = self.writer(key, seen)
        if seen.deleted:
            text = f"{where} shows a deletion {seen.dot} of {key!r} that nobody asked for"
            return [] if write or self._deletes(key) else [Violation("I2", text, key)]
        if not write:
            return [
                Violation("I2", f"{where} shows {seen.value!r:.80} ({seen.dot}) for {key!r}, which nobody wrote", key)
            ]
        given = self._attempts[key][write][0]
        shown = given.value.decode(errors="replace") if isinstance(given.value, bytes) else given.value
        if same_value(given.value, seen.value) or (where.startswith("node") and same_value(shown, seen.value)):
            return []  # inspections show bytes as text
        text = (
            f"{where} shows {seen.value!r:.80} for write {write} of {key!r}; {given.client} wrote {given.value!r:.80}"
        )
        return [Violation("I2", text, key, (write,))]

    def resurrected(self) -> list[Violation]:
        """I3: superseded or deleted writes that a home has at the end, or that a get saw after they had gone."""
        found = []
        for key in self.keys:
            forbidden = self.expectation(key).forbidden
            for node in self.homes(key):
                back = sorted(dot for dot in self.live(node, key) if dot in forbidden)
                found += [self._resurrected(key, self.live(node, key)[dot], f"node {node} has") for dot in back]
            found += self._read_again(key)
        return found

    def _read_again(self, key: str) -> list[Violation]:
        """Gets that began after a settled moment, and saw what a write before that moment had replaced."""
        events = [event for event in self.events(key) if event.acked and not event.excused]
        found = []
        for op in self.history.of_key(key):
            settled = max((note.order for note in self.history.settled if note.order < op.began), default=0)
            gone = [event for event in events if event.attempts[-1].ended < settled]
            back = [seen for seen in op.seen if not seen.deleted and any(e.surely_replaced(seen.dot) for e in gone)]
            found += [self._resurrected(key, seen, f"a later get of {op.client} saw") for seen in back]
        return found

    def _resurrected(self, key: str, seen: Seen, where: str) -> Violation:
        by = next((e for e in self.events(key) if e.happened and e.surely_replaced(seen.dot)), None)
        replaced = f"{by.write or 'a deletion'} ({by.dot})" if by else "a later write"
        text = f"{where} write {seen.write} ({seen.dot}) of {key!r} although {replaced} had replaced it"
        return Violation("I3", text, key, (seen.write,))

    def wrong_siblings(self) -> list[Violation]:
        """I4: homes whose siblings are not what the causal histories say."""
        found = []
        for key in self.keys:
            expected = self.expectation(key)
            for node in self.homes(key):
                held = set(self.live(node, key))
                missing, extra = sorted(expected.required - held), sorted(expected.forbidden & held)
                if missing or extra:
                    found.append(self._wrong(key, node, missing, extra))
        return found

    def _wrong(self, key: str, node: str, missing: list[Dot], extra: list[Dot]) -> Violation:
        names = {event.dot: event.write for event in self.events(key)}
        writes = tuple(names.get(dot, "") for dot in [*missing, *extra])
        parts = [f"lacks {_named(missing, names)}"] if missing else []
        parts += [f"still has {_named(extra, names)}, which was superseded"] if extra else []
        return Violation("I4", f"node {node} {' and '.join(parts)} of {key!r}: {self._state(key)}", key, writes)

    def reused_dots(self) -> list[Violation]:
        """I9: dots that name more than one write, and acknowledgements that name none."""
        found = []
        for key in self.keys:
            names: dict[Dot, set[str]] = {}
            for operation in self.history.of_key(key):
                if operation.dot is not None:
                    names.setdefault(operation.dot, set()).add(operation.write)
            for _, seen in self.sightings(key):
                if not seen.deleted:
                    names.setdefault(seen.dot, set()).add(self.writer(key, seen))
            twice = {dot: sorted(writes) for dot, writes in names.items() if len(writes) > 1}
            found += [
                Violation(
                    "I9",
                    f"the dot {dot} of {key!r} names {len(writes)} writes: {', '.join(writes)}",
                    key,
                    tuple(writes),
                )
                for dot, writes in sorted(twice.items())
            ]
        return found

    def _state(self, key: str) -> str:
        """What every home holds, in words."""
        held = [f"{node} holds {_shown(self.live(node, key).values())}" for node in self.homes(key)]
        return "; ".join(held) or "nobody holds the key"


def _named(dots: Iterable[Dot], names: Mapping[Dot | None, str]) -> str:
    return ", ".join(f"{names.get(dot) or 'nobody'}({dot})" for dot in dots)


def _shown(versions: Iterable[Seen]) -> str:
    return "{" + ", ".join(f"{seen.write}({seen.dot})" for seen in versions) + "}"
