"""Run a student's part safely: a time limit, captured prints, and a traceback without dynalab's own frames.

Theory of operation.
The node calls its guard with the part's name, the function and the arguments, and waits.
A watcher, a second thread, raises `_Overrun` inside the waiting thread once the limit has passed,
and again for as long as the part swallows it.
When the part is through, the guard disarms: it forbids further exceptions and takes back one that is still on its way.
So nothing leaks into the code after the guarded call.

Limits, stated:
an endless loop of Python ends; one endless call into C (``time.sleep(10**9)``) cannot be ended from inside.
Where there are no threads (Pyodide), or no way to raise in another thread, there is no time limit.
A part that stops at a breakpoint has no time limit from there on.
"""

from __future__ import annotations

import io
import sys
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout
from math import inf
from opcode import opmap
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from dynalab.core.errors import PartFailed

if TYPE_CHECKING:
    import threading

PRINTED_MAX = 64 * 1024
"""Characters of one call's prints that are passed on."""

TRACEBACK_MAX = 8 * 1024
"""Characters of a student's traceback that are kept."""

OnPrint = Callable[[str, str], None]
"""``on_print(part, text)``: what one call printed."""

_PACKAGE = str(Path(__file__).parent / "_").removesuffix("_")
_TICK_S = 0.01
_IDLE_TICKS = 100
"""The watcher ends itself after so many ticks with nothing to watch; the next call starts another."""
_AGAIN_S = 0.2
"""How long a part that swallowed an exception may go on before the next one."""
_DEBUGGERS = ("bdb.py", "pydevd")


def run_guarded(limit_ms: int = 1_000, on_print: OnPrint | None = None) -> Guarded:
    """A guard: ``guard(part, function, arguments)`` is what the function answers.

    Args:
        limit_ms: real time one call may take, 1 and up.
        on_print: gets what a call printed; None leaves standard output alone.
    """
    if limit_ms < 1:
        raise ValueError(f"limit_ms must be 1 or more; got {limit_ms!r}")
    return Guarded(limit_ms, on_print)


