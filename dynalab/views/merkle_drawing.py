"""Two Merkle trees and where they differ (paper 4.7): what an exchange looks into, level by level.

The tree has 65,536 leaves, far too many to draw.
So a picture has what an exchange visits: each branch that differs, with its differing children below it,
and on every branch the count of children that agree, and are never looked into.
"""

from __future__ import annotations

from typing import Any

import networkx
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dynalab.core.merkle import DEPTH, FANOUT_BITS, MerkleTree, differing_paths
from dynalab.core.session import key_text
from dynalab.views.colours import FAINT, INK, PALETTE, PAPER
from dynalab.views.picture import TITLE, WORDS, canvas, figure_of, shortened, write

WIDE, HIGH = 1.5, 0.62
"""Inches: of one box."""
ACROSS, DOWN = 1.7, 1.15
"""Inches: from one box to the next."""
LEAVES_MAX = 7
"""Differing leaves drawn at the most; the picture says how many it leaves out."""
LEVELS = ("root", "level 1", "level 2", "level 3", "leaf")


def difference_graph(left: MerkleTree, right: MerkleTree, leaves_max: int = LEAVES_MAX) -> networkx.DiGraph:
    """The branches and leaves whose digests differ, from the root down.

    Returns:
        A graph whose vertices are paths, each with its `level`, `agree` (children that need no look; branches only)
        and `keys` (the keys that differ; leaves only); the graph's own `left_out` counts leaves not drawn.
    """
    levels = differing_paths(left, right)
    graph = networkx.DiGraph(left_out=max(0, len(levels[DEPTH]) - leaves_max))
    for leaf in levels[DEPTH][:leaves_max]:
        keys = left.keys_that_differ(leaf, right.leaf(leaf))
        graph.add_node(leaf, level=DEPTH, keys=[key_text(key) for key in keys])
        for level in range(DEPTH - 1, -1, -1):
            child, branch = leaf >> FANOUT_BITS * (DEPTH - 1 - level), leaf >> FANOUT_BITS * (DEPTH - level)
            graph.add_node(branch, level=level, agree=_agreeing(left, right, branch))
            graph.add_edge(branch, child)
    return graph


def _agreeing(left: MerkleTree, right: MerkleTree, branch: int) -> int:
    theirs = right.children(branch)
    both = left.children(branch).keys() | theirs.keys()
    return len(both) - len(left.paths_that_differ(branch, theirs))


def draw_difference(
    left: MerkleTree, right: MerkleTree, ax: Axes | None = None, leaves_max: int = LEAVES_MAX
) -> Figure:
    """Draw what an exchange of two trees looks into (paper 4.7).

    Args:
        left: the tree of one key range on one node.
        right: that of the same key range on another.
        ax: draw here instead of in a new picture.
        leaves_max: differing leaves at the most, 1 and up.

    Returns:
        The figure; its `.alt` says in words what it shows.

    Raises:
        ValueError: leaves_max < 1.
    """
    if leaves_max < 1:
        raise ValueError(f"leaves_max must be at least 1; got {leaves_max!r}")
    graph = difference_graph(left, right, leaves_max)
    places = _places(graph)
    width = max(6.4, (max((x for x, _ in places.values()), default=0) + 1) * ACROSS + 1.6)
    ax = canvas(ax, "where two Merkle trees differ", width, (DEPTH + 1) * DOWN + 0.7)
    ax.set(xlim=(-1.3, width - 1.3), ylim=(-(DEPTH + 0.5) * DOWN, DOWN / 2 + 0.7))
    said = _words(left, right, graph)
    write(ax, width / 2 - 1.3, DOWN / 2 + 0.35, said[0].rstrip("."), fontsize=TITLE, weight="bold")
    for level, name in enumerate(LEVELS):
        write(ax, -1.2, -level * DOWN, name, ha="left", color=FAINT)
    middles = {path: (x * ACROSS + 0.6, -level * DOWN) for path, (x, level) in places.items()}
    for branch, child in graph.edges:
        (above_x, above_y), (below_x, below_y) = middles[branch], middles[child]
        ax.plot([above_x, below_x], [above_y - HIGH / 2, below_y + HIGH / 2], color=INK, linewidth=1.6, zorder=1)
    for path, about in graph.nodes(data=True):
        _draw_box(ax, middles[path], about)
    return figure_of(ax, " ".join(said))


def _places(graph: networkx.DiGraph) -> dict[int, tuple[float, int]]:
    """``{path: (column, level)}``: leaves side by side, each branch in the middle above its own."""
    places: dict[int, tuple[float, int]] = {}
    for path in sorted(graph, reverse=True):
        about, children = graph.nodes[path], sorted(graph.successors(path))
        if children:
            places[path] = (sum(places[child][0] for child in children) / len(children), about["level"])
        else:
            places[path] = (sorted(leaf for leaf in graph if not graph.out_degree(leaf)).index(path), about["level"])
    return places


def _draw_box(ax: Axes, middle: tuple[float, float], about: dict[str, Any]) -> None:
    x, y = middle
    leaf = "keys" in about
    frame: dict[str, Any] = {"edgecolor": INK, "linewidth": 2.4 if leaf else 1.2, "zorder": 2}
    ax.add_patch(Rectangle((x - WIDE / 2, y - HIGH / 2), WIDE, HIGH, facecolor=PALETTE[6] if leaf else PAPER, **frame))
    words = shortened(", ".join(about["keys"]), 14) if leaf else f"{about['agree']} agree"
    write(ax, x, y, words, zorder=3, fontsize=WORDS)


def _words(left: MerkleTree, right: MerkleTree, graph: networkx.DiGraph) -> list[str]:
    """The title, then the way down in words."""
    if not graph:
        return [f"Two trees of {len(left)} keys agree: one comparison, of the roots."]
    keys = [key for _, about in graph.nodes(data=True) for key in about.get("keys", ())]
    left_out = f", {graph.graph['left_out']} more leaves left out" if graph.graph["left_out"] else ""
    many = f"{len(keys)} key{'' if len(keys) == 1 else 's'}"
    said = [f"{many} differ{'s' if len(keys) == 1 else ''} between trees of {len(left)} and {len(right)}{left_out}."]
    branches = sum(about["level"] < DEPTH for _, about in graph.nodes(data=True))
    return [*said, f"The exchange looks into {branches} branches, and finds {', '.join(sorted(keys))}."]
