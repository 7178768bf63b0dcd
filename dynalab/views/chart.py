"""Plain charts of measured numbers: bars side by side, and lines.

The numbers come from real values and real runs; nothing here makes one up.
A chart tells its series apart by colour and marker (or hatch), and says its numbers in the alt text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dynalab.views.colours import FAINT, HATCHES, INK, MARKERS, PALETTE, PAPER
from dynalab.views.picture import FONT, TITLE, WORDS, Picture, figure_of

WIDE, HIGH = 8.0, 4.4
"""Inches: of a chart with a picture of its own."""
MARKERS_MAX = 40
"""A line with more points than this has no markers, they would hide it."""
BRIGHT = 0.45
"""Share of the height that is left above the data for the legend, when there is one."""

Points = Iterable[tuple[float, float]]


def draw_lines(
    series: Mapping[str, Points],
    title: str,
    x: str,
    y: str,
    *,
    level: tuple[float, str] | None = None,
    log_x: bool = False,
    log_y: bool = False,
    ax: Axes | None = None,
) -> Figure:
    """Draw one line through the points of each series.

    Args:
        series: ``{name: [(x, y), ...]}``, at least one point each.
        title: what the reader should see.
        x: what the lower axis counts, with its unit.
        y: what the left axis counts, with its unit.
        level: a height to compare with, and what it is called.
        log_x: whether the lower axis is logarithmic.
        log_y: whether the left axis is logarithmic.
        ax: draw here instead of in a new picture.

    Returns:
        The figure; its `.alt` names each series with its first and last point.

    Raises:
        ValueError: there is no series, or one without a point.
    """
    drawn = {name: list(points) for name, points in series.items()}
    _refuse_nothing(drawn)
    ax = _framed(ax, title, x, y)
    for number, (name, points) in enumerate(drawn.items()):
        style: dict[str, Any] = {"marker": MARKERS[number % len(MARKERS)] if len(points) <= MARKERS_MAX else ""}
        style |= {"linestyle": ("-", "--", "-.", ":")[number % 4], "color": PALETTE[number % len(PALETTE)]}
        ax.plot(*zip(*points, strict=True), label=name, linewidth=2.2, markersize=6, **style)
    if log_x:
        ax.set_xscale("log")
    if log_y:
        ax.set_yscale("log")
    if level is not None:
        ax.axhline(level[0], color=FAINT, linewidth=1.4, linestyle=":", label=level[1])
    if len(drawn) > 1 or level is not None:
        _legend(ax)
    said = [f"{name}: from {_point(points[0])} to {_point(points[-1])}" for name, points in drawn.items()]
    return _finished(ax, title, x, y, said, level)


def draw_bars(
    series: Mapping[str, Mapping[str, float]],
    title: str,
    x: str,
    y: str,
    *,
    level: tuple[float, str] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw one bar per name, the bars of several series side by side, each with its number on top.

    Args:
        series: ``{series: {name: height}}``; every series has the same names.
        title: what the reader should see.
        x: what the bars are.
        y: what their height counts, with its unit.
        level: a height to compare with, and what it is called.
        ax: draw here instead of in a new picture.

    Returns:
        The figure; its `.alt` says all heights.

    Raises:
        ValueError: there is no series, one is empty, or they have different names.
    """
    _refuse_nothing(series)
    names = list(next(iter(series.values())))
    if any(list(heights) != names for heights in series.values()):
        raise ValueError(f"every series needs the same names in the same order: {', '.join(names)}")
    ax = _framed(ax, title, x, y)
    wide = 0.8 / len(series)
    for number, (name, heights) in enumerate(series.items()):
        places = [place + (number - (len(series) - 1) / 2) * wide for place in range(len(names))]
        style: dict[str, Any] = {"color": PALETTE[number % len(PALETTE)], "hatch": HATCHES[number % len(HATCHES)]}
        bars = ax.bar(places, list(heights.values()), wide * 0.92, label=name, edgecolor=INK, **style)
        ax.bar_label(bars, [_short(height) for height in heights.values()], fontsize=WORDS, family=FONT, padding=2)
    ax.set_xticks(range(len(names)), names)
    ax.margins(y=BRIGHT if len(series) > 1 or level is not None else 0.15)
    if level is not None:
        ax.axhline(level[0], color=INK, linewidth=1.4, linestyle=":", label=level[1])
    if len(series) > 1 or level is not None:
        _legend(ax)
    said = [_heights(name, heights) for name, heights in series.items()]
    return _finished(ax, title, x, y, said, level)


def _refuse_nothing(series: Mapping[str, Any]) -> None:
    if not series or not all(series.values()):
        raise ValueError("a chart needs at least one series, and each at least one number")


def _framed(ax: Axes | None, title: str, x: str, y: str) -> Axes:
    """Axes with a title, names and a quiet grid."""
    if ax is None:
        ax = Picture(title, WIDE, HIGH).add_axes((0.11, 0.15, 0.86, 0.74))
    ax.set_title(title, fontsize=TITLE, weight="bold", family=FONT, color=INK)
    ax.set_xlabel(x, fontsize=WORDS, family=FONT, color=INK)
    ax.set_ylabel(y, fontsize=WORDS, family=FONT, color=INK)
    ax.tick_params(labelsize=WORDS, colors=INK, labelfontfamily=FONT)
    ax.grid(axis="y", color="#dddddd", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.set_facecolor(PAPER)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _legend(ax: Axes) -> None:
    ax.legend(fontsize=WORDS, prop={"family": FONT, "size": WORDS}, frameon=True, facecolor=PAPER, edgecolor="#dddddd")


def _finished(ax: Axes, title: str, x: str, y: str, said: Sequence[str], level: tuple[float, str] | None) -> Figure:
    words = f"{title.rstrip('.')}. Across: {x}; upwards: {y}. " + "; ".join(said) + "."
    if level is not None:
        words += f" A dotted line at {_short(level[0])}: {level[1]}."
    return figure_of(ax, words)


def _heights(name: str, heights: Mapping[str, float]) -> str:
    return f"{name}: " + ", ".join(f"{each} {_short(height)}" for each, height in heights.items())


def _point(point: tuple[float, float]) -> str:
    return f"{_short(point[0])}, {_short(point[1])}"


def _short(number: float) -> str:
    """Three digits are enough for the eye.

    >>> _short(0.123456), _short(12.0), _short(65536)
    ('0.123', '12', '65536')
    """
    return f"{number:.0f}" if abs(number) >= 1000 else f"{round(number, 3):.3g}"
