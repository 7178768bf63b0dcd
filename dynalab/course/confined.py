"""Run a command that a student's code runs in: bounded in time, memory and processes, and gone afterwards.

Every process of a run carries a secret word in its environment;
so those that left their group or their parent are found and ended too.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from time import monotonic
from typing import NamedTuple

import psutil

import dynalab

MEMORY_BYTES_MAX = 1_500 * 1024 * 1024
PROCESSES_MAX = 60
OUTPUT_BYTES_MAX = 1_000_000
WORD = "DYNALAB_RUN"
_LOOK_S = 0.1
_JAIL = Path(__file__).with_name("jail.py")


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
    command: Sequence[str], folder: Path, limit_s: float, environment: Mapping[str, str], given: str = ""
) -> Ended:
    """Run a command in `folder` with a bare environment, and leave nothing of it behind.

    Args:
        command: program and arguments.
        folder: working folder, also its home.
        limit_s: time it may take.
        environment: beside what every run gets.
        given: its standard input.
    """
    word = secrets.token_hex(16)
    jailed = [sys.executable, "-I", "-S", str(_JAIL), "0" if network_can_be_left() else "1", *command]
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as output:
        source.write(given.encode())
        source.seek(0)
        process = subprocess.Popen(
            jailed,
            stdin=source,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**_bare(folder), **environment, WORD: word},
            start_new_session=True,
        )
        try:
            why = _watched(process, monotonic() + limit_s, limit_s)
        finally:
            _end_all(process, word)
        output.seek(0)
        text = output.read(OUTPUT_BYTES_MAX).decode(errors="replace")
    return Ended(None if why else process.returncode, why, text)


def _watched(process: subprocess.Popen[bytes], end: float, limit_s: float) -> str:
    """Wait for the end; why it must be stopped, or nothing."""
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK_S)
            return ""
        if monotonic() > end:
            return f"it took longer than {limit_s:g} s"
        family = _family(process.pid)
        if len(family) > PROCESSES_MAX:
            return f"it started more than {PROCESSES_MAX} processes"
        used = sum(_memory(member) for member in family)
        if used > MEMORY_BYTES_MAX:
            return f"it used more than {MEMORY_BYTES_MAX // 1024**2} MB of memory"


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return []


def _memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _end_all(process: subprocess.Popen[bytes], word: str) -> None:
    """End the run's whole family, wherever its members have gone."""
    members = _family(process.pid) + _carrying(word)
    if hasattr(os, "killpg"):
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    for member in members:
        with suppress(psutil.Error):
            member.kill()
    process.wait()
    for late in _carrying(word):
        with suppress(psutil.Error):
            late.kill()


def _carrying(word: str) -> list[psutil.Process]:
    carrying = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(WORD) == word:
                carrying.append(process)
        except (psutil.Error, OSError):
            continue  # It has ended, or belongs to somebody else.
    return carrying


def _bare(folder: Path) -> dict[str, str]:
    """The environment of every run: nothing of ours but where Python and dynalab are."""
    own = {name: str(folder / ".home") for name in ("HOME", "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR")}
    own |= {name: str(folder / ".home") for name in ("JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR", "TMPDIR")}
    Path(own["HOME"]).mkdir(exist_ok=True)
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT", "VIRTUAL_ENV") if name in os.environ}
    package = Path(dynalab.__file__).parent.parent
    return own | kept | {"PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1", "JUPYTER_PLATFORM_DIRS": "1"}


@lru_cache(maxsize=1)
def network_can_be_left() -> bool:
    """Whether this system lets a run have a network of its own."""
    program = f"import runpy, sys; sys.exit(not runpy.run_path({str(_JAIL)!r})['leave_network']())"
    return subprocess.run([sys.executable, "-I", "-S", "-c", program], check=False).returncode == 0
