"""Many requests of one client under way at once (paper 6.4: how clients really load a cluster).

A window runs on the thread that speaks for the clients: an answer that arrives there
sends the next request at once, and no other thread is woken before the last answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any

from dynalab.core.errors import DynalabError
from dynalab.core.operations import Operation, checked_operations, checked_outstanding
from dynalab.core.session import Ack, Got
from dynalab.live.request import Request

Begin = Callable[[Operation, "Many", int], None]
"""``begin(operation, window, place)`` begins one request, and tells the window how it ended."""


class OneOfMany(Request):
    """A request that has a place in a window."""

    __slots__ = ("place", "window")
    window: Many
    place: int

    def ended(self, end: Ack | Got | Exception) -> None:
        """The next one may begin."""
        self.window.ended(self.place, end)


class Many:
    """A window over operations.

    Args:
        call: ``call(act)`` runs `act` on the thread that speaks for the clients.
        begin: begins one request.
        operations: see `core.operations`.
        outstanding: how many are under way at any time.

    Attributes:
        future: the list of results and errors, in the order of the operations.
    """

    def __init__(
        self,
        call: Callable[[Callable[[], None]], None],
        begin: Begin,
        operations: Iterable[Operation],
        outstanding: int,
    ) -> None:
        self.future: Future[list[Ack | Got | DynalabError]] = Future()
        self.future.set_running_or_notify_cancel()
        self._begin = begin
        self._operations = checked_operations(operations)
        self._outstanding = checked_outstanding(outstanding)
        self._under_way = 0
        self._filling = False
        self._over = False
        self._ends: list[Any] = []
        call(self._fill)

    def _fill(self) -> None:
        """Begin requests until enough are under way; one that ends at once does not enter here again."""
        if self._filling or self._over:
            return
        self._filling = True
        try:
            for operation in self._operations:
                place = len(self._ends)
                self._ends.append(None)
                self._under_way += 1
                try:
                    self._begin(operation, self, place)
                except DynalabError as error:
                    self.ended(place, error)
                if self._under_way >= self._outstanding:
                    break
        except Exception as error:  # noqa: BLE001 - the iterable is the caller's, and so is its error
            self._over = True
            self.future.set_exception(error)
        self._filling = False
        if not self._under_way and not self._over:
            self._over = True
            self.future.set_result(self._ends)

    def ended(self, place: int, end: Any) -> None:
        """The request of this place has its result, or its error."""
        self._ends[place] = end
        self._under_way -= 1
        self._fill()
