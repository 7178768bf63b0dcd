"""Time travel: the state of a simulation at an earlier moment, by doing all of it again up to there.

Theory of operation.
A simulation follows from its founding and from the acts that came from outside (`World.acts`).
So a second world, founded alike, to which the same acts happen after the same steps, is the same world.
It is stopped at the wanted moment and looked at; the simulation itself goes on undisturbed.

A part that keeps a state of its own between calls, outside the node, breaks this; parts are functions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from dynalab.core.errors import InvalidSetting, NodeIsDown
from dynalab.core.faults import Faults, known_node
from dynalab.core.session import decode_value, encode_key
from dynalab.core.trace import TraceEvent
from dynalab.guard import run_guarded
from dynalab.sim.host import CRASHED
from dynalab.sim.loop import Act, Founding
from dynalab.sim.world import World

if TYPE_CHECKING:
    from dynalab.codec.trace import Trace

PART_LIMIT_MS = 2_000
"""Real time one call of a replaced part may take in the simulation."""

_VERBS = (
    *("put", "get", "delete", "submit_put", "submit_get", "submit_delete", "client", "aio"),
    *("partition", "heal", "link", "crash", "recover", "pause", "resume", "skew", "redeploy"),
    *("join", "leave", "settle", "step", "run", "at", "call_at"),
)


class Past:
    """The state of a simulation at one moment; to be looked at, not changed.

    Attributes:
        now_ms: the moment.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.now_ms = world.now_us / 1000

    @property
    def nodes(self) -> list[str]:
        """The names of the nodes then."""
        return list(self._world.hosts)

    @property
    def faults(self) -> Faults:
        """The faults of the network then."""
        return self._world.network.faults

    @property
    def events(self) -> list[TraceEvent]:
        """The trace up to then, as a plain list."""
        return self._world.record.events

    @property
    def trace(self) -> Trace:
        """The trace up to then."""
        return as_trace(self._world)

    def states(self) -> dict[str, str]:
        """``{node: "up" | "crashed" | "paused"}`` then."""
        return {name: host.state for name, host in self._world.hosts.items()}

    def inspect(self, node: str) -> dict[str, Any]:
        """The inside of a node then."""
        return inspected(self._world, node)

    def values(self, key: str | bytes) -> dict[str, list[Any]]:
        """``{node: [values]}``: the siblings of `key` that every running node held as a replica then."""
        return held_values(self._world, key)

    def __getattr__(self, name: str) -> Any:
        if name not in _VERBS:
            raise AttributeError(f"a past state has no {name!r}")
        raise InvalidSetting(
            f"this is the state at {self.now_ms:g} ms, to look at: nodes, states(), inspect(node), values(key), "
            f"faults, trace; for {name}(), use the simulation itself"
        )

    def __repr__(self) -> str:
        return f"<{len(self._world.hosts)} nodes as they were at {self.now_ms:g} ms>"


def replayed(founded: Founding, acts: Iterable[Act], until_us: int) -> World:
    """A world founded alike, to which the same happened up to `until_us`."""
    world = World(founded, run_guarded(PART_LIMIT_MS, _unheard))
    for act in acts:
        if act.now_us > until_us:
            break
        world.replay(act)
    world.run_until(until_us)
    return world


def _unheard(part: str, text: str) -> None:
    """What parts print was heard the first time."""


def as_trace(world: World) -> Trace:
    """The events of a world as a `Trace`."""
    from dynalab.codec.trace import Trace

    return Trace(list(world.record.events), world="sim", seed=world.founded.seed)


def inspected(world: World, node: str, full: bool = True) -> dict[str, Any]:
    """What a running node tells of itself.

    Raises:
        UnknownNode, NodeIsDown: there is none of this name; it does not run.
    """
    host = world.hosts[known_node(node, world.hosts)]
    if host.state is CRASHED:
        raise NodeIsDown(f"node {node!r} is not running, so it cannot be inspected; recover({node!r}) starts it")
    return host.node.inspect(world.now_us, full)


def held_values(world: World, key: str | bytes) -> dict[str, list[Any]]:
    """``{node: [values]}``: the siblings of `key` that every running node holds as a replica."""
    encoded = encode_key(key)
    held = {}
    for name, host in world.hosts.items():
        record = host.disk.get(encoded) if host.state is not CRASHED else None
        if record is not None:
            held[name] = [decode_value(value) for value in record.siblings.values]
    return held
