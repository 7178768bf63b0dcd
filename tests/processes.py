"""Which node processes and runtime folders this worker has, and which of them outlived their test."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

#: How long an ending process may take; awaited, never slept.
GRACE_S = 10


def node_processes() -> Iterator[psutil.Process]:
    """Processes that run dynalab.live and were started, directly or not, from this worker.

    An orphan has lost its parent, but keeps the environment it was born with:
    the temporary folder named there belongs to one worker alone.
    """
    mine = {child.pid for child in psutil.Process().children(recursive=True)}
    for process in psutil.process_iter():
        try:
            if process.status() == psutil.STATUS_ZOMBIE or "dynalab.live" not in " ".join(process.cmdline()):
                continue
            if process.pid in mine or process.environ().get("TMPDIR") == os.environ["TMPDIR"]:
                yield process
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # It has just ended, or it is another user's: not ours either way.


def runtime_folders() -> set[Path]:
    """The runtime folders of clusters in this worker's temporary folder."""
    return set(Path(tempfile.gettempdir()).glob("dynalab-*"))


@dataclass(frozen=True)
class Census:
    """What was there at one moment."""

    processes: frozenset[psutil.Process]
    folders: frozenset[Path]

    @classmethod
    def now(cls) -> Census:
        return cls(frozenset(node_processes()), frozenset(runtime_folders()))

    def leftovers(self) -> list[str]:
        """What has come since and does not go, in words; survivors are ended, so that the next test starts clean."""
        come = [process for process in node_processes() if process not in self.processes]
        names = {process: _named(process) for process in come}
        _, alive = psutil.wait_procs(come, timeout=GRACE_S)
        for process in alive:
            process.kill()
        psutil.wait_procs(alive, timeout=GRACE_S)
        folders = sorted(runtime_folders() - self.folders)
        return [names[process] for process in alive] + [f"folder {folder}" for folder in folders]


def _named(process: psutil.Process) -> str:
    try:
        return f"process {process.pid}: {' '.join(process.cmdline())}"
    except psutil.NoSuchProcess:
        return f"process {process.pid}, ended meanwhile"
