"""One run of a student's code: bounded in time, memory and processes, and gone afterwards with all it started.

Theory of operation.
`run_confined` is called in a process made for this one run, its warden.
The warden forks the run, adopts whatever detaches itself from it, and watches the whole family;
at the end it ends its descendants until it has none.
Where the system gives a run its own process table, the kernel ends them all at one stroke (jail.py).

Rule 1: at the end the warden has no child; that is asked of the kernel, not of a list.
Rule 2: a warden whose parent is gone ends its run.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import IO, NamedTuple

import psutil

import dynalab
from dynalab.course.jail import Apart, adopt, go_apart, leave, limit

MEMORY_BYTES_MAX = 1_500 * 1024 * 1024
PROCESSES_MAX = 60
OUTPUT_BYTES_MAX = 1_000_000
LOOK_S = 0.1
WORD = "DYNALAB_RUNS"
"""Every process of a run was born with this variable, and the same value as the grader's warm process."""

END_S = 20.0
"""How long the kernel may take to bury what was killed."""

STOPPED = "it was stopped"
KILLED = "the process that watched it was killed"


class Ended(NamedTuple):
    """How a run ended.

    Attributes:
        code: exit code; None when it was stopped.
        why: why it was stopped; empty when it was not.
        output: the beginning of its standard output and error.
    """

    code: int | None
    why: str
    output: str


def run_confined(
    body: Callable[[], int], folder: Path, limit_s: float, environment: Mapping[str, str], given: str, apart: Apart
) -> Ended:
    """Run `body` in a child with a bare environment, and leave nothing of it behind.

    Call it in a process of its own without threads: all children of the process are ended.

    Args:
        body: what to run; its exit code.
        folder: working folder, also its home.
        limit_s: time it may take.
        environment: beside what every run gets.
        given: its standard input.
        apart: what it has of its own.
    """
    adopt()
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as output:
        source.write(given.encode())
        source.seek(0)
        warden = _Warden()
        child = os.fork()
        if child == 0:
            leave(lambda: _become(warden, body, folder, {**bare(folder), **environment}, (source, output), apart))
        try:
            code, why = warden.watched(child, limit_s)
        finally:
            warden.end_all()
        output.seek(0)
        return Ended(code, why, output.read(OUTPUT_BYTES_MAX).decode(errors="replace"))


class _Warden:
    """Watches one family of processes; hears of every death at once."""

    def __init__(self) -> None:
        self._parent = os.getppid()
        self._stopped = False
        self._woken, waker = socket.socketpair()
        self._waker = waker
        for end in (self._woken, waker):
            end.setblocking(False)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._stop)

    def _stop(self, *_: object) -> None:
        self._stopped = True

    def forget(self) -> None:
        """In the child: no handler of ours, no descriptor of ours."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler)
        self._woken.close()
        self._waker.close()

    def watched(self, child: int, limit_s: float) -> tuple[int | None, str]:
        """Wait for the child's end; its exit code, or why it must be stopped."""
        end = monotonic() + limit_s
        while True:
            ended = bury() or {}
            if child in ended:
                return ended[child], ""
            if self._stopped or os.getppid() != self._parent:
                return None, STOPPED
            if monotonic() > end:
                return None, f"it took longer than {limit_s:g} s"
            if why := _too_much(_family()):
                return None, why
            self._sleep()

    def _sleep(self) -> None:
        """Until a child dies or a signal comes, or it is time to look again."""
        if select.select([self._woken], [], [], LOOK_S)[0]:
            with suppress(BlockingIOError):
                self._woken.recv(4096)

    def end_all(self) -> None:
        """End all descendants, wherever they have gone, until there are none.

        Stopped first, they start no others while the rest is being ended.
        """
        end = monotonic() + END_S
        while bury() is not None and monotonic() < end:
            for number in (signal.SIGSTOP, signal.SIGKILL):
                for member in _family():
                    with suppress(psutil.Error):
                        member.send_signal(number)
            self._sleep()


def bury() -> dict[int, int] | None:
    """``{pid: exit code}`` of the children that have ended; None: there are no children at all."""
    buried: dict[int, int] = {}
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return buried
            buried[pid] = os.waitstatus_to_exitcode(status)
    return buried or None


def _family() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def _too_much(family: list[psutil.Process]) -> str:
    """Which bound the run has left; empty: none."""
    if len(family) > PROCESSES_MAX:
        return f"it started more than {PROCESSES_MAX} processes"
    if sum(map(_memory, family)) > MEMORY_BYTES_MAX:
        return f"it used more than {MEMORY_BYTES_MAX // 1024**2} MB of memory"
    return ""


def _memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _become(
    warden: _Warden,
    body: Callable[[], int],
    folder: Path,
    environment: Mapping[str, str],
    streams: tuple[IO[bytes], IO[bytes]],
    apart: Apart,
) -> int:
    """Turn this forked process into the run; its exit code."""
    warden.forget()
    os.setsid()
    source, output = streams
    for stream, numbers in ((source, (0,)), (output, (1, 2))):
        for number in numbers:
            os.dup2(stream.fileno(), number)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - a descriptor, for the whole run
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # Its own, by the new environment.
    limit()
    return go_apart(apart, body)


def bare(folder: Path) -> dict[str, str]:
    """The environment of every run: nothing of ours but where Python and dynalab are."""
    home = folder / ".home"
    own = {name: str(home) for name in ("HOME", "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR")}
    own |= {name: str(home) for name in ("JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR", "TMPDIR")}
    home.mkdir(exist_ok=True)
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "VIRTUAL_ENV") if name in os.environ}
    package = Path(dynalab.__file__).parent.parent
    kept |= {WORD: os.environ[WORD]} if WORD in os.environ else {}
    fixed = {"PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}
    return own | kept | fixed | {"JUPYTER_PLATFORM_DIRS": "1"}
