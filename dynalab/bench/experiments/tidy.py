"""The last touches to a picture for a report: numbers on a logarithmic axis, a legend that covers nothing."""

from __future__ import annotations

from typing import Any

import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

TICKS_MAX = 8
"""So many measured places are each named on the axis; more are named by decades."""
HEADROOM = 1.14
"""Of the tallest bar: for the number on top of it."""


def tidied(figure: Figure) -> Figure:
    """The same picture, legible at half its size."""
    for ax in figure.axes:
        _say_plain_numbers(ax)
        if ax.containers and ax.get_legend() is not None:
            _lift_legend(ax)
    return figure


def _say_plain_numbers(ax: Axes) -> None:
    """1, 16 and 256 instead of powers of ten; between the ends of a decade also 2 and 5."""
    if ax.get_xscale() == "log":
        drawn = [float(x) for line in ax.lines for x in numpy.asarray(line.get_xdata(), dtype=float)]
        places = sorted({x for x in drawn if x > 0})
        few = 1 < len(places) <= TICKS_MAX
        ax.xaxis.set_major_locator(FixedLocator(places) if few else LogLocator())
        ax.xaxis.set_major_formatter(FuncFormatter(_plain))
        ax.xaxis.set_minor_formatter(NullFormatter())
        if few:
            ax.xaxis.set_minor_locator(FixedLocator([]))
    if ax.get_yscale() == "log":
        low, high = ax.get_ylim()
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,)))
        ax.yaxis.set_major_formatter(FuncFormatter(_plain))
        ax.yaxis.set_minor_formatter(NullFormatter())


def _plain(value: float, _: int | None = None) -> str:
    """A number as people write it.

    >>> _plain(1000.0), _plain(0.01), _plain(1.0)
    ('1,000', '0.01', '1')
    """
    return f"{value:,.0f}" if value >= 1000 else f"{value:g}"


def _lift_legend(ax: Axes) -> None:
    """Put the legend of bars between title and picture, and end the axis where the bars do."""
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(
        handles,
        labels,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=len(labels),
        frameon=False,
        prop=ax.get_legend().get_texts()[0].get_fontproperties(),  # type: ignore[union-attr]
    )
    title = ax.title
    style: dict[str, Any] = {"fontsize": title.get_fontsize(), "weight": title.get_fontweight()}
    ax.set_title(title.get_text(), pad=28, family=title.get_fontfamily(), **style)
    for number in ax.texts:  # A level to compare with may run through the numbers.
        number.set_bbox({"facecolor": ax.get_facecolor(), "edgecolor": "none", "pad": 0.6})
    box = ax.get_position()
    ax.set_position((box.x0, box.y0, box.width, box.height * 0.93))
    tallest = max((patch.get_height() for patch in ax.patches if hasattr(patch, "get_height")), default=1.0)
    ax.set_ylim(0, HEADROOM * tallest)
    if ax.get_ylabel().startswith("%") and tallest == 100:
        ax.set_yticks(range(0, 101, 20))
