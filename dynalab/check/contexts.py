"""Contexts that claim too much: a client that hands one back would bury writes it never saw (paper 4.1, 4.4).

The final states cannot show this: the burying write looks as if its client had known.
So the answers themselves are judged.
"""

from __future__ import annotations

from collections.abc import Iterator

from dynalab.check.history import OK, Operation
from dynalab.check.oracle import Event, Oracle
from dynalab.check.report import Violation


def greedy_acknowledgements(oracle: Oracle) -> Iterator[Violation]:
    """I9: an acknowledgement's context covers more than what was used, and one new write (S14).

    A repeated request is left out: its write may be part of what was used already.
    """
    for operation in oracle.history.writes():
        if operation.outcome != OK or operation.dot is not None:
            continue
        if len(oracle.history.attempts(operation.write)) == 1 and operation.context and operation.used:
            text = (
                f"the acknowledgement of {operation.write} of {operation.key!r} used {operation.used.clock} and gave "
                f"{operation.context.clock}: not one new write more"
            )
            yield Violation("I9", text, operation.key, (operation.write,))


def greedy_reads(oracle: Oracle) -> Iterator[Violation]:
    """I4: a get's context covers a write that it neither returned nor saw replaced."""
    for operation in oracle.history.operations:
        if operation.kind == "get" and operation.context is not None:
            events = oracle.events(operation.key)
            yield from (_greedy(operation, event) for event in events if _is_buried(operation, event, events))


def _is_buried(operation: Operation, event: Event, events: list[Event]) -> bool:
    """Whether the get's context covers a live write that its versions do not show, and nothing had replaced."""
    context = operation.context
    if context is None or event.dot is None or event.deleted or not context.covers(event.dot):
        return False
    if any(seen.dot == event.dot for seen in operation.seen):
        return False
    heard = (other for other in events if other is not event and (other.dot is None or context.covers(other.dot)))
    return not any(other.maybe_replaced(event.dot) for other in heard)


def _greedy(operation: Operation, event: Event) -> Violation:
    text = (
        f"a get of {operation.client} gave a context that covers {event.write} ({event.dot}) of {operation.key!r}, "
        f"which it did not return and nothing had replaced"
    )
    return Violation("I4", text, operation.key, (event.write,))
