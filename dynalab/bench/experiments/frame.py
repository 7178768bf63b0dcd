"""What every experiment is made of: its claims, its tables, its pictures, and how large it is run.

Theory of operation.
An experiment is a function from a `Run` (size, seed, progress) to `Findings`.
What it measures goes into tables, row by row; what it shows goes into pictures of those rows;
what it says is a claim: a sentence, what was seen, and whether that bears it out.

Rule 1: a claim is about a ratio, a probability or a count, so it holds on a slow machine as on a fast one.
Rule 2: a claim is checked on the numbers that the tables show, never on a copy of the expectation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple, TypeVar

from matplotlib.figure import Figure

from dynalab.bench.experiments.tidy import tidied

Row = dict[str, Any]
Value = TypeVar("Value")

SIZES = ("tiny", "quick", "full")
"""For a test, for a class, for a report."""


class Claim(NamedTuple):
    """One sentence that the experiment stands for.

    Attributes:
        words: what should hold.
        seen: what was measured instead of merely hoped.
        holds: whether the measurement bears it out.
    """

    words: str
    seen: str
    holds: bool


class Shown(NamedTuple):
    """A picture, with the sentence under it."""

    name: str
    figure: Figure
    says: str


@dataclass
class Findings:
    """What an experiment found.

    Attributes:
        tables: ``{name: rows}``; all rows of a table have the same keys.
        pictures: in the order of the page.
        claims: all of them must hold.
        result: what it shows, in one sentence with a number that does not depend on the machine.
    """

    tables: dict[str, list[Row]] = field(default_factory=dict)
    pictures: list[Shown] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    result: str = ""

    def table(self, name: str) -> list[Row]:
        """The rows of a table, to be added to."""
        return self.tables.setdefault(name, [])

    def show(self, name: str, figure: Figure, says: str) -> None:
        """Put a picture on the page."""
        self.pictures.append(Shown(name, tidied(figure), says))

    def claim(self, words: str, seen: str, holds: bool) -> None:
        """Stand for a sentence."""
        self.claims.append(Claim(words, seen, bool(holds)))

    @property
    def hold(self) -> bool:
        """Whether every claim does."""
        return all(claim.holds for claim in self.claims)


class Run:
    """One run of an experiment.

    Args:
        size: ``tiny``, ``quick`` or ``full``.
        seed: all chance that is ours follows from it; a live cluster has some of its own.
        told: hears ``told(share done, what is being done)``.
    """

    def __init__(self, size: str = "quick", seed: int = 5, told: Callable[[float, str], None] | None = None) -> None:
        self.size = size
        self.seed = seed
        self.random = Random(seed)
        self._told = told

    def pick(self, tiny: Value, quick: Value, full: Value) -> Value:
        """The value for this run's size."""
        return (tiny, quick, full)[SIZES.index(self.size)]

    def each(self, steps: Sequence[Value], words: Callable[[Value], str] = str) -> Iterable[Value]:
        """The steps one by one, with progress told before each."""
        for number, step in enumerate(steps):
            self.told(number / len(steps), words(step))
            yield step
        self.told(1.0, "done")

    def told(self, share: float, words: str) -> None:
        """Say how far we are."""
        if self._told is not None:
            self._told(share, words)


@dataclass(frozen=True)
class Experiment:
    """One experiment.

    Attributes:
        number: 0 to 9, its place on the page.
        name: how to ask for it.
        title: its headline.
        world: where it runs: ``live``, ``simulation``, ``calculation``, or several of them.
        question: what one would like to know, and how it is measured.
        run: carries it out.
    """

    number: int
    name: str
    title: str
    world: str
    question: str
    run: Callable[[Run], Findings]


def quantile(values: Iterable[float], share: float) -> float:
    """The smallest value that `share` of the values do not exceed; 0 when there are none.

    >>> quantile([5, 1, 3], 0.5), quantile([], 0.99)
    (3, 0.0)
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def standard_error(share: float, trials: int) -> float:
    """How far chance alone moves a share of so many trials; never 0, so that few trials do not look certain."""
    kept = min(max(share, 0.5 / trials), 1 - 0.5 / trials)
    return math.sqrt(kept * (1 - kept) / trials)
