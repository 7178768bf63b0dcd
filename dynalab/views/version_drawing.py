"""The versions of one key as figure 3 of the paper has them: boxes with their clocks, older above newer.

A box has its coordinator's colour on the side; siblings that nothing has replaced have a thick frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dynalab.core.clock import VectorClock
from dynalab.core.session import encode_key, key_text
from dynalab.views.colours import FAINT, INK, PAPER, Look, looks
from dynalab.views.messages import cast_of, told_by
from dynalab.views.picture import TITLE, WORDS, canvas, figure_of, shortened, write
from dynalab.views.versions import version_graph

if TYPE_CHECKING:
    import networkx  # Loaded with the first graph, see `version_graph`.

WIDE, HIGH = 2.5, 0.72
"""Inches: of one box."""
ACROSS, DOWN = 2.85, 1.25
"""Inches: from one box to the next."""
LETTERS = 25
"""Characters that fit a box's width."""


def draw_versions(
    source: Any,
    key: str | bytes | None = None,
    ax: Axes | None = None,
    versions_max: int = 24,
) -> Figure:
    """Draw how the versions of one key descend from each other (paper 4.4, figure 3).

    Args:
        source: trace events (only kind ``write`` is drawn), or versions, or a cluster of either world, whose trace
            is drawn and whose order of nodes gives the colours.
        key: which key of the trace; may be left out when the trace writes only one.
        ax: draw here instead of in a new picture.
        versions_max: boxes at the most, 1 and up: the latest ones. The picture says how many it leaves out.

    Returns:
        The figure; its `.alt` says in words what it shows.

    Raises:
        ValueError: the trace writes several keys and none was named.
    """
    if versions_max < 1:
        raise ValueError(f"versions_max must be at least 1; got {versions_max!r}")
    items, order, _ = told_by(source)
    graph = version_graph(items, key)
    shown, left_out = _latest(graph, versions_max)
    places = _places(shown)
    across = max((x for x, _ in places.values()), default=0) + 1
    down = max((y for _, y in places.values()), default=0) + 1
    width = max(5.4, across * ACROSS + 0.6)
    ax = canvas(ax, "versions of one key", width, down * DOWN + 0.6)
    ax.set(xlim=(-width / 2, width / 2), ylim=(-down * DOWN, 0.6))
    said = _words(shown, "" if key is None else key_text(encode_key(key)), left_out)
    write(ax, 0, 0.28, said[0].rstrip("."), fontsize=TITLE, weight="bold")
    middles = {name: ((x - (across - 1) / 2) * ACROSS, -(y + 0.5) * DOWN) for name, (x, y) in places.items()}
    for older, newer in shown.edges:
        _draw_descent(ax, middles[older], middles[newer])
    writers = {about["node"] for _, about in shown.nodes(data=True)}
    look = looks(cast_of(writers, order))
    for name, about in shown.nodes(data=True):
        _draw_version(ax, middles[name], name, about, look[about["node"]])
    return figure_of(ax, " ".join(said))


def _latest(graph: networkx.DiGraph, versions_max: int) -> tuple[networkx.DiGraph, int]:
    """The part with the latest versions, and how many are left out."""
    import networkx

    ordered = list(networkx.lexicographical_topological_sort(graph, key=lambda name: graph.nodes[name]["time_us"]))
    kept = ordered[max(0, len(ordered) - versions_max) :]
    return graph.subgraph(kept), len(ordered) - len(kept)


def _places(graph: networkx.DiGraph) -> dict[str, tuple[float, int]]:
    """``{name: (column, row)}``: a version stands one row below the last it descends from, near its ancestors."""
    import networkx

    places: dict[str, tuple[float, int]] = {}
    generations = [sorted(names) for names in networkx.topological_generations(graph)]
    widest = max(map(len, generations), default=1)
    for row, names in enumerate(generations):
        wishes = {}
        for name in names:
            above = [places[older][0] for older in graph.predecessors(name)]
            wishes[name] = sum(above) / len(above) if above else widest / 2
        for index, name in enumerate(sorted(names, key=lambda name: (wishes[name], name))):
            places[name] = (index + (widest - len(names)) / 2, row)
    return places


def _draw_descent(ax: Axes, older: tuple[float, float], newer: tuple[float, float]) -> None:
    """An arrow from a version to one that replaced it; a longer one bends round the rows between."""
    rows = round((older[1] - newer[1]) / DOWN)
    bend = f"arc3,rad={0.25 if older[0] <= newer[0] else -0.25}" if rows > 1 else "arc3"
    ax.annotate(
        "",
        xy=(newer[0], newer[1] + HIGH / 2),
        xytext=(older[0], older[1] - HIGH / 2),
        arrowprops={"arrowstyle": "-|>", "color": INK, "linewidth": 1.6, "mutation_scale": 15, "connectionstyle": bend},
    )


def _draw_version(ax: Axes, middle: tuple[float, float], name: str, about: dict[str, Any], look: Look) -> None:
    x, y = middle
    left, bottom = x - WIDE / 2, y - HIGH / 2
    frame: dict[str, Any] = {"linewidth": 3.2 if about["current"] else 1.2, "edgecolor": INK}
    ax.add_patch(Rectangle((left, bottom), WIDE, HIGH, facecolor=PAPER, zorder=3, **frame))
    side: dict[str, Any] = {"facecolor": look.colour, "hatch": look.hatch, "edgecolor": INK}
    ax.add_patch(Rectangle((left, bottom), 0.14, HIGH, linewidth=0.8, zorder=4, **side))
    value = "deleted" if about["deleted"] else about["value"]
    style = "italic" if about["deleted"] else "normal"
    write(ax, x + 0.07, y + 0.16, shortened(value, LETTERS), zorder=5, style=style)
    clock = str(VectorClock(about["clock"]))
    words = clock if len(clock) <= LETTERS else f"{name} of {len(about['clock'])} actors"
    write(ax, x + 0.07, y - 0.17, words, color=INK if about["current"] else FAINT, zorder=5, fontsize=WORDS)


def _words(graph: networkx.DiGraph, key: str, left_out: int) -> list[str]:
    """The title, then the descent of every version in words."""
    import networkx

    current = [name for name, about in graph.nodes(data=True) if about["current"]]
    of = f" of “{shortened(key, 20)}”" if key else ""
    siblings = f", {len(current)} siblings" if len(current) > 1 else ""
    count = graph.number_of_nodes()
    said = [f"{count} version{'' if count == 1 else 's'}{of}{siblings}"]
    said[0] += f", {left_out} earlier left out." if left_out else "."
    for name in networkx.topological_sort(graph):
        about, older = graph.nodes[name], sorted(graph.predecessors(name))
        value = "a deletion" if about["deleted"] else about["value"]
        said.append(f"{name} is {value}" + (f", which replaced {' and '.join(older)}." if older else "."))
    return said
