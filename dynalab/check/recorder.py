"""A recorder between a test and a cluster: the same verbs, and every one of them written down.

It wraps either world, because both have the same verbs.

    recorder = Recorder(Simulation(5, seed=7))
    alice = recorder.client("alice")
    alice.put("cart", ["milk"])                # stored as {"write": "alice.1", "value": ["milk"]}
    recorder.partition("AB|CDE")
    recorder.heal()
    print(recorder.history)
    print(judge_run(recorder))                 # see verdict.py

Rule 1: answers reach the test as if the recorder were not there: values without their ids, the same errors.
Rule 2: the recorder keeps each client's contexts itself, as the session does:
an unknown write has no acknowledgement that would tell what it carried.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from dynalab.check.history import (
    FAIL,
    OK,
    UNKNOWN,
    History,
    Operation,
    new_dot,
    seen_version,
    stamp,
    text_of,
)
from dynalab.core.clock import Context
from dynalab.core.errors import DynalabError, NotSettled
from dynalab.core.session import USE_SESSION

FAULT_VERBS = ("partition", "heal", "crash", "recover", "pause", "resume", "link", "skew", "join", "leave", "redeploy")
"""What changes the world around the clients; each is written down after it took effect."""

Clock = Callable[[], int]


class Recorder:
    """A cluster, and the history of all that was done to it.

    Args:
        cluster: a `Simulation` or a `Cluster`.
        stamped: False keeps values as they are (for clusters that merge values); they must then be all different.
    """

    def __init__(self, cluster: Any, stamped: bool = True) -> None:
        self.cluster = cluster
        self.history = History(stamped=stamped)
        self._default = RecordedClient(self, cluster, "cluster")

    def client(self, name: str, **options: Any) -> RecordedClient:
        """A client of the cluster whose verbs are recorded."""
        return RecordedClient(self, self.cluster.client(name, **options), name)

    def now_us(self) -> int:
        """Virtual time in a simulation, monotonic time in a live cluster."""
        virtual = getattr(self.cluster, "now_ms", None)
        return int(virtual * 1000) if virtual is not None else time.monotonic_ns() // 1000

    def settle(self, *arguments: Any, **options: Any) -> Any:
        """`cluster.settle`, and the moment it succeeded."""
        result = self.cluster.settle(*arguments, **options)
        self.history.note_settled(self.now_us())
        return result

    def put(self, key: str | bytes, value: Any, **options: Any) -> Any:
        """A put of the cluster's default client."""
        return self._default.put(key, value, **options)

    def get(self, key: str | bytes, **options: Any) -> Any:
        """A get of the cluster's default client."""
        return self._default.get(key, **options)

    def delete(self, key: str | bytes, **options: Any) -> Any:
        """A delete of the cluster's default client."""
        return self._default.delete(key, **options)

    def inspections(self) -> dict[str, dict[str, Any]]:
        """What every running node says of itself: `{node: inspect(node)}`."""
        states = self.cluster.states()
        return {node: self.cluster.inspect(node) for node in self.cluster.nodes if states.get(node) == "up"}

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self.cluster, name)
        return self._noted(name, verb) if name in FAULT_VERBS else verb

    def _noted(self, name: str, verb: Callable[..., Any]) -> Callable[..., Any]:
        def carry_out(*arguments: Any, **options: Any) -> Any:
            words = ", ".join([repr(a) for a in arguments] + [f"{k}={v!r}" for k, v in options.items()])
            node = str(arguments[0]) if arguments and name != "partition" else ""
            wiped = bool(options.get("wipe") or (name == "recover" and len(arguments) > 1 and arguments[1]))
            try:
                result = verb(*arguments, **options)
            except NotSettled:
                self.history.note_fault(f"{name}({words}), not through in time", self.now_us(), node)
                raise
            self.history.note_fault(f"{name}({words})", self.now_us(), node, wiped)
            return result

        return carry_out


