"""A script carried out on a simulation, step by step, everything recorded.

Rule 1: what has become impossible (a node that is gone, a cut without two sides) is passed over and counted.
Rule 2: at the end of the faults the network is healed, paused nodes go on, crashed ones come back on their disks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynalab.check.recorder import Recorder
from dynalab.check.report import Violation
from dynalab.core.errors import DynalabError
from dynalab.core.messages import ClientLeave, ClientMove
from dynalab.explore.forgery import forged_messages, told_apart
from dynalab.explore.player import Player, Shared
from dynalab.explore.script import CLIENT_VERBS, Script, Step
from dynalab.sim.cluster import Simulation
from dynalab.sim.verbs import ADMINISTRATOR

SLICE_MS = 500
EVENTS_MAX = 600_000
CHANGE_MS = 600_000
"""A join or leave may take until the end of the run."""


def _unheard(sender: str, reply: object) -> None:
    """The membership history, not the reply, says where a key range is."""


class MessageStorm(Exception):
    """A script led to so many events that it would never end."""


class Play:
    """One script and the simulation it happens to.

    Attributes:
        sim, recorder: the cluster, and the history of what clients did.
        violations: bad input that was not inert (I13).
        passed_over: steps that had become impossible.
        faults: ``{verb: times}`` that took effect.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        settings = dict(script.settings)
        self.sim = Simulation(script.nodes, seed=script.seed, latency_ms=script.latency_ms, **settings)
        self.recorder = Recorder(self.sim)
        self.violations: list[Violation] = []
        self.passed_over = 0
        self.faults: dict[str, int] = {}
        self._shared = Shared()
        self._players: dict[str, Player] = {}
        #: nodes that were asked to leave; those of them that will not come back
        self._gone: set[str] = set()
        self._lost: set[str] = set()

    # The run ---------------------------------------------------------------------------------

    def faulty_phase(self) -> None:
        """Carry out all steps.

        Raises:
            MessageStorm: it would never end.
        """
        for step in self.script.steps:
            self._run_until(step.at_ms)
            self._carry_out(step)
        self._run_until(max(self.script.ends_ms, self.sim.now_ms))

    def mend(self) -> None:
        """End all faults, and wait until every client has its answer."""
        self.recorder.heal()
        for name, state in self.sim.states().items():
            if state == "paused":
                self.recorder.resume(name)
            elif state == "crashed" and name not in self._lost:
                self.recorder.recover(name)
        self._say_again_who_left()
        self._run_until(self.sim.now_ms + 2 * self.sim.config.timeout_ms + 2_000)

    def _say_again_who_left(self) -> None:
        """The only node that knew of a leave may be gone for good itself: then its administrator repeats it."""
        self.sim.run(ms=SLICE_MS)
        running = [name for name, state in self.sim.states().items() if state == "up"]
        for name in sorted({*self._gone} - {*self.sim.nodes}):
            message = ClientLeave(f"left-{name}", name, force=True)
            self.sim._world.request(ADMINISTRATOR, running[0], message, CHANGE_MS * 1000, _unheard)

    def _run_until(self, at_ms: float) -> None:
        while self.sim.now_ms < at_ms:
            self.sim.run(ms=min(SLICE_MS, at_ms - self.sim.now_ms))
            if len(self.sim.events) > EVENTS_MAX:
                raise MessageStorm(f"{len(self.sim.events)} events by {self.sim.now_ms:g} ms")

    # Steps -----------------------------------------------------------------------------------

    def _carry_out(self, step: Step) -> None:
        try:
            if step.verb in CLIENT_VERBS:
                self._ask(step.verb, step.given)
            else:
                getattr(self, f"_do_{step.verb}")(**step.given)
                self.faults[step.verb] = self.faults.get(step.verb, 0) + 1
        except DynalabError:
            self.passed_over += 1

    def _ask(self, verb: str, given: Mapping[str, Any]) -> None:
        if verb != "retry":
            self._player(given["client"]).begin(verb, given)
        elif given["request"] in self._shared.sent:
            player, operation, message = self._shared.sent[given["request"]]
            player.repeat(operation, message, given.get("via"))
        else:
            self.passed_over += 1

    def _player(self, name: str) -> Player:
        if name not in self._players:
            self._players[name] = Player(self.recorder, self.sim.client(name), self._shared)
        return self._players[name]

    def _do_partition(self, sides: list[list[str]], one_way: bool = False) -> None:
        known = self.sim.nodes
        self.recorder.partition(*[[name for name in side if name in known] for side in sides], one_way=one_way)

    def _do_heal(self) -> None:
        self.recorder.heal()

    def _do_weather(self, links: list[list[str]], **rule: Any) -> None:
        known = self.sim.nodes
        for a, b in links:
            if a in known and b in known:
                self.sim.link(a, b, **rule)
        self.recorder.history.note_fault(f"weather({rule or 'fair'}) on {len(links)} links", self.recorder.now_us())

    def _do_crash(self, node: str) -> None:
        self.recorder.crash(node)

    def _do_recover(self, node: str, wipe: bool = False) -> None:
        self.recorder.recover(node, wipe=wipe)

    def _do_pause(self, node: str) -> None:
        self.recorder.pause(node)

    def _do_resume(self, node: str) -> None:
        self.recorder.resume(node)

    def _do_skew(self, node: str, ms: int) -> None:
        self.recorder.skew(node, ms)

    def _do_join(self, node: str, weight: float = 1.0) -> None:
        self.sim._joining(node, weight, "", CHANGE_MS)
        self.recorder.history.note_fault(f"join({node!r})", self.recorder.now_us(), node)

    def _do_leave(self, node: str, force: bool = False) -> None:
        """Who is gone for good is forgotten by the judge like a wiped disk."""
        self.sim._leaving(node, force, CHANGE_MS)
        self._gone.add(node)
        self._lost |= {node} if force else set()
        self.recorder.history.note_fault(f"leave({node!r}, force={force})", self.recorder.now_us(), node, wiped=force)

    def _do_move(self, node: str, slots: list[int]) -> None:
        """An administrator asks that a node take over key ranges; whoever runs first is asked."""
        names = [name for name, state in self.sim.states().items() if state == "up"]
        if not names or self.sim.config.strategy != 3:
            self.passed_over += 1
            return
        message = ClientMove(f"move-{self.recorder.now_us()}-{node}", node, tuple(slots))
        self.sim._world.request(ADMINISTRATOR, names[0], message, CHANGE_MS * 1000, _unheard)
        self.recorder.history.note_fault(f"move({node!r}, {slots})", self.recorder.now_us(), node)

    def _do_forge(self, what: str, node: str) -> None:
        """Hand a node a message it must not believe, and compare it before and after."""
        if self.sim.states().get(node) != "up":
            self.passed_over += 1
            return
        self.sim.run(ms=0)
        before = self.sim.inspect(node)
        for sender, message in forged_messages(what, [name for name in self.sim.nodes if name != node], node):
            self.sim._world.inject(sender, node, message)
        self.sim.run(ms=0)
        self.violations += told_apart(what, node, before, self.sim.inspect(node))
