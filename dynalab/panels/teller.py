"""Tells a story on a cluster of its own, step by step, and says so when a step did not show what it promises.

Theory of operation.
A step runs its verbs through the hands of the panel, so its code lines are shown like those of any click.
Then it waits for its trace events: a simulation lets virtual time pass, a live cluster is followed by the feed.

Rule: a story never stands still: each step ends as shown or as failed, and a failed one can go on, or begin again
in the seeded simulation, where it always shows the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynalab.core.errors import DynalabError
from dynalab.core.session import Got, key_text
from dynalab.core.trace import TraceEvent
from dynalab.panels.asked import literal, shown_named
from dynalab.panels.catalogue import Words
from dynalab.panels.feed import Feed
from dynalab.panels.hands import REFUSED, UNKNOWN, Hands
from dynalab.panels.stories import BY_NAME, KEY, NODES, PATIENCE_MS, SEED, STORIES, Step, Story, placed
from dynalab.panels.subject import LIVE, SIM, Subject

SLICE_MS = 10
"""Virtual time between two looks for an event."""

READY, RUNNING, SHOWN, FAILED = "ready", "running", "shown", "failed"


def listed(words: Words) -> list[dict[str, str]]:
    """All stories, for choosing one."""
    return [
        {"name": story.name, "title": words(f"story.{story.name}.title"), "about": words(f"story.{story.name}.about")}
        for story in STORIES
    ]


def cluster_of(story: Story, world: str) -> tuple[Any, str]:
    """The cluster of a story, and the code that makes it."""
    settings = {"n": 3, "r": 2, "w": 2, **story.settings}
    shown = ", ".join(shown_named(settings))
    if world == LIVE:
        from dynalab.live.cluster import Cluster

        return Cluster(NODES, name="story", **settings), f"cluster = Cluster({NODES}, name={literal('story')}, {shown})"
    from dynalab.sim.cluster import Simulation

    return Simulation(NODES, seed=SEED, **settings), f"sim = Simulation({NODES}, seed={SEED}, {shown})"


class Teller:
    """One story being told.

    Args:
        name: of the story.
        subject: its cluster.
        hands, feed: the panel's, of that cluster.
        words: the catalogue.

    Attributes:
        step: how many steps have been run.
    """

    def __init__(self, name: str, subject: Subject, hands: Hands, feed: Feed, words: Words) -> None:
        self.story = BY_NAME[name]
        self.subject = subject
        self.hands = hands
        self.feed = feed
        self.words = words
        self.step = 0
        #: the last event before the latest step that did something; the next ones only wait for what follows from it
        self._since = 0
        self.status = READY
        self.why = ""
        walk = list(feed.ring.preference_list(KEY, NODES)) if feed.ring.nodes else []
        self.steps = [placed_step(step, walk) for step in self.story.steps]
        self._walk = walk

    def told(self) -> dict[str, Any]:
        """Where the story is, for the browser."""
        return {
            "name": self.story.name,
            "title": self.words(f"story.{self.story.name}.title"),
            "world": self.subject.kind,
            "step": self.step,
            "of": len(self.steps),
            "narration": self._narration(),
            "status": self.status,
            "why": self.why,
        }

    def _narration(self) -> str:
        part = str(self.step) if self.step else "about"
        text: str = placed(self.words(f"story.{self.story.name}.{part}"), self._walk)
        return text

    def begin_next(self) -> bool:
        """Turn to the next step; False when there is none. Then `run` it."""
        if self.step >= len(self.steps):
            return False
        self.step += 1
        self.status, self.why = RUNNING, ""
        return True

    def run(self) -> None:
        """Run the step turned to, and find out whether it showed what it promises."""
        step = self.steps[self.step - 1]
        self.feed.poll()
        if step.calls:
            self._since = self.feed.tape.last_seq
        refused = self._call(step)
        missing = self._missing(step, self._since)
        self.why = refused or missing or self._wrong(step)
        self.status = FAILED if self.why else SHOWN

    def _call(self, step: Step) -> str:
        """Run the verbs; what went wrong, unless the step promises that error."""
        promised = str(step.result.get("error", ""))
        for verb, arguments in step.calls:
            line = self.hands.run(verb, arguments)
            if line.state in (REFUSED, UNKNOWN) and not (promised and line.outcome.startswith(promised)):
                return self.words("stories.broke", error=line.outcome)
            if line.state not in (REFUSED, UNKNOWN) and promised:
                return self.words("stories.expected", expected=promised, seen=line.outcome)
        return ""

    # Waiting -----------------------------------------------------------------------------------

    def _missing(self, step: Step, since: int) -> str:
        """Wait for the promised events; which of them did not come in time."""
        wanted = list(step.events)
        if self.subject.kind == SIM:
            waited_ms = 0
            self.feed.poll()
            while self._not_yet(wanted, since) and waited_ms < PATIENCE_MS:
                self.subject.target.run(ms=SLICE_MS)
                self.feed.poll()
                waited_ms += SLICE_MS
        else:
            self.feed.wait_until(lambda: not self._not_yet(wanted, since), PATIENCE_MS / 1000)
        left = self._not_yet(wanted, since)
        return self.words("stories.waited", ms=PATIENCE_MS, what=" ".join(left[0].values())) if left else ""

    def _not_yet(self, wanted: list[Mapping[str, str]], since: int) -> list[Mapping[str, str]]:
        events = self.feed.tape.newer_than(since)
        return [pattern for pattern in wanted if not any(is_like(event, pattern) for event in events)]

    # Judging -----------------------------------------------------------------------------------

    def _wrong(self, step: Step) -> str:
        """Whether the result is the promised one; what is wrong with it."""
        got = self.hands.results.get("got")
        promised = step.result
        if promised.get("values") is not None:
            seen = got.values if isinstance(got, Got) else None
            if seen is None or sorted(map(repr, seen)) != sorted(map(repr, promised["values"])):
                return self._unlike(promised["values"], seen)
        if "count" in promised:
            count = len(got.values) if isinstance(got, Got) else 0
            if count != promised["count"]:
                return self._unlike(promised["count"], count)
        for node, values in promised.get("held", {}).items():
            held = self._held(node)
            if held != values:
                return self._unlike(values, held)
        return ""

    def _held(self, node: str) -> Any:
        """What a node holds; its `store` is in the trace before its owner can be asked, so asking once is enough."""
        try:
            return self.subject.target.values(KEY).get(node)
        except DynalabError:
            return None

    def _unlike(self, expected: Any, seen: Any) -> str:
        return self.words("stories.expected", expected=repr(expected), seen=repr(seen))


def placed_step(step: Step, walk: list[str]) -> Step:
    """A step whose nodes are named."""
    return Step(placed(step.calls, walk), placed(step.events, walk), placed(step.result, walk))


def is_like(event: TraceEvent, pattern: Mapping[str, str]) -> bool:
    """Whether an event has all these fields; ``text`` is its message.

    >>> is_like(TraceEvent(1, 0, "C", "store", "handoff"), {"kind": "store", "text": "handoff"})
    True
    """
    for name, wanted in pattern.items():
        seen = key_text(event.key) if name == "key" else getattr(event, "message" if name == "text" else name)
        if seen != wanted:
            return False
    return True
