"""Where a panel's work runs: never on the thread that brings a click, unless that is the right one.

Theory of operation.
A click arrives on whatever thread the kernel likes (its main thread, or a subshell's), perhaps while a cell runs.
A live cluster may be used from any thread, so its verbs run on a thread of the panel, and a click returns at once.
A simulation belongs to the notebook's own thread: cells and panel take turns on the kernel's event loop,
so virtual time is never moved from two places at once, and no lock slows the simulation.
Without an event loop (a script, a test) the caller's thread does the work, one at a time.

Rule 1: work of one runner is done one after the other, in the order it was posted.
Rule 2: what goes wrong in it is reported through `on_error`, and ends neither runner nor kernel.
"""

from __future__ import annotations

import asyncio
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from queue import Empty, SimpleQueue

Work = Callable[[], object]


class Runner(ABC):
    """Does work, and one thing again and again.

    Args:
        on_error: hears what a piece of work raised.
    """

    def __init__(self, on_error: Callable[[Exception], object]) -> None:
        self.closed = False
        self._on_error = on_error
        self._one_at_a_time = threading.RLock()

    @abstractmethod
    def post(self, work: Work) -> None:
        """Do `work` soon."""

    @abstractmethod
    def every(self, seconds: float, work: Work) -> None:
        """Do `work` again and again, with so many seconds between two."""

    def close(self) -> None:
        """Do nothing more; what is under way ends by itself."""
        self.closed = True

    def _do(self, work: Work) -> None:
        with self._one_at_a_time:
            if self.closed:
                return
            try:
                work()
            except Exception as error:  # noqa: BLE001 - a panel reports, it does not die
                self._on_error(error)


class InlineRunner(Runner):
    """The caller's own thread; nothing happens by itself."""

    def post(self, work: Work) -> None:
        self._do(work)

    def every(self, seconds: float, work: Work) -> None:
        """Nothing repeats: whoever has no event loop asks for a refresh."""


class LoopRunner(Runner):
    """The event loop of the notebook: between two cells, on the thread that runs them."""

    def __init__(self, on_error: Callable[[Exception], object], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(on_error)
        self._loop = loop

    def post(self, work: Work) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._do, work)

    def every(self, seconds: float, work: Work) -> None:
        def again() -> None:
            self._do(work)
            if not self.closed:
                self._loop.call_later(seconds, again)

        self._loop.call_soon_threadsafe(self._loop.call_later, seconds, again)


class ThreadRunner(Runner):
    """A daemon thread of its own."""

    def __init__(self, on_error: Callable[[Exception], object], name: str) -> None:
        super().__init__(on_error)
        self._posted: SimpleQueue[Work] = SimpleQueue()
        self._period_s = 3600.0
        self._repeated: Work | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def post(self, work: Work) -> None:
        self._posted.put(work)

    def every(self, seconds: float, work: Work) -> None:
        def begin() -> None:
            self._period_s, self._repeated = seconds, work

        self.post(begin)

    def close(self) -> None:
        super().close()
        self._posted.put(lambda: None)

    def _run(self) -> None:
        due = time.monotonic()
        while not self.closed:
            try:
                self._do(self._posted.get(timeout=max(0.0, due - time.monotonic())))
            except Empty:
                if self._repeated is not None:
                    self._do(self._repeated)
                due = time.monotonic() + self._period_s
            due = min(due, time.monotonic() + self._period_s)


def runner_for(kind: str, name: str, on_error: Callable[[Exception], object]) -> Runner:
    """The right runner for a cluster of this kind (``live``, ``sim`` or ``file``)."""
    if kind == "live":
        return ThreadRunner(on_error, name)
    try:
        return LoopRunner(on_error, asyncio.get_running_loop())
    except RuntimeError:
        return InlineRunner(on_error)
