"""A run as a space-time diagram: one lane for each client and node, time to the right, messages as arrows.

Quiet stretches are squeezed and marked with how long they were,
because in a real run a put takes a millisecond and the hand on the mouse takes a second.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dynalab.core.session import key_text
from dynalab.core.trace import TraceEvent
from dynalab.views.colours import FAINT, INK, PAPER, looks
from dynalab.views.flow import Arrow, Band, Flow, family_of, flow_of
from dynalab.views.picture import TITLE, WORDS, canvas, figure_of, shortened, write

WIDTH, LANE = 10.4, 0.72
"""Inches: of the picture, and of one lane."""
ABOVE = 1.55
"""Lanes' worth of room for title, fault words and the clock."""
LEFT, RIGHT = 0.115, 0.985
SQUEEZED = 8
"""A pause longer than so many usual steps takes no more room than these."""
NAMED_PAUSE, PAUSES_MAX = 25, 5
"""The longest pauses above so many usual steps are marked."""
LEGEND_COLUMNS, LEGEND_LINE = 5, 0.26


class _Style(NamedTuple):
    colour: str
    line: Any
    head: str
    width: float


STYLES = {
    "put": _Style("#0072b2", "-", "-|>", 2.0),
    "get": _Style("#00795a", (0, (6, 2)), "-|>", 1.8),
    "answer": _Style("#767676", (0, (1.5, 1.5)), "->", 1.3),
    "read repair": _Style("#a0427a", "-.", "-|>", 2.0),
    "hand-off": _Style("#c04e00", "-", "simple,tail_width=0.12,head_width=0.5,head_length=0.6", 1.2),
    "anti-entropy": _Style("#8a6100", (0, (4, 1, 1, 1, 1, 1)), "->", 1.6),
    "root comparison": _Style("#8a6100", ":", "->", 1.0),
    "gossip": _Style("#8a6d8f", ":", "->", 1.0),
    "ping": _Style("#9a9a9a", ":", "-", 0.8),
}

#: {kind of event: (marker, what the legend calls it)}
MARKS = {
    "write": ("D", "write"),
    "hint": ("^", "hint kept"),
    "handoff": ("v", "hint handed over"),
    "repair": ("P", "stale replica found"),
    "suspect": ("$?$", "suspects"),
    "trust": ("$!$", "trusts again"),
    "fail": ("X", "request failed"),
    "incarnation": ("*", "new incarnation"),
}


def draw_timeline(
    trace_or_cluster: Any,
    ax: Axes | None = None,
    *,
    key: str | bytes | None = None,
    nodes: Sequence[str] | None = None,
    since_ms: float = 0,
    until_ms: float | None = None,
    messages_max: int = 60,
    background: bool = False,
) -> Figure:
    """Draw messages between clients and nodes, what nodes did, and the faults behind them as shaded bands.

    Args:
        trace_or_cluster: trace events in any order, or a cluster of either world, whose trace is drawn
            and whose order of nodes gives the colours.
        ax: draw here instead of in a new picture.
        key: only what is about this key; faults are always shown.
        nodes: these lanes, in this order; default all that take part.
        since_ms: nothing that happened before.
        until_ms: nothing that happened after; default to the end.
        messages_max: arrows at the most, 1 and up: the latest ones. The picture says what it leaves out.
        background: also pings, gossip and comparisons of Merkle roots.

    Returns:
        The figure; its `.alt` says in words what it shows.
    """
    if messages_max < 1:
        raise ValueError(f"messages_max must be at least 1; got {messages_max!r}")
    flow = flow_of(trace_or_cluster, key, nodes, since_ms, until_ms, messages_max, background)
    drawing = _Timeline(flow)
    ax = canvas(ax, "timeline of messages", WIDTH, drawing.height)
    drawing.draw(ax)
    return figure_of(ax, _alt(flow))


