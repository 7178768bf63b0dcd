"""The cluster of real processes: `Cluster`, with every verb (paper 5).

The same `Node` as in the simulation, one operating system process for each, over ZeroMQ on 127.0.0.1.

Theory of operation.
`Cluster(5)` returns when five nodes answer; `close`, the end of a `with`, garbage collection
and the end of the program each end them, and so does whatever kills this process (see `keeper`).
A cluster that is not used for long closes itself (see `usage`).
Everything here may be called from any thread; the sockets live on a thread of their own (`client`).

Rule 1: there is one cluster of a name; starting a second one closes the first, because cells are run again.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from secrets import token_hex
from types import TracebackType
from typing import TYPE_CHECKING, Any

from dynalab.core.config import Config, Parts
from dynalab.core.errors import BadRequest, InvalidSetting, NodeIsDown
from dynalab.core.faults import known_node
from dynalab.core.founding import checked_name, checked_parts, founded_config, node_names
from dynalab.core.inspection import checked_lines
from dynalab.core.membership import founding, placement
from dynalab.core.session import USE_SESSION, Ack, ContextChoice, Got, Session, encode_key, key_text
from dynalab.live.aio import Aio
from dynalab.live.folder import tail
from dynalab.live.metrics import metrics_of
from dynalab.live.owner import Owner, is_for, user_of
from dynalab.live.request import Request
from dynalab.live.roll import CRASHED, PAUSED, UP
from dynalab.live.session import Client
from dynalab.live.spawn import KEEPER
from dynalab.live.tally import Tally
from dynalab.live.usage import Usage
from dynalab.live.verbs import Verbs, checked_travel
from dynalab.live.walks import Walks

if TYPE_CHECKING:
    from dynalab.codec.trace import Trace

DEFAULT_CLIENT = "default"
PRINTED_LINES_MAX = 1_000
RUNNING = (UP, PAUSED)

#: {name: the cluster of this name}, as long as somebody holds it
_RUNNING: weakref.WeakValueDictionary[str, Cluster] = weakref.WeakValueDictionary()
_STARTING = threading.Lock()


class Cluster(Verbs):
    """A Dynamo cluster of processes on this machine.

    Args:
        nodes: how many (named A, B, C ...), or their names.
        n, r, w: replicas, and answers a get and a put wait for; `settings`: any other field of `Config`.
        config: settings to begin with.
        parts: what a student replaced.
        name: of the cluster; an earlier one of this name in this process is closed.

    Raises:
        InvalidSetting: a name or a setting is out of its range, or a part cannot be sent to the nodes.
        NodeFailed: a node could not start; the text says why, and nothing is left running.
    """

    def __init__(
        self,
        nodes: int | Sequence[str] = 5,
        *,
        n: int | None = None,
        r: int | None = None,
        w: int | None = None,
        config: Config | None = None,
        parts: Parts | None = None,
        name: str = "main",
        keeper: str = KEEPER,
        **settings: Any,
    ) -> None:
        names = node_names(nodes)
        settled = founded_config(names, n, r, w, config, settings)
        parts = checked_travel(checked_parts(parts))
        self.name = checked_name(name)
        self._sessions = 0
        #: requests of verbs under way in this process, whose prints are theirs to tell
        self._asking: set[str] = set()
        with _STARTING:
            former = _RUNNING.get(self.name)
            if former is not None:
                former.close()
            self._owner = Owner(settled, parts, keeper)
            self._usage = Usage(self._owner)
            self._finalizer = weakref.finalize(self, self._usage.close)
            _RUNNING[self.name] = self
        try:
            self._owner.admit_early(user_of(DEFAULT_CLIENT))
            self._owner.found(names)
        except BaseException:
            self.close()
            raise
        history = founding(names, settled)
        self._ring = placement(history, settled.strategy, settled.tokens, settled.partitions).current
        self._walks = Walks(self._ring)
        if settled.data_dir is not None:
            self._look_at_ring()
            self._check_all_are_named(names)
        self._default = self.client(DEFAULT_CLIENT)
        self.aio = Aio(self, self._default)
        self._usage.watch()

    def _check_all_are_named(self, names: tuple[str, ...]) -> None:
        """Nodes that joined in an earlier run keep part of the data, and nobody could start them by name."""
        members = list(self._ring.nodes)
        if not set(members) <= set(names):
            self.close()
            raise InvalidSetting(
                f"the cluster that left data_dir={self.config.data_dir!r} has the nodes {', '.join(members)}; "
                f"name them all: Cluster({members}, data_dir=...)"
            )

    @property
    def config(self) -> Config:
        """The settings."""
        return self._owner.config

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._owner.closed

    # Clients ---------------------------------------------------------------------------------

    def client(self, name: str | None = None, via: str | None = None) -> Client:
        """A new session.

        Args:
            name: for the trace; None: a name of its own.
            via: the node it asks; None: the first running node of a key's preference list (6.4).
        """
        with self._open():
            self._sessions += 1
            name = f"client{self._sessions - 1}" if name is None else _checked_client(name)
            if via is not None:
                self._node(via)
            self._owner.admit(user_of(name))
            # Several clusters may work on one data folder, one after the other: ids must not meet again.
            session = Session(name, self.config, f"{name[:32]}.{token_hex(6)}")
            return Client(self, name, session, via)

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
    ) -> Future[Ack]:
        """`put`, without waiting."""
        return self._default.submit_put(key, value, context, **options)

    def submit_get(self, key: str | bytes, **options: Any) -> Future[Got]:
        """`get`, without waiting."""
        return self._default.submit_get(key, **options)

    def submit_delete(self, key: str | bytes, context: ContextChoice = USE_SESSION, **options: Any) -> Future[Ack]:
        """`delete`, without waiting."""
        return self._default.submit_delete(key, context, **options)

    # What a client asks of its cluster -------------------------------------------------------

    @property
    def tally(self) -> Tally:
        """Where requests that have ended are counted."""
        return self._owner.tally

    def send(self, request: Request, via: str | None) -> None:
        """Send a client's request to `via`, or to the first running node of the key's preference list (6.4)."""
        owner = self._owner
        if owner.closed:
            raise BadRequest(self._usage.refusal())
        node = self._coordinator_of(request.message.key) if via is None else via
        entry = None if node is None else owner.roll.entries.get(node)
        if node is None or entry is None or entry.state not in RUNNING:
            request.failed(_not_running(node))
            return
        if owner.has_parts:
            self._asking.add(request.message.request)
        owner.request(request, node)

    def call(self, act: Callable[[], None]) -> None:
        """Run `act` on the thread that speaks for the clients."""
        self._owner.call(act)

    def _coordinator_of(self, key: bytes) -> str | None:
        walks, entries = self._walks, self._owner.roll.entries
        if walks.ring is not self._ring:
            walks = self._walks = Walks(self._ring)
        for node in walks.known.get(key) or walks.of(key):
            entry = entries.get(node)
            if entry is not None and entry.state == UP:
                return node
        return next((node for node, state in self.states().items() if state != CRASHED), None)

    def checked_via(self, via: str | None) -> str | None:
        """`via`, if it is a node."""
        return None if via is None else known_node(via, self.nodes)

    @property
    def has_parts(self) -> bool:
        """Whether a student has replaced anything."""
        return self._owner.has_parts

    def tell_prints(self, request: str) -> None:
        """Print what parts have printed for this request, and for nobody who could tell it, in the calling thread."""
        self._asking.discard(request)
        if not self._owner.has_parts or self._owner.closed:
            return
        for node, asked, part, text in self._owner.take_prints(self._asking)[:PRINTED_LINES_MAX]:
            of = request if is_for(asked, request) else asked
            for line in text.splitlines():
                print(f"[{' '.join(filter(None, (node, part, of)))}] {line}")

    # Looking ---------------------------------------------------------------------------------

    @property
    def trace(self) -> Trace:
        """All that has happened; every running node is asked first what it has not told yet."""
        from dynalab.codec.trace import Trace

        if not self._owner.closed:
            self._owner.gather()
        events, gaps = self._owner.gathering.all()
        return Trace(events, world="live", gaps=gaps)

    def values(self, key: str | bytes) -> dict[str, list[Any]]:
        """``{node: [values]}``: the siblings of `key` that every running node holds as a replica."""
        self._usage.now()
        text = key_text(encode_key(key))
        held = {node: self.inspect(node)["records"].get(text) for node in self._owner.roll.in_state(UP)}
        return {
            node: [sibling["value"] for sibling in record["siblings"] if not sibling["deleted"]]
            for node, record in held.items()
            if record is not None
        }

    def metrics(self) -> dict[str, Any]:
        """Counts and latencies since the start, per node and whole; see `metrics_of`."""
        return metrics_of(self._owner)

    def logs(self, node: str, lines: int = 100) -> str:
        """The last lines a node's process has written, its tracebacks among them."""
        self._node(node)
        return tail(self._owner.log(node), checked_lines(lines))

    def panel(self, **options: Any) -> Any:
        """The workbench widget of this cluster."""
        from dynalab import panels

        self._usage.now()
        return panels.panel(self, **options)

    def _repr_mimebundle_(self, **_: Any) -> Any:
        """What a notebook shows: the workbench, with words and a picture for where there is no kernel."""
        from dynalab.panels.still import bundle_of

        self._usage.now()
        return bundle_of(self)

    # Its end ---------------------------------------------------------------------------------

    def close(self) -> None:
        """End all processes and remove the runtime folder; an explicit `data_dir` stays. Closing twice is fine."""
        self._finalizer()
        if _RUNNING.get(self.name) is self:
            del _RUNNING[self.name]

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        quorum = f"N={self.config.n} R={self.config.r} W={self.config.w}"
        if self._owner.closed:
            return f"<Cluster {len(self.nodes)} nodes, {self._usage.ending()}, {quorum}>"
        return f"<Cluster {len(self.nodes)} nodes, {len(self._owner.roll.in_state(UP))} up, {quorum}>"


def _not_running(node: str | None) -> NodeIsDown:
    if node is None:
        return NodeIsDown("no node is running; recover one, like recover('A')")
    return NodeIsDown(f"node {node!r} is not running, nothing was sent; recover({node!r}) starts it, or ask another")


def _checked_client(name: str) -> str:
    if not isinstance(name, str) or not 1 <= len(name) <= 64 or not name.isprintable():
        raise InvalidSetting(f"a client's name has 1 to 64 printable characters; got {name!r:.80}")
    return name
