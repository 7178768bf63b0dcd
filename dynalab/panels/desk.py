"""The desk at which a story is asked for: one thing after the other, and nothing said meanwhile is lost.

Theory of operation.
A presenter presses a key while a step is still under way, or while the story's cluster is being built.
What is asked then waits here, and is done as soon as that has ended, on a runner of the cluster shown then:
the runners of the cluster before may have ended with it.

Rule 1: one request is under way at a time.
Rule 2: one may wait; who presses five times is impatient, and does not mean to skip five steps.
Rule 3: what was to follow a step that failed is forgotten, so that the failure is seen.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from dynalab.panels.runner import Runner, Work

Request = tuple[str, Work]
"""The name of a runner of the show, and the work."""


class Desk:
    """Takes requests of a panel's views.

    Args:
        runner: gives the runner with this name of the cluster that is shown now.
        on_error: hears what a request raised.
    """

    def __init__(self, runner: Callable[[str], Runner], on_error: Callable[[Exception], object]) -> None:
        self._runner = runner
        self._on_error = on_error
        self._lock = threading.Lock()
        self._busy = False
        self._waiting: Request | None = None

    def ask(self, where: str, work: Work) -> None:
        """Do `work` on the runner called `where`, now or next."""
        with self._lock:
            if self._busy:
                self._waiting = self._waiting or (where, work)
                return
            self._busy = True
        self._post(where, work)

    def forget(self) -> None:
        """Do not do what is waiting: what it was meant to follow has failed."""
        with self._lock:
            self._waiting = None

    def _post(self, where: str, work: Work) -> None:
        self._runner(where).post(lambda: self._do(work))

    def _do(self, work: Work) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - it is reported, and the next request is heard
            self._on_error(error)
        with self._lock:
            following, self._waiting = self._waiting, None
            self._busy = following is not None
        if following:
            self._post(*following)