class RecordedClient:
    """A client whose every verb is written into the history."""

    def __init__(self, recorder: Recorder, client: Any, name: str) -> None:
        self.name = name
        self.aio = _AsyncVerbs(self)
        self._recorder = recorder
        self._client = client
        #: {key: context of the last get}, {key: context of the last acknowledgement}
        self._read: dict[str, Context] = {}
        self._acked: dict[str, Context] = {}

    def put(self, key: str | bytes, value: Any, **options: Any) -> Any:
        """As the client's own `put`."""
        operation, stored = self._begin_put(key, value, options)
        return self._finish(operation, lambda: self._client.put(key, stored, **options))

    def delete(self, key: str | bytes, **options: Any) -> Any:
        """As the client's own `delete`; the read it may need is recorded as a get of its own."""
        if self._must_read(key, options):
            self.get(key, **_only(options, "n", "timeout_ms", "via"))
        operation = self._begin("delete", key, None, options)
        return self._finish(operation, lambda: self._client.delete(key, **options))

    def get(self, key: str | bytes, **options: Any) -> Any:
        """As the client's own `get`, values without their write ids."""
        operation = self._begin("get", key, None, options)
        return self._finish(operation, lambda: self._client.get(key, **options))

    # ---------------------------------------------------------------- one operation

    def _begin_put(self, key: str | bytes, value: Any, options: dict[str, Any]) -> tuple[Operation, Any]:
        operation = self._begin("put", key, value, options)
        return operation, stamp(operation.write, value) if self._recorder.history.stamped else value

    def _begin(self, kind: str, key: str | bytes, value: Any, options: dict[str, Any]) -> Operation:
        choice = options.get("context", USE_SESSION)
        return self._recorder.history.begin(
            self.name,
            kind,
            key,
            self._recorder.now_us(),
            value=value,
            request=options.get("request_id") or "",
            need=self._need("r" if kind == "get" else "w", options),
            local=choice is Context.LOCAL,
            sent=self._sent(text_of(key), choice),
        )

    def _need(self, quorum: str, options: dict[str, Any]) -> int:
        """R or W of this request; fewer replicas than the default quorum lower it."""
        if options.get(quorum) or not options.get("n"):
            return int(options.get(quorum) or 0)
        return min(int(options["n"]), int(getattr(self._recorder.cluster.config, quorum)))

    def _sent(self, key: str, choice: Any) -> Context:
        if choice is USE_SESSION:
            return self._read.get(key, Context.EMPTY).join(self._acked.get(key, Context.EMPTY))
        return choice if isinstance(choice, Context) and choice is not Context.LOCAL else Context.EMPTY

    def _must_read(self, key: str | bytes, options: dict[str, Any]) -> bool:
        name = text_of(key)
        return "context" not in options and name not in self._read and name not in self._acked

    def _finish(self, operation: Operation, call: Callable[[], Any]) -> Any:
        try:
            reply = call()
        except BaseException as error:
            self._failed(operation, error)
            raise
        return self._answered(operation, reply)

    async def _finish_async(self, operation: Operation, call: Awaitable[Any]) -> Any:
        try:
            reply = await call
        except BaseException as error:
            self._failed(operation, error)
            raise
        return self._answered(operation, reply)

    def _failed(self, operation: Operation, error: BaseException) -> None:
        """A definite error had no effect; anything else, a cancelled wait too, may have had."""
        definite = isinstance(error, DynalabError) and error.definite
        outcome = FAIL if definite else UNKNOWN
        self._recorder.history.end(operation, outcome, self._recorder.now_us(), type(error).__name__)

    def _answered(self, operation: Operation, reply: Any) -> Any:
        self._recorder.history.end(operation, OK, self._recorder.now_us())
        operation.coordinator, operation.nodes = reply.coordinator, tuple(reply.nodes)
        operation.request, operation.context = operation.request or reply.request, reply.context
        if operation.writes:
            operation.used, operation.hinted = reply.used_context, tuple(sorted(reply.hinted.items()))
            operation.dot = new_dot(reply.used_context, reply.context)
            self._acked[operation.key] = reply.context
            return reply
        self._read[operation.key] = reply.context
        operation.resolved = bool(reply.resolved_by)
        operation.seen = tuple(seen_version(v.value, v.dot, v.clock, v.deleted) for v in reply.versions)
        return self._unstamped(operation, reply)

    def _unstamped(self, operation: Operation, reply: Any) -> Any:
        if not self._recorder.history.stamped or operation.resolved:
            return reply
        return reply.showing([seen.value for seen in operation.seen])


class _AsyncVerbs:
    """The verbs of a `RecordedClient` as coroutines: for clients that run at the same time."""

    def __init__(self, client: RecordedClient) -> None:
        self._to = client

    async def put(self, key: str | bytes, value: Any, **options: Any) -> Any:
        """See `RecordedClient.put`."""
        operation, stored = self._to._begin_put(key, value, options)
        return await self._to._finish_async(operation, self._to._client.aio.put(key, stored, **options))

    async def delete(self, key: str | bytes, **options: Any) -> Any:
        """See `RecordedClient.delete`."""
        if self._to._must_read(key, options):
            await self.get(key, **_only(options, "n", "timeout_ms", "via"))
        operation = self._to._begin("delete", key, None, options)
        return await self._to._finish_async(operation, self._to._client.aio.delete(key, **options))

    async def get(self, key: str | bytes, **options: Any) -> Any:
        """See `RecordedClient.get`."""
        operation = self._to._begin("get", key, None, options)
        return await self._to._finish_async(operation, self._to._client.aio.get(key, **options))


def _only(options: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: options[name] for name in names if name in options}
