"""What has been asked for and is not answered yet, and how waiting for it drives virtual time.

Theory of operation.
A verb that must wait makes a `Pending`.
`result()` carries out steps of the world until it is done; no real time passes.
In asyncio, `Driver` does the same for many at once:
while any coroutine can still go on, virtual time stands; once all of them wait, it moves to the next thing that ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from dynalab.core.errors import DynalabError
from dynalab.sim.loop import Loop

Result = TypeVar("Result")

ROUNDS = 10
"""Turns of the asyncio loop that coroutines get between two ends, to ask for what they want next."""


class Pending(Generic[Result]):
    """Something under way in virtual time.

    Attributes:
        done: whether it has ended.
        error: what it ended with, if it failed.
    """

    __slots__ = ("_callbacks", "_loop", "_result", "done", "error")

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._result: Any = None
        self._callbacks: tuple[Callable[[], object], ...] = ()
        self.done = False
        self.error: DynalabError | None = None

    def result(self) -> Result:
        """The result; carries out steps until there is one, and raises the error if it failed."""
        if not self.done:
            self._loop.run_until_done(self)
        if self.error is not None:
            raise self.error
        result: Result = self._result
        return result

    def when_done(self, function: Callable[[], object]) -> None:
        """Call `function` when it ends; at once if it has."""
        if self.done:
            function()
        else:
            self._callbacks += (function,)

    def finish(self, result: Any = None, error: DynalabError | None = None) -> None:
        """It has ended."""
        self._result, self.error, self.done = result, error, True
        callbacks = self._callbacks
        if callbacks:
            self._callbacks = ()
            for function in callbacks:
                function()

    def end(self) -> Result | DynalabError:
        """What it has ended with: its result, or its error."""
        result: Result = self._result
        return result if self.error is None else self.error


class Watch(Pending[Result]):
    """Looks again and again until something holds.

    Args:
        loop: the world.
        look: answers the result, or None while it does not hold yet.
        too_late: makes the error when it does not hold in time.
        timeout_us: how long to look.
        every_us: pause between two looks.
    """

    __slots__ = ("_every_us", "_look", "_too_late", "_until_us")

    def __init__(
        self,
        loop: Loop,
        look: Callable[[], Result | None],
        too_late: Callable[[], DynalabError],
        timeout_us: int,
        every_us: int,
    ) -> None:
        super().__init__(loop)
        self._look = look
        self._too_late = too_late
        self._every_us = every_us
        self._until_us = loop.now_us + timeout_us
        self._try()

    def _try(self) -> None:
        found = self._look()
        if found is not None:
            self.finish(found)
        elif self._loop.now_us >= self._until_us:
            self.finish(error=self._too_late())
        else:
            self._loop.call_at(min(self._loop.now_us + self._every_us, self._until_us), self._try)


class Driver:
    """Moves virtual time for coroutines, when all of them wait."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._waiting = 0
        self._ended = 0
        self._task: asyncio.Task[None] | None = None

    async def wait(self, pending: Pending[Result]) -> Result:
        """The result of `pending`, once it is there."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        pending.when_done(lambda: self._end(future))
        self._waiting += 1
        self._drive_here()
        try:
            await future
        finally:
            self._waiting -= 1
        return pending.result()

    def _end(self, future: asyncio.Future[None]) -> None:
        self._ended += 1
        if not future.done():
            future.set_result(None)

    def _drive_here(self) -> None:
        """Have one task that drives, in the asyncio loop that runs now."""
        running = asyncio.get_running_loop()
        if self._task is None or self._task.done() or self._task.get_loop() is not running:
            self._task = running.create_task(self._drive())

    async def _drive(self) -> None:
        while True:
            for _ in range(ROUNDS):
                await asyncio.sleep(0)
            if not self._waiting:
                return
            ended, step = self._ended, self._loop.step
            while self._ended == ended:
                step()
