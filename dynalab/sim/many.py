"""Many requests of one client under way at once, in virtual time (paper 6.4: how clients really load a cluster)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from dynalab.core.errors import DynalabError
from dynalab.core.operations import Operation, checked_operations, checked_outstanding, taken_apart
from dynalab.core.session import Ack, Got
from dynalab.sim.loop import Loop
from dynalab.sim.pending import Pending


class Many(Pending[list[Ack | Got | DynalabError]]):
    """A window over operations; its result is the list of their results and errors, in order.

    Args:
        loop: the world.
        verbs: ``{kind: function that begins one request}``.
        operations: see `core.operations`.
        outstanding: how many are under way at any time.
    """

    def __init__(
        self,
        loop: Loop,
        verbs: dict[str, Callable[..., Pending[Any]]],
        operations: Iterable[Operation],
        outstanding: int,
    ) -> None:
        super().__init__(loop)
        self._verbs = verbs
        self._operations = checked_operations(operations)
        self._outstanding = checked_outstanding(outstanding)
        self._under_way = 0
        self._filling = False
        self._ends: list[Any] = []
        self._fill()

    def _fill(self) -> None:
        """Begin requests until enough are under way; one that ends at once does not enter here again."""
        if self._filling:
            return
        self._filling = True
        for operation in self._operations:
            self._begin(operation)
            if self._under_way >= self._outstanding:
                break
        self._filling = False
        if not self._under_way and not self.done:
            self.finish(self._ends)

    def _begin(self, operation: Operation) -> None:
        place = len(self._ends)
        self._ends.append(None)
        try:
            kind, arguments, options = taken_apart(operation)
            pending = self._verbs[kind](*arguments, **options)
        except DynalabError as error:
            self._ends[place] = error
            return
        self._under_way += 1
        pending.when_done(partial(self._ended, place, pending))

    def _ended(self, place: int, pending: Pending[Any]) -> None:
        self._ends[place] = pending.end()
        self._under_way -= 1
        self._fill()
