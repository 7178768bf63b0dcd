"""The versions of one key and their descent: figure 3 of the paper, drawn from what happened.

Theory of operation.
Every write is a vertex.
An edge leads from a version to one whose writer had seen it, as the arrows of figure 3 do;
what follows from other edges is left out (the transitive reduction).
The versions that no edge leaves are the siblings: nothing has replaced them.

A trace says what each writer had seen, so its graph is exact in both readings of the clocks.
A bare list of versions has only their clocks, and is read as section 4.4 reads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from dynalab.core.clock import Dot, Ordering, compare, covers
from dynalab.core.session import encode_key, key_text
from dynalab.core.trace import TraceEvent
from dynalab.core.version import NO_DOT, Version

if TYPE_CHECKING:
    import networkx


class _Write(NamedTuple):
    name: str
    dot: Dot
    clock: Mapping[str, int]
    #: what its writer had seen, or None when only the clock is known
    context: Mapping[str, int] | None
    context_dots: tuple[Dot, ...]
    about: dict[str, Any]

    def descends_from(self, other: _Write) -> bool:
        if self.context is None:
            return compare(self.clock, other.clock) is Ordering.AFTER
        return self.dot != other.dot and covers(self.context, self.context_dots, other.dot)


def version_graph(
    trace_or_versions: Iterable[TraceEvent] | Iterable[Version], key: str | bytes | None = None
) -> networkx.DiGraph:
    """The versions of one key and which descends from which (paper 4.4, figure 3).

    Vertices are named by their dots ("A1"), with value, clock, deleted, node, time_us and current;
    an edge from u to v says that v descends directly from u.

    Args:
        trace_or_versions: trace events (only kind ``write`` is read), or versions.
        key: which key of the trace; may be left out when the trace writes only one.

    Raises:
        ValueError: the trace writes several keys and none was named.

    >>> old, new = Version("v1", {"A": 1}, Dot("A", 1)), Version("v2", {"A": 1, "B": 1}, Dot("B", 1))
    >>> list(version_graph([old, new]).edges)
    [('A1', 'B1')]
    """
    items = list(trace_or_versions)
    events = [item for item in items if isinstance(item, TraceEvent)]
    versions = [item for item in items if isinstance(item, Version)]
    writes = [_of_event(event) for event in _of_one_key(events, key)]
    writes += [_of_version(version, index) for index, version in enumerate(versions)]
    return _reduced({write.name: write for write in writes})


def _reduced(writes: dict[str, _Write]) -> networkx.DiGraph:
    import networkx  # Late, because many a page draws no graph.

    whole = networkx.DiGraph()
    whole.add_nodes_from(writes)
    whole.add_edges_from(
        (older, newer) for older in writes for newer in writes if writes[newer].descends_from(writes[older])
    )
    graph = networkx.transitive_reduction(whole) if writes else whole
    for name, write in writes.items():
        graph.add_node(name, **write.about, dot=write.dot, clock=dict(write.clock))
        graph.nodes[name]["current"] = graph.out_degree(name) == 0
    return graph


def _of_one_key(events: list[TraceEvent], key: str | bytes | None) -> list[TraceEvent]:
    written = [event for event in events if event.kind == "write"]
    if key is not None:
        chosen = encode_key(key)
        return [event for event in written if event.key == chosen]
    keys = sorted({event.key for event in written})
    if len(keys) > 1:
        names = ", ".join(repr(key_text(name)) for name in keys[:5])
        raise ValueError(f"the trace writes {len(keys)} keys ({names}, ...): name one, as in key={key_text(keys[0])!r}")
    return written


def _of_event(event: TraceEvent) -> _Write:
    detail = event.detail
    dot = Dot(*detail["dot"])
    apart = tuple(Dot(*pair) for pair in detail.get("context_dots", ()))
    value = detail.get("value", "")
    about = {"value": value, "deleted": value == "None", "node": event.node, "time_us": event.time_us}
    return _Write(str(dot), dot, detail["clock"], detail.get("context", {}), apart, about)


def _of_version(version: Version, index: int) -> _Write:
    named = version.dot != NO_DOT
    about = {"value": repr(version.value), "deleted": version.deleted, "node": version.dot.actor.split("~")[0]}
    name = str(version.dot) if named else f"D{index + 1}"
    return _Write(name, version.dot, version.clock, None, (), {**about, "time_us": 0})
