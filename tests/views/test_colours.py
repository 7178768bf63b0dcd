"""One look per node: stable, told apart by everybody, never by colour alone."""

from __future__ import annotations

from itertools import combinations

import pytest

from dynalab.core.founding import node_names
from dynalab.views.colours import INK, PALETTE, PAPER, contrast, ink_on, looks

#: How red-blind and green-blind eyes see linear RGB (Machado and others, 2009, severity 1).
BLINDNESS = {
    "red": ((0.152, 1.053, -0.205), (0.115, 0.786, 0.099), (-0.004, -0.048, 1.052)),
    "green": ((0.367, 0.861, -0.228), (0.280, 0.673, 0.047), (-0.012, 0.043, 0.969)),
    "none": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
}


def test_names_on_a_colour_are_readable() -> None:
    """A node's name on its own colour has a contrast of 4.5:1 and more, and so has ink on paper."""
    assert all(contrast(ink_on(colour), colour) >= 4.5 for colour in PALETTE)
    assert contrast(INK, PAPER) >= 4.5


def test_no_two_of_many_nodes_look_alike() -> None:
    """Fifty nodes have fifty looks; the first five differ in colour, in marker and in hatch."""
    many = looks(node_names(50))
    assert len({(look.colour, look.marker) for look in many.values()}) == 50
    few = looks(node_names(5)).values()
    for part in ("colour", "marker", "hatch"):
        assert len({getattr(look, part) for look in few}) == 5


def test_a_node_keeps_its_look_when_others_come_and_go() -> None:
    """Nodes named by the house have the look of their letter, whoever else is there."""
    assert looks(["A", "C", "F"])["F"] == looks(node_names(30))["F"]
    assert looks(["ann", "bob"])["bob"] == looks(["ann", "bob", "cy"])["bob"]


@pytest.mark.parametrize("kind", BLINDNESS)
def test_colours_of_a_small_cluster_differ_for_every_eye(kind: str) -> None:
    """The first five colours stay apart in lightness and hue for red-blind and green-blind eyes."""
    seen = [_seen(colour, BLINDNESS[kind]) for colour in PALETTE[:5]]
    assert min(_distance(left, right) for left, right in combinations(seen, 2)) > 12


def _seen(colour: str, eye: tuple[tuple[float, ...], ...]) -> tuple[float, float, float]:
    """Lab coordinates of a colour as an eye sees it."""
    linear = [((int(colour[i : i + 2], 16) / 255 + 0.055) / 1.055) ** 2.4 for i in (1, 3, 5)]
    red, green, blue = (
        min(1, max(0, sum(weight * part for weight, part in zip(row, linear, strict=True)))) for row in eye
    )
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089
    x, y, z = (part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116 for part in (x, y, z))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def _distance(left: tuple[float, ...], right: tuple[float, ...]) -> float:
    return sum((a - b) ** 2 for a, b in zip(left, right, strict=True)) ** 0.5
