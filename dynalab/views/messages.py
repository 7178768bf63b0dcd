"""A trace as a graph of what led to what: the happened-before relation of a run.

    send ──message──▶ receive or drop      a message between two nodes
    event ──then──▶ the same node's next   one node's own order
    event ──cause──▶ what it led to        inside one node

Along the edges time never goes back, so two events are concurrent exactly when no path joins them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from dynalab.core.trace import TraceEvent

if TYPE_CHECKING:
    import networkx

MESSAGE_KINDS = ("send", "receive", "drop")


def message_graph(trace: Iterable[TraceEvent]) -> networkx.DiGraph:
    """One vertex per event, named by its `seq`, with `event` and the event's node, kind, message and time_us.

    Edges have kind="message", "then" or "cause"; a cause that the trace does not hold is left out.

    >>> sent = TraceEvent(1, 0, "A", "send", "Ping", "B")
    >>> graph = message_graph([sent, TraceEvent(2, 300, "B", "receive", "Ping", "A", cause=1)])
    >>> list(graph.edges(data="kind"))
    [(1, 2, 'message')]
    """
    import networkx  # Late, because many a page draws no graph.

    graph = networkx.DiGraph()
    events = sorted(trace, key=lambda event: (event.time_us, event.seq))
    last: dict[str, int] = {}
    for event in events:
        graph.add_node(
            event.seq, event=event, node=event.node, kind=event.kind, message=event.message, time_us=event.time_us
        )
    for event in events:
        before = last.get(event.node)
        if before is not None:
            graph.add_edge(before, event.seq, kind="then")
        if event.cause in graph and event.cause != event.seq:
            graph.add_edge(event.cause, event.seq, kind=_kind(graph.nodes[event.cause]["event"], event))
        last[event.node] = event.seq
    return graph


def _kind(cause: TraceEvent, event: TraceEvent) -> str:
    carried = cause.kind == "send" and event.kind in {"receive", "drop"}
    return "message" if carried else "cause"


def messages(graph: networkx.DiGraph) -> list[tuple[TraceEvent, TraceEvent]]:
    """Every message as (its send, its receive or drop), in the order they were sent."""
    pairs = [
        (graph.nodes[sent]["event"], graph.nodes[arrived]["event"])
        for sent, arrived, kind in graph.edges(data="kind")
        if kind == "message"
    ]
    return sorted(pairs, key=lambda pair: (pair[0].time_us, pair[0].seq, pair[1].seq))


def cast_of(names: Iterable[str], nodes: Sequence[str] = ()) -> tuple[str, ...]:
    """The nodes among `names`: in the order of `nodes`, then those not in it by name; clients are none.

    >>> cast_of(["cluster", "B", "client:bob", "AA", "cy"], nodes=["cy", "ann"])
    ('cy', 'ann', 'B', 'AA')
    """
    others = {name for name in names if name not in {"cluster", *nodes} and not name.startswith("client:")}
    return (*nodes, *sorted(others, key=lambda name: (len(name) if name.isupper() else 0, name)))


def told_by(source: Any) -> tuple[list[Any], tuple[str, ...], int]:
    """The events (or versions) of a trace or a list, or the trace of a cluster; its nodes in order; the gaps.

    A bare trace does not know the cluster's order: its nodes are empty.
    """
    told = getattr(source, "trace", source)
    return list(told), tuple(getattr(source, "nodes", ())), getattr(told, "gaps", 0)
