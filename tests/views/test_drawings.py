"""The drawings: they show what they claim, in words too, readable and small, the same every time."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle, Wedge

from dynalab import Simulation, Trace
from dynalab.core.faults import Faults
from dynalab.core.founding import node_names
from dynalab.core.ring import Ring, share_out
from dynalab.views import Picture, draw_ring, draw_timeline, draw_versions
from dynalab.views.flow import flow_of
from tests.views.made import Story, cluster, cut_and_merged, ring

if TYPE_CHECKING:
    from collections.abc import Callable

DRAWINGS: dict[str, Callable[..., Figure]] = {
    "ring": lambda **options: draw_ring(ring(), key="cart", **options),
    "broken ring": lambda **options: draw_ring(broken(), key="cart", **options),
    "timeline": lambda **options: draw_timeline(cut_and_merged(), **options),
    "versions": lambda **options: draw_versions(cut_and_merged(), **options),
}


def broken() -> Any:
    """C has crashed, E is paused, A and B are cut from the rest, and suspect them."""
    faults = Faults().partitioned([["A", "B"], ["C", "D", "E"]])
    return cluster(states={"C": "crashed", "E": "paused"}, faults=faults, suspects={"A": "CDE", "B": "CDE"})


def words(figure: Figure) -> list[str]:
    (axes,) = figure.axes
    legend = axes.get_legend()
    return [text.get_text() for text in [*axes.texts, *(legend.get_texts() if legend else [])] if text.get_text()]


# --- every picture ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS)
def test_a_picture_says_in_words_what_it_shows(draw: Callable[..., Figure]) -> None:
    """Every picture has an alt text of whole sentences, and a name that is the same in every run."""
    figure = draw()
    assert isinstance(figure, Picture)
    assert figure.alt.endswith(".")
    assert len(figure.alt) > 60
    assert repr(figure) == f"<Picture: {figure.subject}>"


@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS)
def test_a_picture_is_small_and_the_same_each_time(draw: Callable[..., Figure]) -> None:
    """The PNG has at most 100 kB, and drawing the same thing again gives the same bytes."""
    first, second = draw().png(), draw().png()
    assert first.startswith(b"\x89PNG")
    assert len(first) <= 100_000
    assert first == second


@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS)
def test_letters_can_be_read_from_the_back_row(draw: Callable[..., Figure]) -> None:
    """No letter is smaller than 12 points."""
    (axes,) = draw().axes
    legend = axes.get_legend()
    written = [text for text in axes.texts if text.get_text()] + (legend.get_texts() if legend else [])
    assert min(text.get_fontsize() for text in written) >= 12


@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS)
def test_nothing_is_written_over_the_edge(draw: Callable[..., Figure]) -> None:
    """Every word lies inside the picture."""
    figure = draw()
    FigureCanvasAgg(figure).draw()
    for text in figure.axes[0].texts:
        box = text.get_window_extent()
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
        assert inside, f"{text.get_text()!r} leaves the picture: {box}"


@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS)
def test_a_picture_can_be_part_of_another(draw: Callable[..., Figure]) -> None:
    """With `ax=` the drawing goes there, and its words are added to the figure's own."""
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert draw(ax=left) is figure
    once = figure.alt
    draw(ax=right)
    assert figure.alt == f"{once} {once}"