class _Timeline:
    """One drawing: places in units of lanes (downwards) and of the whole width (0 to 1)."""

    ax: Axes

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.times = flow.times
        self.places, self.pauses = _squeezed(self.times)
        self.row = {lane: -index for index, lane in enumerate(flow.lanes)}
        self.depth = max(2, len(flow.lanes))
        self.legend = _legend(flow, bool(self.pauses))
        #: inches, and the units of lanes below the lowest one
        self.below = LEGEND_LINE * -(-len(self.legend) // LEGEND_COLUMNS) / LANE
        self.height = LANE * (self.depth + ABOVE + self.below)
        #: {lane: where its last label ends}, so that labels do not run into each other
        self.written: dict[str, float] = {}

    def x(self, time_us: int) -> float:
        """Where a time is; times outside the drawn stretch lie on its edge."""
        return self.places[min(bisect_left(self.times, time_us), len(self.times) - 1)]

    def draw(self, ax: Axes) -> None:
        """Draw everything, from the shades at the back to the words in front."""
        self.ax = ax
        ax.set(xlim=(-LEFT / (RIGHT - LEFT), 1 + (1 - RIGHT) / (RIGHT - LEFT)))
        ax.set(ylim=(1.55 - ABOVE - self.depth - self.below, 1.55))
        for band in self.flow.bands:
            self._draw_band(band)
        self._draw_lanes()
        self._draw_clock()
        for arrow in self.flow.arrows:
            self._draw_arrow(arrow)
        for mark in self.flow.marks:
            self._draw_mark(mark)
        for time_us, words in self.flow.moments:
            self.ax.plot([self.x(time_us)] * 2, [0.5, 0.5 - self.depth], color=INK, linewidth=1, linestyle=":")
            self._label("faults", self.x(time_us), 0.72, words)
        self._draw_words()

    def _draw_lanes(self) -> None:
        look = looks(self.flow.cast)
        for lane, row in self.row.items():
            self.ax.plot([0, 1], [row, row], color="#bdbdbd", linewidth=1.2, zorder=1)
            if lane in look:
                style: dict[str, Any] = {"color": look[lane].colour, "markeredgecolor": INK, "clip_on": False}
                self.ax.plot([-0.02], [row], marker=look[lane].marker, markersize=12, zorder=4, **style)
            name = shortened(lane.removeprefix("client:"), 10)
            write(self.ax, -0.036, row, name, ha="right", weight="bold" if lane in look else "normal")

    def _draw_clock(self) -> None:
        """The time where a stretch begins, and how long each squeezed pause was."""
        bottom, ended = 0.42 - self.depth, -1.0
        ticks = {0, *(index + 1 for index, _ in self.pauses), len(self.times) - 1}
        ticks |= {
            bisect_left(self.times, time_us) for band in self.flow.bands for time_us in (band.start_us, band.end_us)
        }
        for index in sorted(tick for tick in ticks if tick < len(self.times)):
            place, words = self.places[index], _time(self.times[index], self.times[-1] - self.times[0])
            if place > ended and (index == len(self.times) - 1 or place < 0.9):
                self.ax.plot([place] * 2, [bottom + 0.06, bottom - 0.04], color=FAINT, linewidth=1)
                side = "left" if place < 0.02 else "right" if place > 0.98 else "center"
                write(self.ax, place, bottom - 0.2, words, color=FAINT, ha=side)
                ended = place + 0.013 * len(words)
        for index, _ in self.pauses:
            middle = (self.places[index] + self.places[index + 1]) / 2
            self.ax.plot([middle] * 2, [0.45, bottom], color=FAINT, linewidth=1.4, linestyle=(0, (1, 3)), zorder=1)

    def _draw_band(self, band: Band) -> None:
        start, end = self.x(band.start_us), self.x(band.end_us)
        if end <= start:
            return
        rows = [self.row[node] for node in band.nodes if node in self.row]
        if band.nodes and not rows:
            return
        top, bottom = (max(rows) + 0.3, min(rows) - 0.3) if rows else (0.45, 0.55 - self.depth)
        hatch = {"partition": "", "crash": "xx", "pause": "||"}[band.verb]
        self.ax.fill_between(
            [start, end], bottom, top, facecolor="#ececec", edgecolor="#cfcfcf", hatch=hatch, linewidth=0.8, zorder=0
        )
        if band.nodes:
            self._label(band.nodes[0], start + 0.004, top - 0.13, band.words)
        else:
            self._label("faults", start, 0.72, f"cut: {band.words}")

    def _draw_arrow(self, arrow: Arrow) -> None:
        style = STYLES[family_of(arrow.message)]
        start = (self.x(arrow.sent_us), self.row[arrow.sender])
        end = (self.x(arrow.ended_us), self.row[arrow.to])
        line = {"color": style.colour, "linewidth": style.width, "linestyle": style.line, "zorder": 3}
        if arrow.fate == "arrived":
            properties = {"arrowstyle": style.head, "shrinkA": 0, "shrinkB": 1, "mutation_scale": 13, **line}
            self.ax.annotate("", xy=end, xytext=start, arrowprops=properties, zorder=3)
            return
        lost = (start[0] + 0.012, start[1] + 0.45 * (end[1] - start[1]) / abs(end[1] - start[1]))
        self.ax.plot([start[0], lost[0]], [start[1], lost[1]], **line)
        sign = "x" if arrow.fate == "dropped" else "$?$"
        self.ax.plot(
            *lost, marker=sign, color=style.colour, markersize=9, markeredgewidth=2.4 if sign == "x" else 0.6, zorder=4
        )

    def _draw_mark(self, mark: TraceEvent) -> None:
        marker, _ = MARKS[mark.kind]
        x, y = self.x(mark.time_us), self.row[mark.node]
        self.ax.plot(
            [x], [y], marker=marker, markersize=9, color=PAPER, markeredgecolor=INK, markeredgewidth=1.6, zorder=5
        )
        words = _mark_words(mark)
        if words:
            self._label(mark.node, x + 0.006, y + 0.24, words)

    def _label(self, lane: str, x: float, y: float, words: str) -> None:
        """Write at a lane, unless it would run into the words before or over the edge."""
        width = 0.0105 * len(words)
        x = min(x, 1.0 - width)
        if x < self.written.get(lane, -1.0) or x < 0:
            return
        self.written[lane] = x + width + 0.008
        box = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.8, "alpha": 0.85}
        write(self.ax, x, y, words, ha="left", zorder=6, bbox=box)

    def _draw_words(self) -> None:
        """Title, legend of what is there, and what is not."""
        write(self.ax, 0, 1.28, _title(self.flow), fontsize=TITLE, weight="bold", ha="left")
        if self.flow.left_out:
            write(self.ax, 1.0, 1.28, "left out: " + ", ".join(self.flow.left_out), color=FAINT, ha="right")
        self.ax.legend(
            handles=self.legend,
            loc="lower center",
            bbox_to_anchor=(0.5, 0.0),
            ncols=LEGEND_COLUMNS,
            frameon=False,
            prop={"family": "DejaVu Sans", "size": WORDS},
            handlelength=3.2,
            columnspacing=1.4,
        )


