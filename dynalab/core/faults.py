"""Faults of the network as values: partitions and link rules, parsed, checked, said in words.

Both worlds ask the same value for the fate of a message, so a fault means the same in each.

Rule 1: a partition cuts only between its sides; a node on no side is cut from nobody.
Rule 2: a rule belongs to one direction of one link.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import NamedTuple

from dynalab.core.errors import InvalidPartition, InvalidSetting, UnknownNode

DELAY_MS_MAX = 600_000
REORDER_MS = 20
"""A reordered message is held back for up to so long, for others to overtake it."""

Link = tuple[str, str]
"""``(from, to)``"""


class LinkRule(NamedTuple):
    """What happens to messages on one direction of a link.

    Attributes:
        drop, duplicate, reorder: probabilities, 0 to 1.
        delay_ms: extra delay, drawn evenly from ``(low, high)``.
    """

    drop: float = 0.0
    delay_ms: tuple[float, float] = (0.0, 0.0)
    duplicate: float = 0.0
    reorder: float = 0.0

    def fate(self, random: Random) -> list[int]:
        """The delays in microseconds of every copy that arrives; empty when it is lost."""
        if self.drop and random.random() < self.drop:
            return []
        copies = 2 if self.duplicate and random.random() < self.duplicate else 1
        return [self._delay_us(random) for _ in range(copies)]

    def _delay_us(self, random: Random) -> int:
        low, high = self.delay_ms
        delay = random.uniform(low, high) if high else 0.0
        if self.reorder and random.random() < self.reorder:
            delay += random.uniform(0, REORDER_MS)
        return int(delay * 1000)

    def __str__(self) -> str:
        low, high = self.delay_ms
        words = [f"{name} {chance:.0%}" for name, chance in self._chances() if chance]
        words += [f"delay {low:g} to {high:g} ms"] if high else []
        return ", ".join(words) or "no fault"

    def _chances(self) -> list[tuple[str, float]]:
        return [("drop", self.drop), ("duplicate", self.duplicate), ("reorder", self.reorder)]


PERFECT = LinkRule()


def link_rule(
    drop: float = 0.0, delay_ms: float | Sequence[float] = 0.0, duplicate: float = 0.0, reorder: float = 0.0
) -> LinkRule:
    """A checked `LinkRule`; `delay_ms` is one number or ``(low, high)``.

    Raises:
        InvalidSetting: a probability outside 0 to 1, or a delay outside 0 to 600,000 ms or out of order.
    """
    for name, chance in (("drop", drop), ("duplicate", duplicate), ("reorder", reorder)):
        if not _is_number(chance) or not 0 <= chance <= 1:
            raise InvalidSetting(f"{name} must be a probability from 0 to 1; got {chance!r}")
    bounds = tuple(delay_ms) if isinstance(delay_ms, (tuple, list)) else (delay_ms, delay_ms)
    if len(bounds) != 2 or not all(map(_is_number, bounds)):
        raise InvalidSetting(f"delay_ms must be a number or a pair (low, high); got {delay_ms!r}")
    if not 0 <= bounds[0] <= bounds[1] <= DELAY_MS_MAX:
        raise InvalidSetting(f"delay_ms must have 0 <= low <= high <= {DELAY_MS_MAX}; got {delay_ms!r}")
    return LinkRule(float(drop), (float(bounds[0]), float(bounds[1])), float(duplicate), float(reorder))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def as_sides(sides: Iterable[str | Iterable[str]]) -> list[str | list[str]]:
    """The sides as texts and lists, each read once.

    Raises:
        InvalidPartition: one is neither text nor names.
    """
    for side in sides:
        if not isinstance(side, Iterable):
            raise InvalidPartition(f"a side is text like 'AB', or a list of names; got {side!r:.80}")
    return [side if isinstance(side, str) else list(side) for side in sides]


def parse_partition(sides: Sequence[str | Iterable[str]], nodes: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The sides of a partition, each a tuple of node names.

    Args:
        sides: one string, ``"AB|CDE"`` (one-letter names) or ``"ann,bob|cy"``; or several sides,
            each a string like that or a list of names.
        nodes: the names the cluster knows.

    Raises:
        InvalidPartition: fewer than two sides, an empty side, an unknown name, a name on two sides.

    >>> parse_partition(["AB|CD"], ["A", "B", "C", "D"])
    (('A', 'B'), ('C', 'D'))
    """
    parts: list[str | Iterable[str]] = []
    for side in sides:
        parts += side.split("|") if isinstance(side, str) else [side]
    named = tuple(tuple(_names(part, nodes)) for part in parts)
    if len(named) < 2 or not all(named):
        raise InvalidPartition(f"a partition has at least two sides, none empty, like 'AB|CDE'; got {list(sides)!r}")
    flat = [name for side in named for name in side]
    twice = sorted({name for name in flat if flat.count(name) > 1})
    if twice:
        raise InvalidPartition(f"node {twice[0]!r} is named twice in {list(sides)!r}; a node is on one side")
    return named


