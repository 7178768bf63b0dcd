"""Around every request: a trace id, a bound on the body, an answer whatever happens, a log line, a measurement."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from secrets import token_hex
from typing import Any
from urllib.parse import quote

from dynalab.gateway.logs import Log
from dynalab.gateway.refusals import TooLarge, refusal

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_VISIBLE = "!#$&'()*+,/:;=?@[]"
"""What stays as it is in a header, beside letters, digits and ``_.-~``."""


def _header_of(trace_id: str) -> bytes:
    """A trace id as a header, which holds visible ASCII only; an `opId`, which becomes one, is any text.

    >>> _header_of("op-1@12b6"), _header_of("two words")
    (b'op-1@12b6', b'two%20words')
    """
    return quote(trace_id, safe=_VISIBLE).encode()


class Frame:
    """The outermost layer of one node's HTTP face.

    Args:
        app: what is inside.
        node: whose port this is.
        log: for one line per request.
        body_max: bytes of a body.
    """

    def __init__(self, app: App, node: str, log: Log, body_max: int) -> None:
        self._app = app
        self._node = node
        self._log = log
        self._body_max = body_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        about: dict[str, Any] = {"traceId": token_hex(8)}
        scope.setdefault("state", {})["about"] = about
        began, status = time.perf_counter(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                trace_header = (b"x-trace-id", _header_of(about["traceId"]))
                message = {**message, "headers": [*message.get("headers", []), trace_header]}
            await send(message)

        try:
            self._check_length(scope)
            await self._app(scope, self._bounded(receive), sending)
        except Exception as error:  # A client gets an answer, whatever happened.
            if status:
                raise  # Half an answer is out; the server ends the connection.
            await refusal(error, about["traceId"])(scope, receive, sending)
        finally:
            self._log.request(
                self._node, scope["method"], _kind(scope["path"]), status, time.perf_counter() - began, about
            )

    def _check_length(self, scope: Scope) -> None:
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._body_max:
            raise self._too_large()

    def _bounded(self, receive: Receive) -> Receive:
        """`receive`, which stops at the bound however the body comes."""
        taken = 0

        async def receiving() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._body_max:
                raise self._too_large()
            return message

        return receiving

    def _too_large(self) -> TooLarge:
        return TooLarge(f"a body has at most {self._body_max:,} bytes: a value of 1 MiB in base64, and its options")


def _kind(path: str) -> str:
    """A path without its key: keys are not logged.

    >>> _kind("/kv/cart"), _kind("/admin/ring")
    ('/kv/{key}', '/admin/ring')
    """
    for head in ("/kv/", "/debug/siblings/"):
        if path.startswith(head):
            return head + "{key}"
    return path[:80]
