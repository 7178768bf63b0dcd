"""A client of the simulated cluster: a session whose requests take virtual time (paper 4.1, 6.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from dynalab.core.clock import Context
from dynalab.core.errors import DynalabError, NodeIsDown, RequestTimedOut
from dynalab.core.faults import known_node
from dynalab.core.messages import ClientGet, ClientPut
from dynalab.core.operations import Operation
from dynalab.core.session import USE_SESSION, Ack, ContextChoice, Got, Session, key_text
from dynalab.sim.latency import Latencies
from dynalab.sim.many import Many
from dynalab.sim.pending import Driver, Pending, Result
from dynalab.sim.world import World

GRACE_US = 500_000
"""A client waits so much longer than its deadline for the coordinator's verdict."""


class Tally:
    """What became of the requests of all clients.

    Attributes:
        latencies: ``{kind: Latencies}`` of those that were answered.
        failed: ``{kind: {error: count}}`` of those that were not.
    """

    def __init__(self) -> None:
        self.latencies = {kind: Latencies() for kind in ("put", "get", "delete")}
        self.failed: dict[str, dict[str, int]] = {kind: {} for kind in self.latencies}

    def count_failed(self, kind: str, error: DynalabError) -> None:
        """One more of this kind ended so."""
        name = type(error).__name__
        self.failed[kind][name] = self.failed[kind].get(name, 0) + 1


class Request(Pending[Result]):
    """One request under way; its result is what the session makes of the reply."""

    __slots__ = ("_client", "_kind", "_message", "_started_us")

    def __init__(self, client: Client, kind: str, message: Any) -> None:
        world = client.world
        Pending.__init__(self, world)  # Not through `super`, which costs as much as all the rest.
        self._client = client
        self._kind = kind
        self._message = message
        self._started_us = world.now_us

    def send(self, via: str | None) -> None:
        """Ask node `via`, or the first running node of the key's preference list."""
        message, world = self._message, self._client.world
        node = via or world.coordinator_of(message.key)
        if node is None or (via and not world.is_running(via)):
            self._fail(_not_running(node))
            return
        world.request(self._client.address, node, message, message.timeout_us + GRACE_US, self._on_reply)

    def use(self, contexts: tuple[Context, ...]) -> None:
        """Replace what these contexts have seen."""
        self._message = self._message._replace(contexts=contexts)

    def _on_reply(self, sender: str, reply: Any) -> None:
        if reply is None:
            self._fail(self._timed_out())
            return
        client = self._client
        latency_us = client.world.now_us - self._started_us
        try:
            result = client.session.answer(reply, latency_us / 1000)
        except DynalabError as error:
            self._fail(error)
            return
        client.tally.latencies[self._kind].add(latency_us)
        self.finish(result)

    def _fail(self, error: DynalabError) -> None:
        self._client.tally.count_failed(self._kind, error)
        self.finish(error=error)

    def _timed_out(self) -> RequestTimedOut:
        waited_ms = (self._loop.now_us - self._started_us) // 1000
        key = key_text(self._message.key)
        reads = isinstance(self._message, ClientGet)
        advice = "nothing was changed" if reads else "it may have been stored, or may yet be; get the key to see"
        error = RequestTimedOut(f"{self._kind} of {key!r}: no answer after {waited_ms} ms; {advice}")
        error.definite = reads
        return error


def _not_running(node: str | None) -> NodeIsDown:
    if node is None:
        return NodeIsDown("no node is running; recover one, like recover('A')")
    return NodeIsDown(f"node {node!r} is not running, nothing was sent; recover({node!r}) starts it, or ask another")


