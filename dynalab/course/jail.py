"""What surrounds a student's code: limits, a network and a process table of its own, where the system gives them.

Theory of operation.
A run is a process that bounds itself, leaves what it shares with us, and then does its work.
With a process table of its own (a PID namespace) a run has a first process, and the kernel ends every other with it:
no process gets away, however often it forks and detaches itself.

    confined.py's child ── first process of the new table: buries the dead ── the run ── whatever it starts

Rule 1: only processes without threads call what is here; a fork would inherit half of a thread.
Rule 2: a new process table comes with its own /proc, or not at all; else a run would see one table and read another.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from functools import lru_cache
from typing import Any

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x20000, 0x10000000, 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REC, MS_PRIVATE = 0x2, 0x4, 0x8, 0x4000, 0x40000
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
SIOCSIFFLAGS, IFF_UP = 0x8914, 1

FILE_BYTES_MAX = 200 * 1024 * 1024
ADDRESS_BYTES_MAX = 16 * 1024**3


class Apart(IntEnum):
    """What a run has of its own."""

    NOTHING = 0
    NETWORK = 1
    PROCESSES = 2
    """And a network."""


def limit() -> None:
    """Bound files, core dumps and address space of this process and all it starts."""
    with suppress(ImportError):
        import resource

        limits = (
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_FSIZE, FILE_BYTES_MAX),
            (resource.RLIMIT_AS, ADDRESS_BYTES_MAX),
        )
        for what, most in limits:
            with suppress(ValueError, OSError):
                resource.setrlimit(what, (most, most))


def adopt() -> bool:
    """Become the parent of every descendant that loses its own; whether the system has that (Linux)."""
    return _called("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def go_apart(apart: Apart, run: Callable[[], int]) -> int:
    """Leave what `apart` says, then run; the exit code.

    Raises:
        OSError: the system does not allow it.
    """
    if apart >= Apart.NETWORK:
        left = CLONE_NEWNET | (CLONE_NEWPID | CLONE_NEWNS if apart is Apart.PROCESSES else 0)
        if not (_called("unshare", left) or _called("unshare", left | CLONE_NEWUSER)):  # As root, or as anybody.
            raise OSError("the system does not let this process leave its network")
        _loopback_up()
    return _in_child(lambda: _first(run)) if apart is Apart.PROCESSES else run()


def _first(run: Callable[[], int]) -> int:
    """The first process of a new table: it gets its own /proc, starts the run, and buries whoever dies."""
    if not _called("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        raise OSError("this process would outlive its parent")
    private = _called("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
    if not (private and _called("mount", b"proc", b"/proc", b"proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, None)):
        raise OSError("the system gives no /proc of its own")
    return _in_child(run)


def _in_child(run: Callable[[], int]) -> int:
    """Do something in a child, bury all that die meanwhile; the child's exit code."""
    child = os.fork()
    if child == 0:
        leave(run)
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.waitstatus_to_exitcode(status) & 0xFF


def leave(run: Callable[[], int]) -> None:
    """Do something in a forked child and end with its exit code; nothing of it reaches the parent's code."""
    code = 1
    try:
        code = run()
    except BaseException:  # noqa: BLE001 - whatever it was, it ends here; the output has the traceback
        import traceback

        traceback.print_exc()
    finally:
        import sys

        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


@lru_cache(maxsize=1)
def possible() -> Apart:
    """What this system lets a run have of its own; tried in a child that ends at once."""
    for apart in (Apart.PROCESSES, Apart.NETWORK):
        if _in_child(lambda apart=apart: _tried(apart)) == 0:  # type: ignore[misc]  # mypy infers no default
            return apart
    return Apart.NOTHING


def _tried(apart: Apart) -> int:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # What is not possible here is no news.
    try:
        return go_apart(apart, lambda: 0)
    except OSError:
        return 1


def _loopback_up() -> None:
    import fcntl
    import socket
    import struct

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        fcntl.ioctl(asked, SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", IFF_UP, b""))


def _called(name: str, *arguments: Any) -> bool:
    """Whether the C library has this call, and it worked."""
    try:
        import ctypes

        return int(getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments)) == 0
    except (ImportError, AttributeError, OSError):
        return False
