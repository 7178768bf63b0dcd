"""A client of a live cluster: a session whose requests travel to real processes (paper 4.1, 6.4)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

from dynalab.core.clock import Context
from dynalab.core.errors import DynalabError
from dynalab.core.messages import ClientGet, ClientPut
from dynalab.core.operations import Operation, taken_apart
from dynalab.core.session import USE_SESSION, Ack, ContextChoice, Got, Session
from dynalab.live.many import Many, OneOfMany
from dynalab.live.request import Awaited, Promised, Request, under_way
from dynalab.live.tally import Tally

Result = TypeVar("Result")


class Router(Protocol):
    """What a client needs of its cluster."""

    @property
    def tally(self) -> Tally:
        """Where requests that have ended are counted."""

    def send(self, request: Request, via: str | None) -> None:
        """Send a request to `via`, or where the ring says."""

    def call(self, act: Callable[[], None]) -> None:
        """Run `act` on the thread that speaks for the clients."""

    def checked_via(self, via: str | None) -> str | None:
        """`via`, if it is a node."""

    def tell_prints(self, request: str) -> None:
        """Print what parts have printed for this request, in the calling thread."""


class Client:
    """A session with the cluster; any thread may use it.

    Args:
        router: the cluster.
        name: in the trace it is ``client:name``.
        session: what it remembers.
        via: the node it asks; None: it knows the ring, and asks the first running node of the preference list (6.4).
    """

    def __init__(self, router: Router, name: str, session: Session, via: str | None) -> None:
        self.name = name
        self.address = f"client:{name}"
        self.session = session
        self.via = via
        self.tally = router.tally
        self.aio = ClientAio(self)
        self._router = router

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
        via = self._checked(via)
        result: Ack = self._ask("put", self.session.put(key, value, context, n, w, timeout_ms, request_id), via)
        return result

    def get(
        self,
        key: str | bytes,
        n: int | None = None,
        r: int | None = None,
        timeout_ms: int | None = None,
        via: str | None = None,
    ) -> Got:
        """Read one key: all causally unrelated versions that R distinct nodes hold (4.5)."""
        via = self._checked(via)
        result: Got = self._ask("get", self.session.get(key, n, r, timeout_ms), via)
        return result

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
        return self._told(self.submit_delete(key, context, n, w, timeout_ms, via, request_id))

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
    ) -> Future[Ack]:
        """`put`, without waiting."""
        via = self._checked(via)
        return self._begin("put", self.session.put(key, value, context, n, w, timeout_ms, request_id), via)

    def submit_get(
        self,
        key: str | bytes,
        n: int | None = None,
        r: int | None = None,
        timeout_ms: int | None = None,
        via: str | None = None,
    ) -> Future[Got]:
        """`get`, without waiting."""
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
    ) -> Future[Ack]:
        """`delete`, without waiting."""
        via = self._checked(via)
        message = self.session.delete(key, context, n, w, timeout_ms, request_id)
        if context is not USE_SESSION or self.session.has_seen(key):
            return self._begin("delete", message, via)
        return self._read_then_delete(message, n, timeout_ms, via)

    def _read_then_delete(
        self, message: ClientPut, n: int | None, timeout_ms: int | None, via: str | None
    ) -> Future[Ack]:
        """A delete says what it deletes: without a context it reads first."""
        deletion: Future[Ack] = under_way(message.request)

        def go_on(read: Future[Got]) -> None:
            try:
                read.result()
                seen: tuple[Context, ...] = self.session.contexts(message.key)
                _follow(self._begin("delete", message._replace(contexts=seen), via), deletion)
            except DynalabError as error:
                deletion.set_exception(error)

        self.submit_get(message.key, n, None, timeout_ms, via).add_done_callback(go_on)
        return deletion

    def _begin(self, kind: str, message: ClientPut | ClientGet, via: str | None) -> Future[Any]:
        request = Promised(self, kind, message)
        self._router.send(request, via)
        return request.future

    def _ask(self, kind: str, message: ClientPut | ClientGet, via: str | None) -> Any:
        """Send a request and wait for its result; first what parts have printed on the way to it is told."""
        request = Awaited(self, kind, message)
        self._router.send(request, via)
        try:
            return request.result()
        finally:
            self._router.tell_prints(message.request)

    def _many(self, operations: Iterable[Operation], outstanding: int) -> Many:
        return Many(self._router.call, self._begin_one, operations, outstanding)

    def _begin_one(self, operation: Operation, window: Many, place: int) -> None:
        """Begin one of many requests, without a future of its own where that is possible."""
        kind, arguments, options = taken_apart(operation)
        via = self._checked(options.pop("via")) if options and "via" in options else self.via
        if kind == "delete":
            deletion = self.submit_delete(arguments[0], **{**options, "via": via})
            deletion.add_done_callback(lambda done: window.ended(place, done.exception() or done.result()))
            return
        ask = self.session.put if kind == "put" else self.session.get
        request = OneOfMany(self, kind, ask(*arguments, **options) if options else ask(*arguments))
        request.window, request.place = window, place
        self._router.send(request, via)

    def many(self, operations: Iterable[Operation], outstanding: int = 64) -> list[Ack | Got | DynalabError]:
        """Carry out many operations, with `outstanding` of them under way at any time.

        Args:
            operations: ``("put", key, value)``, ``("get", key)`` or ``("delete", key)``,
                each with an optional dict of the verb's options behind it, like ``{"w": 3}``.
            outstanding: 1 to 10,000.

        Returns:
            For each operation, in order, what its verb would have answered, or the error it would have raised.
        """
        return self._many(operations, outstanding).future.result()

    def _told(self, future: Future[Result]) -> Result:
        """The result, and first what parts have printed on the way to it."""
        try:
            return future.result()
        finally:
            self._router.tell_prints(getattr(future, "request", ""))

    def _checked(self, via: str | None) -> str | None:
        return self._router.checked_via(self.via if via is None else via)

    def __repr__(self) -> str:
        asks = "the first running node of the preference list" if self.via is None else self.via
        return f"<Client {self.name!r}, asks {asks}>"


class ClientAio:
    """The verbs of one client for asyncio; any number of them at once."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def put(self, key: str | bytes, value: Any, context: ContextChoice = USE_SESSION, **options: Any) -> Ack:
        """See `Client.put`."""
        return await self._told(self._client.submit_put(key, value, context, **options))

    async def get(self, key: str | bytes, **options: Any) -> Got:
        """See `Client.get`."""
        return await self._told(self._client.submit_get(key, **options))

    async def delete(self, key: str | bytes, context: ContextChoice = USE_SESSION, **options: Any) -> Ack:
        """See `Client.delete`."""
        return await self._told(self._client.submit_delete(key, context, **options))

    async def many(self, operations: Iterable[Operation], outstanding: int = 64) -> list[Ack | Got | DynalabError]:
        """See `Client.many`."""
        return await asyncio.wrap_future(self._client._many(operations, outstanding).future)

    async def _told(self, future: Future[Result]) -> Result:
        try:
            return await asyncio.wrap_future(future)
        finally:
            self._client._router.tell_prints(getattr(future, "request", ""))


def _follow(first: Future[Result], second: Future[Result]) -> None:
    """`second` ends as `first` does."""

    def ended(first: Future[Result]) -> None:
        error = first.exception()
        if error is not None:
            second.set_exception(error)
        else:
            second.set_result(first.result())

    first.add_done_callback(ended)
