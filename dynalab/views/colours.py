"""One look per node, the same in every picture and panel: a colour, a marker, a hatch.

The colours are those of Okabe and Ito, which differ for every kind of colour vision.
Some are light and some dark, so every coloured area is outlined in `INK` on light paper of its own,
and stands out in a light and in a dark notebook alike (contrast 3:1 and more, WCAG 1.4.11).
Colour never speaks alone: every mark also carries the node's marker, its hatch or its name.

Rule 1: a look depends on the cluster's nodes and their order, on nothing else.
Rule 2: nodes named by the house (A, B .. Z, AA ..) have the look of their letter, so nobody changes when B leaves.
Rule 3: no two of the first 56 nodes share colour and marker.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

PAPER = "#ffffff"
"""The ground of every picture, whatever the notebook's theme."""
INK = "#1a1a1a"
"""Outlines and words on `PAPER`."""
FAINT = "#767676"
"""What stands back, and is still readable (4.5:1)."""

PALETTE = (
    *("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00"),
    *("#56b4e9", "#f0e442", "#999999"),
)
"""Blue, orange, green, purple, vermilion, sky, yellow, grey."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
HATCHES = ("", "//", "..", "xx", "--")


class Look(NamedTuple):
    """How one node is drawn.

    Attributes:
        colour: ``#rrggbb``.
        marker: a matplotlib marker.
        hatch: a matplotlib hatch; the first node's is empty.
        ink: black or white, whichever is easier to read on `colour`.
    """

    colour: str
    marker: str
    hatch: str
    ink: str


def looks(nodes: Sequence[str]) -> dict[str, Look]:
    """`{node: Look}` for the nodes of one cluster, in the cluster's order.

    >>> looks(["A", "B"])["B"].colour == looks(["B", "C"])["B"].colour
    True
    """
    lettered = all(re.fullmatch("[A-Z]{1,2}", node) for node in nodes)
    return {node: _look(_letter_number(node) if lettered else index) for index, node in enumerate(nodes)}


def _look(number: int) -> Look:
    colour = PALETTE[number % len(PALETTE)]
    return Look(colour, MARKERS[number % len(MARKERS)], HATCHES[number % len(HATCHES)], ink_on(colour))


def _letter_number(name: str) -> int:
    """A is 0, Z is 25, AA is 26."""
    number = 0
    for letter in name:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def ink_on(colour: str) -> str:
    """Black or white: the one with more contrast on `colour`."""
    return max("#000000", "#ffffff", key=lambda ink: contrast(ink, colour))


def contrast(left: str, right: str) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.2).

    >>> round(contrast("#000000", "#ffffff"))
    21
    """
    dark, light = sorted((_luminance(left), _luminance(right)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
