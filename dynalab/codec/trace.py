"""A trace in the hand: filter it, read it aloud, compute its vector times, take it elsewhere.

Theory of operation.
Both worlds record `TraceEvent`s; a `Trace` is an immutable sequence of them, and where they came from.
Messages carry no vector time.  It follows from the causes: an event counts one more of its node,
and knows all that the event before it on its node, and the event that caused it, had known.

Rule 1: standard library only, at this level: the simulation records into this, also in a browser.
Rule 2: two traces with equal events are equal; how one prints does not depend on when or where.
Rule 3: what needs every cause (`to_shiviz`) refuses a trace that has gaps or lost causes; it never guesses.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any, overload

from dynalab.codec.story import sentence
from dynalab.core.trace import TraceEvent

WORLDS = ("sim", "live", "file")

_MATCHED = ("node", "kind", "message", "peer", "request")


class Trace(Sequence[TraceEvent]):
    """Trace events in the order they were recorded; an immutable value.

    Args:
        events: in order; `cause` names an earlier event by `seq`.
        world: where they were recorded: ``sim``, ``live``, or ``file`` for made-up ones.
        seed: of the simulation.
        gaps: how many events are known to be missing (a full buffer in a live node drops, and counts).

    >>> sent = TraceEvent(1, 0, "A", "send", "Ping", "B")
    >>> trace = Trace([sent, TraceEvent(2, 900, "B", "receive", "Ping", "A", cause=sent.seq)])
    >>> trace.filter(node="B").vector_times(), trace.vector_times()
    ([{'B': 1}], [{'A': 1}, {'A': 1, 'B': 1}])
    """

    __slots__ = ("_events", "gaps", "seed", "world")

    def __init__(
        self, events: Iterable[TraceEvent] = (), world: str = "file", seed: int | None = None, gaps: int = 0
    ) -> None:
        if world not in WORLDS:
            raise ValueError(f"a trace comes from {', '.join(WORLDS)}; got {world!r}")
        self._events = tuple(events)
        self.world = world
        self.seed = seed
        self.gaps = gaps

    # A sequence ------------------------------------------------------------------------------

    @overload
    def __getitem__(self, place: int) -> TraceEvent: ...

    @overload
    def __getitem__(self, place: slice) -> Trace: ...

    def __getitem__(self, place: int | slice) -> TraceEvent | Trace:
        if isinstance(place, slice):
            return self._with(self._events[place])
        return self._events[place]

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Iterator[TraceEvent]:
        return iter(self._events)

    def __eq__(self, other: object) -> bool:
        return self._events == other._events if isinstance(other, Trace) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple((event.seq, event.time_us, event.node, event.kind) for event in self._events))

    def _with(self, events: Iterable[TraceEvent]) -> Trace:
        return Trace(events, self.world, self.seed, self.gaps)

    # Choosing --------------------------------------------------------------------------------

    def filter(
        self,
        node: str | Collection[str] | None = None,
        kind: str | Collection[str] | None = None,
        message: str | Collection[str] | None = None,
        key: str | bytes | Collection[str | bytes] | None = None,
        request: str | Collection[str] | None = None,
        peer: str | Collection[str] | None = None,
        since_ms: float | None = None,
        until_ms: float | None = None,
        **detail: Any,
    ) -> Trace:
        """The events that match everything given, in order.

        Each argument is one value, or a collection of values of which one must match.

        Args:
            node: where it happened; ``client:alice`` for clients, ``cluster`` for faults.
            kind: one of `core.trace.KINDS`.
            message: name of the message or timer.
            key: text or bytes.
            request: the client request, exchange or delivery it belongs to.
            peer: the other node.
            since_ms: ``since_ms <= time_ms``.
            until_ms: ``time_ms < until_ms``.
            detail: any other field, or entry of `TraceEvent.detail`: ``filter(kind="drop", why="cut")``.
        """
        tests: list[Callable[[TraceEvent], bool]] = []
        for field, wanted in zip(_MATCHED, (node, kind, message, peer, request), strict=True):
            if wanted is not None:
                tests.append(_field_among(field, _several(wanted)))
        if key is not None:
            keys = [name.encode() if isinstance(name, str) else name for name in _several(key)]
            tests.append(_field_among("key", keys))
        if since_ms is not None:
            tests.append(lambda event: event.time_us >= since_ms * 1000)
        if until_ms is not None:
            tests.append(lambda event: event.time_us < until_ms * 1000)
        for name, wanted in detail.items():
            among = _field_among if name in TraceEvent._fields else _detail_among
            tests.append(among(name, _several(wanted)))
        return self._with(event for event in self._events if all(test(event) for test in tests))

    @property
    def nodes(self) -> list[str]:
        """Every node with an event, sorted; clients and ``cluster`` are among them."""
        return sorted({event.node for event in self._events})

    # Causality -------------------------------------------------------------------------------

    def vector_times(self) -> list[dict[str, int]]:
        """The vector time of every event: ``{node: how many of its events lead up to this one}``.

        Each node's own entry counts 1, 2, 3 ... over the events that are here.
        A cause that is not in this trace (filtered out, or lost) adds nothing.

        Raises:
            ValueError: causes run in a circle.
        """
        earlier = self._predecessors()
        times: list[dict[str, int]] = [{} for _ in self._events]
        for place in _causal_order(earlier):
            known = times[place]
            for before in earlier[place]:
                for node, count in times[before].items():
                    if count > known.get(node, 0):
                        known[node] = count
            own = self._events[place].node
            known[own] = known.get(own, 0) + 1
        return times

    def missing_causes(self) -> list[int]:
        """The causes (`seq`) that events here name and that are not here, in order of first mention."""
        present = {event.seq for event in self._events}
        return list(dict.fromkeys(event.cause for event in self._events if event.cause and event.cause not in present))

    def _predecessors(self) -> list[tuple[int, ...]]:
        """Per event, the places of the event before it on its node and of its cause."""
        place_of = {event.seq: place for place, event in enumerate(self._events)}
        latest: dict[str, int] = {}
        earlier: list[tuple[int, ...]] = []
        for place, event in enumerate(self._events):
            both = (latest.get(event.node), place_of.get(event.cause) if event.cause else None)
            earlier.append(tuple(before for before in both if before is not None))
            latest[event.node] = place
        return earlier

    # Elsewhere -------------------------------------------------------------------------------

    def to_shiviz(self) -> str:
        r"""The log that ShiViz draws: two lines per event, ``node {vector time}`` and what happened.

        Paste it into ShiViz with its default parser, ``(?<host>\S*) (?<clock>{.*})\n(?<event>.*)``.

        Raises:
            ValueError: events are missing, so the clocks would lie; the text says which.
        """
        self._refuse_holes("a ShiViz log")
        lines = []
        for event, time in zip(self._events, self.vector_times(), strict=True):
            lines += [f"{event.node} {json.dumps(time)}", sentence(event, with_node=False)]
        return "".join(f"{line}\n" for line in lines)

    def _refuse_holes(self, product: str) -> None:
        if self.gaps:
            raise ValueError(f"{product} needs every event, and this trace misses {self.gaps} (see Trace.gaps)")
        missing = self.missing_causes()
        if missing:
            raise ValueError(
                f"{product} needs every cause, and {len(missing)} are not in this trace, "
                f"the first with seq {missing[0]}; "
                "use the whole trace, or a filter that keeps the causes (of one request, for example)"
            )

    def to_frame(self) -> Any:
        """A pandas DataFrame: one row per event, the fields of `TraceEvent` and `time_ms` as columns.

        Raises:
            ImportError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("Trace.to_frame needs pandas: pip install pandas") from error
        rows = [(*event, event.time_ms) for event in self._events]
        return pd.DataFrame(rows, columns=[*TraceEvent._fields, "time_ms"])

    def save(self, path: str | Path) -> Path:
        """Write a trace file; gzipped when the name ends in ``.gz``. Equal traces make equal files."""
        from dynalab.codec import tracefile

        return tracefile.save(self, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Trace:
        """Read a trace file.

        Raises:
            OSError: it cannot be opened.
            ValueError: it is not a trace file, is damaged, or is too large; the text names file and line.
        """
        from dynalab.codec import tracefile

        return tracefile.load(Path(path))

    # For people ------------------------------------------------------------------------------

    def story(self) -> str:
        """The transcript: one line per event, its time in milliseconds, its node, what happened."""
        return "".join(f"{event.time_ms:10.3f}  {sentence(event)}\n" for event in self._events)

    def summary(self) -> dict[str, Any]:
        """Counts: events, gaps, the span in milliseconds, and events by kind, by node, and by message sent."""
        times = [event.time_us for event in self._events] or [0]
        return {
            "events": len(self._events),
            "gaps": self.gaps,
            "from_ms": min(times) / 1000,
            "to_ms": max(times) / 1000,
            "kinds": _counts(event.kind for event in self._events),
            "nodes": _counts(event.node for event in self._events),
            "sent": _counts(event.message for event in self._events if event.kind == "send"),
        }

    def __repr__(self) -> str:
        told = self.summary()
        seed = "" if self.seed is None else f" seed {self.seed}"
        gaps = f", {self.gaps} missing" if self.gaps else ""
        return f"<Trace {told['events']} events{gaps}, {self.world}{seed}, {told['from_ms']} to {told['to_ms']} ms>"

    def _repr_html_(self) -> str:
        kinds = "".join(
            f"<tr><td style='text-align:left'>{escape(kind)}</td><td>{count}</td></tr>"
            for kind, count in self.summary()["kinds"].items()
        )
        return f"<div>{escape(repr(self))}<table>{kinds}</table></div>"


def _several(wanted: Any) -> list[Any]:
    """One value, or a collection of values, as a list."""
    if isinstance(wanted, Collection) and not isinstance(wanted, (str, bytes)):
        return list(wanted)
    return [wanted]


def _field_among(field: str, wanted: list[Any]) -> Callable[[TraceEvent], bool]:
    return lambda event: getattr(event, field) in wanted


def _detail_among(name: str, wanted: list[Any]) -> Callable[[TraceEvent], bool]:
    return lambda event: name in event.detail and event.detail[name] in wanted


def _counts(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _causal_order(earlier: Sequence[tuple[int, ...]]) -> Iterable[int]:
    """The places so that causes come first: as recorded, unless a live collector heard an effect before its cause."""
    if all(before < place for place, befores in enumerate(earlier) for before in befores):
        return range(len(earlier))
    from graphlib import CycleError, TopologicalSorter

    try:
        return list(TopologicalSorter(dict(enumerate(earlier))).static_order())
    except CycleError as error:
        raise ValueError(f"these causes run in a circle: events {error.args[1]} of the trace") from None