def test_pictures_can_be_drawn_on_any_thread() -> None:
    """Four threads that draw at once all get the same picture, and pyplot is never involved."""
    drawn: list[bytes] = []
    threads = [threading.Thread(target=lambda: drawn.append(draw_ring(ring(), key="cart").png())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(drawn) == 4
    assert set(drawn) == {draw_ring(ring(), key="cart").png()}


def test_a_notebook_gets_image_and_words(tmp_path: Any) -> None:
    """In a notebook the image carries its alt text, escaped; `save` writes the same PNG."""
    figure = draw_ring(ring(), key="<cart>")
    bundle = figure._repr_mimebundle_()
    assert bundle["text/plain"] == "<Picture: ring of 5 nodes>"
    assert bundle["text/html"].startswith('<img alt="Ring of 5 nodes, 64 key ranges, N = 3. “&lt;cart&gt;” lives on')
    assert figure.save(tmp_path / "ring.png").read_bytes() == figure.png()


# --- the ring ---------------------------------------------------------------------------------------------------------


def test_every_key_range_is_drawn_and_named() -> None:
    """64 key ranges are 64 arcs, each with its owner's letter on it."""
    figure = draw_ring(ring())
    arcs = [patch for patch in figure.axes[0].patches if isinstance(patch, Wedge)]
    assert len(arcs) == 64
    assert [words(figure).count(node) for node in "ABCDE"] == [
        sum(owner == node for _, owner in ring().tokens) + 1 for node in "ABCDE"
    ]


def test_the_walk_is_numbered_twice() -> None:
    """Each node of the walk has its number on the ring and at the node; fallbacks are dashed."""
    figure = draw_ring(ring(), key="cart")
    assert [words(figure).count(str(rank)) for rank in range(1, 6)] == [2, 2, 2, 2, 2]
    badges = [patch for patch in figure.axes[0].patches if isinstance(patch, Circle) and patch.radius == 0.055]
    assert [badge.get_linestyle() for badge in badges].count("-") == 6
    assert len(badges) == 10
    assert "“cart” lives on E, B, A; fallbacks, dashed: C, D." in figure.alt


def test_states_are_said_in_words_and_signs() -> None:
    """Crashed, paused and suspected nodes carry the word, an outline of their own, and no colour alone."""
    figure = draw_ring(broken())
    assert {"crashed", "paused, suspected", "suspected"} <= set(words(figure))
    discs = [patch for patch in figure.axes[0].patches if isinstance(patch, Circle)]
    assert [disc.get_linestyle() for disc in discs] == ["-", "-", "--", ":", ":"]
    assert "The network is cut: A B | C D E." in figure.alt


def test_every_cut_link_is_crossed_out() -> None:
    """AB|CDE cuts six links of ten; each of the six has a cross."""
    crosses = [line for line in draw_ring(broken()).axes[0].lines if line.get_marker() == "x"]
    assert len(crosses) == 6


def test_one_way_cuts_are_told_apart_in_words() -> None:
    """A one-way cut says who does not hear whom."""
    figure = draw_ring(cluster("AB", faults=Faults().partitioned([["A"], ["B"]], one_way=True)))
    assert "B does not hear A." in figure.alt


def test_a_large_ring_stays_readable() -> None:
    """Fifty nodes and 4,096 key ranges become a picture of bounded size, every node named."""
    nodes = node_names(50)
    figure = draw_ring(Ring.even(share_out(nodes, 4096)), key="cart")
    assert set(nodes) <= set(words(figure))
    assert len(figure.axes[0].patches) < 1000
    assert len(figure.png()) <= 100_000


def test_a_ring_of_nobody_can_be_drawn() -> None:
    """An empty ring, and a cluster whose nodes are all down, are pictures too."""
    assert "no home yet" in draw_ring(Ring({}), key="cart").alt
    assert "A has crashed. B has crashed." in draw_ring(cluster("AB", states={"A": "crashed", "B": "crashed"})).alt


def test_a_simulation_is_drawn_like_a_cluster() -> None:
    """The ring of a running cluster is the one its nodes go by."""
    with Simulation(5, seed=7) as sim:
        ack = sim.put("cart", ["milk"])
        sim.pause("D")
        figure = draw_ring(sim, key="cart")
    assert f"“cart” lives on {ack.coordinator}" in figure.alt
    assert "D is paused." in figure.alt


# --- the timeline -----------------------------------------------------------------------------------------------------


def arrows(figure: Figure) -> list[Any]:
    return [text for text in figure.axes[0].texts if getattr(text, "arrow_patch", None) is not None]


def test_every_message_is_an_arrow() -> None:
    """27 messages that arrive are arrows; the lost one ends in a cross; the ping is left out, and said to be."""
    figure = draw_timeline(cut_and_merged())
    assert len(arrows(figure)) == 27
    assert [line.get_marker() for line in figure.axes[0].lines].count("x") == 1
    assert "left out: 1 ping" in words(figure)
    assert "Lost: 1, B to E." in figure.alt
    assert len(arrows(draw_timeline(cut_and_merged(), background=True))) == 28


def test_faults_are_shaded_and_named() -> None:
    """A cut is a shade over all lanes with its sides in words; a crash one over its own lane."""
    story = Story()
    story.fault('crash("B")')
    story.put("alice", "A", "C")
    story.fault('recover("B")')
    story.message("A", "B", "ReplicaPut")
    assert "cut: AB|CDE" in words(draw_timeline(cut_and_merged()))
    assert "crashed" in words(draw_timeline(story.events))
    assert "B crashed." in draw_timeline(story.events).alt


def test_other_faults_are_moments() -> None:
    """A skewed clock has no end: a line, with the verb as it was typed."""
    story = Story()
    story.put("alice", "A", "BC")
    story.fault('skew("A", ms=5000)')
    story.put("alice", "A", "BC")
    assert 'skew("A", ms=5000)' in words(draw_timeline(story.events))


def test_the_number_of_arrows_is_bounded() -> None:
    """Of many messages the latest are drawn, and the picture says how many it leaves out."""
    story = Story()
    for _ in range(100):
        story.put("alice", "A", "BC")
    figure = draw_timeline(story.events, messages_max=30)
    assert len(arrows(figure)) == 30
    assert "left out: 570 earlier" in words(figure)
    assert len(figure.axes[0].texts) < 60
    with pytest.raises(ValueError, match="messages_max must be at least 1; got 0"):
        draw_timeline(story.events, messages_max=0)


def test_lanes_are_clients_then_nodes() -> None:
    """Clients come first, in the order they spoke; nodes after them; `nodes=` chooses."""
    assert flow_of(cut_and_merged()).lanes == ("client:alice", "client:bob", "A", "B", "C", "D", "E")
    chosen = flow_of(cut_and_merged(), nodes=["E", "B"])
    assert chosen.lanes == ("client:alice", "client:bob", "E", "B")
    assert {arrow.to for arrow in chosen.arrows} <= set(chosen.lanes)


def test_a_short_stretch_of_a_long_run_has_times_that_differ() -> None:
    """Milliseconds of a run of seconds are not all called 5.00 s."""
    late = Simulation(3, seed=7)
    late.run(5_000)
    late.put("cart", "x")
    told = [text for text in words(draw_timeline(late, since_ms=5_000)) if text.endswith(("ms", " s"))]
    assert len(told) == len(set(told)) == 2


def test_a_cluster_s_own_order_gives_lanes_and_colours() -> None:
    """Drawn from the cluster, nodes stand in its order; gaps of its trace are confessed."""
    trace = Trace(doubts("zoe", "ann"), gaps=3)
    assert flow_of(trace).lanes == ("ann", "zoe")
    flow = flow_of(SimpleNamespace(trace=trace, nodes=["zoe", "ann"]))
    assert flow.lanes == flow.cast == ("zoe", "ann")
    assert flow.left_out == ("3 events nobody recorded",)
    once = SimpleNamespace(trace=Trace(doubts("zoe", "ann"), gaps=1), nodes=["zoe", "ann"])
    assert flow_of(once).left_out == ("1 event nobody recorded",)


def doubts(left: str, right: str) -> list[Any]:
    """Two nodes suspect each other."""
    story = Story()
    story.add(left, "suspect", peer=right)
    story.add(right, "suspect", peer=left)
    return story.events


def test_a_key_brings_the_answers_of_its_requests() -> None:
    """Answers do not name the key, but belong to the same request; another key's messages stay out."""
    with Simulation(5, seed=7) as sim:
        sim.put("cart", ["milk"])
        sim.put("wishes", ["a boat"])
        shown = flow_of(sim.trace, key="cart").arrows
    assert {"ClientPut", "ReplicaPut", "ReplicaPutDone", "ClientPutDone"} == {arrow.message for arrow in shown}
    assert sum(arrow.message == "ClientPut" for arrow in shown) == 1


def test_a_message_without_a_fate_is_marked() -> None:
    """What was sent and never seen again is neither arrived nor lost."""
    story = Story()
    story.add("A", "send", "ReplicaPut", "B")
    figure = draw_timeline(story.events)
    assert "arrival not seen" in words(figure)
    assert arrows(figure) == []


def test_an_empty_trace_is_a_picture() -> None:
    """Nothing to show is said."""
    assert "no message" in draw_timeline([]).alt
    assert "0 versions." in draw_versions([]).alt


def test_only_a_stretch_of_time() -> None:
    """`since_ms` and `until_ms` keep what happened between."""
    whole = flow_of(cut_and_merged())
    late = flow_of(cut_and_merged(), since_ms=2000)
    assert {arrow for arrow in whole.arrows if arrow.sent_us >= 2_000_000} == set(late.arrows)
    assert all(arrow.ended_us <= 10_000 for arrow in flow_of(cut_and_merged(), until_ms=10).arrows)


# --- the versions -----------------------------------------------------------------------------------------------------


def test_every_version_is_a_box_with_its_clock() -> None:
    """Four versions are four boxes with value and clock; what nothing replaced has a thick frame."""
    figure = draw_versions(cut_and_merged(), key="cart")
    boxes = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle) and patch.get_width() > 1]
    assert sorted(box.get_linewidth() for box in boxes) == [1.2, 1.2, 1.2, 3.2]
    assert {"'milk, tea, eggs'", "[B1, E3]", "4 versions of “cart”"} <= set(words(figure))
    assert len(arrows(figure)) == 4
    assert "E3 is 'milk, tea, eggs', which replaced B1 and E2." in figure.alt


def test_siblings_are_counted_in_the_title() -> None:
    """Two versions that nothing replaced are announced as siblings."""
    story = Story()
    story.write("A", 1, {}, "milk")
    story.write("B", 1, {}, "tea")
    assert draw_versions(story.events).alt.startswith("2 versions, 2 siblings. A1 is 'milk'.")


def test_old_versions_are_left_out_and_counted() -> None:
    """A long history is cut at its latest versions, and says so."""
    story = Story()
    for counter in range(1, 41):
        story.now_us += 10
        story.write("A", counter, {"A": counter - 1} if counter > 1 else {}, f"v{counter}")
    figure = draw_versions(story.events, versions_max=5)
    assert figure.alt.startswith("5 versions, 35 earlier left out. A36 is 'v36'.")
    assert len(arrows(figure)) == 4