class Guarded:
    """What `run_guarded` makes; one per thread that handles events."""

    def __init__(self, limit_ms: int, on_print: OnPrint | None) -> None:
        self.limit_ms = limit_ms
        self._on_print = on_print
        self._watcher: _Watcher | None = None
        self._can_watch = True

    def __call__(self, part: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """The function's answer.

        Raises:
            PartFailed: it raised, tried to exit, or took too long; `.traceback` has the student's frames.
        """
        if self._on_print is None:
            return self._answer(part, function, arguments)
        printed = _Printed()
        try:
            with redirect_stdout(printed):
                return self._answer(part, function, arguments)
        finally:
            if printed.count:
                self._on_print(part, printed.text())

    def _answer(self, part: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        outcome = self._outcome(function, arguments)
        if outcome.overran:
            text = f"the part {part!r} did not answer within {self.limit_ms} ms"
            raise _failure(text, outcome.error) from None
        if outcome.error is None:
            return outcome.answer
        if _is_users_interrupt(outcome.error):
            raise outcome.error
        text = f"the part {part!r} raised {_last_line(outcome.error)}"
        raise _failure(text, outcome.error) from None

    def _outcome(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> _Outcome:
        watcher = self._watching()
        if watcher is None:
            return _call(function, arguments)
        try:
            watcher.arm(self.limit_ms / 1000)
            outcome = _call(function, arguments)
            watcher.disarm()
        except _Overrun as late:  # It arrived between the call and the end of `disarm`.
            outcome = _Outcome(error=late)
            watcher.disarm()
        except BaseException:  # A real Ctrl-C, outside the part.
            watcher.disarm()
            raise
        return outcome._replace(overran=watcher.fired)

    def _watching(self) -> _Watcher | None:
        if self._watcher is None and self._can_watch:
            self._watcher = _new_watcher()
            self._can_watch = self._watcher is not None
        return self._watcher


class _Outcome(NamedTuple):
    answer: Any = None
    error: BaseException | None = None
    overran: bool = False


def _call(function: Callable[..., Any], arguments: tuple[Any, ...]) -> _Outcome:
    try:
        return _Outcome(answer=function(*arguments))
    except BaseException as error:  # noqa: BLE001 - a part may raise anything; the caller sorts it
        return _Outcome(error=error)


class _Overrun(BaseException):
    """Raised by the watcher inside the thread that runs a part."""


# The watcher -----------------------------------------------------------------------------------


def _new_watcher() -> _Watcher | None:
    """A watcher, or None where threads or asynchronous exceptions are missing."""
    try:
        import ctypes
        import threading

        raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
        probe = threading.Thread(target=int, daemon=True)
        probe.start()
        probe.join()
    except (ImportError, AttributeError, RuntimeError):
        return None

    def interrupt(thread: int, error: type[BaseException] | None) -> None:
        raise_in(ctypes.c_ulong(thread), None if error is None else ctypes.py_object(error))

    return _Watcher(threading, interrupt)


class _Watcher:
    """Ends calls that overrun.

    Rule 1: an exception is sent only under the lock, and only to the call that is armed.
    Rule 2: `disarm` first withdraws the call, then, under the lock, takes back what was sent and not yet raised.

    Attributes:
        fired: whether the last call overran.
    """

    def __init__(self, threads: Any, interrupt: Callable[[int, type[BaseException] | None], None]) -> None:
        self._threads = threads
        self._interrupt = interrupt
        self._lock: threading.Lock = threads.Lock()
        self._pause: threading.Event = threads.Event()
        self._running = False
        #: (thread, when it is due) of the call in hand
        self._armed: list[float] | None = None
        self.fired = False

    def arm(self, limit_s: float) -> None:
        """From now on the calling thread has `limit_s` seconds."""
        self.fired = False
        with self._lock:
            self._armed = [self._threads.get_ident(), monotonic() + limit_s]
            if not self._running:
                self._running = True
                self._threads.Thread(target=self._watch, name="dynalab-guard", daemon=True).start()

    def disarm(self) -> None:
        """From the return of this on, nothing is raised in the calling thread."""
        self._armed = None
        with self._lock:
            self._interrupt(self._threads.get_ident(), None)

    def _watch(self) -> None:
        idle = 0
        while idle < _IDLE_TICKS or not self._ended():
            self._pause.wait(_TICK_S)
            armed = self._armed
            idle = idle + 1 if armed is None else 0
            if armed is not None and monotonic() >= armed[1]:
                self._fire(armed)

    def _fire(self, armed: list[float]) -> None:
        with self._lock:
            if self._armed is armed and _is_debugged(int(armed[0])):
                armed[1] = inf
            elif self._armed is armed:
                self.fired = True
                armed[1] = monotonic() + _AGAIN_S
                self._interrupt(int(armed[0]), _Overrun)

    def _ended(self) -> bool:
        with self._lock:
            self._running = self._armed is not None
            return not self._running


def _is_debugged(thread: int) -> bool:
    """Whether somebody is looking at a breakpoint in `thread`."""
    frame = sys._current_frames().get(thread)
    while frame is not None and not any(name in frame.f_code.co_filename for name in _DEBUGGERS):
        frame = frame.f_back
    return frame is not None


# What a student gets to read -------------------------------------------------------------------


class _Printed(io.TextIOBase):
    """Standard output of one call: the first `PRINTED_MAX` characters, and a count of the rest."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self.count = 0

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, text: str) -> int:
        """Keep what still fits."""
        room = PRINTED_MAX - self.count
        if room > 0:
            self._pieces.append(text[:room])
        self.count += len(text)
        return len(text)

    def text(self) -> str:
        """All that was kept, and how much was not."""
        left_out = self.count - PRINTED_MAX
        tail = f"\n... and {left_out:,} characters more\n" if left_out > 0 else ""
        return "".join(self._pieces) + tail


def _failure(text: str, error: BaseException | None) -> PartFailed:
    failed = PartFailed(text)
    failed.traceback = students_traceback(error) if error is not None else text
    return failed


def students_traceback(error: BaseException) -> str:
    """The traceback from the first frame outside dynalab on, at most 8 kB."""
    where = error.__traceback__
    while where is not None and where.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        where = where.tb_next
    if isinstance(error, _Overrun):
        lines = [*traceback.format_tb(where), "(still running here when its time was up)\n"]
    else:
        lines = traceback.format_exception(type(error), error, where)
    return _bounded("".join(lines))


def _bounded(text: str) -> str:
    if len(text) <= TRACEBACK_MAX:
        return text
    gap = "\n... (shortened) ...\n"
    head = TRACEBACK_MAX // 4
    return text[:head] + gap + text[len(gap) + head - TRACEBACK_MAX :]


def _last_line(error: BaseException) -> str:
    lines = traceback.format_exception_only(type(error), error)
    return _bounded(lines[-1].strip())


def _is_users_interrupt(error: BaseException) -> bool:
    """Whether this is a real Ctrl-C: a signal arrives between instructions, a part's own one at its `raise`."""
    if not isinstance(error, KeyboardInterrupt):
        return False
    where = _innermost(error.__traceback__)
    if where is None:
        return True
    return where.tb_frame.f_code.co_code[where.tb_lasti] != opmap["RAISE_VARARGS"]


def _innermost(where: TracebackType | None) -> TracebackType | None:
    """The last entry of a traceback: where it was raised."""
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    return where
