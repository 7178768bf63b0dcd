"""Breaking and mending a live cluster: the fault verbs, and who is in the ring (paper 4.6, 4.8).

Rule 1: a verb is checked first; when it is refused, nothing has changed.
Rule 2: a verb has taken effect when it returns: every node that runs has obeyed; paused ones will when they go on.
Rule 3: verbs come one at a time, from whatever thread they are called.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from dynalab.core.config import Parts
from dynalab.core.errors import BadRequest, InvalidSetting, NodeIsDown, NotSettled
from dynalab.core.faults import Faults, as_sides, known_node, link_rule, parse_partition, said
from dynalab.core.founding import checked_name
from dynalab.core.inspection import leftovers, still_here
from dynalab.core.membership import placement
from dynalab.core.messages import ClientLeave, ClientMove
from dynalab.core.rebalance import MOVES_MAX, has_moved, planned
from dynalab.core.ring import Ring
from dynalab.live import control
from dynalab.live.client import FORKED
from dynalab.live.control import Told
from dynalab.live.line import Ask
from dynalab.live.owner import Owner, user_of
from dynalab.live.roll import CRASHED, PAUSED, UP, Entry
from dynalab.live.spawn import pickled
from dynalab.live.usage import Usage

LOOK_S = 0.02
"""Pause between two looks of a verb that waits for the nodes to agree."""

SKEW_MS_MAX = 10 * 365 * 86_400_000

ADMINISTRATOR = user_of("administrator")


class Verbs:
    """The verbs that change the cluster; `Cluster` adds clients and looking."""

    _owner: Owner
    _usage: Usage

    # The network -----------------------------------------------------------------------------

    @property
    def faults(self) -> Faults:
        """All that is wrong with the network now."""
        return self._owner.faults

    def partition(self, *sides: str | Iterable[str], one_way: bool = False) -> None:
        """Cut the network between the sides, like ``"AB|CDE"``; `one_way`: only from earlier to later sides."""
        sides = tuple(as_sides(sides))
        with self._open():
            cut = self.faults.partitioned(parse_partition(sides, self.nodes), one_way)
            self._owner.fault(said("partition", *sides, one_way=one_way))
            self._owner.set_faults(cut)

    def heal(self) -> None:
        """End all cuts and link rules; crashed and paused nodes stay so."""
        with self._open():
            self._owner.fault("heal()")
            self._owner.set_faults(self.faults.healed())

    def link(
        self,
        a: str,
        b: str,
        drop: float = 0.0,
        delay_ms: float | Sequence[float] = 0.0,
        duplicate: float = 0.0,
        reorder: float = 0.0,
        both_ways: bool = False,
    ) -> None:
        """Make the link from `a` to `b` lose, delay, double or reorder messages; without faults it is perfect again."""
        with self._open():
            self._node(a), self._node(b)
            if a == b:
                raise InvalidSetting(f"a link joins two nodes; got {a!r} twice")
            rule = link_rule(drop, delay_ms, duplicate, reorder)
            named = {"drop": drop, "delay_ms": delay_ms, "duplicate": duplicate, "reorder": reorder}
            given = {name: value for name, value in named.items() if value}
            self._owner.fault(said("link", a, b, **given, both_ways=both_ways))
            self._owner.set_faults(self.faults.linked(a, b, rule, both_ways))

    # Nodes -----------------------------------------------------------------------------------

    @property
    def nodes(self) -> list[str]:
        """The names of all nodes, crashed and paused ones too."""
        return list(self._owner.roll.entries)

    def states(self) -> dict[str, str]:
        """``{node: "up" | "crashed" | "paused"}``."""
        return {node: entry.state for node, entry in list(self._owner.roll.entries.items())}

    def crash(self, node: str) -> None:
        """Kill a node's process (SIGKILL): timers and work in hand are lost, its disk stays."""
        with self._open():
            if self._node(node).state == CRASHED:
                raise BadRequest(f"node {node} is not running, so it cannot crash")
            self._owner.fault(said("crash", node))
            self._owner.crash(node)

    def recover(self, node: str, wipe: bool = False) -> None:
        """Start a crashed node again on its own disk; `wipe`: on an empty one."""
        with self._open():
            if self._node(node).state != CRASHED:
                raise BadRequest(f"node {node} is running; crash it first, or resume it if it is paused")
            self._owner.fault(said("recover", node, wipe=wipe))
            self._owner.recover(node, bool(wipe))

    def pause(self, node: str) -> None:
        """Stop a node's process for a while (SIGSTOP): messages wait for it, its timers fire late."""
        with self._open():
            state = self._node(node).state
            if state != UP:
                raise BadRequest(f"node {node} is {state}, so it cannot be paused")
            self._owner.fault(said("pause", node))
            self._owner.pause(node)

    def resume(self, node: str) -> None:
        """Let a paused node go on (SIGCONT)."""
        with self._open():
            state = self._node(node).state
            if state != PAUSED:
                raise BadRequest(f"node {node} is {state}, not paused")
            self._owner.fault(said("resume", node))
            self._owner.resume(node)

    def skew(self, node: str, ms: float) -> None:
        """Set a node's wall clock wrong by `ms`, forwards or, below 0, backwards; its timers stay right."""
        with self._open():
            entry = self._node(node)
            if not isinstance(ms, (int, float)) or isinstance(ms, bool) or not abs(ms) <= SKEW_MS_MAX:
                raise InvalidSetting(f"ms must be a number from -{SKEW_MS_MAX} to {SKEW_MS_MAX}; got {ms!r:.80}")
            self._owner.fault(said("skew", node, ms=ms))
            entry.skew_us = int(ms * 1000)
            if entry.state != CRASHED:
                self._owner.order([node], control.SetSkew(entry.skew_us))

    def redeploy(self, parts: Parts) -> None:
        """Let all nodes use other parts from the next event on.

        Raises:
            InvalidSetting: these are no parts, or they hold what cannot travel.
            PartFailed: a node could not load them.
        """
        if not isinstance(parts, Parts):
            raise InvalidSetting(f"redeploy takes Parts(...); got {parts!r:.80}")
        checked_travel(parts)
        with self._open():
            self._owner.fault(f"redeploy(Parts({', '.join(parts.given())}))")
            self._owner.redeploy(parts)

    # The ring --------------------------------------------------------------------------------

    def join(self, node: str, weight: float = 1.0, zone: str = "", timeout_ms: int = 10_000) -> None:
        """Add a node to the ring and wait until it has got its key ranges (4.8.1, 4.9).

        Raises:
            InvalidSetting: the name is taken or not allowed, or the weight is not above 0.
            NotSettled: it is not through in time; it goes on.
        """
        with self._open():
            self._check_joining(node, weight, zone)
            until = _deadline(timeout_ms)
            config = self._owner.config
            weights, zones = {**config.weights, node: weight}, {**config.zones, **({node: zone} if zone else {})}
            named = {"weight": weight if weight != 1 else None, "zone": zone or None}
            self._owner.fault(said("join", node, **named))
            self._owner.join(node, config.with_(weights=weights, zones=zones))
            self._wait(
                lambda: self._knows(node, "up", [node]),
                lambda: f"node {node} is not up in the ring yet; settle() waits longer",
                until,
            )
            self._look_at_ring()

    def leave(self, node: str, force: bool = False, timeout_ms: int = 10_000) -> None:
        """Take a node out of the ring: it hands over its key ranges, then stops (4.8.1).

        Args:
            node: which.
            force: it is gone for good; the others do without what it keeps.
            timeout_ms: how long to wait.

        Raises:
            NodeIsDown: it is not running, and `force` was not said.
            NotSettled: it is not through in time; it goes on.
        """
        with self._open():
            entry = self._node(node)
            others = [other for other in self._owner.roll.in_state(UP) if other != node]
            if not others:
                raise BadRequest(f"node {node} cannot leave: no other node is running")
            if entry.state == CRASHED and not force:
                raise NodeIsDown(f"node {node!r} is not running; recover it, or leave({node!r}, force=True)")
            until = _deadline(timeout_ms)
            self._owner.fault(said("leave", node, force=force))
            self._owner.admit(ADMINISTRATOR)
            message = ClientLeave(f"leave-{self._owner.now_us()}", node, force)
            self._owner.request(Ask(ADMINISTRATOR, message), others[0] if force else node)
            self._wait(
                lambda: not still_here(node, self._inspections(), force),
                lambda: f"node {node} is not through: {'; '.join(still_here(node, self._inspections(), force))}",
                until,
            )
            self._owner.remove(node)
            self._look_at_ring()

    def rebalance(self, moves: int = MOVES_MAX, timeout_ms: int = 30_000) -> dict[str, list[int]]:
        """Move key ranges from busy nodes to quiet ones, and wait until they have moved (6.2, strategy 3).

        Args:
            moves: how many key ranges may move.
            timeout_ms: how long to wait.

        Returns:
            ``{node: numbers of the key ranges it took over}``; empty when no move would help.

        Raises:
            InvalidSetting: the cluster does not place by strategy 3.
            NotSettled: they have not moved in time; they go on.
        """
        with self._open():
            until, owner = _deadline(timeout_ms), self._owner
            taken = planned(owner.config, owner.history(), self._inspections(), moves)
            owner.fault(said("rebalance", moves=None if moves == MOVES_MAX else moves))
            owner.admit(ADMINISTRATOR)
            for node, numbers in taken.items():
                message = ClientMove(f"move-{node}-{owner.now_us()}", node, tuple(numbers))
                owner.request(Ask(ADMINISTRATOR, message), node)
            left = "the key ranges have not all moved yet; settle() waits longer"
            self._wait(lambda: has_moved(taken, self._inspections()), lambda: left, until)
            self._look_at_ring()
            return taken

    def settle(self, timeout_ms: int = 10_000) -> None:
        """Wait until no hint is left and anti-entropy finds nothing.

        Raises:
            NotSettled: something is left; the text says what.
        """
        with self._open():
            left: list[str] = []

            def is_settled() -> bool:
                left[:] = self._left()
                return not left

            self._wait(
                is_settled, lambda: f"not settled after {timeout_ms} ms: {'; '.join(left[:20])}", _deadline(timeout_ms)
            )
            self._look_at_ring()

    def inspect(self, node: str, full: bool = True) -> dict[str, Any]:
        """The inside of a node: records with siblings and clocks, hints, its view of the others, roots, counters."""
        seen: dict[str, Any] = self.told(node, control.Inspect(full))
        return seen

    def told(self, node: str, order: control.Order) -> Any:
        """What one running node answers to a question of `control`; built-in values, as that module says."""
        state = self._node(node).state
        if state == PAUSED:
            raise NodeIsDown(f"node {node!r} is paused, so it cannot be inspected; resume({node!r}) lets it go on")
        if state == CRASHED:
            raise NodeIsDown(f"node {node!r} is not running, so it cannot be inspected; recover({node!r}) starts it")
        return self._owner.ask(node, order)

    def told_by_all(self, order: control.Order) -> dict[str, Any]:
        """``{node: what it answers}`` for every node that runs and stays up until it has answered."""
        answers = self._owner.order(self._owner.roll.in_state(UP), order)
        return {node: answer.content for node, answer in answers.items() if isinstance(answer, Told)}

    @property
    def ring(self) -> Ring:
        """The ring as the cluster's owner last saw it; the nodes may know a newer one."""
        return self._ring

    def processes(self) -> dict[str, int]:
        """``{node: process id}`` of the nodes that run or are paused."""
        entries = list(self._owner.roll.entries.values())
        return {entry.node: entry.process.pid for entry in entries if entry.process and entry.state in (UP, PAUSED)}

    # Inside ----------------------------------------------------------------------------------

    def _open(self) -> Usage:
        """The lock of all verbs, while the cluster runs; taking it is use of the cluster (see `usage`)."""
        if os.getpid() != self._owner.pid:
            raise BadRequest(FORKED)
        return self._usage

    def _node(self, name: str) -> Entry:
        return self._owner.roll.entries[known_node(name, self.nodes)]

    def _check_joining(self, node: str, weight: float, zone: str) -> None:
        if checked_name(node) in self._owner.roll.entries:
            raise InvalidSetting(f"a node called {node!r} is in the cluster already")
        if not isinstance(weight, (int, float)) or isinstance(weight, bool) or not 0 < weight <= 1000:
            raise InvalidSetting(f"weight must be above 0 and at most 1000; got {weight!r:.80}")
        if not isinstance(zone, str) or len(zone) > 128:
            raise InvalidSetting(f"zone must be text of at most 128 characters; got {zone!r:.80}")

    def _inspections(self) -> dict[str, dict[str, Any]]:
        """What every running node tells of itself, in short."""
        return self.told_by_all(control.Inspect(False))

    def _left(self) -> list[str]:
        """What keeps the cluster from being settled, in words."""
        return leftovers(self._inspections(), self._owner.roll.in_state(CRASHED, PAUSED))

    def _knows(self, node: str, status: str, by: list[str]) -> bool:
        """Whether a running node among `by` knows `node` as `status`."""
        return any(seen["members"].get(node) == status for name, seen in self._inspections().items() if name in by)

    def _wait(self, is_so: Callable[[], bool], left: Callable[[], str], until: float) -> None:
        pause = threading.Event()
        while not is_so():
            if time.monotonic() > until:
                raise NotSettled(left())
            pause.wait(LOOK_S)

    def _look_at_ring(self) -> None:
        """Learn who is in the ring now, for clients that go to the right node directly (6.4)."""
        history = self._owner.history()
        config = self._owner.config
        if history:
            self._ring: Ring = placement(history, config.strategy, config.tokens, config.partitions).current


def _deadline(timeout_ms: int) -> float:
    if not isinstance(timeout_ms, int) or isinstance(timeout_ms, bool) or not 0 <= timeout_ms <= 86_400_000:
        raise InvalidSetting(f"timeout_ms must be an integer from 0 to 86,400,000; got {timeout_ms!r:.80}")
    return time.monotonic() + timeout_ms / 1000


def checked_travel(parts: Parts) -> Parts:
    """`parts`, if they can be sent to the nodes.

    Raises:
        InvalidSetting: they hold something that belongs to this process: a lock, a socket, the cluster itself.
    """
    try:
        pickled(parts)
    except Exception as error:  # Pickling runs a student's code.
        raise InvalidSetting(f"a part holds something that cannot be sent to the nodes: {error}") from error
    return parts
