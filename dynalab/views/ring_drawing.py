"""The ring as a picture: key ranges around, nodes inside, and the walk of a key (paper 4.2, 4.3, 4.6).

Positions run clockwise from the top.
Solid numbers are the homes of the key, dashed numbers the fallbacks, both in the order of preference.
"""

from __future__ import annotations

from itertools import combinations, groupby
from math import cos, pi, sin
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Polygon, Wedge

from dynalab.core.ring import RING_SIZE, Ring, position_of
from dynalab.core.session import encode_key, key_text
from dynalab.views.colours import FAINT, INK, PAPER, Look, looks
from dynalab.views.picture import TITLE, WORDS, canvas, figure_of, shortened, write
from dynalab.views.scene import CRASHED, PAUSED, UP, Scene

INNER, OUTER = 1.0, 1.17
BADGES = 1.29
SEAT, SEAT_IN_A_CROWD = 0.59, 0.76
SLICES_MAX = 720
"""More key ranges than this are drawn as so many slices."""
LINKED_MAX = 12
"""In a larger cluster, links between nodes would only be a haze."""
BADGES_MAX = 8
DETAILED_MAX = 200
"""With more key ranges, their tokens and hatches are left out."""


class _Arc(NamedTuple):
    owner: str
    #: turns of the ring, clockwise from the top, 0 to 1
    start: float
    end: float


def draw_ring(
    ring_or_cluster: Any, key: str | bytes | None = None, n: int | None = None, ax: Axes | None = None
) -> Figure:
    """Draw key ranges by owner, the nodes with their state, cuts, and the walk of `key`.

    Args:
        ring_or_cluster: a `Ring`, a `Cluster` or a `Simulation`.
        key: show where it falls and whom it prefers, 1 the first.
        n: replicas of a key; default the cluster's, or 3.
        ax: draw here instead of in a new picture.

    Returns:
        The figure; its `.alt` says in words what it shows.
    """
    return draw_scene(Scene.of(ring_or_cluster, n), key, ax)


def draw_scene(scene: Scene, key: str | bytes | None = None, ax: Axes | None = None) -> Figure:
    """Draw what `Scene.of` has read; for whoever reads on one thread and draws on another."""
    ax = canvas(ax, f"ring of {len(scene.nodes)} nodes", 8.4, 7.4)
    ax.set_aspect("equal")
    ax.set(xlim=(-1.75, 1.75), ylim=(-1.66, 1.45))
    look = looks(scene.nodes)
    _draw_arcs(ax, _arcs(scene.ring), look)
    seats = _seats(scene.nodes)
    _draw_links(ax, scene, seats)
    ranks = {} if key is None else {node: rank for rank, node in enumerate(_walk(scene.ring, key), start=1)}
    for node, seat in seats.items():
        _draw_node(ax, scene, node, seat, look[node], ranks.get(node, 0))
    said = [_title(scene), *scene.words()]
    if key is not None:
        said.insert(1, _draw_walk(ax, scene, encode_key(key)))
    write(ax, 0, 1.39, _title(scene).rstrip("."), fontsize=TITLE, weight="bold")
    write(ax, 0, -1.37, "\n".join(_lines(said[1:])), va="top", linespacing=1.3)
    return figure_of(ax, " ".join(said))


def _title(scene: Scene) -> str:
    return f"Ring of {len(scene.nodes)} nodes, {len(scene.ring.ranges)} key ranges, N = {scene.n}."


def _lines(sentences: list[str], length: int = 84, lines_max: int = 3) -> list[str]:
    """Sentences in lines, none broken unless it must be; what finds no room is counted."""
    lines: list[str] = []
    for number, sentence in enumerate(sentences):
        fits = lines and len(lines[-1]) + len(sentence) < length
        if not fits and len(lines) == lines_max:
            lines[-1] = shortened(lines[-1], length - 10) + f" +{len(sentences) - number} more"
            return lines
        if fits:
            lines[-1] += " " + sentence
        else:
            lines.append(shortened(sentence, length))
    return lines


# -------------------------------------------------------------------- the circle


