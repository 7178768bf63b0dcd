"""The ring as a networkx graph: key ranges, nodes, and who keeps what (paper 4.2, 4.3, 4.6).

KeyRange ──next──▶ KeyRange      clockwise
KeyRange ──home──▶ node          rank 1 .. n, the owner first
key ──falls_into──▶ KeyRange     when a key is given
key ──home / fallback──▶ node    rank 1 .. all nodes: the whole walk
"""

from __future__ import annotations

import networkx

from dynalab.core.ring import Ring, position_of
from dynalab.core.session import encode_key, key_text


def ring_graph(ring: Ring, n: int = 3, key: str | bytes | None = None) -> networkx.DiGraph:
    """The key ranges and nodes of `ring`, joined by who keeps what with `n` replicas (paper 4.3).

    Vertices are `KeyRange`s (kind="range", owner), node names (kind="node", tokens, share, zone),
    and ``key:<text>`` (kind="key", position) when a key is given.
    `share` is the fraction of all positions that a node keeps a replica of, 0 to 1.

    Args:
        ring: any ring; one without tokens has no vertices.
        n: replicas of a key, 1 and up; more than there are nodes means all nodes.
        key: also show where this key falls, and its walk.

    >>> graph = ring_graph(Ring({100: "A", 200: "B", 300: "C"}), n=2)
    >>> sorted(graph.successors("A")), graph.nodes["A"]["tokens"]
    ([], [100])
    """
    if n < 1:
        raise ValueError(f"n must be at least 1; got {n!r}")
    graph = networkx.DiGraph(n=min(n, len(ring.nodes)))
    if ring.tokens:
        _add_nodes(graph, ring, n)
        _add_ranges(graph, ring, n)
    if key is not None:
        _add_key(graph, ring, n, encode_key(key))
    return graph


def _add_nodes(graph: networkx.DiGraph, ring: Ring, n: int) -> None:
    share = ring.share(n)
    zones = ring.zones
    for node in ring.nodes:
        tokens = [position for position, owner in ring.tokens if owner == node]
        graph.add_node(node, kind="node", tokens=tokens, share=share[node], zone=zones.get(node, ""))


def _add_ranges(graph: networkx.DiGraph, ring: Ring, n: int) -> None:
    ranges = ring.ranges
    for key_range, following in zip(ranges, (*ranges[1:], ranges[0]), strict=True):
        walk = ring.walk(key_range.end)
        graph.add_node(key_range, kind="range", owner=walk[0])
        if following != key_range:
            graph.add_edge(key_range, following, kind="next")
        for rank, node in enumerate(walk[:n], start=1):
            graph.add_edge(key_range, node, kind="home", rank=rank)


def _add_key(graph: networkx.DiGraph, ring: Ring, n: int, key: bytes) -> None:
    position = position_of(key)
    vertex = f"key:{key_text(key)}"
    graph.add_node(vertex, kind="key", key=key, position=position)
    graph.add_edge(vertex, ring.range_at(position), kind="falls_into")
    for rank, node in enumerate(ring.walk(position), start=1):
        graph.add_edge(vertex, node, kind="home" if rank <= n else "fallback", rank=rank)
