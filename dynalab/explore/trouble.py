"""Troubles for a live cluster: each breaks one thing, and knows how to mend it.

Rule 1: what has become impossible meanwhile (a node that is gone, another cut in place) is passed over and counted.
Rule 2: at most one disk is lost at a time, and only while all else is settled: more would lose data for good.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from dynalab.check.recorder import Recorder
from dynalab.core.errors import DynalabError, NotSettled

CHANGE_MS = 20_000
"""A join or leave may take so long before it is left to itself."""

GUESTS_MAX = 2
"""Nodes beside the founding ones; a cluster that only grew would say nothing about its memory."""


class Episode(NamedTuple):
    """One trouble: how it begins and how it ends; neither raises."""

    do: Callable[[], None]
    undo: Callable[[], None]


class Trouble:
    """Draws episodes for one cluster; used from several threads.

    Attributes:
        done: ``{kind: how often it took effect}``.
        passed_over: verbs that had become impossible.
    """

    def __init__(self, recorder: Recorder, random: Random) -> None:
        self.done: dict[str, int] = {}
        self.passed_over = 0
        self._recorder = recorder
        self._random = random
        self._lock = threading.Lock()
        self._joined = 0

    def begin(self) -> Episode:
        """The next episode."""
        kind = self._random.choice(KINDS)
        do, undo = KINDS_OF[kind](self)
        return Episode(lambda: self._try(kind, do), lambda: self._try("", undo))

    def mend_all(self) -> None:
        """Heal the network, let paused nodes go on, recover crashed ones, and set the clocks right."""
        self._recorder.heal()
        for node, state in self._recorder.states().items():
            if state == "paused":
                self._recorder.resume(node)
            elif state == "crashed":
                self._recorder.recover(node)
        for node in self._recorder.nodes:
            self._recorder.skew(node, 0)

    def _try(self, kind: str, verb: Callable[[], Any]) -> None:
        try:
            verb()
        except NotSettled:
            pass_over = False  # It took effect, and goes on.
        except DynalabError:
            pass_over = True
        else:
            pass_over = False
        with self._lock:
            self.passed_over += pass_over
            if kind and not pass_over:
                self.done[kind] = self.done.get(kind, 0) + 1

    # The kinds -------------------------------------------------------------------------------

    def _one(self) -> str:
        nodes: list[str] = self._recorder.nodes
        return self._random.choice(nodes)

    def _shuffled(self) -> list[str]:
        nodes: list[str] = self._recorder.nodes
        return self._random.sample(nodes, len(nodes))

    def _partition(self) -> tuple[Callable[[], Any], Callable[[], Any]]:
        names = self._shuffled()
        cut = self._random.choice([1, len(names) // 2])
        one_way = self._random.random() < 0.3
        return lambda: self._recorder.partition(names[:cut], names[cut:], one_way=one_way), self._recorder.heal

    def _weather(self) -> tuple[Callable[[], Any], Callable[[], Any]]:
        rule: dict[str, Any] = self._random.choice(
            [
                {"drop": self._random.uniform(0.02, 0.3)},
                {"duplicate": self._random.uniform(0.05, 0.5)},
                {"reorder": self._random.uniform(0.1, 1.0)},
                {"delay_ms": (0, self._random.choice([5, 50, 300]))},
            ]
        )
        names = self._shuffled()
        links = [(a, b) for a in names for b in names if a != b and self._random.random() < 0.5]

        def change(**given: Any) -> None:
            for a, b in links:
                self._recorder.link(a, b, **given)

        return lambda: change(**rule), change

    def _crash(self) -> tuple[Callable[[], Any], Callable[[], Any]]:
        node = self._one()
        return lambda: self._recorder.crash(node), lambda: self._recorder.recover(node)

    def _wipe(self) -> tuple[Callable[[], Any], Callable[[], Any]]:
        node = self._one()

        def lose_disk() -> None:
            self._recorder.settle(timeout_ms=3_000)  # Others have all it keeps.
            self._recorder.crash(node)
            self._recorder.recover(node, wipe=True)

        return lose_disk, lambda: self._recorder.settle(timeout_ms=3_000)

    def _crash_all(self) -> tuple[Callable[[], Any], Callable[[], Any]]:
        names = self._shuffled()

        def each(verb: Callable[[str], Any]) -> None:
            for name in names:
                self._try("", lambda name=name: verb(name))  # type: ignore[misc]

        return lambda: each(self._recorder.crash), lambda: each(self._recorder.recover)

    def _pause(self) -> tuple[Callable[[], Any], Callable[[], Any]]:
        node = self._one()
        return lambda: self._recorder.pause(node), lambda: self._recorder.resume(node)

    def _skew(self) -> tuple[Callable[[], Any], Callable[[], Any]]:
        node, ms = self._one(), self._random.choice([-300_000, -1_000, 1_000, 300_000])
        return lambda: self._recorder.skew(node, ms), lambda: None

    def _come_and_go(self) -> tuple[Callable[[], Any], Callable[[], Any]]:
        """A node joins, and leaves again; when guests could not leave in time, one of them tries once more instead."""
        guests = [node for node in self._recorder.nodes if node.startswith("J")]
        if len(guests) >= GUESTS_MAX:
            return lambda: self._recorder.leave(guests[0], timeout_ms=CHANGE_MS), lambda: None
        self._joined += 1
        name = f"J{self._joined}"
        return (
            lambda: self._recorder.join(name, timeout_ms=CHANGE_MS),
            lambda: self._recorder.leave(name, timeout_ms=CHANGE_MS),
        )


KINDS_OF: dict[str, Callable[[Trouble], tuple[Callable[[], Any], Callable[[], Any]]]] = {
    "partition": Trouble._partition,
    "weather": Trouble._weather,
    "crash": Trouble._crash,
    "crash all": Trouble._crash_all,
    "wipe": Trouble._wipe,
    "pause": Trouble._pause,
    "skew": Trouble._skew,
    "join and leave": Trouble._come_and_go,
}
KINDS = [*KINDS_OF, "partition", "partition", "weather", "weather", "crash", "crash", "pause"]
"""Those that cost least come most often."""
