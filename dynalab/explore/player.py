"""Clients of a script: every verb is recorded, sent without waiting, and may be repeated word for word."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dynalab.check.history import Operation, stamp
from dynalab.check.recorder import RecordedClient, Recorder
from dynalab.core.clock import Context
from dynalab.core.errors import DynalabError
from dynalab.core.session import USE_SESSION
from dynalab.sim.client import Client
from dynalab.sim.pending import Pending

FORGED_COUNTER = 1_000_000

_OPTIONS = ("n", "r", "w", "timeout_ms", "via")


class Shared:
    """What the clients of one script know of each other.

    Attributes:
        first: ``{(client, key): the first context it got}``.
        latest: ``{key: the last context any client got}``.
        sent: ``{request id: (client, the recorded operation, the message)}``, for retries.
    """

    def __init__(self) -> None:
        self.first: dict[tuple[str, str], Context] = {}
        self.latest: dict[str, Context] = {}
        self.sent: dict[str, tuple[Player, Operation, Any]] = {}

    def learn(self, client: str, key: str, context: Context) -> None:
        """A client was given a context."""
        if context.entries or context.dots:
            self.first.setdefault((client, key), context)
            self.latest[key] = context

    def context(self, word: str, client: str, key: str) -> Any:
        """What a word of `workload.CONTEXTS` means now."""
        if word == "session":
            return USE_SESSION
        if word == "local":
            return Context.LOCAL
        if word == "stale":
            return self.first.get((client, key))
        if word == "borrowed":
            return self.latest.get(key)
        if word == "other key":
            return next((context for other, context in self.latest.items() if other != key), None)
        return Context({"A": FORGED_COUNTER}, (), bytes(16)) if word == "forged" else None


class Player(RecordedClient):
    """One client of a script.

    Args:
        recorder: of the run.
        client: the session in the simulation.
        shared: what all clients of the script share.
    """

    def __init__(self, recorder: Recorder, client: Client, shared: Shared) -> None:
        super().__init__(recorder, client, client.name)
        self._shared = shared
        self._session = client

    def begin(self, verb: str, given: Mapping[str, Any]) -> None:
        """Send a put, get or delete; a delete of something never seen reads it first."""
        key, word = given["key"], given.get("context", "session")
        options = {name: given[name] for name in _OPTIONS if name in given}
        if verb == "get":
            self._get(key, options, _nothing)
            return
        options |= {"request_id": given["request"]} if "request" in given else {}
        context = self._shared.context(word, self.name, key)
        options |= {"context": context} if context is not USE_SESSION else {}
        if verb == "delete" and self._must_read(key, options):
            read = {name: value for name, value in options.items() if name in ("n", "timeout_ms", "via")}
            self._get(key, read, lambda: self._write("delete", key, None, options))
        else:
            self._write(verb, key, given.get("value"), options)

    def repeat(self, operation: Operation, message: Any, via: str | None) -> None:
        """Send a write once more, word for word: same request id, same value, same contexts."""
        known = {name: getattr(operation, name) for name in ("value", "request", "need", "local", "sent")}
        history = self._recorder.history
        again = history.begin(self.name, operation.kind, operation.key, self._recorder.now_us(), **known)
        self._send(again, lambda: self._session._begin(operation.kind, message, self._session._checked(via)), _nothing)

    def _get(self, key: str, options: dict[str, Any], then: Callable[[], object]) -> None:
        operation = self._begin("get", key, None, options)
        self._send(operation, lambda: self._session.submit_get(key, **options), then)

    def _write(self, verb: str, key: str, value: Any, options: dict[str, Any]) -> None:
        operation = self._begin(verb, key, value, options)
        named = {name: option for name, option in options.items() if name != "via"}
        session, via = self._session, options.get("via")

        def send() -> Pending[Any]:
            if verb == "delete":
                message = session.session.delete(key, **named)
            else:
                message = session.session.put(key, stamp(operation.write, value), **named)
            if operation.request:
                self._shared.sent[operation.request] = (self, operation, message)
            return session._begin(verb, message, session._checked(via))

        self._send(operation, send, _nothing)

    def _send(self, operation: Operation, send: Callable[[], Pending[Any]], then: Callable[[], object]) -> None:
        try:
            pending = send()
        except DynalabError as error:
            self._failed(operation, error)
            return
        pending.when_done(lambda: self._ended(operation, pending, then))

    def _ended(self, operation: Operation, pending: Pending[Any], then: Callable[[], object]) -> None:
        if pending.error is not None:
            self._failed(operation, pending.error)
            return
        reply = self._answered(operation, pending.result())
        self._shared.learn(self.name, operation.key, reply.context)
        then()


def _nothing() -> None:
    """No step follows this one's answer."""
