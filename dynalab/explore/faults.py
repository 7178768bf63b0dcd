"""What goes wrong in a random script: episodes of faults, alone and on top of each other.

Theory of operation.
An episode is one fault from its beginning to its end; a schedule is many of them, at random times.
Whatever has not ended when the script does, ends then.

Shapes of partitions follow Jepsen's: one node, a majority, a minority third,
a ring in which every node sees another majority, and a bridge between two halves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from dynalab.explore.forgery import FORGERIES
from dynalab.explore.script import Step

Links = list[list[str]]
"""``[[from, to]]``"""


class Schedule:
    """Draws the faults of one script.

    Args:
        random: dice.
        nodes: the founding nodes.
        ends_ms: when the faults end.
        spare: how many nodes may leave for good.
    """

    def __init__(self, random: Random, nodes: Sequence[str], ends_ms: int, spare: int) -> None:
        self._random = random
        self._nodes = list(nodes)
        self._ends_ms = ends_ms
        self._spare = spare
        self._joined = 0
        self._steps: list[Step] = []

    def steps(self, kinds: Sequence[str], episodes: int) -> list[Step]:
        """The steps of so many episodes of these kinds."""
        for _ in range(episodes):
            EPISODES[self._random.choice(kinds)](self)
        return self._steps

    # When ------------------------------------------------------------------------------------

    def _add(self, at_ms: float, verb: str, **given: Any) -> None:
        self._steps.append(Step(int(at_ms), verb, given))

    def _span(self) -> tuple[int, int]:
        """The beginning and the end of an episode: short ones are as likely as long ones."""
        begins = self._random.randint(0, self._ends_ms)
        return begins, begins + int(self._random.choice([20, 100, 400, 1_500, 4_000]) * self._random.uniform(0.3, 1.7))

    # The network -----------------------------------------------------------------------------

    def partition(self) -> None:
        """Two or three sides."""
        begins, ends = self._span()
        names = self._shuffled()
        cut = self._random.choice([1, len(names) // 2, -(-len(names) // 3)])
        sides = [names[:cut], names[cut:]]
        if len(sides[1]) > 2 and self._random.random() < 0.2:
            sides = [sides[0], sides[1][:1], sides[1][1:]]
        if all(sides):
            self._add(begins, "partition", sides=sides)
            self._add(ends, "heal")

    def one_way(self) -> None:
        """One side hears the other, and is not heard."""
        begins, ends = self._span()
        names = self._shuffled()
        cut = self._random.randint(1, max(1, len(names) - 1))
        if names[cut:]:
            self._add(begins, "partition", sides=[names[:cut], names[cut:]], one_way=True)
            self._add(ends, "heal")

    def ring(self) -> None:
        """Every node sees another majority: those next to it in a circle."""
        names = self._shuffled()
        sees = len(names) // 2 + 1
        links = []
        for place, name in enumerate(names):
            near = {names[(place + step - sees // 2) % len(names)] for step in range(sees)}
            links += [[name, other] for other in names if other not in near]
        self._cut_links([link for link in links if [link[1], link[0]] in links])

    def bridge(self) -> None:
        """Two halves that share one node and do not hear each other."""
        names = self._shuffled()[1:]
        half = len(names) // 2
        pairs = [(a, b) for a in names[:half] for b in names[half:]]
        self._cut_links([[a, b] for a, b in pairs] + [[b, a] for a, b in pairs])

    def swizzle(self) -> None:
        """Some nodes are cut off one by one, and come back one by one in another order."""
        begins, ends = self._span()
        some = self._shuffled()[: self._random.randint(1, len(self._nodes))]
        pause = max(1, (ends - begins) // (2 * len(some)))
        for place, name in enumerate(some):
            self._add(begins + place * pause, "weather", links=self._links_of(name), drop=1.0)
        for place, name in enumerate(self._random.sample(some, len(some))):
            self._add(ends - (len(some) - place) * pause, "weather", links=self._links_of(name))

    def flap(self) -> None:
        """One link that comes and goes."""
        if len(self._nodes) < 2:
            return
        begins, ends = self._span()
        pair = self._shuffled()[:2]
        both = self._random.random() < 0.5
        links = [pair, pair[::-1]] if both else [pair]
        every = self._random.choice([50, 200, 700])
        for place, at_ms in enumerate(range(begins, ends, every)):
            self._add(at_ms, "weather", links=links, **({"drop": 1.0} if place % 2 == 0 else {}))
        self._add(ends, "weather", links=links)

    def loss(self) -> None:
        """Up to 30 % of messages are lost."""
        self._weather(drop=round(self._random.uniform(0.02, 0.3), 2))

    def duplication(self) -> None:
        """Up to half of the messages arrive twice."""
        self._weather(duplicate=round(self._random.uniform(0.05, 0.5), 2))

    def reorder(self) -> None:
        """Messages overtake each other."""
        self._weather(reorder=round(self._random.uniform(0.1, 1.0), 2))

    def delay(self) -> None:
        """Messages are late, now and then later than anybody waits."""
        high = self._random.choice([5, 50, 300, 2_000])
        self._weather(delay_ms=[0, high])

    def storm(self) -> None:
        """All of it at once."""
        self._weather(
            drop=round(self._random.uniform(0, 0.3), 2),
            duplicate=round(self._random.uniform(0, 0.5), 2),
            reorder=0.5,
            delay_ms=[0, self._random.choice([5, 100])],
        )

    def _weather(self, **rule: Any) -> None:
        begins, ends = self._span()
        links = [[a, b] for a in self._nodes for b in self._nodes if a != b]
        share = self._random.choice([0.2, 0.6, 1.0])
        some = [link for link in links if self._random.random() < share]
        self._add(begins, "weather", links=some, **rule)
        self._add(ends, "weather", links=some)

    def _cut_links(self, links: Links) -> None:
        begins, ends = self._span()
        if links:
            self._add(begins, "weather", links=links, drop=1.0)
            self._add(ends, "weather", links=links)

    def _links_of(self, name: str) -> Links:
        others = [other for other in self._nodes if other != name]
        return [link for other in others for link in ([name, other], [other, name])]

    # Nodes -----------------------------------------------------------------------------------

    def crash(self) -> None:
        """One node, or all of them, crash and come back on their own disks."""
        begins, ends = self._span()
        count = self._random.choice([1, 1, 1, 2, len(self._nodes)])
        for name in self._shuffled()[:count]:
            self._add(begins, "crash", node=name)
            self._add(ends + self._random.choice([0, 0, 30, 300]), "recover", node=name)

    def crash_again(self) -> None:
        """One node crashes several times within a moment: in the middle of what it does."""
        begins, _ = self._span()
        name = self._random.choice(self._nodes)
        for place in range(self._random.randint(2, 6)):
            at_ms = begins + place * self._random.choice([3, 20, 120])
            self._add(at_ms, "crash", node=name)
            self._add(at_ms + self._random.choice([1, 5, 60]), "recover", node=name)

    def wipe(self) -> None:
        """A node comes back on an empty disk."""
        begins, ends = self._span()
        name = self._random.choice(self._nodes)
        self._add(begins, "crash", node=name)
        self._add(ends, "recover", node=name, wipe=True)

    def pause(self) -> None:
        """A node stops for a while and goes on with what it had."""
        begins, ends = self._span()
        name = self._random.choice(self._nodes)
        self._add(begins, "pause", node=name)
        self._add(ends, "resume", node=name)

    def skew(self) -> None:
        """A wall clock jumps."""
        jump = self._random.choice([-300_000, -1_000, 1_000, 300_000])
        self._add(self._span()[0], "skew", node=self._random.choice(self._nodes), ms=jump)

    # The ring --------------------------------------------------------------------------------

    def join(self) -> None:
        """A new node."""
        self._joined += 1
        name = f"J{self._joined}"
        weight = {"weight": 2.0} if self._random.random() < 0.3 else {}
        self._add(self._span()[0], "join", node=name, **weight)
        if self._random.random() < 0.7:
            self._nodes.append(name)

    def leave(self) -> None:
        """A node hands over and goes; now and then one that is gone for good."""
        if self._spare <= 0 or len(self._nodes) < 2:
            return
        self._spare -= 1
        begins, ends = self._span()
        name = self._nodes.pop(self._random.randrange(len(self._nodes)))
        if self._random.random() < 0.2:
            self._add(begins, "crash", node=name)
            self._add(ends, "leave", node=name, force=True)
        else:
            self._add(begins, "leave", node=name)

    def move(self) -> None:
        """A node takes over some key ranges, to share the load anew (6.2)."""
        slots = sorted(self._random.sample(range(16), self._random.randint(1, 4)))
        self._add(self._span()[0], "move", node=self._random.choice(self._nodes), slots=slots)

    # Nonsense --------------------------------------------------------------------------------

    def forge(self) -> None:
        """A message that nobody may send, or that answers nothing, reaches a node."""
        what = self._random.choice(list(FORGERIES))
        self._add(self._span()[0], "forge", what=what, node=self._random.choice(self._nodes))

    def _shuffled(self) -> list[str]:
        return self._random.sample(self._nodes, len(self._nodes))


EPISODES: dict[str, Callable[[Schedule], None]] = {
    "loss": Schedule.loss,
    "duplication": Schedule.duplication,
    "reorder": Schedule.reorder,
    "delay": Schedule.delay,
    "storm": Schedule.storm,
    "partition": Schedule.partition,
    "oneway": Schedule.one_way,
    "ring": Schedule.ring,
    "bridge": Schedule.bridge,
    "swizzle": Schedule.swizzle,
    "flap": Schedule.flap,
    "crash": Schedule.crash,
    "torn": Schedule.crash_again,
    "wipe": Schedule.wipe,
    "pause": Schedule.pause,
    "skew": Schedule.skew,
    "join": Schedule.join,
    "leave": Schedule.leave,
    "move": Schedule.move,
    "forge": Schedule.forge,
}
"""``{kind of fault: what draws one episode of it}``"""