def _names(side: str | Iterable[str], nodes: Sequence[str]) -> list[str]:
    if isinstance(side, str):
        apart = [name for name in side.replace(",", " ").split() if name]
        names = [name for word in apart for name in ([word] if word in nodes else word)]
    else:
        names = list(side)
    unknown = [name for name in names if name not in nodes]
    if unknown:
        raise InvalidPartition(f"no node is called {unknown[0]!r}; the nodes are {', '.join(nodes)}")
    return names


@dataclass(frozen=True)
class Faults:
    """All faults of the network at one moment: an immutable value.

    Attributes:
        cuts: links that deliver nothing.
        rules: ``{(from, to): LinkRule}`` for links that misbehave.
        base: the rule of every other link.
    """

    cuts: tuple[Link, ...] = ()
    rules: Mapping[Link, LinkRule] = field(default_factory=dict)
    base: LinkRule = PERFECT
    #: the cuts once more, for quick look-up
    _cut: frozenset[Link] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_cut", frozenset(self.cuts))

    def is_cut(self, sender: str, to: str) -> bool:
        """Whether messages from `sender` to `to` are all lost."""
        return (sender, to) in self._cut

    def rule(self, sender: str, to: str) -> LinkRule:
        """The rule for messages from `sender` to `to`."""
        return self.rules.get((sender, to), self.base)

    def partitioned(self, sides: Sequence[Sequence[str]], one_way: bool = False) -> Faults:
        """These faults, and a cut between every two sides; `one_way`: only from earlier to later sides."""
        cuts = list(self.cuts)
        for index, left in enumerate(sides):
            for right in sides[index + 1 :]:
                cuts += [(a, b) for a in left for b in right]
                cuts += [] if one_way else [(b, a) for a in left for b in right]
        return replace(self, cuts=tuple(dict.fromkeys(cuts)))

    def linked(self, sender: str, to: str, rule: LinkRule, both_ways: bool = False) -> Faults:
        """These faults with another rule for one link; a perfect rule removes it."""
        links = [(sender, to)] + ([(to, sender)] if both_ways else [])
        rules = {link: old for link, old in self.rules.items() if link not in links}
        if rule != self.base:
            rules |= dict.fromkeys(links, rule)
        return replace(self, rules=rules)

    def healed(self) -> Faults:
        """No cut and no rule any more."""
        return replace(self, cuts=(), rules={})

    def words(self) -> list[str]:
        """Every fault in words, for people.

        >>> Faults().partitioned([["A"], ["B"]]).words()
        ['A and B do not hear each other']
        """
        said = [_cut_words(link, self._cut) for link in self.cuts]
        said += [f"from {sender} to {to}: {rule}" for (sender, to), rule in self.rules.items()]
        return [words for words in said if words]


def _cut_words(link: Link, cuts: frozenset[Link]) -> str:
    sender, to = link
    if (to, sender) not in cuts:
        return f"{to} does not hear {sender}"
    return f"{sender} and {to} do not hear each other" if sender < to else ""


def known_node(name: str, nodes: Iterable[str]) -> str:
    """`name`, if it is a node.

    Raises:
        UnknownNode: it is not; the text lists the nodes.
    """
    nodes = list(nodes)
    if name not in nodes:
        raise UnknownNode(f"no node is called {name!r}; the nodes are {', '.join(nodes)}")
    return name


def said(verb: str, *arguments: object, **named: object) -> str:
    """A verb as a person would type it, for the trace; named arguments left at None or False are left out.

    >>> said("partition", "AB|CDE", one_way=False), said("link", "A", "B", drop=0.3)
    ('partition("AB|CDE")', 'link("A", "B", drop=0.3)')
    """
    words = [_typed(argument) for argument in arguments]
    words += [f"{name}={_typed(value)}" for name, value in named.items() if value is not None and value is not False]
    return f"{verb}({', '.join(words)})"


def _typed(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
