"""Charts and Merkle pictures: the numbers they were given, in bars, lines and words; small, readable, repeatable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dynalab.core.merkle import MerkleTree, differing_paths
from dynalab.views import Picture, difference_graph, draw_bars, draw_difference, draw_lines

if TYPE_CHECKING:
    from collections.abc import Callable

SHARES = {"few": {"A": 0.5, "B": 0.25}, "many": {"A": 0.375, "B": 0.375}}
CURVES = {"slow": [(0, 1.0), (1, 2.0)], "fast": [(0, 1.0), (1, 8.0)]}


def trees(changed: int, of: int = 2_000) -> tuple[MerkleTree, MerkleTree]:
    """Two trees, the second with the first `changed` keys at another digest."""
    contents = {f"key {number}".encode(): b"1" for number in range(of)}
    return MerkleTree(contents), MerkleTree(contents | {f"key {number}".encode(): b"2" for number in range(changed)})


CHARTS: dict[str, Callable[..., Figure]] = {
    "bars": lambda **options: draw_bars(SHARES, "Who has how much?", "node", "share", level=(0.4, "fair"), **options),
    "lines": lambda **options: draw_lines(CURVES, "Two curves", "time, ms", "load", **options),
    "difference": lambda **options: draw_difference(*trees(3), **options),
}


def words(figure: Figure) -> list[str]:
    """All that is written in the only axes of a picture."""
    (axes,) = figure.axes
    legend = axes.get_legend()
    return [text.get_text() for text in [*axes.texts, *(legend.get_texts() if legend else [])]]


# --- every chart ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", CHARTS.values(), ids=CHARTS)
def test_a_chart_says_in_words_what_it_shows(draw: Callable[..., Figure]) -> None:
    """Every chart has an alt text of whole sentences, and a name that is the same in every run."""
    figure = draw()
    assert isinstance(figure, Picture)
    assert figure.alt.endswith(".")
    assert repr(figure) == f"<Picture: {figure.subject}>"


@pytest.mark.parametrize("draw", CHARTS.values(), ids=CHARTS)
def test_a_chart_is_small_and_the_same_each_time(draw: Callable[..., Figure]) -> None:
    """The PNG has at most 100 kB, and drawing the same numbers again gives the same bytes."""
    first, second = draw().png(), draw().png()
    assert len(first) <= 100_000
    assert first == second


@pytest.mark.parametrize("draw", CHARTS.values(), ids=CHARTS)
def test_letters_of_a_chart_can_be_read_from_the_back_row(draw: Callable[..., Figure]) -> None:
    """No letter is smaller than 12 points, and none lies outside of the picture."""
    figure = draw()
    FigureCanvasAgg(figure).draw()
    (axes,) = figure.axes
    written = [text for text in [*axes.texts, axes.title, axes.xaxis.label, axes.yaxis.label] if text.get_text()]
    assert min(text.get_fontsize() for text in written) >= 12
    for text in written:
        box = text.get_window_extent()
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= figure.bbox.x1, text
        assert box.y1 <= figure.bbox.y1, text


@pytest.mark.parametrize("draw", CHARTS.values(), ids=CHARTS)
def test_a_chart_can_be_part_of_another_picture(draw: Callable[..., Figure]) -> None:
    """With `ax=` it is drawn there, and its words are added to the figure's own."""
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert draw(ax=left) is figure
    once = figure.alt
    draw(ax=right)
    assert figure.alt == f"{once} {once}"


# --- bars and lines ---------------------------------------------------------------------------------------------------


def test_bars_are_as_high_as_the_numbers() -> None:
    """Two series of two names are four bars, with their numbers on top and the line to compare with."""
    figure = CHARTS["bars"]()
    bars = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    assert sorted(bar.get_height() for bar in bars) == [0.25, 0.375, 0.375, 0.5]
    assert {"0.5", "0.25", "0.375", "few", "many", "fair"} <= set(words(figure))
    assert "few: A 0.5, B 0.25; many: A 0.375, B 0.375. A dotted line at 0.4: fair." in figure.alt


def test_series_differ_in_more_than_colour() -> None:
    """Bars differ in their hatch, lines in marker and stroke."""
    bars = [patch for patch in CHARTS["bars"]().axes[0].patches if isinstance(patch, Rectangle)]
    assert len({bar.get_hatch() for bar in bars}) == 2
    lines = CHARTS["lines"]().axes[0].lines
    assert len({(line.get_marker(), line.get_linestyle()) for line in lines}) == 2


def test_lines_go_through_their_points() -> None:
    """A line has the points it was given, and the words name its ends."""
    figure = CHARTS["lines"]()
    assert [list(line.get_ydata()) for line in figure.axes[0].lines] == [[1.0, 2.0], [1.0, 8.0]]
    assert "slow: from 0, 1 to 1, 2; fast: from 0, 1 to 1, 8." in figure.alt


def test_axes_may_be_logarithmic() -> None:
    """`log_x` and `log_y` change the scale of one axis each."""
    figure = draw_lines({"one": [(1, 1), (10, 100)]}, "Powers", "x", "y", log_x=True, log_y=True)
    assert (figure.axes[0].get_xscale(), figure.axes[0].get_yscale()) == ("log", "log")


@pytest.mark.parametrize("nothing", [{}, {"one": []}])
def test_a_chart_of_nothing_is_refused(nothing: dict[str, list[tuple[float, float]]]) -> None:
    """No series, or one without a number, is an error that says so."""
    with pytest.raises(ValueError, match="at least one"):
        draw_lines(nothing, "Nothing", "x", "y")


def test_bars_that_do_not_match_are_refused() -> None:
    """Series with different names cannot stand side by side."""
    with pytest.raises(ValueError, match="the same names in the same order: A"):
        draw_bars({"one": {"A": 1}, "two": {"B": 1}}, "Names", "node", "share")


# --- Merkle trees -----------------------------------------------------------------------------------------------------


def test_a_difference_is_what_an_exchange_visits() -> None:
    """The graph has exactly the paths that differ, level by level, and the keys at its leaves."""
    left, right = trees(3)
    graph = difference_graph(left, right)
    assert sorted(graph) == sorted(path for level in differing_paths(left, right) for path in level)
    keys = {key for _, about in graph.nodes(data=True) for key in about.get("keys", ())}
    assert keys == {"key 0", "key 1", "key 2"}
    assert graph.nodes[1]["agree"] == len(left.children(1)) - graph.out_degree(1)


def test_leaves_that_are_left_out_are_counted() -> None:
    """A picture of many differences draws a few leaves, and says how many more there are."""
    left, right = trees(40)
    drawn = difference_graph(left, right, leaves_max=5)
    leaves = [path for path in drawn if drawn.nodes[path]["level"] == 4]
    total = len(differing_paths(left, right)[4])
    assert (len(leaves), drawn.graph["left_out"]) == (5, total - 5)
    assert f"{total - 5} more leaves left out" in draw_difference(left, right, leaves_max=5).alt
    with pytest.raises(ValueError, match="leaves_max must be at least 1; got 0"):
        draw_difference(left, right, leaves_max=0)


def test_equal_trees_are_a_picture_of_one_comparison() -> None:
    """Nothing differs, nothing is looked into."""
    left, right = trees(0)
    assert draw_difference(left, right).alt == "Two trees of 2000 keys agree: one comparison, of the roots."