def _squeezed(times: list[int]) -> tuple[list[float], list[tuple[int, int]]]:
    """Where each time goes, 0 to 1; and the pauses worth naming as ``(index before, us)``."""
    gaps = [later - earlier for earlier, later in pairwise(times)]
    usual = max(1.0, median(gaps)) if gaps else 1.0
    places = [0.0]
    for gap in gaps:
        places.append(places[-1] + 0.4 + min(gap / usual, SQUEEZED))
    whole = places[-1] or 1.0
    pauses = sorted((gap, index) for index, gap in enumerate(gaps) if gap > NAMED_PAUSE * usual)[-PAUSES_MAX:]
    return [place / whole for place in places], sorted((index, gap) for gap, index in pauses)


def _time(time_us: int, stretch_us: int) -> str:
    """A time for people, in the unit that fits the whole stretch: ``1.2 ms``, ``250 ms``, ``3.10 s``."""
    if stretch_us < 10_000:
        return f"{time_us / 1000:.1f} ms"
    return f"{time_us / 1000:.0f} ms" if stretch_us < 1_000_000 else f"{time_us / 1_000_000:.2f} s"


def _mark_words(mark: TraceEvent) -> str:
    if mark.kind == "write":
        return "{}{}".format(*mark.detail["dot"]) if "dot" in mark.detail else "write"
    words = {"hint": "for {}", "handoff": "to {}", "suspect": "{}", "trust": "{}"}.get(mark.kind, "")
    return words.format(mark.peer)


def _title(flow: Flow) -> str:
    nodes = sum(not lane.startswith("client:") for lane in flow.lanes)
    clients = len(flow.lanes) - nodes
    return f"{len(flow.arrows)} messages, {nodes} nodes" + (f", {clients} clients" if clients > 1 else "")


def _legend(flow: Flow, paused: bool) -> list[Line2D]:
    families = {family_of(arrow.message) for arrow in flow.arrows}
    handles = [
        Line2D([], [], color=style.colour, linestyle=style.line, linewidth=style.width, marker=">", label=family)
        for family, style in STYLES.items()
        if family in families
    ]
    if any(arrow.fate == "dropped" for arrow in flow.arrows):
        handles.append(Line2D([], [], color=INK, linestyle="", marker="x", markeredgewidth=2.4, label="lost"))
    if any(arrow.fate == "unknown" for arrow in flow.arrows):
        handles.append(Line2D([], [], color=INK, linestyle="", marker="$?$", label="arrival not seen"))
    if paused:
        handles.append(Line2D([], [], color=FAINT, linewidth=1.4, linestyle=(0, (1, 3)), label="quiet, squeezed"))
    kinds = {mark.kind for mark in flow.marks}
    style: dict[str, Any] = {"color": PAPER, "markeredgecolor": INK, "linestyle": "", "markersize": 9}
    return handles + [
        Line2D([], [], marker=marker, label=words, **style) for kind, (marker, words) in MARKS.items() if kind in kinds
    ]


def _alt(flow: Flow) -> str:
    if not flow.arrows and not flow.marks:
        return "An empty timeline: no message and no step to show."
    families = Counter(family_of(arrow.message) for arrow in flow.arrows)
    counted = ", ".join(f"{count} {family}" for family, count in sorted(families.items()))
    begins, ends = (_time(time_us, flow.times[-1] - flow.times[0]) for time_us in (flow.times[0], flow.times[-1]))
    said = [f"Timeline from {begins} to {ends}: {_title(flow)} ({counted})."]
    lost = [arrow for arrow in flow.arrows if arrow.fate == "dropped"]
    links = sorted({f"{arrow.sender} to {arrow.to}" for arrow in lost})
    said += [f"Lost: {len(lost)}, {', '.join(links[:6])}{', ...' if len(links) > 6 else ''}."] if lost else []
    said += [f"{band.nodes[0]} {band.words}." if band.nodes else f"Cut: {band.words}." for band in flow.bands]
    said += [_said(mark) for mark in flow.marks[:12]]
    said += [f"Left out: {', '.join(flow.left_out)}."] if flow.left_out else []
    return " ".join(said)


def _said(mark: TraceEvent) -> str:
    about = f" of {key_text(mark.key)}" if mark.key else ""
    return f"{mark.node}: {' '.join(filter(None, [MARKS[mark.kind][1], _mark_words(mark)]))}{about}."
