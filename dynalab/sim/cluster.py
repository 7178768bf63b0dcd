"""The cluster in virtual time: `Simulation`, with every verb of `Cluster`, and step, run and time travel.

The same `Node` as in the processes; the same seed gives the same run, event for event, in any process.
Nothing here ever sleeps: waiting carries out what is due, and virtual time moves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from dynalab.core.config import Config, Parts
from dynalab.core.errors import InvalidSetting
from dynalab.core.founding import checked_name, checked_parts, founded_config, node_names
from dynalab.core.inspection import checked_lines
from dynalab.core.session import USE_SESSION, Ack, ContextChoice, Got, Session
from dynalab.core.trace import TraceEvent
from dynalab.guard import run_guarded
from dynalab.sim.aio import Aio
from dynalab.sim.chance import checked_seed, stream
from dynalab.sim.client import Client, Tally
from dynalab.sim.host import UP
from dynalab.sim.loop import Founding
from dynalab.sim.metrics import metrics_of
from dynalab.sim.network import Latency, drawer_us
from dynalab.sim.past import PART_LIMIT_MS, Past, as_trace, held_values, replayed
from dynalab.sim.pending import Driver, Pending
from dynalab.sim.verbs import Verbs
from dynalab.sim.world import World

if TYPE_CHECKING:
    from dynalab.codec.trace import Trace

DEFAULT_CLIENT = "default"
RUN_MS_MAX = 10 * 365 * 86_400_000


class Simulation(Verbs):
    """A Dynamo cluster in one process and in virtual time.

    Args:
        nodes: how many (named A, B, C ...), or their names.
        seed: all chance follows from it.
        n, r, w: replicas, and answers a get and a put wait for; `settings`: any other field of `Config`.
        config: settings to begin with.
        parts: what a student replaced.
        name: of the cluster; taken for the sake of `Cluster`, where one of a name runs at a time.
        latency_ms: how long a message takes: ``(low, high)``, drawn evenly, or a function of a `Random`.

    Raises:
        InvalidSetting: a name, a setting or a latency is out of its range.

    >>> with Simulation(5, seed=7) as sim:
    ...     ack = sim.put("cart", ["milk"])
    ...     sim.get("cart").value, len(ack.nodes) >= 2
    (['milk'], True)
    """

    def __init__(
        self,
        nodes: int | Sequence[str] = 5,
        *,
        seed: int = 0,
        n: int | None = None,
        r: int | None = None,
        w: int | None = None,
        config: Config | None = None,
        parts: Parts | None = None,
        latency_ms: Latency = (0.2, 1.0),
        name: str = "main",
        **settings: Any,
    ) -> None:
        names = node_names(nodes)
        settled = founded_config(names, n, r, w, config, settings)
        drawer_us(latency_ms, stream(0))
        founded = Founding(names, settled, checked_parts(parts), checked_seed(seed), latency_ms)
        super().__init__(World(founded, run_guarded(PART_LIMIT_MS)))
        self.seed = seed
        self.name = checked_name(name)
        self.config = settled
        self._driver = Driver(self._world)
        self._tally = Tally()
        self._sessions = 0
        self._default = self.client(DEFAULT_CLIENT)
        self.aio = Aio(self, self._default, self._driver)

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._world.closed

    # Clients ---------------------------------------------------------------------------------

    def client(self, name: str | None = None, via: str | None = None) -> Client:
        """A new session.

        Args:
            name: for the trace; None: a name of its own.
            via: the node it asks; None: the first running node of a key's preference list (6.4).
        """
        self._sessions += 1
        name = f"client{self._sessions - 1}" if name is None else _checked_client(name)
        if via is not None:
            self._node(via)
        session = Session(name, self.config, f"{name}.{self._sessions}")
        return Client(self._world, self._driver, self._tally, name, session, via)

    def put(self, key: str | bytes, value: Any, context: ContextChoice = USE_SESSION, **options: Any) -> Ack:
        """Write one key as the default client; see `Client.put`."""
        return self._default.put(key, value, context, **options)

    def get(self, key: str | bytes, **options: Any) -> Got:
        """Read one key as the default client; see `Client.get`."""
        return self._default.get(key, **options)

    def delete(self, key: str | bytes, context: ContextChoice = USE_SESSION, **options: Any) -> Ack:
        """Delete one key as the default client; see `Client.delete`."""
        return self._default.delete(key, context, **options)

    def submit_put(
        self, key: str | bytes, value: Any, context: ContextChoice = USE_SESSION, **options: Any
    ) -> Pending[Ack]:
        """`put`, without waiting."""
        return self._default.submit_put(key, value, context, **options)

    def submit_get(self, key: str | bytes, **options: Any) -> Pending[Got]:
        """`get`, without waiting."""
        return self._default.submit_get(key, **options)

    def submit_delete(self, key: str | bytes, context: ContextChoice = USE_SESSION, **options: Any) -> Pending[Ack]:
        """`delete`, without waiting."""
        return self._default.submit_delete(key, context, **options)

    # Time ------------------------------------------------------------------------------------

    @property
    def now_ms(self) -> float:
        """Virtual time in milliseconds since the cluster was founded."""
        return self._world.now_us / 1000

    def step(self) -> list[TraceEvent] | None:
        """Let one thing happen: a message arrive, or a timer fire.

        Returns:
            What the trace says of it (nothing when the trace is off); None when nothing will ever happen.
        """
        world = self._world
        handled, told = world.handled, len(world.record.events)
        while world.handled == handled and len(world.record.events) == told:
            if not world.step():
                return None
        return world.record.events[told:]

    def run(self, ms: float) -> None:
        """Let `ms` milliseconds of virtual time pass."""
        self._world.run_until(self._world.now_us + _checked_us(ms, "ms"))

    def at(self, ms: float) -> Past:
        """The state at an earlier moment, read-only; found by doing everything again up to there."""
        until_us = _checked_us(ms, "ms")
        if until_us > self._world.now_us:
            raise InvalidSetting(f"at(ms={ms!r}) lies ahead: it is {self.now_ms:g} ms now; run(ms=...) gets there")
        if not self.config.trace:
            raise InvalidSetting("at(ms) needs the record of what happened, and this simulation has trace=False")
        return Past(replayed(self._world.founded, self._world.acts, until_us))

    def call_at(self, ms: float, function: Callable[[], object]) -> None:
        """Call `function` when virtual time is `ms`, or at the next step if that has passed."""
        if not callable(function):
            raise InvalidSetting(f"call_at takes a function without arguments; got {function!r:.80}")
        self._world.call_at(_checked_us(ms, "ms"), function)

    # Looking ---------------------------------------------------------------------------------

    @property
    def nodes(self) -> list[str]:
        """The names of all nodes, crashed and paused ones too."""
        return list(self._world.hosts)

    @property
    def trace(self) -> Trace:
        """All that has happened."""
        return as_trace(self._world)

    @property
    def events(self) -> list[TraceEvent]:
        """The trace as the plain list it grows in; not to be changed."""
        return self._world.record.events

    def values(self, key: str | bytes) -> dict[str, list[Any]]:
        """``{node: [values]}``: the siblings of `key` that every running node holds as a replica."""
        return held_values(self._world, key)

    def metrics(self) -> dict[str, Any]:
        """Counts and latencies since the start, per node and whole; see `metrics_of`."""
        return metrics_of(self._world, self._tally)

    def logs(self, node: str, lines: int = 100) -> str:
        """The last lines of what a node has done, from the trace; a simulated node writes no log of its own."""
        self._node(node)
        told = [str(event) for event in self._world.record.events if event.node == node]
        return "\n".join(told[-checked_lines(lines) :])

    def panel(self, **options: Any) -> Any:
        """The workbench widget of this simulation."""
        from dynalab import panels

        return panels.panel(self, **options)

    def _repr_mimebundle_(self, **_: Any) -> Any:
        """What a notebook shows: the workbench, with words and a picture for where there is no kernel."""
        from dynalab.panels.still import bundle_of

        return bundle_of(self)

    def close(self) -> None:
        """End it: no verb changes it any more, and what happened can still be read. Closing twice is fine."""
        self._world.closed = True

    def __enter__(self) -> Simulation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        up = sum(state == UP for state in self.states().values())
        quorum = f"N={self.config.n} R={self.config.r} W={self.config.w}"
        if self._world.closed:
            return f"<Simulation {len(self.nodes)} nodes, closed, {quorum}, seed {self.seed}>"
        return f"<Simulation {len(self.nodes)} nodes, {up} up, {quorum}, seed {self.seed}, at {self.now_ms:g} ms>"


def _checked_us(ms: float, name: str) -> int:
    if not isinstance(ms, (int, float)) or isinstance(ms, bool) or not 0 <= ms <= RUN_MS_MAX:
        raise InvalidSetting(f"{name} must be a number from 0 to {RUN_MS_MAX}; got {ms!r:.80}")
    return round(ms * 1000)


def _checked_client(name: str) -> str:
    if not isinstance(name, str) or not 1 <= len(name) <= 64 or not name.isprintable():
        raise InvalidSetting(f"a client's name has 1 to 64 printable characters; got {name!r:.80}")
    return name
