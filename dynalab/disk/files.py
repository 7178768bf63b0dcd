"""Files that are still there after a crash: syncing, locking, and telling one boot of the machine from another.

Theory of operation.
A written file survives the end of its process, because the operating system holds it.
It survives the end of the machine only after `sync`; a new or renamed name only after `sync_folder`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from threading import Thread
from typing import IO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


class StoreInUse(OSError):
    """Another process has opened this store; two writers would use the same counters twice."""


def sync(file: IO[bytes]) -> None:
    """Return when the device has what was written to `file`."""
    if sys.platform == "darwin":
        fcntl.fcntl(file.fileno(), fcntl.F_FULLFSYNC)  # fsync there stops at the drive's cache.
    else:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Return when the device has the names in `folder`: of files created, renamed or removed."""
    if sys.platform == "win32":
        return  # Windows opens no folders; its file system writes names through its journal.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(file: IO[bytes], data: bytes) -> None:
    """Write all of `data` to an unbuffered file, however the system divides it."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def boot_id() -> str:
    """A name of this run of the machine; another after each boot, at most 36 characters."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:36]
    except OSError:
        import psutil

        return f"boot at {psutil.boot_time():.0f}"


class FolderLock:
    """Holds a folder for this process; the system lets go of it when the process ends, however it ends.

    Raises:
        StoreInUse: another process, or another store in this one, holds it.
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._file = (folder / "lock").open("a+b")
        try:
            self._take()
        except OSError as error:
            self._file.seek(0)
            holder = self._file.read(20).decode(errors="replace") or "unknown"
            self._file.close()
            raise StoreInUse(
                f"the store in {folder} is in use by process {holder}; "
                "two nodes on one store would lose writes: stop that one first, or use another folder"
            ) from error
        self._file.truncate(0)
        self._file.write(str(os.getpid()).encode())
        self._file.flush()

    def _take(self) -> None:
        if sys.platform == "win32":
            self._file.seek(1 << 30)  # Beyond the text, which others may read.
            msvcrt.locking(self._file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def release(self) -> None:
        """Let go; fine when already done."""
        self._file.close()


class BackgroundSync:
    """Syncs one file at a time beside the writer, so that no write waits for the device (6.1)."""

    def __init__(self) -> None:
        self._thread: Thread | None = None
        self._error: OSError | None = None

    def start(self, file: IO[bytes]) -> None:
        """Begin to sync `file`, unless an earlier sync still runs; `wait` before closing the file."""
        if self._thread is None or not self._thread.is_alive():
            self.wait()
            self._thread = Thread(target=self._sync, args=(file,), daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Return when no sync runs.

        Raises:
            OSError: an earlier one failed.
        """
        if self._thread is not None:
            self._thread.join()
        if self._error is not None:
            raise OSError(self._error.errno, f"an earlier sync failed: {self._error}") from self._error

    def _sync(self, file: IO[bytes]) -> None:
        try:
            sync(file)
        except OSError as error:
            self._error = error