class Client:
    """A session with the simulated cluster.

    Args:
        world: the cluster.
        driver: moves virtual time for `aio`.
        tally: where its requests are counted.
        name: in the trace it is ``client:name``.
        session: what it remembers.
        via: the node it asks; None: it knows the ring, and asks the first running node of the preference list (6.4).
    """

    def __init__(
        self, world: World, driver: Driver, tally: Tally, name: str, session: Session, via: str | None
    ) -> None:
        self.world = world
        self.tally = tally
        self.name = name
        self.address = f"client:{name}"
        self.session = session
        self.via = via
        self.aio = ClientAio(self, driver)
        self._verbs: dict[str, Callable[..., Pending[Any]]] = {
            "put": self.submit_put,
            "get": self.submit_get,
            "delete": self.submit_delete,
        }

    def put(
        self,
        key: str | bytes,
        value: Any,
        context: ContextChoice = USE_SESSION,
        n: int | None = None,
        w: int | None = None,
        timeout_ms: int | None = None,
        via: str | None = None,
        request_id: str | None = None,
    ) -> Ack:
        """Write one key; answers once W distinct nodes have stored it (4.5).

        Raises:
            BadRequest: the request itself is wrong; nothing was sent.
            WriteQuorumNotReached, RequestTimedOut: it may be stored on some nodes, or may yet be.
        """
        return self.submit_put(key, value, context, n, w, timeout_ms, via, request_id).result()

    def get(
        self,
        key: str | bytes,
        n: int | None = None,
        r: int | None = None,
        timeout_ms: int | None = None,
        via: str | None = None,
    ) -> Got:
        """Read one key: all causally unrelated versions that R distinct nodes hold (4.5)."""
        return self.submit_get(key, n, r, timeout_ms, via).result()

    def delete(
        self,
        key: str | bytes,
        context: ContextChoice = USE_SESSION,
        n: int | None = None,
        w: int | None = None,
        timeout_ms: int | None = None,
        via: str | None = None,
        request_id: str | None = None,
    ) -> Ack:
        """Delete one key; a client that has not seen it, and names no context, reads it first."""
        return self.submit_delete(key, context, n, w, timeout_ms, via, request_id).result()

    def many(self, operations: Iterable[Operation], outstanding: int = 64) -> list[Ack | Got | DynalabError]:
        """Carry out many operations, with `outstanding` of them under way at any time.

        Args:
            operations: ``("put", key, value)``, ``("get", key)`` or ``("delete", key)``,
                each with an optional dict of the verb's options behind it, like ``{"w": 3}``.
            outstanding: 1 to 10,000.

        Returns:
            For each operation, in order, what its verb would have answered, or the error it would have raised.
        """
        return self.submit_many(operations, outstanding).result()

    def submit_many(self, operations: Iterable[Operation], outstanding: int = 64) -> Many:
        """`many`, without waiting."""
        return Many(self.world, self._verbs, operations, outstanding)

    def submit_put(
        self,
        key: str | bytes,
        value: Any,
        context: ContextChoice = USE_SESSION,
        n: int | None = None,
        w: int | None = None,
        timeout_ms: int | None = None,
        via: str | None = None,
        request_id: str | None = None,
    ) -> Pending[Ack]:
        """`put`, without waiting: it goes on while virtual time does."""
        if via is not None or self.via is not None:
            via = self._checked(via)
        return self._begin("put", self.session.put(key, value, context, n, w, timeout_ms, request_id), via)

    def submit_get(
        self,
        key: str | bytes,
        n: int | None = None,
        r: int | None = None,
        timeout_ms: int | None = None,
        via: str | None = None,
    ) -> Pending[Got]:
        """`get`, without waiting."""
        if via is not None or self.via is not None:
            via = self._checked(via)
        return self._begin("get", self.session.get(key, n, r, timeout_ms), via)

    def submit_delete(
        self,
        key: str | bytes,
        context: ContextChoice = USE_SESSION,
        n: int | None = None,
        w: int | None = None,
        timeout_ms: int | None = None,
        via: str | None = None,
        request_id: str | None = None,
    ) -> Pending[Ack]:
        """`delete`, without waiting."""
        via = self._checked(via)
        message = self.session.delete(key, context, n, w, timeout_ms, request_id)
        if context is not USE_SESSION or self.session.has_seen(key):
            return self._begin("delete", message, via)
        return self._read_then_delete(message, n, timeout_ms, via)

    def _read_then_delete(
        self, message: ClientPut, n: int | None, timeout_ms: int | None, via: str | None
    ) -> Pending[Ack]:
        """A delete says what it deletes: without a context it reads first."""
        deletion: Request[Ack] = Request(self, "delete", message)
        reading = self.submit_get(message.key, n, None, timeout_ms, via)

        def go_on() -> None:
            if reading.error is not None:
                deletion.finish(error=reading.error)
            else:
                deletion.use(self.session.contexts(message.key))
                deletion.send(via)

        reading.when_done(go_on)
        return deletion

    def _begin(self, kind: str, message: ClientPut | ClientGet, via: str | None) -> Request[Any]:
        request: Request[Any] = Request(self, kind, message)
        request.send(via)
        return request

    def _checked(self, via: str | None) -> str | None:
        chosen = self.via if via is None else via
        return None if chosen is None else known_node(chosen, self.world.hosts)

    def __repr__(self) -> str:
        asks = "the first running node of the preference list" if self.via is None else self.via
        return f"<Client {self.name!r}, asks {asks}>"


class ClientAio:
    """The verbs of one client for asyncio; several of them overlap in virtual time."""

    def __init__(self, client: Client, driver: Driver) -> None:
        self._client = client
        self._driver = driver

    async def put(self, key: str | bytes, value: Any, context: ContextChoice = USE_SESSION, **options: Any) -> Ack:
        """See `Client.put`."""
        return await self._driver.wait(self._client.submit_put(key, value, context, **options))

    async def get(self, key: str | bytes, **options: Any) -> Got:
        """See `Client.get`."""
        return await self._driver.wait(self._client.submit_get(key, **options))

    async def delete(self, key: str | bytes, context: ContextChoice = USE_SESSION, **options: Any) -> Ack:
        """See `Client.delete`."""
        return await self._driver.wait(self._client.submit_delete(key, context, **options))

    async def many(self, operations: Iterable[Operation], outstanding: int = 64) -> list[Ack | Got | DynalabError]:
        """See `Client.many`."""
        return await self._driver.wait(self._client.submit_many(operations, outstanding))