def _arcs(ring: Ring) -> list[_Arc]:
    """The key ranges, at most `SLICES_MAX` of them."""
    ranges = ring.ranges if ring.tokens else ()
    if len(ranges) > SLICES_MAX:
        slices = [(ring.walk(i * RING_SIZE // SLICES_MAX)[0], i) for i in range(SLICES_MAX)]
        groups = [(owner, [i for _, i in run]) for owner, run in groupby(slices, key=lambda pair: pair[0])]
        return [_Arc(owner, run[0] / SLICES_MAX, (run[-1] + 1) / SLICES_MAX) for owner, run in groups]
    return [_Arc(ring.walk(part.end)[0], _turn(part.end) - part.size / RING_SIZE, _turn(part.end)) for part in ranges]


def _turn(position: int) -> float:
    return position / RING_SIZE


def _at(turn: float, radius: float) -> tuple[float, float]:
    angle = pi / 2 - 2 * pi * turn
    return radius * cos(angle), radius * sin(angle)


def _draw_arcs(ax: Axes, arcs: list[_Arc], look: dict[str, Look]) -> None:
    """Each arc in its owner's colour, named where the name fits, hatched where it does not."""
    if not arcs:
        ax.add_patch(Wedge((0, 0), OUTER, 0, 360, width=OUTER - INNER, facecolor=PAPER, edgecolor=INK))
    for arc in arcs:
        named = (arc.end - arc.start) * 360 >= 2.6 * len(arc.owner) + 1
        style: dict[str, Any] = {"facecolor": look[arc.owner].colour, "edgecolor": INK}
        style["linewidth"] = 0.8 if len(arcs) <= DETAILED_MAX else 0.2
        if not named and len(arcs) <= DETAILED_MAX:
            style["hatch"] = look[arc.owner].hatch
        degrees = (90 - 360 * arc.end, 90 - 360 * arc.start)
        ax.add_patch(Wedge((0, 0), OUTER, *degrees, width=OUTER - INNER, **style))
        if named:
            x, y = _at((arc.start + arc.end) / 2, (INNER + OUTER) / 2)
            write(ax, x, y, arc.owner, color=look[arc.owner].ink)
        if len(arcs) <= DETAILED_MAX:
            ax.plot(*_at(arc.end, INNER - 0.025), marker=look[arc.owner].marker, markersize=4, color=INK, zorder=3)


# -------------------------------------------------------------------- the nodes


def _seats(nodes: tuple[str, ...]) -> dict[str, tuple[float, float]]:
    radius = 0.0 if len(nodes) == 1 else SEAT if len(nodes) <= LINKED_MAX else SEAT_IN_A_CROWD
    return {node: _at(index / len(nodes), radius) for index, node in enumerate(nodes)}


def _size(scene: Scene) -> float:
    """The radius of a node's disc: smaller in a crowd."""
    return min(0.14, 1.5 / max(1, len(scene.nodes)))


def _draw_links(ax: Axes, scene: Scene, seats: dict[str, tuple[float, float]]) -> None:
    """Thin lines where two nodes hear each other; a dotted line with a cross where they do not."""
    cut = set(scene.cut_pairs())
    if len(scene.nodes) > LINKED_MAX:
        return
    for pair in combinations(scene.nodes, 2):
        (x1, y1), (x2, y2) = (seats[node] for node in pair)
        if pair in cut:
            ax.plot([x1, x2], [y1, y2], color=INK, linestyle=":", linewidth=1.3, zorder=1)
            ax.plot([(x1 + x2) / 2], [(y1 + y2) / 2], "x", color=INK, markersize=11, markeredgewidth=2.6, zorder=2)
        else:
            ax.plot([x1, x2], [y1, y2], color="#c4c4c4", linewidth=1.2, zorder=1)


def _draw_node(ax: Axes, scene: Scene, node: str, seat: tuple[float, float], look: Look, rank: int) -> None:
    """A disc with the node's name; its state is said by its outline, a sign and a word."""
    x, y = seat
    size, state = _size(scene), scene.state(node)
    suspected = node in scene.suspected_by
    down = state == CRASHED
    style = {"linestyle": "--" if down else ":" if suspected else "-", "linewidth": 3.2 if 0 < rank <= scene.n else 1.6}
    ax.add_patch(Circle(seat, size, facecolor=PAPER if down else look.colour, edgecolor=INK, zorder=4, **style))
    _draw_name(ax, scene, node, seat, INK if down else look.ink)
    if down:
        ax.plot([x - size, x + size], [y - size, y + size], color=INK, linewidth=2.5, zorder=5)
    if state == PAUSED:
        for shift in (-0.035, 0.035):
            ax.add_patch(Polygon(_bar(x + shift, y - size * 0.6), facecolor=look.ink, zorder=6))
    words = [] if state == UP else [state]
    words += ["suspected"] if suspected and not down else []
    if words and len(scene.nodes) <= LINKED_MAX:
        write(ax, x, y - size - 0.07, ", ".join(words), zorder=6, bbox=_label_box())
    if rank and len(scene.nodes) <= LINKED_MAX:
        _draw_badge(ax, x + size * 0.95, y + size * 0.95, rank, rank <= scene.n)


def _draw_name(ax: Axes, scene: Scene, node: str, seat: tuple[float, float], ink: str) -> None:
    """On the disc where it fits, above it where not; in a crowd beside it, away from the middle."""
    (x, y), size = seat, _size(scene)
    letters = max(WORDS, min(17, 17 - 3 * (len(node) - 2)))
    if len(scene.nodes) > LINKED_MAX:
        nth = -(-len(scene.nodes) // 60)
        away = 1 + 0.085 / SEAT_IN_A_CROWD
        if scene.nodes.index(node) % nth == 0:
            write(ax, x * away, y * away, shortened(node, 5), zorder=6)
    elif 2 * size * 160 > len(node) * letters * 0.9:
        write(ax, x, y + (0.025 if scene.state(node) == PAUSED else 0), node, color=ink, fontsize=letters, zorder=6)
    else:
        write(ax, x, y + size + 0.05, shortened(node, 14), zorder=6)


def _bar(x: float, y: float) -> list[tuple[float, float]]:
    return [(x - 0.012, y - 0.03), (x + 0.012, y - 0.03), (x + 0.012, y + 0.03), (x - 0.012, y + 0.03)]


def _label_box() -> dict[str, Any]:
    return {"facecolor": PAPER, "edgecolor": "none", "pad": 1.5, "alpha": 0.9}


# -------------------------------------------------------------------- the walk of a key


def _walk(ring: Ring, key: str | bytes) -> tuple[str, ...]:
    return ring.walk(position_of(encode_key(key))) if ring.tokens else ()


def _draw_walk(ax: Axes, scene: Scene, key: bytes) -> str:
    """Mark the key's position, number the walk; the walk in words."""
    turn, name = _turn(position_of(key)), shortened(key_text(key), 24)
    ax.plot([_at(turn, INNER)[0], _at(turn, OUTER)[0]], [_at(turn, INNER)[1], _at(turn, OUTER)[1]], color=INK, lw=3)
    ax.plot(*_at(turn, INNER - 0.07), marker="D", markersize=11, color=PAPER, markeredgecolor=INK, mew=2.4, zorder=5)
    # Before the numbers, seen clockwise, and running away from the ring.
    side = "left" if 0.125 <= turn < 0.625 else "right"
    write(ax, *_at(turn - 0.012, BADGES - 0.03), f"“{shortened(name, 10)}”", weight="bold", ha=side)
    walk = _walk(scene.ring, key)
    for rank, (true, shown) in _badge_turns(scene.ring, walk, turn).items():
        ax.plot(*zip(_at(true, OUTER), _at(shown, BADGES - 0.05), strict=True), color=FAINT, linewidth=1)
        _draw_badge(ax, *_at(shown, BADGES), rank, rank <= scene.n)
    homes, fallbacks = ", ".join(walk[: scene.n]), ", ".join(walk[scene.n : scene.n + 6])
    said = f"“{name}” lives on {homes}" if homes else f"“{name}” has no home yet"
    return said + (f"; fallbacks, dashed: {fallbacks}." if fallbacks else ".")


def _draw_badge(ax: Axes, x: float, y: float, rank: int, home: bool) -> None:
    style = {"facecolor": INK, "linestyle": "-"} if home else {"facecolor": PAPER, "linestyle": (0, (2, 1.4))}
    ax.add_patch(Circle((x, y), 0.055, edgecolor=INK, linewidth=1.4, zorder=7, **style))
    write(ax, x, y - 0.004, str(rank), color=PAPER if home else INK, weight="bold", zorder=8)


def _badge_turns(ring: Ring, walk: tuple[str, ...], turn: float) -> dict[int, tuple[float, float]]:
    """``{rank: (where the walk first meets this node, where its number has room)}``, in turns."""
    arcs = _arcs(ring)
    first = next((i for i, arc in enumerate(arcs) if (turn - arc.start) % 1 <= arc.end - arc.start), 0)
    met: dict[str, float] = {}
    for arc in arcs[first:] + arcs[:first]:
        met.setdefault(arc.owner, (arc.start + arc.end) / 2)
    true = {rank: met[node] for rank, node in enumerate(walk[:BADGES_MAX], start=1) if node in met}
    shown: dict[int, tuple[float, float]] = {}
    latest = -1.0
    for rank in sorted(true, key=lambda rank: (true[rank] - turn + 0.5 / len(arcs)) % 1):
        along = max((true[rank] - turn + 0.5 / len(arcs)) % 1, latest + 0.0153)
        latest = along
        shown[rank] = (true[rank], along + turn - 0.5 / len(arcs))
    return shown
