"""One request of a client under way, and what becomes of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import Future
from threading import Lock
from typing import TYPE_CHECKING, Any

from dynalab.core.messages import ClientGet, ClientPut, Message
from dynalab.core.session import Ack, Got
from dynalab.live.line import Ask

if TYPE_CHECKING:
    from dynalab.live.session import Client

GRACE_US = 500_000
"""How long after its deadline a request's answer is still waited for."""


class Request(Ask, ABC):
    """A put, get or delete: what its reply means is worked out as soon as that arrives, on the thread of the lines."""

    __slots__ = ("_client", "_kind")

    def __init__(self, client: Client, kind: str, message: ClientPut | ClientGet) -> None:
        self.user = client.address
        self.message = message
        self.wait_us = message.timeout_us + GRACE_US
        self.later = None
        self._client = client
        self._kind = kind

    def answered(self, reply: Message, latency_us: int) -> None:
        """The session knows what it says, and remembers."""
        try:
            result = self._client.session.answer(reply, latency_us / 1000)
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            self.failed(error)
        else:
            self._client.tally.answered(self._kind, latency_us)
            self.ended(result)

    def failed(self, error: Exception) -> None:
        """There is no result."""
        self._client.tally.failed(self._kind, error)
        self.ended(error)

    @abstractmethod
    def ended(self, end: Ack | Got | Exception) -> None:
        """Tell whoever waits."""


class Awaited(Request):
    """A request whose thread does nothing else meanwhile."""

    __slots__ = ("_end", "_over")

    def __init__(self, client: Client, kind: str, message: ClientPut | ClientGet) -> None:
        super().__init__(client, kind, message)
        self._end: Any = None
        #: free when it is over
        self._over = Lock()
        self._over.acquire()

    def ended(self, end: Ack | Got | Exception) -> None:
        """Wake the thread that waits."""
        self._end = end
        self._over.release()

    def result(self) -> Any:
        """What it was answered, as soon as it is; raises what went wrong."""
        with self._over:
            if isinstance(self._end, Exception):
                raise self._end
            return self._end


class Promised(Request):
    """A request whose result comes as a future."""

    __slots__ = ("future",)

    def __init__(self, client: Client, kind: str, message: ClientPut | ClientGet) -> None:
        super().__init__(client, kind, message)
        self.future = under_way(message.request)

    def ended(self, end: Ack | Got | Exception) -> None:
        """Whoever waits for the future goes on."""
        if isinstance(end, Exception):
            self.future.set_exception(end)
        else:
            self.future.set_result(end)


def under_way(request: str) -> Future[Any]:
    """A future that cannot be cancelled, of the request of this id."""
    future: Future[Any] = Future()
    future.set_running_or_notify_cancel()
    future.request = request  # type: ignore[attr-defined]
    return future
