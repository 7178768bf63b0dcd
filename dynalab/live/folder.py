"""Folders: the runtime folder of a cluster, the data folder of each node, and who holds them.

Theory of operation.
A cluster has one runtime folder, named after the process that owns it; its keeper holds the lock in it.
What a killed cluster could not remove is swept by the next start: the owner is gone and the lock is free.
A node's folder holds its lock too: a second process of the same node on the same folder is refused.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from dynalab.core.errors import InvalidSetting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PREFIX = "dynalab-"
LOCK = "lock"
_SECRET_BYTES = 32
LOGS = "logs"
NODES = "nodes"


class FolderInUse(OSError):
    """Another process holds the folder."""


class Lock:
    """Holds a folder until it is closed, or its process ends, however that happens.

    Raises:
        FolderInUse: somebody else holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            _lock(self._descriptor)
        except OSError:
            os.close(self._descriptor)
            raise FolderInUse(f"another process holds {folder}") from None

    def close(self) -> None:
        """Let go."""
        os.close(self._descriptor)

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def new_runtime_folder() -> Path:
    """A fresh folder for a cluster of this process, readable by nobody else."""
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    (folder / LOGS).mkdir()
    (folder / NODES).mkdir()
    return folder


def sweep() -> list[Path]:
    """Remove the runtime folders of clusters that are gone; the folders removed."""
    swept = [folder for folder in _others() if _is_abandoned(folder)]
    for folder in swept:
        shutil.rmtree(folder, ignore_errors=True)
    return swept


def _others() -> Iterator[Path]:
    mine = f"{PREFIX}{os.getpid()}-"
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}[0-9]*-*"):
        if not folder.name.startswith(mine) and (folder / LOGS).is_dir():
            yield folder


def _is_abandoned(folder: Path) -> bool:
    import psutil  # A node locks its folder, but never sweeps.

    owner = folder.name.removeprefix(PREFIX).split("-", 1)[0]
    if not owner.isdigit() or psutil.pid_exists(int(owner)) or not os.access(folder, os.W_OK):
        return False
    try:
        with Lock(folder):  # A cluster of another process-id namespace may share the temporary folder.
            return True
    except OSError:
        return False


def node_folder(nodes: Path, node: str) -> Path:
    """The data folder of a node; the prefix keeps a name like ``..`` inside."""
    return nodes / f"node-{node}"


def emptied(folder: Path) -> Path:
    """The folder, with nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def tail(path: Path, lines: int) -> str:
    """The last lines of a log file, at most 64 kB."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 65_536))
        text = file.read().decode(errors="replace")
    return "\n".join(text.splitlines()[-lines:])


# Data that outlives a cluster --------------------------------------------------------------------


def new_folders(data_dir: str | None) -> tuple[Path, tuple[Path, bytes, set[str]]]:
    """A fresh runtime folder, and what `data_folder` answers."""
    runtime = new_runtime_folder()
    try:
        return runtime, data_folder(runtime, data_dir)
    except BaseException:
        shutil.rmtree(runtime, ignore_errors=True)
        raise


def data_folder(runtime: Path, data_dir: str | None) -> tuple[Path, bytes, set[str]]:
    """Where the nodes' folders are, the secret that seals contexts, and the nodes that have been there before.

    Raises:
        InvalidSetting: `data_dir` cannot be made, or not be written.
    """
    if data_dir is None:
        return runtime / NODES, secrets.token_bytes(_SECRET_BYTES), set()
    try:
        folder = Path(data_dir).expanduser().absolute()
        folder.mkdir(parents=True, exist_ok=True)
        founded = folder / "founded"
        before = set(founded.read_text().split()) if founded.exists() else set()
        return folder, _kept_secret(folder / "secret"), before
    except (OSError, ValueError, RuntimeError) as error:  # No such home folder is a RuntimeError.
        raise InvalidSetting(f"data_dir={data_dir!r} cannot be used: {error}; name a folder you may write") from None


def _kept_secret(path: Path) -> bytes:
    """The secret of a cluster that was here before, or a new one, readable by nobody else."""
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_SECRET_BYTES))
    return path.read_bytes()


def remember_founding(folder: Path, names: Iterable[str]) -> None:
    """Note which nodes have had data here: an empty folder of theirs has lost it."""
    (folder / "founded").write_text("\n".join(sorted(names)) + "\n")
