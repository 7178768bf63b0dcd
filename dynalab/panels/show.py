"""One cluster on show: its feed, hands, traveller, meter and load, and the runners that do their work.

A panel shows one at a time; a story brings a show of its own, and afterwards the first one is opened again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dynalab.panels.catalogue import Words
from dynalab.panels.feed import Feed
from dynalab.panels.hands import Hands
from dynalab.panels.load import Load
from dynalab.panels.meter import Meter
from dynalab.panels.runner import InlineRunner, Runner, ThreadRunner, runner_for
from dynalab.panels.subject import LIVE, Subject
from dynalab.panels.teller import Teller
from dynalab.panels.travel import Traveller


class Show:
    """Everything a panel has about one cluster.

    Args:
        subject: the cluster.
        history: trace events to remember.
        words: the catalogue.
        on_lines: hears the code lines.
        on_error: hears what a runner's work raised.
        own: whether the cluster is the panel's own, so that no cell can use it at the same time.

    Attributes:
        watching: the runner that looks.
        doing: the runner that runs verbs; the same one for a simulation.
        beside: the runner for long work that only looks.
        teller: the story that is told here, if any.
    """

    def __init__(
        self,
        subject: Subject,
        history: int,
        words: Words,
        on_lines: Callable[[list[dict[str, Any]]], object],
        on_error: Callable[[Exception], object],
        own: bool = False,
    ) -> None:
        self.subject = subject
        self.own = own
        self.feed = Feed(subject, history)
        self.traveller = Traveller(subject, self.feed.tape)
        self.hands = Hands(subject, words, on_lines)
        self.meter = Meter(subject)
        self.load = Load(subject)
        self.teller: Teller | None = None
        self.wanted_step = 0
        self._on_error = on_error
        self._runners: list[Runner] = []

    def open(self, inline: bool = False) -> None:
        """Get the runners ready; `inline`: where there is no event loop and nobody waits, work is done at once."""
        kind = self.subject.kind
        if self.own and not inline:
            self.watching: Runner = self._thread("feed")
        else:
            self.watching = runner_for(kind, "dynalab-panel-feed", self._on_error)
        is_inline = isinstance(self.watching, InlineRunner)
        self.doing = self._thread("hands") if kind == LIVE else self.watching
        self.beside = self.watching if is_inline else self._thread("beside")
        self._runners = [self.watching, self.doing, self.beside]

    def _thread(self, name: str) -> Runner:
        return ThreadRunner(self._on_error, f"dynalab-panel-{name}")

    def close(self) -> None:
        """Stop the runners and the load; the cluster goes on, unless it is the panel's own."""
        self.load.set_rate(0)
        for runner in self._runners:
            runner.close()
        if self.own:
            self.subject.target.close()
