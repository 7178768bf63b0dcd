"""What a timeline shows of a trace: the chosen messages, marks and faults, and what was left out.

Values only; `timeline.py` draws them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from dynalab.core.session import encode_key
from dynalab.core.trace import TraceEvent
from dynalab.views.messages import cast_of, message_graph, messages, told_by

MARKED = ("write", "hint", "handoff", "repair", "suspect", "trust", "fail", "incarnation")
"""Kinds of events that get a mark of their own."""

_VERB = re.compile(r"(\w+)\((.*)\)", re.DOTALL)
_ENDS = {"heal": "partition", "recover": "crash", "resume": "pause"}


class Arrow(NamedTuple):
    """One message: from whom, to whom, when it left and came; `fate` is "arrived", "dropped" or "unknown"."""

    sender: str
    to: str
    message: str
    sent_us: int
    ended_us: int
    fate: str


class Band(NamedTuple):
    """A fault that lasted; `nodes` empty: all of them."""

    verb: str
    words: str
    nodes: tuple[str, ...]
    start_us: int
    end_us: int


@dataclass(frozen=True)
class Flow:
    """What is to be drawn, bounded; `left_out` says in words what is not."""

    cast: tuple[str, ...]
    """All nodes of the run, for their colours."""
    lanes: tuple[str, ...]
    arrows: tuple[Arrow, ...]
    marks: tuple[TraceEvent, ...]
    bands: tuple[Band, ...]
    moments: tuple[tuple[int, str], ...]
    """Faults without a duration: ``(time_us, words)``."""
    left_out: tuple[str, ...]

    @property
    def times(self) -> list[int]:
        """All times at which something drawn happens, sorted, each once."""
        found = [arrow.sent_us for arrow in self.arrows] + [arrow.ended_us for arrow in self.arrows]
        found += [mark.time_us for mark in self.marks] + [time_us for time_us, _ in self.moments]
        low, high = (min(found), max(found)) if found else (0, 1)
        edges = [edge for band in self.bands for edge in (band.start_us, band.end_us)]
        return sorted({*found, *(edge for edge in edges if low <= edge <= high), low, high})


def flow_of(
    source: Any,
    key: str | bytes | None = None,
    nodes: Sequence[str] | None = None,
    since_ms: float = 0,
    until_ms: float | None = None,
    messages_max: int = 60,
    background: bool = False,
) -> Flow:
    """Choose what a timeline shows; see `draw_timeline` for the arguments."""
    told, order, gaps = told_by(source)
    events = sorted(told, key=lambda event: (event.time_us, event.seq))
    end_us = events[-1].time_us if events else 0
    limit_us = end_us if until_ms is None else until_ms * 1000
    inside = [event for event in events if since_ms * 1000 <= event.time_us <= limit_us]
    if key is not None:
        inside = _about(inside, encode_key(key))
    found = _arrows(inside)
    wanted = [arrow for arrow in found if background or family_of(arrow.message) not in BACKGROUND]
    shown = wanted[max(0, len(wanted) - messages_max) :]
    first_us = shown[0].sent_us if len(shown) < len(wanted) else 0
    marks = tuple(event for event in inside if event.kind in MARKED and event.time_us >= first_us)
    cast = cast_of((name for event in events for name in (event.node, event.peer) if name), order)
    lanes = _lanes(shown, marks, nodes, cast)
    bands, moments = _faults(events, end_us)
    return Flow(
        cast=cast_of(lanes, cast),
        lanes=lanes,
        arrows=tuple(arrow for arrow in shown if arrow.sender in lanes and arrow.to in lanes),
        marks=tuple(mark for mark in marks if mark.node in lanes),
        bands=tuple(bands),
        moments=tuple(moment for moment in moments if max(since_ms * 1000, first_us) <= moment[0] <= limit_us),
        left_out=_left_out(found, wanted, shown)
        + ((f"{gaps:,} event{'s' * (gaps > 1)} nobody recorded",) if gaps else ()),
    )


def _about(events: list[TraceEvent], key: bytes) -> list[TraceEvent]:
    """What names the key, and what belongs to the same requests: answers do not name it."""
    requests = {event.request for event in events if event.key == key and event.request}
    return [event for event in events if event.key == key or event.request in requests]


def _arrows(events: list[TraceEvent]) -> list[Arrow]:
    graph = message_graph(events)
    found, ended = [], set()
    for sent, event in messages(graph):
        ended.add(sent.seq)
        fate = "dropped" if event.kind == "drop" else "arrived"
        found.append(Arrow(sent.node, sent.peer, sent.message, sent.time_us, event.time_us, fate))
    found += [
        Arrow(event.node, event.peer, event.message, event.time_us, event.time_us, "unknown")
        for event in events
        if event.kind == "send" and event.seq not in ended
    ]
    return sorted((arrow for arrow in found if arrow.sender != arrow.to), key=lambda arrow: arrow.sent_us)


def _lanes(
    arrows: list[Arrow], marks: tuple[TraceEvent, ...], nodes: Sequence[str] | None, cast: tuple[str, ...]
) -> tuple[str, ...]:
    """Clients first, in the order they spoke; then the nodes."""
    seen = dict.fromkeys([name for arrow in arrows for name in (arrow.sender, arrow.to)])
    clients = [name for name in seen if name.startswith("client:")]
    if nodes is not None:
        return (*clients, *nodes)
    named = {name for name in seen if not name.startswith("client:")} | {mark.node for mark in marks}
    return (*clients, *(name for name in cast if name in named), *sorted(named - set(cast)))


def _faults(events: list[TraceEvent], end_us: int) -> tuple[list[Band], list[tuple[int, str]]]:
    bands: list[Band] = []
    moments: list[tuple[int, str]] = []
    open_bands: dict[tuple[str, str], Band] = {}
    for event in events:
        said = _VERB.fullmatch(str(event.detail.get("verb", ""))) if event.kind == "fault" else None
        if said is None:
            continue
        verb, subject = said[1], said[2].split(",")[0].strip("\"' ")
        if verb in _ENDS:
            ended = [at for at in open_bands if at[0] == _ENDS[verb] and (verb == "heal" or at[1] == subject)]
            bands += [open_bands.pop(place)._replace(end_us=event.time_us) for place in ended]
        elif verb in _ENDS.values():
            words = said[2].replace('"', "").replace("'", "") if verb == "partition" else f"{verb}ed".replace("ee", "e")
            nodes = () if verb == "partition" else (subject,)
            open_bands[verb, subject] = Band(verb, words, nodes, event.time_us, end_us)
        else:
            moments.append((event.time_us, event.detail["verb"]))
    return bands + list(open_bands.values()), moments


def _left_out(found: list[Arrow], wanted: list[Arrow], shown: list[Arrow]) -> tuple[str, ...]:
    hidden = Counter(family_of(arrow.message) for arrow in found) - Counter(
        family_of(arrow.message) for arrow in wanted
    )
    words = [f"{count:,} {family}" for family, count in sorted(hidden.items())]
    earlier = len(wanted) - len(shown)
    return (*words, *([f"{earlier:,} earlier"] if earlier else []))


FAMILIES = {
    "put": ("ClientPut", "ReplicaPut"),
    "get": ("ClientGet", "ReplicaGet"),
    "read repair": ("ReadRepair",),
    "hand-off": ("HintDeliver",),
    "anti-entropy": ("TreeGet", "TreeGetDone", "KeysGet", "KeysGetDone"),
    "root comparison": ("RootsGet", "RootsGetDone"),
    "gossip": ("Gossip", "GossipDone"),
    "ping": ("Ping", "PingDone"),
}
"""``{family: messages}``; every other message is an "answer"."""

BACKGROUND = ("root comparison", "gossip", "ping")
"""What goes on all the time."""

_FAMILY = {name: family for family, names in FAMILIES.items() for name in names}


def family_of(message: str) -> str:
    """The family a message belongs to.

    >>> family_of("ReplicaPut"), family_of("ReplicaPutDone")
    ('put', 'answer')
    """
    return _FAMILY.get(message, "answer")
