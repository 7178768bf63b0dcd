"""The process that runs are forked from: it has loaded everything once, so a run starts in milliseconds.

Theory of operation.
The grader (runs.py) writes one line of JSON per run on standard input, and reads one line per ended run.
This process loads what that kind of run needs, and forks its warden (confined.py), which forks the run.

    grader ──stdin──▶ warm ──fork──▶ warden ──fork──▶ run: the second opinion, or pytest and, forked once more, a kernel
       ▲               │               │
       └────stdout─────┴───────────────┘     {"run": number}; how it ended is in the run's file

Rule 1: no thread, no socket and no ZeroMQ context here; a fork would inherit half of each.
Rule 2: when standard input ends, the grader is gone or done: every run is ended, then this process.
Rule 3: a warden that was killed ends its run all the same: its orphans come to this process, which ends them.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from dynalab.course.confined import KILLED, Ended, bury, run_confined
from dynalab.course.jail import Apart, adopt, leave, possible

Request = dict[str, Any]


def _opinion() -> Callable[[Request], int]:
    from dynalab.course import opinion

    return lambda _: opinion.main()


def _notebook() -> Callable[[Request], int]:
    from dynalab.course import nbrun

    return lambda request: nbrun.run(request["arguments"])


LOADED: dict[str, Callable[[], Callable[[Request], int]]] = {"opinion": _opinion, "notebook": _notebook}
"""``{kind of run: loads what it needs, and gives what runs}``."""


class Warm:
    """The loop.

    Args:
        orders: descriptor to read requests from.
        notices: descriptor to write to which runs have ended.
        most: what runs have of their own at most.
    """

    def __init__(self, orders: int, notices: int, most: Apart) -> None:
        self._orders = orders
        self._notices = notices
        self._unread = b""
        #: {process id of a warden: its request}
        self._wardens: dict[int, Request] = {}
        self._apart = min(most, possible())
        self._kinds: dict[str, Callable[[Request], int]] = {}
        self._woken, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        os.set_blocking(self._woken, False)

    def serve(self) -> None:
        """Until standard input ends."""
        adopt()
        self._notify({"apart": int(self._apart)})
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        while True:
            ready, _, _ = select.select([self._orders, self._woken], [], [])
            if self._woken in ready:
                with suppress(BlockingIOError):
                    os.read(self._woken, 4096)
                self._bury()
            if self._orders in ready and not self._read():
                break
        self._end()

    def _read(self) -> bool:
        """Start what is asked for; whether there may be more."""
        piece = os.read(self._orders, 1 << 16)
        *lines, self._unread = (self._unread + piece).split(b"\n")
        for line in lines:
            self._start(json.loads(line))
        return bool(piece)

    def _start(self, request: Request) -> None:
        if request["kind"] not in self._kinds:
            self._kinds[request["kind"]] = LOADED[request["kind"]]()
            gc.collect()
            gc.freeze()  # What is loaded stays shared: the collector of a fork does not touch it.
        warden = os.fork()
        if warden == 0:
            signal.set_wakeup_fd(-1)
            leave(lambda: self._guard(request))
        self._wardens[warden] = request

    def _guard(self, request: Request) -> int:
        """What a warden does."""
        for descriptor in (self._orders, self._woken, self._waker):
            os.close(descriptor)
        body = self._kinds[request["kind"]]
        given = (Path(request["folder"]), request["limit_s"], request["environment"], request["given"])
        ended = run_confined(lambda: self._run(body, request), *given, self._apart)
        Path(request["ended"]).write_text(json.dumps(ended), encoding="utf-8")
        self._notify({"run": request["run"]})
        return 0

    def _run(self, body: Callable[[Request], int], request: Request) -> int:
        os.close(self._notices)
        return body(request)

    def _bury(self) -> None:
        """Bury the wardens that have ended, and end what a killed one left."""
        for pid, code in (bury() or {}).items():
            request = self._wardens.pop(pid, None)
            if request is not None and code != 0:
                Path(request["ended"]).write_text(json.dumps(Ended(None, KILLED, "")), encoding="utf-8")
                self._notify({"run": request["run"]})
        self._end_orphans()

    def _end_orphans(self) -> None:
        import psutil

        for child in psutil.Process().children():
            if child.pid not in self._wardens:
                with suppress(psutil.Error):
                    child.kill()

    def _end(self) -> None:
        """End every run, and wait until it has ended."""
        for warden in self._wardens:
            with suppress(ProcessLookupError):
                os.kill(warden, signal.SIGTERM)
        while bury() is not None:
            self._end_orphans()
            select.select([self._woken], [], [], 0.1)

    def _notify(self, notice: dict[str, int]) -> None:
        with suppress(BrokenPipeError):  # Nobody waits for it any more.
            os.write(self._notices, (json.dumps(notice) + "\n").encode())


def main() -> None:
    """Serve standard input; what is printed here goes to standard error."""
    orders, notices = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)
    os.dup2(2, 1)
    Warm(orders, notices, Apart(int(sys.argv[1]))).serve()


if __name__ == "__main__":
    main()
