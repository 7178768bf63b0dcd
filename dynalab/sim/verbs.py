"""Breaking and mending a simulated cluster: the fault verbs, and who is in the ring (paper 4.6, 4.8).

Rule 1: a verb is checked first; when it is refused, nothing has changed.
Rule 2: a verb has taken effect when it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from dynalab.core.config import Parts
from dynalab.core.errors import BadRequest, DynalabError, InvalidSetting, NodeIsDown, NotSettled
from dynalab.core.faults import Faults, as_sides, known_node, link_rule, parse_partition, said
from dynalab.core.founding import checked_name
from dynalab.core.inspection import leftovers, still_here
from dynalab.core.messages import ClientLeave, ClientMove
from dynalab.core.rebalance import MOVES_MAX, has_moved, planned
from dynalab.sim.host import CRASHED, PAUSED, UP, Host
from dynalab.sim.pending import Pending, Watch
from dynalab.sim.world import World

LOOK_MS = 20
"""Virtual time between two looks of a verb that waits."""

SETTLE_LOOK_MS = 50

SKEW_MS_MAX = 10 * 365 * 86_400_000

ADMINISTRATOR = "client:administrator"


class Verbs:
    """The verbs that change the cluster; `Simulation` adds clients and time.

    Args:
        world: the cluster.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._wishes = 0

    # The network -----------------------------------------------------------------------------

    @property
    def faults(self) -> Faults:
        """All that is wrong with the network now."""
        return self._world.network.faults

    def partition(self, *sides: str | Iterable[str], one_way: bool = False) -> None:
        """Cut the network between the sides, like ``"AB|CDE"``; `one_way`: only from earlier to later sides."""
        sides = tuple(as_sides(sides))
        faults = self.faults.partitioned(parse_partition(sides, list(self._world.hosts)), one_way)
        self._world.act("faults", said("partition", *sides, one_way=one_way), faults)

    def heal(self) -> None:
        """End all cuts and link rules; crashed and paused nodes stay so."""
        self._world.act("faults", "heal()", self.faults.healed())

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
        self._node(a), self._node(b)
        if a == b:
            raise InvalidSetting(f"a link joins two nodes; got {a!r} twice")
        rule = link_rule(drop, delay_ms, duplicate, reorder)
        named = {"drop": drop, "delay_ms": delay_ms, "duplicate": duplicate, "reorder": reorder}
        given = {name: value for name, value in named.items() if value}
        words = said("link", a, b, **given, both_ways=both_ways)
        self._world.act("faults", words, self.faults.linked(a, b, rule, both_ways))

    # Nodes -----------------------------------------------------------------------------------

    def states(self) -> dict[str, str]:
        """``{node: "up" | "crashed" | "paused"}``."""
        return {name: host.state for name, host in self._world.hosts.items()}

    def crash(self, node: str) -> None:
        """Stop a node at once, as SIGKILL does: timers and work in hand are lost, its disk stays."""
        if self._node(node).state is CRASHED:
            raise BadRequest(f"node {node} is not running, so it cannot crash")
        self._world.act("crash", said("crash", node), node)

    def recover(self, node: str, wipe: bool = False) -> None:
        """Start a crashed node again on its own disk; `wipe`: on an empty one."""
        if self._node(node).state is not CRASHED:
            raise BadRequest(f"node {node} is running; crash it first, or resume it if it is paused")
        self._world.act("recover", said("recover", node, wipe=wipe), node, bool(wipe))

    def pause(self, node: str) -> None:
        """Stop a node for a while, as SIGSTOP does: messages wait for it, its timers fire late."""
        state = self._node(node).state
        if state is not UP:
            raise BadRequest(f"node {node} is {state}, so it cannot be paused")
        self._world.act("pause", said("pause", node), node)

    def resume(self, node: str) -> None:
        """Let a paused node go on."""
        state = self._node(node).state
        if state is not PAUSED:
            raise BadRequest(f"node {node} is {state}, not paused")
        self._world.act("resume", said("resume", node), node)

    def skew(self, node: str, ms: float) -> None:
        """Set a node's wall clock wrong by `ms`, forwards or, below 0, backwards; its timers stay right."""
        self._node(node)
        if not isinstance(ms, (int, float)) or isinstance(ms, bool) or not abs(ms) <= SKEW_MS_MAX:
            raise InvalidSetting(f"ms must be a number from -{SKEW_MS_MAX} to {SKEW_MS_MAX}; got {ms!r:.80}")
        self._world.act("skew", said("skew", node, ms=ms), node, int(ms * 1000))

    def redeploy(self, parts: Parts) -> None:
        """Let all nodes use other parts from the next event on."""
        if not isinstance(parts, Parts):
            raise InvalidSetting(f"redeploy takes Parts(...); got {parts!r:.80}")
        self._world.act("redeploy", f"redeploy(Parts({', '.join(parts.given())}))", parts)

    # The ring --------------------------------------------------------------------------------

    def join(self, node: str, weight: float = 1.0, zone: str = "", timeout_ms: int = 10_000) -> None:
        """Add a node to the ring and wait until it has got its key ranges (4.8.1, 4.9).

        Raises:
            InvalidSetting: the name is taken or not allowed, or the weight is not above 0.
            NotSettled: it is not through in time; it goes on.
        """
        self._joining(node, weight, zone, timeout_ms).result()

    def leave(self, node: str, force: bool = False, timeout_ms: int = 10_000) -> None:
        """Take a node out of the ring: it hands over its key ranges, then stops (4.8.1).

        Args:
            node: which.
            force: it is gone for good; the others do without what it keeps.
            timeout_ms: virtual time to wait.

        Raises:
            NodeIsDown: it is not running, and `force` was not said.
            NotSettled: it is not through in time; it goes on.
        """
        self._leaving(node, force, timeout_ms).result()

    def rebalance(self, moves: int = MOVES_MAX, timeout_ms: int = 30_000) -> dict[str, list[int]]:
        """Move key ranges from busy nodes to quiet ones, and wait until they have moved (6.2, strategy 3).

        Args:
            moves: how many key ranges may move.
            timeout_ms: virtual time to wait.

        Returns:
            ``{node: numbers of the key ranges it took over}``; empty when no move would help.

        Raises:
            InvalidSetting: the cluster does not place by strategy 3.
            NotSettled: they have not moved in time; they go on.
        """
        taken, watch = self._rebalancing(moves, timeout_ms)
        watch.result()
        return taken

    def settle(self, timeout_ms: int = 10_000) -> None:
        """Wait until no hint is left and anti-entropy finds nothing.

        Raises:
            NotSettled: something is left; the text says what.
        """
        self._settling(timeout_ms).result()

    def inspect(self, node: str, full: bool = True) -> dict[str, Any]:
        """The inside of a node: records with siblings and clocks, hints, its view of the others, roots, counters."""
        host = self._node(node)
        if host.state is CRASHED:
            raise NodeIsDown(f"node {node!r} is not running, so it cannot be inspected; recover({node!r}) starts it")
        return host.node.inspect(self._world.now_us, full)

    # Inside ----------------------------------------------------------------------------------

    def _node(self, name: str) -> Host:
        return self._world.hosts[known_node(name, self._world.hosts)]

    def _joining(self, node: str, weight: float, zone: str, timeout_ms: int) -> Watch[bool]:
        world = self._world
        if checked_name(node) in world.hosts:
            raise InvalidSetting(f"a node called {node!r} is in the cluster already")
        if not isinstance(weight, (int, float)) or isinstance(weight, bool) or not 0 < weight <= 1000:
            raise InvalidSetting(f"weight must be above 0 and at most 1000; got {weight!r:.80}")
        if not isinstance(zone, str) or len(zone) > 128:
            raise InvalidSetting(f"zone must be text of at most 128 characters; got {zone!r:.80}")
        named = {"weight": weight if weight != 1 else None, "zone": zone or None}
        timeout_us = _checked_timeout_us(timeout_ms)
        world.act("join", said("join", node, **named), node, float(weight), zone)
        left = f"node {node} is not up in the ring yet; settle() waits longer"
        return self._watch(lambda: self._knows(node, "up", [node]), lambda: left, timeout_us)

    def _leaving(self, node: str, force: bool, timeout_ms: int) -> Pending[bool]:
        world, host = self._world, self._node(node)
        others = [other.name for other in world.running() if other.name != node]
        if not others:
            raise BadRequest(f"node {node} cannot leave: no other node is running")
        if host.state is CRASHED and not force:
            raise NodeIsDown(f"node {node!r} is not running; recover it, or leave({node!r}, force=True)")
        timeout_us = _checked_timeout_us(timeout_ms)
        world.act("leave", said("leave", node, force=force))
        self._wishes += 1
        message = ClientLeave(f"leave-{self._wishes}", node, force)
        world.request(ADMINISTRATOR, others[0] if force else node, message, timeout_us, _ignored)
        watch = self._watch(
            lambda: not still_here(node, self._inspections(), force) or None,
            lambda: f"node {node} is not through: {'; '.join(still_here(node, self._inspections(), force))}",
            timeout_us,
        )
        watch.when_done(lambda: self._remove(node) if watch.error is None else None)
        return watch

    def _rebalancing(self, moves: int, timeout_ms: int) -> tuple[dict[str, list[int]], Watch[bool]]:
        world, timeout_us = self._world, _checked_timeout_us(timeout_ms)
        taken = planned(world.founded.config, world.members(), self._inspections(), moves)
        world.act("rebalance", said("rebalance", moves=None if moves == MOVES_MAX else moves))
        for node, numbers in taken.items():
            self._wishes += 1
            message = ClientMove(f"move-{self._wishes}", node, tuple(numbers))
            world.request(ADMINISTRATOR, node, message, timeout_us, _ignored)
        left = "the key ranges have not all moved yet; settle() waits longer"
        return taken, self._watch(
            lambda: has_moved(taken, self._inspections()) or None, lambda: left, timeout_us, SETTLE_LOOK_MS
        )

    def _remove(self, node: str) -> None:
        """Switch off a node that has left; two leaves of one node may have been waiting for that."""
        if node in self._world.hosts:
            self._world.act("remove", node)

    def _settling(self, timeout_ms: int) -> Watch[bool]:
        timeout_us = _checked_timeout_us(timeout_ms)
        self._world.check_open()
        return self._watch(
            lambda: not self._left() or None,
            lambda: f"not settled after {timeout_ms} ms: {'; '.join(self._left()[:20])}",
            timeout_us,
            SETTLE_LOOK_MS,
        )

    def _left(self) -> list[str]:
        """What keeps the cluster from being settled, in words."""
        world = self._world
        return leftovers(self._inspections(), [name for name, host in world.hosts.items() if host.state is not UP])

    def _inspections(self) -> dict[str, dict[str, Any]]:
        """What every running node tells of itself, in short."""
        world = self._world
        return {host.name: host.node.inspect(world.now_us, full=False) for host in world.running()}

    def _knows(self, node: str, status: str, by: list[str]) -> bool | None:
        """Whether a running node among `by` knows `node` as `status`; None while none does."""
        hosts = [host for host in self._world.running() if host.name in by]
        return any(host.node.membership.status_of(node) == status for host in hosts) or None

    def _watch(
        self,
        look: Callable[[], bool | None],
        left: Callable[[], str],
        timeout_us: int,
        every_ms: int = LOOK_MS,
    ) -> Watch[bool]:
        def too_late() -> DynalabError:
            return NotSettled(left())

        return Watch(self._world, look, too_late, timeout_us, every_ms * 1000)


def _ignored(sender: str, reply: object) -> None:
    """The membership history, not the reply, says whether a node has left."""


def _checked_timeout_us(timeout_ms: int) -> int:
    if not isinstance(timeout_ms, int) or isinstance(timeout_ms, bool) or not 0 <= timeout_ms <= 86_400_000:
        raise InvalidSetting(f"timeout_ms must be an integer from 0 to 86,400,000; got {timeout_ms!r:.80}")
    return timeout_ms * 1000
