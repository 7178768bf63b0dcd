"""The message table and the space-time diagram: the newest events that match, and the causal past of one.

Theory of operation.
The browser shows a window; the tape may hold a hundred thousand events.
So filtering happens here, from the newest event back, and ends when the window is full.

Rule: what is left out is said: older matches, and events the tape has let go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dynalab.codec.story import sentence
from dynalab.core.session import key_text
from dynalab.core.trace import TraceEvent
from dynalab.panels.tape import BACKGROUND, Tape

ROWS_MAX = 400
CHAIN_MAX = 10_000

GROUPS = {
    "messages": ("send", "receive", "drop"),
    "requests": ("request", "reply", "fail", "quorum"),
    "writes": ("write", "store", "hint", "handoff", "forget", "repair", "exchange"),
    "failures": ("fault", "start", "stop", "suspect", "trust", "refuse", "member", "incarnation"),
}
"""Kinds of events that are chosen together."""


def rows(tape: Tape, wanted: Mapping[str, Any], limit: int = ROWS_MAX) -> dict[str, Any]:
    """The newest events that match, oldest first.

    Args:
        tape: the events.
        wanted: ``node``, ``kind`` (a kind or a group), ``key``, ``request`` (the beginning of one),
            ``background`` (also pings and gossip), ``until`` (no event with a greater seq); each may be missing.
        limit: rows at the most.

    Returns:
        ``rows``: lists of seq, time in ms, node, kind, message, peer, key, request, latency in ms or None,
        cause and the event in words; ``more``: whether older ones match, too; ``kept``, ``dropped``: the tape's.
    """
    matches = matcher(wanted)
    found: list[TraceEvent] = []
    more = False
    for event in tape.newest_first():
        if matches(event):
            more = len(found) == limit
            if more:
                break
            found.append(event)
    found.reverse()
    return {
        "rows": [row(tape, event) for event in found],
        "more": more,
        "kept": len(tape),
        "dropped": tape.dropped,
        "down": [[node, begin, end] for node, begin, end in down_times(tape, found)],
    }


def matcher(wanted: Mapping[str, Any]) -> Callable[[TraceEvent], bool]:
    """Whether an event is wanted."""
    text = {name: str(wanted.get(name) or "") for name in ("node", "kind", "key", "request")}
    kinds = GROUPS.get(text["kind"], (text["kind"],)) if text["kind"] else ()
    background = bool(wanted.get("background"))
    until = wanted.get("until")
    last_seq = until if isinstance(until, int) and until > 0 else None
    tests: list[Callable[[TraceEvent], bool]] = []
    if last_seq is not None:
        tests.append(lambda event: event.seq <= last_seq)
    if not background:
        tests.append(lambda event: event.message not in BACKGROUND)
    if kinds:
        tests.append(lambda event: event.kind in kinds)
    if text["node"]:
        tests.append(lambda event: text["node"] in (event.node, event.peer))
    if text["key"]:
        key = text["key"].encode()
        tests.append(lambda event: key in event.key)
    if text["request"]:
        tests.append(lambda event: event.request.startswith(text["request"]))
    return lambda event: all(test(event) for test in tests)


def row(tape: Tape, event: TraceEvent) -> list[Any]:
    """One event for the table."""
    return [
        *(event.seq, event.time_ms, event.node, event.kind, event.message, event.peer),
        *(key_text(event.key) if event.key else "", event.request, latency_ms(tape, event), event.cause),
        sentence(event, with_node=False),
    ]


def latency_ms(tape: Tape, event: TraceEvent) -> float | None:
    """How long a message was on its way, or at a client, how long the whole request took; None for other events."""
    if event.kind != "receive":
        return None
    sent = tape.find(event.cause)
    if sent is None:
        return None
    if event.node.startswith("client:"):
        sent = next((cause for cause in chain(tape, sent) if cause.node == event.node), sent)
    return (event.time_us - sent.time_us) / 1000


def chain(tape: Tape, event: TraceEvent | None) -> Iterable[TraceEvent]:
    """An event, its cause, the cause of that, and so on, as far as the tape goes back."""
    for _ in range(CHAIN_MAX):
        if event is None:
            return
        yield event
        event = tape.find(event.cause) if event.cause else None


def past_of(tape: Tape, seq: int) -> list[int]:
    """The causal past of an event within its request: seqs, in order.

    An event's past is its cause, the events of the same request before it on its node, and the past of those.
    What else its node had done before belongs to other stories, and is left out.
    """
    begun = tape.find(seq)
    if begun is None:
        return []
    root = begun.request.partition("/")[0]
    before: dict[str, list[TraceEvent]] = {}
    if root:
        for event in tape:
            if event.request.partition("/")[0] == root:
                before.setdefault(event.node, []).append(event)
    past: dict[int, TraceEvent] = {}
    waiting = [begun]
    while waiting:
        event = waiting.pop()
        if event.seq in past:
            continue
        past[event.seq] = event
        cause = tape.find(event.cause) if event.cause else None
        waiting += [] if cause is None else [cause]
        waiting += [other for other in before.get(event.node, ()) if other.seq < event.seq]
    return sorted(past)


def down_times(tape: Tape, shown: list[TraceEvent]) -> Iterable[tuple[str, int, int]]:
    """``(node, first seq, last seq)`` of every time a node did not run, as far as the shown events reach."""
    if not shown:
        return
    first, last = shown[0].seq, shown[-1].seq
    down: dict[str, int] = {}
    for event in tape:
        if event.kind == "stop":
            down[event.node] = event.seq
        elif event.kind == "start" and event.node in down:
            begin = down.pop(event.node)
            if event.seq >= first and begin <= last:
                yield event.node, begin, event.seq
    for node, begin in down.items():
        if begin <= last:
            yield node, begin, last + 1
